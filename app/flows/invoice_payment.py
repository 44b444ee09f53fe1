"""An open invoice paid by card: what a provider's report about such an attempt does (R-ORD-1, R-ORD-2).

The invoice was delivered before it was paid, so nothing is completed here: the money goes into it, what is over because
a wire was quicker becomes the customer's credit, and what waited for the payment follows by itself. How somebody comes
to pay is told in `paying_invoices`.
"""

from datetime import datetime

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.core import audit, events
from app.core.clock import local_date, transport_now
from app.core.db import Tx
from app.flows import invoicing, provider_fees, unmatched
from app.invoices import service as invoices
from app.orders import service as orders
from app.payments import service as payments
from app.payments.models import AttemptState, PaymentAttempt
from app.payments.provider import Outcome, PaymentReport


def apply(tx: Tx, attempt: PaymentAttempt, report: PaymentReport, now: datetime) -> str:
    """Move the attempt to what was reported and book the money once; says what was done, in a word.

    The caller holds the attempt's lock. The account's makes this and a wire that staff record take turns, so between
    them they pay the invoice once.
    """
    if attempt.state is AttemptState.SUCCEEDED:
        return "known"
    accounts.lock(tx, attempt.account_id)
    attempt.updated_at = transport_now()
    if report.outcome is Outcome.FAILED:
        attempt.state, attempt.failure_code = AttemptState.FAILED, report.failure_code
        return "failed"
    if report.outcome is Outcome.EXPIRED:
        attempt.state = AttemptState.EXPIRED
        return "expired"
    if report.outcome is not Outcome.SUCCEEDED:
        return "pending"
    attempt.state, attempt.provider_ref = AttemptState.SUCCEEDED, attempt.provider_ref or report.ref
    tx.flush()
    if report.amount.currency != attempt.currency:
        return unmatched.set_aside(tx, orders.get(tx, attempt.order_id), report, "wrong_amount", now)
    _receive(tx, attempt, report, now)
    return "paid"


def _receive(tx: Tx, attempt: PaymentAttempt, report: PaymentReport, now: datetime) -> None:
    invoice = invoices.lock(tx, attempt.invoice_id or "")
    payment = payments.record(tx, attempt, report, now)
    part = min(report.amount, invoices.owed(tx, invoice))
    into = [(invoice, part)] if part else []
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    today = local_date(now, entity.time_zone)
    invoicing.receive(tx, payment, into, legal_entity_id=entity.id, booked_on=today, now=now)
    told = [report.fee] if report.fee else []
    provider_fees.book(tx, payment, told, legal_entity_id=entity.id, booked_on=today, now=now)
    total = {"amount": payment.amount_minor, "currency": payment.currency}
    parts = [{"invoice": each.id, "amount": money.minor} for each, money in into]
    events.append(tx, "payment.received", payment.id, now=now, account_id=payment.account_id, total=total,
                  method=str(payment.method), invoices=parts)  # fmt: skip
    audit.record(tx, payment.account_id, actor="provider", action="payment.received", subject=payment.id, now=now,
                 details={**total, "charge": payment.provider_ref, "invoices": parts})  # fmt: skip
