"""Terms and periods: half-open stretches of local dates around an anchor day (R-PRO-2).

The anchor is kept apart from the current date, so a term that began on the 31st returns to the 31st
after passing through February, and one from 29 February returns to it in leap years.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date

from app.core.errors import Invalid

MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """The days `[start, end)`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days


def on_anchor(year: int, month: int, anchor_day: int) -> date:
    """The anchor day of a month, or its last day where the month is shorter; `month` may run past 12.

    Raises Invalid for a year the calendar does not reach.
    """
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if year > MAXYEAR:
        raise Invalid(f"Stay within the year {MAXYEAR}.", param="start")
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))


def months_after(start: date, months: int, anchor_day: int) -> date:
    """The boundary `months` after the month of `start`, on the anchor day."""
    return on_anchor(start.year, start.month + months, anchor_day)


def term(start: date, months: int, anchor_day: int | None = None) -> Period:
    """A term of whole months from `start`; without an anchor its day is the start's own."""
    if months < 1:
        raise Invalid("A term has at least one month.", param="term_months")
    return Period(start, months_after(start, months, anchor_day or start.day))


def periods(start: date, interval: str, count: int, anchor_day: int | None = None) -> Iterator[Period]:
    """`count` periods of one interval (`month` or `year`) each.

    Where `start` is off the anchor, the first period runs to the next anchor date and counts; for years the
    anchor month is the start's. Raises Invalid for an unknown interval or an impossible count or day.
    """
    if interval not in MONTHS:
        raise Invalid("The interval is month or year.", param="interval")
    if not 1 <= count <= 1200:
        raise Invalid("Ask for 1 to 1200 periods.", param="count")
    anchor = start.day if anchor_day is None else anchor_day
    if not 1 <= anchor <= 31:
        raise Invalid("The anchor is a day of the month, 1 to 31.", param="anchor_day")
    step, current = MONTHS[interval], start
    # The boundary of the start's own month, if still ahead, ends the first, shorter period.
    offset = 0 if on_anchor(start.year, start.month, anchor) > start else step
    for index in range(count):
        following = months_after(start, offset + index * step, anchor)
        yield Period(current, following)
        current = following
