"""The customer's own credit on orders by card: first the credit, then the card, and never the same credit twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.adapters.sandbox import clock
from app.adapters.sandbox.models import SandboxIntent
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core.ids import new_id
from app.core.money import Money
from app.dunning import service as dunning
from app.flows import crediting, papers, purchase, refund, unmatched
from app.flows import preview as previews
from app.flows.purchase import Placing, Started
from app.flows.refund import Asked
from app.flows.ways_back import NotRefundable
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditReason, Invoice, InvoiceState
from app.orders import service as orders
from app.orders.errors import PreviewChanged
from app.orders.models import Order, OrderState, Preview
from app.payments import credit, refunds
from app.reports import verify_books
from tests import shop
from tests.changing import change, pass_days, subscription
from tests.flows.ending import catch_up, declining, end_of, run_of, walk_days
from tests.world import World

EUR = 100


def invoice_of(world: World, order_id: str) -> Invoice:
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, order_id)
    assert found is not None
    return found


def give(world: World, bought: Order, minor: int) -> None:
    """Goodwill, kept as the customer's credit."""
    crediting.keep(world.ports, invoice_of(world, bought.id).id, nets=None, total=minor,
                   reason=CreditReason.GOODWILL, off_the_invoice=False, by="test")  # fmt: skip


def offer(world: World, account_id: str, seats: int = 11) -> Preview:
    """To somebody who is signed in."""
    asked = previews.request_of(shop.offer(world, seats=seats, interval="month"))
    return previews.price(world.ports, replace(asked, account_id=account_id))


def place(world: World, found: Preview, account_id: str | None) -> Started:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return purchase.start(
        world.ports, Placing(found.id, terms.id, Evidence("127.0.0.1", "test"), account_id=account_id)
    )


def left(world: World, account_id: str) -> tuple[int, int]:
    """The balance, and what of it can be spent."""
    with world.db.transaction() as tx:
        return credit.balance(tx, account_id, "EUR").minor, credit.available(tx, account_id, "EUR").minor


def charged(world: World, order_id: str) -> list[int]:
    with world.db.transaction() as tx:
        return [each.amount_minor for each in refunds.payments_of(tx, order_id)]


def order(world: World, order_id: str) -> Order:
    with world.db.transaction() as tx:
        return orders.get(tx, order_id)


def asked_of_the_provider(world: World) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(SandboxIntent)).scalar_one()


def books_are_good(world: World) -> None:
    found = [each for each in verify_books.verify(world.db) if each.check != "order_licenses"]  # a bridge is one
    assert found == []


@given(rest=st.integers(1, 500), there=st.integers(0, 600), least=st.integers(0, 60))
def test_the_card_is_charged_nothing_or_no_less_than_can_be_charged(rest: int, there: int, least: int) -> None:
    used = credit.usable(Money(rest, "EUR"), Money(there, "EUR"), least).minor
    assert 0 <= used <= min(rest, there)
    assert used == rest or rest - used >= min(least, rest)
    if there >= rest:
        assert used == rest
    elif rest - there >= least:
        assert used == there


