"""Granting what was bought, for as long as it was bought."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlmodel import col

from app.core.db import Tx
from app.entitlements.models import Entitlement


def rows(
    *, account_id: str, order_id: str, values: Mapping[str, Any], starts_at: datetime, ends_at: datetime
) -> list[dict[str, Any]]:  # fmt: skip
    """One row per key."""
    shared = {"order_id": order_id, "account_id": account_id, "starts_at": starts_at, "ends_at": ends_at}
    return [{"key": key, "value": value, **shared} for key, value in sorted(values.items())]


def grant(
    tx: Tx, *, account_id: str, order_id: str, values: Mapping[str, Any], starts_at: datetime, ends_at: datetime
) -> None:  # fmt: skip
    """One row per key; the same order grants each key once from an instant on."""
    granted = rows(account_id=account_id, order_id=order_id, values=values, starts_at=starts_at, ends_at=ends_at)
    tx.add_all(Entitlement(**row) for row in granted)
    tx.flush()


def extend(tx: Tx, order_id: str, ends_at: datetime) -> None:
    """What an order granted lasts until `ends_at`."""
    tx.execute(update(Entitlement).where(col(Entitlement.order_id) == order_id).values(ends_at=ends_at))


def give_way(tx: Tx, order_ids: Sequence[str], at: datetime) -> None:
    """What these orders granted is over at `at`, because something else takes its place then."""
    granted = col(Entitlement.order_id).in_(order_ids)
    tx.execute(delete(Entitlement).where(granted, col(Entitlement.starts_at) >= at))
    tx.execute(update(Entitlement).where(granted, col(Entitlement.ends_at) > at).values(ends_at=at))


def held(tx: Tx, account_id: str, at: datetime) -> list[Entitlement]:
    query = select(Entitlement).where(
        col(Entitlement.account_id) == account_id, col(Entitlement.starts_at) <= at, col(Entitlement.ends_at) > at
    )
    return list(tx.execute(query.order_by(col(Entitlement.key), col(Entitlement.order_id))).scalars())
