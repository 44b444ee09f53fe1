"""Every report by name, and what can be had of it: the file, its manifest, both at once."""

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg import sql

from app.core.db import Database, driver_connection
from app.core.errors import NotFound
from app.core.money import exponent
from app.reports import (
    formats,
    invoice_register,
    ledger_journal,
    money_returned,
    oss_return,
    payments_received,
    provider_fees,
    tax_by_jurisdiction,
    us_sales_by_state,
    us_tax_components,
)
from app.reports.shape import ENTITY, AsOf, Format, Kind, Period, Report, Scope, snapshot

REPORTS: Final[Mapping[str, Report]] = {
    module.REPORT.name: module.REPORT
    for module in (
        invoice_register,
        payments_received,
        money_returned,
        provider_fees,
        tax_by_jurisdiction,
        oss_return,
        us_sales_by_state,
        us_tax_components,
        ledger_journal,
    )
}


def names() -> tuple[str, ...]:
    return tuple(REPORTS)


def find(name: str) -> Report:
    """Raises NotFound, naming what there is."""
    report = REPORTS.get(name)
    if report is None:
        raise NotFound(f"There is no report {name[:40]!r}; there are {', '.join(REPORTS)}.", param="name")
    return report


def run(db: Database, name: str, period: Period, as_of: AsOf, file_format: Format) -> Generator[bytes, None, None]:
    """The file in pieces, all from one snapshot; asked again with the same knowledge it has the same bytes (R-FIN-3).

    Raises NotFound at once for an unknown name, and whatever the report itself requires. Close it if you do not read it
    to its end.
    """
    report, scope = find(name), Scope(period, as_of)
    if report.require is not None:
        with snapshot(db) as tx:
            report.require(driver_connection(tx), scope)
    return _stream(db, report, scope, file_format)


def _stream(db: Database, report: Report, scope: Scope, fmt: Format) -> Generator[bytes, None, None]:
    with snapshot(db) as tx:
        yield from formats.stream(driver_connection(tx), report, scope, fmt)


def file_name(name: str, period: Period, as_of: AsOf, file_format: Format) -> str:
    """Without a clock: the same question has the same name. Raises NotFound."""
    return formats.file_name(find(name), Scope(period, as_of), file_format)


def _nowhere(_: bytes) -> None:
    """A sink for who wants the manifest only."""


def write(
    db: Database, name: str, period: Period, as_of: AsOf, file_format: Format,
    sink: Callable[[bytes], object] = _nowhere,
) -> dict[str, Any]:  # fmt: skip
    """Hand the file to `sink` piece by piece and return its manifest, both from one snapshot.

    The control totals are summed by the database apart from the file, so that they can be held against it.
    Amounts are minor units; `as_of` null means everything recorded up to the ledger's mark. Raises NotFound.
    """
    report, scope = find(name), Scope(period, as_of)
    digest, size = sha256(), 0
    with snapshot(db) as tx:
        connection = driver_connection(tx)
        if report.require is not None:
            report.require(connection, scope)
        for piece in formats.stream(connection, report, scope, file_format):
            digest.update(piece)
            size += len(piece)
            sink(piece)
        totals = _totals(connection, report, scope)
        return {
            "report": report.name,
            "version": report.version,
            "format": str(file_format),
            "file": formats.file_name(report, scope, file_format),
            "from": period.first.isoformat(),
            "to": period.last.isoformat(),
            "as_of": None if as_of is None else as_of.isoformat(),
            "rows": sum(each["rows"] for each in totals.values()),
            "bytes": size,
            "sha256": digest.hexdigest(),
            "totals": totals,
            **_marks(connection, scope),
        }


def _totals(connection: psycopg.Connection[Any], report: Report, scope: Scope) -> dict[str, dict[str, int]]:
    money = [column for column in report.columns if column.kind is Kind.MONEY]
    sums = [sql.SQL("sum({})").format(sql.Identifier("r", column.name)) for column in money]
    query = sql.SQL("SELECT r.currency, count(*), {} FROM ({}) r GROUP BY r.currency ORDER BY r.currency").format(
        sql.SQL(", ").join(sums), formats.base(report)
    )
    return {
        currency: {"rows": rows, "exponent": exponent(currency)}
        | {column.written_as(Format.JSONL): int(figure) for column, figure in zip(money, figures, strict=True)}
        for currency, rows, *figures in connection.execute(query, scope.params)
    }


def _marks(connection: psycopg.Connection[Any], scope: Scope) -> dict[str, Any]:
    """How far the books had got, and under which schema and policies: what a second run has to share."""
    query = sql.SQL(
        'WITH entity AS ({}) SELECT count(*), max(entry.id COLLATE "C"), max(entry.recorded_at)'
        " FROM ledger_entry entry JOIN entity ON entity.id = entry.legal_entity_id WHERE entry.recorded_at < entity.cut"
    ).format(sql.SQL(ENTITY))
    entries, last, at = connection.execute(query, scope.params).fetchone() or (0, None, None)
    schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    policies = connection.execute("SELECT coalesce(max(id), 0) FROM policy_value").fetchone()
    return {
        "ledger": {"entries": entries, "last_entry": last, "recorded_to": _instant(at)},
        "schema": schema[0] if schema else None,
        "policies": policies[0] if policies else 0,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
