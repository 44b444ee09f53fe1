"""The arithmetic of credits: what was charged, given back at the tax of then, never more (R-INV-4, R-PRO-5).

Tax is kept by line and component (a *cell*). A cell gives back its share of what the line gives back, by cumulative
rounding per component, and the credit that takes the last of a line takes the exact rest of its cells. So the parts
of any split sum to the original, and no line or component is ever over-credited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Final

from app.core.money import round_half_away
from app.invoices.errors import CreditTooLarge, NothingToCredit

# Which components a line bears is looked for among so many; beyond that it is taken to bear all of them.
_SEARCHED: Final = 8


@dataclass(frozen=True, slots=True)
class Charged:
    """A line of the invoice in minor units. Its amounts are not negative."""

    line_id: int
    net: int
    tax: int


@dataclass(frozen=True, slots=True)
class Levied:
    """A component of the invoice's tax; `rate` in percent of `taxable`."""

    tax_id: int
    rate: Decimal
    taxable: int
    tax: int


@dataclass(frozen=True, slots=True)
class Given:
    """What earlier credit notes gave back of a line: `parts` is its tax by component."""

    net: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """An invoice as a credit looks at it; `given` by line id, nothing for a line never credited."""

    lines: Sequence[Charged]
    components: Sequence[Levied]
    given: Mapping[int, Given]

    def before(self, line: Charged) -> Given:
        return self.given.get(line.line_id) or Given(0, (0,) * len(self.components))

    def left_net(self, line: Charged) -> int:
        return line.net - self.before(line).net

    @property
    def left(self) -> int:
        """What can still be credited, tax included."""
        taxes = sum(line.tax - sum(self.before(line).parts) for line in self.lines)
        return taxes + sum(self.left_net(line) for line in self.lines)


@dataclass(frozen=True, slots=True)
class LineCredit:
    """`parts` is the tax by component, in the order of the invoice's components."""

    line_id: int
    net: int
    parts: tuple[int, ...]

    @property
    def tax(self) -> int:
        return sum(self.parts)


@dataclass(frozen=True, slots=True)
class ComponentCredit:
    tax_id: int
    taxable: int
    tax: int


@dataclass(frozen=True, slots=True)
class Credit:
    """Positive minor units; lines that give nothing back are left out."""

    lines: tuple[LineCredit, ...]
    components: tuple[ComponentCredit, ...]

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        return self.net + self.tax


def of_lines(basis: Basis, nets: Mapping[int, int]) -> Credit:
    """Give back so much net of these lines, and the tax that was charged on it.

    Raises CreditTooLarge (naming the line's position) and NothingToCredit.
    """
    for position, line in enumerate(basis.lines, start=1):
        asked = nets.get(line.line_id, 0)
        if not 0 <= asked <= basis.left_net(line):
            raise CreditTooLarge(
                f"Of line {position}, {basis.left_net(line)} of {line.net} minor units can still be credited.",
                param="lines", left=basis.left_net(line),
            )  # fmt: skip
    cells = cells_of(basis.lines, basis.components)
    parts: dict[int, list[int]] = {line.line_id: [0] * len(basis.components) for line in basis.lines}
    for k in range(len(basis.components)):
        for line_id, part in _component_parts(basis, cells, nets, k).items():
            parts[line_id][k] = part
    return _credit(basis, {line.line_id: (nets.get(line.line_id, 0), parts[line.line_id]) for line in basis.lines})


def of_total(basis: Basis, total: int) -> Credit:
    """Give back so much, tax included, spread over everything that is left: for money returned without lines.

    The net is rounded once and the tax is the rest, so the two make `total` exactly. Raises CreditTooLarge.
    """
    if not 0 < total <= basis.left:
        raise CreditTooLarge(f"{basis.left} minor units can still be credited.", param="amount", left=basis.left)
    lefts = [basis.left_net(line) for line in basis.lines]
    cells = cells_of(basis.lines, basis.components)
    open_cells = [
        (i, k, cells[i][k] - basis.before(line).parts[k])
        for i, line in enumerate(basis.lines)
        for k in range(len(basis.components))
    ]
    net = round_half_away(Fraction(total * sum(lefts), basis.left))
    nets = _spread(net, lefts)
    taxes = _spread(total - net, [left for _, _, left in open_cells])
    parts = [[0] * len(basis.components) for _ in basis.lines]
    for (i, k, _), tax in zip(open_cells, taxes, strict=True):
        parts[i][k] = tax
    return _credit(basis, {line.line_id: (nets[i], parts[i]) for i, line in enumerate(basis.lines)})


def of_rest(basis: Basis) -> Credit:
    """Give back all that is left, to the last unit of net and tax. Raises NothingToCredit."""
    cells = cells_of(basis.lines, basis.components)
    rest = {
        line.line_id: (
            basis.left_net(line),
            [cell - gone for cell, gone in zip(cells[i], basis.before(line).parts, strict=True)],
        )
        for i, line in enumerate(basis.lines)
    }
    return _credit(basis, rest)


