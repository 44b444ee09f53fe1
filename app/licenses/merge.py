"""Many licenses of one account as one: what they give together at every instant, and why (R-LIC-3).

Pure. Seats of different licenses add up, the highest tier wins, a flag holds if one license gives it, of a limit the
largest counts; production and everything else never add up. A license that lapses takes away what it gave and nothing
more, so the whole never ends with one of its parts.

Licenses of one subscription stand in for one another (a renewal, a bridge, the same term with more seats): they are one
chain, of which the best counts once. That makes the merge indifferent to order and repetition, and monotone: without a
part nothing can be more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import Final

from app.licenses.formats.claims import LIMITS
from app.licenses.formats.linter import TIERS
from app.licenses.models import LicenseEnvironment

SEATS: Final = "users"
TIER: Final = "tier"

Value = int | str | bool


class Rule(StrEnum):
    """How the values of several licenses become one."""

    SUM = "sum"  # of seats, over the chains
    HIGHEST = "highest"  # of tiers
    UNION = "union"  # of flags
    LARGEST = "largest"  # of limits; where the product reads 0 as no limit, 0 is the largest


@dataclass(frozen=True, slots=True)
class Part:
    """One license as the merge sees it.

    `chain` names what it stands in for (its subscription). `flags` are booleans, `limits` whole numbers. It counts in
    `[starts_at, until)`: to its end and through `grace_days` of 24 hours, in which the product still runs it, but no
    longer than `stopped_at`, when another took its place or it was revoked. While it is `suspended`, in each
    `[from, until)`, None without end, it gives nothing. `hosted` is for a workspace of the vendor, which gets its
    license by itself.
    """

    id: str
    chain: str
    environment: LicenseEnvironment
    plan: str
    tier: str
    seats: int
    starts_at: datetime
    expires_at: datetime
    flags: Mapping[str, bool]
    limits: Mapping[str, int]
    grace_days: int = 0
    label: str = ""
    server: str = ""
    stopped_at: datetime | None = None
    suspended: tuple[tuple[datetime, datetime | None], ...] = ()
    hosted: bool = False

    @property
    def until(self) -> datetime:
        """When it gives nothing any more."""
        end = self.expires_at + timedelta(days=self.grace_days)
        return end if self.stopped_at is None else min(end, self.stopped_at)

    def counts(self, instant: datetime) -> bool:
        if not self.starts_at <= instant < self.until:
            return False
        return not any(since <= instant and (until is None or instant < until) for since, until in self.suspended)

    def turns(self) -> set[datetime]:
        """The instants at which what it gives may become different."""
        own = {self.starts_at, self.expires_at, self.until}
        own |= {instant for pause in self.suspended for instant in pause if instant is not None}
        return {instant for instant in own if instant <= self.until}

    def in_grace(self, instant: datetime) -> bool:
        return self.counts(instant) and instant >= self.expires_at

    def values(self) -> dict[str, Value]:
        """What it gives by name. A flag that is off is nothing given."""
        flags = {name: True for name, on in self.flags.items() if on}
        return {**flags, **self.limits, TIER: self.tier, SEATS: self.seats}


@dataclass(frozen=True, slots=True)
class Share:
    """What one license brings to an entitlement; `counts` where the result rests on it."""

    part: str
    value: Value
    counts: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """One entitlement: its value, and the shares whose counting ones make it by the rule."""

    name: str
    rule: Rule
    value: Value
    shares: tuple[Share, ...]

    def recombined(self) -> Value:
        """The value made again from the shares that count: what an auditor would do with the explanation."""
        return _combine(self.name, self.rule, [share.value for share in self.shares if share.counts])


@dataclass(frozen=True, slots=True)
class Source:
    """A license that counts in an interval."""

    part: Part
    in_grace: bool


@dataclass(frozen=True, slots=True)
class Interval:
    """The same result for every instant of `[starts_at, ends_at)`; None is without beginning or end."""

    starts_at: datetime | None
    ends_at: datetime | None
    entitlements: tuple[Merged, ...]
    sources: tuple[Source, ...]

    @property
    def values(self) -> dict[str, Value]:
        return {each.name: each.value for each in self.entitlements}

    @property
    def seats(self) -> int:
        return int(self.values.get(SEATS, 0))


Timeline = tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """An entitlement before and after an instant; None is not held."""

    name: str
    before: Value | None
    after: Value | None

    @property
    def lower(self) -> bool:
        return self.before is not None and (
            self.after is None or _rank(self.name, self.after) < _rank(self.name, self.before)
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes different at `at`, and which licenses end or begin to count then."""

    at: datetime
    differences: tuple[Difference, ...]
    ended: tuple[Part, ...]
    began: tuple[Part, ...]
    seats_before: int
    seats_after: int

    @property
    def drop(self) -> bool:
        """Whether anything is less than before."""
        return any(each.lower for each in self.differences)


