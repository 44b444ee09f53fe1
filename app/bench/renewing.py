"""How fast due renewals are billed: against a bare COPY of the same rows, and against what nobody can do without.

In each round two worker processes, one for each core of the least machine, bill a slice; in between, the provider's
part: every charge has succeeded. Then their very rows are copied, from Python values as ours are, into tables without
any constraint, and into the real tables of a copy of the database, with the raw signatures beside them.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from math import ceil
from pathlib import Path
from statistics import median
from subprocess import PIPE
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Date, DateTime, Integer, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel, col

from app.bench import due
from app.bench.billing import ENDED
from app.bench.due import paid
from app.bench.harness import RUNS, CannotMeasure, Figure, cpu_seconds, quantile
from app.bench.house import CATALOG, ROOT
from app.config import Settings
from app.core import bulk, embedded_postgres, keys
from app.core.clock import FixedClock, transport_now
from app.core.db import Database, driver_connection
from app.core.ids import new_secret
from app.core.money import Money
from app.core.security import Secrets
from app.core.signing import RsaHolder
from app.flows import bulk_ordering
from app.flows.furnish import furnish
from app.flows.ports import Ports
from app.licenses.formats.mattermost import sign_payload
from app.payments import answers
from app.payments.models import AttemptState, ChargeAnswer, PaymentAttempt
from app.wiring import wire

DUE: Final = 100_000
SLICE: Final = 4_000
_WARM_UP: Final = 1_200
_WORKERS: Final = 2
_PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Copied:
    """One COPY of a billing run."""

    table: str
    columns: Sequence[str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for each renewal: wall time, and CPU time of the processes and their PostgreSQL backends."""

    wall: float
    cpu: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


@dataclass(frozen=True, slots=True)
class _Lap:
    """A round: ours, and what it is held against. `chunks` are seconds for each transaction of ours."""

    n: int
    ours: Cost
    bare: Cost
    by_rows: Cost
    text: Cost
    real: Cost
    signatures: Cost
    peak_mb: int
    chunks: Sequence[float]


def renewals(count: Callable[[int], int], *, whole: bool = False) -> Figure:
    """Due renewals to paid invoices, books, signed licenses and events; the provider's calls are left out.

    A slice in each round, or `whole`: all that are due, in as many rounds, which takes a quarter of an hour.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="blp-bench-")))
        cluster = stack.enter_context(embedded_postgres.throwaway(durable=True))
        embedded_postgres.create_database(cluster, "blp_bench")
        database, secret = Database(cluster.url("blp_bench"), pool_size=4), new_secret()
        secrets = Secrets(secret)
        now = transport_now()
        furnish(database, secrets, catalog=CATALOG, staff_email="sam@acme.example", by="bench", now=now)
        settings = Settings(env="test", secret_key=secret, _env_file=None)  # type: ignore[call-arg,arg-type]  # as pydantic reads them
        made = due.make(wire(settings, database).ports, count(DUE))
        with database.transaction() as tx:
            _, key = keys.license_key(tx, secrets, now)
        database.dispose()
        embedded_postgres.recreate_database(cluster, "blp_floor", template="blp_bench")
        floor = Database(cluster.url("blp_floor"), pool_size=1)
        for each in (database, floor):
            stack.callback(each.dispose)
        with floor.transaction() as tx:
            tx.execute(text("CREATE SCHEMA bare"))
        command = [sys.executable, "-m", "app.bench.billing", cluster.url("blp_bench"), secret, made.due_at.isoformat()]
        clock = FixedClock(made.due_at)
        crew = partial(_bill, command, replace(wire(settings, database).ports, clock=clock), folder)
        _round(crew(count(_WARM_UP)), floor, key)
        for each in (database, floor):  # as the server does by itself a minute later
            with each.reading() as connection:
                connection.execute(text("ANALYZE"))
            each.dispose()
        size = ceil((made.count - count(_WARM_UP)) / RUNS) if whole else count(SLICE)
        laps = [_round(crew(size), floor, key) for _ in range(RUNS)]
    return _figure(laps, made.count)


def _figure(laps: Sequence[_Lap], made: int) -> Figure:
    chunks = sorted(second for lap in laps for second in lap.chunks)

    def of(floor: Callable[[_Lap], Cost]) -> tuple[float, float]:
        """How much of a floor's speed is ours: by wall time, and by CPU time, which neighbours do not change."""
        wall = median(floor(lap).wall / lap.ours.wall for lap in laps)
        return round(wall, 3), round(median(floor(lap).cpu / lap.ours.cpu for lap in laps), 3)

    bare, rows, real = of(lambda lap: lap.bare), of(lambda lap: lap.by_rows), of(lambda lap: lap.real + lap.signatures)
    ready = of(lambda lap: lap.text)
    return Figure(
        name="renewals", unit="CPU ms each, of the workers and their backends",
        ours=median(lap.ours.cpu for lap in laps) * 1000, floor=median(lap.bare.cpu for lap in laps) * 1000,
        ratio=median(lap.ours.cpu / lap.bare.cpu for lap in laps),
        floor_is="COPY of the same rows, from Python values, into tables without constraints",
        n=min(lap.n for lap in laps), runs=len(laps), p50_ms=quantile(chunks, 0.5) * 1000,
        p99_ms=quantile(chunks, 0.99) * 1000,
        more={
            "due": made, "billed": sum(lap.n for lap in laps),
            "renewals_per_second": round(median(1 / lap.ours.wall for lap in laps), 1),
            "of_bare_copy": bare[0], "of_bare_copy_cpu": bare[1], "of_bare_copy_of_text": ready[0],
            "of_bare_copy_of_text_cpu": ready[1], "of_bare_copy_by_rows": rows[0],
            "of_bare_copy_by_rows_cpu": rows[1], "of_real_copy_and_signatures": real[0],
            "of_real_copy_and_signatures_cpu": real[1], "peak_mb": max(lap.peak_mb for lap in laps),
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Billed:
    """What the workers did: how many, at what cost for each, and the files of what they copied."""

    n: int
    cost: Cost
    laps: Sequence[float]
    peak_mb: int
    files: Sequence[Path]


def _bill(command: Sequence[str], ports: Ports, folder: Path, count: int) -> _Billed:
    """A slice, ordered and then completed by workers side by side. Raises CannotMeasure where one fails."""
    files = [folder / f"worker-{number}" for number in range(_WORKERS)]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(  # noqa: S603 -- ourselves
                [*command, str(file)], cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True,
            ))
            for file in files
        ]  # fmt: skip
        _phase(workers, "order 0")  # everything is imported, every connection is open
        ordering, ordered = _phase(workers, f"order {ceil(count / _WORKERS)}")
        _answer(ports)
        completing, completed = _phase(workers, "complete")
        for each in workers:
            each.communicate(timeout=_PATIENCE_SECONDS)
    n = sum(each["n"] for each in completed)
    if n != sum(each["n"] for each in ordered):
        raise CannotMeasure(f"{ordered} were ordered and {completed} completed")
    cpu = sum(each["cpu"] for each in (*ordered, *completed))
    laps = [lap for each in (*ordered, *completed) for lap in each["laps"]]
    peak = sum(each["peak_mb"] for each in completed)
    return _Billed(n, Cost((ordering + completing) / n, cpu / n), laps, peak, files)


