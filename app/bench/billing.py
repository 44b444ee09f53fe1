"""A worker that bills one slice of what is due, in a process of its own so that its time and memory are its own.

`python -m app.bench.billing URL SECRET INSTANT COUNT FILE` orders and completes COUNT renewals, as two jobs of the
queue do, and writes what it copied to FILE. In between, the provider's part: every charge has succeeded. Prints JSON.
"""

import gc
import json
import logging
import os
import re
import sys
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, BinaryIO

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
from app.wiring import wire


def main(arguments: list[str]) -> int:
    url, secret, instant, count, file = arguments
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    database = Database(url, pool_size=1)
    settings = Settings(env="test", secret_key=secret, _env_file=None)  # type: ignore[call-arg,arg-type]  # as pydantic reads them
    ports = replace(wire(settings, database).ports, clock=FixedClock(datetime.fromisoformat(instant)))
    with Path(file).open("wb") as out:
        print(json.dumps(bill(ports, int(count), out)))
    database.dispose()
    return 0


def bill(ports: Ports, count: int, out: BinaryIO) -> dict[str, Any]:
    """Bill at least `count`; `seconds` are wall time, `cpu` that of this process and of its PostgreSQL backend."""
    stop = bulk.listen(lambda table, columns, data: _keep(out, table, columns, data))
    clock = _Clock(ports.db)
    ordered, place = 0, None
    while ordered < count and (found := clock.time(partial(bulk_ordering.order_chunk, ports, place))) is not None:
        place, ordered = found[0], ordered + found[1].ordered
    stop()
    _answer(ports)
    stop = bulk.listen(lambda table, columns, data: _keep(out, table, columns, data))
    completed = 0
    while (done := clock.time(partial(bulk_completion.complete_chunk, ports))) is not None:
        completed += done.completed
    stop()
    if completed != ordered:
        raise SystemExit(f"{ordered} were ordered and {completed} completed")
    return {"n": completed, "seconds": sum(clock.laps), "cpu": clock.cpu, "laps": clock.laps, "peak_mb": _peak_mb()}


def _peak_mb() -> int:
    """The high-water mark of this process's memory; that of `getrusage` begins with its parent's. Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise CannotMeasure("the peak of a process's memory is read from Linux only")
    return int(found[1]) // 1024


class _Clock:
    """Wall time of each lap, and CPU time of both ends of the one connection."""

    def __init__(self, database: Database) -> None:
        with database.reading() as connection:
            self._backend = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        self.laps: list[float] = []
        self.cpu = 0.0
        gc.collect()
        gc.freeze()  # as a worker does

    def time(self, act: Any) -> Any:
        before, started = self._spent(), perf_counter()
        result = act()
        self.laps.append(perf_counter() - started)
        self.cpu += self._spent() - before
        return result

    def _spent(self) -> float:
        return process_time() + cpu_seconds(self._backend)


def _keep(out: BinaryIO, table: str, columns: Any, data: bytes) -> None:
    out.write(json.dumps({"table": table, "columns": columns, "size": len(data)}).encode() + b"\n" + data)


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
