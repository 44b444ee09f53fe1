"""Whatever a customer buys, renews, overpays and is refunded: no credit below zero, and no money lost or made."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.adapters.sandbox import clock
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core.clock import local_date
from app.core.ids import new_id
from app.core.money import Money
from app.flows import preview as previews
from app.flows import purchase, receivables, refund
from app.flows.purchase import Placing
from app.flows.receivables import Transfer
from app.flows.refund import Asked
from app.flows.ways_back import NotRefundable
from app.invoices.errors import CreditTooLarge, NothingToCredit
from app.payments.models import Method
from app.reports import verify_books
from tests import shop
from tests.changing import subscription
from tests.flows.ending import catch_up, end_of
from tests.world import World, full

ACTIONS = st.one_of(
    st.tuples(st.just("buy"), st.integers(11, 13)),
    st.tuples(st.just("abandon"), st.integers(11, 13)),
    st.tuples(st.just("overpay"), st.sampled_from([20, 5_000, 14_000, 40_000])),
    st.tuples(st.just("refund"), st.sampled_from([1, 4_000, 0])),  # 0: all that is left
    st.tuples(st.just("renew"), st.just(0)),
)
# Of one account: what came in and what went out, and what stands on paper.
_FIGURES = """
SELECT
  (SELECT coalesce(sum(amount_minor), 0) FROM payment WHERE account_id = :account) AS came,
  (SELECT coalesce(sum(amount_minor), 0) FROM refund WHERE account_id = :account AND state = 'succeeded') AS went,
  (SELECT coalesce(sum(part.amount_minor), 0) FROM invoice_payment part JOIN invoice ON invoice.id = part.invoice_id
    WHERE invoice.account_id = :account) AS by_money,
  (SELECT coalesce(-sum(amount_minor), 0) FROM customer_credit
    WHERE account_id = :account AND kind = 'spent') AS by_credit,
  (SELECT coalesce(sum(total_minor), 0) FROM invoice WHERE account_id = :account AND state = 'paid') AS invoiced,
  (SELECT coalesce(sum(total_minor), 0) FROM credit_note WHERE account_id = :account) AS credited,
  (SELECT coalesce(sum(amount_minor), 0) FROM customer_credit WHERE account_id = :account) AS balance,
  (SELECT coalesce(sum(amount_minor), 0) FROM credit_hold WHERE account_id = :account) AS held
"""


class Customer:
    """An account with a saved card that renews by the month."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.first = shop.buy(world, seats=11, interval="month", email=f"ada@{name}.example", company=name)
        self.account_id = self.first.account_id

    def act(self, what: str, how: int) -> None:
        match what:
            case "buy" | "abandon":
                self._order(how, pays=what == "buy")
            case "overpay":
                today = local_date(self.world.ports.clock.now(), "UTC") - timedelta(days=1)
                receivables.record(
                    self.world.ports,
                    Transfer(self.account_id, Money(how, "EUR"), Method.WIRE, new_id("pay"), today), by="stf_1",
                )  # fmt: skip
            case "refund":
                self._refund(how or None)
            case "renew":
                clock.set_to(self.world.db, end_of(self.world, self.first) + timedelta(hours=1))
                catch_up(self.world)
        self.world.work()

    def _order(self, seats: int, *, pays: bool) -> None:
        asked = previews.request_of(shop.offer(self.world, seats=seats, interval="month"))
        found = previews.price(self.world.ports, replace(asked, account_id=self.account_id))
        with self.world.db.transaction() as tx:
            terms = agreements.terms_in_force(tx, self.world.ports.clock.now().date())
        started = purchase.start(
            self.world.ports, Placing(found.id, terms.id, Evidence("", "test"), account_id=self.account_id)
        )
        assert (started.payment_url is None) == (not found.due)
        if started.payment_url is not None and pays:
            shop.pay(self.world, started.payment_url)
        elif started.payment_url is not None:
            purchase.cancel(self.world.ports, started.order_id, by="test")

    def _refund(self, total: int | None) -> None:
        newest = text(
            "SELECT id FROM invoice WHERE account_id = :account AND state = 'paid' AND order_id <> :first"
            " ORDER BY id DESC LIMIT 1"
        )
        with self.world.db.reading() as connection:
            found = connection.execute(newest, {"account": self.account_id, "first": self.first.id}).scalar()
        if found is None:
            return
        # Nothing may be left, or nothing that a card paid.
        with suppress(NotRefundable, NothingToCredit, CreditTooLarge):
            refund.request(self.world.ports, Asked(found, total=total, revoke=False), by="stf_1")

    def figures(self) -> dict[str, int]:
        with self.world.db.reading() as connection:
            row = connection.execute(text(_FIGURES), {"account": self.account_id}).mappings().one()
        return {name: int(value) for name, value in row.items()}


@settings(
    max_examples=full(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(actions=st.lists(ACTIONS, min_size=3, max_size=7))
def test_credit_is_never_below_zero_and_what_was_paid_is_what_was_invoiced(
    world: World, actions: list[tuple[str, int]]
) -> None:
    customer = Customer(world, new_id("acc")[-10:])
    for action in actions:
        customer.act(*action)
        now = customer.figures()
        assert 0 <= now["held"] <= now["balance"], (action, now)
        assert now["by_money"] + now["by_credit"] == now["invoiced"], (action, now)
        assert now["came"] - now["went"] == now["invoiced"] - now["credited"] + now["balance"], (action, now)
    assert verify_books.verify(world.db) == []
    _ends(world, customer)


def _ends(world: World, customer: Customer) -> None:
    """The next example's months are not this one's."""
    held = subscription(world, customer.first)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE subscription SET auto_renew = false WHERE account_id = :a"), {"a": held.account_id})
