"""The day on which the renewal of a long term opens (R-SUB-2): looked at once, so that nothing lapses in silence.

A renewal that does not run by itself (too large, a retired plan, a price that is gone) becomes a request for a quote,
which is the staff's task, 90 days before the end (R-THR-2). It is charged automatically only once it was accepted.
"""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Select, exists, select
from sqlmodel import col

from app.core import events, jobs, policy
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import DomainError, Unavailable
from app.flows import quoting, renewal
from app.flows.ports import Ports
from app.orders.models import Preview, Route
from app.subscriptions import service as subscriptions
from app.subscriptions.models import RenewalOpening, Subscription, SubscriptionState

_LONG: Final = 12


def enqueue_due(ports: Ports, limit: int = 500) -> int:
    """Defer a look at every long term whose renewal has opened and was not looked at. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        # A local day begins up to 14 hours before the same day in UTC.
        last = now.date() + timedelta(days=policy.get(tx, renewal.OPENS_DAYS, now) + 1)
        query = _unseen().where(col(Subscription.ends_on) <= last).order_by(col(Subscription.ends_on)).limit(limit)
        due = [each for each in tx.execute(query).scalars() if _opens_at(tx, each, now) <= now]
        for each in due:
            jobs.defer(tx, look, once=f"opening:{each.id}", subscription_id=each.id, ends_on=each.ends_on.isoformat())
    return len(due)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """When the next renewal opens; those of one day stand side by side, so a few are enough."""
    days = policy.get(tx, renewal.OPENS_DAYS, after)
    soonest = after.date() + timedelta(days=days - 1)
    query = _unseen().where(col(Subscription.ends_on) >= soonest).order_by(col(Subscription.ends_on)).limit(200)
    opening = [_opens_at(tx, each, after) for each in tx.execute(query).scalars()]
    return min((at for at in opening if at > after), default=None)


def _opens_at(tx: Tx, held: Subscription, now: datetime) -> datetime:
    return start_of(held.ends_on - timedelta(days=policy.get(tx, renewal.OPENS_DAYS, now)), held.time_zone)


def _unseen() -> Select[Subscription]:
    seen = exists().where(
        col(RenewalOpening.subscription_id) == col(Subscription.id),
        col(RenewalOpening.ends_on) == col(Subscription.ends_on),
    )
    return select(Subscription).where(
        col(Subscription.state) == SubscriptionState.ACTIVE, col(Subscription.term_months) >= _LONG, ~seen
    )


@jobs.job("renewal.look_at_opening", retry=jobs.Retry(attempts=8, first=60))
def look(ports: Ports, *, subscription_id: str, ends_on: str) -> None:
    """Price the next term and keep what was found; what does not run by itself goes to sales."""
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, subscription_id)
        if held.ends_on.isoformat() != ends_on or of_term(tx, held.id, held.ends_on) is not None:
            return
    try:
        preview = renewal.review(ports, subscription_id).preview
    except Unavailable:
        raise
    except DomainError as refused:
        keep(ports, held, str(Route.SALES), [{"code": refused.code, "sentence": refused.detail, "figure": None}], None)
        return
    if preview.route is Route.SALES:
        needs_sales(ports, held, preview)
    else:
        keep(ports, held, str(preview.route), preview.reasons, None)


def needs_sales(ports: Ports, held: Subscription, preview: Preview) -> None:
    """Ask sales for a renewal quote, once per term; a customer who does not renew is left alone."""
    with ports.db.transaction() as tx:
        known = of_term(tx, held.id, held.ends_on)
    if known is not None and known.quote_id is not None:
        return
    quote_id = None
    if held.not_renewing_at is None:
        note = f"Renewal of the term that ends on {held.ends_on}. Opened by the billing run."
        quote_id = quoting.request(ports, preview.id, account_id=held.account_id, note=note).id
    keep(ports, held, str(preview.route), preview.reasons, quote_id)


def keep(
    ports: Ports, held: Subscription, route: str, reasons: list[dict[str, object]], quote_id: str | None
) -> None:  # fmt: skip
    """Write down what was found, once per term; the event tells those who listen."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        subscription = subscriptions.lock(tx, held.id)
        known = of_term(tx, held.id, held.ends_on)
        if known is not None:
            known.route, known.reasons, known.quote_id = route, reasons, known.quote_id or quote_id
            return
        tx.add(RenewalOpening(
            subscription_id=held.id, ends_on=held.ends_on, opened_at=now, route=route, reasons=reasons,
            quote_id=quote_id,
        ))  # fmt: skip
        kind = "renewal.opened" if route != Route.SALES else "renewal.needs_sales"
        events.append(tx, kind, subscription.id, now=now, account_id=subscription.account_id,
                      ends_on=held.ends_on.isoformat(), quote=quote_id)  # fmt: skip


def of_term(tx: Tx, subscription_id: str, ends_on: date) -> RenewalOpening | None:
    query = select(RenewalOpening).where(
        col(RenewalOpening.subscription_id) == subscription_id, col(RenewalOpening.ends_on) == ends_on
    )
    return tx.execute(query).scalar_one_or_none()
