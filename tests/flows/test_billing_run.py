"""The billing run: each (subscription, period) once, whatever dies, doubles or sleeps; one bad account stops nobody."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlmodel import col

from app.adapters.sandbox import clock, switches
from app.adapters.sandbox.models import Fault
from app.core import policy
from app.dunning.models import AutomaticCharge, DunningRun
from app.flows import billing_run, charging, openings, purchase, renewal, saved_card, standing, tick
from app.orders.errors import AlreadyRenewed
from app.orders.models import Order, OrderState
from app.quotes.models import Quote
from app.subscriptions.models import RenewalOpening, Subscription, SubscriptionState
from tests import shop
from tests.flows.ending import (
    billed_once,
    catch_up,
    charged,
    count,
    declining,
    end_of,
    mails,
    subscription_of,
    together,
    told,
    walk,
    walk_days,
)
from tests.flows.test_renewal import renew
from tests.world import World, full


class Killed(BaseException):
    """Stands in for SIGKILL: nothing of ours catches it."""


def monthly(world: World, how_many: int) -> list[Order]:
    return [
        shop.buy(world, interval="month", email=f"buyer{n}@example.de", company=f"Firma {n} GmbH", seats=11)
        for n in range(how_many)
    ]


def ended(world: World, order: Order) -> tuple[str, str]:
    """What the job of a renewal is given."""
    held = subscription_of(world, order)
    return held.id, held.ends_on.isoformat()


def test_a_clock_that_stood_still_for_forty_days_bills_each_period_once(world: World) -> None:
    orders = monthly(world, full(200))
    clock.set_to(world.db, end_of(world, orders[0]) + timedelta(days=40))
    catch_up(world)
    figures = billed_once(world)
    assert figures["terms"] == 3 * len(orders), figures
    print(f"40 days of silence: {figures}")  # noqa: T201 -- figures of the run are part of its result
    catch_up(world)
    assert billed_once(world) == figures, "a rerun bills nothing more"


@pytest.mark.parametrize(
    "step",
    ["review", "start", "charge_before", "charge_after", "settle", "apply_report", "record"],
)
def test_a_crash_at_any_point_of_a_renewal_is_made_good_and_charges_once(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.buy(world, interval="month")
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))
    where: dict[str, tuple[object, str]] = {
        "review": (renewal, "review"), "start": (purchase, "start"), "charge_before": (charging, "_intend"),
        "charge_after": (saved_card, "charge"), "settle": (purchase, "settle"),
        "apply_report": (purchase, "apply_report"), "record": (billing_run, "_record"),
    }  # fmt: skip
    module, name = where[step]
    original = getattr(module, name)

    def die(*args: object, **kwargs: object) -> None:
        original(*args, **kwargs)
        raise Killed

    subscription_id, ends_on = ended(world, order)
    for _ in range(2):  # and a second crash while it is made good
        with monkeypatch.context() as patch:
            patch.setattr(module, name, die)
            with suppress(Killed):
                billing_run.renew_automatically.run(world.ports, subscription_id=subscription_id, ends_on=ends_on)
    catch_up(world)
    assert billed_once(world) == {"terms": 2, "charges": 2, "subscriptions": 1}
    assert count(world, AutomaticCharge) == 1


def test_two_workers_at_once_bill_once(world: World) -> None:
    order = shop.buy(world, interval="month")
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))
    subscription_id, ends_on = ended(world, order)

    def work() -> None:
        billing_run.renew_automatically.run(world.ports, subscription_id=subscription_id, ends_on=ends_on)

    def look() -> None:
        tick.tick(world.ports)

    assert together(*[work] * 8, *[look] * 4) == []
    catch_up(world)
    assert billed_once(world) == {"terms": 2, "charges": 2, "subscriptions": 1}
    assert subscription_of(world, order).parked_at is None


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.DOWN, Fault.BUSY])
def test_a_provider_that_fails_for_days_is_asked_again_and_charges_once(world: World, fault: Fault) -> None:
    order = shop.buy(world, interval="month")
    switches.flip(world.db, fault=fault)
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))
    for _ in range(3):
        tick.tick(world.ports)
        world.work()
        clock.set_to(world.db, world.ports.clock.now() + timedelta(days=1))
    switches.flip(world.db, fault=Fault.NONE)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"))
    catch_up(world)
    world.work()
    assert billed_once(world) == {"terms": 2, "charges": 2, "subscriptions": 1}


def test_one_bad_account_never_stops_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, *good = monthly(world, 4)
    original = renewal.next_term

    def next_term(held: Subscription, *given: Any) -> object:
        if held.id == bad.subscription_id:
            raise ZeroDivisionError
        return original(held, *given)

    with monkeypatch.context() as patch:
        patch.setattr(renewal, "next_term", next_term)
        walk(world, end_of(world, bad) + timedelta(hours=1))
    parked = subscription_of(world, bad)
    assert "ZeroDivisionError" in (parked.parked_reason or "")
    assert told(world, "subscription.parked") == 1
    states = {subscription_of(world, each).ends_on > world.ports.clock.now().date() for each in good}
    assert states == {True}
    assert billed_once(world)["terms"] == 7
    billing_run.release(world.ports, parked.id, by="stf_1", note="mended")
    catch_up(world)
    assert billed_once(world)["terms"] == 8


def test_what_breaks_in_the_tick_itself_is_parked_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = monthly(world, 2)
    original: Callable[..., None] = standing.move
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE subscription SET auto_renew = false"))

    def move(tx: object, subscription: Subscription, *given: object) -> None:
        original(tx, subscription, *given)
        if subscription.id == bad.subscription_id:
            raise ZeroDivisionError

    clock.set_to(world.db, end_of(world, bad) + timedelta(hours=1))
    with monkeypatch.context() as patch:
        patch.setattr(standing, "move", move)
        tick.tick(world.ports)
    assert subscription_of(world, bad).parked_reason is not None
    assert subscription_of(world, bad).state is SubscriptionState.ACTIVE, "what it began is undone"
    assert subscription_of(world, good).state is SubscriptionState.LAPSED


def test_the_bound_of_a_day_parks_and_tells(world: World) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "automatic_charges_a_day", 2, valid_from=now, by="test", why="test", now=now)
    order = shop.buy(world, interval="month")
    clock.set_to(world.db, end_of(world, order) + timedelta(days=200))
    catch_up(world)
    held = subscription_of(world, order)
    assert "charged too often" in (held.parked_reason or "")
    assert billed_once(world)["terms"] == 3
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=2))
    billing_run.release(world.ports, held.id, by="stf_1", note="looked")
    catch_up(world)
    assert billed_once(world)["terms"] == 5


def test_a_held_order_parks_the_renewal_and_charges_nothing(world: World) -> None:
    order = shop.buy(world, interval="month")
    subscription_id, ends_on = ended(world, order)
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))
    offer = renewal.review(world.ports, subscription_id)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE preview SET route = 'review' WHERE id = :id"), {"id": offer.preview.id})
        found = tx.get_one(Subscription, subscription_id)
        assert found.ends_on.isoformat() == ends_on
    placed = shop.order(world, shop.offer(world, email="x@example.de", company="X GmbH"))
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE \"order\" SET state = 'canceled' WHERE id = :id"), {"id": placed.order_id})
        tx.execute(text("INSERT INTO state_move VALUES ('order', 'canceled', 'held') ON CONFLICT DO NOTHING"))
        tx.execute(
            text(
                "UPDATE \"order\" SET state = 'held', kind = 'renewal', subscription_id = :s, term_starts_on = :d"
                " WHERE id = :id"
            ),
            {"id": placed.order_id, "s": subscription_id, "d": ends_on},
        )
    catch_up(world)
    assert "is held" in (subscription_of(world, order).parked_reason or "")
    assert charged(world) == 1


@pytest.mark.parametrize("interval", ["month", "year"])
def test_a_term_that_is_parked_or_collected_is_not_renewed_by_hand_beside_it(world: World, interval: str) -> None:
    order = declining(world) if interval == "month" else shop.buy(world)
    if interval == "month":
        walk(world, end_of(world, order) + timedelta(days=15))  # after grace a renewal by hand would begin today
        with pytest.raises(AlreadyRenewed):
            renew(world, order)
        assert count(world, DunningRun) == 1
        return
    walk(world, end_of(world, order) - timedelta(days=20))
    renew(world, order)
    with pytest.raises(renewal.RenewalNotOpen):
        renew(world, order)


@pytest.mark.parametrize(("late", "follows"), [(0, True), (10, True), (11, False), (40, False)])
def test_the_last_day_of_grace_still_follows_and_the_next_one_starts_today(
    world: World, late: int, *, follows: bool
) -> None:
    order = shop.buy(world)
    end = subscription_of(world, order).ends_on
    clock.set_to(world.db, end_of(world, order) - timedelta(hours=1))  # reminders on the way there are another test's
    walk(world, end_of(world, order) + timedelta(days=late, hours=5))
    assert subscription_of(world, order).state is (SubscriptionState.LAPSED if late < 10 else SubscriptionState.EXPIRED)
    renew(world, order)
    after = subscription_of(world, order)
    assert (after.starts_on, after.state) == (end if follows else end + timedelta(days=late), SubscriptionState.ACTIVE)


def test_a_renewal_that_needs_a_quote_is_asked_for_when_it_opens_and_never_charged(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "automation_threshold", {"EUR": 100_000}, valid_from=now, by="test", why="test", now=now)
        tx.execute(text("UPDATE subscription SET auto_renew = true"))
    walk(world, end_of(world, order) - timedelta(days=91))
    assert count(world, Quote) == 0
    walk_days(world, 2)
    assert count(world, Quote) == 1
    assert told(world, "renewal.needs_sales") == 1
    with world.db.transaction() as tx:
        opening = tx.execute(select(RenewalOpening)).scalar_one()
        quote = tx.execute(select(Quote)).scalar_one()
    assert (opening.route, opening.quote_id) == ("sales", quote.id)
    walk_days(world, 95)
    assert charged(world) == 1
    assert count(world, Quote) == 1
    assert all("we prepare the price" in each for each in mails(world, "Time to renew"))
    assert subscription_of(world, order).state is SubscriptionState.LAPSED


def test_a_retired_plan_goes_to_sales_and_is_renewed_by_nobody_else(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE plan SET retired_at = now() WHERE sku = 'professional'"))
    walk(world, end_of(world, order) - timedelta(days=80))
    with world.db.transaction() as tx:
        quote = tx.execute(select(Quote)).scalar_one()
    assert [each["code"] for each in quote.reasons] == ["retired_plan"]


def test_an_ordinary_opening_is_looked_at_once_and_asks_nobody(world: World) -> None:
    order = shop.buy(world)
    walk(world, end_of(world, order) - timedelta(days=30))
    assert count(world, RenewalOpening) == 1
    assert count(world, Quote) == 0
    assert told(world, "renewal.opened") == 1
    with world.db.transaction() as tx:
        assert openings.next_due(tx, world.ports.clock.now()) is None


def test_a_price_rise_is_told_with_both_prices_and_why(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE subscription_line SET unit_minor = 10000 WHERE subscription_id = :s"),
                   {"s": order.subscription_id})  # fmt: skip
    walk(world, end_of(world, order) - timedelta(days=59))
    (text_,) = mails(world, "Time to renew")
    assert "costs €110.00 instead of €100.00" in text_
    assert "because our list price changed on" in text_


@settings(max_examples=full(300), deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=100), min_size=1, max_size=8))
def test_a_ladder_is_read_only_if_its_days_rise(days: list[int]) -> None:
    from app.dunning.ladder import LADDER

    rungs = [{"day": day, "mail": True} for day in days]
    rises = all(day >= 1 for day in days) and days == sorted(set(days))
    try:
        assert [rung.day for rung in LADDER.read(rungs)] == days
        assert rises
    except ValueError:
        assert not rises


def test_a_canceled_order_with_a_lost_answer_is_looked_up_and_never_charged(world: World) -> None:
    order = shop.buy(world, interval="month")
    switches.flip(world.db, fault=Fault.DOWN)
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))
    tick.tick(world.ports)
    world.work()
    with world.db.transaction() as tx:
        waiting = tx.execute(select(Order).where(col(Order.state) == OrderState.AWAITING_PAYMENT)).scalar_one()
    purchase.cancel(world.ports, waiting.id, by="stf_1")
    switches.flip(world.db, fault=Fault.NONE)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE payment_attempt SET created_at = created_at - interval '1 hour'"))
        tx.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"))
    purchase.ask_about_open.run(world.ports)
    catch_up(world)
    assert charged(world) == 2, "the purchase, and the renewal that took the canceled one's place"
