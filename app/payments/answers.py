"""Answers to automatic charges, kept until a run completes their orders (ADR 0036)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.core.bulk import among
from app.core.db import Tx
from app.core.money import Money
from app.payments.models import ChargeAnswer
from app.payments.provider import Fee, Outcome, PaymentReport, SavedMethod


def row(order_id: str, report: PaymentReport, now: datetime) -> dict[str, Any]:
    """A successful report as it is kept. Raises ValueError for any other."""
    if report.outcome is not Outcome.SUCCEEDED or report.charge_ref is None:
        raise ValueError(f"payment {report.ref} took no money")
    method = report.method
    return {
        "attempt_id": report.attempt_id, "order_id": order_id, "ref": report.ref, "charge_ref": report.charge_ref,
        "amount_minor": report.amount.minor, "currency": report.amount.currency,
        "customer_ref": method.customer_ref if method else None, "method_ref": method.method_ref if method else None,
        "method_label": method.label if method else "", "exp_year": method.exp_year if method else None,
        "exp_month": method.exp_month if method else None, "fee_ref": report.fee.ref if report.fee else None,
        "fee_minor": report.fee.amount.minor if report.fee else None,
        "fee_currency": report.fee.amount.currency if report.fee else None, "told_at": now,
    }  # fmt: skip


def keep(tx: Tx, order_id: str, report: PaymentReport, now: datetime) -> None:
    """Keep an answer; told again, it changes nothing. `now` is real time."""
    tx.execute(insert(ChargeAnswer).values(row(order_id, report, now)).on_conflict_do_nothing())


def report_of(answer: ChargeAnswer) -> PaymentReport:
    """The report that `keep` was given."""
    method = None
    if answer.customer_ref is not None and answer.method_ref is not None:
        method = SavedMethod(
            answer.customer_ref, answer.method_ref, answer.method_label, answer.exp_year, answer.exp_month
        )
    fee = None
    if answer.fee_ref is not None and answer.fee_minor is not None and answer.fee_currency is not None:
        fee = Fee(answer.fee_ref, Money(answer.fee_minor, answer.fee_currency))
    return PaymentReport(
        ref=answer.ref, attempt_id=answer.attempt_id, outcome=Outcome.SUCCEEDED,
        amount=Money(answer.amount_minor, answer.currency), charge_ref=answer.charge_ref, method=method,
        fee=fee,
    )  # fmt: skip


def oldest(tx: Tx, limit: int) -> list[str]:
    """The oldest attempts with an answer that nobody else is working on."""
    query = select(col(ChargeAnswer.attempt_id)).order_by(col(ChargeAnswer.attempt_id)).limit(limit)
    return list(tx.execute(query.with_for_update(skip_locked=True)).scalars())


def lock(tx: Tx, attempt_ids: Sequence[str]) -> list[ChargeAnswer]:
    """Those of these answers that are still there, locked, without those in other hands."""
    query = select(ChargeAnswer).where(among(col(ChargeAnswer.attempt_id), attempt_ids))
    return list(tx.execute(query.order_by(col(ChargeAnswer.attempt_id)).with_for_update(skip_locked=True)).scalars())


def of_order(tx: Tx, order_id: str) -> ChargeAnswer | None:
    return tx.execute(select(ChargeAnswer).where(col(ChargeAnswer.order_id) == order_id)).scalar_one_or_none()


def forget(tx: Tx, attempt_ids: Sequence[str]) -> None:
    """They are acted upon."""
    tx.execute(delete(ChargeAnswer).where(among(col(ChargeAnswer.attempt_id), attempt_ids)))


def waiting(tx: Tx) -> int:
    """How many orders are paid and not completed yet."""
    return tx.execute(select(func.count()).select_from(ChargeAnswer)).scalar_one()
