"""Taking turns at a provider that counts how often it is called, across all processes (ADR 0037).

A lane is one thing the provider counts, such as an endpoint. Its row says when the next call may begin. A caller books
that instant and moves it on by the gap between two calls, in a transaction of its own that is over before it waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Field

from app.core import policy
from app.core.db import INSTANT, Table, Tx

CALLS_PER_SECOND: Final = policy.declare(
    policy.Policy(
        "payment_calls_per_second", 25, policy.whole_number(minimum=1),
        "How often one endpoint of the payment provider may be called in a second, by all processes together.",
    )
)  # fmt: skip


class ProviderPace(Table, table=True):
    """When a lane is free again, by the database's clock: the only one that all machines share."""

    __tablename__ = "provider_pace"

    lane: str = Field(primary_key=True)
    free_at: datetime = Field(sa_type=INSTANT)


@dataclass(frozen=True, slots=True)
class Lane:
    """`share` is the part of the policy's calls per second that this lane carries."""

    name: str
    share: float = 1.0


# A fifth is kept back: calls that begin evenly do not arrive evenly, least of all from a machine that is busy.
USED: Final = 0.8
_BOOK: Final = text(
    "INSERT INTO provider_pace AS lane (lane, free_at)"
    " VALUES (:lane, clock_timestamp() + cast(:earliest AS interval) + cast(:gap AS interval))"
    " ON CONFLICT (lane) DO UPDATE"
    " SET free_at = greatest(lane.free_at, clock_timestamp() + cast(:earliest AS interval)) + cast(:gap AS interval)"
    " WHERE lane.free_at <= clock_timestamp() + cast(:patience AS interval)"
    " RETURNING lane.free_at - cast(:gap AS interval) - clock_timestamp()"
)
_HOLD: Final = text(
    "INSERT INTO provider_pace AS lane (lane, free_at) VALUES (:lane, clock_timestamp() + cast(:pause AS interval))"
    " ON CONFLICT (lane) DO UPDATE SET free_at = greatest(lane.free_at, clock_timestamp() + cast(:pause AS interval))"
)


class LineTooLong(Exception):
    """Nobody was asked: so many callers wait already that this one would wait longer than it wants to."""


def book(tx: Tx, lanes: Sequence[Lane], *, patience: timedelta, now: datetime) -> timedelta:
    """Book the next turn in every lane; returns how long to wait for it. Raises LineTooLong, and books nothing then.

    Later lanes are booked for the turn that the earlier ones gave, so each keeps its gap. All callers name lanes in
    the same order.
    """
    _forget_when_the_power_fails(tx)
    calls, wait = policy.get(tx, CALLS_PER_SECOND, now) * USED, timedelta()
    for lane in lanes:
        gap = timedelta(seconds=1 / (calls * lane.share))
        wanted = {"lane": lane.name, "gap": gap, "patience": patience, "earliest": max(wait, timedelta())}
        booked = tx.execute(_BOOK, wanted).scalar_one_or_none()
        if booked is None:
            raise LineTooLong(lane.name)
        wait = max(wait, booked)
    return max(wait, timedelta())


def hold(tx: Tx, lane: Lane, pause: timedelta) -> None:
    """Let nobody begin before `pause` is over: the provider said that it is called too often."""
    _forget_when_the_power_fails(tx)
    tx.execute(_HOLD, {"lane": lane.name, "pause": pause})


def _forget_when_the_power_fails(tx: Tx) -> None:
    """A booking is worth nothing a second later, so its commit does not wait for the disk."""
    tx.execute(text("SET LOCAL synchronous_commit = off"))
