"""What one euro was worth: the ECB's reference rates from its own files, and what the operator sets instead (R-TAX-6).

The files are those of the ECB's page of reference rates: `eurofxref.csv`, `eurofxref-hist.csv` (rows of days, columns
of currencies, N/A where there is none) and the XML of the same names.
"""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import ClassVar, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import audit, bulk
from app.core.bulk import among
from app.core.db import Tx
from app.core.errors import DomainError, Invalid
from app.tax.models import ExchangeRate

BASE: Final = "EUR"
_LONG_DAY: Final = "%d %B %Y"  # 20 November 2026, as the file of one day writes it
_PLACES: Final = 8  # what the column holds


class RatesRefused(DomainError):
    """Nothing of the file was stored; `detail` names the row and the remedy."""

    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY
    slug: ClassVar[str] = "exchange-rates-refused"
    title: ClassVar[str] = "These exchange rates cannot be imported"


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """One euro is `rate` units of `currency`."""

    on: date
    currency: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Imported:
    stored: int
    known: int
    first: date
    last: date


def read_file(content: bytes) -> list[Rate]:
    """The rates of a file of the ECB, CSV or XML, sorted. Raises RatesRefused."""
    found = _xml(content) if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else _csv(content)
    rates = sorted(found)
    if not rates:
        raise RatesRefused("The file has no rate: take eurofxref-hist.csv from the ECB's page of reference rates.")
    seen: set[tuple[date, str]] = set()
    for each in rates:
        if (each.on, each.currency) in seen:
            raise RatesRefused(f"{each.currency} on {each.on} is written twice: keep one.")
        seen.add((each.on, each.currency))
    return rates


def _csv(content: bytes) -> Iterator[Rate]:
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        if not header or header[0] != "Date":
            raise RatesRefused("The first line does not begin with Date: this is not a file of the ECB.")
        for values in lines:
            if not any(value.strip() for value in values):
                continue
            day = _day(values[0].strip())
            for currency, value in zip(header[1:], values[1:], strict=False):
                if currency and value.strip() not in {"", "N/A"}:
                    yield _rate(day, currency, value.strip())
    except (UnicodeDecodeError, csv.Error) as exc:
        raise RatesRefused(f"This is not CSV in UTF-8 ({exc}).") from exc


def _xml(content: bytes) -> Iterator[Rate]:
    try:
        root = ET.fromstring(content)  # noqa: S314 -- the operator's own file; expat bounds what entities expand to
    except ET.ParseError as exc:
        raise RatesRefused(f"This is not XML ({exc}).") from exc
    for day in root.findall(".//{*}Cube"):
        if (on := day.get("time")) is not None:
            for each in day.findall("{*}Cube"):
                yield _rate(_day(on), each.get("currency", ""), each.get("rate", ""))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.strptime(text, _LONG_DAY).date()  # noqa: DTZ007 -- a day has no zone
    except ValueError as exc:
        raise RatesRefused(f"{text[:40]!r} is not a day such as 2026-11-20.") from exc


def _rate(on: date, currency: str, text: str) -> Rate:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(0)
    iso = len(currency) == len(BASE) and currency.isascii() and currency.isupper() and currency != BASE
    if not (iso and rate.is_finite() and rate > 0 and rate == round(rate, _PLACES)):
        raise RatesRefused(f"{currency[:10]!r} on {on} is {text[:40]!r}: that is not a rate of a currency.")
    return Rate(on, currency, rate)


def store(tx: Tx, rates: Sequence[Rate], *, by: str, now: datetime) -> Imported:
    """Keep what is new. Raises RatesRefused where a rate differs from the one that was published before."""
    days = sorted({each.on for each in rates})
    query = select(ExchangeRate).where(
        col(ExchangeRate.source) == "ecb", col(ExchangeRate.rate_on) >= days[0], col(ExchangeRate.rate_on) <= days[-1],
        among(col(ExchangeRate.currency), sorted({each.currency for each in rates})),
    )  # fmt: skip
    known = {(row.rate_on, row.currency): row.rate for row in tx.execute(query).scalars()}
    new = []
    for each in rates:
        before = known.get((each.on, each.currency))
        if before is not None and before != each.rate:
            raise RatesRefused(
                f"{each.currency} on {each.on} is {each.rate}, and {before} was imported before: the ECB does not"
                " change what it published, so one of the files is wrong. Use `blp tax set-rate` if it is the first."
            )
        if before is None:
            new.append(each)
    if new:
        bulk.copy(tx, ExchangeRate, [_values(each, "ecb", "", by, now) for each in new])
        details = {"rates": len(new), "first": days[0].isoformat(), "last": days[-1].isoformat()}
        audit.record(
            tx, audit.SYSTEM, actor=by, action="tax.exchange_rates_imported", subject="ecb", now=now, details=details
        )
    return Imported(len(new), len(rates) - len(new), days[0], days[-1])


def override(tx: Tx, rate: Rate, *, why: str, by: str, now: datetime) -> None:
    """Set a rate instead of the ECB's, or where it publishes none. Raises Invalid."""
    if not why.strip():
        raise Invalid("Say why; it goes into the audit log.", param="why")
    try:
        _rate(rate.on, rate.currency, str(rate.rate))
    except RatesRefused as exc:
        raise Invalid(exc.detail, param="rate") from exc
    bulk.copy(tx, ExchangeRate, [_values(rate, "operator", why.strip(), by, now)])
    audit.record(tx, audit.SYSTEM, actor=by, action="tax.exchange_rate_set", subject=rate.currency, now=now,
                 details={"on": rate.on.isoformat(), "rate": str(rate.rate), "why": why.strip()})  # fmt: skip


def _values(rate: Rate, source: str, why: str, by: str, now: datetime) -> dict[str, object]:
    return {
        "rate_on": rate.on, "currency": rate.currency, "rate": rate.rate, "source": source, "why": why,
        "recorded_by": by, "recorded_at": now,
    }  # fmt: skip
