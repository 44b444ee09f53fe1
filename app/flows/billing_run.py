"""What the end of a term brings (R-SUB-2, R-SUB-5, R-SUB-6): it renews by itself, ends as was wished, or lapses.

The tick finds what has ended. What renews by itself is ordered, charged and completed in chunks (`bulk_ordering`,
`bulk_charging`, `bulk_completion`); what is not plain is renewed here, by a job of its own, locked by account.
Period by period: a run that was away for months makes up one term after the other. One account that cannot be billed
is parked with its reason and never stops the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Date, ScalarSelect, Select, bindparam, exists, func, or_, select
from sqlmodel import col
from structlog import get_logger

from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core import audit, events, jobs
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, Unavailable
from app.dunning.models import DunningItem, Owed
from app.dunning.service import Failure
from app.flows import asking_tax, charging, dunning, openings, party_screening, purchase, renewal, standing
from app.flows.charging import Became, Charged
from app.flows.ports import Ports
from app.flows.purchase import Placing
from app.invoices.models import Invoice
from app.orders import service as orders
from app.orders.errors import AlreadyRenewed, PreviewChanged, PreviewExpired
from app.orders.models import Order, OrderKind, OrderState, Route
from app.payments import answers, declines
from app.payments.errors import CreditOverdrawn, PaymentUnavailable
from app.payments.models import ChargeAnswer
from app.screening.service import PartyRefused
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState

log = get_logger()

_Day: TypeAlias = date | BindParameter[date]

# The jobs that do it for many (`bulk_ordering`, `bulk_completion`).
ORDER_DUE: Final = "billing.order_due"
COMPLETE_PAID: Final = "billing.complete_paid"
_MOST: Final = 500
_AT_ONCE: Final = 4  # workers that share what is due
_ENOUGH_FOR_ONE: Final = 300
# Another try may well find it otherwise; everything else that is refused stays refused until a person has looked.
PASSING: Final = (Unavailable, PaymentUnavailable, PreviewChanged, PreviewExpired, CreditOverdrawn)
_BY_ITSELF: Final = (col(Subscription.auto_renew), col(Subscription.not_renewing_at).is_(None))
_NO_CARD: Final = Failure(declines.NO_CARD, needs_card=True, method_ref=None)


def enqueue_due(ports: Ports) -> int:
    """Terms that ended: some renew by themselves, others lapse or are given up, and after grace they expire."""
    now = ports.clock.now()
    count = 0
    with ports.db.transaction() as tx:
        by = {"by": _tomorrow(now)}
        for subscription in tx.execute(_ENDS, by).scalars().all():
            if start_of(subscription.ends_on, subscription.time_zone) <= now:
                count += apart(tx, subscription, now, _end_of_term)
        for gone in _GRACE_ENDS:
            for subscription in tx.execute(gone, by).scalars().all():
                over = subscription.ends_on + timedelta(days=subscription.grace_days)
                if start_of(over, subscription.time_zone) <= now:
                    count += apart(tx, subscription, now, _end_of_grace)
    with ports.db.transaction() as tx:
        count += _share(tx, ORDER_DUE, _over(tx.execute(_DUE_PLACES, by), now))
        waiting = [each for each in tx.execute(_UNDER_WAY, by).scalars() if has_ended(each, now)]
        jobs.defer_many(tx, renew_automatically, [order_of(each) for each in waiting])
        count += len(waiting) + _share(tx, COMPLETE_PAID, answers.waiting(tx))
    return count


def _share(tx: Tx, name: str, count: int) -> int:
    """Put the job that works a list off on the queue, more than once where there is enough for several workers."""
    for place in range(min(-(-count // _ENOUGH_FOR_ONE), _AT_ONCE)):
        jobs.defer(tx, name, once=f"{name}:{place}")
    return count


def _places(query: Select[Subscription]) -> Select[date, str]:
    return query.with_only_columns(col(Subscription.ends_on), col(Subscription.time_zone)).limit(
        _AT_ONCE * _ENOUGH_FOR_ONE
    )


def _over(ends: Iterable[tuple[date, str]], now: datetime) -> int:
    return sum(start_of(ends_on, time_zone) <= now for ends_on, time_zone in ends)


def has_ended(subscription: Subscription, now: datetime) -> bool:
    return start_of(subscription.ends_on, subscription.time_zone) <= now


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the billing run stands: terms that are `due` and not ordered, ordered and `charging`, `paid` and not
    completed; subscriptions `parked`; and renewals `done` since this time yesterday, by whatever way.
    """

    due: int
    charging: int
    paid: int
    parked: int
    done: int


