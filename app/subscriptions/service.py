"""Subscriptions: begun by a purchase, carried on by renewals, moved along by the calendar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import require_move
from app.subscriptions.models import (
    YEAR_MONTHS,
    Billing,
    Subscription,
    SubscriptionLine,
    SubscriptionState,
    SubscriptionTerm,
    TermKind,
)
from app.subscriptions.periods import Period, term


@dataclass(frozen=True, slots=True)
class LineBought:
    plan_id: str
    price_id: str
    sku: str
    description: str
    quantity: int
    unit: Money
    net: Money
    pricing: Mapping[str, Any] | None = None
    intervals: int = 1
    quoted: int = 0  # minor units that sales took off


@dataclass(frozen=True, slots=True)
class RunningCoupon:
    """A discount for every term that begins before `until`; None for good."""

    coupon_id: str
    until: date | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a change does to one line: `bought.quantity` more at `bought.net` more for the stretch that is billed."""

    bought: LineBought
    ends: bool = False  # the other way: what a change brought is taken back


def annual(net: Money, months: int) -> Money:
    """ARR of a line for a term of whole months, as an integer, ex tax (R-FIN-1)."""
    return net.times(Fraction(12, months))


def begin(
    tx: Tx, *, account_id: str, legal_entity_id: str, order_id: str, plan_id: str, interval: str, term_months: int,
    period: Period, time_zone: str, grace_days: int, contact_name: str, contact_email: str, currency: str,
    lines: Sequence[LineBought], now: datetime, coupon: RunningCoupon | None = None,
    billing: Billing = Billing.PREPAID,
) -> Subscription:  # fmt: skip
    """A new subscription with its first term, and the coupon that goes on beyond it."""
    subscription = Subscription(
        id=new_id("sub"), account_id=account_id, legal_entity_id=legal_entity_id, order_id=order_id,
        state=SubscriptionState.ACTIVE, plan_id=plan_id, currency=currency, interval=interval,
        term_months=term_months, starts_on=period.start, ends_on=period.end, first_starts_on=period.start,
        anchor_day=period.start.day, anchor_month=period.start.month, time_zone=time_zone, grace_days=grace_days,
        contact_name=contact_name, contact_email=contact_email, auto_renew=term_months < 12, created_at=now,
        coupon_id=coupon.coupon_id if coupon else None, coupon_until=coupon.until if coupon else None,
    )  # fmt: skip
    _bill_first(subscription, billing)
    tx.add(subscription)
    tx.flush()
    _set_lines(tx, subscription, lines)
    _add_term(tx, subscription, TermKind.PURCHASE, billed_period(subscription), order_id)
    return subscription


def renewed(subscription: Subscription, period: Period) -> dict[str, Any]:
    """What of a subscription changes as it is carried into a further term. Raises MoveRefused."""
    if subscription.state is not SubscriptionState.ACTIVE:
        require_move("subscription", subscription.state, SubscriptionState.ACTIVE)
    follows = period.start == subscription.ends_on  # one that does not follow on has an anchor of its own
    return {
        "state": SubscriptionState.ACTIVE, "starts_on": period.start, "ends_on": period.end,
        "anchor_day": subscription.anchor_day if follows else period.start.day,
        "anchor_month": subscription.anchor_month if follows else period.start.month,
        "not_renewing_at": None, "not_renewing_reason": None, "parked_at": None, "parked_reason": None,
        "parked_by_screening": False,
    }  # fmt: skip


def renew(
    tx: Tx, subscription: Subscription, *, period: Period, order_id: str, lines: Sequence[LineBought],
    billing: Billing = Billing.PREPAID,
) -> None:  # fmt: skip
    """Carry the subscription into a further term; the database refuses one that overlaps another."""
    for name, value in renewed(subscription, period).items():
        setattr(subscription, name, value)
    if lines[0].plan_id != subscription.plan_id:  # a lower plan was scheduled, or sales sold another one
        subscription.plan_id = lines[0].plan_id
    _bill_first(subscription, billing)
    _set_lines(tx, subscription, lines)
    _add_term(tx, subscription, TermKind.RENEWAL, billed_period(subscription), order_id)


def _bill_first(subscription: Subscription, billing: Billing) -> None:
    yearly = billing is Billing.YEARLY
    subscription.billed_until = _year(subscription, subscription.starts_on).end if yearly else None


def _year(subscription: Subscription, start: date) -> Period:
    """A year of the term; the last one ends with it."""
    return Period(start, min(term(start, YEAR_MONTHS, subscription.anchor_day).end, subscription.ends_on))