def test_a_signed_in_buyer_is_shown_the_credit_and_charged_the_rest(world: World) -> None:
    first = shop.buy(world, seats=30)
    give(world, first, 40 * EUR)
    account = first.account_id
    found = offer(world, account)
    assert (found.credit_minor, found.due.minor) == (40 * EUR, found.total_minor - 40 * EUR)
    stranger = shop.offer(world, seats=11, interval="month")  # the same address, and nobody knows who types it
    assert (stranger.credit_minor, stranger.due.minor) == (0, stranger.total_minor)

    started = place(world, found, account)
    assert left(world, account) == (40 * EUR, 0)
    with pytest.raises(PreviewChanged) as refused:  # what another order counts on is not shown twice
        place(world, second_tab(world, found), account)
    with world.db.transaction() as tx:
        assert tx.get_one(Preview, str(refused.value.extra["preview"])).credit_minor == 0

    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    bought, invoice = order(world, started.order_id), invoice_of(world, started.order_id)
    assert (bought.state, bought.credit_minor) == (OrderState.COMPLETED, 40 * EUR)
    assert charged(world, bought.id) == [found.total_minor - 40 * EUR]
    assert (invoice.state, left(world, account)) == (InvoiceState.PAID, (0, 0))
    with world.db.transaction() as tx:
        paid = papers.invoice_document(tx, world.ports, invoice).payments
    assert [each.amount.minor for each in paid] == [charged(world, bought.id)[0], 40 * EUR]
    books_are_good(world)

    # All of it is given back: no more to the card than it paid, the rest is credit again.
    seen = in_outlook(world, invoice.id)
    assert (seen.amount.minor, seen.to_credit.minor) == (found.due.minor, 40 * EUR)
    row = refund.request(world.ports, Asked(invoice.id), by="stf_1")
    world.work()
    with world.db.transaction() as tx:
        note = credit_notes.of_invoice(tx, invoice.id)[0]
        assert refunds.get(tx, row.id).state == "succeeded"
    assert (note.to_refund_minor, note.to_balance_minor) == (found.due.minor, 40 * EUR)
    assert left(world, account) == (40 * EUR, 40 * EUR)
    books_are_good(world)


def test_orders_that_are_placed_at_once_never_count_on_the_same_credit(world: World) -> None:
    first = shop.buy(world, seats=20)
    give(world, first, 40 * EUR)
    account = first.account_id
    offers, start = [offer(world, account) for _ in range(4)], Barrier(4)

    def act(found: Preview) -> str:
        start.wait()
        try:
            place(world, found, account)
        except PreviewChanged:
            return "changed"
        return "placed"

    with ThreadPoolExecutor(4) as threads:
        became = sorted(threads.map(act, offers))
    assert became == ["changed", "changed", "changed", "placed"]
    assert left(world, account) == (40 * EUR, 0)
    books_are_good(world)


def second_tab(world: World, found: Preview) -> Preview:
    """An offer that was made before the credit was held, as a second tab has it."""
    with world.db.transaction() as tx:
        row = tx.get_one(Preview, found.id)
        values = {name: getattr(row, name) for name in Preview.model_fields} | {"id": new_id("prv")}
        tx.add(Preview(**values))
        tx.flush()
        return tx.get_one(Preview, values["id"])


def in_outlook(world: World, invoice_id: str) -> refund.Outlook:
    with world.db.transaction() as tx:
        return refund.outlook(tx, world.ports, Asked(invoice_id))


def test_partial_refunds_go_to_the_card_first_and_never_above_what_it_paid(world: World) -> None:
    first = shop.buy(world, seats=30)
    give(world, first, 60 * EUR)
    started = place(world, offer(world, first.account_id), first.account_id)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    invoice, card = invoice_of(world, started.order_id), charged(world, started.order_id)[0]
    for part in (card - 100, 300):
        refund.request(world.ports, Asked(invoice.id, total=part), by="stf_1")
        world.work()
    assert left(world, first.account_id)[0] == 200
    with pytest.raises(NotRefundable):
        in_outlook(world, invoice.id)  # nothing is left that a card paid
    books_are_good(world)


def test_what_credit_covers_is_bought_without_asking_the_provider(world: World) -> None:
    first = shop.buy(world, seats=30)
    give(world, first, 500 * EUR)
    before, found = asked_of_the_provider(world), offer(world, first.account_id)
    assert found.due.minor == 0
    started = place(world, found, first.account_id)
    world.work()
    assert (started.state, started.payment_url, charged(world, started.order_id)) == (OrderState.COMPLETED, None, [])
    assert asked_of_the_provider(world) == before
    assert invoice_of(world, started.order_id).state is InvoiceState.PAID
    rest = 500 * EUR - found.total_minor
    assert left(world, first.account_id) == (rest, rest)
    with pytest.raises(NotRefundable):
        in_outlook(world, invoice_of(world, started.order_id).id)
    books_are_good(world)


