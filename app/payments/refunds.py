"""Refunds and disputes as they are kept; what they mean is decided in the flows."""

from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import NotFound
from app.core.money import Money
from app.payments.models import Dispute, DisputeState, Payment, Refund, RefundState

_HOLDS = (RefundState.PENDING, RefundState.SUCCEEDED)


def get(tx: Tx, refund_id: str) -> Refund:
    refund = tx.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    return refund


def lock(tx: Tx, refund_id: str) -> Refund:
    """The refund, locked and fresh. Lock its invoice first. Raises NotFound."""
    query = select(Refund).where(col(Refund.id) == refund_id).with_for_update()
    refund = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if refund is None:
        raise NotFound("There is no such refund.")
    return refund


def by_ref(tx: Tx, provider: str, ref: str) -> Refund | None:
    query = select(Refund).where(col(Refund.provider) == provider, col(Refund.provider_ref) == ref)
    return tx.execute(query).scalar_one_or_none()


def of_invoice(tx: Tx, invoice_id: str) -> list[Refund]:
    """Newest first."""
    query = select(Refund).where(col(Refund.invoice_id) == invoice_id).order_by(col(Refund.id).desc())
    return list(tx.execute(query).scalars())


def left_of(tx: Tx, payment: Payment) -> Money:
    """What of a payment was not sent back and is not on its way."""
    gone = select(func.coalesce(func.sum(col(Refund.amount_minor)), 0)).where(
        col(Refund.payment_id) == payment.id, col(Refund.state).in_(_HOLDS)
    )
    return Money(payment.amount_minor - int(tx.execute(gone).scalar_one()), payment.currency)


def unanswered(tx: Tx, asked_before: datetime, limit: int = 100) -> list[str]:
    """Ids of refunds on their way of which nobody told us for a while: for the sweep that asks."""
    query = select(col(Refund.id)).where(
        col(Refund.state) == RefundState.PENDING, col(Refund.updated_at) < asked_before
    )
    return list(tx.execute(query.order_by(col(Refund.updated_at)).limit(limit)).scalars())


def payment_of_charge(tx: Tx, provider: str, charge_ref: str) -> Payment | None:
    query = select(Payment).where(col(Payment.provider) == provider, col(Payment.provider_ref) == charge_ref)
    return tx.execute(query).scalar_one_or_none()


def payments_of(tx: Tx, order_id: str) -> list[Payment]:
    query = select(Payment).where(col(Payment.order_id) == order_id).order_by(col(Payment.id))
    return list(tx.execute(query).scalars())


def dispute_by_ref(tx: Tx, provider: str, ref: str) -> Dispute | None:
    """The dispute, locked. Lock its invoice first."""
    query = select(Dispute).where(col(Dispute.provider) == provider, col(Dispute.provider_ref) == ref)
    locked = query.with_for_update().execution_options(populate_existing=True)
    return tx.execute(locked).scalar_one_or_none()


def disputes_of(tx: Tx, payment_id: str) -> list[Dispute]:
    """Newest first."""
    query = select(Dispute).where(col(Dispute.payment_id) == payment_id).order_by(col(Dispute.id).desc())
    return list(tx.execute(query).scalars())


def is_contested(tx: Tx, payment_id: str) -> bool:
    """Whether the provider holds the payment's money, or has given it to the card's owner for good."""
    return any(each.state is not DisputeState.WON for each in disputes_of(tx, payment_id))
