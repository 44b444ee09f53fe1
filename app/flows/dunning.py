"""Dunning: a declined automatic charge is tried again on the days of the ladder, and people are told what happens when.

One ladder per account and currency (R43). While it runs the subscription is past due and a bridge license covers it, so
that a customer who is being retried is never cut off (R-SUB-5). Payment by whatever way ends it; the last try that
fails ends it too, and then the subscription lapses.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from structlog import get_logger

from app.core import events, jobs, policy
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.money import Money, total
from app.dunning import service as dunning
from app.dunning.ladder import BRIDGE_DAYS, LADDER, LONGEST_PAUSE_DAYS, MINIMUM
from app.dunning.models import DunningItem, DunningRun, DunningStep, Outcome, Owed, RunState
from app.dunning.service import Debt, Failure
from app.flows import bridging, charging, purchase, standing
from app.flows.charging import Became, Charged
from app.flows.ports import Ports
from app.flows.purchase import Started
from app.orders import service as orders
from app.orders.models import Order, OrderState
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState

log = get_logger()

# The license outlives the last try by a day, so that it is not the license that ends first.
_MARGIN: Final = timedelta(days=1)


def begin(tx: Tx, ports: Ports, subscription: Subscription, order: Order, failure: Failure, now: datetime) -> None:
    """The renewal of a term was declined: past due, bridged, and collected from now on.

    An amount below the policy's minimum is not collected: the subscription waits out its grace. The caller holds the
    locks of the order and the subscription, in that order. Told twice about one order, it does it once.
    """
    if subscription.state is SubscriptionState.ACTIVE:
        standing.move(tx, subscription, SubscriptionState.PAST_DUE, now)
    amount = order.due
    if amount.minor < policy.get(tx, MINIMUM, now).get(order.currency, 0):
        subscriptions.cut(tx, subscription)
        return
    if dunning.collects(tx, order.id):
        return
    debt = Debt(order.account_id, subscription.id, order.id, subscription.billed_to, amount)
    run = dunning.collect(tx, debt, failure, policy.get(tx, LADDER, now), now)
    order.expires_at = None  # it is open for as long as it is collected
    cover(tx, ports, run, now)
    jobs.defer(tx, "dunning.write", run_id=run.id, occasion=f"opened-{order.id}")


def cover(tx: Tx, ports: Ports, run: DunningRun, now: datetime) -> None:
    """Bridge everything that is owed to the days past its old end, and beyond the last try in any case."""
    last = max((step.due_at for step in dunning.to_come(tx, run.id)), default=now)
    days = timedelta(days=policy.get(tx, BRIDGE_DAYS, now))
    for item in dunning.items(tx, run.id, Owed.OWED):
        subscription = subscriptions.get(tx, item.subscription_id)
        promised = start_of(item.old_end_on + days, subscription.time_zone)
        bridging.bridge(tx, ports, subscription, orders.get(tx, item.order_id), max(promised, last + _MARGIN))


def enqueue_due(ports: Ports) -> int:
    """Put the tries whose time has come on the queue; after a pause of ours, one for a run is enough. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        latest: dict[str, tuple[DunningStep, str]] = {}
        for step, account_id in dunning.due_steps(tx, now):
            missed = latest.get(step.run_id)
            if missed is not None:
                missed[0].done_at, missed[0].outcome = now, Outcome.SKIPPED
            latest[step.run_id] = (step, account_id)
        for step, account_id in latest.values():
            jobs.defer(tx, take_step, lock=account_id, once=f"dunning:{step.id}", step_id=step.id)
    return len(latest)


@jobs.job("dunning.take_step", retry=jobs.Retry(attempts=6, first=60))
def take_step(ports: Ports, *, step_id: str) -> None:
    """Charge everything the run collects, then write down what became of it. Safe to repeat and from two workers."""
    with ports.db.transaction() as tx:
        step = tx.get_one(DunningStep, step_id)
        run = dunning.get(tx, step.run_id)
        owed = dunning.items(tx, run.id, Owed.OWED)
        if step.done_at is not None or run.state is not RunState.OPEN or step.due_at > ports.clock.now():
            return
        dead_card = run.declined_method_ref if run.needs_card else None
    became = [charging.charge(ports, item.order_id, step_id=step_id, dead_card=dead_card) for item in owed]
    with ports.db.transaction() as tx:
        _record(tx, ports, step_id, owed, became)