def merge(parts: Iterable[Part], environment: LicenseEnvironment) -> Timeline:
    """What the licenses of one environment give together, as intervals over all time: gapless, in order, each as long
    as its result and its sources stay the same.
    """
    known = {part.id: part for part in parts if part.environment is environment}
    ours = [part for _, part in sorted(known.items()) if part.starts_at < part.until]
    edges: list[datetime | None] = [None, *sorted(set().union(*(part.turns() for part in ours))), None]
    found: list[Interval] = []
    for starts_at, ends_at in pairwise(edges):
        counting = [part for part in ours if starts_at is not None and part.counts(starts_at)]
        sources = tuple(Source(part, starts_at is not None and part.in_grace(starts_at)) for part in counting)
        if found and found[-1].sources == sources:
            found[-1] = replace(found[-1], ends_at=ends_at)
        else:
            found.append(Interval(starts_at, ends_at, combine(counting), sources))
    return tuple(found)


def combine(counting: Sequence[Part]) -> tuple[Merged, ...]:
    """What these licenses give together, by name; the seats and the tier first."""
    given: dict[str, list[tuple[Part, Value]]] = {}
    for part in sorted(counting, key=lambda each: each.id):
        for name, value in part.values().items():
            given.setdefault(name, []).append((part, value))
    first = {SEATS: 0, TIER: 1}
    return tuple(_merged(name, given[name]) for name in sorted(given, key=lambda name: (first.get(name, 2), name)))


def at(timeline: Timeline, instant: datetime) -> Interval:
    """The interval in which an instant lies."""
    return next(each for each in timeline if each.ends_at is None or instant < each.ends_at)


def changes(timeline: Timeline) -> list[Change]:
    """Where the values become different, in order; the step into grace is none."""
    found = []
    for before, after in pairwise(timeline):
        names = [*after.values, *(name for name in before.values if name not in after.values)]
        differences = tuple(
            Difference(name, before.values.get(name), after.values.get(name))
            for name in names
            if before.values.get(name) != after.values.get(name)
        )
        if differences and after.starts_at is not None:
            was, comes = [each.part for each in before.sources], [each.part for each in after.sources]
            found.append(Change(
                at=after.starts_at, differences=differences, ended=tuple(each for each in was if each not in comes),
                began=tuple(each for each in comes if each not in was), seats_before=before.seats,
                seats_after=after.seats,
            ))  # fmt: skip
    return found


def drops(timeline: Timeline) -> list[Change]:
    """The changes that lower something: "on 1 March you drop to 80 seats"."""
    return [each for each in changes(timeline) if each.drop]


def _merged(name: str, given: Sequence[tuple[Part, Value]]) -> Merged:
    """Each chain gives its best; over the chains seats add up, and of all else the best is taken."""
    rule = _rule(name, [value for _, value in given])
    best: dict[str, tuple[Part, Value]] = {}
    for part, value in given:
        held = best.get(part.chain)
        if held is None or _rank(name, value) > _rank(name, held[1]):
            best[part.chain] = (part, value)
    value = _combine(name, rule, [value for _, value in best.values()])
    chosen = {part.id for part, given_value in best.values() if rule is Rule.SUM or given_value == value}
    return Merged(name, rule, value, tuple(Share(part.id, each, part.id in chosen) for part, each in given))


def _rule(name: str, values: Sequence[Value]) -> Rule:
    if name == SEATS:
        return Rule.SUM
    if name == TIER:
        return Rule.HIGHEST
    return Rule.UNION if all(isinstance(value, bool) for value in values) else Rule.LARGEST


def _combine(name: str, rule: Rule, values: Sequence[Value]) -> Value:
    if rule is Rule.SUM:
        return sum(int(value) for value in values)
    return max(values, key=lambda value: _rank(name, value))


def _rank(name: str, value: Value) -> tuple[float, str]:
    """The order of an entitlement's values; of tiers that rank alike the name decides, so that one is always first."""
    if isinstance(value, str):
        return (TIERS.get(value, 0), value)
    return (inf if name in LIMITS and not value else float(value), "")
