"""The first page: what waits for a person, and how the business stands."""

from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.core.db import Tx as Session
from app.core.money import Money
from app.orders.models import OrderState
from app.reports import overview
from app.web.console.render import Reader, page
from app.web.console.tasks import tasks
from app.web.console.views import Chart, Figure, OverviewView
from app.web.deps import Wired
from app.web.views import Bar

router = APIRouter()


@router.get("/console")
def first_page(request: Request, ports: Wired, who: Reader) -> Response:
    now = ports.clock.now()
    standing = overview.read(ports.db)
    with ports.db.session() as tx:
        view = OverviewView(
            figures=_figures(standing), tasks=tasks(tx, now), as_of=now, charts=by_month(tx, now.date())
        )
        return page(request, tx, view, who)


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