def cells_of(lines: Sequence[Charged], components: Sequence[Levied]) -> list[list[int]]:
    """The invoice's tax by line and component: rows sum to the lines' tax, columns to the components'.

    The document holds the two sums only. Which components a line bears is read from its own tax and the rates;
    where no choice explains it (a taxed portion), it bears all in proportion.
    """
    borne = [_borne(line, components) for line in lines]
    rows = [line.tax for line in lines]
    cells = [[0] * len(components) for _ in lines]
    for k, component in enumerate(components):
        weights = [
            Fraction(component.rate) * line.net if k in borne[i] else Fraction(0) for i, line in enumerate(lines)
        ]
        last = k == len(components) - 1
        column = list(rows) if last else _within(component.tax, _scaled(weights, component.tax), rows)
        for i, part in enumerate(column):
            cells[i][k] = part
            rows[i] -= part
    return cells


def _borne(line: Charged, components: Sequence[Levied]) -> frozenset[int]:
    """The largest choice of components whose rates make the line's tax, each rounded at most once."""
    everything = range(len(components))
    if len(components) > _SEARCHED:
        return frozenset(everything)
    for size in range(len(components), -1, -1):
        fits: list[tuple[Fraction, tuple[int, ...]]] = []
        for chosen in combinations(everything, size):
            made = sum((Fraction(components[k].rate) for k in chosen), Fraction(0)) * line.net / 100
            if abs(made - line.tax) <= size:
                fits.append((abs(made - line.tax), chosen))
        if fits:
            return frozenset(min(fits)[1])
    return frozenset(everything)


def _component_parts(
    basis: Basis, cells: Sequence[Sequence[int]], nets: Mapping[int, int], k: int
) -> dict[int, int]:  # fmt: skip
    """What one component gives back by line: rounded once over all lines, all that is left of a finished line."""
    exact, gone = Fraction(0), 0
    sought: list[tuple[int, Fraction, int]] = []  # line, its exact part, what is left of its cell
    parts: dict[int, int] = {}
    for i, line in enumerate(basis.lines):
        before, asked = basis.before(line), nets.get(line.line_id, 0)
        left = cells[i][k] - before.parts[k]
        after = before.net + asked
        due = Fraction(cells[i][k] * after, line.net) if line.net else Fraction(0)
        exact, gone = exact + (due if asked else before.parts[k]), gone + before.parts[k]
        if asked and after == line.net:
            parts[line.line_id] = left
        elif asked:
            sought.append((line.line_id, max(due - before.parts[k], Fraction(0)), left))
    rest = max(round_half_away(exact) - gone - sum(parts.values()), 0)
    shares = _within(rest, [part for _, part, _ in sought], [left for _, _, left in sought])
    return parts | {line_id: share for (line_id, _, _), share in zip(sought, shares, strict=True)}


def _credit(basis: Basis, by_line: Mapping[int, tuple[int, Sequence[int]]]) -> Credit:
    lines = tuple(
        LineCredit(line.line_id, net, tuple(parts))
        for line in basis.lines
        for net, parts in [by_line[line.line_id]]
        if net or any(parts)
    )
    if not lines:
        raise NothingToCredit("There is nothing to give back; say how much of which line.", param="lines")
    bases = _bases(basis)
    components = []
    for k, component in enumerate(basis.components):
        taxable = sum(
            _gone(bases[i][k], line.net, basis.before(line).net + by_line[line.line_id][0])
            - _gone(bases[i][k], line.net, basis.before(line).net)
            for i, line in enumerate(basis.lines)
        )
        tax = sum(by_line[line.line_id][1][k] for line in basis.lines)
        if taxable or tax:
            components.append(ComponentCredit(component.tax_id, taxable, tax))
    return Credit(lines, tuple(components))


def _bases(basis: Basis) -> list[list[int]]:
    """Each component's taxable amount by line."""
    borne = [_borne(line, basis.components) for line in basis.lines]
    columns = []
    for k, component in enumerate(basis.components):
        weights = [line.net if k in borne[i] else 0 for i, line in enumerate(basis.lines)]
        columns.append(_spread(component.taxable, weights if any(weights) else [line.net for line in basis.lines]))
    return [[column[i] for column in columns] for i in range(len(basis.lines))]


def _gone(base: int, net: int, credited: int) -> int:
    return round_half_away(Fraction(base * credited, net)) if net else 0


def _spread(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts by largest remainder; none is larger than its weight where `total` is not more than their sum."""
    if not any(weights):
        return [0] * len(weights)
    return _within(total, _scaled([Fraction(each) for each in weights], total), [max(total, each) for each in weights])


def _scaled(weights: Sequence[Fraction], total: int) -> list[Fraction]:
    whole = sum(weights, Fraction(0))
    return [weight * total / whole for weight in weights] if whole else [Fraction(0)] * len(weights)


def _within(total: int, exact: Sequence[Fraction], caps: Sequence[int]) -> list[int]:
    """Whole parts near `exact`, none above its cap, that sum to `total` (or to all caps, if that is less)."""
    parts = [min(cap, value.numerator // value.denominator) for value, cap in zip(exact, caps, strict=True)]
    left = min(total, sum(caps)) - sum(parts)
    while left > 0:
        open_ = [i for i, cap in enumerate(caps) if parts[i] < cap]
        open_.sort(key=lambda i: (parts[i] - exact[i], i))
        step = max(1, left // len(open_))
        for i in open_:
            more = min(step, caps[i] - parts[i], left)
            parts[i] += more
            left -= more
    while left < 0:
        most = max(range(len(parts)), key=lambda i: (parts[i] > 0, parts[i] - exact[i], -i))
        less = min(parts[most], -left, max(1, int(parts[most] - exact[most])))
        parts[most] -= less
        left += less
    return parts
