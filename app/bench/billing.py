"""One of the worker processes that bill a slice of what is due, so that their time and memory are their own.

`python -m app.bench.billing URL SECRET INSTANT FILE` reads a phase per line, `order COUNT` or `complete`, and answers
each with a line of JSON when nothing of it is left to do; what its chunks copied goes to FILE. A phase is walked in
threads that share the work, as `blp worker` does: the clock puts four jobs of each kind on the queue, and two worker
processes have two of them each.
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
from functools import partial
from pathlib import Path
from threading import Lock, local
from time import monotonic, perf_counter, process_time
from typing import BinaryIO, Final

import structlog
from sqlalchemy import text

import app.worker  # noqa: F401 -- registers every job
from app.bench.harness import CannotMeasure, cpu_seconds
from app.config import Settings
from app.core import bulk
from app.core.clock import FixedClock
from app.core.db import Database
from app.flows import bulk_completion, bulk_ordering
from app.flows.ports import Ports
from app.tax import dataset
from app.wiring import wire

SIDE_BY_SIDE: Final = 2  # jobs at once in each process
ENDED: Final = "ended"  # a line before what one transaction copied says when, by the machine's monotonic clock


def main(arguments: list[str]) -> int:
    url, secret, instant, file = arguments
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    database = Database(url, pool_size=SIDE_BY_SIDE)
    settings = Settings(env="test", secret_key=secret, _env_file=None)  # type: ignore[call-arg,arg-type]  # as pydantic reads them
    ports = replace(wire(settings, database).ports, clock=FixedClock(datetime.fromisoformat(instant)))
    meter = _Meter(database)
    with Path(file).open("wb") as out:
        tape = _Tape(out)
        for line in sys.stdin:
            phase, *count = line.split()
            work = _Ordering(ports, int(count[0])) if phase == "order" else _Completing(ports)
            with tape.hearing():
                spent, laps = meter.run(partial(tape.chunk, work.step))
            out.flush()
            print(json.dumps({"n": work.done, "cpu": spent, "laps": laps, "peak_mb": _peak_mb()}), flush=True)
    database.dispose()
    return 0


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
            self._out.write(json.dumps({ENDED: monotonic()}).encode() + b"\n")
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
    """CPU time of this process and of the backends behind its connections."""

    def __init__(self, database: Database) -> None:
        with ExitStack() as held:
            connections = [held.enter_context(database.transaction()) for _ in range(SIDE_BY_SIDE)]
            ask = text("SELECT pg_backend_pid()")
            self._backends = [int(each.execute(ask).scalar_one()) for each in connections]
        dataset.load()  # which a worker reads once in its life
        gc.collect()
        gc.freeze()  # as a worker does

    def run(self, step: Callable[[], bool]) -> tuple[float, list[float]]:
        """Take steps side by side until there are none: CPU seconds of all, wall seconds of each."""
        before = self._spent()
        laps: list[float] = []
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            for job in [threads.submit(self._walk, step, laps) for _ in range(SIDE_BY_SIDE)]:
                job.result()
        return self._spent() - before, laps

    @staticmethod
    def _walk(step: Callable[[], bool], laps: list[float]) -> None:
        more = True
        while more:
            started = perf_counter()
            more = step()
            laps.append(perf_counter() - started)

    def _spent(self) -> float:
        return process_time() + sum(map(cpu_seconds, self._backends))


if __name__ == "__main__":
    os.environ.pop("BLP_DATABASE_URL", None)
    sys.exit(main(sys.argv[1:]))
