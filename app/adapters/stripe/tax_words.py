"""Stripe Tax in our words and ours in Stripe's: pure, without the SDK (https://docs.stripe.com/api/tax/calculations).

Amounts stay as Stripe computed them. A word that is not in the tables is never read as untaxed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from app.adapters.stripe.amounts import from_stripe, to_stripe
from app.adapters.stripe.version import API_VERSION
from app.core.money import Money
from app.tax.dataset import load
from app.tax.errors import TaxRefused
from app.tax.places import fold
from app.tax.provider import Computed, ComputedLine, Recorded, Share, TakenBack
from app.tax.request import Request
from app.tax.ruling import Treatment


@dataclass(frozen=True, slots=True)
class Reading:
    """What a word of Stripe's means where a rate stands beside it, and where none does."""

    with_rate: Treatment
    without: Treatment


def _always(treatment: Treatment) -> Reading:
    return Reading(treatment, treatment)


# taxability_reason of a line's tax_breakdown. A taxed portion is standard or reduced, with the portion on the component
# (R-TAX-4). What Stripe adds later is not here, and holds the sale.
REASONS: Final[Mapping[str, Reading]] = {
    "standard_rated": _always(Treatment.STANDARD),
    "portion_standard_rated": _always(Treatment.STANDARD),
    "taxable_basis_reduced": _always(Treatment.STANDARD),
    "proportionally_rated": _always(Treatment.STANDARD),
    "reduced_rated": _always(Treatment.REDUCED),
    "portion_reduced_rated": _always(Treatment.REDUCED),
    "portion_product_exempt": Reading(Treatment.STANDARD, Treatment.PRODUCT_EXEMPT),
    "product_exempt": _always(Treatment.PRODUCT_EXEMPT),
    "product_exempt_holiday": _always(Treatment.PRODUCT_EXEMPT),
    "zero_rated": _always(Treatment.ZERO_RATED),
    "reverse_charge": _always(Treatment.REVERSE_CHARGE),
    "customer_exempt": _always(Treatment.CUSTOMER_EXEMPT),
    "not_subject_to_tax": _always(Treatment.OUTSIDE_SCOPE),
    "not_collecting": _always(Treatment.NOT_COLLECTING),
    "not_supported": _always(Treatment.NEEDS_REVIEW),
}
_UNKNOWN: Final = _always(Treatment.NEEDS_REVIEW)
_OF_A_STATE: Final = "state"
_OF_A_COUNTRY: Final = "country"
_CODE: Final = "txcd_"


def calculation_params(question: Request, *, exempt: bool) -> dict[str, Any]:
    """The question as Stripe takes it: lines with an amount, the address, and only those numbers that were confirmed,
    because Stripe confirms none. Raises PaymentRefused on an amount.
    """
    buyer = question.buyer
    address = {
        "country": load().places.country(buyer.country), "state": buyer.region, "postal_code": buyer.postcode,
        "city": buyer.city, "line1": buyer.street,
    }  # fmt: skip
    return {
        "currency": question.currency.lower(),
        "line_items": [
            {
                "amount": to_stripe(Money(line.amount, question.currency)), "reference": reference_of(position),
                "tax_behavior": "inclusive" if line.inclusive else "exclusive", "tax_code": tax_code(line.tax_code),
            }
            for position, line in enumerate(question.lines)
            if line.amount
        ],
        "customer_details": {
            "address": {name: value for name, value in address.items() if value},
            "address_source": "billing",
            "tax_ids": [{"type": each.type, "value": each.value} for each in buyer.tax_ids if each.status == "valid"],
            "taxability_override": "customer_exempt" if exempt else "none",
        },
        "tax_date": int(datetime.combine(question.date, time(12), UTC).timestamp()),
        "expand": ["line_items"],
    }  # fmt: skip


def tax_code(ours: str) -> str:
    """Stripe's name for a product of ours, an alias in products.yaml. Raises TaxRefused where there is none."""
    products = load().products
    known = (name for name, product in products.items() if product is products.get(ours) and name.startswith(_CODE))
    found = next(known, None)
    if found is None:
        raise TaxRefused(f"Stripe Tax has no code for {ours}.", reason="unknown_tax_code")
    return found


def reference_of(position: int) -> str:
    return f"L{position + 1}"


def position_of(reference: Any) -> int:
    """Raises TaxRefused for a line that was not named here."""
    text = str(reference)
    if not (text.startswith("L") and text[1:].isascii() and text[1:].isdigit() and int(text[1:]) > 0):
        raise TaxRefused(
            f"Stripe Tax answered for a line {text!r} that it was not asked about.", reason="strange_answer"
        )
    return int(text[1:]) - 1


