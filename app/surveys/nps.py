"""The score and how far to trust it (R-NPS-3). Pure.

NPS = 100 x (promoters - detractors) / n, from -100 to 100. Each answer counts as +1, 0 or -1, whose variance
is p + d - (p - d)², so the standard error is 100 x √((p + d - (p - d)²) / n) and the 95 % margin 1.96 times
that. With 60 % promoters and 10 % detractors the margin is 42 at n = 10, 13 at n = 100 and 4 at n = 1,000.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import Final

# A two-sided 95 % interval of the normal distribution.
_Z: Final = Fraction(196, 100)
# A cell with fewer answers is not shown: it says more about persons than about the segment.
FEWEST_IN_SEGMENT: Final = 5
# With fewer answers the interval covers half the scale; the figure is shown in grey, the bars beside it.
FEWEST_TO_TRUST: Final = 10


class Band(StrEnum):
    PROMOTER = "promoter"
    PASSIVE = "passive"
    DETRACTOR = "detractor"


def band(score: int) -> Band:
    """9 and 10 promote, 0 to 6 detract. Raises ValueError for anything that is not a score."""
    if not 0 <= score <= 10:
        raise ValueError(f"a score is 0 to 10, not {score}")
    if score >= 9:
        return Band.PROMOTER
    return Band.PASSIVE if score >= 7 else Band.DETRACTOR


def _rounded(value: Fraction) -> Decimal:
    """To one decimal, half away from zero."""
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _root(value: Fraction) -> Fraction:
    with localcontext(prec=40):
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends in points, inside -100 to 100."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """How many answered in each band, and what follows from it. Figures are points with one decimal."""

    promoters: int
    passives: int
    detractors: int

    @property
    def n(self) -> int:
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> Decimal | None:
        return _rounded(self._exact()) if self.n else None

    @property
    def margin(self) -> Decimal | None:
        """Half the width of the 95 % interval before it is cut off at the ends of the scale."""
        return _rounded(_Z * _root(self._variance())) if self.n else None

    @property
    def interval(self) -> Interval | None:
        if not self.n:
            return None
        half = _Z * _root(self._variance())
        low, high = self._exact() - half, self._exact() + half
        return Interval(_rounded(max(low, Fraction(-100))), _rounded(min(high, Fraction(100))))

    @property
    def trustworthy(self) -> bool:
        return self.n >= FEWEST_TO_TRUST

    def _exact(self) -> Fraction:
        return Fraction(100 * (self.promoters - self.detractors), self.n)

    def _variance(self) -> Fraction:
        """Of the score, in points squared."""
        p, d = Fraction(self.promoters, self.n), Fraction(self.detractors, self.n)
        return 10_000 * (p + d - (p - d) ** 2) / self.n


def standing(answers: Mapping[int, int]) -> Standing:
    """From how often each score was given."""
    counts = dict.fromkeys(Band, 0)
    for score, times in answers.items():
        counts[band(score)] += times
    return Standing(counts[Band.PROMOTER], counts[Band.PASSIVE], counts[Band.DETRACTOR])


class Change(StrEnum):
    UP = "up"
    DOWN = "down"
    NOT_SURE = "not_sure"


def change(before: Standing, after: Standing) -> Change:
    """Whether the score moved by more than chance (two samples, 95 %); too few answers never say so."""
    if not (before.trustworthy and after.trustworthy):
        return Change.NOT_SURE
    moved = after._exact() - before._exact()  # noqa: SLF001 -- the same type; rounding first would shift the verdict
    noise = _Z * _root(after._variance() + before._variance())  # noqa: SLF001 -- the same
    if abs(moved) <= noise:
        return Change.NOT_SURE
    return Change.UP if moved > 0 else Change.DOWN


def response_rate(answered: int, invited: int) -> Decimal | None:
    """Percent with one decimal; suppressed invitations count as invited, so that leaving people out cannot lift it."""
    return _rounded(Fraction(100 * answered, invited)) if invited else None
