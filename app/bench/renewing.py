"""How fast due renewals are billed: against a bare COPY of the same rows, and against what nobody can do without.

In each round a worker of its own bills a slice; then its very rows are copied into tables without any constraint, and
into the real tables of a copy of the database, with the raw signatures beside them.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from app.bench import due
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
_FIRST: Final = frozenset({"tax_determination", "payment"})  # a transaction of ours begins with one of these
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
    real: Cost
    signatures: Cost
    peak_mb: int
    chunks: Sequence[float]


def renewals(count: Callable[[int], int]) -> Figure:
    """Due renewals to paid invoices, books, signed licenses and events; the provider's calls are left out."""
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
        embedded_postgres.create_database(cluster, "blp_floor", template="blp_bench")
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
        laps = [_round(command, count(SLICE), folder / str(number), floor, key) for number in range(RUNS)]
    return _figure(laps, made.count)


def _figure(laps: Sequence[_Lap], made: int) -> Figure:
    chunks = sorted(second for lap in laps for second in lap.chunks)

    def of(floor: Callable[[_Lap], Cost]) -> tuple[float, float]:
        """How much of a floor's speed is ours: by wall time, and by CPU time, which neighbours do not change."""
        wall = median(floor(lap).wall / lap.ours.wall for lap in laps)
        return round(wall, 3), round(median(floor(lap).cpu / lap.ours.cpu for lap in laps), 3)

    bare, rows, real = of(lambda lap: lap.bare), of(lambda lap: lap.by_rows), of(lambda lap: lap.real + lap.signatures)
    return Figure(
        name="renewals", unit="CPU ms each, of a worker and its backend",
        ours=median(lap.ours.cpu for lap in laps) * 1000, floor=median(lap.bare.cpu for lap in laps) * 1000,
        ratio=median(lap.ours.cpu / lap.bare.cpu for lap in laps),
        floor_is="COPY of the very text into tables without constraints", n=min(lap.n for lap in laps),
        runs=len(laps), p50_ms=quantile(chunks, 0.5) * 1000, p99_ms=quantile(chunks, 0.99) * 1000,
        more={
            "due": made, "renewals_per_second": round(median(1 / lap.ours.wall for lap in laps), 1),
            "of_bare_copy": bare[0], "of_bare_copy_cpu": bare[1], "of_bare_copy_by_rows": rows[0],
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
    rows = [[(each, _values(each)) for each in chunk] for chunk in chunks]
    _bare_tables(floor, chunks)
    payload = b"x" * 700
    spent = _spender(floor)
    bare = _timed(lambda: _copy(floor, chunks, "bare"), spent, n)
    by_rows = _timed(lambda: _copy_rows(floor, rows), spent, n)
    real = _timed(lambda: _copy(floor, chunks, "public"), spent, n)
    signatures = _timed(lambda: [sign_payload(payload, key) for _ in range(n)], spent, n)
    file.unlink()
    return _Lap(
        n, Cost(ours["seconds"] / n, ours["cpu"] / n), bare, by_rows, real, signatures, ours["peak_mb"], ours["laps"]
    )


def _transactions(file: Path) -> Iterator[list[Copied]]:
    """What a run copied, by transaction."""
    chunk: list[Copied] = []
    with file.open("rb") as read:
        while line := read.readline():
            head = json.loads(line)
            copied = Copied(head["table"], head["columns"], read.read(head["size"]))
            if copied.table in _FIRST and chunk:
                yield chunk
                chunk = []
            chunk.append(copied)
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


def _copy(database: Database, chunks: Sequence[Sequence[Copied]], schema: str) -> None:
    for chunk in chunks:
        with database.transaction() as tx:
            for each in chunk:
                bulk.copy_text(tx, each.table, each.columns, each.data, schema=schema)


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


def _copy_rows(database: Database, chunks: Sequence[Sequence[tuple[Copied, list[list[str | None]]]]]) -> None:
    """COPY as the driver writes it, row by row."""
    for chunk in chunks:
        with database.transaction() as tx, driver_connection(tx).cursor() as cursor:
            for copied, rows in chunk:
                statement = SQL("COPY bare.{} ({}) FROM STDIN").format(
                    Identifier(copied.table), SQL(", ").join(Identifier(name) for name in copied.columns)
                )
                with cursor.copy(statement) as stream:
                    for row in rows:
                        stream.write_row(row)
