"""CSV and JSON Lines, written by PostgreSQL itself and streamed as it writes: no row becomes a Python object.

COPY does the work of the driver, the ORM and the csv module at a third of their cost, in memory that does not grow.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
import pycountry
from psycopg import sql

from app.core.money import exponent
from app.reports.shape import ENTITY, Column, Format, Kind, Report, Scope

MEDIA_TYPES: Final = {Format.CSV: "text/csv; charset=utf-8; header=present", Format.JSONL: "application/jsonl"}
_CHUNK_BYTES: Final = 64 * 1024

# S33: a spreadsheet runs a cell that begins with one of these, blanks before it notwithstanding. The signs stand here
# with every character that compatibility normalization (NFKC) turns into one of them.
_SIGNS: Final = (
    "=\uff1d\ufe66\u207c\u208c\u2a75\u2a76" "+\uff0b\ufe62\u207a\u208a\ufb29" "@\uff20\ufe6b" "\uff0d\ufe63-"
)  # fmt: skip
_BLANKS: Final = (
    "\x01-\x20\x7f-\xa0\u00ad\u034f\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
)  # fmt: skip
# An apostrophe makes the cell text. A cell that looks like one of ours gets one more, so that taking the first away
# where this pattern follows always gives back what was typed.
DANGEROUS: Final = f"^'*(?:[{_BLANKS}]*[{_SIGNS}]|[\t\r])"


def _exponents() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for each in pycountry.currencies:
        found.setdefault(exponent(each.alpha_3), []).append(each.alpha_3)
    return found


_BY_EXPONENT: Final = _exponents()
_USUAL: Final = exponent("")  # of a currency that ISO 4217 does not list


def _exponent_of_row() -> sql.Composable:
    cases = [
        sql.SQL("WHEN r.currency IN ({}) THEN {}").format(
            sql.SQL(", ").join(sql.Literal(code) for code in sorted(codes)), sql.Literal(places)
        )
        for places, codes in sorted(_BY_EXPONENT.items())
        if places != _USUAL
    ]
    return sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), sql.Literal(_USUAL))


def _decimal(cell: sql.Composable) -> sql.Composable:
    """Minor units times 0.01 is exact in numeric, and carries as many places as the factor."""
    cases = [
        sql.SQL("WHEN {} THEN {} * {}").format(sql.Literal(places), cell, sql.Literal(Decimal(1).scaleb(-places)))
        for places in sorted(_BY_EXPONENT)
    ]
    return sql.SQL("CASE o.exponent {} END").format(sql.SQL(" ").join(cases))


def _csv_cell(column: Column) -> sql.Composable:
    cell = sql.Identifier("o", column.name)
    match column.kind:
        case Kind.TEXT:
            # Most text begins with a letter or digit, which the first test passes without a pattern.
            guarded = sql.SQL(
                "CASE WHEN ascii({0}) BETWEEN 48 AND 57 OR ascii({0}) BETWEEN 65 AND 90"
                " OR ascii({0}) BETWEEN 97 AND 122 THEN {0} WHEN {0} ~ {1} THEN {2} || {0} ELSE nullif({0}, '') END"
            )
            return guarded.format(cell, sql.Literal(DANGEROUS), sql.Literal("'"))
        case Kind.MONEY:
            return _decimal(cell)
        case Kind.FLAG:
            return sql.SQL("CASE WHEN {} THEN 'true' ELSE 'false' END").format(cell)
        case Kind.CODE:
            return sql.SQL("nullif({}::text, '')").format(cell)
        case Kind.DATE | Kind.COUNT:
            return cell


def base(report: Report) -> sql.Composed:
    """The report's query with the relation it reads sellers and their cut from."""
    return sql.SQL("WITH entity AS ({}) {}").format(sql.SQL(ENTITY), sql.SQL(report.sql))


def _with_exponent(report: Report) -> sql.Composable:
    """OFFSET 0 keeps the planner from working out the exponent anew for every amount of a row."""
    return sql.SQL("(SELECT r.*, {} AS exponent FROM ({}) r OFFSET 0) o").format(_exponent_of_row(), base(report))


def _csv_query(report: Report) -> sql.Composed:
    cells = sql.SQL(", ").join(_csv_cell(column) for column in report.columns)
    return sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')").format(
        cells, _with_exponent(report), sql.SQL(report.order_by)
    )


def _jsonl_query(report: Report) -> sql.Composed:
    """One JSON object a row.

    JSON escapes control characters, so with two of them as delimiter and quote nothing is ever quoted, and COPY's
    lines are the file's lines.
    """
    names: list[sql.Composable] = [
        sql.SQL("{} AS {}").format(
            sql.Identifier("o", column.name), sql.Identifier(column.written_as(Format.JSONL))
        )
        for column in report.columns
    ]  # fmt: skip
    if any(column.kind is Kind.MONEY for column in report.columns):
        names.append(sql.SQL("o.exponent"))
    return sql.SQL(
        "COPY (SELECT (SELECT row_to_json(line) FROM (SELECT {}) line) FROM {} ORDER BY {})"
        " TO STDOUT (FORMAT csv, ENCODING 'UTF8', DELIMITER E'\\x02', QUOTE E'\\x01')"
    ).format(sql.SQL(", ").join(names), _with_exponent(report), sql.SQL(report.order_by))


def header(report: Report) -> bytes:
    return ",".join(column.name for column in report.columns).encode() + b"\r\n"


def lines(connection: psycopg.Connection[Any], report: Report, scope: Scope, fmt: Format) -> Iterator[bytes]:
    """Every row as the file spells it, line end included, without the header. Closing early ends the query."""
    csv = fmt is Format.CSV
    query = _csv_query(report) if csv else _jsonl_query(report)
    with connection.cursor() as cursor, cursor.copy(query, scope.params) as copy:
        for data in copy:  # libpq hands over one row at a time, ended by one line feed
            yield bytes(data[:-1]) + b"\r\n" if csv else bytes(data)


def stream(connection: psycopg.Connection[Any], report: Report, scope: Scope, fmt: Format) -> Iterator[bytes]:
    """The file, in pieces of some 64 KiB."""
    waiting = bytearray(header(report) if fmt is Format.CSV else b"")
    for line in lines(connection, report, scope, fmt):
        waiting += line
        if len(waiting) >= _CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def file_name(report: Report, scope: Scope, fmt: Format) -> str:
    """The same question has the same name, whenever it is asked."""
    known = ""
    if isinstance(scope.as_of, datetime):
        known = f"_as-of-{scope.as_of.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    elif scope.as_of is not None:
        known = f"_as-of-{scope.as_of}"
    return f"{report.name}_{scope.period.first}_{scope.period.last}{known}.{fmt}"
