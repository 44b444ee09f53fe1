"""A tax number that is confirmed after an invoice bore tax for want of it: credited in full, issued again (ADR 0046).

The engine is asked again what it was asked then, with the number confirmed and nothing else changed. The credit pays
the new invoice; what is over is the customer's (R-PRO-6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, type_coerce

from app.accounts import service as accounts
from app.accounts.models import AccountTaxId, LegalEntity, TaxIdStatus
from app.core import audit, events, jobs, policy
from app.core.audit import AuditEntry
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.i18n import translate
from app.core.money import Money
from app.flows import confirming, crediting, invoicing, locks, tax_mails
from app.flows.ports import Ports
from app.flows.preview_request import TaxIdGiven
from app.invoices import credit_notes, reminders
from app.invoices import service as invoices
from app.invoices.credit_notes import Settlement
from app.invoices.models import CreditReason, Invoice, InvoiceLine, InvoiceState
from app.orders.models import Order, OrderState, Preview
from app.payments import refunds
from app.tax import overruling, records
from app.tax import request as taxing
from app.tax import service as tax
from app.tax.determination import Determination, Treatment, determine

CORRECTION_DAYS: Final = policy.declare(
    policy.Policy(
        "tax_id_correction_days", 90, policy.whole_number(minimum=0),
        "How long after an invoice a tax number that is confirmed late corrects it by itself; afterwards finance does.",
    )
)  # fmt: skip
_STANDS: Final = (InvoiceState.OPEN, InvoiceState.PAID)


class NotCorrectable(DomainError):
    """No confirmed number changes the tax of this invoice, or a person has to correct it with a credit note."""

    slug, title = "not-correctable", "This invoice is not issued again"


@dataclass(frozen=True, slots=True)
class Correction:
    """What the new invoice would say: the question with the numbers as they are known now, and its answer."""

    question: taxing.Request
    answer: Determination
    lines: tuple[InvoiceLine, ...]
    tax_ids: tuple[TaxIdGiven, ...]
    given_back: Money  # of tax


def enqueue(tx: Tx, account_id: str, kind: str, value: str, now: datetime) -> None:
    """Have every invoice of late that bears tax for want of this number looked at."""
    first = now.date() - timedelta(days=policy.get(tx, CORRECTION_DAYS, now))
    named = type_coerce([{"type": kind, "value": value}], JSONB)
    query = select(col(Invoice.id)).where(
        col(Invoice.account_id) == account_id, col(Invoice.state).in_(_STANDS), col(Invoice.tax_minor) > 0,
        col(Invoice.issued_on) >= first, col(Invoice.buyer)["tax_ids"].op("@>")(named),
        ~invoices.is_replaced(col(Invoice.id)),
    )  # fmt: skip
    for invoice_id in tx.execute(query.order_by(col(Invoice.id))).scalars():
        jobs.defer(tx, correct_later, lock=account_id, once=f"late_confirmation:{invoice_id}", invoice_id=invoice_id)


def more_to_come(tx: Tx, account_id: str, kind: str, value: str) -> bool:
    """Whether an order that was priced with tax for want of this number still waits for its invoice."""
    named = type_coerce([{"type": kind, "value": value}], JSONB)
    query = (
        select(col(Order.id))
        .join(Preview, col(Preview.id) == col(Order.preview_id))
        .where(
            col(Order.account_id) == account_id, col(Order.tax_minor) > 0,
            col(Order.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD]),
            col(Preview.inputs)["tax_ids"].op("@>")(named),
        )
    )  # fmt: skip
    return tx.execute(query.limit(1)).scalar_one_or_none() is not None


@jobs.job("tax_ids.correct_invoice", retry=jobs.Retry(attempts=6, first=30))
def correct_later(ports: Ports, *, invoice_id: str) -> None:
    """Correct an invoice if that can be done without a person. Again, it finds the one that took its place."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        invoice = locks.invoice_with_its_sale(tx, invoice_id)
        try:
            found = outlook(tx, invoice)
        except NotCorrectable as refused:
            if not _is_told(tx, invoice):
                audit.record(tx, invoice.account_id, actor="registry", action="invoice.not_replaced",
                             subject=invoice.id, now=now, details={"why": refused.detail})  # fmt: skip
            return
        _correct(tx, invoice, found, actor="registry", note="", now=now)


