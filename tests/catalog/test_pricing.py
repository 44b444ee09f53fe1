"""Price models and discounts: exact, monotonic where their tiers are, summing to the minor unit (R-PRO-1, R-MON)."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.discounts import Discount
from app.catalog.pricing import PriceKind, PriceModel, Tier
from app.core.errors import Invalid
from app.core.money import Money, total

minors = st.integers(0, 10**7)
quantities = st.integers(0, 5_000)


@st.composite
def tiers(draw: st.DrawFn, *, flats: bool = True) -> tuple[Tier, ...]:
    ends = sorted(draw(st.sets(st.integers(1, 2_000), max_size=5)))
    fee = minors if flats else st.just(0)
    return tuple(Tier(end, draw(minors), draw(fee)) for end in [*ends, None])


def one_by_one(model: PriceModel, quantity: int) -> int:
    """The graduated price counted unit by unit, the slow way."""
    sum_ = 0
    entered: set[int | None] = set()
    for unit in range(1, quantity + 1):
        tier = next(each for each in model.tiers if each.up_to is None or unit <= each.up_to)
        sum_ += tier.unit_minor + (tier.flat_minor if tier.up_to not in entered else 0)
        entered.add(tier.up_to)
    return sum_


@given(tiers(), st.integers(0, 300))
def test_graduated_charges_each_unit_in_its_own_tier(given_tiers: tuple[Tier, ...], quantity: int) -> None:
    model = PriceModel(PriceKind.GRADUATED, "EUR", tiers=given_tiers)
    assert model.amount(quantity).minor == one_by_one(model, quantity)


@given(tiers(), quantities, quantities)
def test_graduated_never_falls_with_more_units(given_tiers: tuple[Tier, ...], few: int, more: int) -> None:
    model = PriceModel(PriceKind.GRADUATED, "EUR", tiers=given_tiers)
    assert model.amount(min(few, more)) <= model.amount(max(few, more))


@given(tiers(), quantities, quantities)
def test_volume_never_falls_where_its_tiers_do_not(given_tiers: tuple[Tier, ...], few: int, more: int) -> None:
    rising, unit, flat = [], 0, 0
    for tier in given_tiers:
        unit, flat = max(unit, tier.unit_minor), max(flat, tier.flat_minor)
        rising.append(Tier(tier.up_to, unit, flat))
    model = PriceModel(PriceKind.VOLUME, "EUR", tiers=tuple(rising))
    assert model.amount(min(few, more)) <= model.amount(max(few, more))


@given(tiers(), quantities)
def test_with_one_tier_volume_and_graduated_are_per_unit(given_tiers: tuple[Tier, ...], quantity: int) -> None:
    last = (Tier(None, given_tiers[-1].unit_minor),)
    plain = PriceModel(PriceKind.PER_UNIT, "EUR", given_tiers[-1].unit_minor)
    for kind in (PriceKind.GRADUATED, PriceKind.VOLUME):
        assert PriceModel(kind, "EUR", tiers=last).amount(quantity) == plain.amount(quantity)


@given(minors, st.integers(1, 100), quantities)
def test_a_package_begun_is_a_package_charged(unit: int, size: int, quantity: int) -> None:
    packages = PriceModel(PriceKind.PACKAGE, "EUR", unit, package_size=size).amount(quantity).minor
    begun = len({number // size for number in range(quantity)})
    assert packages == begun * unit


@given(minors, minors, quantities)
def test_a_fee_is_owed_whatever_the_quantity_and_a_base_is_added_to_any_model(
    base: int, unit: int, quantity: int
) -> None:
    assert PriceModel(PriceKind.FLAT, "EUR", unit, base_minor=base).amount(quantity).minor == base + unit
    assert PriceModel(PriceKind.PER_UNIT, "EUR", unit, base_minor=base).amount(quantity).minor == base + unit * quantity


@given(tiers(), quantities, st.sampled_from([PriceKind.GRADUATED, PriceKind.VOLUME]), minors)
def test_a_stored_model_prices_as_before(
    given_tiers: tuple[Tier, ...], quantity: int, kind: PriceKind, base: int
) -> None:
    model = PriceModel(kind, "JPY", tiers=given_tiers, base_minor=base)
    again = PriceModel.from_json(model.to_json())
    assert again == model
    assert again.amount(quantity) == total([step.amount for step in model.steps(quantity)], "JPY")


def test_no_units_enter_no_tier() -> None:
    for kind in (PriceKind.GRADUATED, PriceKind.VOLUME):
        assert not PriceModel(kind, "EUR", tiers=(Tier(10, 100, 5_000), Tier(None, 80))).amount(0)


@pytest.mark.parametrize(
    ("bounds", "field"),
    [
        ((), "tiers"),
        ((10,), "tiers[0].up_to"),
        ((10, 10, None), "tiers[1].up_to"),
        ((10, 5, None), "tiers[1].up_to"),
        ((None, None), "tiers[0].up_to"),
        ((0, None), "tiers[0].up_to"),
    ],
)
def test_tiers_that_leave_a_quantity_without_one_price_are_refused(bounds: tuple[int | None, ...], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        PriceModel(PriceKind.VOLUME, "EUR", tiers=tuple(Tier(bound, 1) for bound in bounds))
    assert refused.value.param == field


lines = st.lists(st.integers(0, 10**9), min_size=1, max_size=8)
percents = st.decimals(0, 100, places=3, allow_nan=False)


@given(lines, st.integers(0, 10**10))
def test_a_fixed_discount_is_split_exactly_and_takes_no_more_than_there_is(nets: list[int], off: int) -> None:
    amounts = [Money(net, "USD") for net in nets]
    parts = Discount(amount=Money(off, "USD")).shares(amounts, "USD")
    assert total(parts, "USD").minor == min(off, sum(nets))
    assert all(0 <= part.minor <= line.minor for part, line in zip(parts, amounts, strict=True))


@given(lines, percents)
def test_a_percentage_is_rounded_once_for_the_document_and_split_exactly(nets: list[int], percent: Decimal) -> None:
    amounts = [Money(net, "USD") for net in nets]
    parts = Discount(percent=percent).shares(amounts, "USD")
    left = sum(nets) - total(parts, "USD").minor
    assert abs(left - sum(nets) * (1 - Fraction(percent) / 100)) <= Fraction(1, 2)
    for part, net in zip(parts, nets, strict=True):
        assert abs(part.minor - net * Fraction(percent) / 100) < 2


def test_the_largest_remainder_gets_the_unit_that_is_left_over_and_the_first_wins_a_tie() -> None:
    parts = Discount(amount=Money(100, "EUR")).shares([Money(each, "EUR") for each in (1, 1, 1)], "EUR")
    assert [part.minor for part in parts] == [1, 1, 1]
    parts = Discount(amount=Money(10, "EUR")).shares([Money(each, "EUR") for each in (100, 100, 100)], "EUR")
    assert [part.minor for part in parts] == [4, 3, 3]


@pytest.mark.parametrize(
    ("percent", "amount", "field"),
    [
        (None, None, "discount"),
        (Decimal(10), Money(1, "EUR"), "discount"),
        (Decimal("100.01"), None, "discount.percent"),
        (Decimal("-0.1"), None, "discount.percent"),
        (Decimal("NaN"), None, "discount.percent"),
        (Decimal("1e-10"), None, "discount.percent"),
        (None, Money(-1, "EUR"), "discount.amount"),
    ],
)
def test_a_discount_that_is_none_names_the_field(percent: Decimal | None, amount: Money | None, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Discount(percent, amount)
    assert refused.value.param == field