def _phase(workers: "Sequence[subprocess.Popen[str]]", phase: str) -> tuple[float, list[dict[str, Any]]]:
    """Seconds until all workers are through with a phase, and what each says of it."""
    started = perf_counter()
    for each in workers:
        assert each.stdin is not None
        each.stdin.write(f"{phase}\n")
        each.stdin.flush()
    told = [each.stdout.readline() for each in workers if each.stdout is not None]
    seconds = perf_counter() - started
    for each, line in zip(workers, told, strict=True):
        if not line:
            raise CannotMeasure(f"a billing worker stopped: {each.communicate()[1][-2000:]}")
    return seconds, [json.loads(line) for line in told]


def _answer(ports: Ports) -> None:
    """The provider's part, and the charges' jobs that are not needed for it."""
    with ports.db.transaction() as tx:
        open_ = bulk.read(tx, PaymentAttempt, col(PaymentAttempt.state) == AttemptState.UNKNOWN)
        told = [paid(each.id, Money(each.amount_minor, each.currency), str(each.saved_method_ref)) for each in open_]
        rows = [answers.row(each.order_id, report, transport_now()) for each, report in zip(open_, told, strict=True)]
        bulk.copy(tx, ChargeAnswer, rows)
        tx.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = :name"), {"name": bulk_ordering.CHARGE})


def _round(billed: _Billed, floor: Database, key: RsaHolder) -> _Lap:
    """A slice that was billed, and its rows copied."""
    n = billed.n
    chunks = _transactions(billed.files)
    typed = [[(each, _typed(each)) for each in chunk] for chunk in chunks]
    rows = [[(each, _for_the_driver(each, found)) for each, found in chunk] for chunk in typed]
    _bare_tables(floor, chunks)
    payload = b"x" * 700
    spent = _spender(floor)
    ready = _timed(lambda: _copy_text(floor, chunks), spent, n)
    bare = _timed(lambda: _copy(floor, typed, "bare"), spent, n)
    by_rows = _timed(lambda: _copy_rows(floor, rows), spent, n)
    real = _timed(lambda: _copy(floor, typed, "public"), spent, n)
    signatures = _timed(lambda: [sign_payload(payload, key) for _ in range(n)], spent, n)
    return _Lap(n, billed.cost, bare, by_rows, ready, real, signatures, billed.peak_mb, billed.laps)


