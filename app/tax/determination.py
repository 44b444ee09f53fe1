"""The tax of one document, and why (R-TAX, ADR 0013).

Pure: the same request and data give the same bytes. Nothing here raises for a well-formed request; what cannot be
known for certain is answered `needs_review`, and such a document bears no amount until a person decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from app.core.money import Money
from app.tax import canada, eu, us, world
from app.tax.amounts import Settled, settle
from app.tax.dataset import TaxData, load
from app.tax.local_rates import Locality
from app.tax.names import country_name
from app.tax.overrides import NONE, Overrides, Standing
from app.tax.places import Place
from app.tax.products import Product
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId
from app.tax.ruling import Charge, Ruling, Treatment, exempt, percent, review

__all__ = [
    "Buyer", "Component", "Determination", "Evidence", "Exemption", "Line", "LineTax", "Overruled", "Registration",
    "Request", "Seller", "TaxId", "Treatment", "determine",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """One jurisdiction's tax. `rate` in percent of `taxable`, the net base after any portion (80 % in Texas)."""

    jurisdiction: str
    name: str
    rate: Decimal
    taxable: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class LineTax:
    net: Money
    tax: Money
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Overruled:
    """An override that decided, and the source that the operator gave for it (R-TAX-7)."""

    id: str
    jurisdiction: str
    source: str


