"""How fast due renewals are billed: against a bare COPY of the same rows, and against what nobody can do without.

In each round a worker of its own bills a slice; then its very rows are copied, from Python values as ours are, into
tables without any constraint, and into the real tables of a copy of the database, with the raw signatures beside them.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Date, DateTime, Integer, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from app.bench import due
from app.bench.billing import A_CHUNK
from app.bench.harness import RUNS, CannotMeasure, Figure, cpu_seconds, quantile
from app.bench.house import CATALOG, ROOT
from app.config import Settings
from app.core import bulk, embedded_postgres, keys
from app.core.clock import transport_now
from app.core.db import Database, driver_connection
from app.core.ids import new_secret
from app.core.security import Secrets
from app.flows.furnish import furnish
from app.licenses.mattermost import sign_payload
from app.wiring import wire

DUE: Final = 100_000
SLICE: Final = 4_000
_WARM_UP: Final = 1_200
_PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Copied:
    """One COPY of a billing run."""

    table: str
    columns: Sequence[str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for each renewal: wall time, and CPU time of the process and its PostgreSQL backend."""

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
        stack.callback(floor.dispose)
        with floor.transaction() as tx:
            tx.execute(text("CREATE SCHEMA bare"))
        command = [sys.executable, "-m", "app.bench.billing", cluster.url("blp_bench"), secret, made.due_at.isoformat()]
        _round(command, count(_WARM_UP), folder / "warm", floor, key)
        for each in (database, floor):  # as the server does by itself a minute later
            with each.reading() as connection:
                connection.execute(text("ANALYZE"))
            each.dispose()
        size = ceil((made.count - count(_WARM_UP)) / RUNS) if whole else count(SLICE)
        laps = [_round(command, size, folder / str(number), floor, key) for number in range(RUNS)]
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
        name="renewals", unit="CPU ms each, of a worker and its backend",
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


def _round(command: Sequence[str], count: int, file: Path, floor: Database, key: RSAPrivateKey) -> _Lap:
    """A slice billed by a process of its own, and its rows copied. Raises CannotMeasure where it fails."""
    done = subprocess.run(  # noqa: S603 -- ourselves
        [*command, str(count), str(file)], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=_PATIENCE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise CannotMeasure(f"the billing worker stopped: {done.stderr[-2000:]}")
    ours: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    n = int(ours["n"])
    chunks = list(_transactions(file))
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
    file.unlink()
    return _Lap(
        n,
        Cost(ours["seconds"] / n, ours["cpu"] / n),
        bare,
        by_rows,
        ready,
        real,
        signatures,
        ours["peak_mb"],
        ours["laps"],
    )


def _transactions(file: Path) -> Iterator[list[Copied]]:
    """What a run copied, by transaction."""
    chunk: list[Copied] = []
    with file.open("rb") as read:
        while line := read.readline():
            head = json.loads(line)
            if head != A_CHUNK:
                chunk.append(Copied(head["table"], head["columns"], read.read(head["size"])))
            elif chunk:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _spender(database: Database) -> Callable[[], float]:
    """CPU time of this process and of the backend behind its one connection."""
    with database.reading() as connection:
        backend = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
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
