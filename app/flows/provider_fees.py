"""What the payment provider keeps of the money, in the books as soon as it is known (ADR 0041).

Mostly that is with the report of the payment, refund or dispute itself. A provider that needs some seconds more is
asked again. Each of its transactions is booked once, in the currency in which it settles.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Final

from app.accounts.models import LegalEntity
from app.core import jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.money import Money
from app.flows.invoicing import Booking
from app.flows.ports import Ports
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders import service as orders
from app.payments import fees
from app.payments.models import Dispute, Payment, PaymentAttempt, Refund
from app.payments.provider import Fee

_ASKED_FOR: Final = timedelta(days=30)


def booking_of(values: dict[str, Any]) -> Booking | None:
    """The entry of a fee as it is kept (`fees.row`); None for one of nothing."""
    amount = Money(values["amount_minor"], values["currency"])
    if not amount:
        return None
    disputed = values["dispute_id"] is not None
    about = values["dispute_id"] or values["refund_id"] or values["payment_id"]
    return Booking(
        f"provider_fee:{values['id']}", "provider_fee", f"Fee of {values['provider']} for {about}",
        [Leg(Code.DISPUTE_FEES if disputed else Code.PROCESSOR_FEES, amount),
         Leg(Code.CLEARING, -amount, values["provider"])],
    )  # fmt: skip


def book(
    tx: Tx, payment: Payment, told: Iterable[Fee], *, legal_entity_id: str, booked_on: date, now: datetime,
    refund: Refund | None = None, dispute: Dispute | None = None,
) -> None:  # fmt: skip
    """Keep and book what is new of these fees: of a payment, or of a refund or dispute of it."""
    for fee in told:
        values = fees.row(
            payment, fee, now, refund_id=refund.id if refund else None, dispute_id=dispute.id if dispute else None
        )
        if not fees.keep(tx, values) or (booking := booking_of(values)) is None:
            continue
        ledger.book(
            tx, source=booking.source, kind=booking.kind, account_id=payment.account_id,
            legal_entity_id=legal_entity_id, booked_on=booked_on, memo=booking.memo, legs=booking.legs, now=now,
        )  # fmt: skip


@jobs.job("payments.ask_about_fees", every="*/15 * * * *", retry=jobs.Retry(attempts=1))
def ask_about_fees(ports: Ports) -> None:
    """Ask about the fees of the last weeks' payments that nobody told us, some at a time."""
    since = ports.clock.now() - _ASKED_FOR
    with ports.db.transaction() as tx:
        for payment_id in fees.unknown(tx, ports.payments.name, since):
            jobs.defer(tx, ask_about_fee, once=f"fee:{payment_id}", payment_id=payment_id)


@jobs.job("payments.ask_about_fee", retry=jobs.Retry(attempts=1))
def ask_about_fee(ports: Ports, *, payment_id: str) -> None:
    """Ask about one; what is not known now either is asked again by the next round."""
    with ports.db.transaction() as tx:
        payment = tx.get_one(Payment, payment_id)
        attempt = tx.get(PaymentAttempt, payment.attempt_id) if payment.attempt_id else None
    if attempt is None or attempt.provider_ref is None:
        return
    try:
        report = ports.payments.report(attempt.provider_ref)
    except NotFound:
        return  # forgotten there: nobody will ever know
    if report.fee is None or report.charge_ref != payment.provider_ref:
        return
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        entity = tx.get_one(LegalEntity, orders.get(tx, attempt.order_id).legal_entity_id)
        book(tx, payment, [report.fee], legal_entity_id=entity.id, booked_on=local_date(now, entity.time_zone), now=now)
