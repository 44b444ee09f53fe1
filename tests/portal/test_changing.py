"""Changing a subscription on its page, without JavaScript: the price first, then the change, and taking it back."""

from app.core.money import Money
from app.flows import seat_change
from app.flows.seat_change import Wanted
from app.orders.models import Order
from app.subscriptions import service as subscriptions
from tests import changing, shop
from tests.changing import pass_days, subscription
from tests.paying import DECLINES_LATER
from tests.portal.buyers import signed_in
from tests.world import World


def quantities(world: World, order: Order) -> dict[str, int]:
    with world.db.transaction() as tx:
        return {line.sku: line.quantity for line in subscriptions.lines(tx, order.subscription_id or "")}


def test_seats_and_an_add_on_are_priced_confirmed_and_explained(world: World) -> None:
    order = shop.buy(world)
    pass_days(world, 60)
    held = subscription(world, order)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{held.id}"
    page = ada.open(path)
    assert "Change it" in page.text
    expected = seat_change.preview(world.ports, held.id, Wanted(seats=30, add_ons=("premier-support",)))
    priced = ada.send(f"{path}/change", "Show the price", seats="30", addon="premier-support")
    due = str(Money(expected.total_minor, "EUR"))
    assert f"Pay {due}" in priced.text
    assert "30 seats instead of 25" in priced.text
    assert "The next term" in priced.text
    assert str(Money(30 * 13_800, "EUR")) in priced.text
    assert quantities(world, order) == {"professional": 25}
    ada.send(f"{path}/change", f"Pay {due}")
    world.work()
    assert ada.status == 200
    assert quantities(world, order) == {"professional": 30, "premier-support": 30}
    invoices = ada.open("/account/invoices")
    explained = next(each for each in invoices.links if each.endswith("/explain"))
    assert "25 were held and 30 are now" in ada.open(explained).text


def test_fewer_seats_are_scheduled_shown_and_taken_back(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}"
    ada.open(path)
    priced = ada.send(f"{path}/change", "Show the price", seats="12")
    assert "Nothing is charged or given back now" in priced.text
    page = ada.send(f"{path}/change", "Change it on")
    assert "It is written down for the next term" in page.text
    assert "12 seats." in page.text
    assert quantities(world, order) == {"professional": 25}
    page = ada.send("/withdraw", "Take it back")
    assert "It was taken back" in page.text
    assert "12 seats." not in page.text


def test_what_is_refused_is_said_and_what_was_not_shown_is_not_done(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}"
    ada.open(path)
    wrong = ada.send(f"{path}/change", "Show the price", seats="many")
    assert ada.status == 422
    assert "Write the seats as a whole number" in wrong.text
    few = ada.send(f"{path}/change", "Show the price", seats="3")
    assert ada.status == 422
    assert "is sold for 11 to 5000 seats" in few.text
    ada.send(f"{path}/change", "Show the price", seats="26")
    stale = ada.send(f"{path}/change", "Pay ", seats="27")
    assert ada.status == 409
    assert "The price has changed" in stale.text
    assert quantities(world, order) == {"professional": 25}
    large = ada.send(f"{path}/change", "Show the price", seats="80")
    assert "Request a quote" in large.text
    asked = ada.send(f"{path}/change", "Request a quote")
    assert (ada.status, "/q/" in asked.url) == (200, True)


def test_a_change_that_waits_for_its_payment_is_shown_and_given_up(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url, DECLINES_LATER)
    world.work()
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
    offer = seat_change.preview(world.ports, order.subscription_id or "", Wanted(seats=26))
    seat_change.commit(world.ports, offer.id, changing.how(world))
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}"
    page = ada.open(path)
    assert "it begins once it is paid" in page.text
    page = ada.send(f"{path}/change/cancel", "Give it up")
    assert "everything stays as it is" in page.text
    assert "it begins once it is paid" not in page.text


def test_a_higher_plan_shows_what_the_lower_one_gives_back(world: World) -> None:
    order = shop.buy(world, seats=11)
    pass_days(world, 90)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}"
    ada.open(path)
    offer = seat_change.preview(world.ports, order.subscription_id or "", Wanted(plan="enterprise"))
    assert offer.change is not None
    priced = ada.send(f"{path}/change", "Show the price", plan="enterprise")
    assert "The rest of the earlier plan" in priced.text
    due = str(Money(int(offer.change["due"]), "EUR"))
    assert f"Pay {due}" in priced.text
    ada.send(f"{path}/change", f"Pay {due}")
    world.work()
    assert quantities(world, order) == {"enterprise": 11}
    assert "/orders/" in ada.page.url
    shown = ada.open(ada.page.url)
    assert "The rest of the earlier plan" in shown.text
    assert due in shown.text


def test_a_charge_that_is_too_small_is_said_to_come_later(world: World) -> None:
    order = shop.buy(world, seats=11)
    pass_days(world, 364)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}"
    ada.open(path)
    priced = ada.send(f"{path}/change", "Show the price", seats="12")
    assert "Goes on the next invoice" in priced.text
    done = ada.send(f"{path}/change", "Change it now")
    world.work()
    assert (ada.status, "Goes on the next invoice" in done.text) == (200, True)
    assert quantities(world, order) == {"professional": 12}
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    assert any("goes on your next invoice" in each["text"] for each in mails)
