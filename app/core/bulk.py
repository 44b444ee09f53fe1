"""Many rows at once (ADR 0036): collected as plain values, written by COPY in the caller's transaction.

The rules that make a row are the ones of the single path; only its way into the table differs. Every constraint and
trigger of the table holds here as there.
"""

import gc
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from threading import Lock
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

import psycopg
import structlog
from psycopg.sql import SQL, Identifier
from sqlalchemy import ColumnElement, Select, String, func, literal, select, text
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import Table as SqlTable
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import OperationalError

from app.core.db import Table, Tx, driver_connection, json_text

log = structlog.get_logger()

# A deadlock, a lost connection, a full disk: raised by SQLAlchemy, and by the driver under a COPY.
ANOTHER_TRY_MAY_DO: Final = (OperationalError, psycopg.OperationalError)

R = TypeVar("R", bound=Table)
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def plain(table: type[R], values: Mapping[str, Any]) -> R:
    """A row for rules to read, without the session's bookkeeping, which costs more than the rules themselves."""
    return cast(R, _kind(table)(**values))


@cache
def _kind(table: type[Table]) -> type[SimpleNamespace]:
    """Rows of a table with what its model says of them."""
    told = {name: each for name, each in vars(table).items() if isinstance(each, property)}
    return type(table.__name__, (SimpleNamespace,), told)


def sql_table(table: type[Table]) -> SqlTable:
    found: SqlTable = table.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
    return found


def changed(table: type[R], row: R, changes: Mapping[str, Any]) -> R:
    """The row as it will be, for rules to read."""
    return plain(table, {column.name: getattr(row, column.name) for column in sql_table(table).c} | dict(changes))


