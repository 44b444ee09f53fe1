"""Discounts: percent or a fixed amount, and how one of several lines is shared out (R-MON-2, R-MON-3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from app.core.errors import Invalid
from app.core.money import Money, round_half_away, total

DECIMALS: Final = 9  # of a percentage


@dataclass(frozen=True, slots=True)
class Discount:
    """Either `percent` (25 is 25 %) or `amount` off. Raises Invalid for both, neither, or more than everything."""

    percent: Decimal | None = None
    amount: Money | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount is None):
            raise Invalid("give either percent or amount", param="discount")
        if self.amount is not None and self.amount.minor < 0:
            raise Invalid("give at least 0", param="discount.amount")
        if self.percent is not None:
            if not self.percent.is_finite() or not 0 <= self.percent <= 100:
                raise Invalid("give a number from 0 to 100", param="discount.percent")
            places = self.percent.as_tuple().exponent
            if not isinstance(places, int) or places < -DECIMALS:
                raise Invalid(f"give at most {DECIMALS} decimals", param="discount.percent")

    def left_of(self, price: Money) -> Fraction:
        """What of a price for a whole period remains, exact; a fixed amount takes at most all of it.

        A negative price (a decrease) is lessened by percent and untouched by a fixed amount.
        """
        if self.percent is not None:
            return price.minor * (1 - Fraction(self.percent) / 100)
        given = self.amount or Money.zero(price.currency)
        return Fraction((price - Money(min(given.minor, max(price.minor, 0)), given.currency)).minor)

    def shares(self, lines: Sequence[Money], currency: str) -> list[Money]:
        """What each line of a document is given, by largest remainder (R-MON-3).

        The document's discount is what its total loses, rounded once; the parts sum to it and none exceeds its line.
        """
        whole = total(lines, currency)
        given = whole - Money(round_half_away(self.left_of(whole)), currency)
        if not given:
            return [Money.zero(currency) for _ in lines]
        return given.allocate([line.minor for line in lines])

    def to_json(self) -> dict[str, Any]:
        """As stored with a line: the percentage as text, the amount in minor units."""
        return {
            "percent": str(self.percent) if self.percent is not None else None,
            "amount_minor": self.amount.minor if self.amount is not None else None,
        }
