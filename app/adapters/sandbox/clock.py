"""The sandbox's business clock: real time plus an offset that can only grow, shared by every process."""

from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert

from app.adapters.sandbox.models import SandboxClock
from app.core.clock import StoredClock, transport_now
from app.core.db import Database

_READ = text("SELECT offset_seconds FROM sandbox_clock WHERE id = 1")


def sandbox_clock(database: Database) -> StoredClock:
    def read_offset() -> timedelta:
        with database.reading() as connection:
            return timedelta(seconds=connection.execute(_READ).scalar() or 0)

    return StoredClock(read_offset, partial(set_to, database))


def set_to(database: Database, at: datetime) -> None:
    """Move business time forward to `at`; an earlier instant changes nothing."""
    seconds = max(0, int((at - transport_now()).total_seconds()) + 1)
    statement = insert(SandboxClock).values(id=1, offset_seconds=seconds)
    with database.transaction() as tx:
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["id"],
                set_={"offset_seconds": func.greatest(SandboxClock.offset_seconds, statement.excluded.offset_seconds)},
            )
        )
