"""Charges too small to be made, whose subscription ends before an invoice takes them up: invoiced, or given up."""

from datetime import timedelta

from sqlalchemy import text

from app.core import policy
from app.flows import ending, renewal, small_rests
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders import service as orders
from app.orders.models import CarriedEnd, EndOfCarried, Order
from app.reports import verify_books
from app.subscriptions.models import Subscription
from tests import changing, shop
from tests.console.helping import audited, told
from tests.flows.ending import catch_up, count, walk
from tests.flows.on_invoice import balance
from tests.portal.buyers import page_of, visitor
from tests.world import World


def small_change(world: World) -> tuple[Subscription, Order]:
    """A seat for the last day of a year: 0.30 EUR, which no card is charged for."""
    held = changing.subscription(world, shop.buy(world, seats=11))
    walk(world, world.ports.clock.now() + timedelta(days=364))
    order = changing.change(world, held, seats=12)
    assert (order.total_minor, order.due.minor) == (30, 0)
    return held, order


def to_the_end(world: World, held: Subscription) -> None:
    """Nobody renews, and the grace is over."""
    walk(world, world.ports.clock.now() + timedelta(days=held.grace_days + 5))


def limit(world: World, **minor: int) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, "smallest_last_invoice", minor, valid_from=now, by="test", why="test", now=now)


def shown(world: World, order: Order) -> str:
    return visitor(world).browser.get(page_of(world, order)).text


def became(world: World, order: Order) -> EndOfCarried | None:
    with world.db.transaction() as tx:
        found = tx.get(CarriedEnd, order.id)
        return found.became if found else None


def test_what_is_not_worth_an_invoice_is_written_off_once_in_the_books_and_the_log(world: World) -> None:
    held, order = small_change(world)
    catch_up(world)
    assert became(world, order) is None, "the subscription may still be renewed"
    assert "Goes on the next invoice" in shown(world, order)
    to_the_end(world, held)
    assert became(world, order) is EndOfCarried.WRITTEN_OFF
    assert "Not asked for" in shown(world, order)
    assert (balance(world, "4000"), balance(world, "4900"), balance(world, "1100")) == (-30, 30, 0)
    (entry,) = audited(world, "order.written_off")
    assert (entry.subject, entry.details) == (order.id, {"net": 30, "currency": "EUR"})
    assert told(world, "order.written_off") == 1
    for _ in range(2):
        small_rests.settle(world.ports, held.id)
        assert small_rests.enqueue_due(world.ports) == 0
    assert (count(world, CarriedEnd), count(world, Invoice)) == (1, 1)
    assert verify_books.verify(world.db) == []
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("DELETE FROM ledger_entry WHERE kind = 'write_off'"))
    assert ("order_invoices", order.id) in {(each.check, each.subject) for each in verify_books.verify(world.db)}


def test_what_is_worth_it_is_invoiced_with_a_link_to_pay(world: World) -> None:
    limit(world, EUR=20)
    held, order = small_change(world)
    ending.stop(world.ports, held.id, reason="", by="mem_1")
    walk(world, world.ports.clock.now() + timedelta(days=2))
    assert became(world, order) is EndOfCarried.INVOICED
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice
        (line,) = invoices.lines(tx, invoice.id)
        assert orders.carried(tx, held.id) == []
    assert (invoice.state, invoice.total_minor, line.quantity_before) == (InvoiceState.OPEN, 30, 11)
    assert (invoice.supply_from, invoice.supply_to) == (held.ends_on - timedelta(days=1), held.ends_on)
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    mail = next(each for each in mails if invoice.number in each["subject"])
    path = mail["text"].partition(f"{world.url}/invoices/")[2].split()[0]
    assert world.browser().get(f"/invoices/{path}").status_code == 200
    assert verify_books.verify(world.db) == []


def test_a_renewal_takes_up_what_waits_before_anything_is_given_up(world: World) -> None:
    held, order = small_change(world)
    review, how = renewal.review(world.ports, held.id), changing.how(world)
    renewed = renewal.renew(world.ports, review.preview.id, terms_id=how.terms_id, evidence=how.evidence)
    world.work()
    to_the_end(world, held)
    with world.db.transaction() as tx:
        assert tx.get_one(Order, order.id).carried_to == renewed.order_id
    assert became(world, order) is None