def _record(tx: Tx, ports: Ports, step_id: str, owed: list[DunningItem], became: list[Charged]) -> None:
    for item in owed:  # orders before runs, in one order, as everywhere
        orders.lock(tx, item.order_id)
    run = dunning.lock(tx, tx.get_one(DunningStep, step_id).run_id)
    step = tx.get_one(DunningStep, step_id, populate_existing=True)
    if step.done_at is not None or run.state is not RunState.OPEN:
        if step.outcome is Outcome.SKIPPED and any(each.became is Became.PAID for each in became):
            step.outcome = Outcome.PAID  # it was this one that closed the run
        return
    now = ports.clock.now()
    failure = next((each.failure for each in became if each.failure is not None), None)
    if failure is not None:
        dunning.note_failure(run, failure)
    tried = any(each.became is Became.DECLINED for each in became)
    step.done_at, step.outcome = now, Outcome.DECLINED if tried else Outcome.NEEDS_CARD
    _park_where_too_often(tx, owed, became, now)
    events.append(tx, "dunning.retried", run.id, now=now, account_id=run.account_id, outcome=str(step.outcome),
                  why=run.failure_code, step=step.position)  # fmt: skip
    log.info("dunning.retried", run=run.id, outcome=str(step.outcome), why=run.failure_code)
    if step.last:
        give_up(tx, run, now)
    elif step.mails:
        jobs.defer(tx, "dunning.write", run_id=run.id, occasion=step.id)


def _park_where_too_often(tx: Tx, owed: list[DunningItem], became: list[Charged], now: datetime) -> None:
    for item, each in zip(owed, became, strict=True):
        if each.became is Became.TOO_OFTEN:
            park(tx, subscriptions.lock(tx, item.subscription_id), TOO_OFTEN, now)


TOO_OFTEN: Final = "charged too often: the bound of a day was reached (policy automatic_charges_a_day)"


def park(tx: Tx, subscription: Subscription, reason: str, now: datetime, *, by_screening: bool = False) -> None:
    """Leave a subscription out of the billing run until a person has looked, and say so. `by_screening`: because of a
    case of party screening and nothing else; one that is parked already stays so for its own reason.
    """
    if subscription.parked_at is not None:
        return
    subscription.parked_at, subscription.parked_reason = now, reason
    subscription.parked_by_screening = by_screening
    tx.flush()
    events.append(tx, "subscription.parked", subscription.id, now=now, account_id=subscription.account_id, why=reason)
    log.error("subscription.parked", subscription=subscription.id, why=reason)


def give_up(tx: Tx, run: DunningRun, now: datetime) -> None:
    """The ladder ended unpaid: bridges are revoked, orders close, subscriptions lapse, and the customer is told."""
    for item in dunning.items(tx, run.id, Owed.OWED):
        item.state, item.settled_at = Owed.GIVEN_UP, now
        tx.flush()
        purchase.expire(tx, orders.lock(tx, item.order_id), now)
        subscription = subscriptions.lock(tx, item.subscription_id)
        bridging.revoke(
            tx, subscription.id, item.order_id, reason="unpaid: the renewal could not be collected", now=now
        )
        if subscription.state is SubscriptionState.PAST_DUE:
            if item.old_end_on < subscription.ends_on:
                subscriptions.cut(tx, subscription)
            standing.move(tx, subscription, SubscriptionState.LAPSED, now)
            over = subscription.ends_on + timedelta(days=subscription.grace_days)
            if start_of(over, subscription.time_zone) <= now:
                standing.move(tx, subscription, SubscriptionState.EXPIRED, now)
    dunning.close(tx, run, RunState.GIVEN_UP, now)
    jobs.defer(tx, "dunning.write_the_end", run_id=run.id)


