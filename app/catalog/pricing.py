"""Price models: what a quantity costs for one whole interval (R-PRO-1). Exact, whole minor units, no rounding.

- `flat`: one fee whatever the quantity.
- `per_unit`: the unit price for each.
- `graduated`: each unit at the price of the tier it falls into; a tier's flat amount is added once it is entered.
- `volume`: all units at the price of the tier the quantity falls into, with that tier's flat amount.
- `package`: every started package is charged.

A `base` is added to any of them. No units enter no tier and start no package: they cost the base alone, except that
a flat fee is owed whatever the quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from app.core.errors import Invalid
from app.core.money import Money

MOST: Final = 2**63 - 1  # what the columns of the books hold


class PriceKind(StrEnum):
    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"


TIERED: Final = frozenset({PriceKind.GRADUATED, PriceKind.VOLUME})


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and including `up_to`; None in the last tier, which has no end."""

    up_to: int | None
    unit_minor: int
    flat_minor: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One multiplication of a price: `count` times `each`, and what is counted."""

    count: int
    each: Money
    what: str  # base, fee, unit, package, tier_units, tier_fee
    first: int = 0  # of a tier: the units it counts, from and to, both included
    last: int = 0

    @property
    def amount(self) -> Money:
        return self.each.times(self.count)


@dataclass(frozen=True, slots=True)
class PriceModel:
    """One price. Raises Invalid, naming the field, for a combination that prices nothing."""

    kind: PriceKind
    currency: str
    unit_minor: int | None = None
    tiers: tuple[Tier, ...] = ()
    package_size: int | None = None
    base_minor: int = 0

    def __post_init__(self) -> None:
        _require(self.base_minor >= 0, "base", "give a base of at least 0")
        _require(
            (self.kind is PriceKind.PACKAGE) == (self.package_size is not None), "package_size",
            "give package_size for a package price, and only there",
        )  # fmt: skip
        _require(self.package_size is None or self.package_size >= 1, "package_size", "give at least 1")
        if self.kind in TIERED:
            _require(self.unit_minor is None, "unit_amount", "give the unit prices in the tiers")
            _check_tiers(self.tiers)
        else:
            _require(not self.tiers, "tiers", f"leave tiers out: a {self.kind} price has one unit_amount")
            _require(self.unit_minor is not None, "unit_amount", "give the price of one unit")
            _require((self.unit_minor or 0) >= 0, "unit_amount", "give at least 0")

    def amount(self, quantity: int) -> Money:
        """The price of `quantity` for one whole interval: the sum of its steps.

        Raises Invalid for a negative quantity and for more than the books can hold.
        """
        result = Money(sum(step.amount.minor for step in self.steps(quantity)), self.currency)
        _require(result.minor <= MOST, "quantity", f"give less: the amount is above {MOST} minor units")
        return result

    def steps(self, quantity: int) -> tuple[Step, ...]:
        """How the amount comes about, for people to follow. Raises Invalid for a negative quantity."""
        _require(quantity >= 0, "quantity", "give at least 0")
        base = (Step(1, Money(self.base_minor, self.currency), "base"),) if self.base_minor else ()
        return (*base, *self._own_steps(quantity))

    def _own_steps(self, quantity: int) -> tuple[Step, ...]:
        unit = Money(self.unit_minor or 0, self.currency)
        match self.kind:
            case PriceKind.FLAT:
                return (Step(1, unit, "fee"),)
            case PriceKind.PER_UNIT:
                return (Step(quantity, unit, "unit"),)
            case PriceKind.PACKAGE:
                return (Step(-(-quantity // (self.package_size or 1)), unit, "package"),)
            case PriceKind.GRADUATED:
                return self._graduated(quantity)
            case PriceKind.VOLUME:
                return self._volume(quantity)

    def _graduated(self, quantity: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        below = 0
        for tier in self.tiers:
            if quantity <= below:
                break
            upper = quantity if tier.up_to is None else min(quantity, tier.up_to)
            steps += self._in_tier(tier, upper - below, below + 1, upper)
            below = upper
        return tuple(steps)

    def _volume(self, quantity: int) -> tuple[Step, ...]:
        if quantity == 0:
            return ()
        tier = next(each for each in self.tiers if each.up_to is None or quantity <= each.up_to)
        return tuple(self._in_tier(tier, quantity, 1, quantity))

    def _in_tier(self, tier: Tier, count: int, first: int, last: int) -> list[Step]:
        steps = [Step(count, Money(tier.unit_minor, self.currency), "tier_units", first, last)]
        if tier.flat_minor:
            steps.append(Step(1, Money(tier.flat_minor, self.currency), "tier_fee", first, last))
        return steps

    def shown_unit(self, quantity: int) -> Money:
        """What documents show as the price of one: the fee, the unit or package, or the tier of the last unit."""
        units = [step for step in self._own_steps(max(quantity, 1)) if step.what != "tier_fee"]
        return units[-1].each

    def bounds(self) -> tuple[int, ...]:
        """The quantities after which the price goes on differently: the ends of the tiers."""
        return tuple(tier.up_to for tier in self.tiers if tier.up_to is not None)

    def words(self) -> str:
        """The price in a few words: `120.00 USD`, `50.00 USD per 10`, `graduated: 10.00 USD to 10, then 8.00 USD`."""
        unit = Money(self.unit_minor or 0, self.currency)
        match self.kind:
            case PriceKind.FLAT:
                own = f"{unit} in all"
            case PriceKind.PER_UNIT:
                own = str(unit)
            case PriceKind.PACKAGE:
                own = f"{unit} per {self.package_size:,}"
            case PriceKind.GRADUATED | PriceKind.VOLUME:
                own = f"{self.kind}: {', '.join(self._tier_words())}"
        return f"{Money(self.base_minor, self.currency)} and {own}" if self.base_minor else own

    def _tier_words(self) -> list[str]:
        words = []
        for tier in self.tiers:
            fee = f" and {Money(tier.flat_minor, self.currency)}" if tier.flat_minor else ""
            end = f" to {tier.up_to:,}" if tier.up_to is not None else ""
            then = "" if end or len(self.tiers) == 1 else "then "
            words.append(f"{then}{Money(tier.unit_minor, self.currency)}{fee}{end}")
        return words

    def to_json(self) -> dict[str, Any]:
        """As stored with a line, so that it can be replayed when the price is long gone."""
        return {
            "model": str(self.kind), "currency": self.currency, "unit_minor": self.unit_minor,
            "tiers": [
                {"up_to": tier.up_to, "unit_minor": tier.unit_minor, "flat_minor": tier.flat_minor}
                for tier in self.tiers
            ],
            "package_size": self.package_size, "base_minor": self.base_minor,
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            PriceKind(stored["model"]), stored["currency"], stored["unit_minor"],
            tuple(Tier(each["up_to"], each["unit_minor"], each["flat_minor"]) for each in stored["tiers"]),
            stored["package_size"], stored["base_minor"],
        )  # fmt: skip


def _check_tiers(tiers: tuple[Tier, ...]) -> None:
    _require(bool(tiers), "tiers", "give at least one tier, the last one with up_to null")
    below = 0
    for index, tier in enumerate(tiers):
        where = f"tiers[{index}]"
        _require(tier.unit_minor >= 0, f"{where}.unit_amount", "give at least 0")
        _require(tier.flat_minor >= 0, f"{where}.flat_amount", "give at least 0")
        if index == len(tiers) - 1:
            _require(tier.up_to is None, f"{where}.up_to", "give null in the last tier: every quantity has a price")
        elif tier.up_to is None or tier.up_to <= below:
            raise Invalid(f"give a whole number above {below}: tiers go upwards", param=f"{where}.up_to")
        else:
            below = tier.up_to


def _require(fine: bool, param: str, remedy: str) -> None:
    if not fine:
        raise Invalid(remedy, param=param)
