"""Granting what was bought, for as long as it was bought."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlmodel import col

from app.core.db import Tx
from app.core.ids import new_id
from app.entitlements.models import Entitlement


def rows(
    *, account_id: str, subscription_id: str, order_id: str, values: Mapping[str, Any], starts_at: datetime,
    ends_at: datetime,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row per key."""
    return [
        {"id": new_id("ent"), "account_id": account_id, "subscription_id": subscription_id, "order_id": order_id,
         "key": key, "value": value, "starts_at": starts_at, "ends_at": ends_at}
        for key, value in sorted(values.items())
    ]  # fmt: skip


def grant(
    tx: Tx, *, account_id: str, subscription_id: str, order_id: str, values: Mapping[str, Any], starts_at: datetime,
    ends_at: datetime,
) -> None:  # fmt: skip
    """One row per key; the same order grants each key once from an instant on."""
    granted = rows(account_id=account_id, subscription_id=subscription_id, order_id=order_id, values=values,
                   starts_at=starts_at, ends_at=ends_at)  # fmt: skip
    tx.add_all(Entitlement(**row) for row in granted)
    tx.flush()


def extend(tx: Tx, order_id: str, ends_at: datetime) -> None:
    """What an order granted lasts until `ends_at`."""
    tx.execute(update(Entitlement).where(col(Entitlement.order_id) == order_id).values(ends_at=ends_at))


def give_way(tx: Tx, subscription_id: str, at: datetime) -> None:
    """What a subscription was granted so far is over at `at`, because something else takes its place then."""
    granted = col(Entitlement.subscription_id) == subscription_id
    tx.execute(delete(Entitlement).where(granted, col(Entitlement.starts_at) >= at))
    tx.execute(update(Entitlement).where(granted, col(Entitlement.ends_at) > at).values(ends_at=at))


def held(tx: Tx, account_id: str, at: datetime) -> list[Entitlement]:
    query = select(Entitlement).where(
        col(Entitlement.account_id) == account_id, col(Entitlement.starts_at) <= at, col(Entitlement.ends_at) > at
    )
    return list(tx.execute(query.order_by(col(Entitlement.key), col(Entitlement.id))).scalars())
