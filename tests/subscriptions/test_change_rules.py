"""What going from one quantity to another costs: worked cases, and what holds for every price and day."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.discounts import Discount
from app.catalog.pricing import PriceKind, PriceModel, Tier
from app.core.money import Money
from app.subscriptions.periods import Period
from app.subscriptions.proration import change, credit_for_rest, replay, share_of
from app.subscriptions.replay import Replayed
from app.subscriptions.scheduled import LineNext, Wish, with_wish

JUNE = Period(date(2025, 6, 1), date(2025, 7, 1))
TIERS = (Tier(10, 1000), Tier(None, 800))
GRADUATED = PriceModel(PriceKind.GRADUATED, "USD", tiers=TIERS)
VOLUME = PriceModel(PriceKind.VOLUME, "USD", tiers=TIERS)
WITH_BASE = PriceModel(PriceKind.PER_UNIT, "USD", 5000, base_minor=10_000)
BY_TEN = PriceModel(PriceKind.PACKAGE, "USD", 50_00, package_size=10)
FLAT = PriceModel(PriceKind.FLAT, "USD", 99_00)
MODELS = (GRADUATED, WITH_BASE, BY_TEN, FLAT, PriceModel(PriceKind.PER_UNIT, "USD", 1333))


@pytest.mark.parametrize(
    ("case", "model", "before", "after", "discount", "amount"),
    [
        ("25: seats 5 to 8 at 10.00, half left", PriceModel(PriceKind.PER_UNIT, "USD", 1000), 5, 8, None, 1500),
        ("29: base 100 and 50 a seat, 10 % off, 2 to 4, half left", WITH_BASE, 2, 4,
         Discount(percent=Decimal(10)), 4500),
        ("29: the same with a fixed 150 off, which is given once", WITH_BASE, 2, 4,
         Discount(amount=Money(15_000, "USD")), 5000),
        ("a fixed discount above the old price is used up by the new one", WITH_BASE, 1, 4,
         Discount(amount=Money(17_000, "USD")), 6500),
        ("28 as a change: 9 to 14 over a tier, graduated", GRADUATED, 9, 14, None, 2100),
        ("28 as a change: 9 to 14 by volume", VOLUME, 9, 14, None, 1100),
        ("within a started package nothing is owed", BY_TEN, 11, 20, None, 0),
        ("the next package is", BY_TEN, 20, 21, None, 2500),
        ("a flat fee covers any number", FLAT, 5, 500, None, 0),
    ],
)  # fmt: skip
def test_a_worked_change_comes_out_as_worked(
    case: str, model: PriceModel, before: int, after: int, discount: Discount | None, amount: int
) -> None:
    half = share_of(JUNE, date(2025, 6, 16))
    line = change(model.amount(before), model.amount(after), half, discount)
    assert line.amount.minor == amount, case
    if discount is None:
        again = Replayed(model, after - before, 1, half, before)
        assert again.amount == line.amount
        assert replay(again.whole, half) == line.amount
        assert sum((step.amount.minor for step in again.steps), 0) == again.price.minor


def test_a_cheaper_tier_gives_nothing_back() -> None:
    assert VOLUME.amount(11) < VOLUME.amount(10)
    assert Replayed(VOLUME, 1, 1, share_of(JUNE), 10).amount == Money(0, "USD")


DAYS = st.integers(0, 364)
YEAR = Period(date(2025, 3, 1), date(2026, 3, 1))


@given(
    model=st.sampled_from(MODELS), first=st.integers(1, 200), more=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    day=DAYS, percent=st.one_of(st.none(), st.integers(1, 99)), fixed=st.integers(0, 30_000),
)  # fmt: skip
def test_steps_on_one_day_cost_what_going_up_at_once_does(
    model: PriceModel, first: int, more: tuple[int, int], day: int, percent: int | None, fixed: int
) -> None:
    share = share_of(YEAR, YEAR.start + timedelta(days=day))
    discount = Discount(percent=Decimal(percent)) if percent else Discount(amount=Money(fixed, "USD"))
    low, middle, high = (model.amount(each) for each in (first, first + more[0], first + sum(more)))
    steps = [change(low, middle, share, discount), change(middle, high, share, discount)]
    at_once = change(low, high, share, discount)
    exact = [Fraction((discount.left_of(b) - discount.left_of(a)) * share.part)
             for a, b in ((low, middle), (middle, high))]  # fmt: skip
    # Before rounding it is the same; each line is rounded once, so two lines differ by a unit at most.
    assert sum(exact) == (discount.left_of(high) - discount.left_of(low)) * share.part
    assert abs(sum(line.amount.minor for line in steps) - at_once.amount.minor) <= 1
    assert all(0 <= line.amount.minor <= line.unit.minor for line in [*steps, at_once])
    assert all(line.discount.minor >= 0 for line in [*steps, at_once])


@given(charged=st.integers(0, 10**9), day=DAYS)
def test_the_credit_for_the_rest_and_what_was_used_make_up_the_charge(charged: int, day: int) -> None:
    whole = Money(charged, "USD")
    credit = credit_for_rest(whole, YEAR, YEAR.start + timedelta(days=day))
    assert 0 <= -credit.amount.minor <= charged
    if day == 0:
        assert credit.amount == -whole


@pytest.mark.parametrize(
    ("wish", "plan", "expected"),
    [
        (Wish(seats=12), None, [("pro", 12), ("support", 12), ("few", 3)]),
        (Wish(plan_id="pln"), "basic", [("basic", 20), ("support", 20), ("few", 3)]),
        (Wish(dropped=("support",)), None, [("pro", 20), ("few", 3)]),
        (Wish(seats=30), None, [("pro", 20), ("support", 20), ("few", 3)]),
    ],
)
def test_the_next_term_is_what_is_held_less_what_was_wished(
    wish: Wish, plan: str | None, expected: list[tuple[str, int]]
) -> None:
    held = [LineNext("pro", 20), LineNext("support", 20), LineNext("few", 3)]
    assert [(each.sku, each.quantity) for each in with_wish(held, wish, plan)] == expected
