"""A subscription that is changed: time passes, a wish is priced and carried out."""

from datetime import timedelta

from app.adapters.sandbox import clock
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.flows import seat_change
from app.flows.seat_change import Ordering, Wanted
from app.orders import service as orders
from app.orders.models import Order, PayBy, Preview
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from tests.world import World


def pass_days(world: World, days: int) -> None:
    """Move business time on, and let what is due happen."""
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=days))


def subscription(world: World, bought: Order) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, orders.get(tx, bought.id).subscription_id or "")


def how(world: World, by: str = "tester", **more: str) -> Ordering:
    """Agreeing to the terms in force."""
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    pay_by = PayBy(more.pop("pay_by", "card"))
    return Ordering(terms.id, Evidence("127.0.0.1", "test"), by, pay_by, **more)


def commit(world: World, offer: Preview, **more: str) -> Order:
    """Carry out what goes up, with the saved card."""
    changed = seat_change.commit(world.ports, offer.id, how(world, **more))
    assert changed.started is not None
    world.work()
    with world.db.transaction() as tx:
        return orders.get(tx, changed.started.order_id)


def change(world: World, held: Subscription, **wanted: object) -> Order:
    """A whole change: priced as of now, carried out."""
    return commit(world, seat_change.preview(world.ports, held.id, Wanted(**wanted)))  # type: ignore[arg-type]  # a table
