"""Registration thresholds: the facts on file, the meter over issued documents, and alerts said once."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml
from sqlalchemy import event, text

from app.accounts import service as accounts
from app.accounts.models import StaffRole
from app.core import policy
from app.core.money import Money
from app.flows import nexus_alerts, refund
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.orders.models import Order
from app.reports.nexus_meter import Meter
from app.tax import exchange_rates, nexus_data
from app.tax.exchange_rates import Rate
from app.tax.rates import BadTaxData
from tests import shop
from tests.console.helping import audited, do, told
from tests.signing_in import staff_browser
from tests.world import World

TODAY = date(2026, 11, 22)
OHIO: dict[str, Any] = {
    "country": "US",
    "region": "OH",
    "postcode": "43004",
    "city": "Columbus",
    "currency": "USD",
    "vat": None,
}
TEXAS: dict[str, Any] = {
    "country": "US",
    "region": "TX",
    "postcode": "78701",
    "city": "Austin",
    "currency": "USD",
    "vat": None,
}


def test_the_thresholds_are_those_of_the_states() -> None:
    places = nexus_data.load()
    on = {code: place.on(TODAY) for code, place in places.items()}
    rows = {code: row for code, row in on.items() if row is not None}
    assert len([code for code in rows if code.startswith("US-")]) == 47, "51 without DE, MT, NH, OR"
    other = {
        code: row.amount.major() for code, row in rows.items() if code[:3] == "US-" and row.amount.minor != 10_000_000
    }
    assert other == {"US-AL": 250_000, "US-MS": 250_000, "US-CA": 500_000, "US-TX": 500_000, "US-NY": 500_000}
    both = {code: row.transactions for code, row in rows.items() if row.both}
    assert both == {"US-NY": 100, "US-CT": 200}
    either = {code[3:]: row.validity.grade for code, row in rows.items() if row.transactions == 200 and not row.both}
    assert {code for code, grade in either.items() if grade == "A"} == set("MD MI MN NE NJ NV RI VT".split())
    assert {code for code, grade in either.items() if grade == "C"} == set("AR DC GA HI OH VA WV".split())
    ended = {"US-UT": date(2025, 7, 1), "US-IL": date(2026, 1, 1), "US-WY": date(2024, 7, 1)}
    for code, first in ended.items():
        before, after = places[code].on(first - timedelta(days=1)), places[code].on(first)
        assert before is not None
        assert after is not None
        assert (before.transactions, after.transactions) == (200, None)
    assert rows["NO"].amount == Money(5_000_000, "NOK")
    assert rows["JP"].amount == Money(10_000_000, "JPY")


def meter(world: World, jurisdiction: str) -> Meter:
    with world.db.transaction() as tx:
        found = nexus_alerts.meters(tx, world.ports.clock.now())
    return next(each for each in found if each.jurisdiction == jurisdiction)


def credited(world: World, order: Order) -> None:
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice
    asked = refund.request(world.ports, Asked(invoice.id), by="stf_1")
    refund.approve(world.ports, asked.id, by="stf_2")
    world.work()


def test_the_meter_counts_documents_less_credits_in_the_currency_of_the_place(world: World) -> None:
    assert meter(world, "US-TX").percent == 0
    first = shop.buy(world, seats=25, **TEXAS)
    shop.buy(world, seats=25, email="b@example.com", company="B Inc", **TEXAS)
    found = meter(world, "US-TX")
    assert (found.registered, found.transactions, found.sales.currency) == (False, 2, "USD")
    assert found.sales.minor == 2 * first.total_minor
    assert found.percent == 1, "6,000 of 500,000, rounded down"
    credited(world, first)
    assert meter(world, "US-TX").sales.minor == first.total_minor
    shop.buy(world, seats=20, **(TEXAS | {"currency": "EUR", "email": "c@example.com", "company": "C Inc"}))
    assert [each.currency for each in meter(world, "US-TX").unconverted] == ["EUR"], "never counted at a guess"
    today = world.ports.clock.now().date()
    with world.db.transaction() as tx:
        rate = Rate(today - timedelta(days=2), "USD", Decimal("1.1"))
        exchange_rates.store(tx, [rate], by="test", now=world.ports.clock.now())
    converted = meter(world, "US-TX")
    assert converted.unconverted == ()
    assert converted.sales.minor == first.total_minor + 242_000
    assert meter(world, "US-NY").registered


def test_the_meters_take_two_questions_however_many_places_there_are(world: World) -> None:
    shop.buy(world, **TEXAS)
    asked: list[str] = []
    event.listen(world.db.engine, "before_cursor_execute", lambda _c, _u, said, *_: asked.append(said))
    with world.db.transaction() as tx:
        nexus_alerts.meters(tx, world.ports.clock.now())
    assert len([said for said in asked if "SELECT" in said]) <= 5, "clock, seller, registrations, documents, rates"


def test_a_crossing_is_said_once_and_again_only_after_it_was_undone(world: World) -> None:
    def read_again() -> int:
        with world.db.transaction() as tx:
            tx.execute(text("DELETE FROM nexus_reading"))
        return nexus_alerts.read_due(world.ports)

    assert nexus_alerts.read_due(world.ports) == 0
    korea = {"country": "KR", "postcode": "04524", "city": "Seoul", "currency": "USD", "vat": None}
    order = shop.buy(world, **korea)
    shop.buy(world, email="oh@example.com", company="O Inc", **OHIO)
    assert nexus_alerts.read_due(world.ports) == 0, "once a day"
    assert read_again() == 1, "the first sale is enough in Korea, and one mail for both levels"
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, nexus_alerts.NEAR.name, 2, valid_from=now, by="test", why="test", now=now)
    assert read_again() == 1, "Ohio comes near"
    assert (read_again(), told(world, "tax.nexus_reached")) == (0, 2)
    browser, staff = staff_browser(world, StaffRole.FINANCE)
    html = browser.get("/console").text
    assert "Ohio: a registration comes near" in html
    assert "South Korea: a registration is due" in html
    assert 'class="reached"' in browser.get("/console/tax/nexus").text
    with world.db.transaction() as tx:
        ohio = next(each for each in nexus_alerts.waiting(tx) if each.jurisdiction == "US-OH")
    seen = f"/console/tax/nexus/{ohio.id}/seen"
    assert do(browser, "/console/tax/nexus", seen, note=" ").status_code == 422
    assert do(browser, "/console/tax/nexus", seen, note="Registering from 1 January").status_code == 303
    (entry,) = audited(world, "tax.nexus_seen")
    assert (entry.actor, entry.details["note"]) == (staff.id, "Registering from 1 January")
    credited(world, order)
    assert read_again() == 0
    with world.db.transaction() as tx:
        assert nexus_alerts.waiting(tx) == [], "sales fell below"
    shop.buy(world, **(korea | {"email": "again@example.com", "company": "Again Inc"}))
    assert read_again() == 1
    world.work()
    with world.db.transaction() as tx:
        subjects = tx.execute(text("SELECT subject FROM sandbox_mail WHERE subject LIKE '%registration%' ORDER BY 1"))
        assert [each.split(" in ")[1] for each in subjects.scalars()] == ["Ohio", "South Korea", "South Korea"]


def test_a_seller_of_one_member_state_watches_its_sales_across_borders(world: World) -> None:
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE legal_entity SET country = 'DE', established = '[\"DE\"]', oss = NULL,"
                        " below_eu_threshold = true"))  # fmt: skip
        tx.execute(text("DELETE FROM seller_registration WHERE jurisdiction = 'EU'"))
        assert accounts.seller(tx).country == "DE"
    order = shop.buy(world, vat=None, seats=25, country="FR", postcode="75001", city="Paris")
    shop.buy(world, vat=None, seats=25, email="de@example.de")
    found = meter(world, "EU")
    assert (found.sales, found.threshold.amount) == (Money(275_000, "EUR"), Money(1_000_000, "EUR"))
    assert found.percent == 27
    assert order.currency == "EUR"


def test_the_file_of_meters_is_the_page(world: World) -> None:
    shop.buy(world, **TEXAS)
    browser, _ = staff_browser(world)
    rows = browser.get("/console/tax/nexus.csv").text.splitlines()
    assert rows[0].startswith("jurisdiction,name,registered,percent")
    assert any(row.startswith("US-TX,Texas,false,0,USD,") for row in rows)
    assert rows == browser.get("/console/tax/nexus.csv").text.splitlines()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"amount": "1.5"}, "is not a whole amount"), ({"transactions": 200}, "belong together"),
        ({"counts": "some"}, "write one of gross"), ({"transactions": 0, "join": "or"}, "above 0"),
    ],
)  # fmt: skip
def test_a_threshold_that_breaks_the_rules_is_named(tmp_path: Any, row: dict[str, Any], complaint: str) -> None:
    given = {"amount": "100000", "counts": "gross", "period": "calendar", "from": date(2023, 1, 1), "grade": "A",
             "source": "s", **row}  # fmt: skip
    sources = {"s": {"title": "t", "retrieved": TODAY}}
    states = {"sources": sources, "states": [{"code": "TX", "name": "Texas", "thresholds": [given]}]}
    (tmp_path / "us_nexus.yaml").write_text(yaml.safe_dump(states))
    (tmp_path / "world_nexus.yaml").write_text(yaml.safe_dump({"sources": sources, "countries": []}))
    with pytest.raises(BadTaxData, match=f"us_nexus.yaml.*{complaint}"):
        nexus_data.read_folder(tmp_path)
