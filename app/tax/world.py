"""Countries outside the Union that tax as one country (R-TAX-4): the registration is asked first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.tax.eu import is_number_of, unconfirmed
from app.tax.overrides import Standing, cited, uncharged
from app.tax.places import Place
from app.tax.products import Product
from app.tax.rates import BadTaxData, Document, RateRow, on_day, read_rates, read_sources
from app.tax.request import Buyer, Request
from app.tax.ruling import Charge, Ruling, Treatment, not_collecting, percent, review

BusinessRule = Literal["reverse_charge", "by_product", "charged"]


@dataclass(frozen=True, slots=True)
class Country:
    """One row of world.yaml."""

    code: str
    name: str
    tax: str
    registered_in: tuple[str, ...]
    business: BusinessRule
    ids: tuple[str, ...]
    note: str
    rates: tuple[RateRow, ...]


def read_world(document: Document) -> Mapping[str, Country]:
    """Raises BadTaxData where a row is incomplete, overlaps or leaves a gap."""
    sources = read_sources(document)
    found: dict[str, Country] = {}
    for entry in document["countries"]:
        code = entry["country"]
        if code in found:
            raise BadTaxData(f"{code} is listed twice: join the two rows")
        if entry["business"] in {"reverse_charge", "by_product"} and not (entry.get("ids") and entry.get("note")):
            raise BadTaxData(
                f"{code}: relieved businesses need the type of their number and a note: add `ids` and `note`"
            )
        found[code] = Country(
            code=code,
            name=entry["name"],
            tax=entry["tax"],
            registered_in=tuple(entry.get("registered_in", (code,))),
            business=entry["business"],
            ids=tuple(entry.get("ids", ())),
            note=entry.get("note", ""),
            rates=read_rates(entry["rates"], sources, code),
        )
    return found


def rule(
    request: Request, place: Place, product: Product, world: Mapping[str, Country], name: str, standing: Standing
) -> Ruling:
    """`name` is what people call a country that has no row here."""
    country = world.get(place.country)
    areas = (place.country,) if country is None else country.registered_in
    if not any(r.country in areas for r in request.seller.registrations if r.in_force(request.date)):
        return not_collecting(place.country, country.name if country else name)
    decided = uncharged(standing.of(place.country), name, "country")
    if decided is not None or country is None:
        return decided or _without_rules(place.country, name, standing)
    ruled, overrides = standing.row(place.country)
    row = ruled or on_day(country.rates, request.date)
    if row is None or row.validity.grade == "C":
        return review(
            place.country, f"No {country.tax} rate of {country.name} is certain for {request.date}.", "country"
        )
    domestic = not request.seller.established_in().isdisjoint({place.country, *areas})
    who = _who(request.buyer, country, domestic=domestic)
    named = f" (which covers {place.territory.name})" if place.territory else ""
    if request.buyer.type == "business" and not domestic:
        relief = _business(request.buyer, country, product)
        if relief is not None:
            return relief
    return Ruling(
        Treatment.STANDARD,
        place.country,
        " ".join((f"{who}: {country.tax} of {country.name}{named}, {percent(row.rate)} %.", *map(cited, overrides))),
        place.precision,
        charges=(Charge(place.country, country.tax, row.rate, *(each.portion for each in overrides)),),
        overrides=overrides,
    )


def _without_rules(country: str, name: str, standing: Standing) -> Ruling:
    """A registration where no rules are kept: only the operator knows the rate."""
    row, overrides = standing.row(country)
    if row is None:
        return review(country, f"The seller is registered in {name}, whose rules are not kept here.")
    charges = (Charge(country, "Tax", row.rate, overrides[0].portion),)
    reason = f"Sale in {name}, {percent(row.rate)} %. {cited(overrides[0])}"
    return Ruling(Treatment.STANDARD, country, reason, "country", charges, overrides=overrides)


def _who(buyer: Buyer, country: Country, *, domestic: bool) -> str:
    if buyer.type == "consumer":
        return f"Consumer in {country.name}"
    if domestic:
        return f"Business in {country.name}, where the seller is established"
    if country.business == "charged":
        return f"Business in {country.name}, where a registered seller charges businesses too"
    return f"Business in {country.name} {unconfirmed(buyer, country.ids)}, charged as a consumer"


def _business(buyer: Buyer, country: Country, product: Product) -> Ruling | None:
    """What relieves a business buyer, or None where it is charged."""
    number = next((t for t in buyer.tax_ids if is_number_of(t, country.ids)), None)
    by_product = country.business == "by_product" and product.use == "by_buyer"
    if not by_product and (number is None or country.business == "charged"):
        return None
    value = "" if number is None else "".join(c for c in number.value.upper() if c.isalnum() and c.isascii())
    why = (
        f"The product is sold for business use to a business in {country.name}"
        if by_product
        else f"Business in {country.name} with a confirmed tax number"
    )
    return Ruling(
        Treatment.REVERSE_CHARGE,
        country.code,
        f"{why}: no {country.tax} is charged, the customer accounts for it.",
        "country",
        note=f"{country.note}." + (f" Customer number {value}." if value else ""),
    )
