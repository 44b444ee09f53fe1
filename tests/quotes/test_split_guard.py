"""A large deal cannot be split into small ones that run by themselves (R-THR-2)."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.accounts.models import Account, Audience, Member, Role
from app.accounts.sessions import begin
from app.core import policy
from app.core.clock import transport_now
from app.core.errors import Invalid
from app.flows import refund, renewal
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.orders.models import Route
from tests import shop
from tests.signing_in import CALLER
from tests.world import World


def limit(world: World, minor: int) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, "automation_threshold", {"EUR": minor}, valid_from=now, by="test", why="test", now=now)


def route(world: World, seats: int, **who: str) -> Route:
    return shop.offer(world, seats, **who).route


def prove(world: World, email: str) -> None:
    """Somebody opens a mail sent to this address: they sign in."""
    with world.db.transaction() as tx:
        account_id = tx.execute(text("SELECT account_id FROM member WHERE email = :e"), {"e": email}).scalar_one()
        begin(tx, world.ports.secrets, audience=Audience.CUSTOMER, email=email, caller=CALLER, now=transport_now(),
              account_id=account_id)  # fmt: skip


def test_exactly_one_times_the_threshold_is_sales_and_a_cent_below_is_not(world: World) -> None:
    shop.buy(world, seats=20)  # 2,200.00
    limit(world, 440_000)
    assert route(world, 20) is Route.SALES
    limit(world, 440_001)
    assert route(world, 20) is Route.AUTOMATIC


def test_a_year_later_it_no_longer_counts(world: World) -> None:
    shop.buy(world, seats=25, interval="month")
    limit(world, 28_000)
    assert route(world, 25, interval="month") is Route.SALES
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE \"order\" SET completed_at = completed_at - interval '366 days'"))
    assert route(world, 25, interval="month") is Route.AUTOMATIC


def test_what_was_not_paid_or_was_taken_back_does_not_count(world: World) -> None:
    limit(world, 460_000)
    for _ in range(3):
        shop.order(world, shop.offer(world, 25))
    assert route(world, 25) is Route.AUTOMATIC, "three orders that nobody paid"
    order = shop.buy(world, seats=25)
    assert route(world, 25) is Route.SALES
    with world.db.transaction() as tx:
        for table in ("invoice",):
            tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        tx.execute(text("UPDATE invoice SET state = 'void', paid_at = NULL WHERE order_id = :id"), {"id": order.id})
        tx.execute(text("ALTER TABLE invoice ENABLE TRIGGER USER"))
    assert route(world, 25) is Route.AUTOMATIC


def test_a_purchase_counts_until_all_of_it_is_refunded(world: World) -> None:
    limit(world, 460_000)
    order = shop.buy(world, seats=25)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
    assert invoice
    refund.request(world.ports, Asked(invoice.id, total=100_000), by="stf_1")
    world.work()
    assert route(world, 25) is Route.SALES, "a part of it still stands"
    rest = refund.request(world.ports, Asked(invoice.id), by="stf_1")
    refund.approve(world.ports, rest.id, by="stf_2")
    world.work()
    assert route(world, 25) is Route.AUTOMATIC


def test_two_accounts_of_one_proven_domain_are_one_customer(world: World) -> None:
    for email in ("ada@engines.example", "bob@engines.example"):
        shop.buy(world, seats=12, email=email)
    limit(world, 300_000)
    assert route(world, 12, email="bob@engines.example") is Route.AUTOMATIC, "nobody has proven anything"
    prove(world, "ada@engines.example")
    assert route(world, 12, email="bob@engines.example") is Route.AUTOMATIC, "only one of them has"
    prove(world, "bob@engines.example")
    assert route(world, 12, email="bob@engines.example") is Route.SALES
    assert route(world, 12, email="BOB@Engines.Example") is Route.SALES
    assert route(world, 12, email="eve@other.example") is Route.AUTOMATIC


def test_sharing_a_mail_provider_makes_nobody_one_customer(world: World) -> None:
    for email in ("ada@gmail.com", "bob@gmail.com"):
        shop.buy(world, seats=12, email=email)
        prove(world, email)
    limit(world, 300_000)
    assert route(world, 12, email="bob@gmail.com") is Route.AUTOMATIC


def test_somebody_who_left_no_longer_joins_two_accounts(world: World) -> None:
    for email in ("ada@engines.example", "bob@engines.example"):
        shop.buy(world, seats=12, email=email)
        prove(world, email)
    limit(world, 300_000)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE member SET removed_at = now() WHERE email = 'ada@engines.example'"))
    assert route(world, 12, email="bob@engines.example") is Route.AUTOMATIC


def test_a_renewal_is_measured_alone(world: World) -> None:
    order = shop.buy(world, seats=25, interval="month")
    limit(world, 30_000)
    assert route(world, 25, interval="month") is Route.SALES
    assert world.wired.advance_clock is not None
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=25))
    assert renewal.review(world.ports, order.subscription_id or "").preview.route is Route.AUTOMATIC


@pytest.mark.parametrize("wrong", [["Gmail.com"], "gmail.com", [""], [1]])
def test_the_list_of_mail_providers_is_checked(world: World, wrong: object) -> None:
    now = world.ports.clock.now()
    with pytest.raises(Invalid), world.db.transaction() as tx:
        policy.change(tx, "free_mail_domains", wrong, valid_from=now, by="test", why="test", now=now)


def test_a_colleague_with_a_role_that_may_not_buy_still_proves_the_domain(world: World) -> None:
    one = shop.buy(world, seats=12, email="ada@engines.example")
    shop.buy(world, seats=12, email="bob@engines.example")
    with world.db.transaction() as tx:
        account = tx.get_one(Account, one.account_id)
        tx.add(Member(id=account.id.replace("acc_", "mem_"), account_id=account.id, email="carl@engines.example",
                      name="Carl", role=Role.VIEWER, created_at=transport_now()))  # fmt: skip
    prove(world, "carl@engines.example")
    prove(world, "bob@engines.example")
    limit(world, 300_000)
    assert route(world, 12, email="bob@engines.example") is Route.SALES
