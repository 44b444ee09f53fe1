"""A stored line, computed again and written down as the equation it is (R-PRO-4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """The amount before any discount, and everything it came from."""

    model: PriceModel
    quantity: int
    intervals: int
    share: Share

    @classmethod
    def of(cls, row: PricedRow, currency: str, share: Share | None = None) -> Self:
        """Without a share the whole period is meant."""
        model = model_of(row.pricing, Money(row.unit_minor, currency))
        return cls(model, row.quantity, row.intervals, share or Share(1, 1, FULL_PERIOD))

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.model.steps(self.quantity)

    @property
    def whole(self) -> Money:
        """The price of the whole period: of every interval it has."""
        return self.model.amount(self.quantity).times(self.intervals)

    @property
    def amount(self) -> Money:
        return replay(self.whole, self.share)

    @property
    def plain(self) -> bool:
        """Whether quantity times one unit price is the whole story."""
        one_price = self.model.kind is PriceKind.PER_UNIT and not self.model.base_minor
        return one_price and self.intervals == 1 and self.share.part == 1

    def equation(self, write: Callable[[Money], str] = str) -> str:
        """`(10 × 10.00 USD + 4 × 8.00 USD) × 3 × 166/365`; `write` puts amounts into figures."""
        terms = [
            write(step.each) if step.what in _ONCE else f"{step.count:,}{_TIMES}{write(step.each)}"
            for step in self.steps
        ] or [write(Money.zero(self.model.currency))]
        factors = [f"{self.intervals}"] if self.intervals != 1 else []
        if self.share.part != 1:
            factors.append(f"{self.share.numerator}/{self.share.denominator}")
        sum_ = " + ".join(terms)
        return _TIMES.join([f"({sum_})" if len(terms) > 1 and factors else sum_, *factors])


_ONCE: Final = frozenset({"fee", "base", "tier_fee"})
