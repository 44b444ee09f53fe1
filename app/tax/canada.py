"""Canada (R-TAX-4): GST and HST under one federal registration, QST and PST under each province's own.

Excise Tax Act Part IX; a seller under the simplified regime does not charge a buyer who gives a GST/HST number,
one registered in full charges everybody. Quebec follows the same pattern; PST spares no business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from app.tax.eu import is_number_of
from app.tax.overrides import Standing, cited
from app.tax.places import Place
from app.tax.products import Product
from app.tax.rates import BadTaxData, Document, RateRow, on_day, read_rates, read_sources, require_distinct
from app.tax.request import Exemption, Request, Seller
from app.tax.ruling import Charge, Override, Ruling, Treatment, exempt, not_collecting, percent, review

RELIEF_NOTE = "No GST/HST or QST charged: the recipient is registered and accounts for the tax where liable"


@dataclass(frozen=True, slots=True)
class Levy:
    """GST, HST, QST or a provincial sales tax. `id` is the number that relieves a business; empty for none."""

    name: str
    jurisdiction: str
    registered_in: str
    provinces: frozenset[str]
    id: str
    rates: tuple[RateRow, ...]
    taxed_from: Mapping[str, date]

    @property
    def registers(self) -> frozenset[str]:
        return frozenset({self.registered_in, self.jurisdiction})


@dataclass(frozen=True, slots=True)
class Canada:
    provinces: Mapping[str, str]
    levies: tuple[Levy, ...]


def read_canada(document: Document) -> Canada:
    """Raises BadTaxData where a province is unknown or has not exactly one federal levy."""
    sources = read_sources(document)
    provinces: Mapping[str, str] = document["provinces"]
    require_distinct((f"{e['province']} {e['name']}" for e in document["provincial"]), "provincial")
    federal = [
        Levy(e["name"], e["jurisdiction"], "CA", frozenset(e["provinces"]), e["id"],
             read_rates(e["rates"], sources, e["jurisdiction"]), {})
        for e in document["federal"]
    ]  # fmt: skip
    own = [
        Levy(e["name"], f"CA-{e['province']}", f"CA-{e['province']}", frozenset({e["province"]}),
             e["id"] if e["relief"] == "registered" else "",
             read_rates(e["rates"], sources, f"CA-{e['province']}"), e["taxed"])
        for e in document["provincial"]
    ]  # fmt: skip
    covered = [code for levy in federal for code in levy.provinces]
    if wrong := sorted({code for code in (*provinces, *covered) if code not in provinces or covered.count(code) != 1}):
        raise BadTaxData(
            f"federal: each province needs exactly one of GST and HST: list each of {wrong} under one levy"
        )
    if unknown := {code for levy in own for code in levy.provinces} - set(provinces):
        raise BadTaxData(f"provincial: no such province: {sorted(unknown)}: use a code of `provinces`")
    return Canada(provinces, (*federal, *own))


def rule(request: Request, place: Place, product: Product, canada: Canada, standing: Standing) -> Ruling:
    """One ruling for all levies of the province: relieved ones are listed at 0 beside those that are due."""
    seller, on = request.seller, request.date
    province = place.region or ""
    if province not in canada.provinces:
        held = any(r.jurisdiction.startswith("CA") and r.in_force(on) for r in seller.registrations)
        return review("CA", "The province of the buyer is missing or unknown; the rate depends on it.") if held else (
            not_collecting("CA", "Canada"))  # fmt: skip
    jurisdiction, name = f"CA-{province}", canada.provinces[province]
    levies = [levy for levy in canada.levies if province in levy.provinces]
    # HST is often registered under the province's name; there is no other register that it could mean.
    collected = [levy for levy in levies if any(seller.registration(code, on) for code in levy.registers)]
    if not collected:
        if seller.registration(jurisdiction, on) is None:
            return not_collecting(jurisdiction, name)
        return review(
            jurisdiction, f"The seller is registered in {name}, which has no tax of its own, but not for GST."
        )
    charges: list[Charge] = []
    reliefs: list[str] = []
    overrides: list[Override] = []
    paper: Exemption | None = None
    for levy in collected:
        decided = standing.of(levy.jurisdiction)
        overrides += [decided] if decided else []
        if decided is not None and decided.treatment is Treatment.NEEDS_REVIEW:
            return replace(review(jurisdiction, f"{levy.name} in {name}: {cited(decided)}"), overrides=(decided,))
        taxed = not levy.taxed_from or on >= levy.taxed_from[product.kind]
        if not taxed if decided is None else decided.treatment is not Treatment.STANDARD:
            continue
        row = standing.row(levy.jurisdiction)[0] or on_day(levy.rates, on)
        if row is None or row.validity.grade == "C":
            return review(jurisdiction, f"No {levy.name} rate of {name} is certain for {on}.", "province")
        certificate = _certificate(request, levy)
        paper = paper or certificate
        why = "certificate" if certificate else _relief(request, levy)
        reliefs += [why] if why else []
        portion = decided.portion if decided else Decimal(100)
        charges.append(Charge(levy.jurisdiction, levy.name, Decimal(0) if why else row.rate, portion))
    missing = [levy for levy in levies if levy not in collected]
    ruling = _ruling(jurisdiction, name, charges, reliefs, missing, paper)
    return _overruled(ruling, tuple(overrides)) if overrides else ruling


def _overruled(ruling: Ruling, overrides: tuple[Override, ...]) -> Ruling:
    """The ruling with what decided it; where nothing is charged, in the operator's own words."""
    words = " ".join((ruling.reason, *map(cited, overrides)))
    if ruling.treatment is Treatment.PRODUCT_EXEMPT:
        return replace(ruling, treatment=overrides[0].treatment, reason=words, overrides=overrides,
                       note=" ".join(each.note for each in overrides if each.note))  # fmt: skip
    return replace(ruling, reason=words, overrides=overrides)


