"""What was charged, given back in any number of parts, is what was charged: to the unit, by line and by tax."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.money import Money, round_half_away
from app.invoices import crediting
from app.invoices.crediting import Basis, Charged, Credit, Given, Levied
from app.invoices.errors import CreditTooLarge, NothingToCredit
from tests.world import full


def invoice(nets: list[int], *rates: str, portion: str = "100") -> Basis:
    """As the tax engine makes it: each component rounded once over the document, shared out to the lines."""
    taxes, components = [0] * len(nets), []
    for position, rate in enumerate(rates):
        base = round_half_away(Fraction(sum(nets)) * Fraction(portion) / 100)
        due = round_half_away(Fraction(base) * Fraction(rate) / 100)
        for i, part in enumerate(Money(due, "USD").allocate(nets) if sum(nets) else []):
            taxes[i] += part.minor
        components.append(Levied(position + 100, Decimal(rate), base, due))
    lines = [Charged(i, net, tax) for i, (net, tax) in enumerate(zip(nets, taxes, strict=True))]
    return Basis(lines, components, {})


def after(basis: Basis, credit: Credit) -> Basis:
    given = dict(basis.given)
    for line in credit.lines:
        known = given.get(line.line_id) or Given(0, (0,) * len(basis.components))
        given[line.line_id] = Given(
            known.net + line.net, tuple(a + b for a, b in zip(known.parts, line.parts, strict=True))
        )
    return Basis(basis.lines, basis.components, given)


@pytest.mark.parametrize(
    ("net", "rate", "credited", "expected"),
    [
        (200_00, "25", 193_33, 241_66),  # not 241.67: the sum of the parts that are shown
        (160_00, "25", 154_67, 193_34),
        (29_99, "23.33", 25_71, 31_71),
        (769_00, "20", 726_86, 872_23),
        (50_00, "20", 35_71, 42_85),
        (50_00, "20", 48_21, 57_85),
    ],
)
def test_a_credit_is_its_rounded_net_and_its_rounded_tax(net: int, rate: str, credited: int, expected: int) -> None:
    assert crediting.of_lines(invoice([net], rate), {0: credited}).total == expected


def test_the_last_part_takes_what_is_left_of_the_tax() -> None:
    whole = invoice([769_00], "20")
    first = crediting.of_lines(whole, {0: 726_86})
    second = crediting.of_lines(after(whole, first), {0: 42_14})
    assert (first.total, second.total) == (872_23, 50_57)


def test_money_returned_without_lines_is_split_into_net_and_tax() -> None:
    credit = crediting.of_total(invoice([10_00], "25"), 3_75)
    assert (credit.net, credit.tax) == (3_00, 75)


def test_a_unit_too_much_is_refused() -> None:
    whole = invoice([100_00, 50_00], "19")
    with pytest.raises(CreditTooLarge):
        crediting.of_lines(whole, {1: 50_01})
    with pytest.raises(CreditTooLarge):
        crediting.of_total(whole, 178_51)
    with pytest.raises(CreditTooLarge):
        crediting.of_lines(whole, {0: -1})
    with pytest.raises(NothingToCredit):
        crediting.of_lines(whole, {})
    gone = after(whole, crediting.of_rest(whole))
    assert gone.left == 0
    with pytest.raises(NothingToCredit):
        crediting.of_rest(gone)


def test_tax_is_rounded_once_per_document_as_on_the_invoice() -> None:
    """Two halves of 0.50 at 19 % bear 0.19 together, not 0.10 twice."""
    assert crediting.of_lines(invoice([2_00, 2_00], "19"), {0: 50, 1: 50}).tax == 19


def test_lines_give_back_the_taxes_they_bore_and_no_other() -> None:
    """One line at 19 %, one at 7 %, one exempt: the components tell them apart."""
    lines = [Charged(1, 100_00, 19_00), Charged(2, 200_00, 14_00), Charged(3, 50_00, 0)]
    components = [Levied(1, Decimal(19), 100_00, 19_00), Levied(2, Decimal(7), 200_00, 14_00)]
    basis = Basis(lines, components, {})
    credit = crediting.of_lines(basis, {2: 100_00})
    assert [(each.tax_id, each.taxable, each.tax) for each in credit.components] == [(2, 100_00, 7_00)]
    credit = crediting.of_lines(basis, {1: 50_00, 3: 50_00})
    assert [(each.tax_id, each.taxable, each.tax) for each in credit.components] == [(1, 50_00, 9_50)]


def test_a_reverse_charge_gives_back_its_base_without_tax() -> None:
    credit = crediting.of_lines(invoice([100_00], "0"), {0: 40_00})
    assert [(each.taxable, each.tax) for each in credit.components] == [(40_00, 0)]


AMOUNTS = st.lists(st.integers(0, 5_000_00), min_size=1, max_size=5).filter(any)
RATES = st.lists(st.sampled_from(["19", "7", "6.25", "8.875", "0.5", "20", "9.975", "0"]), max_size=4)


@settings(max_examples=full(20_000), deadline=None)
@given(nets=AMOUNTS, rates=RATES, portion=st.sampled_from(["100", "80"]), data=st.data())
def test_any_split_sums_to_the_original(nets: list[int], rates: list[str], portion: str, data: st.DataObject) -> None:
    whole = basis = invoice(nets, *rates, portion=portion)
    notes: list[Credit] = []
    for _ in range(data.draw(st.integers(0, 6))):
        if basis.left == 0:
            break
        if data.draw(st.booleans()):
            credit = crediting.of_total(basis, data.draw(st.integers(1, basis.left)))
        else:
            asked = {line.line_id: data.draw(st.integers(0, basis.left_net(line))) for line in basis.lines}
            if not any(asked.values()):
                continue
            credit = crediting.of_lines(basis, asked)
            assert {line.line_id: line.net for line in credit.lines} == {k: v for k, v in asked.items() if v}
        notes.append(credit)
        basis = after(basis, credit)
    if basis.left:
        notes.append(crediting.of_rest(basis))
    for line in whole.lines:
        mine = [each for credit in notes for each in credit.lines if each.line_id == line.line_id]
        assert (sum(each.net for each in mine), sum(each.tax for each in mine)) == (line.net, line.tax)
    for component in whole.components:
        parts = [each for credit in notes for each in credit.components if each.tax_id == component.tax_id]
        assert (sum(each.taxable for each in parts), sum(each.tax for each in parts)) == (
            component.taxable, component.tax,
        )  # fmt: skip
    for credit in notes:
        assert credit.tax == sum(each.tax for each in credit.components)
        assert all(each.net >= 0 and min(each.parts, default=0) >= 0 for each in credit.lines)
        assert all(each.taxable >= 0 and each.tax >= 0 for each in credit.components)
