"""Renewal reminders as rows with a due date (R-SUB-3): scheduled with the term, found by the tick."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlmodel import col

from app.core import policy
from app.core.bulk import among
from app.core.clock import start_of
from app.core.db import Tx
from app.core.ids import new_id
from app.subscriptions.models import RenewalReminder, Subscription


def _days(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(type(each) is int and -60 <= each <= 120 for each in value):
        raise ValueError("must list whole days before the end, negative for after it, such as [60, 30, 0, -3]")
    return sorted(value, reverse=True)


LONG: Final = policy.declare(
    policy.Policy(
        "renewal_reminder_days", [60, 30, 15, 7, 1, 0, -3, -10], _days,
        "When reminders go out for terms of twelve months and more: days before the end, negative after it.",
    )
)  # fmt: skip
SHORT: Final = policy.declare(
    policy.Policy("renewal_reminder_days_short", [7], _days, "The same for shorter terms, which renew by themselves.")
)
# Mails go out in the morning where the customer is.
_HOUR: Final = timedelta(hours=9)


def withdraw(tx: Tx, subscription_ids: Sequence[str]) -> None:
    """What was not sent of the terms so far is not sent any more."""
    tx.execute(
        update(RenewalReminder)
        .where(
            among(col(RenewalReminder.subscription_id), subscription_ids),
            col(RenewalReminder.sent_at).is_(None),
            col(RenewalReminder.skipped_reason).is_(None),
        )
        .values(skipped_reason="renewed")
    )


def schedule(tx: Tx, subscription: Subscription, now: datetime) -> None:
    """Rows for the current term; those of an earlier term that were not sent are withdrawn."""
    withdraw(tx, [subscription.id])
    tx.add_all(RenewalReminder(**row) for row in rows(subscription, days_of(tx, subscription.term_months, now)))
    tx.flush()


def days_of(tx: Tx, term_months: int, now: datetime) -> list[int]:
    """How many days before the end of such a term its reminders go out."""
    return policy.get(tx, LONG if term_months >= 12 else SHORT, now)


def rows(subscription: Subscription, days: Sequence[int]) -> list[dict[str, Any]]:
    """The reminders of the current term."""
    return [
        {"id": new_id("rem"), "subscription_id": subscription.id, "ends_on": subscription.ends_on,
         "days_before": before,
         "due_at": start_of(subscription.ends_on - timedelta(days=before), subscription.time_zone) + _HOUR}
        for before in days
    ]  # fmt: skip


def due(tx: Tx, now: datetime, limit: int = 500) -> list[RenewalReminder]:
    """Unsent rows whose time has come, locked, oldest first."""
    query = (
        select(RenewalReminder)
        .where(
            col(RenewalReminder.due_at) <= now,
            col(RenewalReminder.sent_at).is_(None),
            col(RenewalReminder.skipped_reason).is_(None),
        )
        .order_by(col(RenewalReminder.subscription_id), col(RenewalReminder.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(tx.execute(query).scalars())


def next_due(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(RenewalReminder.due_at))).where(
        col(RenewalReminder.due_at) > after,
        col(RenewalReminder.sent_at).is_(None),
        col(RenewalReminder.skipped_reason).is_(None),
    )
    return tx.execute(query).scalar()
