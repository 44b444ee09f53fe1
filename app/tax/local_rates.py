"""Local rates of the United States that the operator imports, by ZIP or ZIP+4 (R-TAX-7).

A file holds every local rate of each state that it names: for those states it takes the place of the version before.
A row without a ZIP+4 holds for the whole ZIP; where rows of the very ZIP+4 exist, they alone count. A rate of 0 says
that nothing is added.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import ClassVar, Final

from app.core.canonical import canonical_json, sha256_hex
from app.core.errors import DomainError
from app.tax.rates import BadTaxData, read_rate
from app.tax.ruling import Charge, percent
from app.tax.us_data import State

COLUMNS: Final = ("state", "zip_from", "zip_to", "plus4_from", "plus4_to", "component", "rate", "from", "to")
_SHOWN: Final = 20
_ZIP, _PLUS4 = 5, 4
_PLACES: Final = 5  # what the column holds


class LocalRatesRefused(DomainError):
    """Nothing of the file was stored; `detail` names lines and remedies."""

    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY
    slug: ClassVar[str] = "local-rates-refused"
    title: ClassVar[str] = "These local rates cannot be imported"


@dataclass(frozen=True, slots=True, order=True)
class LocalRow:
    """`zip_*` have five digits, `plus4_*` four or none; `valid_to` is the last day. `rate` is percent."""

    state: str
    zip_from: str
    zip_to: str
    plus4_from: str
    plus4_to: str
    component: str
    rate: Decimal
    valid_from: date
    valid_to: date | None

    def covers(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Locality:
    """What imported rows add at one address. `version` names them, as `TX-3`; no charge means that nothing is added."""

    charges: tuple[Charge, ...]
    precision: str
    version: str


def read_csv(text: str, states: Mapping[str, State]) -> dict[str, tuple[LocalRow, ...]]:
    """The rows of a file by state, sorted. Raises LocalRatesRefused with every line that cannot be used."""
    lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = tuple(name.strip() for name in lines.fieldnames or ())
        if sorted(header) != sorted(COLUMNS):
            raise LocalRatesRefused(f"The first line is {','.join(header)!r}: write {','.join(COLUMNS)}.")
        lines.fieldnames = list(header)
        return _checked(_numbered(lines), states)
    except csv.Error as exc:
        raise LocalRatesRefused(f"Line {lines.line_num} is not CSV ({exc}): quote fields with commas.") from exc


def _numbered(lines: "csv.DictReader[str]") -> Iterator[tuple[int, dict[str, str]]]:
    for values in lines:
        # A line with more or fewer fields than the header has None as a key or as values.
        texts = {key: (value.strip() if isinstance(value, str) else "") for key, value in values.items() if key}
        yield lines.line_num, texts | ({"": "too many"} if None in values else {})


def _checked(
    lines: Iterable[tuple[int, dict[str, str]]], states: Mapping[str, State]
) -> dict[str, tuple[LocalRow, ...]]:
    faults: list[str] = []
    rows: list[tuple[LocalRow, int]] = []
    for number, values in lines:
        try:
            rows.append((_row(values, states), number))
        except BadTaxData as exc:
            faults.append(f"line {number}: {exc}")
    faults += _overlaps(rows)
    if not rows and not faults:
        faults = ["there is no row: add one"]
    if faults:
        more = f" And {len(faults) - _SHOWN} more." if len(faults) > _SHOWN else ""
        raise LocalRatesRefused(f"{'; '.join(faults[:_SHOWN])}.{more} Nothing was stored.", faults=len(faults))
    found: dict[str, list[LocalRow]] = defaultdict(list)
    for row, _ in rows:
        found[row.state].append(row)
    # Dates are compared as text, for an open end sorts like no other date.
    return {state: tuple(sorted(each, key=lambda row: tuple(map(str, _plain(row))))) for state, each in found.items()}


def _row(values: Mapping[str, str], states: Mapping[str, State]) -> LocalRow:
    if "" in values:
        raise BadTaxData("has more fields than the first line: remove them")
    state = _state(values["state"].upper(), states)
    zips = tuple(_digits(values, name, _ZIP) for name in ("zip_from", "zip_to"))
    plus4 = ("", "")
    if values["plus4_from"] or values["plus4_to"]:
        plus4 = (_digits(values, "plus4_from", _PLUS4), _digits(values, "plus4_to", _PLUS4))
        if zips[0] != zips[1]:
            raise BadTaxData("a ZIP+4 range lies within one ZIP: write a row for each ZIP")
    for low, high, what in ((*zips, "zip"), (*plus4, "plus4")):
        if low > high:
            raise BadTaxData(f"{what}_from {low} is above {what}_to {high}: swap them")
    if not values["component"]:
        raise BadTaxData("component is empty: write the name of the tax, as invoices shall show it")
    starts, ends = _day(values["from"], "from"), _day(values["to"], "to") if values["to"] else None
    if ends is not None and ends < starts:
        raise BadTaxData(f"ends {ends} before it begins {starts}: correct `from` or `to`")
    rate = read_rate(values["rate"], values["component"])
    if rate != round(rate, _PLACES):
        raise BadTaxData(f"rate {rate} has more than {_PLACES} decimals: round it as the state does")
    return LocalRow(state, zips[0], zips[1], *plus4, values["component"], rate, starts, ends)


def _state(code: str, states: Mapping[str, State]) -> str:
    if code not in states:
        raise BadTaxData(f"state {code!r} is none: write a code such as TX")
    if states[code].local == "none":
        raise BadTaxData(f"{states[code].name} has no local sales tax: remove the row")
    return code


def _digits(values: Mapping[str, str], name: str, length: int) -> str:
    text = values[name]
    if len(text) != length or not (text.isascii() and text.isdigit()):
        raise BadTaxData(f"{name} is {text!r}: write {length} digits, with zeros in front")
    return text


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise BadTaxData(f"{name} is {text!r}: write a day as 2026-11-22") from exc


def _overlaps(rows: Sequence[tuple[LocalRow, int]]) -> list[str]:
    """Two rows that would charge one component twice at one address on one day."""
    faults = []
    groups: dict[tuple[str, str, bool], list[tuple[LocalRow, int]]] = defaultdict(list)
    for row, number in rows:
        groups[row.state, row.component.casefold(), bool(row.plus4_from)].append((row, number))
    for group in groups.values():
        open_rows: list[tuple[LocalRow, int]] = []
        for row, number in sorted(group, key=lambda found: found[0].zip_from):
            open_rows = [each for each in open_rows if each[0].zip_to >= row.zip_from]
            for other, before in open_rows:
                if row.plus4_from <= other.plus4_to and other.plus4_from <= row.plus4_to and _share_a_day(row, other):
                    faults.append(f"line {number}: {row.component} overlaps line {before}: end or cut one of them")
            open_rows.append((row, number))
    return faults


def _share_a_day(one: LocalRow, other: LocalRow) -> bool:
    return one.covers(other.valid_from) or other.covers(one.valid_from)


def _plain(row: LocalRow) -> list[str | None]:
    ends = row.valid_to.isoformat() if row.valid_to else None
    return [row.state, row.zip_from, row.zip_to, row.plus4_from, row.plus4_to, row.component, percent(row.rate),
            row.valid_from.isoformat(), ends]  # fmt: skip


def content_hash(rows: Sequence[LocalRow]) -> str:
    """The same rates have the same hash, in whatever order and spelling of numbers a file lists them."""
    return sha256_hex(canonical_json([_plain(row) for row in rows]))


def locality(rows: Iterable[LocalRow], plus4: str, version: str) -> Locality | None:
    """What rows of one ZIP and day add; None where there is none. `plus4` is empty where the buyer gave a ZIP alone."""
    found = sorted(rows, key=lambda row: row.component)
    exact = [row for row in found if plus4 and row.plus4_from and row.plus4_from <= plus4 <= row.plus4_to]
    chosen = exact or [row for row in found if not row.plus4_from]
    if not chosen:
        return None
    charges = tuple(Charge(f"US-{row.state}", row.component, row.rate) for row in chosen if row.rate)
    return Locality(charges, "zip9" if exact else "zip5", version)


def on_portion(charges: Iterable[Charge], portion: Decimal) -> tuple[Charge, ...]:
    """Local taxes follow the state's base: 80 % of the price in Texas for data processing."""
    return tuple(replace(charge, portion=portion) for charge in charges)