def _transactions(files: Sequence[Path]) -> list[list[Copied]]:
    """What the workers copied, by transaction, in the order in which these ended: later rows name earlier ones."""
    found: list[tuple[float, list[Copied]]] = []
    for file in files:
        with file.open("rb") as read:
            while line := read.readline():
                head = json.loads(line)
                if ENDED in head:
                    found.append((head[ENDED], []))
                else:
                    found[-1][1].append(Copied(head["table"], head["columns"], read.read(head["size"])))
    return [chunk for _, chunk in sorted(found, key=lambda each: each[0]) if chunk]


def _spender(database: Database) -> Callable[[], float]:
    """CPU time of this process and of the backend behind its one connection."""
    with database.transaction() as tx:
        backend = int(tx.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return lambda: process_time() + cpu_seconds(backend)


def _timed(act: Callable[[], object], spent: Callable[[], float], n: int) -> Cost:
    before, started = spent(), perf_counter()
    act()
    return Cost((perf_counter() - started) / n, (spent() - before) / n)


# Numbers come from a counter, which the end of a transaction looks at.
_COUNT_ON: Final = text(
    "UPDATE invoice_counter AS counter SET next_number = taken.last + 1 FROM (SELECT legal_entity_id, series, (SELECT"
    " max(sequence) FROM invoice WHERE invoice.legal_entity_id = each.legal_entity_id AND invoice.series = each.series)"
    " AS last FROM invoice_counter AS each) AS taken WHERE taken.last >= counter.next_number"
    " AND (counter.legal_entity_id, counter.series) = (taken.legal_entity_id, taken.series)"
)


def _copy(database: Database, chunks: Sequence[Sequence[tuple[Copied, list[dict[str, Any]]]]], schema: str) -> None:
    """COPY of Python values by the writer that ours goes through."""
    for chunk in chunks:
        with database.transaction() as tx:
            for copied, rows in chunk:
                data = bulk.lines_of(SQLModel.metadata.tables[copied.table], rows)
                bulk.copy_text(tx, copied.table, copied.columns, data, schema=schema)
            if schema == "public":
                tx.execute(_COUNT_ON)


def _copy_text(database: Database, chunks: Sequence[Sequence[Copied]]) -> None:
    for chunk in chunks:
        with database.transaction() as tx:
            for each in chunk:
                bulk.copy_text(tx, each.table, each.columns, each.data, schema="bare")


def _typed(copied: Copied) -> list[dict[str, Any]]:
    """The rows as Python values, by the types of their columns."""
    table = SQLModel.metadata.tables[copied.table]
    readers = [_reader(table.c[name].type) for name in copied.columns]
    return [
        {name: None if value is None else read(value) for name, value, read in
         zip(copied.columns, line, readers, strict=True)}
        for line in _values(copied)
    ]  # fmt: skip


def _reader(kind: object) -> Callable[[str], Any]:
    for of, read in _READERS:
        if isinstance(kind, of):
            return read
    return _unescaped


_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES[found[1]], value) if "\\" in value else value


_READERS: Final[tuple[tuple[type, Callable[[str], Any]], ...]] = (
    (JSONB, lambda value: json.loads(_unescaped(value))), (Boolean, lambda value: value == "t"), (Integer, int),
    (Numeric, Decimal), (DateTime, datetime.fromisoformat), (Date, date.fromisoformat),
)  # fmt: skip


def _bare_tables(database: Database, chunks: Sequence[Sequence[Copied]]) -> None:
    """Tables of the copied columns alone, where there are none yet."""
    with database.transaction() as tx:
        for each in {copied.table: copied for chunk in chunks for copied in chunk}.values():
            statement = SQL("CREATE TABLE IF NOT EXISTS bare.{table} AS SELECT {columns} FROM {table} WITH NO DATA")
            columns = SQL(", ").join(Identifier(name) for name in each.columns)
            driver_connection(tx).execute(statement.format(table=Identifier(each.table), columns=columns))


def _values(copied: Copied) -> list[list[str | None]]:
    """The rows as the driver takes them."""
    lines = copied.data.decode().split("\n")[:-1]
    return [[None if value == "\\N" else value for value in line.split("\t")] for line in lines]


def _for_the_driver(copied: Copied, rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The same Python values as the driver adapts them."""
    table = SQLModel.metadata.tables[copied.table]
    documents = {name for name in copied.columns if isinstance(table.c[name].type, JSONB)}
    return [
        [Jsonb(value) if name in documents and value is not None else value for name, value in row.items()]
        for row in rows
    ]


def _copy_rows(database: Database, chunks: Sequence[Sequence[tuple[Copied, list[list[Any]]]]]) -> None:
    """COPY of Python values as the driver writes them, row by row."""
    for chunk in chunks:
        with database.transaction() as tx, driver_connection(tx).cursor() as cursor:
            for copied, rows in chunk:
                statement = SQL("COPY bare.{} ({}) FROM STDIN").format(
                    Identifier(copied.table), SQL(", ").join(Identifier(name) for name in copied.columns)
                )
                with cursor.copy(statement) as stream:
                    for row in rows:
                        stream.write_row(row)
