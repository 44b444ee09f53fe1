"""The only arithmetic on amounts.

Rules R-MON-1 to R-MON-4: whole minor units of one ISO 4217 currency, one rounding mode (half away from
zero), shares by largest remainder, and no sum across currencies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, Self

# ISO 4217 minor unit exponents that are not 2.
EXPONENTS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip


class CurrencyMismatch(TypeError):
    """Two currencies met in one sum: a bug in the caller, never an input error."""


def exponent(currency: str) -> int:
    """How many decimal places a currency has: 2 for USD, 0 for JPY, 3 for KWD."""
    return EXPONENTS.get(currency, 2)


def round_half_away(value: Fraction | Decimal) -> int:
    """The nearest whole number; a half goes away from zero, so that a credit mirrors its charge."""
    exact = Fraction(value)
    magnitude = (abs(exact.numerator) * 2 + exact.denominator) // (2 * exact.denominator)
    return magnitude if exact >= 0 else -magnitude


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """A whole number of minor units (cents, yen, fils) of one currency."""

    minor: int
    currency: str  # ISO 4217, upper case

    def __post_init__(self) -> None:
        if len(self.currency) != 3 or not self.currency.isalpha() or not self.currency.isupper():
            raise ValueError(f"{self.currency!r} is not an ISO 4217 code")
        if isinstance(self.minor, bool) or not isinstance(self.minor, int):
            raise TypeError(f"{self.minor!r} is not a whole number of minor units")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(0, currency)

    @classmethod
    def from_major(cls, text: str, currency: str) -> Self:
        """Read a decimal of major units. Raises ValueError where it has more places than the currency."""
        try:
            scaled = Decimal(text).scaleb(exponent(currency))
        except InvalidOperation as exc:
            raise ValueError(f"{text!r} is not an amount") from exc
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise ValueError(f"{text!r} has more decimal places than {currency} has")
        return cls(int(scaled), currency)

    def _same(self, other: "Money") -> None:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} met {other.currency}")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    def times(self, factor: int | Fraction | Decimal) -> "Money":
        """Multiply and round once (R-MON-2)."""
        return Money(round_half_away(self.minor * Fraction(factor)), self.currency)

    def percent(self, rate: Decimal) -> "Money":
        """`rate` percent of this amount, rounded once: `Money(1000, "EUR").percent(Decimal("19"))` is 190."""
        return self.times(Fraction(rate) / 100)

    def allocate(self, weights: Sequence[int]) -> list["Money"]:
        """Split into parts that sum exactly, by largest remainder; the first listed wins a tie (R-MON-3).

        Weights are non-negative and not all zero, else ValueError.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise ValueError("weights must be non-negative and not all zero")
        sign = -1 if self.minor < 0 else 1
        amount = abs(self.minor)
        parts = [amount * weight // total for weight in weights]
        remainders = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
        for i in remainders[: amount - sum(parts)]:
            parts[i] += 1
        return [Money(sign * part, self.currency) for part in parts]

    def major(self) -> Decimal:
        """For people and spreadsheets: `Money(1999, "USD")` is 19.99; `Money(1000, "JPY")` is 1000."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        return f"{self.major():,.{exponent(self.currency)}f} {self.currency}"


def total(amounts: Sequence[Money], currency: str) -> Money:
    """The sum, zero of `currency` for an empty sequence. Raises CurrencyMismatch on any other currency."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result