def progress(tx: Tx, now: datetime) -> Progress:
    """Counted to the day, whatever the time zone."""
    ended = col(Subscription.ends_on) <= now.date()

    def count(query: Select[Subscription]) -> int:
        return tx.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()

    renewed = (
        select(func.count())
        .select_from(Invoice)
        .join(Order, col(Order.id) == col(Invoice.order_id))
        .where(
            col(Invoice.issued_on) >= now.date() - timedelta(days=2), col(Order.kind) == OrderKind.RENEWAL,
            col(Order.completed_at) > now - timedelta(days=1), col(Invoice.replaces).is_(None),
        )
    )  # fmt: skip
    parked = select(Subscription).where(col(Subscription.parked_at).is_not(None))
    paid = answers.waiting(tx)
    return Progress(
        due=count(due_query(now).where(ended)), charging=count(_charging(_tomorrow(now)).where(ended)), paid=paid,
        parked=count(parked), done=tx.execute(renewed).scalar_one(),
    )  # fmt: skip


def due_query(now: datetime) -> Select[Subscription]:
    """Those that renew by themselves and whose next term nobody has ordered, by end and id.

    A local day begins up to 14 hours before the same day in UTC: the caller looks at the time zone.
    """
    return _renewing(_tomorrow(now)).where(_live().is_(None))


def candidates(now: datetime) -> Select[str, date, str]:
    """Id, end and time zone of what `due_query` would look at, by end and id, before it asks about orders and dunning.

    Every condition is the index's, so that some hundreds cost the same however many are due: the planner takes what is
    asked of other tables for far rarer than it is, and would sort all of them for each chunk.
    """
    return (
        select(col(Subscription.id), col(Subscription.ends_on), col(Subscription.time_zone))
        .where(*_over_by(SubscriptionState.ACTIVE, _tomorrow(now)), *_BY_ITSELF)
        .order_by(col(Subscription.ends_on), col(Subscription.id))
    )


def _tomorrow(now: datetime) -> date:
    return now.date() + timedelta(days=1)


def _charging(by: _Day) -> Select[Subscription]:
    """Those whose order waits for a charge that nobody has heard of; the job that charges it may have died."""
    paid = select(col(ChargeAnswer.order_id)).where(col(ChargeAnswer.order_id) == col(Order.id))
    return _renewing(by).where(_live(~exists(paid)).is_not(None))


def _renewing(by: _Day) -> Select[Subscription]:
    return _ended(SubscriptionState.ACTIVE, by).where(*_BY_ITSELF)


def _live(*where: ColumnElement[bool]) -> ScalarSelect[str]:
    """An order of the next term that waits or has bought it, as `orders.renewal_of_term` has it.

    A value and no EXISTS: looked up by the subscription's index for each row that is walked past. As a join it would
    cost whatever the planner last heard of the table, which a billing run changes within minutes.
    """
    live = select(col(Order.id)).where(
        col(Order.subscription_id) == col(Subscription.id), col(Order.kind) == OrderKind.RENEWAL,
        col(Order.state).not_in([OrderState.EXPIRED, OrderState.CANCELED]),
        or_(col(Order.state) != OrderState.COMPLETED, col(Order.term_starts_on) == col(Subscription.ends_on)),
        *where,
    )  # fmt: skip
    return live.limit(1).correlate(Subscription).scalar_subquery()


def _ended(state: SubscriptionState, by: _Day) -> Select[Subscription]:
    """Those whose term ended, without what is parked and what is being collected."""
    collected = select(col(DunningItem.order_id)).where(
        col(DunningItem.subscription_id) == col(Subscription.id), col(DunningItem.state) == Owed.OWED
    )
    return (
        select(Subscription)
        .where(*_over_by(state, by), collected.limit(1).correlate(Subscription).scalar_subquery().is_(None))
        .order_by(col(Subscription.ends_on), col(Subscription.id))
    )


