"""Many rows at once (ADR 0036): collected as plain values, written by COPY in the caller's transaction.

The rules that make a row are the ones of the single path; only its way into the table differs. Every constraint and
trigger of the table holds here as there.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

import psycopg
import structlog
from psycopg.sql import SQL, Identifier
from sqlalchemy import ColumnElement, String, any_, literal, select, text
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import OperationalError

from app.core.db import Table, Tx, driver_connection

log = structlog.get_logger()

# A deadlock, a lost connection, a full disk: raised by SQLAlchemy, and by the driver under a COPY.
ANOTHER_TRY_MAY_DO: Final = (OperationalError, psycopg.OperationalError)

R = TypeVar("R", bound=Table)
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def plain(_table: type[R], values: Mapping[str, Any]) -> R:
    """A row for rules to read, without the session's bookkeeping, which costs more than the rules themselves."""
    return cast(R, SimpleNamespace(**values))


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
    names = tuple(rows[0])
    into = sql_table(table)
    named = [(name, _writer(into, name)) for name in names]
    lines = []
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"rows of {into.name} name different columns")
        lines.append("\t".join([write(row[name]) for name, write in named]))
    lines.append("")
    data = "\n".join(lines).encode()
    for listener in _listeners:
        listener(into.name, names, data)
    copy_text(tx, into.name, names, data)


def copy_text(tx: Tx, table: str, columns: Sequence[str], data: bytes, *, schema: str = "public") -> None:
    """COPY lines in PostgreSQL's text format, UTF-8."""
    statement = SQL("COPY {}.{} ({}) FROM STDIN").format(
        Identifier(schema), Identifier(table), SQL(", ").join(Identifier(each) for each in columns)
    )
    tx.flush()
    with driver_connection(tx).cursor() as cursor, cursor.copy(statement) as stream:
        stream.write(data)


@cache
def _writer(table: SqlTable, name: str) -> Callable[[Any], str]:
    kind = table.c[name].type
    if isinstance(kind, JSONB):
        return _json_or_nothing if kind.none_as_null else _json
    if isinstance(kind, SqlEnum):
        return _member
    return _plain


_PLAIN: Final[dict[object, str]] = {None: "\\N", True: "t", False: "f"}


def _plain(value: object) -> str:
    kind = type(value)
    if kind is str:
        return _text(cast(str, value))
    if kind is bool or value is None:
        return _PLAIN[value]
    return _text(value) if isinstance(value, str) else str(value)  # numbers, dates, instants read as they are written


def _text(value: str) -> str:
    return value.translate(_ESCAPED) if "\\" in value or not value.isprintable() else value


def _member(value: object) -> str:
    return "\\N" if value is None else str(value.value if isinstance(value, Enum) else value)


# JSON escapes control characters itself and keeps its own backslashes, which COPY would take for its own.
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
_JSON: Final = {None: "null", True: "true", False: "false"}


def _json(value: object) -> str:
    if value is None or type(value) is bool:
        return _JSON[value]
    written = _encode(value)
    return written.replace("\\", "\\\\") if "\\" in written else written


def _json_or_nothing(value: object) -> str:
    return "\\N" if value is None else _json(value)


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
    casts = ", ".join(f"CAST(:{name} AS {_array_of(into, name)}[])" for name in names)
    changed = ", ".join(f'"{name}" = new."{name}"' for name in names if name != key)
    listed = ", ".join(f'"{name}"' for name in names)
    statement = text(
        f'UPDATE "{into.name}" AS old SET {changed} FROM unnest({casts}) AS new ({listed})'  # noqa: S608 -- our names
        f' WHERE old."{key}" = new."{key}"'
    )
    found = tx.execute(statement, {name: [_parameter(into, name, row[name]) for row in rows] for name in names})
    if getattr(found, "rowcount", len(rows)) != len(rows):
        raise LookupError(f"{len(rows)} rows of {into.name} were to be changed, {getattr(found, 'rowcount', 0)} were")


def _parameter(table: SqlTable, name: str, value: object) -> object:
    kind = table.c[name].type
    if isinstance(kind, JSONB):
        return None if value is None and kind.none_as_null else _encode(value)
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
        query = query.with_for_update()
    return [cast(R, row) for row in tx.execute(query)]


def among(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    """`column` is one of many values: one parameter, however many they are."""
    return cast(ColumnElement[bool], column == any_(literal(list(values), ARRAY(String))))


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