def _ruling(
    jurisdiction: str, name: str, charges: list[Charge], reliefs: list[str], missing: list[Levy],
    certificate: Exemption | None,
) -> Ruling:  # fmt: skip
    due = [charge for charge in charges if charge.rate]
    gap = "".join(f" {levy.name} is not collected: no registration in {levy.registered_in}." for levy in missing)
    relieved = f" {RELIEF_NOTE}." if "number" in reliefs else ""
    if due:
        sums = " and ".join(f"{charge.name} {percent(charge.rate)} %" for charge in due)
        said, printed = "", relieved
        if certificate is not None:
            note = exempt(jurisdiction, name, certificate).note
            said, printed = " An exemption certificate relieves the rest.", f"{relieved} {note}"
        return Ruling(Treatment.STANDARD, jurisdiction, f"Sale in {name}: {sums}.{relieved}{said}{gap}",
                      "province", tuple(charges), note=printed.strip())  # fmt: skip
    if "number" in reliefs:
        return Ruling(Treatment.REVERSE_CHARGE, jurisdiction, f"Registered business in {name}.{relieved}{gap}",
                      "province", note=relieved.strip())  # fmt: skip
    if certificate is not None:
        ruling = exempt(jurisdiction, name, certificate)
        return replace(ruling, reason=f"{ruling.reason}{gap}", precision="province")
    return Ruling(
        Treatment.PRODUCT_EXEMPT, jurisdiction, f"{name} does not tax this product on that day.{gap}", "province"
    )


def _certificate(request: Request, levy: Levy) -> Exemption | None:
    """The buyer's certificate that relieves it from this levy."""
    places = {levy.jurisdiction, levy.registered_in}
    return next((e for e in request.buyer.exemptions if any(e.relieves(p, request.date) for p in places)), None)


def _relief(request: Request, levy: Levy) -> str | None:
    """`number` where the buyer's own spares it this levy."""
    buyer, on = request.buyer, request.date
    known = bool(levy.id) and any(is_number_of(t, (levy.id,)) for t in buyer.tax_ids)
    if buyer.type == "business" and known and simplified(request.seller, levy.jurisdiction, on):
        return "number"
    return None


def simplified(seller: Seller, jurisdiction: str, on: date) -> bool:
    """Whether the seller is registered there as a non-resident. Quebec's specified regime goes with the federal one."""
    if "CA" in seller.established_in():
        return False
    for code in ("CA", jurisdiction):
        schemes = [r.scheme.casefold() for r in seller.registrations if r.jurisdiction == code and r.in_force(on)]
        # Registered both ways on one day: in full, whichever is listed first.
        if schemes and all("simplified" in scheme or "specified" in scheme for scheme in schemes):
            return True
    return False
