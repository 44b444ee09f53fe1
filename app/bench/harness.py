"""Rounds of ours and of the floor, taking turns, and the figures made of them."""

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

RUNS: Final = 3


class CannotMeasure(RuntimeError):
    """A figure would not be honest: a wrong answer, no floor, a system without the clock it needs."""


@dataclass(frozen=True, slots=True)
class Round:
    """`cost` is CPU seconds for each of `n` things done; `seconds` is how long each took, where that was looked at."""

    cost: float
    n: int
    seconds: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """What `make bench` says of one name. `ours` and `floor` are medians in `unit`.

    `n` is how many were counted in the smallest of `runs` rounds, and p50 and p99 are over all of them.
    `ratio` is the median of the rounds' own ratios, so that a slow minute of the machine hits both sides of it.
    """

    name: str
    unit: str
    ours: float
    floor: float
    ratio: float
    floor_is: str
    n: int
    runs: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)  # further figures of this name alone

    def to_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": self.name, "unit": self.unit, "ours": round(self.ours, 2), "floor": round(self.floor, 3),
            "ratio": round(self.ratio, 2), "floor_is": self.floor_is, "n": self.n, "runs": self.runs,
        }  # fmt: skip
        if self.p50_ms is not None and self.p99_ms is not None:
            row |= {"p50_ms": round(self.p50_ms, 3), "p99_ms": round(self.p99_ms, 3)}
        return row | dict(self.more)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Unit:
    """How a cost is told: `per_second` of them make a second of CPU time."""

    words: str
    per_second: float


def alternate(
    name: str, unit: Unit, floor_is: str, ours: Callable[[], Round], floor: Callable[[], Round], *, runs: int = RUNS
) -> Figure:
    """One round of each to warm up, then `runs` pairs of rounds. Raises CannotMeasure for a floor of nothing."""
    floor(), ours()
    pairs = []
    for _ in range(runs):
        below = floor()
        pairs.append((ours(), below))
    if any(below.cost <= 0 for _, below in pairs):
        raise CannotMeasure(f"{name}: the floor cost nothing that the clock could see; count more")
    seconds = sorted(second for mine, _ in pairs for second in mine.seconds)
    return Figure(
        name=name, unit=unit.words, floor_is=floor_is,
        ours=median(mine.cost for mine, _ in pairs) * unit.per_second,
        floor=median(below.cost for _, below in pairs) * unit.per_second,
        ratio=median(mine.cost / below.cost for mine, below in pairs), n=min(mine.n for mine, _ in pairs), runs=runs,
        p50_ms=quantile(seconds, 0.5) * 1000 if seconds else None,
        p99_ms=quantile(seconds, 0.99) * 1000 if seconds else None,
    )  # fmt: skip


def quantile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of them do not exceed (nearest rank)."""
    return ordered[max(0, ceil(part * len(ordered)) - 1)]


def here(act: Callable[[], object], n: int) -> Round:
    """Do it `n` times in this process, after the garbage of what went before is gone."""
    gc.collect()
    seconds = []
    cpu = process_time()
    for _ in range(n):
        started = perf_counter()
        act()
        seconds.append(perf_counter() - started)
    return Round((process_time() - cpu) / n, n, seconds)


def cpu_seconds(pid: int) -> float:
    """CPU time a running process has used in all its threads, dead ones too.

    The figure `/proc/<pid>/stat` shows in ticks of 10 ms, asked of the kernel's own clock of the process
    (clock_getcpuclockid(3)), which counts nanoseconds. Raises CannotMeasure off Linux.
    """
    if sys.platform != "linux":
        raise CannotMeasure("the CPU time of another process is read from Linux only")
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of that process
