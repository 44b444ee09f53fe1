"""The job queue, wrapped once (ADR 0004).

A job is deferred on the business transaction's own connection, so it exists exactly if that transaction
commits: this is the transactional outbox. Arguments are ids; every job is idempotent; its retry policy
stands at its definition. Business time never lives here: what happens on a date is a row with `due_at`
that a tick selects.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import procrastinate
import structlog
from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.jobs import Job as QueuedJob
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text

from app.core import job_watch
from app.core.bulk import array_text
from app.core.db import Database, Tx, driver_connection, json_text
from app.core.errors import DomainError

log = structlog.get_logger()

Argument = str | int | bool | None
T = TypeVar("T")
# Without a heartbeat for this long a worker is dead and its jobs go back to the queue.
DEFAULT: Final = "default"
STALLED_AFTER_SECONDS: Final = 30
_DONE_KEPT_HOURS: Final = 7 * 24


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait `first`, then `factor` times longer each time up to `cap` seconds; give up after `attempts` tries."""

    attempts: int = 12
    first: int = 1
    factor: int = 3
    cap: int = 6 * 3600

    def wait_after(self, tries: int) -> int | None:
        """Seconds to wait after the `tries`-th failure, or None to give up."""
        if tries >= self.attempts:
            return None
        return int(min(self.first * self.factor ** (tries - 1), self.cap))


class _Strategy(BaseRetryStrategy):
    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision | None:
        # The queue counts finished attempts from 0.
        wait = self._retry.wait_after(job.attempts + 1)
        asked = exception.extra.get("retry_after") if isinstance(exception, DomainError) else None
        if wait is not None and isinstance(asked, int):
            wait = max(wait, asked)  # whoever refused us knows best when it will take us
        log.warning(
            "job.failed", job=job.task_name, attempt=job.attempts + 1, error=type(exception).__name__, wait=wait
        )
        return None if wait is None else RetryDecision(retry_in={"seconds": wait})


@dataclass(frozen=True, slots=True)
class Job:
    """A registered job: `run(ports, **arguments)`."""

    name: str
    run: Callable[..., None]
    retry: Retry
    every: str | None = None  # cron expression of real time, for the few jobs that repeat


@dataclass(slots=True)
class Registry:
    jobs: dict[str, Job] = field(default_factory=dict)


_registry: Final = Registry()


def job(name: str, *, retry: Retry | None = None, every: str | None = None) -> Callable[[Callable[..., None]], Job]:
    """Register a function as the job `name`. Its first argument is the Ports of the worker that runs it."""

    def register(run: Callable[..., None]) -> Job:
        made = Job(name, run, retry or Retry(), every)
        if name in _registry.jobs:
            raise ValueError(f"two jobs are called {name!r}")
        _registry.jobs[name] = made
        return made

    return register


def registered() -> Mapping[str, Job]:
    return _registry.jobs


# Deferring needs only the queue's SQL on a connection we hand it; this connector is never opened.
_deferrer: Final = App(connector=SyncPsycopgConnector())


def defer(
    tx: Tx,
    what: Job | str,
    *,
    lock: str | None = None,
    once: str | None = None,
    at: datetime | None = None,
    priority: int = 0,
    queue: str = DEFAULT,
    **arguments: Argument,
) -> None:
    """Put a job on the queue as part of `tx`.

    `lock` runs jobs with the same lock one after the other; `once` drops this one if an unstarted job with
    the same key waits already; `at` is real time, for retries of deliveries, never business time;
    of jobs that are due, those of a higher `priority` go first. A worker works off every `queue`; one that is told
    apart can be given workers of its own.
    """
    name = what.name if isinstance(what, Job) else what
    tx.flush()
    connection = driver_connection(tx)
    deferrer = _deferrer.configure_task(
        name,
        allow_unknown=True,
        lock=lock,
        queueing_lock=once,
        schedule_at=at,
        priority=priority,
        queue=queue,
        connection=connection,
    )
    if once is None:
        deferrer.defer(**arguments)
        return
    try:
        with tx.begin_nested():  # the refused insert must not end the caller's transaction
            tx.connection()  # the savepoint is only set when the session is used, and the queue goes past it
            deferrer.defer(**arguments)
    except procrastinate.exceptions.AlreadyEnqueued:
        log.debug("job.already_waiting", job=name, key=once)


@dataclass(frozen=True, slots=True)
class Order:
    """One job of many of a kind; `lock` and `once` as in `defer`."""

    arguments: Mapping[str, Argument]
    lock: str | None = None
    once: str | None = None


# What the queue's own function writes, but a job whose key waits already is left out instead of refusing them all.
_DEFER_MANY = text(
    "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)"
    " SELECT 'default', :name, 0, job.lock, job.once, job.args"
    " FROM unnest(CAST(:locks AS text[]), CAST(:onces AS text[]), CAST(:args AS jsonb[])) AS job (lock, once, args)"
    " ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING"
)


