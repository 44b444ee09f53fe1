"""A part of a period: whole days of the real period, one rounding per line, replayable (R-PRO-3 to R-PRO-5).

The remaining days run from the change date, that day included, to the end of the prepaid stretch that was really
invoiced; the stretch is the denominator (ADR 0024).
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

from app.catalog.discounts import Discount
from app.core.errors import Invalid
from app.core.money import Money, round_half_away
from app.subscriptions.periods import Period

FULL_PERIOD: Final = "full_period"
REMAINING_DAYS: Final = "remaining_days"
RULES: Final = {
    FULL_PERIOD: "The whole period is charged.",
    REMAINING_DAYS: "The days from the change, that day included, to the end of the period, of the days of the period.",
}


@dataclass(frozen=True, slots=True)
class Share:
    """`numerator` of `denominator` days, not reduced, and the rule that counted them."""

    numerator: int
    denominator: int
    rule: str

    @property
    def part(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)


@dataclass(frozen=True, slots=True)
class ProratedLine:
    """What is stored with a line. `unit` is the price of the whole period; `amount` is after the discount.

    `discount` is the difference to the same line without one (R-MON-3): what was really given.
    """

    unit: Money
    share: Share
    discount: Money
    amount: Money


def share_of(period: Period, change_on: date | None = None) -> Share:
    """The whole period, or what remains of it from a day on. Raises Invalid for a day outside the period."""
    if period.days < 1:
        raise Invalid("give an end after the start", param="period.end")
    if change_on is None:
        return Share(period.days, period.days, FULL_PERIOD)
    if not period.start <= change_on < period.end:
        raise Invalid(f"give a day from {period.start} to the day before {period.end}", param="from")
    return Share((period.end - change_on).days, period.days, REMAINING_DAYS)


def charge(price: Money, share: Share, discount: Discount | None = None) -> ProratedLine:
    """One line: the price of the whole period, less its discount, for a share of it, rounded once (R-MON-2).

    The discount belongs to the whole period and shrinks with it: fifty off a year is twenty-five off half of it.
    """
    full = replay(price, share)
    amount = replay(price, share, discount)
    return ProratedLine(price, share, full - amount, amount)


def prorate(
    old: Money, new: Money, period: Period, change_on: date | None, discount: Discount | None = None
) -> ProratedLine:
    """The line for going from one price of a whole period to another on a day of it (R-PRO-3).

    `old` and `new` come from the price model's own function. A lower new price gives a negative line, which the
    caller may not charge: seats and plans go down at the next renewal only, without credit (R-PRO-6).
    """
    return charge(new - old, share_of(period, change_on), discount)


def change(old: Money, new: Money, share: Share, discount: Discount | None = None) -> ProratedLine:
    """The line for going from one discounted price of a whole period to another: `prorate` for a share.

    Both prices lose the discount, so that a fixed amount is given once, however many changes there are, and going up
    in steps costs what going up at once does. `unit` is the difference of the list prices.
    """
    unit = new - old
    left = Fraction(unit.minor) if discount is None else discount.left_of(new) - discount.left_of(old)
    full, amount = replay(unit, share), Money(round_half_away(left * share.part), unit.currency)
    return ProratedLine(unit, share, full - amount, amount)


def replay(unit: Money, share: Share, discount: Discount | None = None) -> Money:
    """The amount of a stored line again. Raises Invalid for a rule or figures that no line can have."""
    if share.rule not in RULES:
        raise Invalid(f"There is no rule {share.rule!r}.", param="rule")
    if not 0 <= share.numerator <= share.denominator or share.denominator == 0:
        raise Invalid("The days of a share lie between none and all of its period.", param="numerator")
    left = discount.left_of(unit) if discount is not None else Fraction(unit.minor)
    return Money(round_half_away(left * share.part), unit.currency)


def credit_for_rest(charged: Money, period: Period, change_on: date) -> ProratedLine:
    """What of a charge falls on the days from the change on, as a credit: a negative line (R-PRO-5).

    `charged` is what was really paid for the period, after discount. What was used is the charge plus this credit,
    so that the two make up the charge to the minor unit.
    """
    return charge(-charged, share_of(period, change_on))
