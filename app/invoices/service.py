"""Making invoices: drafted with their lines and tax, then finalized with a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money, total
from app.invoices import numbering
from app.invoices.models import CreditNote, Invoice, InvoiceLine, InvoicePayment, InvoiceState, InvoiceTax
from app.payments import credit

_LATER: Final = aliased(Invoice)


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line and what replays it: the price of `quantity` by `pricing` (the unit price where that is left out), for
    `intervals`, * numerator / denominator by `rule`, less `discount`.

    With `quantity_before` it is what `quantity` more than that cost.
    """

    sku: str
    description: str
    quantity: int
    unit: Money
    net: Money
    tax: Money
    period_from: date
    period_to: date
    numerator: int
    denominator: int
    rule: str
    pricing: Mapping[str, Any] | None = None
    intervals: int = 1
    discount: Money | None = None
    quantity_before: int | None = None


@dataclass(frozen=True, slots=True)
class TaxGroup:
    jurisdiction: str
    name: str
    rate: Decimal
    taxable: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """Everything an invoice says; `seller` and `buyer` are the frozen copies that are printed."""

    account_id: str
    legal_entity_id: str
    order_id: str
    subscription_id: str | None
    series: str
    currency: str
    supply_from: date
    supply_to: date
    seller: dict[str, Any]
    buyer: dict[str, Any]
    notes: tuple[str, ...]
    po_number: str
    tax_determination_id: str
    test: bool
    lines: Sequence[LineDraft]
    taxes: Sequence[TaxGroup]
    discount: dict[str, Any] | None = None  # the coupon and its worth
    replaces: str | None = None  # the invoice whose place it takes


def came_to_nothing(order_id: Any) -> ColumnElement[bool]:
    """Of a column with ids of orders: that its invoice is void, or credited in full."""
    credited = select(func.sum(col(CreditNote.total_minor))).where(col(CreditNote.invoice_id) == col(Invoice.id))
    given_back = credited.scalar_subquery() >= col(Invoice.total_minor)
    return (
        select(col(Invoice.id))
        .where(
            col(Invoice.order_id) == order_id, ~is_replaced(col(Invoice.id)),
            or_(col(Invoice.state) == InvoiceState.VOID, given_back),
        )
        .exists()
    )  # fmt: skip


def is_replaced(invoice_id: Any) -> ColumnElement[bool]:
    """Of a column with ids of invoices: that another one of the same order takes its place (ADR 0046)."""
    return select(col(_LATER.id)).where(col(_LATER.replaces) == invoice_id).exists()


@dataclass(frozen=True, slots=True)
class Rows:
    """An invoice with its lines and taxes, as they are kept."""

    invoice: dict[str, Any]
    lines: list[dict[str, Any]]
    taxes: list[dict[str, Any]]


def rows_of(wanted: InvoiceDraft, now: datetime) -> Rows:
    """A draft: it has no number yet."""
    net = total([line.net for line in wanted.lines], wanted.currency)
    tax = total([line.tax for line in wanted.lines], wanted.currency)
    invoice_id = new_id("inv")
    invoice = {
        "id": invoice_id, "account_id": wanted.account_id, "legal_entity_id": wanted.legal_entity_id,
        "order_id": wanted.order_id, "subscription_id": wanted.subscription_id, "series": wanted.series,
        "state": InvoiceState.DRAFT, "currency": wanted.currency, "net_minor": net.minor, "tax_minor": tax.minor,
        "total_minor": (net + tax).minor, "supply_from": wanted.supply_from, "supply_to": wanted.supply_to,
        "seller": wanted.seller, "buyer": wanted.buyer, "notes": list(wanted.notes), "po_number": wanted.po_number,
        "tax_determination_id": wanted.tax_determination_id, "test": wanted.test, "discount": wanted.discount,
        "created_at": now,
    }  # fmt: skip
    if wanted.replaces is not None:
        invoice["replaces"] = wanted.replaces
    lines = [
        {
            "invoice_id": invoice_id, "position": position, "sku": line.sku, "description": line.description,
            "quantity": line.quantity, "unit_minor": line.unit.minor, "net_minor": line.net.minor,
            "tax_minor": line.tax.minor, "period_from": line.period_from, "period_to": line.period_to,
            "numerator": line.numerator, "denominator": line.denominator, "rule": line.rule,
            "pricing": dict(line.pricing) if line.pricing is not None else None, "intervals": line.intervals,
            "discount_minor": line.discount.minor if line.discount is not None else 0,
            "quantity_before": line.quantity_before,
        }
        for position, line in enumerate(wanted.lines, start=1)
    ]  # fmt: skip
    taxes = [
        {
            "invoice_id": invoice_id, "position": position, "jurisdiction": group.jurisdiction, "name": group.name,
            "rate": group.rate, "taxable_minor": group.taxable.minor, "tax_minor": group.amount.minor,
        }
        for position, group in enumerate(wanted.taxes, start=1)
    ]  # fmt: skip
    return Rows(invoice, lines, taxes)