def _is_told(tx: Tx, invoice: Invoice) -> bool:
    """Whether the record says already why nothing is to be done."""
    if invoices.replacing(tx, invoice.id) is not None:
        return True
    query = select(col(AuditEntry.id)).where(
        col(AuditEntry.chain) == invoice.account_id, col(AuditEntry.subject) == invoice.id,
        col(AuditEntry.action) == "invoice.not_replaced",
    )  # fmt: skip
    return tx.execute(query.limit(1)).scalar_one_or_none() is not None


def correct(ports: Ports, invoice_id: str, *, by: str, note: str) -> Invoice:
    """The same by a person, whatever the invoice's age. Raises NotFound, NotCorrectable; returns the new invoice."""
    with ports.db.transaction() as tx:
        invoice = locks.invoice_with_its_sale(tx, invoice_id)
        return _correct(tx, invoice, outlook(tx, invoice), actor=by, note=note, now=ports.clock.now())


def outlook(tx: Tx, invoice: Invoice) -> Correction:
    """What would be issued in its place. Raises NotCorrectable, with what stands in the way."""
    if invoice.state not in _STANDS or not invoice.tax_minor:
        raise NotCorrectable("Only an open or paid invoice that bears tax can be issued again without it.")
    if invoices.replacing(tx, invoice.id) is not None:
        raise NotCorrectable("It was issued again already.")
    if credit_notes.of_invoice(tx, invoice.id):
        raise NotCorrectable("Something of it was credited; correct the rest with a credit note.")
    if any(refunds.is_contested(tx, each.payment_id) for each in invoices.payments(tx, invoice.id)):
        raise NotCorrectable("Its payment is disputed; wait for the outcome.")
    if records.calculation_of(tx, invoice.tax_determination_id) is not None:
        raise NotCorrectable("A tax provider computed its tax; credit it, and sell it again with the number confirmed.")
    before = tax.question_of(tx, invoice.tax_determination_id)
    numbers = tuple(_as_known_now(tx, invoice.account_id, each) for each in before.buyer.tax_ids)
    if not any(new.status == "valid" != old.status for new, old in zip(numbers, before.buyer.tax_ids, strict=True)):
        raise NotCorrectable("No tax number on it was confirmed since it was issued.")
    known = tuple(
        taxing.TaxId(each.type, each.value, each.status, each.check, each.checked_at, each.reference)
        for each in numbers
    )
    question = replace(before, buyer=replace(before.buyer, tax_ids=known))
    answer, lines = determine(question, overrides=overruling.in_force(tx)), tuple(invoices.lines(tx, invoice.id))
    back = Money(invoice.tax_minor, invoice.currency) - answer.tax
    if answer.treatment is Treatment.NEEDS_REVIEW or back.minor <= 0:
        raise NotCorrectable(f"The number changes nothing about its tax: {answer.reason}")
    if [line.net_minor for line in lines] != [line.net.minor for line in answer.lines]:
        raise NotCorrectable("Its lines are not those that were taxed; correct it with a credit note.")
    return Correction(question, answer, lines, numbers, back)


def _as_known_now(tx: Tx, account_id: str, number: taxing.TaxId) -> TaxIdGiven:
    """A number of then with what is known of it today; what was confirmed then stays so."""
    given = TaxIdGiven(
        number.type, number.value, number.status, number.check, number.checked_at, number.reference
    )  # fmt: skip
    if number.status == "valid":
        return given
    query = select(AccountTaxId).where(
        col(AccountTaxId.account_id) == account_id, col(AccountTaxId.type) == number.type,
        col(AccountTaxId.value) == number.value,
    )  # fmt: skip
    row = tx.execute(query).scalar_one_or_none()
    if row is None:
        return given
    if row.status is TaxIdStatus.VALID:
        check = tax.last_check(tx, number.type, number.value, only="valid")
        return confirming.as_checked(check) if check is not None else given
    return confirming.confirmed_by_hand(row) or given


