"""The doors of finance: who may enter, what is refused, what comes out."""

import csv
import io
import json
from datetime import UTC, date, datetime
from hashlib import sha256

import httpx
import pytest
from sqlalchemy import text

from app.accounts import api_keys
from app.core.clock import transport_now
from app.reports import overview, registry
from app.reports.shape import Format, Period
from tests import shop
from tests.world import World

WHOLE = {"from": "2026-01-01", "to": "2099-12-31"}


def client(world: World, *scopes: str, account_id: str | None = None) -> httpx.Client:
    with world.db.transaction() as tx:
        _, secret = api_keys.create(
            tx, world.ports.secrets, name="finance", scopes=list(scopes), account_id=account_id, actor="test",
            now=transport_now(),
        )  # fmt: skip
    return world.api(secret)


def test_a_purchase_is_in_every_report(world: World) -> None:
    order = shop.buy(world)
    finance = client(world, "reports:read")
    answer = finance.get("/v1/reports/invoice_register.csv", params=WHOLE)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == (
        'attachment; filename="invoice_register_2026-01-01_2099-12-31.csv"'
    )
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["number"], row["customer"], row["buyer_tax_id"]) == ("ACME-000001", "Beispiel GmbH", "DE136695976")
    assert (row["net"], row["tax"], row["paid"], row["open"]) == ("2750.00", "0.00", "2750.00", "0.00")
    assert (row["status"], row["treatment"], row["order_id"]) == ("paid", "reverse_charge", order.id)
    (payment,) = map(json.loads, finance.get("/v1/reports/payments_received.jsonl", params=WHOLE).text.splitlines())
    assert (payment["gross_minor"], payment["currency"], payment["exponent"]) == (275_000, "EUR", 2)
    assert payment["invoice_number"] == "ACME-000001"
    assert (payment["fee_minor"], payment["net_minor"]) == (4_150, 270_850)
    (fee,) = map(json.loads, finance.get("/v1/reports/provider_fees.jsonl", params=WHOLE).text.splitlines())
    assert (fee["about"], fee["payment_id"], fee["fee_minor"]) == ("payment", payment["id"], 4_150)
    journal = finance.get("/v1/reports/ledger_journal.csv", params=WHOLE).text
    assert journal.count("\r\n") == 7
    assert finance.get("/v1/reports/tax_by_jurisdiction.csv", params=WHOLE).status_code == 200


def test_the_manifest_door_proves_the_download(world: World) -> None:
    shop.buy(world)
    finance = client(world, "reports:*")
    asked = WHOLE | {"as_of": "2099-12-31T23:59:59Z"}
    manifest = finance.get("/v1/reports/ledger_journal.jsonl/manifest", params=asked).json()
    content = finance.get("/v1/reports/ledger_journal.jsonl", params=asked).content
    assert manifest["sha256"] == sha256(content).hexdigest()
    assert manifest["totals"]["EUR"]["debit_minor"] == manifest["totals"]["EUR"]["credit_minor"] == 554_150
    assert manifest["as_of"] == "2099-12-31T23:59:59+00:00"


def test_the_list_tells_every_report_and_column(world: World) -> None:
    listed = client(world, "*").get("/v1/reports").json()
    assert [each["name"] for each in listed["data"]] == list(registry.names())
    register = listed["data"][0]
    assert {"name": "net", "jsonl_name": "net_minor", "kind": "money"}.items() <= register["columns"][10].items()
    assert all(column["about"] for each in listed["data"] for column in each["columns"])


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/reports/ledger_journal.csv?from=2026-01-01&to=2026-01-31"])
def test_only_the_vendors_own_keys_with_the_scope_may_read(world: World, path: str) -> None:
    assert world.browser().get(path).status_code == 401
    assert client(world, "invoices:read").get(path).json()["code"] == "scope_missing"
    of_customer = client(world, "reports:read", account_id=shop.buy(world).account_id)
    assert (of_customer.get(path).status_code, of_customer.get(path).json()["code"]) == (403, "not_allowed")
    assert client(world, "reports:read").get(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"to": "2026-01-31"}, "from"),
        ({"from": "2026-01-01"}, "to"),
        ({"from": "yesterday", "to": "2026-01-31"}, "from"),
        ({"from": "2026-01-01", "to": "2026-02-30"}, "to"),
        ({"from": "2026-02-01", "to": "2026-01-31"}, "to"),
        ({"from": "2026-01-01", "to": "2026-01-31", "as_of": "2026-02-01T10:00:00"}, "as_of"),
        ({"from": "2026-01-01", "to": "2026-01-31", "as_of": ""}, "as_of"),
    ],
)
def test_a_bad_parameter_is_named(world: World, query: dict[str, str], param: str) -> None:
    answer = client(world, "reports:read").get("/v1/reports/invoice_register.csv", params=query)
    assert (answer.status_code, answer.json()["param"]) == (422, param)


@pytest.mark.parametrize("path", ["balance_sheet.csv", "invoice_register.pdf", "invoice_register", "x.csv/manifest"])
def test_what_there_is_not_is_not_found(world: World, path: str) -> None:
    answer = client(world, "reports:read").get(f"/v1/reports/{path}", params=WHOLE)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_overview_counts_what_was_sold(world: World) -> None:
    nothing = overview.read(world.db)
    assert (nothing.accounts, nothing.active_subscriptions, nothing.arr) == (0, 0, ())
    assert set(nothing.orders.values()) == {0}
    order = shop.buy(world)
    shop.buy(world, currency="USD", seats=11, interval="month", email="bo@example.de")
    shop.order(world, shop.offer(world, email="cy@example.de"))
    failed = overview.read(world.db).failed_jobs
    with world.db.transaction() as tx:
        tx.execute(text("INSERT INTO procrastinate_jobs (task_name, queue_name, args, status) VALUES"
                        " ('x', 'default', '{}', 'failed')"))  # fmt: skip
    now = overview.read(world.db)
    assert (now.accounts, now.active_subscriptions, now.failed_jobs, now.open_quote_requests) == (3, 2, failed + 1, 0)
    assert [str(each) for each in now.arr] == ["2,750.00 EUR", "1,584.00 USD"]
    assert {state: count for state, count in now.orders.items() if count} == {"completed": 2, "awaiting_payment": 1}
    assert order.completed_at is not None


def test_months_without_invoices_are_drawn_as_nothing(world: World) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        issued = tx.execute(text("SELECT issued_on FROM invoice")).scalar_one()
        first, last = date(issued.year - 1, 11, 15), date(issued.year, 12, 31)
        figures = overview.invoiced_by_month(tx, first, last)
        assert overview.invoiced_by_month(tx, date(2020, 1, 1), date(2020, 12, 31)) == []
    assert (len(figures), figures[0].month, figures[-1].month) == (
        14,
        date(issued.year - 1, 11, 1),
        last.replace(day=1),
    )
    assert {each.month: each.net.minor for each in figures if each.net} == {issued.replace(day=1): 275_000}
    assert {each.net.currency for each in figures} == {"EUR"}


def test_a_download_left_in_the_middle_frees_its_connection(world: World) -> None:
    finance = client(world, "reports:read")
    for _ in range(world.settings.pool_size + 1):
        with finance.stream("GET", "/v1/reports/invoice_register.csv", params=WHOLE) as answer:
            next(answer.iter_raw())
    period = Period(date(2026, 1, 1), date(2026, 1, 31))
    at = datetime(2026, 2, 1, tzinfo=UTC)
    assert b"".join(registry.run(world.db, "invoice_register", period, at, Format.CSV)).startswith(b"number,")
