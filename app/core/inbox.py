"""Events from outside, stored before anything is done with them (ADR 0005).

Receiving twice stores once; what is de-duplicated is "handled", marked in the transaction of the effect.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, col

from app.core.db import INSTANT, Table, Tx, personal, row_id


class InboxEvent(Table, table=True):
    __tablename__ = "inbox_event"
    __table_args__ = (UniqueConstraint("source", "external_id"),)

    id: int | None = row_id()
    source: str
    external_id: str
    type: str
    payload: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("free_text"))
    received_at: datetime = Field(sa_type=INSTANT)
    handled_at: datetime | None = Field(default=None, sa_type=INSTANT, index=True)
    outcome: str | None = None


def store(tx: Tx, source: str, external_id: str, kind: str, payload: dict[str, Any], now: datetime) -> int | None:
    """Keep an event. Returns its row id, or None if it is here already."""
    return tx.execute(
        insert(InboxEvent)
        .values(source=source, external_id=external_id, type=kind, payload=payload, received_at=now)
        .on_conflict_do_nothing(index_elements=["source", "external_id"])
        .returning(col(InboxEvent.id))
    ).scalar()


def lock_unhandled(tx: Tx, event_id: int) -> InboxEvent | None:
    """The event, locked, or None if it was handled already; a concurrent handler waits here."""
    event = tx.execute(select(InboxEvent).where(col(InboxEvent.id) == event_id).with_for_update()).scalar_one()
    return None if event.handled_at else event


def mark_handled(event: InboxEvent, outcome: str, now: datetime) -> None:
    event.handled_at, event.outcome = now, outcome
