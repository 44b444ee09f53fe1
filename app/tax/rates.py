"""Dated, cited, graded rows, and where the rates come from (R-TAX-3, R-TAX-7).

Every row has a first and a last day (inclusive; an open last day is None), a source with the day it was read, and
a grade: A (sources agree), B (one source), C (conflict or unknown, which always refuses). A row that breaks these
rules stops the process at load: wrong tax data is a bug, not an answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeVar

import duty27_eu_vat

Grade = Literal["A", "B", "C"]
Document = Mapping[str, Any]
HIGHEST_RATE = Decimal(30)
EU_RATES_AS_OF = duty27_eu_vat.DATA_AS_OF  # when the packaged EU rates were last compared with their source


class BadTaxData(ValueError):
    """A data file breaks its own rules; the message names the row."""


@dataclass(frozen=True, slots=True)
class Source:
    title: str
    retrieved: date


@dataclass(frozen=True, slots=True)
class Validity:
    """When a row holds, on whose word, and how sure we are."""

    valid_from: date
    valid_to: date | None
    grade: Grade
    source: Source

    def covers(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class Dated(Protocol):
    @property
    def validity(self) -> Validity: ...


Row = TypeVar("Row", bound=Dated)


@dataclass(frozen=True, slots=True)
class RateRow:
    """`rate` in percent: Decimal("25.5") is 25.5 %."""

    rate: Decimal
    validity: Validity


def on_day(rows: Iterable[Row], on: date) -> Row | None:
    """The row in force on that day; rows of one key never overlap, so there is at most one."""
    return next((row for row in rows if row.validity.covers(on)), None)


class RateSource(Protocol):
    """Standard rates by jurisdiction and day."""

    @property
    def version(self) -> str:
        """Changes whenever an answer might."""

    def standard(self, jurisdiction: str, on: date) -> RateRow | None:
        """The row in force, or None where this source has none: never a guess."""

    def history(self, jurisdiction: str) -> Sequence[RateRow]:
        """Every row, oldest first; empty where this source knows nothing of the jurisdiction."""


class Duty27Rates:
    """The EU-27 from the `duty27-eu-vat` package: dated since 2016 (Rate data: Duty27, CC BY 4.0)."""

    def __init__(self) -> None:
        source = Source(f"duty27-eu-vat. {duty27_eu_vat.ATTRIBUTION}", duty27_eu_vat.DATA_AS_OF)
        self._rows: dict[str, tuple[RateRow, ...]] = {}
        for country in duty27_eu_vat.list_countries():
            history = duty27_eu_vat.get_rate_history(country.code)
            ends: list[date | None] = [after.effective_from - timedelta(days=1) for after in history[1:]]
            rows = tuple(
                RateRow(window.rate, Validity(window.effective_from, end, "A", source))
                for window, end in zip(history, [*ends, None], strict=True)
            )
            code = {"EL": "GR"}.get(country.code, country.code)
            require_chain(rows, f"duty27-eu-vat {code}")
            self._rows[code] = rows

    @cached_property
    def version(self) -> str:
        # The rows themselves, since the package carries no version of its own at run time.
        return ";".join(
            f"{code}:" + ",".join(f"{row.validity.valid_from}={row.rate}" for row in rows)
            for code, rows in sorted(self._rows.items())
        )

    def standard(self, jurisdiction: str, on: date) -> RateRow | None:
        return on_day(self._rows.get(jurisdiction, ()), on)

    def history(self, jurisdiction: str) -> Sequence[RateRow]:
        return self._rows.get(jurisdiction, ())


def read_sources(document: Document) -> dict[str, Source]:
    """The `sources` block of a data file; every row names one of them."""
    found: dict[str, Source] = {}
    for key, entry in document["sources"].items():
        title, retrieved = entry.get("title"), entry.get("retrieved")
        if not isinstance(title, str) or not title or not isinstance(retrieved, date):
            raise BadTaxData(f"source {key}: needs a title and the day it was read: add `title` and `retrieved`")
        found[key] = Source(title, retrieved)
    return found


def read_validity(entry: Document, sources: Mapping[str, Source], what: str) -> Validity:
    """`from`, `to`, `grade` and `source` of one row."""
    start, end, grade = entry.get("from"), entry.get("to"), entry.get("grade")
    if not isinstance(start, date) or not (end is None or isinstance(end, date)):
        raise BadTaxData(f"{what}: `from` and `to` are days: write 2026-11-22 without quotes")
    if end is not None and end < start:
        raise BadTaxData(f"{what}: ends {end} before it begins {start}: correct `from` or `to`")
    if grade not in {"A", "B", "C"}:
        raise BadTaxData(f"{what}: grade {grade!r} is not A, B or C: write C where sources conflict")
    if entry.get("source") not in sources:
        raise BadTaxData(
            f"{what}: source {entry.get('source')!r} is not listed: add it under `sources` with title and retrieved"
        )
    return Validity(start, end, grade, sources[entry["source"]])


def read_decimal(text: Any, what: str) -> Decimal:
    """A number written as text, so that no float ever touches it."""
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise BadTaxData(f'{what} {text!r} is not a decimal in quotes: write it like "8.875"')
    return number


def read_rate(text: Any, what: str) -> Decimal:
    """A percentage from 0 to 30."""
    rate = read_decimal(text, f"{what}: rate")
    if not 0 <= rate <= HIGHEST_RATE:
        raise BadTaxData(f"{what}: rate {rate} is outside 0 to {HIGHEST_RATE}: write percent of the price")
    return rate


def read_rates(entries: Sequence[Document], sources: Mapping[str, Source], what: str) -> tuple[RateRow, ...]:
    """The rate history of one jurisdiction, checked for overlaps and gaps."""
    rows = tuple(RateRow(read_rate(e.get("rate"), what), read_validity(e, sources, what)) for e in entries)
    require_chain(rows, what)
    return rows


def require_distinct(names: Iterable[str], where: str) -> None:
    """Two rows of one name would leave it to their order which of them counts."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadTaxData(f"{where}: {name} is listed twice: join the two rows")
        seen.add(name)


def require_chain(rows: Sequence[Dated], what: str) -> None:
    """Each row begins the day after the one before it ends: no overlap, no gap.

    A span that we do not support is a row of grade C, so that the refusal is written down and not a hole.
    """
    if not rows:
        raise BadTaxData(f"{what}: has no row: add one, of grade C where nothing is known")
    for before, after in pairwise(rows):
        end = before.validity.valid_to
        if end is None or after.validity.valid_from <= end:
            raise BadTaxData(
                f"{what}: the row from {after.validity.valid_from} overlaps the one before it: end that one on the day "
                "before"
            )
        if after.validity.valid_from != end + timedelta(days=1):
            raise BadTaxData(
                f"{what}: nothing covers the days after {end}: add a row, of grade C where nothing is known"
            )
