"""Two flows about one sale at once: they take turns, in the one order of `app.flows.locks`."""

import threading
import time
from collections.abc import Callable

from sqlalchemy import text

from app.flows import purchase, refund, seat_change
from app.flows.seat_change import Wanted
from app.invoices import service as invoices
from app.orders import service as orders
from app.orders.models import OrderState
from app.payments import refunds
from app.payments import service as payments
from app.reports import verify_books
from tests import shop
from tests.changing import how, subscription
from tests.world import World


def in_thread(act: Callable[[], object], broken: list[Exception]) -> threading.Thread:
    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 -- told to the test, whatever it is
            broken.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_for(world: World, how_many: int) -> None:
    """Until so many transactions wait for another's lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(500):
        with world.db.reading() as connection:
            if connection.execute(waiting).scalar_one() >= how_many:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_a_refund_that_arrives_while_a_higher_plan_takes_its_invoice_back_makes_no_circle(world: World) -> None:
    bought = shop.buy(world, seats=11)
    held = subscription(world, bought)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, bought.id)
        assert invoice is not None
        payment = refunds.payments_of(tx, bought.id)[0]
    world.browser().post(f"/sandbox/payments/{payment.provider_ref}", json={"action": "refund"})
    sent = world.ports.payments.refunds_of(payment.provider_ref)[0]
    terms = how(world)
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    changed = purchase.start(
        world.ports, purchase.Placing(offer.id, terms.terms_id, terms.evidence, account_id=held.account_id)
    )
    assert changed.payment_url is not None
    shop.pay(world, changed.payment_url)
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, changed.order_id)
        assert attempt is not None
    report = world.ports.payments.report(attempt.provider_ref or "")

    def give_back() -> None:
        with world.db.transaction() as tx:
            refund.apply(tx, world.ports, sent)

    def change_plan() -> None:
        with world.db.transaction() as tx:
            purchase.apply_report(tx, world.ports, report)

    broken: list[Exception] = []
    with world.db.transaction() as tx:
        # Whoever begins at the invoice holds it by the time it comes to its order, and stops there ...
        orders.lock(tx, bought.id)
        first = in_thread(give_back, broken)
        wait_for(world, 1)
        # ... while the change holds the subscription and comes to the invoice.
        second = in_thread(change_plan, broken)
        second.join(timeout=3)
    for thread in (first, second):
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert broken == []
    world.work()
    with world.db.transaction() as tx:
        assert orders.get(tx, changed.order_id).state is OrderState.COMPLETED
    assert verify_books.verify(world.db) == []
