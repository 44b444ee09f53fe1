"""Words and layout facts that several documents share."""

from typing import Any, Final

import pycountry

from app.core.i18n import Translator, locale_of, translate
from app.documents.shapes import ExportClassView, Party, ReverseCharge, TaxId

# CLDR supplemental data, paperSize "US-Letter"; everybody else folds A4.
_LETTER: Final = frozenset("BZ CA CL CO CR GT MX NI PA PH PR SV US VE".split())


_HEAD: Final = 60


def paper_for(country: str) -> str:
    """The sheet the reader's printer holds, by ISO 3166-1 alpha-2 code, in typst's spelling."""
    return "us-letter" if country.upper() in _LETTER else "a4"


def missing_sentence(locale: str) -> str:
    """Said where a box stands for a character, so that nothing is dropped in silence."""
    _ = translate(locale)
    return _(
        "A box (□) stands for a character that is not in the fonts of this document: %s. "
        "The electronic record holds the text as it was given."
    )


def tax_id_line(tax_id: TaxId, _: Translator) -> str:
    """`VAT ID DE123456789`. A type we have no name for is called what it is: a tax ID."""
    any_other = _("Tax ID")
    names = {
        "eu_vat": _("VAT ID"),
        "eu_oss_vat": _("VAT ID"),
        "gb_vat": _("VAT no."),
        "ch_vat": _("UID/VAT no."),
        "ch_uid": "UID",
        "no_vat": _("VAT no."),
        "us_ein": "EIN",
        "ca_bn": "BN",
        "ca_gst_hst": "GST/HST",
        "ca_qst": "QST",
        "au_abn": "ABN",
        "nz_gst": "GST",
        "sg_gst": "GST",
        "in_gst": "GSTIN",
        "kr_brn": "BRN",
        "is_vat": _("VAT no."),
        "jp_trn": _("Registration no."),
        "ca_pst": "PST",
        "us_permit": _("Sales tax permit"),
        "de_stn": _("Tax number"),
    }
    return f"{names.get(tax_id.type, any_other)} {tax_id.value}"


def tax_name(name: str, _: Translator) -> str:
    """The names taxes commonly have; one that is a proper name in its country stays as it is."""
    return {"VAT": _("VAT"), "Sales tax": _("Sales tax"), "Local sales tax": _("Local sales tax")}.get(name, name)


def reverse_charge_sentence(shifted: ReverseCharge, _: Translator) -> str:
    """Who owes the tax, by what rule, and the numbers of both (Art. 226(11a))."""
    said = [_("The recipient of the supply owes the tax (%(basis)s).", basis=_.gettext(shifted.legal_basis))]
    if shifted.seller_tax_id:
        said.append(_("Supplier: %(seller)s.", seller=shifted.seller_tax_id))
    return " ".join([*said, _("Recipient: %(buyer)s.", buyer=shifted.buyer_tax_id)])


def place_name(jurisdiction: str, locale: str) -> str:
    """`DE` is Germany, `US-NY` New York, `US-IL-CHICAGO` Chicago, Illinois (INTERFACES, `blp explain tax`).

    Countries are named in the reader's language, the rest in its own; what is no such code stays as it is.
    """
    country, *inside = jurisdiction.split("-", 2)
    name: str | None = locale_of(locale).territories.get({"EL": "GR"}.get(country, country))
    if not inside or name is None:
        return name or jurisdiction
    code = f"{country}-{inside[0]}"
    region = pycountry.subdivisions.get(code=code)  # type: ignore[no-untyped-call]  # pycountry does not annotate it
    if region is None:
        return jurisdiction
    return region.name if len(inside) == 1 else f"{inside[1].replace('_', ' ').title()}, {region.name}"


def language_name(tag: str, locale: str) -> str:
    """`de` is German, in the reader's language."""
    language = locale_of(tag).language
    return str(locale_of(locale).languages.get(language, language))


def party_block(title: str, party: Party, _: Translator) -> dict[str, Any]:
    """A name and address as typst lays it out."""
    lines = [_("Attn. %(contact)s", contact=party.contact)] if party.contact else []
    lines += [line for line in party.address if line.strip()]
    if party.email:
        lines.append(party.email)
    return {"label": title, "name": party.name, "lines": lines, "ids": [tax_id_line(i, _) for i in party.tax_ids]}


def _shortened(name: str) -> str:
    """For the running head, which has one line; the full name stands in the address block."""
    return name if len(name) <= _HEAD else f"{name[: _HEAD - 1]}…"


def frame(title: str, number: str, issuer: str, *, locale: str, country: str, test_mode: bool) -> dict[str, Any]:
    """What `style.typ` needs around any document; `locale` is one we can write in."""
    _, where = translate(locale), locale_of(locale)
    before, between = _("Page {page} of {pages}").split("{page}")
    between, after = between.split("{pages}")
    return {
        "title": title,
        "number": number,
        "issuer_short": _shortened(issuer),
        "paper": paper_for(country),
        "lang": where.language,
        "region": where.territory,
        "page_of": [before, between, after],
        "mark": _("TEST") if test_mode else "",
        "badge": _("TEST DOCUMENT") if test_mode else "",
        "keywords": [title, number],
    }


def export_notes(classes: tuple[ExportClassView, ...], _: Translator) -> list[dict[str, str]]:
    """How what is sold is classified for export control; the codes are those of its law, in every language."""
    sentences = []
    for each in classes:
        said = _(
            "%(what)s: ECCN %(eccn)s, authorisation %(authorisation)s", what=", ".join(each.what), eccn=each.eccn,
            authorisation=each.authorisation,
        )  # fmt: skip
        sentences.append(f"{said}, CCATS {each.ccats}." if each.ccats else f"{said}.")
    return [{"title": _("Export classification"), "text": " ".join(sentences)}] if sentences else []
