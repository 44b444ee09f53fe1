"""Dunning: tried again on its days, nobody cut off meanwhile, ended by payment or by the last try (R-SUB-5)."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.adapters.sandbox import clock, switches
from app.adapters.sandbox.models import Fault
from app.core import policy
from app.core.errors import Invalid
from app.dunning.errors import AlreadyPaused, NotCollecting
from app.dunning.models import AutomaticCharge, DunningItem, DunningRun, Outcome, Owed, RunState
from app.flows import dunning, tick
from app.invoices.models import Invoice
from app.licenses.models import LicenseState
from app.orders.models import Order, OrderState
from app.payments.models import Payment
from app.subscriptions.models import SubscriptionState
from tests import shop
from tests.flows.ending import (
    DECLINES_LATER,
    cards_become,
    catch_up,
    charged,
    count,
    declining,
    end_of,
    licenses_of,
    mails,
    outcomes,
    past_due,
    run_of,
    subscription_of,
    told,
    walk,
    walk_days,
)
from tests.world import World

D = Outcome.DECLINED
FAILED = "did not go through"


def test_the_card_is_tried_on_each_day_of_the_ladder_and_then_no_more(world: World) -> None:
    order = past_due(world)
    first = run_of(world).opened_at
    walk_days(world, 60)
    with world.db.transaction() as tx:
        asked = tx.execute(text("SELECT asked_at FROM automatic_charge ORDER BY asked_at")).scalars().all()
    assert [round((at - first) / timedelta(days=1)) for at in asked] == [0, 1, 3, 5, 7, 14, 21]
    assert outcomes(world) == [D] * 6
    assert run_of(world).state is RunState.GIVEN_UP
    assert subscription_of(world, order).state is SubscriptionState.EXPIRED
    assert count(world, Payment) == count(world, Invoice) == 1


def test_a_customer_who_is_retried_is_never_cut_off_and_the_bridge_ends_with_the_ladder(world: World) -> None:
    order = past_due(world)
    end = end_of(world, order)
    old, bridge = licenses_of(world)
    assert (old.state, old.superseded_by, old.bridge) == (LicenseState.SUPERSEDED, bridge.id, False)
    assert (bridge.state, bridge.bridge, bridge.seats) == (LicenseState.ACTIVE, True, old.seats)
    assert bridge.expires_at - end == timedelta(days=30)
    assert bridge.file_id != old.file_id
    walk(world, end + timedelta(days=20))
    assert licenses_of(world)[-1].state is LicenseState.ACTIVE
    walk(world, end + timedelta(days=22))
    (_, bridge) = licenses_of(world)
    assert bridge.state is LicenseState.REVOKED


@pytest.mark.parametrize("after_days", [1, 3, 14, 21])
def test_a_card_that_pays_again_ends_it_and_the_new_term_follows_the_old_one(world: World, after_days: int) -> None:
    order = past_due(world)
    ended = subscription_of(world, order).ends_on
    opened = run_of(world).opened_at
    walk(world, opened + timedelta(days=after_days, hours=-2))
    cards_become(world, "pays")
    walk(world, opened + timedelta(days=after_days, hours=2))
    after = subscription_of(world, order)
    assert (after.state, after.starts_on) == (SubscriptionState.ACTIVE, ended)
    assert run_of(world).state is RunState.RECOVERED
    *_, bridge, full = licenses_of(world)
    assert (bridge.bridge, bridge.state, full.bridge, full.state) == (
        True, LicenseState.SUPERSEDED, False, LicenseState.ACTIVE,
    )  # fmt: skip
    assert count(world, Payment) == count(world, Invoice) == charged(world) == 2
    assert told(world, "dunning.recovered") == 1
    assert outcomes(world).count(Outcome.PAID) == 1


def test_the_mails_say_what_happens_when_and_stop_with_the_payment(world: World) -> None:
    past_due(world)
    (first,) = mails(world, FAILED)
    assert "card ending in 0341" in first
    assert "Nothing is switched off" in first
    assert "/card/" in first
    walk_days(world, 8)
    assert len(mails(world, FAILED)) == 3, "at once, after the second and after the fourth try"
    walk_days(world, 7)
    assert len(mails(world, "Last try")) == 1
    walk_days(world, 8)
    (end,) = mails(world, "has ended")
    assert "You owe nothing" in end
    assert "/renew/" in end


def test_a_german_customer_is_written_to_in_german(world: World) -> None:
    past_due(world, locale="de", email="ada@example.de")
    assert len(mails(world, "ist nicht durchgegangen")) == 1


def test_a_dead_card_is_not_tried_again_and_another_one_is_asked_for(world: World) -> None:
    order = declining(world)
    cards_become(world, "lost")
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert len(mails(world, "another card")) == 1
    walk_days(world, 10)
    assert count(world, AutomaticCharge) == 1
    assert outcomes(world)[:4] == [Outcome.NEEDS_CARD] * 4
    run = run_of(world)
    assert (run.needs_card, run.failure_code, run.state) == (True, "lost_card", RunState.OPEN)
    walk_days(world, 15)
    assert run_of(world).state is RunState.GIVEN_UP


def test_a_new_card_is_kept_and_pays_with_one_visit(world: World) -> None:
    order = declining(world)
    cards_become(world, "lost")
    walk(world, end_of(world, order) + timedelta(days=2))
    started = dunning.pay_with_another_card(world.ports, run_of(world).id)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert run_of(world).state is RunState.RECOVERED
    walk_days(world, 40)
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE, "the new card renews the next term"
    assert count(world, DunningRun) == 1


def test_a_page_left_open_is_closed_before_the_card_is_tried_so_nobody_pays_twice(world: World) -> None:
    past_due(world)
    started = dunning.pay_with_another_card(world.ports, run_of(world).id)
    assert started.payment_url is not None
    cards_become(world, "pays")
    walk_days(world, 1.5)
    assert run_of(world).state is RunState.RECOVERED
    refused = shop.pay(world, started.payment_url) if "<form" in world.browser().get(started.payment_url).text else None
    assert refused is None, "the page that was left open takes no money any more"
    assert charged(world) == 2


def test_a_page_that_runs_out_does_not_end_what_is_collected(world: World) -> None:
    order = past_due(world)
    dunning.pay_with_another_card(world.ports, run_of(world).id)
    walk_days(world, 3.5)
    assert subscription_of(world, order).state is SubscriptionState.PAST_DUE
    again = dunning.pay_with_another_card(world.ports, run_of(world).id)
    assert again.payment_url is not None
    shop.pay(world, again.payment_url)
    world.work()
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.DOWN])
def test_an_answer_that_was_lost_never_charges_twice(world: World, fault: Fault) -> None:
    order = past_due(world)
    cards_become(world, "pays")
    clock.set_to(world.db, run_of(world).opened_at + timedelta(days=1, minutes=1))
    switches.flip(world.db, fault=fault)
    tick.tick(world.ports)
    world.work()
    switches.flip(world.db, fault=Fault.NONE)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"))
    world.work()
    catch_up(world)
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert charged(world) == count(world, Payment) == 2
    assert None not in outcomes(world)


def test_after_a_pause_of_ours_one_try_is_enough(world: World) -> None:
    past_due(world)
    clock.set_to(world.db, run_of(world).opened_at + timedelta(days=8))
    catch_up(world)
    assert outcomes(world) == [Outcome.SKIPPED, Outcome.SKIPPED, Outcome.SKIPPED, D, None, None]
    assert count(world, AutomaticCharge) == 2


def test_two_subscriptions_of_an_account_share_one_ladder_and_one_mail_thread(world: World) -> None:
    first = declining(world)
    walk_days(world, 2)
    second = declining(world)
    assert first.account_id == second.account_id
    walk(world, end_of(world, second) + timedelta(hours=1))
    assert count(world, DunningRun) == 1
    assert count(world, DunningItem) == 2
    run = run_of(world)
    with world.db.transaction() as tx:
        found = dunning.standing_of(tx, run.id)
    assert found.last_try_at is not None
    assert len(found.owing) == 2
    assert found.last_try_at - world.ports.clock.now() > timedelta(days=20), "what joins gets every try"
    started = dunning.pay_with_another_card(world.ports, run.id)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    catch_up(world)
    states = {subscription_of(world, each).state for each in (first, second)}
    assert states == {SubscriptionState.ACTIVE}, "the new card is tried at once for the rest"
    assert run_of(world).state is RunState.RECOVERED


def test_other_currencies_have_a_ladder_of_their_own(world: World) -> None:
    declining(world)
    declining(world, currency="USD")
    walk_days(world, 33)
    assert count(world, DunningRun) == 2


def test_an_amount_below_the_minimum_is_not_collected(world: World) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "dunning_minimum", {"EUR": 10_000_000}, valid_from=now, by="test", why="test", now=now)
    order = past_due(world)
    assert count(world, DunningRun) == 0
    walk_days(world, 12)
    assert subscription_of(world, order).state is SubscriptionState.EXPIRED


def test_staff_pause_and_resume_with_a_reason_and_the_bridge_grows_along(world: World) -> None:
    order = past_due(world)
    run, end = run_of(world), end_of(world, order)
    dunning.pause(world.ports, run.id, days=20, reason="a new card is coming", by="stf_1")
    with pytest.raises(AlreadyPaused):
        dunning.pause(world.ports, run.id, days=1, reason="again", by="stf_1")
    walk_days(world, 19)
    assert outcomes(world) == [None] * 6
    assert licenses_of(world)[-1].expires_at >= end + timedelta(days=41)
    dunning.resume(world.ports, run.id, reason="it came", by="stf_1")
    with pytest.raises(NotCollecting):
        dunning.resume(world.ports, run.id, reason="twice", by="stf_1")
    cards_become(world, "pays")
    walk_days(world, 2)
    assert run_of(world).state is RunState.RECOVERED
    with pytest.raises(NotCollecting):
        dunning.pause(world.ports, run.id, days=1, reason="too late", by="stf_1")
    with pytest.raises(Invalid):
        dunning.pause(world.ports, run.id, days=400, reason="forever", by="stf_1")


def test_a_subscription_without_a_card_asks_for_one(world: World) -> None:
    order = shop.buy(world, interval="month")
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE payment_method SET removed_at = now()"))
    walk(world, end_of(world, order) + timedelta(hours=1))
    run = run_of(world)
    assert (run.needs_card, run.failure_code) == (True, "no_card")
    assert count(world, AutomaticCharge) == 0
    assert len(mails(world, "another card")) == 1


def test_a_revoked_license_is_not_brought_back_by_a_bridge(world: World) -> None:
    order = declining(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE license SET state = 'revoked', revoked_at = now(), revoked_reason = 'leaked'"))
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert [each.bridge for each in licenses_of(world)] == [False]


def test_late_money_brings_back_what_was_given_up(world: World) -> None:
    order = past_due(world)
    started = dunning.pay_with_another_card(world.ports, run_of(world).id)
    walk_days(world, 25)
    assert subscription_of(world, order).state is SubscriptionState.EXPIRED
    with world.db.transaction() as tx:
        assert tx.get_one(Order, started.order_id).state is OrderState.EXPIRED
        states = [each.state for each in tx.query(DunningItem)]
    assert states == [Owed.GIVEN_UP]
    walk_days(world, 1)
    assert count(world, Payment) == 1


def test_the_ladder_is_data(world: World) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        rungs = [{"day": 2, "mail": False}, {"day": 4, "mail": True}]
        policy.change(tx, "dunning_ladder", rungs, valid_from=now, by="test", why="shorter", now=now)
        for wrong in ([], [{"day": 2}], [{"day": 3, "mail": True}, {"day": 3, "mail": True}], "daily"):
            with pytest.raises(Invalid):
                policy.change(tx, "dunning_ladder", wrong, valid_from=now, by="test", why="wrong", now=now)
    order = past_due(world)
    walk_days(world, 5)
    assert outcomes(world) == [D, D]
    assert subscription_of(world, order).state is SubscriptionState.LAPSED, "inside its grace still"
    walk_days(world, 7)
    assert subscription_of(world, order).state is SubscriptionState.EXPIRED


def test_a_yearly_renewal_with_a_declined_card_is_collected_as_well(world: World) -> None:
    order = shop.buy(world, DECLINES_LATER)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE subscription SET auto_renew = true"))
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert subscription_of(world, order).state is SubscriptionState.PAST_DUE
    assert count(world, DunningItem) == 1
