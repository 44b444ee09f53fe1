"""What finance downloads: the same figures as the documents, in bytes that never depend on when or where."""

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256

import pytest

from app.core.errors import Invalid, NotFound
from app.core.money import Money
from app.reports import registry
from app.reports.shape import AsOf, Format, Period, read_as_of, read_day
from tests import books
from tests.books import Sale, Tax
from tests.world import World

JANUARY = Period(date(2027, 1, 1), date(2027, 1, 31))
QUARTER = Period(date(2027, 1, 1), date(2027, 3, 31))  # a return is of whole quarters
# 31 January in California, where the seller keeps its books; 1 February in UTC.
LATE_JANUARY = datetime(2027, 2, 1, 6, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Books:
    """Three sales: paid at once in euro, paid in February, and open in yen."""

    world: World
    berlin: Sale
    austin: Sale
    tokyo: Sale
    austin_paid_at: datetime

    def read(self, name: str, fmt: Format = Format.CSV, as_of: AsOf = None, period: Period = JANUARY) -> bytes:
        return b"".join(registry.run(self.world.db, name, period, as_of, fmt))

    def rows(self, name: str, as_of: AsOf = None, period: Period = JANUARY) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.read(name, as_of=as_of, period=period).decode(), newline="")))


@pytest.fixture
def small(world: World) -> Books:
    with world.db.transaction() as tx:
        at = datetime(2027, 1, 5, 12, tzinfo=UTC)
        berlin = books.draft(
            tx, books.customer(tx, "Käse & Söhne, GmbH", at, "DE"), Money(1_200_000, "EUR"), at,
            taxes=[Tax("DE", "MwSt.", "19", 228_000)], tax_ids=["DE136695976"], po_number="PO 7",
        )  # fmt: skip
        books.issue(tx, berlin, at)
        books.pay(tx, berlin, at)
        at = datetime(2027, 1, 20, 12, tzinfo=UTC)
        austin = books.draft(
            tx, books.customer(tx, '=cmd|"/c calc"!A1', at), Money(10_001, "USD"), at,
            taxes=[Tax("US-TX", "Sales tax", "6.25", 625), Tax("US-TX-AUSTIN", "City tax", "2", 200)],
        )  # fmt: skip
        books.issue(tx, austin, at)
        austin_paid_at = datetime(2027, 2, 3, 12, tzinfo=UTC)
        books.pay(tx, austin, austin_paid_at)
        tokyo = books.draft(
            tx, books.customer(tx, "Line one\nLine two", LATE_JANUARY, "JP"), Money(5_000, "JPY"), LATE_JANUARY,
            treatment="not_collecting",
        )  # fmt: skip
        books.issue(tx, tokyo, LATE_JANUARY)
    return Books(world, berlin, austin, tokyo, austin_paid_at)


def test_the_invoice_register_is_these_bytes(small: Books) -> None:
    berlin, austin, tokyo = small.berlin.invoice, small.austin.invoice, small.tokyo.invoice
    expected = (
        "number,type,issue_date,due_date,customer,account_id,buyer_country,buyer_tax_id,po_number,currency,net,discount,"
        "tax,total,paid,credited,open,status,entity,supply_from,supply_to,treatment,order_id,test\r\n"
        f'ACME-000001,invoice,2027-01-05,2027-01-05,"Käse & Söhne, GmbH",{berlin.account_id},DE,DE136695976,PO 7,EUR,'
        "12000.00,0.00,2280.00,14280.00,14280.00,0.00,0.00,paid,acme-us,2027-01-05,2028-01-04,standard,"
        f"{berlin.order_id},true\r\n"
        f"""ACME-000002,invoice,2027-01-20,2027-01-20,"'=cmd|""/c calc""!A1",{austin.account_id},US,,,USD,"""
        "100.01,0.00,8.25,108.26,108.26,0.00,0.00,paid,acme-us,2027-01-20,2028-01-19,standard,"
        f"{austin.order_id},true\r\n"
        f'ACME-000003,invoice,2027-01-31,2027-01-31,"Line one\nLine two",{tokyo.account_id},JP,,,JPY,'
        "5000,0,0,5000,0,0,5000,open,acme-us,2027-02-01,2028-01-31,not_collecting,"
        f"{tokyo.order_id},true\r\n"
    )
    assert small.read("invoice_register").decode() == expected


def test_json_lines_carry_whole_minor_units_and_raw_text(small: Books) -> None:
    lines = small.read("invoice_register", Format.JSONL).split(b"\n")
    assert lines.pop() == b""
    first, second, third = [json.loads(line) for line in lines]
    assert (first["net_minor"], first["tax_minor"], first["total_minor"]) == (1_200_000, 228_000, 1_428_000)
    assert (first["currency"], first["exponent"], third["currency"], third["exponent"]) == ("EUR", 2, "JPY", 0)
    assert second["customer"] == '=cmd|"/c calc"!A1'
    assert (third["issue_date"], third["customer"], third["test"]) == ("2027-01-31", "Line one\nLine two", True)
    assert not any(isinstance(value, float) for row in (first, second, third) for value in row.values())


