"""The form of tax numbers, by the types Stripe names: shape and check digits, never whether a number is live.

A wrong check digit of an EU number refuses; elsewhere it warns, because rules of other countries change without
notice and a false refusal loses a sale (the register's answer is what relieves from tax, see `eu.rule`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module

from stdnum.exceptions import ValidationError

from app.tax.dataset import load
from app.tax.names import country_codes


@dataclass(frozen=True, slots=True)
class FormatCheck:
    """`normalized` is how we store the number. `hard` problems refuse the number, others are shown as warnings."""

    normalized: str
    ok: bool
    problem: str | None = None
    hard: bool = False


# python-stdnum modules by type, where one exists.
_MODULES: Mapping[str, str] = {
    "ar_cuit": "ar.cuit", "au_abn": "au.abn", "au_acn": "au.acn", "br_cnpj": "br.cnpj", "br_cpf": "br.cpf",
    "by_tin": "by.unp", "ca_bn": "ca.bn", "ch_uid": "ch.uid", "ch_vat": "ch.vat", "cl_tin": "cl.rut",
    "co_nit": "co.nit", "cr_tin": "cr.cpj", "de_stn": "de.stnr", "do_rcn": "do.rnc", "eg_tin": "eg.tn",
    "es_cif": "es.cif", "eu_oss_vat": "eu.oss", "fr_siren": "fr.siren", "fr_siret": "fr.siret",
    "hr_oib": "hr.oib", "id_npwp": "id.npwp", "il_vat": "il.hp", "in_gst": "in_.gstin", "is_kt": "is_.kennitala",
    "is_vat": "is_.vsk", "it_cf": "it.codicefiscale", "jp_cn": "jp.cn", "ke_pin": "ke.pin", "kr_brn": "kr.brn",
    "li_uid": "ch.uid", "mx_rfc": "mx.rfc", "no_vat": "no.mva", "nz_gst": "nz.ird", "pe_ruc": "pe.ruc",
    "pl_nip": "pl.nip", "pt_nif": "pt.nif", "py_ruc": "py.ruc", "rs_pib": "rs.pib", "ru_inn": "ru.inn",
    "sg_uen": "sg.uen", "sm_coe": "sm.coe", "sv_nit": "sv.nit", "th_vat": "th.tin", "tr_tin": "tr.vkn",
    "tw_vat": "tw.ubn", "us_ein": "us.ein", "uy_ruc": "uy.rut", "ve_rif": "ve.rif", "vn_tin": "vn.mst",
}  # fmt: skip

# Shapes where python-stdnum has no module.
_SHAPES: Mapping[str, tuple[str, str]] = {
    "ae_trn": (r"\d{15}", "15 digits"),
    "bh_vat": (r"\d{15}", "15 digits"),
    "ca_pst_bc": (r"PST\d{8}", "PST and 8 digits"),
    "ca_pst_mb": (r"\d{6}\d?", "6 or 7 digits"),
    "ca_pst_sk": (r"\d{7}", "7 digits"),
    "ca_qst": (r"\d{10}TQ\d{4}", "10 digits, TQ and 4 digits"),
    "ge_vat": (r"\d{9}", "9 digits"),
    "hk_br": (r"\d{8}", "8 digits"),
    "kz_bin": (r"\d{12}", "12 digits"),
    "li_vat": (r"\d{5}", "5 digits"),
    "my_sst": (r"[A-Z]\d{2}\d{4}\d{8}", "a letter and 14 digits"),
    "ng_tin": (r"\d{8,13}", "8 to 13 digits"),
    "om_vat": (r"OM\d{10}", "OM and 10 digits"),
    "ph_tin": (r"\d{9}(\d{3}|\d{5})?", "9, 12 or 14 digits"),
    "sa_vat": (r"3\d{13}3", "15 digits that begin and end with 3"),
    "sg_gst": (r"M[A-Z0-9]\d{7}[A-Z0-9]|\d{8,9}[A-Z]|[TSR]\d{2}[A-Z0-9]{2}\d{4}[A-Z]", "M90312345A or the UEN"),
    "ua_vat": (r"\d{10}|\d{12}", "10 or 12 digits"),
    "za_vat": (r"4\d{9}", "10 digits that begin with 4"),
}

# The number a business of a country gives at checkout; members of the Union give eu_vat, places not listed none.
_ASKED_IN: Mapping[str, str] = {
    "AE": "ae_trn", "AR": "ar_cuit", "AU": "au_abn", "BH": "bh_vat", "BR": "br_cnpj", "CH": "ch_vat", "CL": "cl_tin",
    "CO": "co_nit", "CR": "cr_tin", "DO": "do_rcn", "EG": "eg_tin", "GB": "gb_vat", "GE": "ge_vat", "HK": "hk_br",
    "ID": "id_npwp", "IL": "il_vat", "IM": "gb_vat", "IN": "in_gst", "IS": "is_vat", "JP": "jp_trn", "KE": "ke_pin",
    "KR": "kr_brn", "KZ": "kz_bin", "LI": "li_vat", "MX": "mx_rfc", "MY": "my_sst", "NG": "ng_tin", "NO": "no_vat",
    "NZ": "nz_gst", "OM": "om_vat", "PE": "pe_ruc", "PH": "ph_tin", "PY": "py_ruc", "RS": "rs_pib", "SA": "sa_vat",
    "SG": "sg_gst", "SV": "sv_nit", "TH": "th_vat", "TR": "tr_tin", "TW": "tw_vat", "UA": "ua_vat", "UY": "uy_ruc",
    "VE": "ve_rif", "VN": "vn_tin", "XI": "gb_vat", "ZA": "za_vat",
}  # fmt: skip
# Canada has a number for the federal tax and one for each province's own; their shapes tell them apart.
_CANADIAN: Mapping[str, str] = {"ca_qst": r"\d{10}TQ\d{4}", "ca_pst_bc": r"PST\d{8}"}


def type_for(country: str, value: str = "") -> str | None:
    """The type of number a business of `country` gives; None where no such number bears on the tax of a sale."""
    places = load().places
    code = places.country(country)
    if code == "CA":
        compact = _compact(value)
        return next((kind for kind, shape in _CANADIAN.items() if re.fullmatch(shape, compact)), "ca_gst_hst")
    if code in _ASKED_IN:
        return _ASKED_IN[code]
    return "eu_vat" if places.seat(code) in places.members else None


def types() -> tuple[str, ...]:
    """Every type that can be kept with an account, in the order of their names."""
    return tuple(sorted({"eu_vat", "ca_gst_hst", *_CANADIAN, *_ASKED_IN.values()}))


def check(tax_id_type: str, value: str, country: str) -> FormatCheck:
    """The form of one number given for a buyer in `country` (ISO 3166-1)."""
    kind = tax_id_type.strip().lower()
    compact = _compact(value)
    if not compact or len(compact) > 40:
        return FormatCheck(compact[:40], ok=False, problem="A tax number has 1 to 40 letters or digits.", hard=True)
    if kind == "eu_vat":
        return _check_eu(compact, load().places.country(country))
    if not re.fullmatch(r"[a-z]{2}_[a-z_]+", kind) or kind[:2].upper() not in country_codes() | {"EU"}:
        return FormatCheck(compact, ok=False, problem=f"{kind!r} is not a type of tax number.", hard=True)
    return _check_other(kind, compact)


def _check_other(kind: str, compact: str) -> FormatCheck:
    """Types outside the Union; one that has no known form passes as it is."""
    if kind in _SPECIAL:
        return _SPECIAL[kind](compact)
    if kind in _MODULES:
        return _check_module(_MODULES[kind], compact)
    return _check_shape(kind, compact) if kind in _SHAPES else FormatCheck(compact, ok=True)


def _compact(value: str) -> str:
    return "".join(c for c in value.upper() if c.isascii() and c.isalnum())


def _check_eu(compact: str, country: str) -> FormatCheck:
    """EU VAT numbers and, for services useless, XI numbers. Without its prefix a number is of the buyer's state."""
    places = load().places
    prefixes = {member.vat_prefix: member for member in places.members.values()}
    prefixes["GR"] = places.members["GR"]
    home = places.members.get(places.seat(country))
    if compact[:2] in {"GB", "EU", "IM"}:
        remedy = "gb_vat" if compact[:2] == "GB" else "the buyer's own VAT number, not a one-stop-shop number"
        return FormatCheck(compact, ok=False, problem=f"This is not an EU VAT number: give {remedy}.", hard=True)
    if compact[:2] not in prefixes and compact[:2] != "XI" and home is not None:
        compact = home.vat_prefix + compact
    found = _check_module("eu.vat", compact)
    if not found.ok:
        return FormatCheck(compact, ok=False, problem=found.problem, hard=True)
    compact = found.normalized
    if compact[:2] == "GR":
        compact = "EL" + compact[2:]
    if compact[:2] == "XI":
        return FormatCheck(compact, ok=True, problem="An XI number serves goods; services follow UK rules.")
    of = prefixes[compact[:2]]
    if home is None or of.code != home.code:
        return FormatCheck(compact, ok=True, problem=f"The number is of {of.name}, the address is not.")
    return FormatCheck(compact, ok=True)


