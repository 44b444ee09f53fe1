"""A discount on one line (R-PRO, R-MON-2): in percent or as an amount, rounded once with its line."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Self

from app.core.errors import Invalid
from app.core.money import Money, round_half_away

WHOLE: Final = 10_000  # hundredths of a percent


@dataclass(frozen=True, slots=True)
class Discount:
    """Exactly one of `points` (hundredths of a percent, 1 to 10,000) and `minor` (minor units of the line)."""

    points: int | None = None
    minor: int | None = None

    def __post_init__(self) -> None:
        if (self.points is None) == (self.minor is None):
            raise ValueError("a discount is a percentage or an amount")

    @classmethod
    def percent(cls, text: str, *, param: str) -> Self | None:
        """Read `12.5`; None for nothing off. Raises Invalid."""
        try:
            points = Decimal(text) * 100
        except InvalidOperation:
            points = Decimal(-1)
        if not points.is_finite() or points != points.to_integral_value() or not 0 <= points <= WHOLE:
            raise Invalid("A percentage from 0 to 100 with at most two decimals, such as 12.5.", param=param)
        return cls(points=int(points)) if points else None

    @classmethod
    def amount(cls, text: str, currency: str, *, param: str) -> Self | None:
        """Read `250.00` in major units; None for nothing off. Raises Invalid."""
        try:
            off = Money.from_major(text, currency)
        except ValueError as exc:
            raise Invalid(f"An amount in {currency}, such as 250.00.", param=param) from exc
        if off.minor < 0:
            raise Invalid("A discount is not negative.", param=param)
        return cls(minor=off.minor) if off.minor else None

    def off(self, full: Money) -> Money:
        """What it takes off a line that costs `full`: the line is rounded, the discount is the difference."""
        if self.points is not None:
            left = round_half_away(Fraction(full.minor * (WHOLE - self.points), WHOLE))
            return Money(full.minor - left, full.currency)
        return Money(min(self.minor or 0, full.minor), full.currency)

    def to_json(self) -> dict[str, int]:
        return {"points": self.points} if self.points is not None else {"minor": self.minor or 0}

    @classmethod
    def from_json(cls, kept: dict[str, Any] | None) -> Self | None:
        return cls(**kept) if kept else None


def share(off: Money, full: Money) -> int:
    """A discount as hundredths of a percent of its line, rounded up: 15.001 % is more than 15 %."""
    return -(-off.minor * WHOLE // full.minor) if full.minor else 0