def draft(tx: Tx, wanted: InvoiceDraft, now: datetime) -> Invoice:
    """Store a draft."""
    rows = rows_of(wanted, now)
    invoice = Invoice(**rows.invoice)
    tx.add(invoice)
    tx.flush()
    tx.add_all(InvoiceLine(**row) for row in rows.lines)
    tx.add_all(InvoiceTax(**row) for row in rows.taxes)
    tx.flush()
    return invoice


def numbered(
    series: str, sequence: int, *, issued_on: date, due_on: date, before: date | None, now: datetime
) -> dict[str, Any]:  # fmt: skip
    """What finalizing sets. `before` is the day of the number before: dates never run backwards in a series."""
    return {
        "sequence": sequence, "number": numbering.shown(series, sequence), "state": InvoiceState.OPEN,
        "issued_on": max(issued_on, before or issued_on), "due_on": max(due_on, before or due_on), "finalized_at": now,
    }  # fmt: skip


def finalize(tx: Tx, invoice: Invoice, *, issued_on: date, due_on: date, now: datetime) -> Invoice:
    """Give the draft its number; from here on it never changes. The caller books it in the same transaction.

    Dates never run backwards in a series: two completions around midnight take numbers in the order of the
    counter's lock, and the later number is dated no earlier than the one before it.
    """
    sequence = numbering.next_sequence(tx, invoice.legal_entity_id, invoice.series)
    before = numbering.date_of(tx, invoice.legal_entity_id, invoice.series, sequence - 1)
    given = numbered(invoice.series, sequence, issued_on=issued_on, due_on=due_on, before=before, now=now)
    for name, value in given.items():
        setattr(invoice, name, value)
    tx.flush()
    return invoice


def allocate(tx: Tx, invoice: Invoice, payment_id: str, amount: Money, now: datetime) -> None:
    """Put (a part of) a payment into an invoice. The caller holds its lock, and closes it once nothing is owed.

    Raises ValueError for more than is owed: what is over is the customer's credit, and the caller's to keep.
    """
    left = owed(tx, invoice)
    if not Money.zero(invoice.currency) < amount <= left:
        raise ValueError(f"{amount} cannot go into {invoice.number}, of which {left} is left")
    tx.add(InvoicePayment(**allocation_row(invoice.id, payment_id, amount, now)))
    tx.flush()


def allocation_row(invoice_id: str, payment_id: str, amount: Money, now: datetime) -> dict[str, Any]:
    """The part of a payment that goes into an invoice."""
    return {"invoice_id": invoice_id, "payment_id": payment_id, "amount_minor": amount.minor, "allocated_at": now}


def mark_paid(tx: Tx, invoice: Invoice, now: datetime) -> None:
    """Nothing is owed any more; a trigger checks that at the end of the transaction."""
    invoice.state, invoice.paid_at = InvoiceState.PAID, now
    tx.flush()


def payments(tx: Tx, invoice_id: str) -> list[InvoicePayment]:
    """What was paid, oldest first."""
    query = select(InvoicePayment).where(col(InvoicePayment.invoice_id) == invoice_id)
    return list(tx.execute(query.order_by(col(InvoicePayment.id))).scalars())


def of_payment(tx: Tx, payment_id: str) -> list[InvoicePayment]:
    """Where a payment went."""
    query = select(InvoicePayment).where(col(InvoicePayment.payment_id) == payment_id)
    return list(tx.execute(query.order_by(col(InvoicePayment.id))).scalars())


