"""Proration: whole days of the real period, rounded once, replayable, credited as charged (R-PRO-3 to R-PRO-6)."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.discounts import Discount
from app.catalog.pricing import PriceKind, PriceModel
from app.core.errors import Invalid
from app.core.money import Money
from app.subscriptions.periods import Period, term
from app.subscriptions.proration import Share, charge, credit_for_rest, prorate, replay, share_of

YEAR = term(date(2027, 1, 1), 12)
starts = st.dates(date(2020, 1, 1), date(2032, 12, 31))
prices = st.integers(0, 10**9).map(lambda minor: Money(minor, "EUR"))
discounts = st.none() | st.decimals(0, 100, places=2).map(lambda percent: Discount(percent=percent)) | prices.map(
    lambda amount: Discount(amount=amount)
)  # fmt: skip


@st.composite
def changes(draw: st.DrawFn) -> tuple[Period, date]:
    period = term(draw(starts), draw(st.integers(1, 36)))
    return period, period.start + timedelta(days=draw(st.integers(0, period.days - 1)))


@given(changes(), prices, prices, discounts)
def test_a_stored_line_gives_its_amount_again(
    change: tuple[Period, date], old: Money, new: Money, discount: Discount | None
) -> None:
    period, day = change
    line = prorate(old, new, period, day, discount)
    share = Share(line.share.numerator, line.share.denominator, line.share.rule)
    assert replay(line.unit, share, discount) == line.amount
    assert line.amount + line.discount == replay(line.unit, share)
    assert line.share.denominator == period.days
    assert line.share.numerator == len([n for n in range(period.days) if period.start + timedelta(days=n) >= day])


@given(changes(), prices)
def test_what_was_used_and_the_credit_for_the_rest_make_up_the_charge(change: tuple[Period, date], paid: Money) -> None:
    period, day = change
    credit = credit_for_rest(paid, period, day)
    used = paid + credit.amount
    exact = paid.minor * Fraction((day - period.start).days, period.days)
    assert Money(0, "EUR") <= used <= paid
    assert abs(used.minor - exact) <= Fraction(1, 2)
    assert credit.amount == -charge(paid, share_of(period, day)).amount


@given(changes(), prices)
def test_a_change_on_the_first_day_charges_the_whole_period(change: tuple[Period, date], price: Money) -> None:
    period, _ = change
    assert prorate(Money.zero("EUR"), price, period, period.start).amount == price


@given(changes(), st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 200))
def test_the_line_is_rounded_and_not_the_seat(change: tuple[Period, date], unit: int, few: int, more: int) -> None:
    period, day = change
    model = PriceModel(PriceKind.PER_UNIT, "EUR", unit)
    line = prorate(model.amount(few), model.amount(few + more), period, day)
    assert abs(line.amount.minor - unit * more * line.share.part) <= Fraction(1, 2)


def test_three_seats_for_266_of_366_days() -> None:
    period = term(date(2012, 1, 2), 12)
    model = PriceModel(PriceKind.PER_UNIT, "USD", 8000)
    line = prorate(model.amount(5), model.amount(8), period, date(2012, 4, 11))
    assert (line.share.numerator, line.share.denominator, line.amount.minor) == (266, 366, 17_443)


def test_a_fixed_discount_shrinks_with_its_period_and_is_capped_at_the_line() -> None:
    half = share_of(Period(date(2026, 6, 1), date(2026, 7, 1)), date(2026, 6, 16))
    fifty = Discount(amount=Money(5_000, "EUR"))
    assert charge(Money(100_000, "EUR"), half, fifty).amount.minor == 47_500
    assert charge(Money(4_000, "EUR"), half, fifty).amount.minor == 0
    assert charge(Money(4_000, "EUR"), half, fifty).discount.minor == 2_000


def test_a_percentage_is_read_exactly() -> None:
    whole = share_of(YEAR)
    assert charge(Money(800, "USD"), whole, Discount(percent=Decimal("87.25"))).amount.minor == 102
    assert charge(Money(800, "USD"), whole, Discount(percent=Decimal("87.15"))).amount.minor == 103


@pytest.mark.parametrize("day", [date(2026, 12, 31), date(2028, 1, 1)])
def test_a_day_outside_the_period_is_refused(day: date) -> None:
    with pytest.raises(Invalid) as refused:
        share_of(YEAR, day)
    assert refused.value.param == "from"


@pytest.mark.parametrize(
    ("share", "field"),
    [
        (Share(1, 2, "by_the_moon"), "rule"),
        (Share(3, 2, "remaining_days"), "numerator"),
        (Share(-1, 2, "remaining_days"), "numerator"),
        (Share(0, 0, "full_period"), "numerator"),
    ],
)
def test_figures_no_line_can_have_are_not_replayed(share: Share, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        replay(Money(1, "EUR"), share)
    assert refused.value.param == field
