"""Overrides as they are kept: through the console and the command, into what a buyer is asked for."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.accounts.models import StaffRole
from app.core.clock import transport_now
from app.core.db import Database
from app.core.errors import Invalid
from app.flows.market import Tables
from app.tax import overruling, service
from app.tax.determination import Determination
from app.tax.overruling import OverrideEnded, OverrideOverlaps, Wanted
from tests.console.helping import audited, do, overridden
from tests.shop import offer
from tests.signing_in import staff_browser
from tests.world import World

AT = "/console/tax/overrides"
TYPED = {
    "jurisdiction": "us-ny", "tax_code": "any", "buyer_type": "any", "treatment": "standard", "rate": "8.75",
    "alone": "yes", "portion": "100", "valid_from": "2026-01-01", "source": "Notice 2026-12", "why": "Confirmed",
}  # fmt: skip


def taxed(world: World, **where: str) -> Determination:
    place = {"country": "US", "region": "NY", "postcode": "14201", "city": "Buffalo", **where}
    preview = offer(world, seats=25, currency="USD", vat=None, **place)
    with world.db.transaction() as tx:
        return service.stored(tx, preview.tax_determination_id)


def wanted(**changes: Any) -> Wanted:
    given: dict[str, Any] = {
        "jurisdiction": "US-DC", "treatment": "standard", "source": "s", "why": "w", "rate": Decimal(7),
        "valid_from": date(2026, 1, 1),
    }  # fmt: skip
    return Wanted(**(given | changes))


def test_finance_records_and_ends_an_override_and_the_next_preview_follows(world: World) -> None:
    browser, staff = staff_browser(world, StaffRole.FINANCE)
    assert taxed(world).treatment == "needs_review"
    assert "Every sale is taxed by the data on file" in browser.get(AT).text
    refused = do(browser, AT, AT, **(TYPED | {"rate": "70", "_form": "add"}))
    assert refused.status_code == 422
    assert "at most 30 percent" in refused.text
    assert 'value="Notice 2026-12"' in refused.text or "Notice 2026-12" in refused.text, "what was typed stays"
    assert do(browser, AT, AT, **TYPED).headers["location"] == f"{AT}?done=override-recorded"
    assert "US-NY: 8.75 %, nothing local added" in browser.get(AT).text
    answer = taxed(world)
    assert answer.treatment == "standard"
    assert [str(each.rate) for each in answer.components] == ["8.75"]
    assert answer.overrides[0].source == "Notice 2026-12"
    assert do(browser, AT, AT, **TYPED).status_code == 409, "two overrides of one kind never share a day"
    row = answer.overrides[0].id
    today = world.ports.clock.now().date()
    end = {"last_day": str(today - timedelta(days=1)), "note": "The law changed"}
    assert do(browser, AT, f"{AT}/{row}/end", **(end | {"last_day": "2026-01-31"})).status_code == 422
    assert do(browser, AT, f"{AT}/{row}/end", **end).status_code == 303
    assert taxed(world).treatment == "needs_review"
    assert do(browser, AT, f"{AT}/{row}/end", **end).status_code == 409
    assert "The law changed" in browser.get(AT).text
    (entry,), (ended,) = audited(world, "tax.override_recorded"), audited(world, "tax.override_ended")
    assert (entry.actor, entry.subject, entry.details["rate"]) == (staff.id, row, "8.75")
    assert ended.details["why"] == "The law changed"


@pytest.mark.parametrize(
    ("param", "changes"),
    [
        ("jurisdiction", {"jurisdiction": "US"}), ("jurisdiction", {"jurisdiction": "ZZ-Q"}),
        ("tax_code", {"tax_code": "bread"}), ("treatment", {"treatment": "not_collecting", "rate": None}),
        ("buyer_type", {"buyer": "robot"}), ("rate", {"rate": Decimal("NaN")}), ("rate", {"rate": Decimal(0)}),
        ("rate", {"rate": Decimal("1.234567")}), ("rate", {"treatment": "product_exempt"}),
        ("rate", {"rate": None, "jurisdiction": "DE"}), ("portion", {"portion": Decimal(0)}),
        ("portion", {"treatment": "zero_rated", "rate": None, "portion": Decimal(50)}),
        ("alone", {"rate": None, "alone": True}), ("buyer_type", {"treatment": "reverse_charge", "rate": None}),
        ("valid_to", {"valid_to": date(2025, 12, 31)}), ("source", {"source": " "}), ("why", {"why": ""}),
    ],
)  # fmt: skip
def test_an_override_that_makes_no_sense_is_refused_by_its_field(
    database: Database, param: str, changes: dict[str, Any]
) -> None:
    with database.transaction() as tx, pytest.raises(Invalid) as refused:
        overruling.record(tx, wanted(**changes), by="test", now=transport_now())
    assert refused.value.param == param


def test_the_table_itself_keeps_days_apart_and_what_was_recorded(world: World) -> None:
    now = world.ports.clock.now()
    future = overridden(world, "US-AL", None, treatment="product_exempt", valid_from=date(2030, 1, 1))
    with world.db.transaction() as tx:
        ended = overruling.end(
            tx, future, last_day=now.date(), why="a mistake", by="test", now=now, today=now.date()
        )  # fmt: skip
        assert ended.withdrawn
    overridden(world, "US-AL", None, treatment="product_exempt", valid_from=date(2030, 1, 1))
    with world.db.transaction() as tx, pytest.raises(OverrideOverlaps):
        overruling.record(tx, wanted(jurisdiction="US-AL", valid_from=date(2029, 1, 1)), by="test", now=now)
    with world.db.transaction() as tx, pytest.raises(OverrideEnded):
        overruling.end(tx, future, last_day=now.date(), why="again", by="test", now=now, today=now.date())
    with pytest.raises(DBAPIError, match="kept as it is"), world.db.transaction() as tx:
        tx.execute(text("UPDATE tax_override SET rate = 3, treatment = 'standard' WHERE NOT withdrawn"))
    with world.db.transaction() as tx:
        assert [row.withdrawn for row in overruling.every(tx)] == [False, True]


def test_a_billing_run_reads_them_once(world: World) -> None:
    overridden(world)
    asked: list[str] = []
    event.listen(world.db.engine, "before_cursor_execute", lambda _c, _u, said, *_: asked.append(said))
    with world.db.transaction() as tx:
        market = Tables(tx, world.ports.clock.now())
        today = world.ports.clock.now().date()
        found = {market.overrides.find("US-DC", "saas_business", "business", today) for _ in range(3)}
    assert len(found) == 1
    assert sum("FROM tax_override" in said for said in asked) == 1
