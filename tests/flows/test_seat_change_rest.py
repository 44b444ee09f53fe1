"""What is left of a change to a higher plan once the lower one has paid: too little to charge, or less than nothing."""

from pathlib import Path

from app.accounts import service as accounts
from app.core.db import Tx
from app.flows import seat_change
from app.flows.seat_change import Wanted
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import InvoiceState
from app.orders.models import OrderState
from app.payments import credit
from app.payments import service as payments
from app.reports import verify_books
from tests import shop
from tests.catalog.selling import sell, with_model
from tests.changing import commit, subscription
from tests.world import World

FULL = 11 * 11_000  # of 11 seats of Professional for a year


def credit_of(tx: Tx, account_id: str) -> int:
    return credit.balance(tx, account_id, "EUR").minor


def test_a_rest_below_the_providers_least_is_charged_at_that_and_the_difference_is_credit(
    world: World, tmp_path: Path
) -> None:
    sell(world, tmp_path, with_model("enterprise", unit="110.02"))
    held = subscription(world, shop.buy(world, seats=11))
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    assert offer.change is not None
    assert (offer.total_minor, offer.change["credit"], offer.due.minor) == (FULL + 22, FULL, 50)
    order = commit(world, offer)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        assert (order.state, invoice.state) == (OrderState.COMPLETED, InvoiceState.PAID)
        assert payments.received(tx, order.id, "EUR").minor == 50
        assert credit.spent_on(tx, f"invoice:{invoice.id}", "EUR").minor == FULL
        assert credit_of(tx, held.account_id) == 50 - 22
    assert verify_books.verify(world.db) == []


def test_what_was_too_much_pays_for_the_seats_that_are_added_next(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model("enterprise", unit="110.02"))
    first = shop.buy(world, seats=11)
    held = subscription(world, first)
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    commit(world, offer)  # leaves 28
    more = seat_change.preview(world.ports, held.id, Wanted(seats=12))
    assert (more.total_minor, more.credit_minor, more.due.minor) == (11_002, 28, 10_974)
    order = commit(world, more)
    with world.db.transaction() as tx:
        assert (payments.received(tx, order.id, "EUR").minor, credit_of(tx, held.account_id)) == (10_974, 0)
    assert verify_books.verify(world.db) == []


def test_what_the_lower_plan_gives_back_above_the_higher_ones_price_is_credit_for_later(
    world: World, tmp_path: Path
) -> None:
    """Tax was charged for the lower plan; with a confirmed number none is charged for the higher one (R-PRO-6)."""
    sell(world, tmp_path, with_model("enterprise", unit="110.02"))
    first = shop.buy(world, seats=11, vat=None)
    held = subscription(world, first)
    taxed = FULL + FULL * 19 // 100
    assert first.total_minor == taxed
    with world.db.transaction() as tx:
        accounts.keep_tax_ids(tx, held.account_id, [("eu_vat", "DE136695976", "valid")], world.ports.clock.now())
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    assert offer.change is not None
    assert (offer.total_minor, offer.change["credit"], offer.due.minor) == (FULL + 22, taxed, 0)
    order = commit(world, offer)
    surplus = taxed - FULL - 22
    with world.db.transaction() as tx:
        invoice, old = invoices.of_order(tx, order.id), invoices.of_order(tx, first.id)
        assert invoice is not None
        assert old is not None
        (note,) = credit_notes.of_invoice(tx, old.id)
        assert (note.total_minor, note.to_balance_minor) == (taxed, taxed)
        assert (order.state, invoice.state) == (OrderState.COMPLETED, InvoiceState.PAID)
        assert (payments.of_order(tx, order.id), credit_of(tx, held.account_id)) == (None, surplus)
    assert verify_books.verify(world.db) == []
    # It pays for seats that are added afterwards, and the card for the rest.
    more = seat_change.preview(world.ports, held.id, Wanted(seats=14))
    assert (more.credit_minor, more.due.minor) == (surplus, more.total_minor - surplus)
    commit(world, more)
    with world.db.transaction() as tx:
        assert credit_of(tx, held.account_id) == 0
    assert verify_books.verify(world.db) == []