def _correct(tx: Tx, invoice: Invoice, found: Correction, *, actor: str, note: str, now: datetime) -> Invoice:
    """The credit note first, then the invoice: their counters are locked in this order (ADR 0026)."""
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    given, _ = crediting.worked_out(tx, invoice, None, None)
    whole, owed = Money(given.total, invoice.currency), invoices.owed(tx, invoice)
    settlement = Settlement(Money.zero(invoice.currency), whole - owed, owed)
    credited = crediting.issue(tx, invoice, given, reason=CreditReason.CORRECTION, settlement=settlement, actor=actor,
                               now=now, told=False)  # fmt: skip
    determination = tax.store(tx, found.answer, taxing.to_json(found.question), now)
    draft = invoices.draft(tx, _draft(tx, invoice, found, determination.id), now)
    today = local_date(now, entity.time_zone)
    due_on = max(invoice.due_on or today, today)
    fresh = invoicing.number_and_book(tx, draft, issued_on=today, due_on=due_on, now=now)
    if settlement.balance:
        crediting.pay_from_credit(tx, fresh, actor=actor, now=now, at_most=settlement.balance)
    if fresh.state is InvoiceState.OPEN:
        reminders.schedule(tx, fresh, accounts.get(tx, fresh.account_id).time_zone, now)
    back = {"amount": found.given_back.minor, "currency": invoice.currency}
    events.append(tx, "invoice.replaced", invoice.id, now=now, account_id=invoice.account_id, by=fresh.id,
                  credit_note=credited.id, tax=back)  # fmt: skip
    audit.record(
        tx, invoice.account_id, actor=actor, action="invoice.replaced", subject=invoice.id, now=now,
        details={"by": fresh.number, "credit_note": credited.number, "tax": back, "note": note},
    )  # fmt: skip
    jobs.defer(tx, tax_mails.tax_corrected, invoice_id=fresh.id, credit_note_id=credited.id)
    return fresh


def _draft(tx: Tx, invoice: Invoice, found: Correction, determination_id: str) -> invoices.InvoiceDraft:
    """The same sale between the same two, taxed as it should have been."""
    before = tax.stored(tx, invoice.tax_determination_id).note
    said = translate(str(invoice.buyer.get("locale", "")))
    notes = (
        found.answer.note, *(each for each in invoice.notes if each != before),
        said("It replaces invoice %(number)s, which was credited in full.", number=invoice.number or ""),
    )  # fmt: skip
    currency = invoice.currency
    lines = [
        _line(line, Money(taxed.tax.minor, currency))
        for line, taxed in zip(found.lines, found.answer.lines, strict=True)
    ]
    return invoices.InvoiceDraft(
        account_id=invoice.account_id, legal_entity_id=invoice.legal_entity_id, order_id=invoice.order_id,
        subscription_id=invoice.subscription_id, series=invoice.series, currency=currency,
        supply_from=invoice.supply_from, supply_to=invoice.supply_to, seller=invoice.seller,
        buyer=_buyer(invoice.buyer, found.tax_ids), notes=tuple(each for each in notes if each),
        po_number=invoice.po_number, tax_determination_id=determination_id, test=invoice.test, lines=lines,
        taxes=invoicing.tax_groups(found.answer), discount=invoice.discount, replaces=invoice.id,
    )  # fmt: skip


def _buyer(snapshot: Mapping[str, Any], tax_ids: tuple[TaxIdGiven, ...]) -> dict[str, Any]:
    return {**snapshot, "tax_ids": [each.to_json() for each in tax_ids]}


def _line(line: InvoiceLine, taxed: Money) -> invoices.LineDraft:
    currency = taxed.currency
    return invoices.LineDraft(
        sku=line.sku, description=line.description, quantity=line.quantity, unit=Money(line.unit_minor, currency),
        net=Money(line.net_minor, currency), tax=taxed, period_from=line.period_from, period_to=line.period_to,
        numerator=line.numerator, denominator=line.denominator, rule=line.rule, pricing=line.pricing,
        intervals=line.intervals, discount=Money(line.discount_minor, currency),
        quantity_before=line.quantity_before,
    )  # fmt: skip
