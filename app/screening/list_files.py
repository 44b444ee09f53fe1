"""Reading the lists that an operator supplies: the US Consolidated Screening List as it is published (JSON or CSV), and
a plain CSV for every other list (docs/screening.md). A file is read whole or refused, naming its row and field.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from http import HTTPStatus
from typing import Any, ClassVar, Final, Literal

from app.core.canonical import canonical_json, sha256_hex
from app.core.errors import DomainError

Format = Literal["json", "csv"]
CSL: Final = "csl"
PLAIN_COLUMNS: Final = ("entity_number", "type", "name", "alt_names", "programs", "countries", "start_date", "end_date",
                        "url")  # fmt: skip
# Those of the published CSV that are read; it has others beside them.
_CSL_COLUMNS: Final = ("_id", "source", "entity_number", "type", "programs", "name", "addresses", "start_date",
                       "end_date", "source_list_url", "alt_names", "citizenships", "nationalities",
                       "source_information_url")  # fmt: skip
_LIST_CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,19}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LONGEST: Final = 2000
_SHOWN: Final = 20


class ListRefused(DomainError):
    """Nothing of the file was stored; `detail` names rows, fields and remedies."""

    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY
    slug: ClassVar[str] = "screening-list-refused"
    title: ClassVar[str] = "This list cannot be imported"


class _Fault(Exception):
    """What is wrong with one row."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A listed party. `key` is unique in its file; `countries` are ISO codes, as far as the list gives such."""

    key: str
    source: str
    entity_number: str
    type: str
    programs: tuple[str, ...]
    name: str
    alt_names: tuple[str, ...]
    countries: tuple[str, ...]
    starts_on: date | None
    ends_on: date | None
    url: str

    @property
    def content_hash(self) -> str:
        """What a decision rests on: it changes with everything that a list says."""
        return sha256_hex(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["starts_on"] = self.starts_on.isoformat() if self.starts_on else None
        plain["ends_on"] = self.ends_on.isoformat() if self.ends_on else None
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def is_code(text: str) -> bool:
    """Whether a list could be called so: `csl`, `eu`, `uk`, `un`."""
    return _LIST_CODE.fullmatch(text) is not None


def require_code(code: str) -> None:
    """Raises ListRefused for what no list is called."""
    if not is_code(code):
        raise ListRefused(f"{code!r} is no code of a list: write 2 to 20 small letters, digits and _, such as eu.",
                          param="list")  # fmt: skip


def read(content: bytes, code: str, kind: Format) -> list[Entry]:
    """The entries of a file. Raises ListRefused with the rows that cannot be used."""
    require_code(code)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ListRefused(f"Byte {exc.start} is not UTF-8: save the file as UTF-8.") from exc
    if kind == "json":
        if code != CSL:
            raise ListRefused("Only the list csl has a JSON shape: give the others as CSV.", param="format")
        return _entries(_from_json(text), _csl_of_json)
    if code == CSL:
        return _entries(_from_csv(text, _CSL_COLUMNS, exactly=False), _csl_of_csv)
    return _entries(_from_csv(text, PLAIN_COLUMNS, exactly=True), lambda values: _of_plain(values, code))


def _from_json(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        told = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ListRefused(f"Line {exc.lineno} is not JSON ({exc.msg}): fetch the file again.") from exc
    results = told.get("results") if isinstance(told, dict) else None
    if not isinstance(results, list):
        raise ListRefused("There is no list `results` at the top: give consolidated.json as it is published.",
                          param="results")  # fmt: skip
    for number, each in enumerate(results, start=1):
        yield f"result {number}", each if isinstance(each, dict) else {"": each}


def _from_csv(text: str, columns: tuple[str, ...], *, exactly: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in lines.fieldnames or ()]
        missing = [name for name in columns if name not in header]
        if missing or (exactly and len(header) != len(columns)):
            raise ListRefused(f"The first line lacks {', '.join(missing) or 'nothing but has more'}: it is"
                              f" {','.join(columns)}.", param=missing[0] if missing else None)  # fmt: skip
        lines.fieldnames = header
        for values in lines:
            if None in values or None in values.values():
                raise ListRefused(f"Line {lines.line_num} has {'more' if None in values else 'fewer'} fields than the"
                                  " first line: quote fields with commas.")  # fmt: skip
            yield f"line {lines.line_num}", values
    except csv.Error as exc:
        raise ListRefused(f"Line {lines.line_num} is not CSV ({exc}): quote fields with commas.") from exc


def _entries(
    rows: Iterable[tuple[str, Mapping[str, Any]]], read_row: Callable[[Mapping[str, Any]], Entry]
) -> list[Entry]:
    found: dict[str, tuple[str, Entry]] = {}
    faults: list[str] = []
    for where, values in rows:
        try:
            entry = read_row(values)
        except _Fault as exc:
            faults.append(f"{where}: {exc}")
            continue
        before, _ = found.setdefault(entry.key, (where, entry))
        if before != where:
            faults.append(f"{where}: id is {entry.key!r} like that of {before}: every party has its own")
    if not found and not faults:
        faults = ["there is no entry: an empty list would clear everybody"]
    if faults:
        more = f" And {len(faults) - _SHOWN} more." if len(faults) > _SHOWN else ""
        raise ListRefused(f"{'; '.join(faults[:_SHOWN])}.{more} Nothing was stored.", faults=len(faults))
    return [entry for _, entry in found.values()]


def _csl_of_json(values: Mapping[str, Any]) -> Entry:
    if "" in values:
        raise _Fault("is no object: fetch the file again")
    addresses = values.get("addresses") or []
    if not isinstance(addresses, list) or not all(isinstance(each, dict) for each in addresses):
        raise _Fault("addresses is no list of objects")
    named = [each.get("country") for each in addresses]
    places = [*named, *_list(values, "nationalities"), *_list(values, "citizenships"), values.get("country")]
    return _csl(values, _text(values, "id"), _list, places)


def _csl_of_csv(values: Mapping[str, Any]) -> Entry:
    addresses = _parts(values, "addresses")
    named = [each.rpartition(",")[2].strip() for each in addresses]
    places = [*named, *_parts(values, "nationalities"), *_parts(values, "citizenships")]
    return _csl(values, _text(values, "_id"), _parts, places)


def _csl(
    values: Mapping[str, Any], own: str, many: Callable[[Mapping[str, Any], str], list[str]], places: Iterable[object]
) -> Entry:  # fmt: skip
    source = _text(values, "source")
    if not own or not source:
        raise _Fault(f"{'id' if not own else 'source'} is empty: every entry of the list has one")
    return Entry(
        key=f"{source}#{own}", source=source, entity_number=_text(values, "entity_number"), type=_text(values, "type"),
        programs=tuple(many(values, "programs")), name=_name(values), alt_names=tuple(many(values, "alt_names")),
        countries=_countries(places), starts_on=_day(values, "start_date"), ends_on=_day(values, "end_date"),
        url=_text(values, "source_information_url") or _text(values, "source_list_url"),
    )  # fmt: skip


def _of_plain(values: Mapping[str, Any], code: str) -> Entry:
    number = _text(values, "entity_number")
    if not number:
        raise _Fault("entity_number is empty: write the number that the list gives the party")
    countries = [each.upper() for each in _parts(values, "countries")]
    wrong = next((each for each in countries if not _COUNTRY.fullmatch(each)), None)
    if wrong is not None:
        raise _Fault(f"countries has {wrong!r}: write ISO codes of two letters with ; between them")
    return Entry(
        key=number, source=code.upper(), entity_number=number, type=_text(values, "type"),
        programs=tuple(_parts(values, "programs")), name=_name(values), alt_names=tuple(_parts(values, "alt_names")),
        countries=_countries(countries), starts_on=_day(values, "start_date"), ends_on=_day(values, "end_date"),
        url=_text(values, "url"),
    )  # fmt: skip


def _name(values: Mapping[str, Any]) -> str:
    name = _text(values, "name")
    if not name:
        raise _Fault("name is empty: write the party's name")
    return name


def _text(values: Mapping[str, Any], field: str) -> str:
    value = values.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Fault(f"{field} is no text")
    text = " ".join(str(value).split()).replace("\0", "")
    if len(text) > _LONGEST:
        raise _Fault(f"{field} is longer than {_LONGEST} characters")
    return text


def _list(values: Mapping[str, Any], field: str) -> list[str]:
    """A list of texts; some entries have one text or null where others have a list."""
    value = values.get(field)
    if value is None or isinstance(value, str):
        return _parts(values, field)
    if not isinstance(value, list):
        raise _Fault(f"{field} is no list")
    found = (_text({field: each}, field) for each in value)
    return list(dict.fromkeys(each for each in found if each))


def _parts(values: Mapping[str, Any], field: str) -> list[str]:
    """The parts of a text that `;` divides, which may be longer than any one of them."""
    value = values.get(field) or ""
    if not isinstance(value, str):
        raise _Fault(f"{field} is no text")
    found = (_text({field: each}, field) for each in value.split(";"))
    return list(dict.fromkeys(each for each in found if each))


def _countries(places: Iterable[object]) -> tuple[str, ...]:
    codes = {each.strip().upper() for each in places if isinstance(each, str)}
    return tuple(sorted(code for code in codes if _COUNTRY.fullmatch(code)))


def _day(values: Mapping[str, Any], field: str) -> date | None:
    text = _text(values, field)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise _Fault(f"{field} is {text!r}: write a day as 2026-11-22") from exc


def sha256(content: bytes) -> str:
    """The hash by which a file can be told to be the one that was imported."""
    return hashlib.sha256(content).hexdigest()
