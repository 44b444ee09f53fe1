"""Money: exact, one rounding, parts that sum (R-MON)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.money import CurrencyMismatch, Money, round_half_away, total

amounts = st.integers(-(10**12), 10**12)


@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_parts_always_sum_to_the_whole(minor: int, weights: list[int]) -> None:
    whole = Money(minor, "EUR")
    assert total(whole.allocate(weights), "EUR") == whole


@given(amounts, st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_no_part_is_further_than_one_unit_from_its_exact_share(minor: int, weights: list[int]) -> None:
    for part, weight in zip(Money(minor, "EUR").allocate(weights), weights, strict=True):
        assert abs(Fraction(part.minor) - Fraction(minor * weight, sum(weights))) < 1


@given(amounts, st.fractions(max_denominator=10**6))
def test_a_credit_mirrors_its_charge(minor: int, factor: Fraction) -> None:
    assert Money(minor, "USD").times(factor) == -Money(-minor, "USD").times(factor)


@given(st.fractions())
def test_rounding_moves_by_at_most_half(value: Fraction) -> None:
    assert abs(value - round_half_away(value)) <= Fraction(1, 2)


def test_a_half_goes_away_from_zero() -> None:
    assert [round_half_away(Fraction(n, 2)) for n in (-3, -1, 1, 3, 5)] == [-2, -1, 1, 2, 3]


def test_a_line_is_rounded_once_and_not_per_seat() -> None:
    # 3 seats at 80.00 for 266 of 366 days: 174.43 by line, 174.42 by seat.
    assert Money(3 * 8000, "EUR").times(Fraction(266, 366)).minor == 17443


def test_currencies_never_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") + Money(1, "USD")


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1999, "USD", "19.99 USD"), (1000, "JPY", "1,000 JPY"), (5124, "KWD", "5.124 KWD"), (-5, "EUR", "-0.05 EUR")],
)
def test_amounts_show_the_places_their_currency_has(minor: int, currency: str, shown: str) -> None:
    assert str(Money(minor, currency)) == shown


def test_an_amount_with_too_many_places_is_refused() -> None:
    assert Money.from_major("12.90", "USD") == Money(1290, "USD")
    with pytest.raises(ValueError, match="decimal places"):
        Money.from_major("12.901", "USD")
    with pytest.raises(ValueError, match="not an amount"):
        Money.from_major("twelve", "USD")