@cache
def _validator(module: str) -> Callable[[str], str]:
    validate: Callable[[str], str] = import_module(f"stdnum.{module}").validate
    return validate


def _check_module(module: str, compact: str) -> FormatCheck:
    try:
        return FormatCheck(_validator(module)(compact), ok=True)
    except ValidationError as exc:
        return FormatCheck(compact, ok=False, problem=str(exc) or "The number does not have the right form.")


def _check_shape(kind: str, compact: str) -> FormatCheck:
    pattern, words = _SHAPES[kind]
    if re.fullmatch(pattern, compact):
        return FormatCheck(compact, ok=True)
    return FormatCheck(compact, ok=False, problem=f"Such a number has {words}.")


def _check_gst_hst(compact: str) -> FormatCheck:
    """A business number with its GST/HST account: 123456789RT0001."""
    head, _, account = compact.partition("RT")
    checked = _check_module("ca.bn", head)
    if checked.ok and re.fullmatch(r"\d{4}", account):
        return FormatCheck(compact, ok=True)
    problem = checked.problem or "Such a number has 9 digits, RT and 4 digits."
    return FormatCheck(compact, ok=False, problem=problem)


def _check_gb(compact: str) -> FormatCheck:
    """Kept with its prefix, as it has to stand on an invoice."""
    checked = _check_module("gb.vat", compact)
    return replace(checked, normalized=f"GB{checked.normalized}") if checked.ok else checked


def _check_jp_registration(compact: str) -> FormatCheck:
    """T and the 13 digits of a corporate number, or of a sole trader, whose digits follow no public check."""
    if re.fullmatch(r"T\d{13}", compact) is None:
        return FormatCheck(compact, ok=False, problem="Such a number has T and 13 digits.")
    return FormatCheck(compact, ok=True)


_SPECIAL: Mapping[str, Callable[[str], FormatCheck]] = {
    "ca_gst_hst": _check_gst_hst,
    "gb_vat": _check_gb,
    "jp_trn": _check_jp_registration,
}
