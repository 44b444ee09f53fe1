"""What happened, recorded in the transaction in which it happened (ADR 0023).

Events of one object carry a gapless sequence, so a receiver can put them in order. Delivery is a job that
is deferred on the same transaction; the rooms that deliver register it under `FAN_OUT`.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Identity, String, UniqueConstraint, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, col

from app.core import jobs
from app.core.db import INSTANT, Table, Tx, personal
from app.core.ids import new_id

FAN_OUT: Final = "events.fan_out"


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
    jobs.defer(tx, FAN_OUT, event_id=event.id)
    return event
