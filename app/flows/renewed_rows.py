"""Many paid renewals in one transaction: their rows by the rules of `completion`, written by COPY (ADR 0036).

What is known without a number is written first. The license log, the invoice counter and the heads of the audit chains
come last and in this order, as on the single path.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.core import audit, bulk, events, jobs
from app.core.bulk import Batch, plain
from app.core.clock import local_date, start_of, transport_now
from app.core.db import Tx
from app.core.events import Happened
from app.core.money import Money
from app.core.states import require_move
from app.entitlements import service as entitlements
from app.entitlements.models import Entitlement
from app.flows import billing_run, completed, crediting, drawing, invoicing, paid_facts, provider_fees, reminders
from app.flows.invoicing import Booking, Supply
from app.flows.paid_facts import Facts, Paid
from app.flows.ports import Ports
from app.invoices import numbering
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceLine, InvoicePayment, InvoiceState, InvoiceTax
from app.ledger import service as ledger
from app.ledger.models import LedgerEntry, Posting
from app.licenses import issuance
from app.licenses import service as licenses
from app.licenses.models import IssuanceEntry, License, LicenseState
from app.orders.models import Order, OrderState
from app.payments import fees
from app.payments import service as payments
from app.payments.models import AttemptState, Payment, PaymentAttempt, ProviderFee
from app.subscriptions import service as subscriptions
from app.subscriptions.models import RenewalReminder, Subscription, SubscriptionLine, SubscriptionTerm, TermKind
from app.subscriptions.periods import Period
from app.surveys import service as surveys
from app.surveys.models import SurveyInvitation, SurveyKind

PROVIDER: Final = "provider"  # who completed the order, to the audit log


@dataclass(slots=True)
class _Renewal:
    """One completion. `invoice` is a draft until it has its number."""

    paid: Paid
    period: Period
    subscription: Subscription  # as renewed
    license: License | None
    draft: invoices.Rows
    payment: Payment
    fee: dict[str, Any] | None  # as `fees.row`, where the provider knew it
    invoice: Invoice


def write(tx: Tx, ports: Ports, found: Sequence[Paid], now: datetime) -> None:
    """Complete these orders. The caller holds the locks of attempts, orders and subscriptions."""
    facts, batch = paid_facts.about(tx, ports, found, now), Batch()
    renewals = [_renew(facts, batch, each, now) for each in found]
    known = [object_id for each in renewals for object_id in _known(each)]
    last = events.take_turns(tx, known)
    _write_parts(tx, batch, renewals, now)
    issued = [(each.license.id, each.license.file_sha256) for each in renewals if each.license is not None]
    if issued:
        batch.extend(IssuanceEntry, issuance.rows(tx, facts.kid, issued, now))
        batch.copy(tx, IssuanceEntry)
    _number(tx, facts, batch, renewals, now)
    _book(tx, batch, renewals, now)
    batch.require_empty()
    events.append_many(tx, [told for each in renewals for told in _events(each)], last, now)
    jobs.defer_many(tx, completed.TELL, [jobs.Order({"order_id": each.paid.order.id}) for each in renewals])
    if any(_goes_on(each, now) for each in renewals):
        jobs.defer(tx, billing_run.ORDER_DUE, once=f"{billing_run.ORDER_DUE}:0")
    audit.record_many(tx, [
        completed.completed_deed(
            each.paid.order, each.invoice.number, each.license.id if each.license else None, actor=PROVIDER,
            payment=each.payment.id,
        )
        for each in renewals
    ], now)  # fmt: skip


def _renew(facts: Facts, batch: Batch, paid: Paid, now: datetime) -> _Renewal:
    """The rows of one completion, but for those that name its number."""
    order, held, starts_on = paid.order, paid.subscription, paid.order.term_starts_on
    if starts_on is None:
        raise ValueError(f"order {order.id} buys no term")
    require_move("order", order.state, OrderState.COMPLETED)
    period = completed.next_period(held, starts_on, paid.preview)
    renewed = bulk.changed(Subscription, held, subscriptions.renewed(held, period))
    batch.add(SubscriptionTerm, subscriptions.term_row(held.id, TermKind.RENEWAL, period, order.id))
    batch.extend(RenewalReminder, reminders.rows(renewed, facts.reminder_days[held.term_months]))
    batch.add(SurveyInvitation, _invitation(facts, paid, now))
    license_ = _license(facts, batch, paid, renewed, period, now)
    entity, seller = facts.sellers[order.legal_entity_id]
    supply = Supply(order, paid.preview, entity, paid.lines, held.id, period)
    special = facts.agreements.get(order.account_id)
    wanted = invoicing.draft_of(supply, paid.determination, seller, special.title if special else None)
    draft = invoices.rows_of(wanted, now)
    batch.extend(InvoiceLine, draft.lines)
    batch.extend(InvoiceTax, draft.taxes)
    money = payments.payment_row(paid.attempt, paid.report, now)
    batch.add(Payment, money)
    payment = plain(Payment, money)
    fee = fees.row(payment, paid.report.fee, now) if paid.report.fee is not None else None
    batch.extend(ProviderFee, [fee] if fee is not None else [])
    return _Renewal(paid, period, renewed, license_, draft, payment, fee, plain(Invoice, draft.invoice))


def _invitation(facts: Facts, paid: Paid, now: datetime) -> dict[str, Any]:
    """As `completion` invites: always, asked or suppressed with a reason (R-NPS-1)."""
    order, buyer = paid.order, paid.preview.inputs["buyer"]
    suppressed = surveys.suppression(
        facts.rules, buyer["country"], opted_out=paid.person in facts.opted_out,
        asked_recently=lambda: paid.person in facts.asked,
    )  # fmt: skip
    if suppressed is None:
        facts.asked.add(paid.person)
    return surveys.row(
        facts.rules, kind=SurveyKind(str(order.kind)), order_id=order.id, account_id=order.account_id,
        email=order.buyer_email, person=paid.person, person_name=order.buyer_name,
        segment=completed.segment_of(order, paid.preview, paid.plans[0].sku, paid.seats), locale=buyer["locale"],
        test=order.test, now=now, source=surveys.OURS, external_ref=order.id, suppressed=suppressed,
    )  # fmt: skip


def _license(
    facts: Facts, batch: Batch, paid: Paid, renewed: Subscription, period: Period, now: datetime
) -> License | None:  # fmt: skip
    """The signed license with its entitlements; None for a term that was over before it was paid."""
    grant = completed.grant_of(
        order=paid.order, plan=paid.plans[0], plans=paid.plans, seats=paid.seats,
        company=paid.preview.inputs["buyer"]["company"], subscription=renewed, period=period, now=now,
    )  # fmt: skip
    if grant is None:
        return None
    row = licenses.signed(licenses.called_as(grant, paid.licenses), facts.kid, facts.key, facts.file_ids, now)
    batch.add(License, row)
    batch.extend(Entitlement, entitlements.rows(
        account_id=grant.account_id, order_id=paid.order.id, values=row["entitlements"], starts_at=grant.starts_at,
        ends_at=grant.expires_at,
    ))  # fmt: skip
    return plain(License, row)


def _known(renewal: _Renewal) -> list[str]:
    """What others may tell events of as well: everything else is new."""
    replaced = renewal.paid.licenses if renewal.license is not None else ()
    return [renewal.paid.order.id, renewal.subscription.id, *(old.id for old in replaced)]


def _write_parts(tx: Tx, batch: Batch, renewals: Sequence[_Renewal], now: datetime) -> None:
    """Everything that needs no number."""
    bulk.update(tx, Order, "id", [
        {"id": each.paid.order.id, "state": OrderState.COMPLETED, "completed_at": now} for each in renewals
    ])  # fmt: skip
    real_now = transport_now()
    bulk.update(tx, PaymentAttempt, "id", [
        {"id": each.paid.attempt.id, "state": AttemptState.SUCCEEDED, "updated_at": real_now,
         "provider_ref": each.paid.attempt.provider_ref or each.paid.report.ref}
        for each in renewals
    ])  # fmt: skip
    bulk.update(tx, Subscription, "id", [
        {"id": each.subscription.id, **subscriptions.renewed(each.paid.subscription, each.period)} for each in renewals
    ])  # fmt: skip
    bulk.update(tx, SubscriptionLine, "id", [row for each in renewals for row in _lines(each)])
    reminders.withdraw(tx, [each.subscription.id for each in renewals])
    methods = [
        (each.paid.order.account_id, each.paid.attempt.provider, each.paid.report.method)
        for each in renewals
        if each.paid.report.method is not None
    ]
    payments.keep_methods(tx, methods, now)
    batch.copy(tx, Payment, ProviderFee, SubscriptionTerm, RenewalReminder, SurveyInvitation, License, Entitlement)
    bulk.update(tx, License, "id", [
        {"id": old.id, "state": LicenseState.SUPERSEDED, "superseded_by": each.license.id}
        for each in renewals if each.license is not None
        for old in each.paid.licenses
    ])  # fmt: skip


def _lines(renewal: _Renewal) -> list[dict[str, Any]]:
    """What another price or name changes; mostly nothing."""
    paid = renewal.paid
    held = {line.plan_id: line for line in paid.held}
    wanted = {
        line.plan_id: subscriptions.line_values(line, paid.subscription.term_months)
        for line in completed.bought_of(paid.lines, paid.order.currency)
    }
    return [
        {"id": held[plan_id].id, **values}
        for plan_id, values in wanted.items()
        if any(getattr(held[plan_id], name) != value for name, value in values.items())
    ]


def _number(tx: Tx, facts: Facts, batch: Batch, renewals: Sequence[_Renewal], now: datetime) -> None:
    """A block of numbers for each series, and the invoices as they stay: behind their lines, which they seal.

    From here to the commit nobody else gets a number.
    """
    series: defaultdict[tuple[str, str], list[_Renewal]] = defaultdict(list)
    for each in renewals:
        series[each.invoice.legal_entity_id, each.invoice.series].append(each)
    for (entity_id, name), group in sorted(series.items(), key=lambda item: item[0]):
        today = local_date(now, facts.sellers[entity_id][0].time_zone)
        first = numbering.next_sequence(tx, entity_id, name, count=len(group))
        before = numbering.date_of(tx, entity_id, name, first - 1)
        for sequence, each in enumerate(group, start=first):
            values = invoices.numbered(name, sequence, issued_on=today, due_on=today, before=before, now=now)
            before = values["issued_on"]
            row = each.draft.invoice | values | {"state": InvoiceState.PAID, "paid_at": now}
            batch.add(Invoice, row)
            each.invoice = plain(Invoice, row)
        drawing.block_later(tx, entity_id, name, first, first + len(group) - 1)
    batch.copy(tx, InvoiceLine, InvoiceTax, Invoice)


def _book(tx: Tx, batch: Batch, renewals: Sequence[_Renewal], now: datetime) -> None:
    """The entries of the invoices and of the money that pays them."""
    for each in renewals:
        invoice, total = each.invoice, Money(each.invoice.total_minor, each.invoice.currency)
        taxes = [(row["jurisdiction"], row["tax_minor"]) for row in each.draft.taxes]
        receipt, _ = invoicing.receipt_of(each.payment, [(invoice, total)])
        kept = provider_fees.booking_of(each.fee) if each.fee is not None else None
        for booking in (invoicing.booking_of(invoice, taxes), receipt, kept):
            if booking is not None:
                _enter(batch, booking, invoice, now)
        batch.add(InvoicePayment, invoices.allocation_row(invoice.id, each.payment.id, total, now))
    batch.copy(tx, Posting, LedgerEntry, InvoicePayment)


def _enter(batch: Batch, booking: Booking, invoice: Invoice, now: datetime) -> None:
    entry, postings = ledger.rows(
        source=booking.source, kind=booking.kind, account_id=invoice.account_id,
        legal_entity_id=invoice.legal_entity_id, booked_on=invoice.issued_on or now.date(), memo=booking.memo,
        legs=booking.legs, now=now,
    )  # fmt: skip
    batch.add(LedgerEntry, entry)
    batch.extend(Posting, postings)


def _events(renewal: _Renewal) -> list[Happened]:
    """In the order in which a single completion tells them."""
    paid, new = renewal.paid, renewal.license
    told = [completed.carried_event(completed.RENEWED, renewal.subscription, renewal.period, paid.seats)]
    if new is not None:
        told.append(licenses.issued_event(new))
        told += [licenses.superseded_event(old, new.id) for old in paid.licenses]
    return [
        *told, invoicing.issued_event(renewal.invoice), crediting.paid_event(renewal.invoice),
        completed.completed_event(paid.order, renewal.invoice.id, new.id if new else None),
    ]  # fmt: skip


def _goes_on(renewal: _Renewal, now: datetime) -> bool:
    """The run was away for more than a term."""
    held = renewal.subscription
    return held.auto_renew and start_of(held.ends_on, held.time_zone) <= now