def withdraw(tx: Tx, subscription: Subscription, now: datetime) -> None:
    """The customer gives up a subscription that is being collected: nothing is owed, nothing runs on.

    The caller has locked the order that is collected, then the subscription.
    """
    item = dunning.owed_by(tx, subscription.id)
    if item is None:
        return
    order = orders.get(tx, item.order_id)
    dunning.withdraw(tx, item, now)
    if order.state is OrderState.AWAITING_PAYMENT:
        purchase.expire(tx, order, now)
    bridging.revoke(tx, subscription.id, order.id, reason="given up by the customer", now=now)


def pause(ports: Ports, run_id: str, *, days: int, reason: str, by: str) -> None:
    """Staff put a run off, such as while a customer waits for a new card. Raises NotCollecting, AlreadyPaused, Invalid.

    The license is bridged for the longer time, because nobody is cut off while they are waited for.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        longest = policy.get(tx, LONGEST_PAUSE_DAYS, now)
        if not 1 <= days <= longest:
            raise Invalid(f"A whole number of days, 1 to {longest}.", param="days")
        _lock_orders(tx, run_id)
        run = dunning.pause(tx, run_id, days=days, reason=reason, by=by, now=now)
        cover(tx, ports, run, now)


def _lock_orders(tx: Tx, run_id: str) -> None:
    for item in dunning.items(tx, run_id, Owed.OWED):
        orders.lock(tx, item.order_id)


def resume(ports: Ports, run_id: str, *, reason: str, by: str) -> None:
    """Take the rest of a pause back. Raises NotCollecting."""
    with ports.db.transaction() as tx:
        dunning.resume(tx, run_id, reason=reason, by=by, now=ports.clock.now())


@dataclass(frozen=True, slots=True)
class Owing:
    """One renewal on the page behind the link and in a mail."""

    order_id: str
    subscription_id: str
    plan: str
    old_end_on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands: what is owed, when it is tried next and last, and until when everything works."""

    run: DunningRun
    owing: tuple[Owing, ...]
    next_try_at: datetime | None
    last_try_at: datetime | None

    @property
    def total(self) -> Money:
        return total([each.amount for each in self.owing], self.run.currency)


def standing_of(tx: Tx, run_id: str, state: Owed = Owed.OWED) -> Standing:
    """Raises NotFound."""
    run = dunning.get(tx, run_id)
    found = []
    for item in dunning.items(tx, run.id, state):
        line = orders.lines(tx, item.order_id)[0]
        amount = Money(item.amount_minor, item.currency)
        found.append(Owing(item.order_id, item.subscription_id, line.description, item.old_end_on, amount))
    ahead = dunning.to_come(tx, run.id)
    return Standing(
        run, tuple(found), ahead[0].due_at if ahead else None,
        next((step.due_at for step in ahead if step.last), None),
    )  # fmt: skip


def standing_of_subscription(tx: Tx, subscription_id: str) -> Standing | None:
    """None where nothing is collected for it."""
    item = dunning.owed_by(tx, subscription_id)
    return standing_of(tx, item.run_id) if item is not None else None


def card_link(ports: Ports, run_id: str) -> str:
    """The path of the page where whoever holds it can pay with another card; GET shows, POST acts."""
    return f"/card/{ports.secrets.sign_token(dunning.TOKEN, run_id)}"


def run_behind(tx: Tx, ports: Ports, token: str) -> DunningRun:
    """Raises NotFound for a token that was not made here."""
    run_id = ports.secrets.read_token(dunning.TOKEN, token)
    if run_id is None:
        raise NotFound("This link does not exist; sign in to pay, or ask us for a new link.")
    return dunning.get(tx, run_id)


def pay_with_another_card(ports: Ports, run_id: str) -> Started:
    """Lead to the provider's page for the first renewal that is owed; its card is kept and tried for the others.

    Raises NotFound where nothing is owed any more, PaymentUnavailable.
    """
    with ports.db.transaction() as tx:
        owed = dunning.items(tx, run_id, Owed.OWED)
    if not owed:
        raise NotFound("Nothing is owed here any more.")
    return purchase.resume(ports, owed[0].order_id)