def billed_period(subscription: Subscription) -> Period:
    """The prepaid stretch that was invoiced last, which prorates what changes in it (R-PRO-3): the term, or a year."""
    year = Period(subscription.starts_on, subscription.ends_on)
    if subscription.billed_until is None:
        return year
    year = _year(subscription, subscription.starts_on)
    while year.end < subscription.billed_until:
        year = _year(subscription, year.end)
    return year


def bill(tx: Tx, subscription: Subscription, order_id: str, starts_on: date) -> Period:
    """A further year of the term is paid or invoiced; late money for a year that ended the term brings it back.

    Raises ValueError for a year that is not the next one, and for a term that was paid at once.
    """
    if subscription.billed_until is None or starts_on != subscription.billed_until:
        raise ValueError(f"order {order_id} is for the year from {starts_on}, not for the next of {subscription.id}")
    if subscription.state is not SubscriptionState.ACTIVE:
        move(subscription, SubscriptionState.ACTIVE)
    until = term(starts_on, YEAR_MONTHS, subscription.anchor_day).end
    if subscription.ends_on <= starts_on:
        subscription.ends_on = until
    subscription.billed_until = min(until, subscription.ends_on)
    year = Period(starts_on, subscription.billed_until)
    _add_term(tx, subscription, TermKind.INSTALMENT, year, order_id)
    return year


def cut(tx: Tx, subscription: Subscription) -> None:
    """A year that is not paid ends the term where the last paid one ends."""
    subscription.ends_on = subscription.billed_to
    tx.flush()


