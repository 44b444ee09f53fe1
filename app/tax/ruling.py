"""What a regime decides about one product: the treatment and the charges, before any amount is computed."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.tax.request import Exemption


class Treatment(StrEnum):
    """R-TAX-2. Listed from what holds or charges a document to what leaves it untaxed."""

    NEEDS_REVIEW = "needs_review"
    STANDARD = "standard"
    REDUCED = "reduced"
    REVERSE_CHARGE = "reverse_charge"
    ZERO_RATED = "zero_rated"
    CUSTOMER_EXEMPT = "customer_exempt"
    PRODUCT_EXEMPT = "product_exempt"
    OUTSIDE_SCOPE = "outside_scope"
    NOT_COLLECTING = "not_collecting"


@dataclass(frozen=True, slots=True)
class Charge:
    """One rate of one jurisdiction. `portion` is the percent of the price it applies to; relieved charges 0."""

    jurisdiction: str
    name: str
    rate: Decimal
    portion: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True)
class Override:
    """What the operator decided for one jurisdiction (R-TAX-7), on whose word.

    `treatment` is `standard` where tax is charged: at `rate` percent, or at the rate on file where that is None, on
    `portion` percent of the price; `alone` says that nothing local is added to it. `note` is printed on documents.
    """

    id: str
    jurisdiction: str
    treatment: Treatment
    source: str
    rate: Decimal | None = None
    portion: Decimal = Decimal(100)
    alone: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """`jurisdiction` is where the supply is placed, taxed or not: what registers and thresholds count by."""

    treatment: Treatment
    jurisdiction: str
    reason: str
    precision: str
    charges: tuple[Charge, ...] = ()
    note: str = ""
    overrides: tuple[Override, ...] = ()


def review(jurisdiction: str, reason: str, precision: str = "none") -> Ruling:
    """Refuse rather than guess: the order is held until a person decides (R-TAX-3)."""
    return Ruling(Treatment.NEEDS_REVIEW, jurisdiction, reason, precision)


def not_collecting(jurisdiction: str, where: str) -> Ruling:
    """R-TAX-4: no registration there, so nothing may be collected; the sale counts towards the threshold."""
    return Ruling(
        Treatment.NOT_COLLECTING,
        jurisdiction,
        f"The seller has no tax registration in {where}, so no tax is collected; the sale counts towards the "
        "registration threshold there.",
        "country" if len(jurisdiction) == 2 else "state",
    )


def exempt(jurisdiction: str, where: str, certificate: Exemption) -> Ruling:
    """The buyer's certificate takes the place of a tax that would be due."""
    number = f" {certificate.number}" if certificate.number else ""
    paper = f"{certificate.reason or 'exemption'} certificate{number}"
    return Ruling(
        Treatment.CUSTOMER_EXEMPT,
        jurisdiction,
        f"The buyer's {paper} covers {where}.",
        "country" if len(jurisdiction) == 2 else "state",
        note=f"Exempt: {paper}.",
    )


def percent(rate: Decimal) -> str:
    """A rate as people write it: 19, 25.5, 9.975."""
    return f"{rate.normalize():f}"