def test_payments_fall_on_the_day_they_were_booked(small: Books) -> None:
    february = Period(date(2027, 2, 1), date(2027, 2, 28))
    (row,) = small.rows("payments_received", period=february)
    assert row == {
        "id": row["id"], "provider": "sandbox", "provider_ref": row["provider_ref"], "received_date": "2027-02-03",
        "account_id": small.austin.invoice.account_id, "order_id": small.austin.order.id,
        "invoice_number": "ACME-000002", "method": "card", "label": "Visa •••• 4242", "gross": "108.26",
        "fee": "0.00", "net": "108.26", "over": "0.00",
        "currency": "USD",
    }  # fmt: skip
    assert [row["invoice_number"] for row in small.rows("payments_received")] == ["ACME-000001"]


def test_tax_is_summed_by_jurisdiction_and_rate(small: Books) -> None:
    assert small.read("tax_by_jurisdiction").decode() == (
        "entity,jurisdiction,name,rate,currency,taxable,tax,documents\r\n"
        "acme-us,DE,MwSt.,19,EUR,12000.00,2280.00,1\r\n"
        "acme-us,US-TX,Sales tax,6.25,USD,100.01,6.25,1\r\n"
        "acme-us,US-TX-AUSTIN,City tax,2,USD,100.01,2.00,1\r\n"
    )


def test_the_journal_lists_every_posting_and_balances(small: Books) -> None:
    rows = small.rows("ledger_journal")
    sides = [(row["memo"], row["account"], row["dimension"], row["debit"], row["credit"]) for row in rows[:5]]
    assert sides == [
        ("Invoice ACME-000001", "1100", "", "14280.00", "0.00"),
        ("Invoice ACME-000001", "2100", "", "0.00", "12000.00"),
        ("Invoice ACME-000001", "2200", "DE", "0.00", "2280.00"),
        ("Payment of ACME-000001", "1200", "sandbox", "14280.00", "0.00"),
        ("Payment of ACME-000001", "1100", "", "0.00", "14280.00"),
    ]
    assert {row["period"] for row in rows} == {"2027-01"}
    for each in ("EUR", "USD", "JPY"):
        of_currency = [row for row in rows if row["currency"] == each]
        debits, credits_ = (sum(Decimal(row[side]) for row in of_currency) for side in ("debit", "credit"))
        assert debits == credits_ > 0


def test_asking_twice_gives_the_same_bytes(small: Books) -> None:
    for name in registry.names():
        for fmt in Format:
            assert small.read(name, fmt, period=QUARTER) == small.read(name, fmt, period=QUARTER)
            # Nothing went back in these books, no provider named a fee, no sale was placed; JSON Lines have no head.
            empty = {(each, Format.JSONL) for each in ("money_returned", "provider_fees", "us_sales_by_state")}
            assert small.read(name, fmt, period=QUARTER) or (name, fmt) in empty
            manifest = registry.write(small.world.db, name, QUARTER, None, fmt)
            assert manifest == registry.write(small.world.db, name, QUARTER, None, fmt)
            assert manifest["sha256"] == sha256(small.read(name, fmt, period=QUARTER)).hexdigest()


def test_bytes_do_not_depend_on_the_time_zone_or_date_style_of_the_session(small: Books) -> None:
    before = {name: small.read(name, period=QUARTER) for name in registry.names()}
    with small.world.db.engine.connect() as connection:
        database = connection.engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE {database} SET DateStyle = 'German'")
        connection.exec_driver_sql(f"ALTER DATABASE {database} SET TimeZone = 'Pacific/Kiritimati'")
        connection.commit()
    small.world.db.engine.dispose()
    assert {name: small.read(name, period=QUARTER) for name in registry.names()} == before


def test_a_register_as_of_a_date_knows_nothing_later(small: Books) -> None:
    early = {row["number"]: row for row in small.rows("invoice_register", as_of=date(2027, 1, 31))}
    assert (early["ACME-000002"]["paid"], early["ACME-000002"]["open"]) == ("0.00", "108.26")
    assert early["ACME-000002"]["status"] == "open"
    # Half past ten in the evening in California belongs to that day's knowledge, though it is tomorrow in UTC.
    assert "ACME-000003" in early
    known = {row["number"] for row in small.rows("invoice_register", as_of=date(2027, 1, 30))}
    assert known == {"ACME-000001", "ACME-000002"}


