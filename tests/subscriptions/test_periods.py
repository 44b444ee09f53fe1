"""Periods: anchored, tiling, half-open (R-PRO-2)."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.subscriptions.periods import Period, on_anchor, periods, term

days = st.dates(date(2020, 1, 1), date(2032, 12, 31))


@given(days, st.sampled_from(["month", "year"]), st.integers(1, 60), st.integers(1, 31))
def test_periods_tile_without_gap_or_overlap(start: date, interval: str, count: int, anchor: int) -> None:
    made = list(periods(start, interval, count, anchor))
    assert len(made) == count
    assert made[0].start == start
    assert all(before.end == after.start for before, after in pairwise(made))
    assert all(period.days > 0 for period in made)


@given(days, st.sampled_from(["month", "year"]), st.integers(2, 60), st.integers(1, 31))
def test_every_later_boundary_is_the_anchor_day_or_the_last_of_the_month(
    start: date, interval: str, count: int, anchor: int
) -> None:
    for period in list(periods(start, interval, count, anchor))[1:]:
        assert period.start == on_anchor(period.start.year, period.start.month, anchor)
        assert period.start.day == anchor or (period.start + timedelta(days=1)).day == 1


@given(days, st.integers(1, 36))
def test_consecutive_terms_return_to_the_anchor(start: date, months: int) -> None:
    first = term(start, months)
    second = term(first.end, months, start.day)
    assert second.end == on_anchor(start.year, start.month + 2 * months, start.day)


@pytest.mark.parametrize(
    ("start", "interval", "ends"),
    [
        (date(2024, 1, 31), "month", [date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 30)]),
        (date(2023, 1, 31), "month", [date(2023, 2, 28), date(2023, 3, 31), date(2023, 4, 30)]),
        (date(2024, 2, 29), "year", [date(2025, 2, 28), date(2026, 2, 28), date(2027, 2, 28), date(2028, 2, 29)]),
        (date(2026, 12, 15), "month", [date(2027, 1, 15)]),
    ],
)
def test_worked_cases(start: date, interval: str, ends: list[date]) -> None:
    assert [period.end for period in periods(start, interval, len(ends))] == ends


def test_a_start_off_the_anchor_first_runs_to_it() -> None:
    made = list(periods(date(2026, 3, 10), "month", 3, anchor_day=15))
    assert made == [
        Period(date(2026, 3, 10), date(2026, 3, 15)),
        Period(date(2026, 3, 15), date(2026, 4, 15)),
        Period(date(2026, 4, 15), date(2026, 5, 15)),
    ]


def test_a_year_has_366_days_only_with_a_leap_day_inside() -> None:
    assert term(date(2011, 1, 17), 12).days == 365
    assert term(date(2012, 1, 17), 12).days == 366


@pytest.mark.parametrize(
    ("interval", "count", "anchor", "param"),
    [("week", 1, 1, "interval"), ("month", 0, 1, "count"), ("month", 1, 32, "anchor_day")],
)
def test_impossible_requests_name_what_is_wrong(interval: str, count: int, anchor: int, param: str) -> None:
    with pytest.raises(Invalid) as refused:
        list(periods(date(2026, 1, 1), interval, count, anchor))
    assert refused.value.param == param
