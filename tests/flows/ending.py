"""Terms that end, cards that decline, and clocks that walk: what tests of renewal and dunning share."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import func, select, text
from sqlmodel import col

from app.adapters.sandbox import clock
from app.adapters.sandbox.models import SandboxIntent
from app.core.clock import start_of
from app.core.db import Table
from app.core.events import Event
from app.dunning.models import DunningRun, DunningStep, Outcome
from app.flows import tick
from app.invoices.models import Invoice
from app.licenses.models import License
from app.orders import service as orders
from app.orders.models import Order
from app.payments.models import Payment
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState, SubscriptionTerm
from tests import shop
from tests.world import World

DECLINES_LATER = "4000 0000 0000 0341"  # saves well, declines every later charge


def walk(world: World, to: datetime) -> None:
    tick.walk(world.ports, to, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)


def walk_days(world: World, days: float) -> None:
    walk(world, world.ports.clock.now() + timedelta(days=days))


def catch_up(world: World, most: int = 60) -> None:
    """Tick and work until nothing is found any more, as a worker does that was away."""
    for _ in range(most):
        if not tick.tick(world.ports):
            return
        world.work()
    raise AssertionError(f"something is due still after {most} ticks")


def declining(world: World, **wanted: object) -> Order:
    """A monthly subscription whose saved card declines every later charge."""
    return shop.buy(world, DECLINES_LATER, interval="month", **wanted)


def past_due(world: World, *, hours: float = 1, **wanted: object) -> Order:
    """A monthly subscription whose renewal was declined, `hours` after its end."""

    def declined() -> str:
        order = declining(world, **wanted)
        walk(world, end_of(world, order) + timedelta(hours=hours))
        assert subscription_of(world, order).state is SubscriptionState.PAST_DUE
        return order.id

    order_id = world.past.after("past due", [hours, wanted], declined)
    with world.db.transaction() as tx:
        return orders.get(tx, order_id)


def subscription_of(world: World, order: Order) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, order.subscription_id or "")


def end_of(world: World, order: Order) -> datetime:
    held = subscription_of(world, order)
    return start_of(held.ends_on, held.time_zone)


def cards_become(world: World, kind: str) -> None:
    """From now on every kept card does what `kind` says: pays, declines_later, lost."""
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE sandbox_method SET kind = :kind"), {"kind": kind})


def count(world: World, table: type[Table]) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def run_of(world: World) -> DunningRun:
    with world.db.transaction() as tx:
        return tx.execute(select(DunningRun).order_by(col(DunningRun.id).desc()).limit(1)).scalar_one()


def outcomes(world: World) -> list[Outcome | None]:
    with world.db.transaction() as tx:
        steps = tx.execute(select(DunningStep).order_by(col(DunningStep.run_id), col(DunningStep.position))).scalars()
        return [each.outcome for each in steps]


def licenses_of(world: World) -> list[License]:
    with world.db.transaction() as tx:
        return list(tx.execute(select(License).order_by(col(License.issued_at), col(License.id))).scalars())


def mails(world: World, words: str, to: str = "ada@example.de") -> list[str]:
    """The texts of mails with these words in their subject, the first sent first."""
    found = world.browser().get("/sandbox/mail.json", params={"to": to, "limit": 100}).json()
    return [mail["text"] for mail in reversed(found) if words in mail["subject"]]


def charged(world: World) -> int:
    """How often the provider took money."""
    with world.db.transaction() as tx:
        query = select(func.count()).select_from(SandboxIntent).where(col(SandboxIntent.charge_id).is_not(None))
        return tx.execute(query).scalar_one()


def told(world: World, kind: str) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(Event).where(col(Event.type) == kind)).scalar_one()


def billed_once(world: World) -> dict[str, int]:
    """Every (subscription, term) has one invoice and one payment, and terms tile (I6); returns the figures."""
    with world.db.transaction() as tx:
        in_order = select(SubscriptionTerm).order_by(
            col(SubscriptionTerm.subscription_id), col(SubscriptionTerm.starts_on)
        )
        terms = list(tx.execute(in_order).scalars())
        invoiced = dict(tx.execute(select(col(Invoice.order_id), func.count()).group_by(col(Invoice.order_id))).all())
        paid = dict(tx.execute(select(col(Payment.order_id), func.count()).group_by(col(Payment.order_id))).all())
    assert invoiced == paid == {term.order_id: 1 for term in terms}
    for before, after in pairwise(terms):
        if before.subscription_id == after.subscription_id:
            assert before.ends_on == after.starts_on, "no hole and no overlap"
    assert charged(world) == len(terms)
    return {"terms": len(terms), "charges": charged(world), "subscriptions": count(world, Subscription)}


def together(*acts: Callable[[], object]) -> list[BaseException]:
    """Run all at once in real threads; returns what they raised."""
    gate, raised = threading.Barrier(len(acts)), list[BaseException]()

    def run(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
        except Exception as exc:  # noqa: BLE001 -- collected and asserted on by the test
            raised.append(exc)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised
