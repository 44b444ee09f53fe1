"""How many used a subscription against the seats it had, report by report: rows and plot for portal and console."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.core.db import Tx
from app.licenses import usage
from app.licenses.models import License
from app.licenses.usage_models import ReportedBy, UsageReport
from app.web import pages
from app.web.charts import on_scale

_ENGLISH: Final = pages.English()
_WIDEST: Final = 0.12  # of the drawing's width, so that one report is no wall
_FILLED: Final = 0.7  # of a report's stretch
_HIGHEST: Final = 0.8  # a fifth stays free above bar and line for the figure


@dataclass(frozen=True, kw_only=True)
class UsageBar:
    """A report in the plot, in percent of it: the bar, its figure, the seats at `seats_y` from `from_x` to `to_x`."""

    x: str
    width: str
    y: str
    height: str
    label: str
    label_x: str
    label_y: str
    from_x: str
    to_x: str
    seats_y: str


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """A report: `first` and `last` are its days, both included; `seats` is what the license had that it is about."""

    first: date
    last: date
    server: str
    people: int
    seats: int
    by: str

    @property
    def over(self) -> int:
        return max(self.people - self.seats, 0)


@dataclass(frozen=True, kw_only=True)
class UsageShown:
    """`rows` newest first, `bars` oldest first. Without `rows` nothing was reported."""

    rows: tuple[UsageRow, ...] = ()
    bars: tuple[UsageBar, ...] = ()


def of_subscription(tx: Tx, subscription_id: str) -> UsageShown:
    """The newest reports of a subscription."""
    reports = usage.history(tx, subscription_id)
    about = select(License).where(col(License.id).in_({each.license_id for each in reports}))
    seats = {each.id: each.seats for each in tx.execute(about).scalars()}
    rows = tuple(_row(each, seats[each.license_id]) for each in reports)
    return UsageShown(rows=rows, bars=bars(rows[::-1]))


def _row(report: UsageReport, seats: int) -> UsageRow:
    by = {ReportedBy.PRODUCT: "The product", ReportedBy.FILE: "The product, carried here"}
    return UsageRow(
        first=report.period_from, last=report.period_to - timedelta(days=1), server=report.server_id,
        people=report.active_users, seats=seats, by=by.get(report.source, report.attested_by),
    )  # fmt: skip


def bars(rows: Sequence[UsageRow]) -> tuple[UsageBar, ...]:
    """The rows, oldest first, as a plot."""
    top = max((max(each.people, each.seats) for each in rows), default=0) or 1
    stretch = min(1 / len(rows), _WIDEST) if rows else 0
    drawn = []
    for place, each in enumerate(rows):
        start, high, bought = place * stretch, _HIGHEST * each.people / top, _HIGHEST * each.seats / top
        drawn.append(UsageBar(
            x=on_scale(start + stretch * (1 - _FILLED) / 2, 0, 1), width=on_scale(stretch * _FILLED, 0, 1),
            y=on_scale(1 - high, 0, 1), height=on_scale(high, 0, 1), label=_ENGLISH.number(each.people),
            label_x=on_scale(start + stretch / 2, 0, 1), label_y=on_scale(0.96 - max(high, bought), 0, 1),
            from_x=on_scale(start, 0, 1), to_x=on_scale(start + stretch, 0, 1),
            seats_y=on_scale(1 - bought, 0, 1),
        ))  # fmt: skip
    return tuple(drawn)
