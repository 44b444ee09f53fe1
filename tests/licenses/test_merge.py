"""Many licenses as one: sums, the highest, the union, over time, and an explanation that adds up (R-LIC-3)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.licenses import merge
from app.licenses.formats.linter import TIERS
from app.licenses.merge import Part, Timeline
from app.licenses.models import LicenseEnvironment
from tests.world import full

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTION, OTHER = LicenseEnvironment.PRODUCTION, LicenseEnvironment.NON_PRODUCTION
SWEEP = settings(max_examples=full(3000), deadline=None, database=None)


def part(name: str, seats: int = 10, days: tuple[int, int] = (0, 100), **changes: Any) -> Part:
    given: dict[str, Any] = {
        "id": name, "chain": f"of {name}", "environment": PRODUCTION, "plan": "Professional", "tier": "professional",
        "seats": seats, "starts_at": day(days[0]), "expires_at": day(days[1]), "flags": {}, "limits": {},
    }  # fmt: skip
    return Part(**(given | changes))


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def together(*parts: Part) -> Timeline:
    return merge.merge(parts, PRODUCTION)


def test_seats_add_up_tiers_take_the_highest_flags_unite_and_of_limits_the_largest_counts() -> None:
    found = merge.at(together(
        part("a", 100, flags={"ldap": True, "saml": False}, limits={"storage": 5, "post_history": 100}),
        part("b", 20, tier="enterprise", flags={"saml": True}, limits={"storage": 9, "post_history": 0}),
    ), day(1))  # fmt: skip
    # Where the product reads 0 as no limit, nothing is larger.
    assert found.values == {
        "users": 120, "tier": "enterprise", "ldap": True, "saml": True, "storage": 9, "post_history": 0
    }  # fmt: skip
    seats, tier = found.entitlements[:2]
    assert [(share.part, share.value, share.counts) for share in seats.shares] == [("a", 100, True), ("b", 20, True)]
    assert [(share.part, share.counts) for share in tier.shares] == [("a", False), ("b", True)]


def test_production_and_everything_else_never_add_up() -> None:
    parts = [part("a", 100), part("staging", 30, environment=OTHER)]
    assert merge.at(merge.merge(parts, PRODUCTION), day(1)).seats == 100
    assert merge.at(merge.merge(parts, OTHER), day(1)).seats == 30


def test_a_lapsed_part_lowers_and_never_kills() -> None:
    found = together(part("base", 80), part("pack", 20, (0, 59), tier="enterprise", flags={"saml": True}))
    [drop, end] = merge.drops(found)
    assert (drop.at, drop.seats_before, drop.seats_after, [each.id for each in drop.ended]) == (
        day(59), 100, 80, ["pack"]
    )  # fmt: skip
    assert {each.name: each.after for each in drop.differences} == {"users": 80, "tier": "professional", "saml": None}
    assert (merge.at(found, day(60)).seats, end.at, end.seats_after) == (80, day(100), 0)


def test_a_part_counts_through_its_grace_and_says_so() -> None:
    found = together(part("base", 80), part("pack", 20, (0, 59), grace_days=10))
    assert [merge.at(found, day(each)).seats for each in (58, 59, 68, 69)] == [100, 100, 100, 80]
    assert [source.in_grace for source in merge.at(found, day(60)).sources] == [False, True]
    assert [drop.at for drop in merge.drops(found)] == [day(69), day(100)]


def test_what_is_suspended_or_stopped_gives_nothing_meanwhile_and_gave_what_it_gave_before() -> None:
    paused = part("b", 20, suspended=((day(2), day(3)), (day(8), None)))
    found = together(part("a", 80), paused, part("c", 7, stopped_at=day(5)))
    assert [merge.at(found, day(each)).seats for each in (1, 2, 3, 4, 5, 7, 8, 90)] == [
        107, 87, 107, 107, 100, 100, 80, 80
    ]  # fmt: skip
    assert [each.at for each in merge.changes(found)] == [day(each) for each in (0, 2, 3, 5, 8, 100)]


def test_licenses_of_one_subscription_stand_in_for_one_another() -> None:
    bridge = part("bridge", 120, (10, 50), chain="one")
    found = together(part("paid", 100, chain="one"), bridge, part("other", 5))
    assert [merge.at(found, day(each)).seats for each in (5, 20, 60)] == [105, 125, 105]


def test_nothing_at_all_is_one_interval_without_end() -> None:
    [whole] = together()
    assert (whole.starts_at, whole.ends_at, whole.values) == (None, None, {})


NAMES = ("ldap", "saml", "cluster")
PAUSES = ((), (), (), ((day(-1), None),), ((day(10), day(25)),), ((day(5), day(5)), (day(20), None)))
PARTS = st.lists(
    st.builds(
        lambda number, chain, environment, tier, seats, start, length, flags, limits, grace, stop, suspended: part(
            f"lic_{number}", seats, (start, start + length), chain=chain, environment=environment, tier=tier,
            flags=flags, limits=limits, grace_days=grace, suspended=suspended,
            stopped_at=None if stop is None else day(stop),
        ),
        st.integers(0, 10_000), st.sampled_from("pqrs"), st.sampled_from((PRODUCTION, PRODUCTION, OTHER)),
        st.sampled_from([*TIERS, "E20"]), st.integers(1, 500), st.integers(0, 40), st.integers(1, 60),
        st.dictionaries(st.sampled_from(NAMES), st.booleans()),
        st.dictionaries(st.sampled_from(("storage", "post_history")), st.integers(0, 9)), st.integers(0, 12),
        st.none() | st.integers(0, 110), st.sampled_from(PAUSES),
    ),
    max_size=7, unique_by=lambda each: each.id,
)  # fmt: skip


def not_more(less: merge.Interval, more: merge.Interval) -> bool:
    """Whether each entitlement of `less` is at most what `more` gives."""
    names = {*less.values, *more.values}
    return not any(merge.Difference(name, less.values.get(name), more.values.get(name)).lower for name in names)


@SWEEP
@given(PARTS, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_the_result(parts: list[Part], chance: Any) -> None:
    found = together(*parts)
    shuffled = [*parts, *parts[:3]]
    chance.shuffle(shuffled)
    assert together(*shuffled) == found


@SWEEP
@given(PARTS)
def test_merging_what_is_merged_changes_nothing(parts: list[Part]) -> None:
    for interval in together(*parts):
        if interval.starts_at is None or not interval.sources:
            continue
        values = interval.values
        again = part(
            "merged", interval.seats, tier=str(values["tier"]), starts_at=interval.starts_at,
            flags={name: True for name, value in values.items() if value is True},
            limits={name: value for name, value in values.items()
                    if type(value) is int and name != merge.SEATS},
            expires_at=interval.ends_at or day(999),
        )  # fmt: skip
        once = merge.at(together(again), interval.starts_at)
        twin = merge.at(together(again, replace(again, id="copy")), interval.starts_at)
        assert once.values == twin.values == values


@SWEEP
@given(PARTS, st.integers(0, 6), st.integers(0, 100), st.integers(-1, 112), st.integers(-1, 112))
def test_taking_a_part_away_suspending_it_or_letting_it_lapse_only_lowers(
    parts: list[Part], which: int, lapses: int, asked: int, suspends: int
) -> None:
    whole = merge.at(together(*parts), day(asked))
    if not parts:
        return
    chosen = parts[which % len(parts)]
    others = [each for each in parts if each is not chosen]
    lapsed = replace(chosen, stopped_at=min(day(lapses), chosen.until))
    paused = (*chosen.suspended, (day(suspends), None))
    for lowered in (others, [*others, lapsed], [*others, replace(chosen, suspended=paused)]):
        assert not_more(merge.at(together(*lowered), day(asked)), whole)


@SWEEP
@given(PARTS)
def test_the_explanation_makes_the_result(parts: list[Part]) -> None:
    for interval in together(*parts):
        known = {source.part.id: source.part for source in interval.sources}
        for each in interval.entitlements:
            assert each.recombined() == each.value
            assert all(known[share.part].values()[each.name] == share.value for share in each.shares)
        counted = [share for each in interval.entitlements[:1] for share in each.shares if share.counts]
        assert sum(int(share.value) for share in counted) == interval.seats
        assert len({known[share.part].chain for share in counted}) == len(counted)


@SWEEP
@given(PARTS, st.lists(st.integers(-24, 24 * 115), min_size=1, max_size=12))
def test_intervals_are_gapless_and_say_what_a_direct_look_says(parts: list[Part], hours: list[int]) -> None:
    found = together(*parts)
    assert (found[0].starts_at, found[-1].ends_at) == (None, None)
    for before, after in pairwise(found):
        assert before.ends_at == after.starts_at
        assert before.sources != after.sources
    edges = [each.starts_at for each in found if each.starts_at is not None]
    assert edges == sorted(set(edges))
    for instant in [START + timedelta(hours=each) for each in hours] + edges:
        counting = [each for each in parts if each.environment is PRODUCTION and each.counts(instant)]
        assert merge.at(found, instant).entitlements == merge.combine(counting)
        seats: dict[str, int] = {}
        for each in counting:
            seats[each.chain] = max(seats.get(each.chain, 0), each.seats)
        assert merge.at(found, instant).seats == sum(seats.values())