def test_credit_that_would_leave_too_little_to_charge_leaves_the_least_there_is(world: World) -> None:
    first = shop.buy(world, seats=30)
    total = offer(world, first.account_id).total_minor
    give(world, first, total - 20)
    found = offer(world, first.account_id)
    assert (found.due.minor, found.credit_minor) == (50, total - 50)
    started = place(world, found, first.account_id)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    assert (charged(world, started.order_id), left(world, first.account_id)) == ([50], (30, 30))
    books_are_good(world)


def test_an_order_that_comes_to_nothing_lets_its_credit_go(world: World) -> None:
    first = shop.buy(world, seats=30)
    account = first.account_id
    give(world, first, 40 * EUR)
    canceled = place(world, offer(world, account), account)
    purchase.cancel(world.ports, canceled.order_id, by="buyer")
    assert left(world, account) == (40 * EUR, 40 * EUR)
    late = place(world, offer(world, account), account)
    assert left(world, account) == (40 * EUR, 0)
    pass_days(world, 2)
    purchase.expire_overdue(world.ports)
    assert order(world, late.order_id).state is OrderState.EXPIRED
    assert left(world, account) == (40 * EUR, 40 * EUR)
    # Its page is paid all the same, before it is closed: where the credit is still there, it completes the order ...
    assert late.payment_url is not None
    shop.pay(world, late.payment_url)
    spent = place(world, offer(world, account), account)  # ... and here it is another order's by then
    world.work()
    assert order(world, late.order_id).state is OrderState.EXPIRED
    with world.db.transaction() as tx:
        assert [each.why for each in unmatched.waiting(tx, late.order_id)] == ["credit_gone"]
    purchase.cancel(world.ports, spent.order_id, by="buyer")
    books_are_good(world)


def test_a_renewal_by_itself_spends_credit_first_and_holds_it_while_it_is_collected(world: World) -> None:
    first = shop.buy(world, seats=20, interval="month")
    give(world, first, 30 * EUR)
    held = subscription(world, first)
    clock.set_to(world.db, end_of(world, first) + timedelta(hours=1))
    catch_up(world)
    with world.db.transaction() as tx:
        renewed = orders.renewal_of_term(tx, held.id, held.ends_on)
    assert renewed is not None
    assert (renewed.state, renewed.credit_minor) == (OrderState.COMPLETED, 30 * EUR)
    assert charged(world, renewed.id) == [renewed.total_minor - 30 * EUR]
    assert left(world, first.account_id) == (0, 0)
    # Seats that are added by card count on it as well.
    give(world, renewed, 10 * EUR)
    more = change(world, held, seats=22)
    assert charged(world, more.id) == ([more.total_minor - 10 * EUR] if more.due else [])
    books_are_good(world)


def test_a_declined_renewal_holds_its_credit_while_it_is_collected_and_no_longer(world: World) -> None:
    first = declining(world, seats=20)
    give(world, first, 30 * EUR)
    clock.set_to(world.db, end_of(world, first) + timedelta(hours=1))
    catch_up(world)
    run = run_of(world)
    with world.db.transaction() as tx:
        (owed,) = dunning.items(tx, run.id)
        waiting = orders.get(tx, owed.order_id)
    assert (waiting.state, waiting.credit_minor) == (OrderState.AWAITING_PAYMENT, 30 * EUR)
    assert owed.amount_minor == waiting.total_minor - 30 * EUR
    assert left(world, first.account_id) == (30 * EUR, 0)
    books_are_good(world)
    walk_days(world, 30)
    assert order(world, waiting.id).state is OrderState.EXPIRED
    assert left(world, first.account_id) == (30 * EUR, 30 * EUR)
    books_are_good(world)