def test_an_instant_of_knowledge_is_included(small: Books) -> None:
    february = Period(date(2027, 2, 1), date(2027, 2, 28))
    paid_at = small.austin_paid_at
    assert len(small.rows("payments_received", as_of=paid_at, period=february)) == 1
    assert small.rows("payments_received", as_of=paid_at.replace(second=0, minute=0, hour=11), period=february) == []


def test_a_later_payment_leaves_an_earlier_knowledge_as_it_was(small: Books) -> None:
    as_of = date(2027, 2, 10)
    before = small.read("invoice_register", as_of=as_of), small.read("ledger_journal", as_of=as_of)
    with small.world.db.transaction() as tx:
        later = datetime(2027, 3, 1, tzinfo=UTC)
        tx.add_all([small.tokyo.order, small.tokyo.invoice])
        books.pay(tx, small.tokyo, later)
    assert (small.read("invoice_register", as_of=as_of), small.read("ledger_journal", as_of=as_of)) == before
    assert small.read("invoice_register") != before[0]


def test_the_manifest_proves_the_file(small: Books) -> None:
    pieces: list[bytes] = []
    manifest = registry.write(small.world.db, "invoice_register", JANUARY, None, Format.CSV, pieces.append)
    content = b"".join(pieces)
    assert content == small.read("invoice_register")
    assert (manifest["sha256"], manifest["bytes"]) == (sha256(content).hexdigest(), len(content))
    assert (manifest["rows"], manifest["from"], manifest["to"]) == (3, "2027-01-01", "2027-01-31")
    assert manifest["totals"]["EUR"] == {
        "rows": 1, "exponent": 2, "net_minor": 1_200_000, "discount_minor": 0, "tax_minor": 228_000,
        "total_minor": 1_428_000, "paid_minor": 1_428_000, "credited_minor": 0, "open_minor": 0,
    }  # fmt: skip
    assert manifest["totals"]["JPY"]["open_minor"] == 5_000
    assert manifest["ledger"]["entries"] == 5
    assert manifest["file"] == "invoice_register_2027-01-01_2027-01-31.csv"


def test_the_manifest_of_an_empty_period_has_no_totals(small: Books) -> None:
    empty = Period(date(2020, 1, 1), date(2020, 1, 31))
    manifest = registry.write(small.world.db, "invoice_register", empty, None, Format.JSONL)
    assert (manifest["rows"], manifest["totals"], manifest["bytes"]) == (0, {}, 0)
    assert small.read("invoice_register", period=empty).count(b"\r\n") == 1


def test_file_names_tell_the_question_and_no_clock() -> None:
    at = datetime(2027, 2, 10, 1, 2, 3, tzinfo=UTC)
    assert registry.file_name("ledger_journal", JANUARY, at, Format.JSONL) == (
        "ledger_journal_2027-01-01_2027-01-31_as-of-20270210T010203.000000Z.jsonl"
    )
    assert registry.file_name("ledger_journal", JANUARY, at.date(), Format.CSV) == (
        "ledger_journal_2027-01-01_2027-01-31_as-of-2027-02-10.csv"
    )


def test_leaving_a_download_in_the_middle_gives_the_connection_back(small: Books) -> None:
    for _ in range(small.world.settings.pool_size + 2):
        stream = registry.run(small.world.db, "invoice_register", JANUARY, None, Format.CSV)
        next(stream)
        stream.close()
    assert small.read("invoice_register")


def test_an_export_cannot_write(small: Books) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from app.reports.shape import snapshot

    with pytest.raises(DBAPIError, match="read-only"), snapshot(small.world.db) as tx:
        tx.execute(text("UPDATE account SET name = 'x'"))


def test_an_unknown_report_is_refused_before_anything_is_read(world: World) -> None:
    with pytest.raises(NotFound, match="invoice_register"):
        registry.run(world.db, "balance", JANUARY, None, Format.CSV)


def test_a_period_cannot_end_before_it_begins() -> None:
    with pytest.raises(Invalid) as refused:
        Period(date(2027, 2, 1), date(2027, 1, 31))
    assert refused.value.param == "to"


@pytest.mark.parametrize(
    "wrong",
    ["", "20270131", "2027-02-30", "2027-W05-1", "31.01.2027", "\N{ARABIC-INDIC DIGIT TWO}027-01-31", "2027-1-31"],
)
def test_a_date_has_one_spelling(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_day(wrong, "from")
    assert refused.value.param == "from"


@pytest.mark.parametrize("wrong", ["2027-01-31T10:00:00", "2027-01-31T25:00:00Z", "9999-12-31T23:59:59.999999Z", "T"])
def test_an_instant_needs_its_offset(wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_as_of(wrong)
    assert refused.value.param == "as_of"
    assert read_as_of("2027-01-31T10:00:00+02:00") == datetime(2027, 1, 31, 8, tzinfo=UTC)
