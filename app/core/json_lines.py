"""Rules asked line by line: one JSON object a line in, one JSON object a line out.

A line that cannot be answered is answered with `{"id", "error"}`, which names the field and the remedy, and the
run goes on. Numbers are read exactly: what is not a whole number arrives as a Decimal, never as a float.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any, NoReturn, Self

import pycountry

from app.core.errors import Invalid

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Malformed(ValueError):
    """A line that is not a request; the message names the field and what would do."""


@cache
def currency_codes() -> frozenset[str]:
    """The alphabetic codes of ISO 4217."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


def answer_lines(
    lines: Iterable[str], answer: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[tuple[str, bool]]:
    """For each line that is not blank: the JSON to print, and whether the line was malformed.

    `answer` gets the parsed object and gives the fields that follow `id`; its Malformed and Invalid become the
    line's error, which ends with the number of the line, blank ones counted: it may be too broken to have an id.
    """
    for number, line in enumerate(lines, 1):
        text = line.removeprefix("\ufeff") if number == 1 else line
        if text.strip():
            yield _answered(text, number, answer)


def _answered(text: str, number: int, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[str, bool]:
    given: Any = None
    try:
        given = parse(text)
        request_id = _request_id(given)
        return json.dumps({"id": request_id, **answer(given)}), False
    except (Malformed, Invalid) as problem:
        name = given.get("id") if isinstance(given, dict) else None
        known = name if isinstance(name, str | int) and not isinstance(name, bool) else None
        field = f"{problem.param}: " if isinstance(problem, Invalid) and problem.param else ""
        return json.dumps({"id": known, "error": f"{field}{problem} (line {number})"}), True


def parse(text: str) -> Any:
    """Parsed JSON. Raises Malformed for anything else, NaN, infinities and keys that stand twice included."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_exact, object_pairs_hook=_once_each)
    except RecursionError as exc:
        raise Malformed("the line is nested too deeply: give one flat request object") from exc
    except Malformed:
        raise
    except ValueError as exc:  # JSONDecodeError, and numbers of more digits than Python reads
        # The parser's own words count lines within this one.
        where = f"{exc.msg} at character {exc.pos + 1}" if isinstance(exc, json.JSONDecodeError) else str(exc)
        raise Malformed(f"the line is not JSON: {where}") from exc


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a JSON number: give whole minor units")


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except DecimalException as exc:
        raise Malformed(f"{text[:40]} is out of reach: give whole minor units") from exc


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"{twice}: stands twice: give each key once")
    return values


def _request_id(given: Any) -> str | int:
    if not isinstance(given, dict):
        raise Malformed("the line is not an object: give one object with id and the request in braces")
    value = given.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Malformed("id: is missing or not text: give each line its own id")
    return value


def is_text(value: str) -> bool:
    """Whether UTF-8 and the database can hold it."""
    return not any(c < " " or "\ud800" <= c <= "\udfff" for c in value)


@dataclass(frozen=True)
class Fields:
    """One JSON object with the path to it, for messages. JSON null stands for an absent field."""

    values: dict[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def refuse(self, name: str, remedy: str) -> NoReturn:
        state = "cannot be used" if self.has(name) else "is missing"
        raise Malformed(f"{self.at(name)}: {state}: {remedy}")

    def only(self, *names: str) -> None:
        """Refuses any other key that carries a value: a misspelt one would be a charge nobody asked for."""
        for name in self.values:
            if name not in names and self.has(name):
                shown = name if is_text(name) else ascii(name)
                raise Malformed(f"{self.at(shown)}: does not belong here: give only {', '.join(names)}")

    def optional_text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "give text in quotes")
        if value is not None and not is_text(value):
            self.refuse(name, "give text without control characters or unpaired surrogates")
        return value

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None or not value.strip():
            self.refuse(name, "give text in quotes")
        return value.strip()

    def choice(self, name: str, options: Sequence[str]) -> str:
        value = self.optional_text(name)
        if value is None or value not in options:
            self.refuse(name, f"give one of {', '.join(options)}")
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "give true or false")
        return bool(value)

    def whole(self, name: str, default: int | None = None, *, least: int | None = None, most: int) -> int:
        """A whole number from `least` (no lower end without it) to `most` in magnitude."""
        value = default if self.values.get(name) is None else self.values[name]
        if value is None or isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "give a whole number; amounts are in minor units such as cents")
        if abs(value) > most:
            self.refuse(name, f"give at most {most}")
        if least is not None and value < least:
            self.refuse(name, f"give at least {least}")
        return value

    def optional_day(self, name: str) -> date | None:
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
        except ValueError:
            day = None
        if day is None:
            self.refuse(name, "give a real day as YYYY-MM-DD")
        return day

    def day(self, name: str) -> date:
        value = self.optional_day(name)
        if value is None:
            self.refuse(name, "give a real day as YYYY-MM-DD")
        return value

    def currency(self, name: str) -> str:
        code = self.text(name).upper()
        if code not in currency_codes():
            self.refuse(name, "give an ISO 4217 code such as EUR")
        return code

    def object(self, name: str) -> Self:
        value = self.values.get(name)
        if not isinstance(value, dict):
            self.refuse(name, "give an object in braces")
        return type(self)(value, self.at(name))

    def entries(self, name: str) -> list[Any]:
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            self.refuse(name, "give a list in brackets")
        return value or []

    def objects(self, name: str) -> list[Self]:
        found = [type(self)(value, f"{self.at(name)}[{i}]") for i, value in enumerate(self.entries(name))]
        for entry in found:
            if not isinstance(entry.values, dict):
                raise Malformed(f"{entry.path}: is not an object: give an object in braces")
        return found
