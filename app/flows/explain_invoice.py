"""How every amount of an invoice came about: replayed from what the lines store, told in words and figures (R-PRO-4).

Nothing here is looked up in today's catalog: the price model, the days, the coupon and the tax are those the document
was made with. `replays` says for each amount whether the arithmetic gives it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.catalog import coupons
from app.catalog.discounts import Discount
from app.core.db import Tx
from app.core.money import Money, total
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceLine, InvoiceTax
from app.orders import service as orders
from app.payments import credit
from app.subscriptions import proration
from app.subscriptions.periods import Period
from app.subscriptions.proration import RULES, Share
from app.subscriptions.replay import Replayed
from app.tax import service as tax
from app.tax.determination import Determination, Treatment

_COUNTED: Final = {
    "fee": "the fee", "base": "the base price", "unit": "seats", "package": "packages", "tier_fee": "the tier's fee",
}  # fmt: skip
_TAXED: Final = frozenset({Treatment.STANDARD, Treatment.REDUCED})


@dataclass(frozen=True, slots=True)
class StepTold:
    """One product of the price: `count` × `each`, and what is counted."""

    words: str
    count: int
    each: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class LineTold:
    """`before` is the price of the line before its discount; `sentences` tell the arithmetic one after the other."""

    sku: str
    description: str
    quantity: int
    model: str
    price: str
    steps: tuple[StepTold, ...]
    intervals: int
    period: Period
    numerator: int
    denominator: int
    rule: str
    before: Money
    discount: Money
    net: Money
    tax: Money
    equation: str
    sentences: tuple[str, ...]
    replays: bool


@dataclass(frozen=True, slots=True)
class DiscountTold:
    code: str
    words: str
    given: Money
    sentence: str
    replays: bool


@dataclass(frozen=True, slots=True)
class TaxTold:
    jurisdiction: str
    name: str
    rate: Decimal
    taxable: Money
    amount: Money
    sentence: str
    replays: bool


@dataclass(frozen=True, slots=True)
class InvoiceTold:
    """`treatment`, `reason` and `note` are the engine's of then; `data_version` names the rates it read."""

    lines: tuple[LineTold, ...]
    discount: DiscountTold | None
    taxes: tuple[TaxTold, ...]
    treatment: str
    reason: str
    note: str
    data_version: str
    net: Money
    tax: Money
    total: Money
    sentence: str
    replays: bool


def explain(tx: Tx, invoice: Invoice) -> InvoiceTold:
    """Every line, the discount and the tax of an invoice, computed again."""
    currency = invoice.currency
    rows, groups = invoices.lines(tx, invoice.id), invoices.taxes(tx, invoice.id)
    found = tax.stored(tx, invoice.tax_determination_id)
    lines = tuple(_line(row, currency) for row in rows)
    changes = [line.change for line in orders.lines(tx, invoice.order_id)]
    discount = _discount(invoice, rows, lines, changes)
    taxes = tuple(_tax(group, currency, found) for group in groups)
    net, due = Money(invoice.net_minor, currency), Money(invoice.tax_minor, currency)
    sums = (
        total([line.net for line in lines], currency) == net
        and total([line.tax for line in lines], currency) == due
        and total([each.amount for each in taxes], currency) == due
    )
    parts = [line.replays for line in lines] + [each.replays for each in taxes]
    replays = sums and all(parts) and (discount is None or discount.replays)
    full = Money(invoice.total_minor, currency)
    return InvoiceTold(
        lines, discount, taxes, found.treatment.value, found.reason, found.note, found.data_version, net, due, full,
        f"{net} net + {due} tax = {full}.{_own_credit(tx, invoice)}", replays and net + due == full,
    )  # fmt: skip


def _own_credit(tx: Tx, invoice: Invoice) -> str:
    spent = credit.spent_on(tx, f"invoice:{invoice.id}", invoice.currency)
    return f" Of that {spent} were paid from the customer's credit." if spent else ""


def _line(row: InvoiceLine, currency: str) -> LineTold:
    again = Replayed.of(row, currency, Share(row.numerator, row.denominator, row.rule), row.quantity_before)
    before, discount, net = again.amount, Money(row.discount_minor, currency), Money(row.net_minor, currency)
    steps = tuple(
        StepTold(_counted(step.what, step.first, step.last), step.count, step.each, step.amount) for step in again.steps
    )
    return LineTold(
        sku=row.sku, description=row.description, quantity=row.quantity, model=str(again.model.kind),
        price=again.model.words(), steps=steps, intervals=row.intervals, period=Period(row.period_from, row.period_to),
        numerator=row.numerator, denominator=row.denominator, rule=row.rule, before=before, discount=discount, net=net,
        tax=Money(row.tax_minor, currency), equation=f"{again.equation()} = {before}",
        sentences=_sentences(row, again, discount, net), replays=before - discount == net,
    )  # fmt: skip


