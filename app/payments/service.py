"""Attempts to be paid, and payments that were."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col

from app.core.bulk import among
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.payments import methods
from app.payments.errors import AlreadyRecorded
from app.payments.models import AttemptState, Method, Payment, PaymentAttempt, PaymentMethod
from app.payments.provider import PaymentReport, SavedMethod


def attempt_row(
    *, order_id: str, account_id: str, amount: Money, provider: str, now: datetime, invoice_id: str | None = None
) -> dict[str, Any]:
    """An attempt of which nobody was asked yet."""
    return {
        "id": new_id("pat"), "order_id": order_id, "invoice_id": invoice_id, "account_id": account_id,
        "amount_minor": amount.minor, "currency": amount.currency, "provider": provider, "state": AttemptState.UNKNOWN,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


def intend(
    tx: Tx, *, order_id: str, account_id: str, amount: Money, provider: str, now: datetime,
    invoice_id: str | None = None,
) -> PaymentAttempt:  # fmt: skip
    """Write down that money is about to be asked for, before anybody is asked (I5); for an open invoice or an order."""
    attempt = PaymentAttempt(**attempt_row(
        order_id=order_id, account_id=account_id, amount=amount, provider=provider, now=now, invoice_id=invoice_id
    ))  # fmt: skip
    tx.add(attempt)
    tx.flush()
    return attempt


def latest_attempt(tx: Tx, order_id: str) -> PaymentAttempt | None:
    """The last attempt to pay an order before its delivery."""
    query = select(PaymentAttempt).where(
        col(PaymentAttempt.order_id) == order_id, col(PaymentAttempt.invoice_id).is_(None)
    )
    return tx.execute(query.order_by(col(PaymentAttempt.id).desc()).limit(1)).scalar_one_or_none()


def latest_attempt_on(tx: Tx, invoice_id: str) -> PaymentAttempt | None:
    """The last attempt to pay an open invoice."""
    query = select(PaymentAttempt).where(col(PaymentAttempt.invoice_id) == invoice_id)
    return tx.execute(query.order_by(col(PaymentAttempt.id).desc()).limit(1)).scalar_one_or_none()


def lock_attempt(tx: Tx, attempt_id: str) -> PaymentAttempt | None:
    query = select(PaymentAttempt).where(col(PaymentAttempt.id) == attempt_id).with_for_update()
    return tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def open_attempts(tx: Tx, older_than: datetime, limit: int = 100) -> list[str]:
    """Ids of attempts whose outcome nobody told us, oldest first: for the sweep that asks."""
    query = select(col(PaymentAttempt.id)).where(
        col(PaymentAttempt.state).in_([AttemptState.UNKNOWN, AttemptState.PENDING]),
        col(PaymentAttempt.created_at) < older_than,
    )
    return list(tx.execute(query.order_by(col(PaymentAttempt.created_at)).limit(limit)).scalars())


def saved_method_of(tx: Tx, attempt: PaymentAttempt) -> SavedMethod | None:
    """The card an attempt was meant to charge, if it was meant to charge one."""
    if attempt.saved_method_ref is None:
        return None
    query = select(PaymentMethod).where(
        col(PaymentMethod.provider) == attempt.provider, col(PaymentMethod.method_ref) == attempt.saved_method_ref
    )
    row = tx.execute(query).scalar_one()
    return methods.as_saved(row)


def payment_row(attempt: PaymentAttempt, report: PaymentReport, now: datetime) -> dict[str, Any]:
    """The money that a successful charge brought."""
    if report.charge_ref is None:
        raise ValueError(f"a successful payment {report.ref} has no charge")
    return {
        "id": new_id("pay"), "account_id": attempt.account_id, "order_id": attempt.order_id, "attempt_id": attempt.id,
        "amount_minor": report.amount.minor, "currency": report.amount.currency, "method": Method.CARD,
        "method_label": report.method.label if report.method else "", "provider": attempt.provider,
        "provider_ref": report.charge_ref, "received_at": now,
    }  # fmt: skip


def record(tx: Tx, attempt: PaymentAttempt, report: PaymentReport, now: datetime) -> Payment:
    """Money that arrived. The provider's charge is unique, so a second record of it is refused by the table."""
    payment = Payment(**payment_row(attempt, report, now))
    tx.add(payment)
    tx.flush()
    return payment


BANK: Final = "bank"


def record_transfer(
    tx: Tx, *, account_id: str, amount: Money, method: Method, reference: str, received_at: datetime, by: str,
) -> Payment:  # fmt: skip
    """Money a member of staff saw arrive. Raises AlreadyRecorded for a reference that is recorded."""
    known = select(col(Payment.id)).where(col(Payment.provider) == BANK, col(Payment.provider_ref) == reference)
    if tx.execute(known).first():
        raise AlreadyRecorded(f"A payment with the reference {reference} is recorded already.", param="reference")
    payment = Payment(
        id=new_id("pay"), account_id=account_id, amount_minor=amount.minor, currency=amount.currency, method=method,
        provider=BANK, provider_ref=reference, received_at=received_at, recorded_by=by,
    )  # fmt: skip
    tx.add(payment)
    tx.flush()
    return payment


def keep_method(tx: Tx, account_id: str, provider: str, method: SavedMethod, now: datetime) -> None:
    """Remember a card the provider keeps, for renewals with one button."""
    methods.keep(tx, account_id, provider, method, now)


def keep_methods(tx: Tx, found: Sequence[tuple[str, str, SavedMethod]], now: datetime) -> None:
    """Remember cards of (account, provider), read at once; nearly all of them are known."""
    refs = among(col(PaymentMethod.method_ref), [method.method_ref for _, _, method in found])
    rows = {(row.provider, row.method_ref): row for row in tx.execute(select(PaymentMethod).where(refs)).scalars()}
    for account_id, provider, method in found:
        row = rows.get((provider, method.method_ref))
        if row is None:
            methods.keep(tx, account_id, provider, method, now)
        else:
            methods.refresh(row, method)


def saved_method(tx: Tx, account_id: str, provider: str) -> SavedMethod | None:
    """The card of an account that is charged: the chosen one, or the youngest where none is."""
    row = methods.charged_first(tx, account_id, provider)
    return methods.as_saved(row) if row else None


def of_order(tx: Tx, order_id: str) -> Payment | None:
    query = select(Payment).where(col(Payment.order_id) == order_id).order_by(col(Payment.id)).limit(1)
    return tx.execute(query).scalar_one_or_none()


def received(tx: Tx, order_id: str, currency: str) -> Money:
    """All the money that arrived for an order in this currency."""
    query = select(func.coalesce(func.sum(col(Payment.amount_minor)), 0)).where(
        col(Payment.order_id) == order_id, col(Payment.currency) == currency
    )
    return Money(int(tx.execute(query).scalar_one()), currency)