def to_bill(tx: Tx, day: date, limit: int = 500) -> list[Subscription]:
    """Subscriptions whose next year is to be billed by `day`, locked and skipping those in other hands."""
    query = (
        select(Subscription)
        .where(
            col(Subscription.billed_until) < col(Subscription.ends_on), col(Subscription.billed_until) <= day,
            col(Subscription.state) == SubscriptionState.ACTIVE, col(Subscription.parked_at).is_(None),
        )
        .order_by(col(Subscription.billed_until), col(Subscription.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    return list(tx.execute(query).scalars())


def change(
    tx: Tx, subscription: Subscription, *, steps: Sequence[Step], ends: Sequence[str], plan_id: str
) -> None:  # fmt: skip
    """Go up within the term: more of a line, a new line, or another plan in place of the lines that end.

    The term stays as it is. The caller holds the subscription's lock.
    """
    known = {line.plan_id: line for line in lines(tx, subscription.id)}
    for plan in ends:
        tx.delete(known.pop(plan))
    subscription.plan_id = plan_id
    tx.flush()
    for step in steps:
        _step(tx, subscription, known.get(step.bought.plan_id), step)
    subscription.revision += 1
    tx.flush()


def _step(tx: Tx, subscription: Subscription, row: SubscriptionLine | None, step: Step) -> None:
    bought, sign = step.bought, -1 if step.ends else 1
    if row is None:
        if step.ends:
            return  # gone by itself meanwhile
        row = SubscriptionLine(
            id=new_id("sln"), subscription_id=subscription.id, plan_id=bought.plan_id, price_id=bought.price_id,
            sku=bought.sku, description=bought.description, quantity=0, unit_minor=bought.unit.minor, net_minor=0,
            arr_minor=0, quoted_minor=0,
        )  # fmt: skip
        tx.add(row)
    row.quantity += sign * bought.quantity
    if row.quantity <= 0:
        tx.delete(row)
        return
    net = Money(max(row.net_minor + sign * bought.net.minor, 0), subscription.currency)
    row.net_minor, row.arr_minor = net.minor, annual(net, subscription.billed_months).minor
    row.quoted_minor = max(row.quoted_minor + sign * bought.quoted, 0)
    if not step.ends:
        row.price_id, row.unit_minor, row.intervals = bought.price_id, bought.unit.minor, bought.intervals
        row.pricing = dict(bought.pricing) if bought.pricing is not None else None


def line_values(line: LineBought, billed_months: int) -> dict[str, Any]:
    """What a subscription keeps of a line, but for its ids."""
    return {
        "price_id": line.price_id, "sku": line.sku, "description": line.description, "quantity": line.quantity,
        "unit_minor": line.unit.minor, "net_minor": line.net.minor, "arr_minor": annual(line.net, billed_months).minor,
        "pricing": dict(line.pricing) if line.pricing is not None else None, "intervals": line.intervals,
        "quoted_minor": line.quoted,
    }  # fmt: skip


def _set_lines(tx: Tx, subscription: Subscription, bought: Sequence[LineBought]) -> None:
    known = {line.plan_id: line for line in lines(tx, subscription.id)}
    for line in bought:
        values = line_values(line, subscription.billed_months)
        row = known.pop(line.plan_id, None)
        if row is None:
            tx.add(SubscriptionLine(id=new_id("sln"), subscription_id=subscription.id, plan_id=line.plan_id, **values))
        else:
            for name, value in values.items():
                setattr(row, name, value)
    for gone in known.values():
        tx.delete(gone)
    tx.flush()


def term_row(subscription_id: str, kind: TermKind, period: Period, order_id: str) -> dict[str, Any]:
    """A term that an order bought."""
    return {
        "subscription_id": subscription_id, "kind": kind, "starts_on": period.start, "ends_on": period.end,
        "order_id": order_id,
    }  # fmt: skip


def _add_term(tx: Tx, subscription: Subscription, kind: TermKind, period: Period, order_id: str) -> None:
    tx.add(SubscriptionTerm(**term_row(subscription.id, kind, period, order_id)))
    tx.flush()


def next_start(subscription: Subscription, today: date) -> date:
    """Early or within grace the new term follows the old one; later it starts today (R-SUB-2)."""
    late_by = (today - subscription.ends_on).days
    return subscription.ends_on if late_by <= subscription.grace_days else today


def running_coupon(subscription: Subscription, starts_on: date) -> str | None:
    """The id of the coupon that discounts a term beginning on `starts_on`, if one does."""
    over = subscription.coupon_until is not None and starts_on >= subscription.coupon_until
    return None if over else subscription.coupon_id


def get(tx: Tx, subscription_id: str) -> Subscription:
    subscription = tx.get(Subscription, subscription_id)
    if subscription is None:
        raise NotFound("There is no such subscription.")
    return subscription


def lock(tx: Tx, subscription_id: str) -> Subscription:
    """The subscription, locked, so that two renewals take turns. Rows may refer to it meanwhile."""
    subscription = tx.execute(
        select(Subscription)
        .where(col(Subscription.id) == subscription_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if subscription is None:
        raise NotFound("There is no such subscription.")
    return subscription


def lines(tx: Tx, subscription_id: str) -> list[SubscriptionLine]:
    query = select(SubscriptionLine).where(col(SubscriptionLine.subscription_id) == subscription_id)
    return list(tx.execute(query.order_by(col(SubscriptionLine.id))).scalars())


def terms(tx: Tx, subscription_id: str) -> list[SubscriptionTerm]:
    query = select(SubscriptionTerm).where(col(SubscriptionTerm.subscription_id) == subscription_id)
    return list(tx.execute(query.order_by(col(SubscriptionTerm.starts_on))).scalars())


def term_of_order(tx: Tx, order_id: str) -> SubscriptionTerm | None:
    """The term that an order bought, or the year of it that it paid."""
    query = select(SubscriptionTerm).where(col(SubscriptionTerm.order_id) == order_id)
    return tx.execute(query).scalar_one_or_none()


def move(subscription: Subscription, state: SubscriptionState) -> None:
    """Raises MoveRefused for a move that is not in the table."""
    require_move("subscription", subscription.state, state)
    subscription.state = state


def ended_by(tx: Tx, state: SubscriptionState, day: date, limit: int = 500) -> list[Subscription]:
    """Subscriptions in `state` whose term ended on or before `day`, locked and skipping those in other hands."""
    query = (
        select(Subscription)
        .where(col(Subscription.state) == state, col(Subscription.ends_on) <= day)
        .order_by(col(Subscription.ends_on))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(tx.execute(query).scalars())


def next_end(tx: Tx, after: datetime) -> datetime | None:
    """The next instant at which a term or its grace ends."""
    nearest: list[datetime] = []
    for states, grace in (
        ((SubscriptionState.ACTIVE,), 0),
        ((SubscriptionState.LAPSED, SubscriptionState.PAST_DUE), 1),
    ):
        over: Any = col(Subscription.ends_on)
        if not grace:  # of a term billed yearly the next year begins before the term ends
            over = func.coalesce(col(Subscription.billed_until), over)
        day = over + grace * col(Subscription.grace_days)
        # A local day begins up to 14 hours before and 12 hours after the same day in UTC.
        query = select(day, col(Subscription.time_zone)).where(
            col(Subscription.state).in_(states), day >= after.date() - timedelta(days=1)
        )
        rows = tx.execute(query.order_by(day).limit(500)).all()
        nearest += [at for at in (start_of(each, zone) for each, zone in rows) if at > after]
    return min(nearest, default=None)
