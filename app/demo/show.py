"""The story on the terminal: a table of steps with their figures, then where to go next."""

import sys
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any


@dataclass(slots=True)
class Step:
    title: str
    outcome: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


class Teller:
    """Prints each step when it is done and keeps it for summary.json."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._fancy = sys.stdout.isatty()

    def chapter(self, title: str) -> None:
        print(f"\n{self._bold(title)}", flush=True)

    def step(self, title: str) -> "_Running":
        return _Running(self, title)

    def add(self, step: Step) -> None:
        self.steps.append(step)
        print(f"  {len(self.steps):>2}  {step.title:<46} {step.outcome:<62} {step.seconds:>6.2f} s", flush=True)

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._fancy else text


class _Running:
    """One step: `done(outcome, **figures)` ends it."""

    def __init__(self, teller: Teller, title: str) -> None:
        self._teller, self._title, self._started = teller, title, perf_counter()

    def done(self, outcome: str, **figures: Any) -> None:
        self._teller.add(Step(self._title, outcome, perf_counter() - self._started, figures))
