"""A worker that bills one slice of what is due, in a process of its own so that its time and memory are its own.

`python -m app.bench.billing URL SECRET INSTANT COUNT FILE` orders and completes at least COUNT renewals and writes what
it copied to FILE. It does so in threads that share the work, as `blp worker` does: the clock puts several jobs of each
kind on the queue, and a worker has that many side by side. In between, the provider's part: every charge has succeeded.
Prints JSON.
"""

import gc
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Lock, local
from time import perf_counter, process_time
from typing import Any, BinaryIO, Final

import structlog
from sqlalchemy import text
from sqlmodel import col

import app.worker  # noqa: F401 -- registers every job
from app.bench.due import paid
from app.bench.harness import CannotMeasure, cpu_seconds
from app.config import Settings
from app.core import bulk
from app.core.clock import FixedClock, transport_now
from app.core.db import Database
from app.core.money import Money
from app.flows import bulk_completion, bulk_ordering
from app.flows.ports import Ports
from app.payments import answers
from app.payments.models import AttemptState, ChargeAnswer, PaymentAttempt
from app.tax import dataset
from app.wiring import wire

SIDE_BY_SIDE: Final = 2  # jobs at once; more than there are cores gain nothing, and the least machine has two
A_CHUNK: Final = {"chunk": True}  # the line before what one transaction copied


def main(arguments: list[str]) -> int:
    url, secret, instant, count, file = arguments
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    database = Database(url, pool_size=SIDE_BY_SIDE)
    settings = Settings(env="test", secret_key=secret, _env_file=None)  # type: ignore[call-arg,arg-type]  # as pydantic reads them
    ports = replace(wire(settings, database).ports, clock=FixedClock(datetime.fromisoformat(instant)))
    with Path(file).open("wb") as out:
        print(json.dumps(bill(ports, int(count), out)))
    database.dispose()
    return 0


def bill(ports: Ports, count: int, out: BinaryIO) -> dict[str, Any]:
    """Bill at least `count`; `seconds` are wall time, `cpu` that of this process and of its PostgreSQL backends."""
    meter = _Meter(ports.db)
    tape = _Tape(out)
    ordering = _Ordering(ports, count)
    with tape.hearing():
        meter.run(lambda: tape.chunk(ordering.step))
    _answer(ports)
    completing = _Completing(ports)
    with tape.hearing():
        meter.run(lambda: tape.chunk(completing.step))
    if completing.done != ordering.done:
        raise SystemExit(f"{ordering.done} were ordered and {completing.done} completed")
    return {
        "n": completing.done, "seconds": meter.wall, "cpu": meter.cpu, "laps": meter.laps, "peak_mb": _peak_mb(),
    }  # fmt: skip


class _Ordering:
    """The jobs that order, each of which remembers how far it has come."""

    def __init__(self, ports: Ports, count: int) -> None:
        self._ports, self._count, self._own, self._turn, self.done = ports, count, local(), Lock(), 0

    def step(self) -> bool:
        """A chunk; False where there are enough or none are left."""
        if self.done >= self._count:
            return False
        found = bulk_ordering.order_chunk(self._ports, getattr(self._own, "place", None))
        if found is None:
            return False
        self._own.place = found[0]
        with self._turn:
            self.done += found[1].ordered
        return True


class _Completing:
    """The jobs that complete."""

    def __init__(self, ports: Ports) -> None:
        self._ports, self._turn, self.done = ports, Lock(), 0

    def step(self) -> bool:
        """A chunk; False where nothing is left."""
        done = bulk_completion.complete_chunk(self._ports)
        if done is None:
            return False
        with self._turn:
            self.done += done.completed
        return True


class _Tape:
    """What the chunks copied, one after the other however they ran side by side."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._own, self._turn = out, local(), Lock()

    @contextmanager
    def hearing(self) -> Iterator[None]:
        stop = bulk.listen(self._hear)
        try:
            yield
        finally:
            stop()

    def chunk(self, step: Callable[[], bool]) -> bool:
        """Take a step and write down what it copied."""
        self._own.copied = []
        more = step()
        with self._turn:
            self._out.write(json.dumps(A_CHUNK).encode() + b"\n")
            for head, data in self._own.copied:
                self._out.write(json.dumps(head).encode() + b"\n" + data)
        return more

    def _hear(self, table: str, columns: Sequence[str], data: bytes) -> None:
        self._own.copied.append(({"table": table, "columns": columns, "size": len(data)}, data))


def _peak_mb() -> int:
    """The high-water mark of this process's memory; that of `getrusage` begins with its parent's. Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise CannotMeasure("the peak of a process's memory is read from Linux only")
    return int(found[1]) // 1024


class _Meter:
    """Wall time, and CPU time of this process and of the backends behind its connections."""

    def __init__(self, database: Database) -> None:
        with ExitStack() as held:
            connections = [held.enter_context(database.reading()) for _ in range(SIDE_BY_SIDE)]
            ask = text("SELECT pg_backend_pid()")
            self._backends = [int(each.execute(ask).scalar_one()) for each in connections]
        self.laps: list[float] = []
        self.wall = self.cpu = 0.0
        dataset.load()  # which a worker reads once in its life
        gc.collect()
        gc.freeze()  # as a worker does

    def run(self, step: Callable[[], bool]) -> None:
        """Take steps side by side until there are none."""
        before, started = self._spent(), perf_counter()
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            for job in [threads.submit(self._walk, step) for _ in range(SIDE_BY_SIDE)]:
                job.result()
        self.wall += perf_counter() - started
        self.cpu += self._spent() - before

    def _walk(self, step: Callable[[], bool]) -> None:
        more = True
        while more:
            started = perf_counter()
            more = step()
            self.laps.append(perf_counter() - started)

    def _spent(self) -> float:
        return process_time() + sum(map(cpu_seconds, self._backends))


def _answer(ports: Ports) -> None:
    """The provider's part, and the charges' jobs that are not needed for it."""
    with ports.db.transaction() as tx:
        open_ = bulk.read(tx, PaymentAttempt, col(PaymentAttempt.state) == AttemptState.UNKNOWN)
        told = [paid(each.id, Money(each.amount_minor, each.currency), str(each.saved_method_ref)) for each in open_]
        rows = [answers.row(each.order_id, report, transport_now()) for each, report in zip(open_, told, strict=True)]
        bulk.copy(tx, ChargeAnswer, rows)
        tx.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = :name"), {"name": bulk_ordering.CHARGE})


if __name__ == "__main__":
    os.environ.pop("BLP_DATABASE_URL", None)
    sys.exit(main(sys.argv[1:]))