@dataclass(frozen=True, slots=True)
class Determination:
    """Immutable, stored with the document (R-TAX-2).

    `treatment` is the headline over all lines: needs_review if any line is, else standard if any line is taxed,
    else the first in the order of `Treatment`. `jurisdiction` is where the supply is placed, taxed or not.
    """

    treatment: Treatment
    jurisdiction: str
    tax: Money
    components: tuple[Component, ...]
    note: str
    reason: str
    precision: str
    data_version: str
    inputs_hash: str
    lines: tuple[LineTax, ...]
    overrides: tuple[Overruled, ...] = ()
    calculation: str | None = None  # the row that keeps a provider's answer, where one decided (R-TAX-7)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; rates as decimal strings, amounts as whole minor units of `currency`."""
        provided = {} if self.calculation is None else {"calculation": self.calculation}
        return provided | {
            "treatment": self.treatment.value,
            "jurisdiction": self.jurisdiction,
            "currency": self.tax.currency,
            "tax": self.tax.minor,
            "components": [
                {
                    "jurisdiction": part.jurisdiction,
                    "name": part.name,
                    "rate": percent(part.rate),
                    "taxable": part.taxable.minor,
                    "amount": part.amount.minor,
                }
                for part in self.components
            ],
            "note": self.note,
            "reason": self.reason,
            "precision": self.precision,
            "data_version": self.data_version,
            "inputs_hash": self.inputs_hash,
            "overrides": [
                {"id": each.id, "jurisdiction": each.jurisdiction, "source": each.source} for each in self.overrides
            ],
            "lines": [
                {"net": line.net.minor, "tax": line.tax.minor, "treatment": line.treatment.value} for line in self.lines
            ],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild exactly what `to_json` wrote."""
        currency = stored["currency"]
        return cls(
            treatment=Treatment(stored["treatment"]),
            jurisdiction=stored["jurisdiction"],
            tax=Money(stored["tax"], currency),
            components=tuple(
                Component(
                    part["jurisdiction"],
                    part["name"],
                    Decimal(part["rate"]),
                    Money(part["taxable"], currency),
                    Money(part["amount"], currency),
                )
                for part in stored["components"]
            ),
            note=stored["note"],
            reason=stored["reason"],
            precision=stored["precision"],
            data_version=stored["data_version"],
            inputs_hash=stored["inputs_hash"],
            lines=tuple(
                LineTax(Money(line["net"], currency), Money(line["tax"], currency), Treatment(line["treatment"]))
                for line in stored["lines"]
            ),
            # Older determinations were made before there were any.
            overrides=tuple(
                Overruled(each["id"], each["jurisdiction"], each["source"]) for each in stored.get("overrides", ())
            ),
            calculation=stored.get("calculation"),
        )


def determine(
    request: Request, data: TaxData | None = None, local: Locality | None = None, overrides: Overrides = NONE
) -> Determination:
    """Decide every line's treatment and compute the document's tax.

    `data` replaces the shipped tables (tests). `local` are the imported rates of the buyer's address in the United
    States; they come before the shipped ones, and the data version names them, as it does those of the operator's
    `overrides` that decided. Refuses by `needs_review`, never by raising.
    """
    data = data or load()
    place = data.places.locate(request.buyer)
    rulings = {
        code: _rule(request, place, code, data, local, overrides)
        for code in dict.fromkeys(ln.tax_code for ln in request.lines)
    }
    order = list(Treatment)
    headline = min((ruling.treatment for ruling in rulings.values()), key=order.index, default=Treatment.NEEDS_REVIEW)
    held = headline is Treatment.NEEDS_REVIEW
    charges: dict[str, tuple[Charge, ...]] = {code: () if held else r.charges for code, r in rulings.items()}
    chosen = next((r for r in rulings.values() if r.treatment is headline), _nothing())
    version = data.version if local is None else f"{data.version}+{local.version}"
    ranked = sorted(rulings.values(), key=lambda r: order.index(r.treatment))
    return _assemble(request, settle(request.lines, charges), rulings, ranked, chosen, version)


def _nothing() -> Ruling:
    return review("", "There is no line to tax.")


def _rule(
    request: Request, place: Place, tax_code: str, data: TaxData, local: Locality | None, overrides: Overrides
) -> Ruling:
    """Which regime answers for this place."""
    product = data.products.get(tax_code)
    if product is None:
        return review(place.jurisdiction, "The tax code is not one of ours: how it is taxed is not known.")
    if (member := eu.hidden_member(request, data.places)) is not None:
        name = data.places.members[member].name
        return review(place.jurisdiction, f"The address is elsewhere, but the evidence places the consumer in {name}.")
    if place.doubt:
        return review(place.jurisdiction, place.doubt, place.precision)
    standing = Standing(overrides, product.code, request.buyer.type, request.date)
    if place.territory is not None and place.territory.handling in {"outside", "review"}:
        return eu.special_territory(request, place, data.places, standing)
    if place.country in data.places.members:
        ruling = eu.rule(request, place, data.places, data.eu_rates, standing)
        return ruling if request.buyer.type == "consumer" else _relieved(request, ruling)
    return _beyond_the_union(request, place, product, data, local, standing)


def _relieved(request: Request, ruling: Ruling) -> Ruling:
    """A certificate for the taxing country replaces only a tax that would be charged; an EU consumer has none."""
    held = (e for e in request.buyer.exemptions if e.relieves(ruling.jurisdiction, request.date))
    certificate = next(held, None)
    if certificate is None or ruling.treatment is not Treatment.STANDARD:
        return ruling
    return exempt(ruling.jurisdiction, country_name(ruling.jurisdiction), certificate)


def _beyond_the_union(
    request: Request, place: Place, product: Product, data: TaxData, local: Locality | None, standing: Standing
) -> Ruling:
    if place.country == "US":
        return us.rule(request, place, product, data.united_states, standing, local)
    if place.country == "CA":
        return canada.rule(request, place, product, data.canada, standing)
    name = country_name(place.country)
    return _relieved(request, world.rule(request, place, product, data.world, name, standing))


def _assemble(
    request: Request,
    settled: Settled,
    rulings: Mapping[str, Ruling],
    ranked: list[Ruling],
    chosen: Ruling,
    version: str,
) -> Determination:
    currency = request.currency
    applied = dict.fromkeys(each for ruling in ranked for each in ruling.overrides)
    return Determination(
        treatment=chosen.treatment,
        jurisdiction=chosen.jurisdiction,
        tax=Money(sum(settled.taxes), currency),
        components=tuple(
            Component(charge.jurisdiction, charge.name, charge.rate, Money(base, currency), Money(tax, currency))
            for charge, base, tax in settled.components
        ),
        note=" ".join(dict.fromkeys(r.note for r in ranked if r.note)),
        reason=" ".join(dict.fromkeys(r.reason for r in ranked)),
        precision=chosen.precision,
        data_version="+".join((version, *(each.id for each in applied))),
        inputs_hash=request.inputs_hash(),
        lines=tuple(
            LineTax(Money(net, currency), Money(tax, currency), rulings[line.tax_code].treatment)
            for line, net, tax in zip(request.lines, settled.nets, settled.taxes, strict=True)
        ),
        overrides=tuple(Overruled(each.id, each.jurisdiction, each.source) for each in applied),
    )