class Batch:
    """Rows on their way into tables. Rows of one table name the same columns; those left out take their default."""

    def __init__(self) -> None:
        self._rows: dict[type[Table], list[Mapping[str, Any]]] = {}

    def add(self, table: type[Table], values: Mapping[str, Any]) -> None:
        self._rows.setdefault(table, []).append(values)

    def extend(self, table: type[Table], rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows.setdefault(table, []).extend(rows)

    def copy(self, tx: Tx, *tables: type[Table]) -> None:
        """Write what is there of these tables, in this order. Raises what the database refuses."""
        for table in tables:
            if rows := self._rows.pop(table, None):
                copy(tx, table, rows)

    def require_empty(self) -> None:
        """Raises AssertionError where rows were collected that nobody wrote."""
        if self._rows:
            raise AssertionError(f"rows were left behind: {', '.join(table.__name__ for table in self._rows)}")


# A measurement may listen to what is written: (table, columns, text).
Listener = Callable[[str, Sequence[str], bytes], None]
_listeners: Final[list[Listener]] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Hear what is copied from now on, for measurements; call what is returned to stop."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def copy(tx: Tx, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows by COPY; the first one says which columns."""
    into = sql_table(table)
    data = lines_of(into, rows)
    for listener in _listeners:
        listener(into.name, tuple(rows[0]), data)
    copy_text(tx, into.name, tuple(rows[0]), data)


def lines_of(into: SqlTable, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows in PostgreSQL's text format. Raises ValueError where they do not name the same columns."""
    names = tuple(rows[0])
    if any(len(row) != len(names) for row in rows):
        raise ValueError(f"rows of {into.name} name different columns")
    columns = [_writer(into, name)([row[name] for row in rows]) for name in names]
    return ("\n".join(["\t".join(line) for line in zip(*columns, strict=True)]) + "\n").encode()


def copy_text(tx: Tx, table: str, columns: Sequence[str], data: bytes, *, schema: str = "public") -> None:
    """COPY lines in PostgreSQL's text format, UTF-8."""
    statement = SQL("COPY {}.{} ({}) FROM STDIN").format(
        Identifier(schema), Identifier(table), SQL(", ").join(Identifier(each) for each in columns)
    )
    tx.flush()
    with driver_connection(tx).cursor() as cursor, cursor.copy(statement) as stream:
        stream.write(data)


Column = Callable[[list[Any]], Iterable[str]]


@cache
def _writer(table: SqlTable, name: str) -> Column:
    """What turns the values of a column into COPY's text: a column at a time, because its values are much alike."""
    kind = table.c[name].type
    if isinstance(kind, JSONB):
        return _json_or_nothing if kind.none_as_null else _json
    return _members if isinstance(kind, SqlEnum) else _plain


_PLAIN: Final[dict[object, str]] = {None: "\\N", True: "t", False: "f"}


def _plain(values: list[Any]) -> Iterable[str]:
    kinds = set(map(type, values))
    if kinds == {str}:
        return _texts(values)
    if kinds == {int}:
        return map(str, values)
    if kinds <= _INSTANTS:
        written: dict[object, str] = {value: str(value) for value in set(values)}  # mostly the one moment of a run
        return map((written | {None: _PLAIN[None]}).__getitem__, values)
    return [_one(value) for value in values]


_INSTANTS: Final[frozenset[type]] = frozenset({datetime, date, type(None)})


def _texts(values: list[str]) -> list[str]:
    together = "".join(values)
    if together.isprintable() and "\\" not in together:
        return values
    return [value.translate(_ESCAPED) for value in values]


def _one(value: object) -> str:
    if value is None or type(value) is bool:
        return _PLAIN[value]
    return _texts([value])[0] if isinstance(value, str) else str(value)  # numbers read as they are written


def _members(values: list[Any]) -> Iterable[str]:
    return ["\\N" if value is None else str(value.value if isinstance(value, Enum) else value) for value in values]


# JSON escapes control characters itself and keeps its own backslashes, which COPY would take for its own.
_JSON: Final = {None: "null", True: "true", False: "false"}


def _json(values: list[Any]) -> list[str]:
    return [_JSON[value] if value is None or type(value) is bool else _written(value) for value in values]


def _json_or_nothing(values: list[Any]) -> list[str]:
    return ["\\N" if value is None else _JSON[value] if type(value) is bool else _written(value) for value in values]


def _written(value: object) -> str:
    if type(value) is int:
        return str(value)
    written = json_text(value)
    return written.replace("\\", "\\\\") if "\\" in written else written


@cache
def _array_of(table: SqlTable, name: str) -> str:
    """The SQL type of a column, as the element of an array parameter."""
    kind = table.c[name].type
    if isinstance(kind, JSONB):
        return "jsonb"
    return "text" if isinstance(kind, SqlEnum) else kind.compile().lower().replace("datetime", "timestamptz")


def update(tx: Tx, table: type[Table], key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set columns of rows known by `key`; every mapping holds the key and the same columns. One statement.

    Raises LookupError where a row is not there.
    """
    if not rows:
        return
    into, names = sql_table(table), tuple(rows[0])
    first = rows[0]
    shared = {name for name in names if name != key and all(row[name] == first[name] for row in rows)}
    own = [name for name in names if name not in shared]
    values = {name: _parameter(into, name, first[name]) for name in shared}
    values |= {name: array_text([_parameter(into, name, row[name]) for row in rows]) for name in own}
    casts = ", ".join(f"CAST(:{name} AS {_array_of(into, name)}[])" for name in own)
    changed = ", ".join(
        f'"{name}" = CAST(:{name} AS {_array_of(into, name)})' if name in shared else f'"{name}" = new."{name}"'
        for name in names if name != key
    )  # fmt: skip
    listed = ", ".join(f'"{name}"' for name in own)
    statement = text(
        f'UPDATE "{into.name}" AS old SET {changed} FROM unnest({casts}) AS new ({listed})'  # noqa: S608 -- our names
        f' WHERE old."{key}" = new."{key}"'
    )
    found = tx.execute(statement, values)
    if getattr(found, "rowcount", len(rows)) != len(rows):
        raise LookupError(f"{len(rows)} rows of {into.name} were to be changed, {getattr(found, 'rowcount', 0)} were")


_HARMLESS: Final = frozenset(string.ascii_letters + string.digits + "_-.:@")


def array_text(values: Sequence[object]) -> str:
    """A list as PostgreSQL writes arrays: one text for the driver to hand on instead of as many as there are values."""
    if set(map(type, values)) == {str}:
        texts = cast(Sequence[str], values)
        if _HARMLESS.issuperset("".join(texts)):
            return '{"' + '","'.join(texts) + '"}'
    return "{" + ",".join(["NULL" if each is None else _quoted(str(each)) for each in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parameter(table: SqlTable, name: str, value: object) -> object:
    kind = table.c[name].type
    if isinstance(kind, JSONB):
        return None if value is None and kind.none_as_null else json_text(value)
    return value.value if isinstance(value, Enum) else value


def read(
    tx: Tx, table: type[R], *where: ColumnElement[bool], only: Sequence[str] = (), order_by: str | None = None,
    lock: bool = False,
) -> list[R]:  # fmt: skip
    """Rows, or some columns `only`, for rules to read, without the session's bookkeeping; in the order of a column,
    locked if asked to.
    """
    from_table = sql_table(table)
    query = select(*(each for each in from_table.columns if not only or each.name in only)).where(*where)
    if order_by is not None:
        query = query.order_by(from_table.c[order_by])
    if lock:
        query = query.with_for_update(key_share=True)
    return [cast(R, row) for row in tx.execute(query)]


def rows(tx: Tx, table: type[R], query: Select[R]) -> list[R]:
    """What a query of a table finds, as `plain` rows."""
    columns = sql_table(table).columns
    names, kind = columns.keys(), _kind(table)
    found = tx.execute(query.with_only_columns(*columns))
    return [cast(R, kind(**dict(zip(names, row, strict=True)))) for row in found]


@dataclass(slots=True)
class _Chunks:
    """The chunks at work in this process, and how many ended since garbage was looked for."""

    at_work: int = 0
    ended: int = 0
    collects: bool = True  # as it was before the first of them


_chunks: Final = _Chunks()
_counting: Final = Lock()
_LOOK_AFTER: Final = 50


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for cyclic garbage while any chunk is at work: each makes many rows and next to no cycles, and
    looking through the rows again and again is a twelfth of its time. What cycles there are go every so many chunks,
    because where jobs run side by side there may always be one at work.
    """
    with _counting:
        if not _chunks.at_work:
            _chunks.collects = gc.isenabled()
        _chunks.at_work += 1
        gc.disable()
    try:
        yield
    finally:
        with _counting:
            _chunks.at_work -= 1
            _chunks.ended += 1
            look = _chunks.ended % _LOOK_AFTER == 0
            if _chunks.collects and not _chunks.at_work:
                gc.enable()
        if look:
            gc.collect()


def among(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    """`column` is one of many values: one parameter, however many they are.

    A set to join with and no `= ANY`: where a table is taken for smaller than it is, that reads the whole parameter
    for every row.
    """
    given = sql_cast(literal(array_text(list(values))), ARRAY(String))
    return cast(ColumnElement[bool], column.in_(select(func.unnest(given))))


def bisected(
    ids: Sequence[str], act: Callable[[Sequence[str]], None], guilty: Callable[[str, Exception], None]
) -> None:
    """Do it to all at once; where that fails, to halves, until what fails is one, which `guilty` is told of.

    `act` opens its own transaction, so that a failure leaves nothing. Raises what another try may cure: a deadlock, a
    lost connection.
    """
    if not ids:
        return
    try:
        act(ids)
    except ANOTHER_TRY_MAY_DO:
        raise
    except Exception as broken:  # noqa: BLE001 -- whatever it is, it is one's, and the others go on
        if len(ids) == 1:
            guilty(ids[0], broken)
            return
        log.warning("bulk.bisected", count=len(ids), error=type(broken).__name__)
        middle = len(ids) // 2
        bisected(ids[:middle], act, guilty)
        bisected(ids[middle:], act, guilty)
