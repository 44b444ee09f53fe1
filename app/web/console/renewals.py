"""The renewal desk: what renews in which month, for how much, and at what risk."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.core import policy
from app.core.money import Money, total
from app.orders.routing import THRESHOLD
from app.reports import renewal_desk
from app.reports.renewal_desk import Renewal, Risk
from app.web.console import cells
from app.web.console.collecting_views import RenewalDeskView
from app.web.console.overview import short
from app.web.console.render import Reader, page
from app.web.console.views import Cell, Chart
from app.web.deps import Now, Tx
from app.web.views import Bar, Form, Option

router = APIRouter()
_MONTHS: Final = 12
_MOST: Final = 200
_WORDS: Final = {
    Risk.PARKED: "Parked: a person has to look", Risk.DECLINED: "Card declined", Risk.LAPSED: "Ended, in grace",
    Risk.NOT_RENEWING: "Not renewing", Risk.NO_CARD: "No saved card", Risk.RETIRED_PLAN: "Plan is retired",
    Risk.ABOVE_THRESHOLD: "Needs a quote", Risk.PRICE_RISE: "Price rises", Risk.DETRACTOR: "Unhappy in the survey",
}  # fmt: skip


@router.get("/console/renewals")
def desk(request: Request, tx: Tx, now: Now, who: Reader, month: str = "", risk: str = "") -> Response:
    """Everything that ends within twelve months; what ended before and is not over yet counts to this month."""
    months = _months(now.date())
    found = renewal_desk.read(tx, now, until=_next(months[-1]), thresholds=policy.get(tx, THRESHOLD, now))
    wanted = [each for each in found if _fits(each, months, month, risk)]
    view = RenewalDeskView(
        charts=_charts(wanted, months), columns=("Customer", "Plan", "Seats", "Ends", "State", "This term", "Risk"),
        rows=tuple(_row(each) for each in wanted[:_MOST]), totals=tuple(str(each) for each in _totals(wanted)),
        months=tuple(Option(value=f"{each:%Y-%m}", label=f"{each:%B %Y}") for each in months),
        risks=tuple(Option(value=str(each), label=words) for each, words in _WORDS.items()),
        form=Form(values={"month": month, "risk": risk}), further=max(0, len(wanted) - _MOST), as_of=now,
    )  # fmt: skip
    return page(request, tx, view, who)


def _months(today: date) -> list[date]:
    """The first days of this month and the eleven after it."""
    found = [today.replace(day=1)]
    while len(found) < _MONTHS:
        found.append(_next(found[-1]))
    return found


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _month_of(renewal: Renewal, months: Sequence[date]) -> date:
    return max(renewal.month, months[0])


def _fits(renewal: Renewal, months: Sequence[date], month: str, risk: str) -> bool:
    if month and f"{_month_of(renewal, months):%Y-%m}" != month:
        return False
    return not risk or risk in {str(each) for each in renewal.risks}


def _totals(renewals: Sequence[Renewal]) -> list[Money]:
    currencies = sorted({each.net.currency for each in renewals})
    return [total([each.net for each in renewals if each.net.currency == code], code) for code in currencies]


def _charts(renewals: Sequence[Renewal], months: Sequence[date]) -> tuple[Chart, ...]:
    charts = []
    for code in sorted({each.net.currency for each in renewals}):
        sums = dict.fromkeys(months, Money.zero(code))
        for each in renewals:
            if each.net.currency == code:
                sums[_month_of(each, months)] += each.net
        bars = tuple(Bar(label=f"{month:%b}", value=amount.minor, text=short(amount)) for month, amount in sums.items())
        charts.append(Chart(title=f"Up for renewal by month, before tax, {code}", bars=bars))
    return tuple(charts)


def _row(renewal: Renewal) -> cells.Row:
    held = renewal.subscription
    told = ", ".join(_WORDS[risk] for risk in renewal.risks)
    return (
        cells.named("subscriptions", held.id, renewal.company), Cell(text=renewal.plan),
        Cell(text=f"{renewal.seats:,}", number=True), Cell(day=held.ends_on), Cell(state=str(held.state)),
        Cell(text=str(renewal.net), number=True),
        Cell(text=told or "None known", note=held.not_renewing_reason or "",
             href=f"/console/quotes/{renewal.quote_id}" if renewal.quote_id else ""),
    )  # fmt: skip