def _over_by(state: SubscriptionState, by: _Day) -> tuple[ColumnElement[bool], ...]:
    """Not parked, and over by that day, tomorrow: a local day begins up to 14 hours before the same day in UTC."""
    return (
        col(Subscription.state) == state, col(Subscription.ends_on) <= by, col(Subscription.parked_at).is_(None),
    )  # fmt: skip


# What the tick asks every minute is written once: to write it takes longer than to answer it.
_BY: Final = bindparam("by", type_=Date)
_WISHED: Final = or_(col(Subscription.auto_renew).is_(False), col(Subscription.not_renewing_at).is_not(None))
_ENDS: Final = _ended(SubscriptionState.ACTIVE, _BY).where(_WISHED).limit(_MOST).with_for_update(skip_locked=True)
_GRACE_ENDS: Final = [
    _ended(state, _BY).limit(_MOST).with_for_update(skip_locked=True)
    for state in (SubscriptionState.LAPSED, SubscriptionState.PAST_DUE)
]
_DUE_PLACES: Final = _places(_renewing(_BY).where(_live().is_(None)))
_UNDER_WAY: Final = _charging(_BY).limit(_MOST)


def apart(tx: Tx, subscription: Subscription, now: datetime, act: Callable[[Tx, Subscription, datetime], None]) -> int:
    """Do it in a savepoint, so that what is wrong with one subscription is undone and parked, and the run goes on."""
    try:
        with tx.begin_nested():
            act(tx, subscription, now)
    except Exception as broken:
        log.exception("billing_run.parked", subscription=subscription.id)
        tx.refresh(subscription)
        dunning.park(tx, subscription, _reason(broken), now)
    return 1


def _end_of_term(tx: Tx, subscription: Subscription, now: datetime) -> None:
    if subscription.not_renewing_at is not None:
        standing.move(tx, subscription, SubscriptionState.CANCELED, now)
    else:
        standing.move(tx, subscription, SubscriptionState.LAPSED, now)


def _end_of_grace(tx: Tx, subscription: Subscription, now: datetime) -> None:
    if subscription.state is SubscriptionState.PAST_DUE:
        standing.move(tx, subscription, SubscriptionState.LAPSED, now)
    standing.move(tx, subscription, SubscriptionState.EXPIRED, now)


def defer(tx: Tx, subscription: Subscription) -> None:
    """Renew the term that ended by the single path, once."""
    jobs.defer_many(tx, renew_automatically, [order_of(subscription)])


def order_of(subscription: Subscription) -> jobs.Order:
    """The job of one renewal, locked by account."""
    arguments = {"subscription_id": subscription.id, "ends_on": subscription.ends_on.isoformat()}
    return jobs.Order(arguments, lock=subscription.account_id, once=key_of(subscription.id))


def key_of(subscription_id: str) -> str:
    """Under this key one job of a subscription's renewal waits."""
    return f"renew:{subscription_id}"


@jobs.job("renewal.renew_automatically", retry=jobs.Retry(attempts=6, first=30))
def renew_automatically(ports: Ports, *, subscription_id: str, ends_on: str) -> None:
    """Renew one term with the saved card."""
    guarded(ports, subscription_id, lambda: renew_term(ports, subscription_id, ends_on))


def guarded(ports: Ports, subscription_id: str, act: Callable[[], None]) -> None:
    """Bill a subscription; what cannot be billed is parked, or it would come back every minute."""
    try:
        act()
    except PASSING:
        raise
    except Exception as broken:
        log.exception("billing_run.parked", subscription=subscription_id)
        with ports.db.transaction() as tx:
            park(tx, subscription_id, broken, ports.clock.now())


def park(tx: Tx, subscription_id: str, broken: Exception, now: datetime) -> None:
    """Leave a subscription alone until a person has looked at what broke."""
    refused = isinstance(broken, PartyRefused)
    dunning.park(tx, subscriptions.lock(tx, subscription_id), _reason(broken), now, by_screening=refused)


def _reason(broken: Exception) -> str:
    if isinstance(broken, DomainError):
        return f"{broken.title}: {broken.detail}"
    return f"an error of the program ({type(broken).__name__}); the log has it"


