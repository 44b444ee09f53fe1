"""The calendar sweep: eight years, twenty time zones, every anchor day, monthly and yearly (R-PRO-2)."""

import sys
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise, product

import pytest

from app.core.clock import local_date, start_of
from app.subscriptions.periods import on_anchor, periods
from tests.world import full

Tell = Callable[[str], None]
# Both ends of the world, half and quarter hours, and places whose clocks change at midnight.
ZONES = """Africa/Cairo America/Asuncion America/Bogota America/Havana America/Los_Angeles America/New_York
America/Sao_Paulo America/St_Johns Asia/Beirut Asia/Kathmandu Asia/Kolkata Asia/Tokyo Australia/Lord_Howe
Australia/Sydney Europe/Berlin Europe/London Pacific/Apia Pacific/Chatham Pacific/Kiritimati
Pacific/Pago_Pago""".split()
YEARS = range(2020, 2028)
CASES = list(product(YEARS, ZONES, range(1, 32), ("month", "year")))


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Says past pytest's capture how much was looked at, and how much a full run looks at."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {line}\n")

    return say


def test_periods_have_neither_gap_nor_overlap_and_anchors_come_back_everywhere(tell: Tell) -> None:
    wanted = full(len(CASES))
    chosen = [CASES[i * (len(CASES) - 1) // (wanted - 1)] for i in range(wanted)]
    looked_at = 0
    for year, zone, anchor, interval in chosen:
        # Yearly from February, so that anchors of the 29th meet their leap years.
        start = on_anchor(year, 1 if interval == "month" else 2, anchor)
        made = list(periods(start, interval, 24 if interval == "month" else 9, anchor))
        assert all(before.end == after.start for before, after in pairwise(made))
        for period in made:
            assert period.end == on_anchor(period.end.year, period.end.month, anchor)
            assert period.end.day == anchor or (period.end + timedelta(days=1)).day == 1
            _begins_once(period.end, zone)
        assert any(period.end.day == anchor for period in made[:6]) or (anchor > 28 and interval == "year")
        looked_at += len(made)
    tell(f"{len(chosen):,} of {len(CASES):,} calendars, {looked_at:,} periods: no gap, no overlap, every anchor kept")


def _begins_once(day: date, zone: str) -> None:
    """A period ends where its last local day does, whatever the clocks do that night."""
    boundary = start_of(day, zone)
    assert local_date(boundary, zone) == day
    assert local_date(boundary - timedelta(microseconds=1), zone) == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "interval", "days"),
    [
        (date(2024, 2, 29), "year", [28, 28, 28, 29, 28]),
        (date(2023, 12, 31), "month", [31, 29, 31, 30, 31, 30, 31, 31]),
        (date(2025, 1, 30), "month", [28, 30, 30, 30]),
    ],
)
def test_an_anchor_passes_through_short_months_and_returns(start: date, interval: str, days: list[int]) -> None:
    assert [period.end.day for period in periods(start, interval, len(days))] == days