def defer_many(tx: Tx, what: Job | str, orders: Sequence[Order]) -> None:
    """`defer` for many jobs of one kind, in one statement."""
    if not orders:
        return
    tx.flush()
    tx.execute(_DEFER_MANY, {
        "name": what.name if isinstance(what, Job) else what, "locks": array_text([each.lock for each in orders]),
        "onces": array_text([each.once for each in orders]),
        "args": array_text([json_text(dict(each.arguments)) for each in orders]),
    })  # fmt: skip


_WAITING_KEYS = text(
    "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' "
    " AND queueing_lock IN (SELECT unnest(CAST(:keys AS text[])))"
)


def waiting_keys(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Those of the `once` keys under which an unstarted job waits."""
    return set(tx.execute(_WAITING_KEYS, {"keys": array_text(keys)}).scalars())


def build_app(database: Database, ports: object, *, repeating: bool = True) -> App:
    """The queue as a worker runs it: every registered job bound to this process's ports.

    `repeating=False` leaves out the schedule: jobs that repeat run only where somebody defers them.
    """
    app = App(connector=PsycopgConnector(conninfo=database.conninfo, min_size=1, max_size=8))
    for each in _registry.jobs.values():
        task = app.task(name=each.name, retry=_Strategy(each.retry), pass_context=True)(_bind(each, ports, database))
        if each.every and repeating:
            app.periodic(cron=each.every)(task)
    return app


def _bind(each: Job, ports: object, database: Database) -> Callable[..., None]:
    def run(context: JobContext, timestamp: int | None = None, **arguments: Argument) -> None:
        if timestamp is not None and each.every is None:
            arguments["timestamp"] = timestamp
        with structlog.contextvars.bound_contextvars(job=each.name):
            try:
                each.run(ports, **arguments)
            except Exception as exc:
                if context.job.id is not None:
                    job_watch.note_failure(database, context.job.id, each.name, exc)
                raise
            if each.every is not None:
                job_watch.note_success(database, each.name)

    run.__name__ = each.name
    return run


async def work(app: App, *, concurrency: int = 4) -> None:
    """Run jobs until the process is told to stop."""
    async with app.open_async():
        await app.run_worker_async(concurrency=concurrency, fetch_job_polling_interval=1.0, listen_notify=True)


class Drain:
    """Works off what is due now, and what that defers, each time it is called: for tests and walks of the clock.

    It has a thread and an event loop of its own, so it may be called where one runs already, and its connections stay
    open from one time to the next.
    """

    def __init__(self, app: App, *, queues: Sequence[str] | None = None) -> None:
        """Of these `queues` only, where they are given."""
        self._app = app
        self._only: dict[str, Any] = {} if queues is None else {"queues": list(queues)}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="drain")
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> None:
        self._thread.submit(lambda: self._loop.run(self._catch_up(self._app))).result()

    def instead(self, app: App) -> None:
        """Work off what is due as `app` has it, over the connections that are open: another wiring of one database."""
        self._thread.submit(lambda: self._loop.run(self._catch_up(app))).result()

    async def _catch_up(self, app: App) -> None:
        await self._app.open_async()
        if app is not self._app:
            await app.open_async(_pool_of(self._app))
        await app.run_worker_async(
            **self._only, wait=False, install_signal_handlers=False, listen_notify=False, concurrency=1
        )

    def close(self) -> None:
        """Close the connections; afterwards it is of no use."""
        with self._thread as thread:
            thread.submit(lambda: self._loop.run(self._app.close_async())).result()
            thread.submit(self._loop.close).result()


def _pool_of(app: App) -> AsyncConnectionPool[Any]:
    connector = app.connector
    assert isinstance(connector, PsycopgConnector)
    return connector.pool


def retry_stalled(app: App) -> int:
    """Give jobs of dead workers back to the queue; returns how many."""

    async def retry() -> int:
        stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS))
        for each in stalled:
            await app.job_manager.retry_job(each)
            log.warning("job.stalled_retried", job=each.task_name, id=each.id)
        return len(stalled)

    return asyncio.run(_opened(app, retry))


def forget_done(app: App) -> None:
    """Remove jobs that ended well some days ago; what failed stays until somebody has looked at it."""
    asyncio.run(_opened(app, lambda: app.job_manager.delete_old_jobs(nb_hours=_DONE_KEPT_HOURS)))


async def _opened(app: App, step: Callable[[], Awaitable[T]]) -> T:
    async with app.open_async():
        return await step()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much the queue holds: due now or running, due later, and given up."""

    due: int
    later: int
    failed: int


_COUNT = text(
    "SELECT count(*) FILTER (WHERE status = 'doing'"
    " OR status = 'todo' AND coalesce(scheduled_at, now()) <= now()) AS due,"
    " count(*) FILTER (WHERE status = 'todo' AND scheduled_at > now()) AS later,"
    " count(*) FILTER (WHERE status = 'failed') AS failed FROM procrastinate_jobs WHERE status <> 'succeeded'"
)


def waiting(database: Database) -> Waiting:
    with database.reading() as connection:
        row = connection.execute(_COUNT).one()
    return Waiting(due=row.due, later=row.later, failed=row.failed)


def schema_sql() -> str:
    """The queue's own schema, applied by `blp migrate`."""
    return _deferrer.schema_manager.get_schema()