def renew_term(ports: Ports, subscription_id: str, ends_on: str) -> None:
    """Order the next term and charge for it, unless that was done. Raises what pricing, ordering and paying raise."""
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, subscription_id)
        if not _wants(held, ends_on):
            return
        under_way = orders.renewal_of_term(tx, held.id, held.ends_on)
    order_id = under_way.id if under_way is not None else _order(ports, held)
    if order_id is None:
        return
    charged = charging.charge(ports, order_id, step_id=None)
    with ports.db.transaction() as tx:
        order = orders.lock(tx, order_id)
        _record(tx, ports, order, subscriptions.lock(tx, subscription_id), ends_on, charged)


def _wants(held: Subscription, ends_on: str) -> bool:
    """Whether this term still is to be renewed: not renewed, given up or parked since the job was deferred."""
    same = held.ends_on.isoformat() == ends_on and held.state is SubscriptionState.ACTIVE
    return same and held.renews_itself and held.parked_at is None


def _order(ports: Ports, held: Subscription) -> str | None:
    """The order of the next term, which follows the old one however late the run is; None where sales must act."""
    now = ports.clock.now()
    offer = renewal.review(ports, held.id)
    if offer.preview.route is Route.SALES:
        openings.needs_sales(ports, held, offer.preview)
        with ports.db.transaction() as tx:
            subscription = subscriptions.lock(tx, held.id)
            if _wants(subscription, held.ends_on.isoformat()):
                standing.move(tx, subscription, SubscriptionState.LAPSED, now)
        return None
    with ports.db.transaction() as tx:
        asking_tax.require_answer(tx, offer.preview)
        terms = agreements.terms_in_force(tx, now.date())
    placing = Placing(
        offer.preview.id, terms.id, Evidence(ip="", user_agent="automatic renewal"), account_id=held.account_id,
        term_starts_on=held.ends_on,
    )  # fmt: skip
    try:
        return purchase.start(ports, placing, open_page=False).order_id
    except AlreadyRenewed:  # another worker was quicker; its order is charged once, whoever asks
        with ports.db.transaction() as tx:
            found = orders.renewal_of_term(tx, held.id, held.ends_on)
        return found.id if found is not None else None


def _record(
    tx: Tx, ports: Ports, order: Order, subscription: Subscription, ends_on: str, charged: Charged
) -> None:  # fmt: skip
    now = ports.clock.now()
    if charged.became is Became.PAID:
        if subscription.renews_itself and start_of(subscription.ends_on, subscription.time_zone) <= now:
            defer(tx, subscription)  # the run was away for more than a term
        return
    if _wants(subscription, ends_on):
        not_paid(tx, ports, order, subscription, charged, now)


def not_paid(
    tx: Tx, ports: Ports, order: Order, subscription: Subscription, charged: Charged, now: datetime
) -> None:  # fmt: skip
    """What follows from a charge that did not pay its order: it is collected, or a person has to look."""
    match charged.became:
        case Became.TOO_OFTEN:
            dunning.park(tx, subscription, dunning.TOO_OFTEN, now)
        case Became.CLOSED:
            held = order.state is OrderState.HELD
            why = "is held for a person to look at" if held else f"is {order.state} and does not fit its payment"
            dunning.park(tx, subscription, f"the order of the next term ({order.id}) {why}", now,
                         by_screening=held and party_screening.holds_alone(tx, order, now))  # fmt: skip
        case _:
            dunning.begin(tx, ports, subscription, order, charged.failure or _NO_CARD, now)


def release(ports: Ports, subscription_id: str, *, by: str, note: str) -> None:
    """A person has looked: the billing run takes the subscription up again. Raises NotFound, Invalid if not parked."""
    with ports.db.transaction() as tx:
        subscription = subscriptions.lock(tx, subscription_id)
        if subscription.parked_at is None:
            raise Invalid("It is not parked, or somebody was quicker.")
        let_go(tx, subscription, by=by, note=note, now=ports.clock.now())


def let_go(tx: Tx, subscription: Subscription, *, by: str, note: str, now: datetime) -> None:
    """Parked no longer. The caller holds its lock; `note` stands in the account's own audit log."""
    details = {"note": note, "parked_for": subscription.parked_reason}
    subscription.parked_at = subscription.parked_reason = None
    subscription.parked_by_screening = False
    tx.flush()
    audit.record(tx, subscription.account_id, actor=by, action="subscription.released", subject=subscription.id,
                 now=now, details=details)  # fmt: skip
    events.append(tx, "subscription.released", subscription.id, now=now, account_id=subscription.account_id)
