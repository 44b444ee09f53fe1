"""What a report is, and what is asked of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, LiteralString

import psycopg

from app.core.db import Database, Tx, driver_connection
from app.core.errors import Invalid


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


class Kind(StrEnum):
    """How a column is written in each format."""

    TEXT = "text"  # words that somebody typed: guarded against formulas in CSV
    CODE = "code"  # ids, currencies, rates: ours, and never a formula
    DATE = "date"
    MONEY = "money"  # minor units of the row's currency
    COUNT = "count"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    about: str

    def written_as(self, fmt: Format) -> str:
        """`net` in CSV, where it is a decimal; `net_minor` in JSON Lines, where it is minor units."""
        return f"{self.name}_minor" if self.kind is Kind.MONEY and fmt is Format.JSONL else self.name


@dataclass(frozen=True, slots=True)
class Report:
    """One query and how to read it.

    `sql` is a SELECT that yields every column under its name (money as minor units beside a `currency`), and may
    yield more for `order_by`. It may use the parameters of `Scope` and the relation `entity` (id, code, time_zone,
    cut), whose `cut` is the first instant no longer known; one unit of `version` is one change of meaning. `require`
    refuses, by raising a DomainError, a question that cannot be answered wholly.
    """

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    sql: LiteralString
    order_by: LiteralString
    version: int = 1
    require: "Callable[[psycopg.Connection[Any], Scope], None] | None" = None


# Of a date of knowledge, everything counts that was recorded before that day ended where the seller keeps its books.
ENTITY: Final[LiteralString] = """
  SELECT id, code, time_zone,
    coalesce(%(known_before)s::timestamptz, (%(known_on)s::date + 1)::timestamp AT TIME ZONE time_zone, 'infinity')
      AS cut
  FROM legal_entity
"""


@dataclass(frozen=True, slots=True)
class Period:
    """Accounting dates, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise Invalid(f"The period ends on {self.last}, before it begins on {self.first}.", param="to")


AsOf = date | datetime | None
_TICK: Final = timedelta(microseconds=1)  # the cut is exclusive, an instant of knowledge is included


@dataclass(frozen=True, slots=True)
class Scope:
    """The period by accounting date, and what had been recorded by `as_of`: a day, an instant, or everything."""

    period: Period
    as_of: AsOf = None

    @property
    def params(self) -> Mapping[str, Any]:
        by_instant = isinstance(self.as_of, datetime)
        return {
            "first": self.period.first,
            "last": self.period.last,
            "known_before": self.as_of + _TICK if isinstance(self.as_of, datetime) else None,
            "known_on": None if by_instant else self.as_of,
        }


def read_day(text: str, param: str) -> date:
    """A date as `2026-11-30`. Raises Invalid naming `param`."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # fromisoformat also takes 20261130 and 2026-W48-1
        raise Invalid(f"{text[:40]!r} is not a date such as 2026-11-30.", param=param)
    return day


def read_as_of(text: str, param: str = "as_of") -> date | datetime:
    """A date, or an instant with its offset such as `2026-12-01T09:00:00Z`. Raises Invalid naming `param`."""
    if "T" not in text:
        return read_day(text, param)
    try:
        at = datetime.fromisoformat(text)
        naive = at.tzinfo is None
        at = at.astimezone(UTC)
        _ = at + _TICK
    except (ValueError, OverflowError) as exc:
        raise Invalid(f"{text[:40]!r} is not an instant such as 2026-12-01T09:00:00Z.", param=param) from exc
    if naive:
        raise Invalid(f"{text[:40]!r} has no offset; write it as 2026-12-01T09:00:00Z.", param=param)
    return at


# Exports sort and join much and run seldom: more memory than a request gets, and still far from the machine's.
_SETTINGS: Final = "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; SET LOCAL work_mem = '64MB'"


@contextmanager
def snapshot(db: Database) -> Iterator[Tx]:
    """One consistent state of the books, in which nothing can be written and every date is written the ISO way."""
    with db.session() as tx:
        tx.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        driver_connection(tx).execute(_SETTINGS)
        yield tx