def lock_open(tx: Tx, account_id: str, currency: str) -> list[Invoice]:
    """The unpaid invoices of an account in a currency, the one due first first, locked."""
    query = (
        select(Invoice)
        .where(
            col(Invoice.account_id) == account_id, col(Invoice.currency) == currency,
            col(Invoice.state) == InvoiceState.OPEN,
        )
        .order_by(col(Invoice.due_on), col(Invoice.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )  # fmt: skip
    return list(tx.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes in a currency, and since when something of it is overdue."""

    amount: Money
    due_first: date


def owed_by(tx: Tx, account_id: str) -> list[Owed]:
    """What an account owes per currency, over its open invoices."""
    left = func.sum(col(Invoice.total_minor) - func.settled_on(col(Invoice.id)))
    query = select(col(Invoice.currency), left, func.min(col(Invoice.due_on))).where(
        col(Invoice.account_id) == account_id, col(Invoice.state) == InvoiceState.OPEN
    )
    rows = tx.execute(query.group_by(col(Invoice.currency)).order_by(col(Invoice.currency)))
    return [Owed(Money(int(minor), currency), due) for currency, minor, due in rows if due is not None]


def get(tx: Tx, invoice_id: str) -> Invoice:
    invoice = tx.get(Invoice, invoice_id)
    if invoice is None:
        raise NotFound("There is no such invoice.")
    return invoice


def of_order(tx: Tx, order_id: str | None) -> Invoice | None:
    """The invoice of an order that counts; None for none, as a transfer has none."""
    query = select(Invoice).where(col(Invoice.order_id) == order_id, ~is_replaced(col(Invoice.id)))
    return tx.execute(query).scalar_one_or_none()


def replacing(tx: Tx, invoice_id: str) -> Invoice | None:
    """The invoice that takes the place of this one."""
    return tx.execute(select(Invoice).where(col(Invoice.replaces) == invoice_id)).scalar_one_or_none()


def with_replaced(tx: Tx, invoice: Invoice) -> list[str]:
    """The ids of an invoice and of those before it whose place it takes, the newest first."""
    found = [invoice.id]
    while invoice.replaces is not None:
        invoice = get(tx, invoice.replaces)
        found.append(invoice.id)
    return found


def lines(tx: Tx, invoice_id: str) -> list[InvoiceLine]:
    query = select(InvoiceLine).where(col(InvoiceLine.invoice_id) == invoice_id).order_by(col(InvoiceLine.position))
    return list(tx.execute(query).scalars())


def taxes(tx: Tx, invoice_id: str) -> list[InvoiceTax]:
    query = select(InvoiceTax).where(col(InvoiceTax.invoice_id) == invoice_id).order_by(col(InvoiceTax.position))
    return list(tx.execute(query).scalars())


def lock(tx: Tx, invoice_id: str) -> Invoice:
    """The invoice, whose payments and credits now wait for this transaction. Raises NotFound."""
    query = select(Invoice).where(col(Invoice.id) == invoice_id).with_for_update(key_share=True)
    invoice = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    return invoice


def owed(tx: Tx, invoice: Invoice) -> Money:
    """What is still asked for: the total less payments, customer credit spent on it and credit notes against it."""
    currency = invoice.currency
    if invoice.state not in {InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE}:
        return Money.zero(currency)
    settled = (
        Money(_received(tx, invoice.id), currency)
        + credit.spent_on(tx, f"invoice:{invoice.id}", currency)
        + Money(credited_against(tx, invoice.id), currency)
    )
    return Money(max(invoice.total_minor - settled.minor, 0), currency)


def credited_against(tx: Tx, invoice_id: str) -> int:
    """What credit notes took off what the invoice asks for, in minor units."""
    query = select(func.coalesce(func.sum(col(CreditNote.to_invoice_minor)), 0))
    return int(tx.execute(query.where(col(CreditNote.invoice_id) == invoice_id)).scalar_one())


def _received(tx: Tx, invoice_id: str) -> int:
    query = select(func.coalesce(func.sum(col(InvoicePayment.amount_minor)), 0))
    return int(tx.execute(query.where(col(InvoicePayment.invoice_id) == invoice_id)).scalar_one())
