"""What the provider keeps for itself, each of its transactions once (ADR 0041)."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.core.db import Tx
from app.core.ids import new_id
from app.payments.models import Method, Payment, ProviderFee
from app.payments.provider import Fee


def row(
    payment: Payment, fee: Fee, now: datetime, *, refund_id: str | None = None, dispute_id: str | None = None
) -> dict[str, Any]:
    """A fee as it is kept: of the payment itself, or of a refund or dispute of it."""
    return {
        "id": new_id("fee"), "account_id": payment.account_id, "payment_id": payment.id, "refund_id": refund_id,
        "dispute_id": dispute_id, "amount_minor": fee.amount.minor, "currency": fee.amount.currency,
        "provider": payment.provider, "provider_ref": fee.ref, "recorded_at": now,
    }  # fmt: skip


def keep(tx: Tx, values: dict[str, Any]) -> bool:
    """Whether it is new: told again it changes nothing."""
    kept = insert(ProviderFee).values(values).on_conflict_do_nothing().returning(col(ProviderFee.id))
    return tx.execute(kept).first() is not None


def of_payment(tx: Tx, payment_id: str) -> list[ProviderFee]:
    """All that a payment cost, with its refunds and disputes, oldest first."""
    query = select(ProviderFee).where(col(ProviderFee.payment_id) == payment_id).order_by(col(ProviderFee.id))
    return list(tx.execute(query).scalars())


def unknown(tx: Tx, provider: str, since: datetime, limit: int = 100) -> list[str]:
    """Ids of payments that arrived since then and of whose fee nobody told us, oldest first."""
    known = select(col(ProviderFee.id)).where(
        col(ProviderFee.payment_id) == col(Payment.id), col(ProviderFee.refund_id).is_(None),
        col(ProviderFee.dispute_id).is_(None),
    )  # fmt: skip
    query = select(col(Payment.id)).where(
        col(Payment.provider) == provider, col(Payment.method) == Method.CARD, col(Payment.received_at) > since,
        ~known.exists(),
    )  # fmt: skip
    return list(tx.execute(query.order_by(col(Payment.received_at)).limit(limit)).scalars())
