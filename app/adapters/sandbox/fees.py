"""What the sandbox's provider keeps: made up, plausible, and the same each time.

A rule is a share of the charge and a fixed part in its currency. Nothing is kept for a refund, and nothing is given
back of the charge's own fee; a dispute costs a fee, which is given back if it is won.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from app.core.money import Money


@dataclass(frozen=True, slots=True)
class Rule:
    """`fixed` and `dispute` in minor units."""

    percent: Decimal
    fixed: int
    dispute: int


_RULES: Final = {
    "USD": Rule(Decimal("2.9"), 30, 1500), "EUR": Rule(Decimal("1.5"), 25, 2000),
    "GBP": Rule(Decimal("1.5"), 20, 2000), "CHF": Rule(Decimal("2.9"), 30, 2000),
    "JPY": Rule(Decimal("3.6"), 0, 1300),
}  # fmt: skip
_ELSEWHERE: Final = Rule(Decimal("2.9"), 30, 1500)
_STEP: Final = {"ISK": 100, "UGX": 100}  # counted times 100 although they have no decimals


def of_charge(amount: int, currency: str) -> int:
    """In the provider's units, as `amount` is, but whole ones of the currency; never more than the charge."""
    rule = _RULES.get(currency, _ELSEWHERE)
    fee = min(Money(amount, currency).percent(rule.percent).minor + rule.fixed, amount)
    return fee - fee % _STEP.get(currency, 1)


def of_dispute(currency: str) -> int:
    return _RULES.get(currency, _ELSEWHERE).dispute
