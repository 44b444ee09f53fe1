"""The figures of tax returns: in euro by member state, by state of the United States, and all of them in the ledger."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pycountry
import pytest
from sqlalchemy import text

from app.adapters.sandbox import clock
from app.core.errors import Invalid
from app.core.money import Money, exponent
from app.flows import refund
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.orders.models import Order
from app.reports import oss_return, registry
from app.reports.oss_return import RatesMissing
from app.reports.shape import Format, Period
from app.tax import exchange_rates
from app.tax.dataset import load
from app.tax.exchange_rates import Rate
from tests import books, shop
from tests.books import Tax
from tests.world import World

Q1 = Period(date(2027, 1, 1), date(2027, 3, 31))
EVER = Period(date(2020, 1, 1), date(2099, 12, 31))


def rows(world: World, name: str, period: Period = EVER) -> list[dict[str, str]]:
    file = b"".join(registry.run(world.db, name, period, None, Format.CSV)).decode()
    return list(csv.DictReader(io.StringIO(file, newline="")))


def sale(world: World, on: date, net: Money, *taxes: Tax, country: str = "FR") -> None:
    at = datetime(on.year, on.month, on.day, 20, tzinfo=UTC)
    with world.db.transaction() as tx:
        draft = books.draft(tx, books.customer(tx, "Somebody", at, country), net, at, taxes=taxes)
        books.issue(tx, draft, at)


def rate(world: World, on: date, currency: str, per_euro: str) -> None:
    with world.db.transaction() as tx:
        exchange_rates.store(tx, [Rate(on, currency, Decimal(per_euro))], by="test", now=world.ports.clock.now())


def credited(world: World, order: Order, total: int | None = None) -> None:
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice
    asked = refund.request(world.ports, Asked(invoice.id, total=total), by="stf_1")
    if total is None:
        refund.approve(world.ports, asked.id, by="stf_2")
    world.work()


def ledger(world: World, like: str, currency: str) -> Decimal:
    """What the books say is owed, in whole units of a currency of two decimals."""
    asked = text("SELECT -coalesce(sum(amount_minor), 0) FROM posting"
                 " WHERE ledger_account = '2200' AND dimension LIKE :like AND currency = :currency")  # fmt: skip
    with world.db.transaction() as tx:
        return Decimal(tx.execute(asked, {"like": like, "currency": currency}).scalar_one()) / 100


def test_the_return_is_in_euro_at_the_rate_of_the_end_of_the_quarter(world: World) -> None:
    sale(world, date(2027, 1, 5), Money(10_000, "EUR"), Tax("FR", "VAT", "20", 2_000))
    sale(world, date(2027, 2, 5), Money(100_000, "DKK"), Tax("FR", "VAT", "20", 20_000))
    sale(world, date(2027, 3, 30), Money(10_000, "JPY"), Tax("DE", "VAT", "19", 1_900), country="DE")
    sale(world, date(2027, 3, 30), Money(10_000, "EUR"), Tax("PT-20", "VAT (Azores)", "16", 1_600), country="PT")
    sale(world, date(2027, 3, 30), Money(10_000, "USD"), Tax("US-NY", "Sales tax", "4", 400), country="US")
    sale(world, date(2027, 4, 1), Money(10_000, "EUR"), Tax("FR", "VAT", "20", 2_000))
    with pytest.raises(RatesMissing, match=r"DKK on 2027-03-31, JPY on 2027-03-31"):
        rows(world, "oss_return", Q1)
    rate(world, date(2027, 3, 30), "DKK", "7")
    rate(world, date(2027, 4, 1), "DKK", "7.46")
    with pytest.raises(RatesMissing, match="JPY"):
        rows(world, "oss_return", Q1)
    rate(world, date(2027, 3, 31), "JPY", "160")
    found = [(r["member_state"], r["rate"], r["taxable"], r["tax"], r["exchange_rates"]) for r in
             rows(world, "oss_return", Q1)]  # fmt: skip
    assert found == [
        ("DE", "19", "62.50", "11.88", "JPY 160"),
        ("FR", "20", "234.05", "46.81", "DKK 7.46"),
        ("PT", "16", "100.00", "16.00", ""),
    ]
    with world.db.transaction() as tx:
        mine = Rate(date(2027, 3, 31), "JPY", Decimal(200))
        exchange_rates.override(tx, mine, why="Agreed with the office", by="test", now=world.ports.clock.now())
    assert rows(world, "oss_return", Q1)[0]["tax"] == "9.50"
    for wrong in (Period(date(2027, 1, 2), date(2027, 3, 31)), Period(date(2027, 1, 1), date(2027, 3, 30))):
        with pytest.raises(Invalid, match="whole quarters"):
            rows(world, "oss_return", wrong)


def test_a_place_with_a_registration_or_a_seat_is_not_declared_through_the_shop(world: World) -> None:
    sale(world, date(2027, 1, 5), Money(10_000, "EUR"), Tax("FR", "VAT", "20", 2_000))
    sale(world, date(2027, 1, 5), Money(10_000, "EUR"), Tax("IE", "VAT", "23", 2_300), country="IE")
    sale(world, date(2027, 1, 5), Money(10_000, "EUR"), Tax("NL", "VAT", "21", 2_100), country="NL")
    with world.db.transaction() as tx:
        tx.execute(text("INSERT INTO seller_registration (legal_entity_id, jurisdiction, scheme)"
                        " SELECT id, 'IE', 'standard' FROM legal_entity"))  # fmt: skip
        tx.execute(text("UPDATE legal_entity SET established = '[\"NL\"]'"))
    assert [each["member_state"] for each in rows(world, "oss_return", Q1)] == ["FR"]


def test_credit_notes_correct_the_quarter_of_their_invoice_and_all_of_it_is_in_the_ledger(world: World) -> None:
    first = shop.buy(world, vat=None, seats=11)
    shop.buy(world, vat=None, seats=12, country="FR", postcode="75001", city="Paris", email="f@example.fr")
    credited(world, first, total=10_000)
    quarter = rows(world, "oss_return", Period(date(2026, 10, 1), date(2026, 12, 31)))
    by_state = {each["member_state"]: each for each in quarter}
    assert {state: (each["kind"], each["documents"]) for state, each in by_state.items()} == {
        "DE": ("sale", "2"), "FR": ("sale", "1"),
    }  # fmt: skip
    for state, each in by_state.items():
        assert Decimal(each["tax"]) == ledger(world, state, "EUR")
    clock.set_to(world.db, datetime(2027, 1, 10, 12, tzinfo=UTC))
    credited(world, first, total=5_000)
    (correction,) = rows(world, "oss_return", Q1)
    assert (correction["kind"], correction["quarter"], correction["corrects"]) == ("correction", "2027-Q1", "2026-Q4")
    assert Decimal(by_state["DE"]["tax"]) + Decimal(correction["tax"]) == ledger(world, "DE", "EUR")
    assert Decimal(correction["tax"]) < 0


def test_the_states_of_the_union_and_the_decimals_are_those_of_the_data() -> None:
    for code in load().places.members:
        assert f"'{code}'" in oss_return.REPORT.sql
    zero, three = (
        {each.alpha_3 for each in pycountry.currencies if exponent(each.alpha_3) == places} for places in (0, 3)
    )
    others = {each.alpha_3 for each in pycountry.currencies} - {"EUR"} - zero - three
    assert all(f"'{code}'" in oss_return.REPORT.sql for code in zero | three)
    assert not any(f"'{code}'" in oss_return.REPORT.sql for code in others)


UNITED = {"country": "US", "currency": "USD", "vat": None}
SALES: tuple[dict[str, Any], ...] = (
    {"region": "KY", "postcode": "40202", "city": "Louisville"},
    {"region": "NY", "postcode": "10001", "city": "New York"},
    {"region": "MI", "postcode": "48201", "city": "Detroit"}, {"region": "OH", "postcode": "43004", "city": "Columbus"},
    {"region": "CA", "postcode": "94105", "city": "San Francisco"},
)  # fmt: skip


def test_the_states_of_america_are_the_lines_by_treatment_and_the_ledger_by_tax(world: World) -> None:
    orders = [
        shop.buy(world, seats=11 + n, **UNITED, **where, email=f"b{n}@example.com", company=f"B{n} Inc")
        for n, where in enumerate(SALES)
    ]
    credited(world, orders[0], total=10_000)
    credited(world, orders[3], total=10_000)
    found = {each["state"]: each for each in rows(world, "us_sales_by_state")}
    assert found.keys() == {"US-KY", "US-NY", "US-MI", "US-OH", "US-CA"}
    for each in found.values():
        parts = ("taxed", "product_exempt", "customer_exempt", "not_collecting", "other")
        assert sum(Decimal(each[part]) for part in parts) == Decimal(each["gross"])
        assert Decimal(each["tax"]) == ledger(world, f"{each['state']}%", "USD")
    assert found["US-OH"]["not_collecting"] == found["US-OH"]["gross"]
    assert found["US-CA"]["product_exempt"] == found["US-CA"]["gross"]
    assert (found["US-KY"]["documents"], found["US-NY"]["documents"]) == ("2", "1")
    components = rows(world, "us_tax_components")
    for state in ("US-KY", "US-NY", "US-MI"):
        owed = [Decimal(each["tax"]) for each in components if each["state"] == state]
        assert sum(owed) == Decimal(found[state]["tax"])
    assert len([each for each in components if each["state"] == "US-NY"]) == 3, "state, city and the district"
