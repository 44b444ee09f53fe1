"""Two clocks (ADR 0015): business time is injected and can be advanced in a sandbox; transport time is real.

Business time decides terms, reminders, dunning and license dates. Transport time decides signatures on
the wire, sessions, sign-in links, leases and heartbeats.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    def now(self) -> datetime:
        """Business time, aware, in UTC."""
        ...


def transport_now() -> datetime:
    """Real time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 -- the one place that reads it


class RealClock:
    """Business time that is real time: every production installation."""

    def now(self) -> datetime:
        return transport_now()


class FixedClock:
    """Business time that stands still until told otherwise: for pure rules in tests and command lines."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


def local_date(at: datetime, time_zone: str) -> date:
    """The calendar date that `at` falls on where the account lives; `time_zone` is an IANA name."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def start_of(day: date, time_zone: str) -> datetime:
    """The instant, in UTC, at which a local date begins."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


class StoredClock:
    """Business time of a sandbox: real time plus an offset kept in the database, shared by every process."""

    def __init__(self, read_offset: Callable[[], timedelta], move_to: Callable[[datetime], None]) -> None:
        self._read_offset, self._move_to = read_offset, move_to

    def offset(self) -> timedelta:
        """How far business time is ahead of real time."""
        return self._read_offset()

    def now(self) -> datetime:
        return transport_now() + self._read_offset()

    def move_to(self, at: datetime) -> None:
        """Forward only: an earlier instant changes nothing."""
        self._move_to(at)
