"""A stored line, computed again and written down as the equation it is (R-PRO-4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self

from app.catalog.pricing import PriceKind, PriceModel, Step
from app.core.money import Money
from app.subscriptions.proration import FULL_PERIOD, Share, replay

_TIMES: Final = "\u00a0× "  # a count and its price stay on one line


class PricedRow(Protocol):
    """A line of an order, an invoice or a subscription, as far as its price goes. Minor units."""

    quantity: int
    unit_minor: int
    pricing: dict[str, Any] | None
    intervals: int


def model_of(pricing: Mapping[str, Any] | None, unit: Money) -> PriceModel:
    """The price model a line was stored with; lines from before there were models had one unit price."""
    if pricing is None:
        return PriceModel(PriceKind.PER_UNIT, unit.currency, unit.minor)
    return PriceModel.from_json(pricing)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The amount before any discount, and everything it came from.

    With `before` it is what `quantity` more than that cost (R-PRO-3).
    """

    model: PriceModel
    quantity: int
    intervals: int
    share: Share
    before: int | None = None

    @classmethod
    def of(cls, row: PricedRow, currency: str, share: Share | None = None, before: int | None = None) -> Self:
        """Without a share the whole period is meant."""
        model = model_of(row.pricing, Money(row.unit_minor, currency))
        return cls(model, row.quantity, row.intervals, share or Share(1, 1, FULL_PERIOD), before)

    @classmethod
    def of_json(cls, line: Mapping[str, Any], currency: str) -> Self:
        """A line of a preview or an order, as it is stored."""
        model = model_of(line.get("pricing"), Money(line["unit_minor"], currency))
        change = line.get("change")
        if change is None:
            return cls(model, line["quantity"], line.get("intervals", 1), Share(1, 1, FULL_PERIOD))
        share = Share(change["numerator"], change["denominator"], change["rule"])
        return cls(model, line["quantity"], line.get("intervals", 1), share, change["before"])

    @property
    def one_price(self) -> bool:
        """Whether so many more cost so many times the unit price, whatever was held before."""
        return self.model.kind is PriceKind.PER_UNIT and (not self.model.base_minor or self.before is not None)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Of a change by tiers, packages or a fee: all that is held then, less all that was held before."""
        if self.before is None:
            return self.model.steps(self.quantity)
        if self.one_price:
            return tuple(step for step in self.model.steps(self.quantity) if step.what == "unit")
        return (
            *self.model.steps(self.before + self.quantity),
            *(replace(step, each=-step.each) for step in self.model.steps(self.before)),
        )

    @property
    def price(self) -> Money:
        """The price for one interval."""
        if self.before is None:
            return self.model.amount(self.quantity)
        more = self.model.amount(self.before + self.quantity) - self.model.amount(self.before)
        return more if more.minor > 0 else Money.zero(more.currency)  # a cheaper tier gives nothing back (R-PRO-6)

    @property
    def whole(self) -> Money:
        """The price of the whole period: of every interval it has."""
        return self.price.times(self.intervals)

    @property
    def amount(self) -> Money:
        return replay(self.whole, self.share)

    @property
    def plain(self) -> bool:
        """Whether quantity times one unit price is the whole story."""
        return self.one_price and self.intervals == 1 and self.share.part == 1

    def equation(self, write: Callable[[Money], str] = str, count: Callable[[int], str] = "{:,}".format) -> str:
        """`(10 × 10.00 USD + 4 × 8.00 USD) × 3 × 166/365`; `write` puts amounts into figures, `count` how many."""
        terms = [
            write(step.each) if step.what in _ONCE else f"{count(step.count)}{_TIMES}{write(step.each)}"
            for step in self.steps
        ] or [write(Money.zero(self.model.currency))]
        factors = [f"{self.intervals}"] if self.intervals != 1 else []
        if self.share.part != 1:
            factors.append(f"{self.share.numerator}/{self.share.denominator}")
        sum_ = " + ".join(terms)
        return _TIMES.join([f"({sum_})" if len(terms) > 1 and factors else sum_, *factors])


_ONCE: Final = frozenset({"fee", "base", "tier_fee"})
