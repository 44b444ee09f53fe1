"""A repeated request gets the first answer (INTERFACES, `Idempotency-Key`).

Same key and body: the stored answer. Same key, other body: refused. First one still running: refused, try
again. An answer of 500 or more is not kept, so the next try runs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from sqlalchemy import LargeBinary, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from app.core.db import INSTANT, Database, Table, personal
from app.core.errors import DomainError

# A process that died mid-request releases its key after this long.
_ABANDONED: Final = timedelta(minutes=2)
KEPT: Final = timedelta(days=30)
MAX_KEY_LENGTH: Final = 255


class KeyReused(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"
    title = "This Idempotency-Key was used with another request"


class InFlight(DomainError):
    slug, title = "idempotency-in-flight", "The first request with this Idempotency-Key is still running"


class IdempotencyRecord(Table, table=True):
    __tablename__ = "idempotency_record"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str
    started_at: datetime = Field(sa_type=INSTANT, index=True)
    status: int | None = None
    content_type: str | None = None
    body: bytes | None = Field(default=None, sa_type=LargeBinary, sa_column_kwargs=personal("contact"))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


def begin(database: Database, scope: str, key: str, request_hash: str, now: datetime) -> Answer | None:
    """Claim the key, or return the stored answer. Raises KeyReused or InFlight."""
    with database.transaction() as tx:
        claimed = tx.execute(
            insert(IdempotencyRecord)
            .values(scope=scope, key=key, request_hash=request_hash, started_at=now)
            .on_conflict_do_nothing()
            .returning(col(IdempotencyRecord.key))
        ).scalar()
        if claimed:
            return None
        record = tx.execute(
            select(IdempotencyRecord)
            .where(col(IdempotencyRecord.scope) == scope, col(IdempotencyRecord.key) == key)
            .with_for_update()
        ).scalar_one()
        if record.request_hash != request_hash:
            raise KeyReused(
                "Use a new key for a new request; this key belongs to a different one.", param="Idempotency-Key"
            )
        if record.status is not None and record.body is not None:
            return Answer(record.status, record.content_type or "application/json", record.body)
        if now - record.started_at < _ABANDONED:
            raise InFlight("Wait for the first answer, or ask again in a moment.", param="Idempotency-Key")
        record.started_at = now
        return None


def finish(database: Database, scope: str, key: str, answer: Answer) -> None:
    """Keep the answer for repeats, or release the key if the answer was a failure of ours."""
    with database.transaction() as tx:
        record = tx.get_one(IdempotencyRecord, (scope, key))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            tx.delete(record)
        else:
            record.status, record.content_type, record.body = answer.status, answer.content_type, answer.body


def forget_old(database: Database, now: datetime) -> None:
    with database.transaction() as tx:
        tx.execute(delete(IdempotencyRecord).where(col(IdempotencyRecord.started_at) < now - KEPT))
