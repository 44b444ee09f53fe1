"""Orders on invoice: delivered at once with a bridge license, paid later by wire, in parts if need be (R-ORD-1, -2)."""

import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.accounts import service as accounts
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.entitlements import service as entitlements
from app.flows import held_orders, invoicing, purchase, trade_credit
from app.flows.trade_credit import InvoiceNotOffered
from app.invoices import service as invoices
from app.invoices.models import InvoicePayment, InvoiceState
from app.licenses.models import LicenseState
from app.orders import service as orders
from app.orders.models import Order, OrderState, PayBy, Preview
from app.payments import credit
from app.payments.errors import AlreadyRecorded
from app.payments.models import Method, Payment
from app.reports import verify_books
from app.subscriptions.models import Subscription
from tests import shop
from tests.console.helping import DONETSK
from tests.flows.on_invoice import balance, invoice_of, licenses_of, open_account, order_on_invoice, placing, wire
from tests.world import World


def test_an_order_on_invoice_is_delivered_at_once_with_a_license_that_bridges_the_time_to_pay(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    today = world.ports.clock.now().date()
    invoice = invoice_of(world, order)
    assert (order.state, order.pay_by, order.expires_at) == (OrderState.COMPLETED, PayBy.INVOICE, None)
    assert (invoice.state, invoice.po_number, invoice.total_minor) == (InvoiceState.OPEN, "PO-4711", 132_000)
    assert invoice.due_on is not None
    assert abs((invoice.due_on - today).days - 30) <= 1
    (bridge,) = licenses_of(world, order)
    assert bridge.bridge
    assert timedelta(days=39) < bridge.expires_at - world.ports.clock.now() <= timedelta(days=42)
    with world.db.transaction() as tx:
        subscription = tx.get_one(Subscription, order.subscription_id)
        assert (subscription.ends_on - subscription.starts_on).days >= 365
        assert tx.execute(select(func.count()).select_from(Payment)).scalar_one() == 0
    assert balance(world, "1100") == 132_000
    mail = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()[0]
    assert "Please pay the invoice by" in mail["text"]
    assert verify_books.verify(world.db) == []


def test_the_full_license_takes_the_place_of_the_bridge_when_the_invoice_is_paid(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    wire(world, account, 132_000)
    bridge, whole = licenses_of(world, order)
    assert (bridge.state, bridge.superseded_by, whole.state, whole.bridge) == (
        LicenseState.SUPERSEDED, whole.id, LicenseState.ACTIVE, False,
    )  # fmt: skip
    assert whole.file_id != bridge.file_id
    assert whole.expires_at - world.ports.clock.now() > timedelta(days=360)
    assert invoice_of(world, order).state is InvoiceState.PAID
    with world.db.transaction() as tx:
        later = world.ports.clock.now() + timedelta(days=200)
        assert {each.ends_at for each in entitlements.held(tx, account, later) if each.order_id == order.id} == {
            whole.expires_at
        }
    assert (balance(world, "1100"), balance(world, "1000"), balance(world, "2400")) == (0, 132_000, 0)
    assert verify_books.verify(world.db) == []


@pytest.mark.parametrize(("over", "left"), [(50_000, 82_000), (200_000, 0)])
def test_what_the_customer_has_to_their_credit_pays_the_next_order_first(world: World, over: int, left: int) -> None:
    account = open_account(world)
    invoice_of(world, order_on_invoice(world, account))
    wire(world, account, 132_000 + over)
    order = order_on_invoice(world, account)
    invoice = invoice_of(world, order)
    with world.db.transaction() as tx:
        assert invoices.owed(tx, invoice).minor == left
        assert credit.balance(tx, account, "EUR").minor == max(over - 132_000, 0)
    assert len(licenses_of(world, order)) == (1 if left else 2), "paid in full, it is handed over at once"
    if left:
        wire(world, account, left, "SEPA-2")
    assert balance(world, "1100") == 0
    assert verify_books.verify(world.db) == []


def test_parts_add_up_and_what_is_over_is_the_customers_credit(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    wire(world, account, 60_000, "SEPA-1")
    assert invoice_of(world, order).state is InvoiceState.OPEN
    assert len(licenses_of(world, order)) == 1
    with world.db.transaction() as tx:
        assert invoices.owed(tx, invoice_of(world, order)) == Money(72_000, "EUR")
    wire(world, account, 80_000, "SEPA-2")
    assert invoice_of(world, order).state is InvoiceState.PAID
    assert len(licenses_of(world, order)) == 2
    assert (balance(world, "1100"), balance(world, "1000"), balance(world, "2400")) == (0, 140_000, -8_000)
    assert verify_books.verify(world.db) == []


def test_one_wire_pays_several_invoices_those_due_first_first_or_as_named(world: World) -> None:
    account = open_account(world)
    first, second = order_on_invoice(world, account), order_on_invoice(world, account, seats=11)
    wire(world, account, 150_000)
    with world.db.transaction() as tx:
        left = [invoices.owed(tx, invoice_of(world, each)).minor for each in (first, second)]
    assert left == [0, 103_000]
    wire(world, account, 103_000, "SEPA-2", invoice_ids=(invoice_of(world, second).id,))
    assert invoice_of(world, second).state is InvoiceState.PAID
    assert verify_books.verify(world.db) == []


def test_a_reference_is_recorded_once_however_many_people_type_it(world: World) -> None:
    account = open_account(world)
    order_on_invoice(world, account)
    outcomes: list[str] = []
    gate = threading.Barrier(6)

    def record() -> None:
        gate.wait()
        try:
            wire(world, account, 132_000)
        except AlreadyRecorded:
            outcomes.append("known")
        else:
            outcomes.append("booked")

    threads = [threading.Thread(target=record) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["booked"] + ["known"] * 5
    assert balance(world, "1000") == 132_000


def test_two_orders_at_once_cannot_share_one_limit(world: World) -> None:
    account = open_account(world)
    previews = [shop.offer(world, 25), shop.offer(world, 25)]  # 2,750 each; the limit is 4,600 EUR
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def place(preview: Preview) -> None:
        gate.wait()
        try:
            purchase.start(world.ports, placing(world, preview, account))
        except InvoiceNotOffered as refused:
            outcomes.append(str(refused.extra["reason"]))
        else:
            outcomes.append("delivered")

    threads = [threading.Thread(target=place, args=(each,)) for each in previews]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["delivered", "over_limit"]


def test_the_limit_is_reached_and_not_passed(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account, seats=25)
    with world.db.transaction() as tx:
        found = trade_credit.standing(tx, accounts.get(tx, account), date(2026, 11, 22), world.ports.clock.now())
    room = 460_000 - invoice_of(world, order).total_minor
    assert found.refusal(Money(room, "EUR")) is None
    refusal = found.refusal(Money(room + 1, "EUR"))
    assert refusal is not None
    assert refusal.extra["reason"] == "over_limit"
    unknown = found.refusal(Money(1, "NOK"))
    assert unknown is not None
    assert unknown.extra["reason"] == "no_limit"


def refuse(world: World, account: str, seats: int = 12) -> InvoiceNotOffered:
    with pytest.raises(InvoiceNotOffered) as refused:
        purchase.start(world.ports, placing(world, shop.offer(world, seats), account))
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(Order).where(col(Order.pay_by) == "invoice")).scalar() in {
            0, 1,
        }  # fmt: skip
    return refused.value


def test_a_frozen_account_pays_by_card_until_it_is_freed(world: World) -> None:
    account, now = open_account(world), world.ports.clock.now()
    with world.db.transaction() as tx:
        accounts.freeze_credit(tx, account, "In dispute.", by="stf_test", now=now)
    assert refuse(world, account).extra["reason"] == "frozen"
    with world.db.transaction() as tx:
        accounts.unfreeze_credit(tx, account, "Settled.", by="stf_test", now=now)
    assert order_on_invoice(world, account).state is OrderState.COMPLETED


def test_whoever_is_late_orders_on_invoice_again_once_it_is_paid(world: World) -> None:
    account = open_account(world)
    order_on_invoice(world, account)
    assert world.wired.advance_clock
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=42))
    assert refuse(world, account).extra["reason"] == "late"
    wire(world, account, 132_000)
    assert order_on_invoice(world, account).state is OrderState.COMPLETED


def test_an_account_can_have_a_limit_of_its_own(world: World) -> None:
    account, now = open_account(world), world.ports.clock.now()
    with world.db.transaction() as tx:
        accounts.limit_credit(tx, account, Money(0, "EUR"), "New company.", by="stf_test", now=now)
    assert refuse(world, account).extra["reason"] == "over_limit"
    with world.db.transaction() as tx:
        accounts.limit_credit(tx, account, Money(132_000, "EUR"), "Known for years.", by="stf_test", now=now)
    assert order_on_invoice(world, account).state is OrderState.COMPLETED


def test_a_stranger_and_a_missing_order_number_are_refused(world: World) -> None:
    account = open_account(world)
    with pytest.raises(InvoiceNotOffered) as stranger:
        purchase.start(world.ports, placing(world, shop.offer(world, 12), None))
    assert stranger.value.extra["reason"] == "stranger"
    with pytest.raises(Invalid) as nameless:
        purchase.start(world.ports, placing(world, shop.offer(world, 12), account, po_number="  "))
    assert nameless.value.param == "po_number"


def test_an_unpaid_invoice_does_not_count_towards_the_threshold_and_a_paid_one_does(world: World) -> None:
    """R-THR-2: unpaid orders do not count."""
    account = open_account(world)
    order_on_invoice(world, account, seats=12)
    with world.db.transaction() as tx:
        since = world.ports.clock.now() - timedelta(days=365)
        assert sum(each.minor for each in orders.spent_since(tx, [account], since)) == 0
    wire(world, account, 132_000)
    with world.db.transaction() as tx:
        assert sum(each.minor for each in orders.spent_since(tx, [account], since)) == 132_000


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": Money(0, "EUR")}, "amount"),
        ({"reference": "  "}, "reference"),
        ({"value_on": date(2099, 1, 1)}, "value_on"),
        ({"method": Method.CARD}, "method"),
        ({"invoice_ids": ("inv_01ka8qj6x0c5q4m3t2r1p0n9mk",)}, "invoices"),
        ({"amount": Money(132_000, "USD"), "invoice_ids": ("theirs",)}, "invoices"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused_and_nothing_is_booked(
    world: World, changes: dict[str, Any], param: str
) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    if changes.get("invoice_ids") == ("theirs",):
        changes = {**changes, "invoice_ids": (invoice_of(world, order).id,)}
    with pytest.raises(DomainError) as refused:
        wire(world, account, 132_000, **changes)
    assert refused.value.param == param
    assert balance(world, "1000") == 0


def test_the_database_refuses_to_pay_an_invoice_or_spend_a_payment_twice(world: World) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    payment = wire(world, account, 60_000)
    beyond = InvoicePayment(
        invoice_id=invoice.id, payment_id=payment.id, amount_minor=1, allocated_at=world.ports.clock.now()
    )
    with pytest.raises(IntegrityError), world.db.transaction() as tx:
        tx.add(beyond)
    with pytest.raises(IntegrityError, match="not covered"), world.db.transaction() as tx:
        tx.execute(text("UPDATE invoice SET state = 'paid', paid_at = now() WHERE id = :id"), {"id": invoice.id})


def test_a_crash_while_a_payment_is_recorded_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    original: Callable[..., object] = invoicing.receive

    def die(*args: object, **kwargs: object) -> None:
        original(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(invoicing, "receive", die)
        with pytest.raises(KeyboardInterrupt):
            wire(world, account, 132_000)
    assert (balance(world, "1000"), len(licenses_of(world, order))) == (0, 1)
    wire(world, account, 132_000)
    assert (balance(world, "1000"), len(licenses_of(world, order))) == (132_000, 2)


def test_a_held_order_on_invoice_is_delivered_when_it_is_released(world: World) -> None:
    account = open_account(world)
    offered = shop.offer(world, 12, currency="EUR", vat=None, **{**DONETSK, "email": "ada@example.de"})
    started = purchase.start(world.ports, placing(world, offered, account))
    assert started.state is OrderState.HELD
    held_orders.recheck(world.ports, started.order_id, by="stf_1", note="Compared with the lists of today.")
    with world.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
    assert order.state is OrderState.COMPLETED
    assert invoice_of(world, order).state is InvoiceState.OPEN


def test_a_held_order_is_not_released_beyond_the_limit(world: World) -> None:
    account = open_account(world)
    offered = shop.offer(world, 25, currency="EUR", vat=None, **{**DONETSK, "email": "ada@example.de"})
    started = purchase.start(world.ports, placing(world, offered, account))
    order_on_invoice(world, account, seats=25)
    with pytest.raises(InvoiceNotOffered):
        held_orders.recheck(world.ports, started.order_id, by="stf_1", note="Compared with the lists of today.")
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).state is OrderState.HELD
