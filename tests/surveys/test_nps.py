from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.surveys.nps import Band, Change, Standing, band, change, response_rate, standing

answers = st.dictionaries(st.integers(0, 10), st.integers(0, 500)).filter(lambda each: sum(each.values()) > 0)


@pytest.mark.parametrize("score", range(11))
def test_nine_and_ten_promote_and_six_and_below_detract(score: int) -> None:
    assert band(score) is (Band.PROMOTER if score in {9, 10} else Band.PASSIVE if score in {7, 8} else Band.DETRACTOR)


@pytest.mark.parametrize("score", [-1, 11])
def test_what_is_not_on_the_scale_has_no_band(score: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        band(score)


# The table of the study: 60 % promoters, 30 % passives, 10 % detractors.
@pytest.mark.parametrize(("n", "margin"), [(10, 42), (30, 24), (50, 19), (100, 13), (200, 9), (500, 6), (1000, 4)])
def test_the_margin_shrinks_with_the_answers_as_published(n: int, margin: int) -> None:
    found = Standing(n * 6 // 10, n * 3 // 10, n // 10)
    assert found.n == n
    assert found.score == Decimal("50.0")
    assert found.margin is not None
    assert round(found.margin) == margin


def test_a_worked_case_to_the_decimal() -> None:
    # p = 4/7, d = 2/7: variance 10000 x (6/7 - 4/49) / 7, its root times 1.96 is 65.2; cut off at the top.
    found = standing({10: 3, 9: 1, 8: 1, 6: 1, 0: 1})
    assert (found.promoters, found.passives, found.detractors) == (4, 1, 2)
    assert (found.score, found.margin) == (Decimal("28.6"), Decimal("65.2"))
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (Decimal("-36.7"), Decimal("93.8"))


def test_without_answers_there_is_no_score() -> None:
    none = standing({})
    assert (none.n, none.score, none.margin, none.interval, none.trustworthy) == (0, None, None, None, False)


@given(answers)
def test_the_interval_holds_the_score_and_stays_on_the_scale(given_answers: dict[int, int]) -> None:
    found = standing(given_answers)
    assert found.score is not None
    assert found.margin is not None
    assert found.interval is not None
    assert Decimal(-100) <= found.interval.low <= found.score <= found.interval.high <= Decimal(100)
    assert found.n == sum(given_answers.values()) == found.promoters + found.passives + found.detractors
    assert found.trustworthy is (found.n >= 10)


@given(answers)
def test_turning_every_band_around_turns_the_score_around(given_answers: dict[int, int]) -> None:
    found = standing(given_answers)
    mirrored = Standing(found.detractors, found.passives, found.promoters)
    assert found.score is not None
    assert mirrored.score == -found.score
    assert mirrored.margin == found.margin


@given(answers, st.integers(2, 20))
def test_more_of_the_same_answers_keeps_the_score_and_narrows_the_margin(
    given_answers: dict[int, int], times: int
) -> None:
    few = standing(given_answers)
    many = standing({score: count * times for score, count in given_answers.items()})
    assert many.score == few.score
    assert few.margin is not None
    assert many.margin is not None
    assert many.margin <= few.margin
    # The margin falls with the root of n; both are rounded to a tenth.
    assert abs(Fraction(many.margin) ** 2 * times - Fraction(few.margin) ** 2) <= Fraction(few.margin + 1) * times


@given(answers)
def test_only_the_bands_count_and_not_the_scores_in_them(given_answers: dict[int, int]) -> None:
    same = {10: 0, 7: 0, 0: 0}
    for score, times in given_answers.items():
        same[10 if score >= 9 else 7 if score >= 7 else 0] += times
    assert standing(same) == standing(given_answers)


def test_a_move_within_chance_is_not_called_a_move() -> None:
    quarter = Standing(60, 30, 10)
    assert change(quarter, Standing(63, 29, 8)) is Change.NOT_SURE
    assert change(quarter, Standing(90, 8, 2)) is Change.UP
    assert change(Standing(90, 8, 2), quarter) is Change.DOWN
    assert change(Standing(0, 0, 9), Standing(9, 0, 0)) is Change.NOT_SURE, "nine answers are too few"


@given(answers, answers)
def test_a_move_up_is_a_move_down_seen_from_the_other_side(before: dict[int, int], after: dict[int, int]) -> None:
    turned = {Change.UP: Change.DOWN, Change.DOWN: Change.UP, Change.NOT_SURE: Change.NOT_SURE}
    assert change(standing(after), standing(before)) is turned[change(standing(before), standing(after))]


def test_the_response_rate_is_percent_with_one_decimal() -> None:
    assert response_rate(1, 3) == Decimal("33.3")
    assert response_rate(0, 8) == Decimal("0.0")
    assert response_rate(0, 0) is None
