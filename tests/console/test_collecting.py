"""The console about money to come: what goes out, pausing it, what is parked, and what renews at what risk."""

from datetime import timedelta

from sqlalchemy import text

from app.dunning.models import RunState
from tests import shop
from tests.console.helping import audited, do, told
from tests.flows.ending import (
    cards_become,
    end_of,
    outcomes,
    past_due,
    run_of,
    subscription_of,
    walk,
    walk_days,
)
from tests.signing_in import staff_browser
from tests.world import World


def test_the_board_shows_what_goes_out_tomorrow_and_this_week(world: World) -> None:
    browser, _ = staff_browser(world)
    assert "Nothing is being collected" in browser.get("/console/dunning").text
    order = past_due(world)
    html = browser.get("/console/dunning").text
    assert "1 collection is open" in html
    assert "1 step goes out by this time tomorrow" in html
    assert html.count("the saved card is tried") == 4, "days 1, 3, 5 and 7"
    assert "Beispiel GmbH" in html
    page = browser.get(f"/console/dunning/{run_of(world).id}").text
    assert "Last try on" in page
    assert f"/console/subscriptions/{order.subscription_id}" in page
    assert f"/console/dunning/{run_of(world).id}" in browser.get(f"/console/subscriptions/{order.subscription_id}").text


def test_a_pause_needs_days_and_a_reason_and_is_taken_back(world: World) -> None:
    browser, person = staff_browser(world)
    past_due(world)
    page = f"/console/dunning/{run_of(world).id}"
    assert "docs/procedures/dunning.md" in browser.get(page).text
    for values, sentence in (
        ({"days": "7", "note": " "}, "Say why"), ({"days": "many", "note": "x"}, "Write the days"),
        ({"days": "99", "note": "x"}, "1 to 30"),
    ):  # fmt: skip
        refused = do(browser, page, f"{page}/pause", **values)
        assert (refused.status_code, sentence in refused.text) == (422, True), sentence
    done = do(browser, page, f"{page}/pause", days="7", note="Their new card comes on Monday.")
    assert done.headers["location"] == f"{page}?done=dunning-paused"
    (entry,) = audited(world, "dunning.paused")
    assert (entry.actor, entry.details) == (person.id, {"reason": "Their new card comes on Monday.", "days": 7})
    walk_days(world, 6)
    assert set(outcomes(world)) == {None}
    assert "Their new card comes on Monday." in browser.get(page).text
    assert do(browser, page, f"{page}/resume", note="It came.").status_code == 303
    cards_become(world, "pays")
    walk_days(world, 1.5)
    assert run_of(world).state is RunState.RECOVERED
    assert f"{page}/pause" not in browser.get(page).text


def test_a_parked_subscription_is_in_sight_until_it_is_billed_again(world: World) -> None:
    browser, person = staff_browser(world)
    order = shop.buy(world, interval="month")
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE price SET valid_to = valid_from + 1 WHERE interval = 'month'"))
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert "is not sold in EUR" in (subscription_of(world, order).parked_reason or "")
    assert "The billing run could not bill Beispiel GmbH" in browser.get("/console").text
    assert "Parked by the billing run" in browser.get("/console/dunning").text
    page = f"/console/subscriptions/{order.subscription_id}"
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE price SET valid_to = NULL WHERE interval = 'month'"))
    done = do(browser, page, f"{page}/release", note="The price is back.")
    assert done.headers["location"] == f"{page}?done=subscription-released"
    (entry,) = audited(world, "subscription.released")
    assert entry.actor == person.id
    walk_days(world, 0.1)
    assert subscription_of(world, order).ends_on > world.ports.clock.now().date()
    assert told(world, "subscription.parked") == 1
    assert do(browser, "/console/dunning", f"{page}/release", note="Again.").status_code == 422


def test_the_desk_tells_month_amount_and_risk_and_filters(world: World) -> None:
    browser, _ = staff_browser(world)
    assert "Nothing renews here" in browser.get("/console/renewals").text
    order = shop.buy(world)
    shop.buy(world, email="eve@example.de", company="Eve GmbH", interval="month")
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE payment_method SET removed_at = now() WHERE account_id = :a"), {"a": order.account_id})
        tx.execute(text("UPDATE subscription_line SET unit_minor = unit_minor - 100 WHERE subscription_id = :s"),
                   {"s": order.subscription_id})  # fmt: skip
        stopped = "UPDATE subscription SET not_renewing_at = now(), not_renewing_reason = 'Too dear' WHERE id = :s"
        tx.execute(text(stopped), {"s": order.subscription_id})
    walk_days(world, 10)
    html = browser.get("/console/renewals").text
    assert "Eve GmbH" in html
    assert "Up for renewal by month, before tax, EUR" in html
    assert "<rect" in html
    walk_days(world, 90)
    html = browser.get("/console/renewals?risk=no_card").text
    assert "No saved card" in html
    assert "Price rises" in html
    assert "Too dear" in html
    assert "Eve GmbH" not in html
    assert "2,750.00 EUR" in html
    ends = subscription_of(world, order).ends_on
    assert "Beispiel GmbH" in browser.get(f"/console/renewals?month={ends:%Y-%m}").text
    assert "Nothing renews here" in browser.get("/console/renewals?risk=detractor").text
    assert browser.get("/console/renewals?month=nonsense&risk=nonsense").status_code == 200
