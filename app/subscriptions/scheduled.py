"""What the next term looks like: as the present one ends, less what is scheduled to go down with it (R-PRO-6)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.catalog.models import Plan
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.states import require_move
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription


@dataclass(frozen=True, slots=True)
class LineNext:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the next term has less of; None and nothing stay as they are held when the term ends."""

    plan_id: str | None = None
    seats: int | None = None
    dropped: tuple[str, ...] = ()  # skus of add-ons

    def to_json(self) -> dict[str, Any]:
        return {"plan_id": self.plan_id, "seats": self.seats, "dropped": list(self.dropped)}


def next_term(tx: Tx, subscription: Subscription, seats: int | None = None) -> tuple[LineNext, ...]:
    """The lines of the next term, the plan first; `seats` are those wished for when renewing, for every line.

    Everybody who prices, sells or bills a next term asks here.
    """
    lines = sorted(subscriptions.lines(tx, subscription.id), key=lambda line: line.plan_id != subscription.plan_id)
    held = [LineNext(line.sku, line.quantity) for line in lines]
    wished = scheduled(tx, subscription.id)
    if wished is not None:
        plan = tx.get_one(Plan, wished.plan_id) if wished.plan_id else None
        held = with_wish(held, Wish(wished.plan_id, wished.seats, tuple(wished.dropped)), plan.sku if plan else None)
    return tuple(replace(line, quantity=seats or line.quantity) for line in held)


def with_wish(held: Sequence[LineNext], wish: Wish, plan_sku: str | None) -> list[LineNext]:
    """The lines after a wish: an add-on that is held for every seat goes down with the seats."""
    plan, *add_ons = held
    seats = min(wish.seats or plan.quantity, plan.quantity)
    kept = [each for each in add_ons if each.sku not in wish.dropped]
    return [
        LineNext(plan_sku or plan.sku, seats),
        *(replace(each, quantity=seats) if each.quantity == plan.quantity else each for each in kept),
    ]


def scheduled(tx: Tx, subscription_id: str) -> ScheduledChange | None:
    """What is scheduled for the next term, if anything is."""
    query = select(ScheduledChange).where(
        col(ScheduledChange.subscription_id) == subscription_id, col(ScheduledChange.state) == ScheduledState.SCHEDULED
    )
    return tx.execute(query).scalar_one_or_none()


def all_of(tx: Tx, subscription_id: str) -> list[ScheduledChange]:
    """Newest first, whatever became of them."""
    query = select(ScheduledChange).where(col(ScheduledChange.subscription_id) == subscription_id)
    return list(tx.execute(query.order_by(col(ScheduledChange.id).desc())).scalars())


def schedule(tx: Tx, subscription: Subscription, wish: Wish, *, by: str, now: datetime) -> ScheduledChange:
    """Write a wish down; one that stood before is withdrawn by it. The caller holds the subscription's lock."""
    before = scheduled(tx, subscription.id)
    if before is not None:
        _close(before, ScheduledState.WITHDRAWN, by, now)
        tx.flush()
    row = ScheduledChange(
        id=new_id("chg"), subscription_id=subscription.id, state=ScheduledState.SCHEDULED, plan_id=wish.plan_id,
        seats=wish.seats, dropped=list(wish.dropped), requested_by=by, requested_at=now,
    )  # fmt: skip
    tx.add(row)
    subscription.revision += 1
    tx.flush()
    return row


def withdraw(tx: Tx, subscription: Subscription, change_id: str, *, by: str, now: datetime) -> ScheduledChange:
    """Take a wish back. Raises NotFound, MoveRefused for one that was withdrawn or carried out."""
    row = tx.get(ScheduledChange, change_id)
    if row is None or row.subscription_id != subscription.id:
        raise NotFound("There is no such change of this subscription.")
    _close(row, ScheduledState.WITHDRAWN, by, now)
    subscription.revision += 1
    tx.flush()
    return row


def apply(tx: Tx, subscription: Subscription, order_id: str, *, now: datetime) -> ScheduledChange | None:
    """The renewal has begun the next term: what was scheduled for it is done."""
    row = scheduled(tx, subscription.id)
    if row is not None:
        row.order_id = order_id
        _close(row, ScheduledState.APPLIED, "renewal", now)
        tx.flush()
    return row


def _close(row: ScheduledChange, state: ScheduledState, by: str, now: datetime) -> None:
    require_move("scheduled_change", row.state, state)
    row.state, row.closed_by, row.closed_at = state, by, now
