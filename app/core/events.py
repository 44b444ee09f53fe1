"""What happened, recorded in the transaction in which it happened (ADR 0023).

Events of one object carry a gapless sequence, so a receiver can put them in order. Delivery is a job that is
deferred when the transaction commits, one for all its events; the rooms that deliver register it under `FAN_OUT`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Identity, String, UniqueConstraint, bindparam, func, insert, select, text
from sqlalchemy import event as on
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, col

from app.core import bulk, jobs
from app.core.db import INSTANT, Table, Tx, personal
from app.core.ids import new_id

FAN_OUT: Final = "events.fan_out"
_RECORDED: Final = "recorded_events"
_AT_ONCE: Final = 100


class Event(Table, table=True):
    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("object_id", "object_sequence"),)

    id: str = Field(primary_key=True)
    # Order of insertion over all objects, for GET /events?after=
    sequence: int | None = Field(
        default=None, sa_type=BigInteger, sa_column_args=[Identity(always=True)], unique=True, nullable=False
    )
    type: str = Field(index=True)
    object_id: str
    object_sequence: int
    account_id: str | None = Field(default=None, index=True)
    # A survey's comment may be in it, by policy.
    data: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("free_text"))
    occurred_at: datetime = Field(sa_type=INSTANT)


_TAKE_TURN: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("of_turn", type_=String), 0)))
# Not in one statement with the lock: what it counts has to be seen after waiting for one's turn.
_APPEND: Final = (
    insert(Event)
    .values(
        id=bindparam("new_id"), type=bindparam("of_type"), object_id=bindparam("of_object"),
        object_sequence=select(func.coalesce(func.max(col(Event.object_sequence)), 0) + 1)
        .where(col(Event.object_id) == bindparam("of_object"))
        .scalar_subquery(),
        account_id=bindparam("of_account"), data=bindparam("of_data"), occurred_at=bindparam("of_instant"),
    )
    .returning(Event)
)  # fmt: skip


def append(tx: Tx, kind: str, object_id: str, /, *, now: datetime, account_id: str | None = None, **data: Any) -> Event:
    """Record that `kind` (such as `invoice.paid`) happened to `object_id`; `data` is JSON without personal data."""
    tx.execute(_TAKE_TURN, {"of_turn": f"event:{object_id}"})
    event = tx.execute(
        _APPEND,
        {"new_id": new_id("evt"), "of_type": kind, "of_object": object_id, "of_account": account_id, "of_data": data,
         "of_instant": now},
    ).scalar_one()  # fmt: skip
    _recorded(tx).append(event.id)
    return event


def _recorded(tx: Tx) -> list[str]:
    ids: list[str] = tx.info.setdefault(_RECORDED, [])
    return ids


@on.listens_for(Tx, "before_commit")
def _fan_out(tx: Tx) -> None:
    """Put what was recorded on the queue. What went with a savepoint is on the list still; nobody will find it."""
    if tx.in_nested_transaction():
        return
    fan_out_later(tx, tx.info.pop(_RECORDED, ()))


def fan_out_later(tx: Tx, event_ids: Sequence[str]) -> None:
    """Put these events on the queue as part of `tx`; those that wait there already are fanned out once all the same."""
    parts = [event_ids[first : first + _AT_ONCE] for first in range(0, len(event_ids), _AT_ONCE)]
    jobs.defer_many(tx, FAN_OUT, [
        jobs.Order({"event_ids": ",".join(part)}, once=f"fan-out:{part[0]}") for part in parts
    ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happened:
    """What `append` is told, for many at once."""

    kind: str
    object_id: str
    account_id: str | None
    data: Mapping[str, Any] = field(default_factory=dict)


# In the order of the keys, so that two who take many turns never wait for each other in a circle.
_TAKE_TURNS: Final = text(
    "SELECT pg_advisory_xact_lock(turn) FROM (SELECT DISTINCT hashtextextended('event:' || object, 0) AS turn"
    " FROM unnest(CAST(:objects AS text[])) AS object ORDER BY 1) AS turns"
)
_LAST_OF: Final = text(
    "SELECT object_id, max(object_sequence) FROM event"
    " WHERE object_id IN (SELECT unnest(CAST(:objects AS text[]))) GROUP BY object_id"
)


def take_turns(tx: Tx, object_ids: Collection[str]) -> dict[str, int]:
    """Wait for one's turn at objects that others may know, and say how many events each has."""
    objects = bulk.array_text(list(object_ids))
    tx.execute(_TAKE_TURNS, {"objects": objects})
    return {object_id: int(last) for object_id, last in tx.execute(_LAST_OF, {"objects": objects})}


def append_many(tx: Tx, happened: Sequence[Happened], last: Mapping[str, int], now: datetime) -> None:
    """As `append`, by COPY. `last` is from `take_turns`; an object that is not in it is one that nobody knows yet."""
    if not happened:
        return
    numbers = dict(last)
    ids, rows = [], []
    for each in happened:
        numbers[each.object_id] = numbers.get(each.object_id, 0) + 1
        ids.append(new_id("evt"))
        rows.append({
            "id": ids[-1], "type": each.kind, "object_id": each.object_id,
            "object_sequence": numbers[each.object_id], "account_id": each.account_id, "data": each.data,
            "occurred_at": now,
        })  # fmt: skip
    bulk.copy(tx, Event, rows)
    _recorded(tx).extend(ids)
