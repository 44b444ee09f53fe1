"""The document of an order: drafted from what was accepted, numbered, and booked, all in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.agreements import contracts
from app.core import events
from app.core.clock import local_date
from app.core.db import Tx
from app.core.events import Happened
from app.core.i18n import translate
from app.core.money import Money, total
from app.flows import crediting, drawing, provider_books
from app.invoices import reminders
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders.changes import LineChange
from app.orders.models import Order, OrderLine, PayBy, Preview
from app.payments import credit
from app.payments.models import CreditKind, Method, Payment
from app.subscriptions.periods import Period
from app.subscriptions.proration import share_of
from app.tax import service as tax
from app.tax.determination import Determination


@dataclass(frozen=True, slots=True)
class Supply:
    """What an invoice is for: the order with its lines, and the term that they pay."""

    order: Order
    preview: Preview
    entity: LegalEntity
    lines: Sequence[OrderLine]
    subscription_id: str
    period: Period


def issue(tx: Tx, supply: Supply, *, net_days: int, now: datetime) -> Invoice:
    """The numbered and booked invoice of an order, due `net_days` after today. It comes last in its transaction."""
    order = supply.order
    determination = tax.stored(tx, order.tax_determination_id)
    special = contracts.in_force(tx, order.account_id, now)
    wanted = draft_of(supply, determination, seller_snapshot(tx, supply.entity), special.title if special else None)
    draft = invoices.draft(tx, wanted, now)
    today = local_date(now, supply.entity.time_zone)
    invoice = number_and_book(tx, draft, issued_on=today, due_on=today + timedelta(days=net_days), now=now)
    if order.pay_by is PayBy.INVOICE:
        reminders.schedule(tx, invoice, accounts.get(tx, invoice.account_id).time_zone, now)
    return invoice


def number_and_book(tx: Tx, draft: Invoice, *, issued_on: date, due_on: date, now: datetime) -> Invoice:
    """Make a document of a draft: its number, its entry in the books, its event.

    The counter's lock makes every other completion wait until the transaction ends, so this comes last in it.
    """
    invoice = invoices.finalize(tx, draft, issued_on=issued_on, due_on=due_on, now=now)
    booking = booking_of(invoice, [(each.jurisdiction, each.tax_minor) for each in invoices.taxes(tx, invoice.id)])
    ledger.book(
        tx, source=booking.source, kind=booking.kind, account_id=invoice.account_id,
        legal_entity_id=invoice.legal_entity_id, booked_on=invoice.issued_on or issued_on, memo=booking.memo,
        legs=booking.legs, now=now,
    )  # fmt: skip
    told = issued_event(invoice)
    events.append(tx, told.kind, invoice.id, now=now, account_id=invoice.account_id, **told.data)
    drawing.later(tx, invoice)
    provider_books.intend_sale(tx, invoice)
    return invoice


def draft_of(
    supply: Supply, determination: Determination, seller: dict[str, Any], agreement: str | None
) -> invoices.InvoiceDraft:
    """What the invoice of an order says; `agreement` is the title of a special one that applies."""
    order, currency = supply.order, supply.order.currency
    lines = [_invoice_line(line, currency, supply.period) for line in supply.lines]
    return invoices.InvoiceDraft(
        account_id=order.account_id, legal_entity_id=order.legal_entity_id, order_id=order.id,
        subscription_id=supply.subscription_id, series=supply.entity.invoice_series, currency=currency,
        supply_from=min(each.period_from for each in lines), supply_to=max(each.period_to for each in lines),
        seller=seller,
        buyer=_buyer_snapshot(supply.preview), notes=_notes(supply, determination, agreement),
        po_number=order.po_number, tax_determination_id=order.tax_determination_id, test=order.test,
        lines=lines,
        taxes=tax_groups(determination), discount=order.discount,
    )  # fmt: skip


def issued_event(invoice: Invoice) -> Happened:
    return Happened("invoice.issued", invoice.id, invoice.account_id, {
        "number": invoice.number, "due_on": str(invoice.due_on),
        "total": {"amount": invoice.total_minor, "currency": invoice.currency},
    })  # fmt: skip


def _notes(supply: Supply, determination: Determination, agreement: str | None) -> tuple[str, ...]:
    """What the law asks for, and that an agreement of this customer applies (in their language)."""
    agreed = ""
    if agreement is not None:
        said = translate(supply.preview.inputs["buyer"]["locale"])
        agreed = said("The agreement “%(title)s” applies.", title=agreement)
    return tuple(note for note in (determination.note, agreed) if note)


def _invoice_line(line: OrderLine, currency: str, period: Period) -> invoices.LineDraft:
    if line.change is not None:
        change = LineChange.from_json(line.change, currency)
        period, share, before = change.period, change.share, change.before
    else:
        share, before = share_of(period), None
    return invoices.LineDraft(
        sku=line.sku, description=line.description, quantity=line.quantity, unit=Money(line.unit_minor, currency),
        net=Money(line.net_minor, currency), tax=Money(line.tax_minor, currency), period_from=period.start,
        period_to=period.end, numerator=share.numerator, denominator=share.denominator, rule=share.rule,
        pricing=line.pricing, intervals=line.intervals, discount=Money(line.discount_minor, currency),
        quantity_before=before,
    )  # fmt: skip


def tax_groups(determination: Determination) -> list[invoices.TaxGroup]:
    return [
        invoices.TaxGroup(
            jurisdiction=part.jurisdiction, name=part.name, rate=part.rate, taxable=part.taxable, amount=part.amount
        )
        for part in determination.components
    ]


def seller_snapshot(tx: Tx, entity: LegalEntity) -> dict[str, Any]:
    """The seller as a document keeps it."""
    registrations = [
        {"jurisdiction": each.jurisdiction, "number": each.number}
        for each in accounts.registrations(tx, entity.id)
        if each.number
    ]
    return {
        "name": entity.name, "line1": entity.line1, "line2": entity.line2, "city": entity.city,
        "region": entity.region, "postcode": entity.postcode, "country": entity.country, "email": entity.email,
        "registrations": registrations, "payment_details": entity.payment_details,
    }  # fmt: skip


def _buyer_snapshot(preview: Preview) -> dict[str, Any]:
    return {**preview.inputs["buyer"], "tax_ids": preview.inputs["tax_ids"]}


@dataclass(frozen=True, slots=True)
class Booking:
    """An entry of the ledger, but for whose and when."""

    source: str
    kind: str
    memo: str
    legs: Sequence[Leg]


def booking_of(invoice: Invoice, taxes: Sequence[tuple[str, int]]) -> Booking:
    """The receivable against deferred revenue and tax by jurisdiction; `taxes` are (jurisdiction, minor units)."""
    currency = invoice.currency
    gross, net = Money(invoice.total_minor, currency), Money(invoice.net_minor, currency)
    return Booking(
        f"invoice:{invoice.id}", "invoice", f"Invoice {invoice.number}",
        [Leg(Code.RECEIVABLE, gross), Leg(Code.DEFERRED, -net),
         *(Leg(Code.TAX, Money(-minor, currency), jurisdiction) for jurisdiction, minor in taxes)],
    )  # fmt: skip


def paid_with(tx: Tx, payment: Payment) -> Invoice | None:
    """The invoice that a payment is about: the first it went into, or the one that took its place; or where nothing
    was owed that of its order.
    """
    into = invoices.of_payment(tx, payment.id)
    if not into:
        return invoices.of_order(tx, payment.order_id)
    found = invoices.get(tx, into[0].invoice_id)
    while (later := invoices.replacing(tx, found.id)) is not None:
        found = later
    return found


def receipt_of(payment: Payment, into: Sequence[tuple[Invoice, Money]]) -> tuple[Booking, Money]:
    """A payment against the receivables it goes into; what is over becomes the customer's credit, and is returned."""
    amount = Money(payment.amount_minor, payment.currency)
    over = amount - total([part for _, part in into], payment.currency)
    held = Leg(Code.CLEARING, amount, payment.provider) if payment.method is Method.CARD else Leg(Code.BANK, amount)
    numbers = ", ".join(str(invoice.number) for invoice, _ in into) or "no invoice"
    legs = [held, *(Leg(Code.RECEIVABLE, -part) for _, part in into), Leg(Code.CUSTOMER_CREDIT, -over)]
    return Booking(f"payment:{payment.id}", "payment", f"Payment of {numbers}", legs), over


def receive(
    tx: Tx, payment: Payment, into: Sequence[tuple[Invoice, Money]], *, legal_entity_id: str, booked_on: date,
    now: datetime,
) -> None:  # fmt: skip
    """Book a payment and put it into invoices; what is left of it becomes the customer's credit (R-ORD-2)."""
    booking, over = receipt_of(payment, into)
    ledger.book(
        tx, source=booking.source, kind=booking.kind, account_id=payment.account_id, legal_entity_id=legal_entity_id,
        booked_on=booked_on, memo=booking.memo, legs=booking.legs, now=now,
    )  # fmt: skip
    if over:
        credit.give(tx, payment.account_id, over, kind=CreditKind.OVERPAYMENT, source=f"payment:{payment.id}", now=now)
    for invoice, part in into:
        invoices.allocate(tx, invoice, payment.id, part, now)
        crediting.settle(tx, invoice, now)
