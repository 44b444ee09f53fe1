"""What comes after a change: less of it with the next term, refunds, purchase orders, quotes."""

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.agreements.service import Evidence
from app.catalog.models import Interval
from app.core.clock import local_date
from app.core.events import Event
from app.core.money import Money
from app.core.states import MoveRefused
from app.entitlements import service as entitlements
from app.flows import billing_run, quote_acceptance, quoting, receivables, refund, renewal, seat_change, tick
from app.flows.quote_acceptance import Signing
from app.flows.quoting import Basis
from app.flows.receivables import Transfer
from app.flows.refund import Asked
from app.flows.seat_change import Wanted
from app.invoices import service as invoices
from app.invoices.models import InvoiceState
from app.licenses import service as licenses
from app.licenses.errors import NotReleased
from app.licenses.models import LicenseState
from app.orders.errors import ChangeRefused, PreviewChanged
from app.orders.models import Order, OrderState
from app.payments.models import Method
from app.reports import verify_books
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription, SubscriptionState
from tests import changing, shop
from tests.changing import change, pass_days, subscription
from tests.world import World


def schedule(world: World, held: Subscription, **wanted: object) -> ScheduledChange:
    offer = seat_change.preview(world.ports, held.id, Wanted(**wanted))  # type: ignore[arg-type]  # a table
    assert offer.total_minor == 0
    row = seat_change.commit(world.ports, offer.id, changing.how(world)).scheduled
    assert row is not None
    return row


def held_lines(world: World, held: Subscription) -> dict[str, int]:
    with world.db.transaction() as tx:
        return {line.sku: line.quantity for line in subscriptions.lines(tx, held.id)}


def renew(world: World, held: Subscription) -> Order:
    review, how = renewal.review(world.ports, held.id), changing.how(world)
    done = renewal.renew(world.ports, review.preview.id, terms_id=how.terms_id, evidence=how.evidence)
    world.work()
    with world.db.transaction() as tx:
        return tx.get_one(Order, done.order_id)


def test_fewer_seats_wait_for_the_renewal_and_can_be_taken_back(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=20))
    row = schedule(world, held, seats=12)
    assert held_lines(world, held) == {"professional": 20}
    seat_change.withdraw(world.ports, held.id, row.id, by="mem_1")
    with pytest.raises(MoveRefused):
        seat_change.withdraw(world.ports, held.id, row.id, by="mem_1")
    pass_days(world, 340)
    old = renewal.review(world.ports, held.id)
    assert old.preview.lines[0]["quantity"] == 20
    second = schedule(world, held, seats=12)
    how = changing.how(world)
    with pytest.raises(PreviewChanged) as refused:
        renewal.renew(world.ports, old.preview.id, terms_id=how.terms_id, evidence=how.evidence)
    assert refused.value.extra["preview"]
    order = renew(world, held)
    assert order.net_minor == 12 * 11_000
    assert held_lines(world, held) == {"professional": 12}
    with world.db.transaction() as tx:
        states = {each.id: (each.state, each.order_id) for each in scheduled.all_of(tx, held.id)}
        told = tx.execute(select(col(Event.type)).where(col(Event.type).like("subscription.change_%"))).scalars().all()
    assert states == {row.id: (ScheduledState.WITHDRAWN, None), second.id: (ScheduledState.APPLIED, order.id)}
    assert sorted(told) == [
        "subscription.change_applied", "subscription.change_scheduled", "subscription.change_scheduled",
        "subscription.change_withdrawn",
    ]  # fmt: skip
    assert verify_books.verify(world.db) == []


def test_a_pending_lower_plan_is_not_dropped_by_more_seats_and_the_automatic_renewal_applies_it(world: World) -> None:
    bought = shop.buy(world, seats=11, sku="enterprise", interval="month")
    held = subscription(world, bought)
    schedule(world, held, plan="professional")
    change(world, held, seats=13)
    assert held_lines(world, held) == {"enterprise": 13}
    with world.db.transaction() as tx:
        assert [(line.sku, line.quantity) for line in scheduled.next_term(tx, held)] == [("professional", 13)]
    row = schedule(world, held, seats=12)  # nor by fewer of them
    assert row.plan_id is not None
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=12))
    assert seat_change.commit(world.ports, offer.id, changing.how(world)).scheduled == row, "a second click"
    pass_days(world, 31)
    billing_run.enqueue_due(world.ports)
    world.work()
    assert held_lines(world, held) == {"professional": 12}
    after = subscription(world, bought)
    with world.db.transaction() as tx:
        license_ = licenses.current(tx, held.id)
        plan = subscriptions.get(tx, held.id).plan_id
    assert license_ is not None
    assert (license_.sku, license_.seats, after.state) == ("professional", 12, SubscriptionState.ACTIVE)
    assert license_.plan_id == plan


