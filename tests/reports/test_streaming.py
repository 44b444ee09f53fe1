"""A year of a busy shop is exported in the memory of a page."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.core.db import driver_connection
from app.core.money import Money
from app.reports import registry, verify_books
from app.reports.shape import Format, Period
from tests import books
from tests.books import Tax
from tests.world import FULL, World

ROWS = 200_000 if FULL else 6_000
YEAR_2027 = Period(date(2027, 1, 1), date(2027, 12, 31))
MOST_BYTES = 2 * 1024 * 1024
# Each row of the first sale, copied under new ids: `nth` is the copy's number.
_COPIES = """
CREATE TEMP TABLE copy ON COMMIT DROP AS
  SELECT nth, '_' || lpad(nth::text, 26, '0') AS tail FROM generate_series(2, %(rows)s) nth;
INSERT INTO preview SELECT made.* FROM preview, copy, jsonb_populate_record(preview, jsonb_build_object(
  'id', 'prv' || tail)) made;
INSERT INTO "order" SELECT made.* FROM "order", copy, jsonb_populate_record("order", jsonb_build_object(
  'id', 'ord' || tail, 'preview_id', 'prv' || tail)) made;
INSERT INTO invoice SELECT made.* FROM invoice, copy, jsonb_populate_record(invoice, jsonb_build_object(
  'id', 'inv' || tail, 'order_id', 'ord' || tail, 'state', 'draft', 'number', NULL, 'sequence', NULL,
  'paid_at', NULL)) made;
INSERT INTO invoice_line SELECT made.* FROM invoice_line line, copy, jsonb_populate_record(line, jsonb_build_object(
  'id', nextval('invoice_line_id_seq'), 'invoice_id', 'inv' || tail)) made;
INSERT INTO invoice_tax SELECT made.* FROM invoice_tax tax, copy, jsonb_populate_record(tax, jsonb_build_object(
  'id', nextval('invoice_tax_id_seq'), 'invoice_id', 'inv' || tail)) made;
INSERT INTO payment SELECT made.* FROM payment, copy, jsonb_populate_record(payment, jsonb_build_object(
  'id', 'pay' || tail, 'order_id', 'ord' || tail, 'provider_ref', 'ch' || tail)) made;
INSERT INTO invoice_payment SELECT made.* FROM invoice_payment part, copy, jsonb_populate_record(part,
  jsonb_build_object('id', nextval('invoice_payment_id_seq'), 'invoice_id', 'inv' || tail,
  'payment_id', 'pay' || tail)) made;
INSERT INTO posting SELECT made.* FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id, copy,
  jsonb_populate_record(posting, jsonb_build_object(
  'id', nextval('posting_id_seq'), 'entry_id', 'led' || left(entry.kind, 1) || tail)) made;
INSERT INTO ledger_entry SELECT made.* FROM ledger_entry entry, copy, jsonb_populate_record(entry, jsonb_build_object(
  'id', 'led' || left(entry.kind, 1) || tail, 'source', entry.kind || ':' || left(entry.kind, 3) || tail)) made;
UPDATE invoice_counter SET next_number = %(rows)s + 1;
UPDATE invoice SET state = 'open', sequence = nth, number = 'ACME-' || lpad(nth::text, 6, '0')
  FROM copy WHERE invoice.id = 'inv' || tail;
UPDATE invoice SET state = 'paid', paid_at = finalized_at FROM copy WHERE invoice.id = 'inv' || tail;
"""


@pytest.fixture
def busy(world: World) -> World:
    """One sale written by the services, and its rows copied by the database under every rule it has."""
    now = datetime(2027, 1, 5, 12, tzinfo=UTC)
    with world.db.transaction() as tx:
        sale = books.draft(
            tx, books.customer(tx, "Käse, Söhne & Co.", now, "DE"), Money(10_000, "EUR"), now,
            taxes=[Tax("DE", "MwSt.", "19", 1_900)], tax_ids=["DE136695976"],
        )  # fmt: skip
        books.issue(tx, sale, now)
        books.pay(tx, sale, now)
    with world.db.transaction() as tx:
        cursor = driver_connection(tx).cursor()
        for statement in _COPIES.split(";\n")[:-1]:
            cursor.execute(statement.replace("%(rows)s", str(ROWS)).encode())
    with world.db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    return world


def measured(pieces: Iterator[bytes]) -> tuple[int, int]:
    """How many lines came, and the most bytes Python held meanwhile."""
    tracemalloc.start()
    try:
        return sum(piece.count(b"\n") for piece in pieces), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


def test_a_busy_year_is_exported_whole_in_memory_that_does_not_grow(busy: World) -> None:
    before = resident()
    for name, rows in (("invoice_register", ROWS), ("payments_received", ROWS), ("ledger_journal", 5 * ROWS)):
        for fmt in Format:
            counted, peak = measured(registry.run(busy.db, name, YEAR_2027, None, fmt))
            assert counted == rows + (fmt is Format.CSV)
            assert peak < MOST_BYTES, (name, fmt, peak)
    assert resident() - before < 16 * MOST_BYTES
    a_long_register_is_complete_and_in_order(busy)
    assert {each.check for each in verify_books.verify(busy.db)} == {"order_licenses"}


def a_long_register_is_complete_and_in_order(busy: World) -> None:
    content = b"".join(registry.run(busy.db, "invoice_register", YEAR_2027, None, Format.CSV))
    numbers = [row["number"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]
    assert numbers == [f"ACME-{each:06d}" for each in range(1, ROWS + 1)]
    manifest = registry.write(busy.db, "invoice_register", YEAR_2027, None, Format.CSV)
    assert (manifest["rows"], manifest["totals"]["EUR"]["total_minor"]) == (ROWS, ROWS * 11_900)
    tax = b"".join(registry.run(busy.db, "tax_by_jurisdiction", YEAR_2027, None, Format.CSV)).decode()
    assert tax.splitlines()[1] == f"acme-us,DE,MwSt.,19,EUR,{ROWS * 100}.00,{ROWS * 19}.00,{ROWS}"
