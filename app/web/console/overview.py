"""The first page: what waits for a person, and how the business stands."""

from datetime import date, datetime, timedelta
from typing import Final, Literal

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.core import job_watch, policy
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.core.money import Money
from app.flows import unmatched
from app.flows.notify import ANSWER_DAYS
from app.orders.models import Order, OrderState, Preview
from app.quotes.models import Quote, QuoteState
from app.reports import overview
from app.subscriptions.models import Subscription
from app.web.console.render import Reader, page
from app.web.console.views import Chart, Figure, OverviewView, Task
from app.web.deps import Wired
from app.web.views import Bar

router = APIRouter()
# Since when, what kind, title, detail, and where it is dealt with.
Waiting = tuple[datetime, Literal["quote", "held", "payment", "parked"], str, str, str]
_MOST: Final = 50


@router.get("/console")
def first_page(request: Request, ports: Wired, who: Reader) -> Response:
    now = ports.clock.now()
    standing = overview.read(ports.db)
    with ports.db.session() as tx:
        view = OverviewView(
            figures=_figures(standing), tasks=tasks(tx, now), as_of=now, charts=by_month(tx, now.date())
        )
        return page(request, tx, view, who)


def tasks(tx: Session, now: datetime) -> tuple[Task, ...]:
    """What waits for a person, the longest waiting first."""
    late_after = timedelta(days=policy.get(tx, ANSWER_DAYS, now))
    found = [*_quotes(tx), *_held(tx), *_payments(tx), *_parked(tx)]
    shown = [
        (since, Task(kind=kind, title=title, detail=detail, waiting=waited(now - since), href=href,
                     late=now - since > late_after))
        for since, kind, title, detail, href in found
    ]  # fmt: skip
    return (*_failed_jobs(tx), *(task for _, task in sorted(shown, key=lambda each: each[0])))


def waited(span: timedelta) -> str:
    """How long, in the largest unit that says enough: `3 d`, `5 h`, `12 min`."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min" if minutes else "now"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _quotes(tx: Session) -> list[Waiting]:
    rows = tx.execute(
        select(Quote, Preview, col(Account.name))
        .join(Preview, col(Preview.id) == col(Quote.preview_id))
        .join(Account, col(Account.id) == col(Quote.account_id))
        .where(col(Quote.state) == QuoteState.REQUESTED)
        .order_by(col(Quote.created_at))
        .limit(_MOST)
    )
    return [
        (
            quote.created_at, "quote", f"{name} asks for a quote",
            f"{Money(preview.net_minor, preview.currency)} before tax. {_first_reason(quote.reasons)}",
            f"/console/quotes/{quote.id}",
        )
        for quote, preview, name in rows
    ]  # fmt: skip


def _held(tx: Session) -> list[Waiting]:
    rows = tx.execute(
        select(Order, col(Account.name))
        .join(Account, col(Account.id) == col(Order.account_id))
        .where(col(Order.state) == OrderState.HELD)
        .order_by(col(Order.created_at))
        .limit(_MOST)
    )
    return [
        (
            order.created_at, "held", f"An order of {name} is held", _first_reason(order.reasons),
            f"/console/orders/{order.id}",
        )
        for order, name in rows
    ]  # fmt: skip


def _payments(tx: Session) -> list[Waiting]:
    words = {
        "paid_twice": "It was paid a second time.",
        "wrong_amount": "It had another amount than the order.",
        "changed_meanwhile": "The subscription was changed before it was paid.",
    }
    return [
        (each.since, "payment", "A payment fits no open order", words[each.why], f"/console/orders/{each.order_id}")
        for each in unmatched.waiting(tx)[:_MOST]
    ]


def _parked(tx: Session) -> list[Waiting]:
    rows = tx.execute(
        select(Subscription, col(Account.name))
        .join(Account, col(Account.id) == col(Subscription.account_id))
        .where(col(Subscription.parked_at).is_not(None))
        .order_by(col(Subscription.parked_at))
        .limit(_MOST)
    )
    return [
        (
            held.parked_at or held.created_at, "parked", f"The billing run could not bill {name}",
            held.parked_reason or "", f"/console/subscriptions/{held.id}",
        )
        for held, name in rows
    ]  # fmt: skip


def _first_reason(reasons: list[dict[str, str]]) -> str:
    return reasons[0]["sentence"] if reasons else ""


def _failed_jobs(tx: Session) -> tuple[Task, ...]:
    """One task for all of them: they are looked at together. Their times are real, not business time."""
    count = job_watch.failed_count(tx)
    if not count:
        return ()
    newest = job_watch.failed(tx, 1)[0]
    return (
        Task(
            kind="job", title="1 job was given up" if count == 1 else f"{count} jobs were given up",
            detail=f"The last one is {newest.name}. {newest.error}", href="/console/jobs", late=True,
            waiting=waited(transport_now() - newest.failed_at),
        ),
    )  # fmt: skip


def _figures(standing: overview.Overview) -> tuple[Figure, ...]:
    recurring = [
        Figure(name=f"{each.currency} a year", value=str(each).rpartition(" ")[0], why="recurring, before tax")
        for each in standing.arr
    ]
    orders = standing.orders
    return (
        *recurring,
        Figure(name="Subscriptions", value=f"{standing.active_subscriptions:,}", why="running now",
               href="/console/subscriptions?state=active"),
        Figure(name="Accounts", value=f"{standing.accounts:,}", href="/console/accounts"),
        Figure(name="Orders completed", value=f"{orders[OrderState.COMPLETED]:,}", why="since the beginning",
               href="/console/orders?state=completed"),
        Figure(name="Orders unpaid", value=f"{orders[OrderState.AWAITING_PAYMENT]:,}", why="waiting for the buyer",
               href="/console/orders?state=awaiting_payment"),
    )  # fmt: skip


def by_month(tx: Session, today: date) -> tuple[Chart, ...]:
    """A chart for each currency in which something was invoiced in the last twelve months, this one included."""
    first = date(today.year, 1, 1) if today.month == 12 else date(today.year - 1, today.month + 1, 1)
    by_currency: dict[str, list[overview.MonthFigure]] = {}
    for each in overview.invoiced_by_month(tx, first, today):
        by_currency.setdefault(each.net.currency, []).append(each)
    return tuple(
        Chart(
            title=f"Invoiced by month, before tax, {currency}",
            bars=tuple(map(_bar, months)),
        )
        for currency, months in by_currency.items()
    )  # fmt: skip


def _bar(figure: overview.MonthFigure) -> Bar:
    return Bar(label=f"{figure.month:%b}", value=max(figure.net.minor, 0), text=short(figure.net))


def short(amount: Money) -> str:
    """Fits over a column: `940`, `12.3k`, `1.2m`, nothing for zero."""
    major = amount.major()
    if not amount.minor:
        return ""
    if abs(major) < 1000:
        return f"{major:.0f}"
    return f"{major / 1000:.1f}k" if abs(major) < 1_000_000 else f"{major / 1_000_000:.1f}m"
