"""A held order goes on only where the buyer pays exactly what they accepted."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.core import policy
from app.core.errors import NotFound
from app.core.ids import new_id
from app.flows import held_orders, purchase
from app.flows.held_orders import FiguresChanged, GoesToSales, NotHeld, TaxStillUnclear
from app.orders import service as orders
from app.orders.models import Order, OrderState
from app.screening.destinations import DestinationRefused
from app.tax import service as tax
from app.tax.determination import Treatment
from tests import shop
from tests.console.helping import BUFFALO, DONETSK, audited, held
from tests.world import World


def release(world: World, order_id: str) -> Order:
    return held_orders.recheck(world.ports, order_id, by="stf_1", note="Compared with the lists of today.")


def state_of(world: World, order_id: str) -> OrderState:
    with world.db.transaction() as tx:
        return orders.get(tx, order_id).state


def sql(world: World, statement: str) -> None:
    with world.db.transaction() as tx:
        tx.execute(text(statement))


def stop_collecting_in_new_york(world: World) -> None:
    sql(world, "UPDATE seller_registration SET valid_to = valid_from + 1 WHERE jurisdiction = 'US-NY'")


def test_a_destination_that_a_person_let_pass_is_paid_and_delivered(world: World) -> None:
    order_id = held(world, **DONETSK)
    release(world, order_id)
    world.work()
    mails = world.browser().get("/sandbox/mail.json", params={"to": DONETSK["email"]}).json()
    assert [mail["subject"] for mail in mails if "can go on" in mail["subject"]] == [f"Your order {order_id} can go on"]
    started = purchase.resume(world.ports, order_id)
    assert started.payment_url
    shop.pay(world, started.payment_url)
    world.work()
    assert state_of(world, order_id) is OrderState.COMPLETED


def test_the_release_is_recorded_with_its_reason_and_the_buyer_has_a_week(world: World) -> None:
    order_id = held(world, **DONETSK)
    order = release(world, order_id)
    now = world.ports.clock.now()
    assert order.expires_at is not None
    assert abs(order.expires_at - now - timedelta(days=7)) < timedelta(minutes=5)
    (entry,) = audited(world, "order.released")
    assert (entry.actor, entry.subject, entry.details["held_for"]) == ("stf_1", order_id, "export_hold")
    assert entry.details["note"] == "Compared with the lists of today."


def test_tax_that_is_still_unclear_keeps_the_order_held_and_says_what_to_do(world: World) -> None:
    order_id = held(world)
    with pytest.raises(TaxStillUnclear, match="Add what is missing"):
        release(world, order_id)
    assert state_of(world, order_id) is OrderState.HELD
    assert audited(world, "order.released") == []


def test_tax_that_became_clear_at_the_same_total_lets_the_order_go_on_with_its_reason(world: World) -> None:
    order_id = held(world, **BUFFALO)
    stop_collecting_in_new_york(world)
    order = release(world, order_id)
    with world.db.transaction() as tx:
        found = tax.stored(tx, order.tax_determination_id)
    assert (order.state, found.treatment) == (OrderState.AWAITING_PAYMENT, Treatment.NOT_COLLECTING)


def test_other_figures_are_never_put_under_an_acceptance(world: World) -> None:
    order_id = held(world, **DONETSK)
    sql(world, "UPDATE price SET unit_minor = unit_minor + 100 WHERE currency = 'USD' AND interval = 'year'")
    with pytest.raises(FiguresChanged, match=r"accepted 3,000\.00 USD and it would be 3,025\.00 USD"):
        release(world, order_id)
    assert state_of(world, order_id) is OrderState.HELD


def test_an_order_that_would_go_through_sales_by_now_is_not_released(world: World) -> None:
    order_id = held(world, **DONETSK)
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "automation_threshold", {"USD": 100_000}, valid_from=now, by="test", why="lower", now=now)
    with pytest.raises(GoesToSales, match="Cancel it and make the buyer an offer"):
        release(world, order_id)


def test_a_destination_that_is_forbidden_by_now_is_refused(world: World) -> None:
    order_id = held(world, **DONETSK)
    sql(world, "UPDATE preview SET inputs = jsonb_set(inputs, '{buyer,postcode}', '\"95001\"')")  # Crimea
    with pytest.raises(DestinationRefused):
        release(world, order_id)
    assert state_of(world, order_id) is OrderState.HELD


def test_only_held_orders_can_be_released_and_only_once(world: World) -> None:
    order_id = held(world, **DONETSK)
    release(world, order_id)
    with pytest.raises(NotHeld, match="awaiting payment"):
        release(world, order_id)
    with pytest.raises(NotFound):
        release(world, new_id("ord"))
    assert len(audited(world, "order.released")) == 1


def test_an_order_canceled_before_its_mail_was_sent_asks_for_no_money(world: World) -> None:
    order_id = held(world, **DONETSK)
    release(world, order_id)
    purchase.cancel(world.ports, order_id, by="stf_1", note="It was a mistake.")
    world.work()
    mails = world.browser().get("/sandbox/mail.json", params={"to": DONETSK["email"]}).json()
    assert not [mail for mail in mails if "can go on" in mail["subject"]]


def test_canceling_closes_the_pay_page(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url
    purchase.cancel(world.ports, started.order_id, by="stf_1", note="Ordered twice.")
    world.work()
    assert "csrf_token" not in world.browser().get(started.payment_url).text
    (entry,) = audited(world, "order.canceled")
    assert entry.details == {"note": "Ordered twice."}