def _counted(what: str, first: int, last: int) -> str:
    return f"seats {first:,} to {last:,}" if what == "tier_units" else _COUNTED[what]


def _sentences(row: InvoiceLine, again: Replayed, discount: Money, net: Money) -> tuple[str, ...]:
    told = [f"{row.quantity:,} at {again.model.words()} cost {again.price} for one interval."]
    if row.quantity_before is not None:
        after = row.quantity_before + row.quantity
        told = [_told_change(row.quantity_before, after, again)]
    if row.intervals != 1:
        told.append(f"The term has {row.intervals} intervals, paid in advance: {again.whole}.")
    if again.share.part != 1:
        told.append(
            f"{RULES[row.rule]} {row.numerator} of {row.denominator} days: {again.amount},"
            " rounded once, halves away from zero."
        )
    if discount:
        told.append(f"Less the discount of {discount}: {net}.")
    return tuple(told)


def _told_change(before: int, after: int, again: Replayed) -> str:
    price = again.model.amount
    return (
        f"{before:,} were held and {after:,} are now: at {again.model.words()} that is {price(after)} instead of"
        f" {price(before)} for one interval, so {again.price} more."
    )


def _discount(
    invoice: Invoice, rows: Sequence[InvoiceLine], lines: Sequence[LineTold], changes: Sequence[dict[str, Any] | None]
) -> DiscountTold | None:  # fmt: skip
    """What the coupon's terms give on these lines, shared out again (R-MON-3).

    The lines of a change have a discount each, a part of what it is on the whole period.
    """
    kept = invoice.discount
    if kept is None:
        return None
    currency = invoice.currency
    covered = [
        line.before if change is None and _covers(kept, line.sku) else Money.zero(currency)
        for line, change in zip(lines, changes, strict=True)
    ]
    terms = _kept_discount(kept, currency)
    again = [
        part if change is None else _of_change(row, change, kept, terms, currency)
        for part, row, change in zip(terms.shares(covered, currency), rows, changes, strict=True)
    ]
    given = total([line.discount for line in lines], currency)
    words = coupons.words(kept, currency)
    parts = " + ".join(str(part) for part in again if part) or str(given)
    return DiscountTold(
        code=kept["code"], words=words, given=given,
        sentence=f"{kept['code']}: {words}. {_split(covered, given, currency)}: {parts}.",
        replays=[part.minor for part in again] == [row.discount_minor for row in rows],
    )  # fmt: skip


def _covers(kept: dict[str, Any], sku: str) -> bool:
    return not kept["plans"] or sku in kept["plans"]


def _split(covered: Sequence[Money], given: Money, currency: str) -> str:
    whole = total(covered, currency)
    if not whole:
        return f"That is {given} of the days that remain, line by line"
    return (
        f"Of {whole} that is {given}, split over the lines in proportion, what is left over to the largest remainders"
    )


def _of_change(
    row: InvoiceLine, change: dict[str, Any], kept: dict[str, Any], terms: Discount, currency: str
) -> Money:  # fmt: skip
    """A percentage is computed again; a fixed amount, and that of a charge carried on, is what the line keeps."""
    if terms.percent is None or change["carried_from"] is not None or not _covers(kept, row.sku):
        return Money(row.discount_minor, currency)
    share = Share(row.numerator, row.denominator, row.rule)
    again = Replayed.of(row, currency, share, row.quantity_before)
    return proration.charge(again.whole, share, terms).discount


def _kept_discount(kept: dict[str, Any], currency: str) -> Discount:
    if kept["percent"] is not None:
        return Discount(percent=Decimal(kept["percent"]))
    return Discount(amount=Money(kept["amount_minor"], currency))


def _tax(group: InvoiceTax, currency: str, found: Determination) -> TaxTold:
    """One component: its rate on its base, rounded once for the document (R-INV-3)."""
    rate = Decimal(group.rate).normalize()
    base, amount = Money(group.taxable_minor, currency), Money(group.tax_minor, currency)
    # Where only a portion is taxed, the base shown is rounded itself, and the tax is that of the exact one.
    whole = total([line.net for line in found.lines if line.treatment in _TAXED], currency)
    again = base.percent(rate)
    return TaxTold(
        jurisdiction=group.jurisdiction, name=group.name, rate=rate, taxable=base, amount=amount,
        sentence=f"{group.name} {group.jurisdiction}: {rate:f} % of {base} is {amount}, rounded once for the document.",
        replays=abs(again.minor - amount.minor) <= (0 if base == whole else 1),
    )  # fmt: skip
