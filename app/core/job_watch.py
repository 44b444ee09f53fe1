"""What became of jobs, for whoever looks after the queue: failures with their place, and the last good run.

The queue itself keeps states but no reasons, so a worker writes them down here. Neither arguments nor values are
kept, only where it broke and what the error said, without addresses.
"""

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field

from app.core.clock import transport_now
from app.core.db import INSTANT, Database, Table, Tx
from app.core.errors import DomainError, NotFound

_FRAMES: Final = 12
_LONGEST: Final = 300
_ADDRESS: Final = re.compile(r"[^\s'\"<>(){}\[\],;:]+@[^\s'\"<>(){}\[\],;:]+")
_KEPT: Final = timedelta(days=90)


class JobFailure(Table, table=True):
    """The last failure of a job that is being tried or was given up."""

    __tablename__ = "job_failure"

    job_id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    name: str
    error: str
    trace: str
    failed_at: datetime = Field(sa_type=INSTANT, index=True)


class JobRun(Table, table=True):
    """When a repeating job last ended well, in real time."""

    __tablename__ = "job_run"

    name: str = Field(primary_key=True)
    succeeded_at: datetime = Field(sa_type=INSTANT)


class SameJobWaits(DomainError):
    slug, title = "same-job-waits", "The same work is on the queue already"


def note_failure(database: Database, job_id: int, name: str, exc: BaseException) -> None:
    values = {"name": name, "error": _sentence(exc), "trace": _where(exc), "failed_at": transport_now()}
    made = insert(JobFailure).values(job_id=job_id, **values)
    with database.transaction() as tx:
        tx.execute(made.on_conflict_do_update(index_elements=["job_id"], set_=values))


def note_success(database: Database, name: str) -> None:
    values = {"succeeded_at": transport_now()}
    made = insert(JobRun).values(name=name, **values)
    with database.transaction() as tx:
        tx.execute(made.on_conflict_do_update(index_elements=["name"], set_=values))


def forget_old(database: Database, now: datetime) -> None:
    """Failures are kept for 90 days of real time."""
    with database.transaction() as tx:
        tx.execute(text("DELETE FROM job_failure WHERE failed_at < :until"), {"until": now - _KEPT})


def _sentence(exc: BaseException) -> str:
    """The first line only: the database puts the values of a row on the next ones."""
    said = (exc.detail if isinstance(exc, DomainError) else str(exc)).strip().partition("\n")[0]
    plain = _ADDRESS.sub("(address)", said)
    return f"{type(exc).__name__}: {plain}"[:_LONGEST] if plain else type(exc).__name__


def _where(exc: BaseException) -> str:
    """The last frames, innermost at the end: lines of code, no values."""
    return "".join(traceback.format_tb(exc.__traceback__)[-_FRAMES:]).rstrip()


# --- Looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Depth:
    """One kind of job. `waiting` counts what is due now, `later` what a retry or a delivery put off."""

    name: str
    waiting: int
    later: int
    running: int
    failed: int
    oldest: datetime | None  # since when the oldest that is due waits


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that was given up. `error` and `trace` are empty where no worker lived to write them down."""

    job_id: int
    name: str
    arguments: Mapping[str, Any]
    attempts: int
    failed_at: datetime
    error: str
    trace: str


_DEPTHS: Final = text("""
SELECT j.task_name AS name,
       count(*) FILTER (WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()) AS waiting,
       count(*) FILTER (WHERE j.status = 'todo' AND j.scheduled_at > now()) AS later,
       count(*) FILTER (WHERE j.status = 'doing') AS running,
       count(*) FILTER (WHERE j.status = 'failed') AS failed,
       min(coalesce(j.scheduled_at, e.at))
           FILTER (WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()) AS oldest
  FROM procrastinate_jobs j
  LEFT JOIN LATERAL (
       SELECT min(at) AS at FROM procrastinate_events WHERE job_id = j.id AND j.status = 'todo' AND type = 'deferred'
  ) e ON true
 WHERE j.status IN ('todo', 'doing', 'failed')
 GROUP BY j.task_name ORDER BY j.task_name
""")
_FAILED: Final = text("""
SELECT j.id, j.task_name, j.args, j.attempts, coalesce(f.failed_at, e.at, now()) AS failed_at,
       coalesce(f.error, '') AS error, coalesce(f.trace, '') AS trace
  FROM procrastinate_jobs j
  LEFT JOIN job_failure f ON f.job_id = j.id
  LEFT JOIN LATERAL (SELECT max(at) AS at FROM procrastinate_events WHERE job_id = j.id AND type = 'failed') e ON true
 WHERE j.status = 'failed' ORDER BY j.id DESC LIMIT :limit
""")
_WORKERS: Final = text(
    "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - :alive * interval '1s'"
)
_LOCK_FAILED: Final = text("SELECT task_name FROM procrastinate_jobs WHERE id = :id AND status = 'failed' FOR UPDATE")
_RETRY: Final = text("SELECT procrastinate_retry_job_v2(:id, now(), NULL::integer, NULL::varchar, NULL::varchar)")


def depths(tx: Tx) -> list[Depth]:
    """Every kind of job of which there is something waiting, running or failed."""
    return [Depth(**row) for row in tx.execute(_DEPTHS).mappings()]


def failed(tx: Tx, limit: int = 100) -> list[Failed]:
    """What was given up, newest first."""
    return [
        Failed(row.id, row.task_name, row.args, row.attempts, row.failed_at, row.error, row.trace)
        for row in tx.execute(_FAILED, {"limit": limit})
    ]


def workers(tx: Tx, *, alive_seconds: int) -> int:
    """How many workers have given a sign of life within `alive_seconds`."""
    return int(tx.execute(_WORKERS, {"alive": alive_seconds}).scalar_one())


def last_good_runs(tx: Tx) -> dict[str, datetime]:
    return {row.name: row.succeeded_at for row in tx.execute(text("SELECT name, succeeded_at FROM job_run"))}


def retry(tx: Tx, job_id: int) -> str:
    """Put a failed job back on the queue for one more try; returns its name. Raises NotFound, SameJobWaits."""
    name = tx.execute(_LOCK_FAILED, {"id": job_id}).scalar()
    if name is None:
        raise NotFound("There is no such failed job; it may have been retried already.")
    try:
        with tx.begin_nested():
            tx.execute(_RETRY, {"id": job_id})
    except IntegrityError as exc:  # two unstarted jobs never share a queueing lock
        raise SameJobWaits("An equal job waits already and does the same work.") from exc
    return str(name)


def failed_count(tx: Tx) -> int:
    return int(tx.execute(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'")).scalar_one())


def failed_ids(tx: Tx, limit: int = 1000) -> Sequence[int]:
    query = text("SELECT id FROM procrastinate_jobs WHERE status = 'failed' ORDER BY id LIMIT :limit")
    return tx.execute(query, {"limit": limit}).scalars().all()