def test_an_early_renewal_with_fewer_seats_leaves_the_present_license_until_the_old_end(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=20))
    schedule(world, held, seats=12)
    pass_days(world, 340)
    renew(world, held)
    with world.db.transaction() as tx:
        coming, present = licenses.of_subscription(tx, held.id)
    assert (present.seats, present.state) == (20, LicenseState.ACTIVE)
    assert (coming.seats, coming.starts_at) == (12, present.expires_at)
    with pytest.raises(NotReleased):
        licenses.require_released(coming, world.ports.clock.now())
    more = change(world, subscription(world, shop_order(world, held)), seats=14)
    with world.db.transaction() as tx:
        states = [(each.seats, each.state.value) for each in licenses.of_subscription(tx, held.id)]
    assert more.net_minor == 2 * 11_000, "of the present term nothing: it has more seats already"
    assert states == [(14, "active"), (12, "superseded"), (20, "active")]
    pass_days(world, 26)
    tick.tick(world.ports)
    world.work()
    with world.db.transaction() as tx:
        states = [(each.seats, each.state.value) for each in licenses.of_subscription(tx, held.id)]
    assert states == [(14, "active"), (12, "superseded"), (20, "superseded")]
    assert verify_books.verify(world.db) == []


def shop_order(world: World, held: Subscription) -> Order:
    with world.db.transaction() as tx:
        return tx.get_one(Order, held.order_id)


def test_the_refund_of_a_change_takes_its_seats_back_and_leaves_the_rest_running(world: World) -> None:
    bought = shop.buy(world)
    held = subscription(world, bought)
    pass_days(world, 50)
    first, second = change(world, held, seats=30), change(world, held, seats=32)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, first.id)
        assert invoice is not None
        seen = refund.outlook(tx, world.ports, Asked(invoice.id))
    assert (seen.full, seen.effects.on_license.value, seen.effects.ends_subscription) == (True, "reduce", None)
    refund.request(world.ports, Asked(invoice.id), by="stf_1")
    world.work()
    after = subscription(world, bought)
    with world.db.transaction() as tx:
        current = licenses.current(tx, held.id)
        states = sorted(each.state.value for each in licenses.of_subscription(tx, held.id))
        users = [each.value for each in entitlements.held(tx, held.account_id, world.ports.clock.now())
                 if each.key == "users"]  # fmt: skip
        (line,) = subscriptions.lines(tx, held.id)
    assert (after.state, line.quantity, line.net_minor) == (SubscriptionState.ACTIVE, 27, 27 * 11_000)
    assert current is not None
    assert current.seats == 27
    assert states == ["active", "revoked", "superseded", "superseded"]
    assert 30 not in users
    assert second.state is OrderState.COMPLETED
    # What was given back counts towards nothing, and a further change starts from what is held.
    pass_days(world, 1)
    assert change(world, held, seats=28).state is OrderState.COMPLETED
    assert verify_books.verify(world.db) == []


def test_a_change_on_invoice_has_a_bridge_beside_the_paid_license_and_the_full_one_when_paid(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 10)
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=15))
    order = changing.commit(world, offer, pay_by="invoice", po_number="PO-1")
    with world.db.transaction() as tx:
        bridge, paid = licenses.of_subscription(tx, held.id)
        invoice = invoices.of_order(tx, order.id)
    assert invoice is not None
    assert (invoice.state, invoice.total_minor, order.po_number) == (InvoiceState.OPEN, offer.total_minor, "PO-1")
    assert (bridge.bridge, bridge.seats, paid.state, paid.seats) == (True, 15, LicenseState.ACTIVE, 11)
    assert bridge.expires_at < paid.expires_at
    with pytest.raises(ChangeRefused, match=str(invoice.number)):
        seat_change.preview(world.ports, held.id, Wanted(seats=16))
    receivables.record(
        world.ports,
        Transfer(held.account_id, Money(invoice.total_minor, "EUR"), Method.WIRE, "ref-1",
                 local_date(world.ports.clock.now(), "America/Los_Angeles")),
        by="stf_1",
    )  # fmt: skip
    world.work()
    with world.db.transaction() as tx:
        current = licenses.current(tx, held.id)
    assert current is not None
    assert (current.bridge, current.seats, current.expires_at) == (False, 15, paid.expires_at)
    assert verify_books.verify(world.db) == []


def test_past_due_and_a_renewal_under_way_stand_in_the_way(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE subscription SET state = 'past_due'"))
    with pytest.raises(ChangeRefused) as refused:
        seat_change.preview(world.ports, held.id, Wanted(seats=12))
    assert (refused.value.extra["reason"], refused.value.extra["state"]) == ("state", "past_due")


def test_a_change_above_the_threshold_is_quoted_by_sales_and_carried_out_when_accepted(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 5)
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=60))
    asked = quoting.request(world.ports, offer.id, account_id=held.account_id)
    with world.db.transaction() as tx:
        draft = quoting.draft_of(tx, asked, world.ports.clock.now())
    assert draft.lines[0].quantity == 60
    kept = quoting.save(world.ports, Basis(quote_id=asked.id), draft.changed({"interval": Interval.YEAR}), by="stf_1")
    sent = quoting.send(world.ports, kept.id, by="stf_1")
    with world.db.transaction() as tx:
        terms = quote_acceptance.terms(tx, world.ports.clock.now())
    started = quote_acceptance.accept(
        world.ports, sent.id, Signing("Ada Beispiel", "ada@example.de", terms.id, Evidence("127.0.0.1", "test"))
    )
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    assert held_lines(world, held) == {"professional": 60}
    with world.db.transaction() as tx:
        assert tx.get_one(Order, started.order_id).total_minor == offer.total_minor
    assert verify_books.verify(world.db) == []
