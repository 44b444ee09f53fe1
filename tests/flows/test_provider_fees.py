"""What the payment provider keeps: learnt with its report or asked for later, booked once, shown beside the money."""

from dataclasses import replace

from sqlalchemy import text

from app.adapters.sandbox import fees as sandbox_fees
from app.core.money import Money
from app.flows import dispute, provider_fees, purchase, refund
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.orders.models import Order
from app.payments import fees, refunds
from app.payments import service as payments
from app.payments.models import Payment
from app.payments.provider import Fee
from app.reports import verify_books
from tests import shop
from tests.world import World


def payment_of(world: World, order: Order) -> Payment:
    with world.db.transaction() as tx:
        return refunds.payments_of(tx, order.id)[0]


def kept(world: World, payment: Payment) -> list[tuple[int, str]]:
    with world.db.transaction() as tx:
        return [(each.amount_minor, each.currency) for each in fees.of_payment(tx, payment.id)]


def booked(world: World, code: str, currency: str = "EUR") -> int:
    query = text(
        "SELECT coalesce(sum(amount_minor), 0)::bigint FROM posting WHERE ledger_account = :code AND currency = :of"
    )
    with world.db.reading() as connection:
        return int(connection.execute(query, {"code": code, "of": currency}).scalar_one())


def play(world: World, payment: Payment, action: str) -> None:
    answer = world.browser().post(f"/sandbox/payments/{payment.provider_ref}", json={"action": action})
    assert answer.status_code == 200, answer.text
    world.work()


def books_are_good(world: World) -> None:
    assert verify_books.verify(world.db) == []


def test_a_payments_fee_is_booked_with_it_and_what_is_left_is_what_the_provider_holds(world: World) -> None:
    payment = payment_of(world, shop.buy(world, seats=11))
    fee = sandbox_fees.of_charge(payment.amount_minor, "EUR")
    assert fee == round(payment.amount_minor * 0.015) + 25
    assert kept(world, payment) == [(fee, "EUR")]
    assert (booked(world, "6100"), booked(world, "1200")) == (fee, payment.amount_minor - fee)
    books_are_good(world)


def test_a_dispute_costs_a_fee_that_comes_back_with_the_money_when_it_is_won(world: World) -> None:
    payment = payment_of(world, shop.buy(world, seats=11))
    play(world, payment, "dispute")
    assert booked(world, "6110") == 2_000
    with world.db.transaction() as tx:
        found = refunds.disputes_of(tx, payment.id)[0]
    told = world.ports.payments.report_dispute(found.provider_ref)
    with world.db.transaction() as tx:
        assert dispute.apply(tx, world.ports, told) == "known"  # told again: nothing more is booked
    assert booked(world, "6110") == 2_000
    play(world, payment, "win_dispute")
    assert booked(world, "6110") == 0
    fee = sandbox_fees.of_charge(payment.amount_minor, "EUR")
    assert kept(world, payment) == [(fee, "EUR"), (2_000, "EUR"), (-2_000, "EUR")]
    books_are_good(world)


def test_a_refund_leaves_the_fee_of_the_charge_where_it_is(world: World) -> None:
    order = shop.buy(world, seats=11, interval="month")
    payment = payment_of(world, order)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
    asked = refund.request(world.ports, Asked(invoice.id), by="stf_1")
    world.work()
    fee = sandbox_fees.of_charge(payment.amount_minor, "EUR")
    assert (booked(world, "6100"), booked(world, "1200")) == (fee, -fee)
    # A provider that charges for sending money back says so in the refund's own transaction.
    with world.db.transaction() as tx:
        sent = refunds.get(tx, asked.id)
    report = world.ports.payments.report_refund(sent.provider_ref or "")
    assert report.fee is not None
    dear = replace(report, fee=Fee("txn_re_dear", Money(15, "EUR")))
    for _ in range(2):
        with world.db.transaction() as tx:
            refund.apply(tx, world.ports, dear)
    assert booked(world, "6100") == fee + 15
    books_are_good(world)


def test_a_fee_that_is_known_later_is_asked_for_and_booked_once_in_the_currency_it_is_settled_in(
    world: World,
) -> None:
    started = shop.order(world, shop.offer(world, seats=11))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, started.order_id)
        assert attempt is not None
    early = replace(world.ports.payments.report(attempt.provider_ref or ""), fee=None)
    with world.db.transaction() as tx:
        purchase.apply_report(tx, world.ports, early)
        payment = refunds.payments_of(tx, started.order_id)[0]
    assert kept(world, payment) == []
    books_are_good(world)
    for _ in range(2):
        provider_fees.ask_about_fees.run(world.ports)
        world.work()
    fee = sandbox_fees.of_charge(payment.amount_minor, "EUR")
    assert (kept(world, payment), booked(world, "6100")) == ([(fee, "EUR")], fee)
    # Settled in dollars, the fee is in dollars; no rate is made up (R-MON-4).
    with world.db.transaction() as tx:
        provider_fees.book(
            tx, payment, [Fee("txn_usd", Money(77, "USD"))], legal_entity_id=_entity(world, started.order_id),
            booked_on=world.ports.clock.now().date(), now=world.ports.clock.now(),
        )  # fmt: skip
    assert (booked(world, "6100", "USD"), booked(world, "1200", "USD")) == (77, -77)
    books_are_good(world)


def _entity(world: World, order_id: str) -> str:
    with world.db.transaction() as tx:
        return tx.get_one(Order, order_id).legal_entity_id
