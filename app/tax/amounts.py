"""From charges to amounts: tax per group on the document, rounded once, shared out to the lines (R-INV-3).

A group is a component (jurisdiction, name, rate, portion) over the lines priced the same way. Prices that exclude
tax: tax is the rate on the group's sum. Prices that include it: the group's net comes first, tax is what remains,
so net + tax is the shown price to the minor unit, on every line. Lines of both kinds on one document form two
groups of one component, which is listed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.core.money import round_half_away
from app.tax.request import Line
from app.tax.ruling import Charge


@dataclass(slots=True)
class _Sum:
    net: int = 0
    tax: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """Minor units: `nets` and `taxes` by line; `components` as (charge, taxed base, tax)."""

    nets: tuple[int, ...]
    taxes: tuple[int, ...]
    components: tuple[tuple[Charge, int, int], ...]


def settle(lines: Sequence[Line], charges: Mapping[str, tuple[Charge, ...]]) -> Settled:
    """`charges` by tax code; a line without charges is untaxed and its price is its net."""
    nets = [line.amount for line in lines]
    taxes = [0] * len(lines)
    sums: dict[Charge, _Sum] = {charge: _Sum() for line in lines for charge in charges[line.tax_code]}
    for bundle in dict.fromkeys(charges[line.tax_code] for line in lines):
        chosen = [i for i, line in enumerate(lines) if line.inclusive and charges[line.tax_code] == bundle]
        if bundle and chosen:
            _settle_inclusive(lines, chosen, bundle, nets, taxes, sums)
    for charge, total in sums.items():
        chosen = [i for i, line in enumerate(lines) if not line.inclusive and charge in charges[line.tax_code]]
        factor = _factor(charge)
        exact = [lines[i].amount * factor for i in chosen]
        due = round_half_away(sum(exact, Fraction(0)))
        for i, part in zip(chosen, apportion(due, exact), strict=True):
            taxes[i] += part
        total.net += sum(lines[i].amount for i in chosen)
        total.tax += due
    components = tuple((charge, _base(total.net, charge.portion), total.tax) for charge, total in sums.items())
    return Settled(tuple(nets), tuple(taxes), components)


def _settle_inclusive(
    lines: Sequence[Line],
    chosen: Sequence[int],
    bundle: tuple[Charge, ...],
    nets: list[int],
    taxes: list[int],
    sums: Mapping[Charge, _Sum],
) -> None:
    """One bundle of charges over the lines that show their price with tax."""
    share = sum((_factor(charge) for charge in bundle), Fraction(0))
    exact = [lines[i].amount / (1 + share) for i in chosen]
    net = round_half_away(sum(exact, Fraction(0)))
    for i, part in zip(chosen, apportion(net, exact), strict=True):
        nets[i], taxes[i] = part, lines[i].amount - part
    tax = sum(lines[i].amount for i in chosen) - net
    weights = [tax * _factor(charge) / share if share else Fraction(0) for charge in bundle]
    for charge, part in zip(bundle, apportion(tax, weights), strict=True):
        sums[charge].net += net
        sums[charge].tax += part


def _factor(charge: Charge) -> Fraction:
    return Fraction(charge.rate) * Fraction(charge.portion) / 10_000


def _base(net: int, portion: Decimal) -> int:
    return round_half_away(Fraction(net) * Fraction(portion) / 100)


def apportion(total: int, exact: Sequence[Fraction]) -> list[int]:
    """Whole parts that sum to `total`, which is the rounded sum of `exact`: largest remainder, first listed wins.

    Parts may have either sign (a credit and a charge on one document); a document of credits mirrors its charge.
    """
    if total < 0:
        return [-part for part in apportion(-total, [-value for value in exact])]
    parts = [value.numerator // value.denominator for value in exact]
    left = total - sum(parts)
    order = sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[:left]:
        parts[i] += 1
    return parts
