"""Three years of one customer as they pass: bought, changed, declined, collected, upgraded, refunded, ended."""

from datetime import timedelta
from itertools import pairwise

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.core.clock import local_date, start_of
from app.flows import dunning, ending, explain_invoice, refund, seat_change
from app.flows.refund import Asked
from app.flows.seat_change import Wanted
from app.invoices.models import CreditNote, CreditReason, Invoice, InvoiceState
from app.licenses.models import LicenseState
from app.orders.models import Order, OrderKind
from app.payments.models import Payment, Refund, RefundState
from app.reports import account_statement, verify_books
from app.reports.shape import Period
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from tests import shop
from tests.changing import change, how
from tests.flows.ending import cards_become, end_of, licenses_of, mails, run_of, subscription_of, walk, walk_days
from tests.world import World


def seats_of(world: World, order: Order) -> int:
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, order.subscription_id or "")
        return next(line.quantity for line in subscriptions.lines(tx, held.id) if line.plan_id == held.plan_id)


def first_year(world: World) -> Order:
    """15 seats, 5 more after a hundred days, 18 wished for the next term; the card is going to decline."""
    bought = shop.buy(world, seats=15)
    walk_days(world, 100)
    change(world, subscription_of(world, bought), seats=20)
    assert seats_of(world, bought) == 20
    less = seat_change.preview(world.ports, bought.subscription_id or "", Wanted(seats=18))
    assert seat_change.commit(world.ports, less.id, how(world)).scheduled is not None
    ending.renew_by_itself(world.ports, bought.subscription_id or "", on=True, by="mem_1")
    cards_become(world, "declines_later")
    return bought


def collected(world: World, bought: Order) -> None:
    """The end of the first term: declined, past due, never cut off, paid with another card five days later."""
    end = subscription_of(world, bought).ends_on
    walk(world, end_of(world, bought) + timedelta(days=5))
    assert subscription_of(world, bought).state is SubscriptionState.PAST_DUE
    now = world.ports.clock.now()
    assert any(each.state is LicenseState.ACTIVE and each.expires_at > now for each in licenses_of(world))
    page = dunning.pay_with_another_card(world.ports, run_of(world).id)
    cards_become(world, "pays")
    shop.pay(world, page.payment_url or "")
    world.work()
    held = subscription_of(world, bought)
    assert (held.state, held.starts_on, seats_of(world, bought)) == (SubscriptionState.ACTIVE, end, 18)


def upgraded_and_renewed(world: World, bought: Order) -> None:
    """The second term: a higher plan in the middle, the old one credited, and the next term by itself."""
    walk_days(world, 150)
    change(world, subscription_of(world, bought), plan="enterprise")
    end = subscription_of(world, bought).ends_on
    walk(world, end_of(world, bought) + timedelta(hours=3))
    held = subscription_of(world, bought)
    assert (held.state, held.starts_on, seats_of(world, bought)) == (SubscriptionState.ACTIVE, end, 18)


def given_up(world: World, bought: Order) -> None:
    """The third term: something is given back, it is not renewed, and it ends with its last day."""
    walk_days(world, 30)
    with world.db.transaction() as tx:
        last = tx.execute(select(Invoice).order_by(col(Invoice.sequence).desc()).limit(1)).scalar_one()
    refund.request(world.ports, Asked(last.id, total=5_000, reason=CreditReason.GOODWILL), by="stf_1")
    world.work()
    ending.stop(world.ports, bought.subscription_id or "", reason="We moved on.", by="mem_1")
    walk(world, end_of(world, bought) + timedelta(days=40))
    assert subscription_of(world, bought).state is SubscriptionState.CANCELED
    now = world.ports.clock.now()
    assert all(each.state is not LicenseState.ACTIVE or each.expires_at <= now for each in licenses_of(world))


def test_three_years_of_a_customer(world: World) -> None:
    bought = first_year(world)
    began = world.ports.clock.now()
    collected(world, bought)
    upgraded_and_renewed(world, bought)
    given_up(world, bought)
    assert (world.ports.clock.now() - began).days > 900
    with world.db.transaction() as tx:
        terms = subscriptions.terms(tx, bought.subscription_id or "")
        kinds = [each.kind for each in tx.execute(select(Order).order_by(col(Order.created_at))).scalars()]
        invoices = list(tx.execute(select(Invoice).order_by(col(Invoice.sequence))).scalars())
        notes = list(tx.execute(select(CreditNote)).scalars())
        paid = list(tx.execute(select(Payment)).scalars())
        (back,) = tx.execute(select(Refund)).scalars()
        told = [explain_invoice.explain(tx, each) for each in invoices]
    assert [before.ends_on for before, _ in pairwise(terms)] == [after.starts_on for _, after in pairwise(terms)]
    assert len(terms) == 3
    assert kinds == [
        OrderKind.PURCHASE, OrderKind.EXPANSION, OrderKind.RENEWAL, OrderKind.EXPANSION, OrderKind.RENEWAL,
    ]  # fmt: skip
    assert [each.number for each in invoices] == [f"ACME-{each:06d}" for each in range(1, 6)]
    assert {each.state for each in invoices} == {InvoiceState.PAID}
    assert (len(paid), back.state) == (5, RefundState.SUCCEEDED)
    assert sorted(each.reason for each in notes) == [CreditReason.GOODWILL, CreditReason.PLAN_CHANGE]
    assert all(line.replays for each in told for line in each.lines)
    assert verify_books.verify(world.db) == []
    nothing_is_owed(world, bought)
    assert len(mails(world, "Time to renew")) == 0, "it renewed by itself, and was given up after that"


def nothing_is_owed(world: World, bought: Order) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        zone = accounts.seller(tx).time_zone
        first = local_date(start_of(bought.created_at.date(), zone), zone) - timedelta(days=1)
        statement = account_statement.compute(tx, bought.account_id, "EUR", Period(first, local_date(now, zone)))
        held = tx.execute(select(Subscription)).scalars().all()
    assert statement.closing.balance.minor == 0
    assert len(held) == 1
