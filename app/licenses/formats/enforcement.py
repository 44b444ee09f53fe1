"""What a product should do as a license runs out or its seats are exceeded: steps as data, inside the token.

The vendor decides (policy `license_enforcement`), the token carries the decision, the product only looks it up: with
the same token and the same time it does the same everywhere, and a test may ask about any day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from app.core import policy

_FIELDS: Final = {"step", "days", "percent"}


class Step(StrEnum):
    """Mildest first."""

    WARN = "warn"  # administrators are told
    BANNER = "banner"  # everybody is
    BLOCK_NEW_USERS = "block_new_users"
    READ_ONLY = "read_only"  # administrators may still deactivate users and install a file


@dataclass(frozen=True, slots=True)
class Rung:
    """A step begins `days` after the end of the term (before it where negative), or above `percent` of the seats.

    Either may be None: the step then does not begin for that reason.
    """

    step: Step
    days: int | None
    percent: int | None

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step.value, "days": self.days, "percent": self.percent}


def read_ladder(value: Any) -> tuple[Rung, ...]:
    """The rungs of the stored JSON, mildest first. Raises ValueError with the remedy."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and set(each) == _FIELDS for each in value):
        raise ValueError("must be a list of objects with step, days and percent")
    rungs = tuple(_rung(each) for each in value)
    order = [list(Step).index(rung.step) for rung in rungs]
    if order != sorted(set(order)):
        raise ValueError(f"must name each step at most once, in the order {', '.join(Step)}")
    for name in ("days", "percent"):
        stated = [number for rung in rungs if (number := getattr(rung, name)) is not None]
        if stated != sorted(stated):
            raise ValueError(f"must not let a harder step begin earlier by its {name}")
    return rungs


def _rung(each: dict[str, Any]) -> Rung:
    step, days, percent = each["step"], each["days"], each["percent"]
    if step not in set(Step):
        raise ValueError(f"a step is one of {', '.join(Step)}")
    if not all(number is None or type(number) is int for number in (days, percent)) or days is percent is None:
        raise ValueError("days and percent are whole numbers, and at most one of them is null")
    if (percent is not None and not 1 <= percent <= 1000) or (days is not None and not -366 <= days <= 3660):
        raise ValueError("percent lies between 1 and 1000, days between -366 and 3660")
    return Rung(Step(step), days, percent)


ENFORCEMENT: Final = policy.declare(
    policy.Policy(
        "license_enforcement",
        [
            {"step": "warn", "days": -30, "percent": 95},
            {"step": "banner", "days": 0, "percent": 100},
            {"step": "block_new_users", "days": 10, "percent": 110},
            {"step": "read_only", "days": 42, "percent": None},
        ],
        read_ladder,
        "Written into license tokens: what a product does from so many days after the end of the term (negative: before"
        " it), or above so many percent of its seats. A step without a number does not begin for that reason",
    )
)


def step_at(
    ladder: Sequence[Rung], *, expires_at: datetime, seats: int, users: int | None, at: datetime
) -> Step | None:  # fmt: skip
    """The hardest step that has begun, None before the first. `users` None asks about the time alone."""
    begun = [rung.step for rung in ladder if _by_time(rung, expires_at, at) or _by_seats(rung, seats, users)]
    return max(begun, key=list(Step).index, default=None)


def _by_time(rung: Rung, expires_at: datetime, at: datetime) -> bool:
    return rung.days is not None and at > expires_at + timedelta(days=rung.days)


def _by_seats(rung: Rung, seats: int, users: int | None) -> bool:
    return rung.percent is not None and users is not None and users * 100 > seats * rung.percent