def computed(calculation: Mapping[str, Any]) -> Computed:
    """A calculation with `line_items` expanded. Raises TaxRefused for one that cannot be read or does not add up."""
    currency, items = str(calculation["currency"]), calculation.get("line_items") or {}
    if not calculation.get("id") or items.get("has_more") or items.get("data") is None:
        raise TaxRefused("Stripe Tax gave an answer without all of its lines.", reason="strange_answer")
    lines: dict[int, ComputedLine] = {}
    for item in items["data"]:
        lines[position_of(item["reference"])] = _line(item, currency)
    whole = calculation["tax_amount_exclusive"] + calculation["tax_amount_inclusive"]
    if from_stripe(whole, currency).minor != sum(line.tax for line in lines.values()):
        raise TaxRefused("The lines that Stripe Tax answered do not make its sum.", reason="strange_answer")
    expires = calculation.get("expires_at")
    return Computed(
        ref=calculation["id"], version=f"stripe-{API_VERSION}",
        expires_at=datetime.fromtimestamp(expires, UTC) if expires else None, lines=lines,
        raw=_without_the_buyer(calculation),
    )  # fmt: skip


def _without_the_buyer(calculation: Mapping[str, Any]) -> dict[str, Any]:
    """The determination keeps what was asked about whom; here stands what was answered."""
    return {name: value for name, value in calculation.items() if name not in {"customer", "customer_details"}}


def _line(item: Mapping[str, Any], currency: str) -> ComputedLine:
    shares = tuple(_share(each, currency) for each in item.get("tax_breakdown") or ())
    return ComputedLine(from_stripe(item["amount_tax"], currency).minor, shares)


def _share(each: Mapping[str, Any], currency: str) -> Share:
    word, place, rate = str(each["taxability_reason"]), each["jurisdiction"], each.get("tax_rate_details")
    reading = REASONS.get(word, _UNKNOWN)
    return Share(
        jurisdiction=jurisdiction(place), name=_name(place, rate),
        rate=_percent(rate["percentage_decimal"]) if rate else None,
        taxable=from_stripe(each["taxable_amount"], currency).minor, amount=from_stripe(each["amount"], currency).minor,
        treatment=reading.with_rate if rate else reading.without, word=word,
    )  # fmt: skip


def _percent(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise TaxRefused(f"Stripe Tax gave {text!r} as a rate.", reason="strange_answer")
    return found


def jurisdiction(place: Mapping[str, Any]) -> str:
    """Our code: `DE`, `US-TX`, `CA-QC`; what lies within a state by its name, `US-TX-AUSTIN`."""
    country, state = str(place["country"]), place.get("state")
    if place["level"] == _OF_A_COUNTRY or not state:
        return country
    if place["level"] == _OF_A_STATE:
        return f"{country}-{state}"
    return f"{country}-{state}-{fold(place['display_name']).upper().replace(' ', '-')}"


def _name(place: Mapping[str, Any], rate: Mapping[str, Any] | None) -> str:
    where, what = str(place["display_name"]), str(rate["display_name"]) if rate else ""
    return what if what.casefold().startswith(where.casefold()) else f"{where} {what}".strip()


def transaction_params(calculation: str, reference: str) -> dict[str, Any]:
    return {"calculation": calculation, "reference": reference, "expand": ["line_items"]}


def reversal_params(sale: str, parts: Sequence[TakenBack], reference: str, currency: str) -> dict[str, Any]:
    """A partial reversal by exactly these amounts, also where they are all that is left: `full` finds its own."""
    return {
        "mode": "partial", "original_transaction": sale, "reference": reference,
        "line_items": [
            {
                "original_line_item": part.line_ref, "reference": reference_of(part.position),
                "amount": -to_stripe(Money(part.net, currency)), "amount_tax": -to_stripe(Money(part.tax, currency)),
            }
            for part in parts
        ],
    }  # fmt: skip


def recorded(transaction: Mapping[str, Any]) -> Recorded:
    """A transaction with `line_items` expanded. Raises TaxRefused for one that is a reversal or has other lines."""
    items = transaction.get("line_items") or {}
    if transaction.get("type") != "transaction" or items.get("has_more") or items.get("data") is None:
        raise TaxRefused("This is not a sale that Stripe Tax keeps with all its lines.", reason="not_a_sale")
    lines = {position_of(each["reference"]): str(each["id"]) for each in items["data"]}
    return Recorded(transaction["id"], str(transaction["reference"]), lines)
