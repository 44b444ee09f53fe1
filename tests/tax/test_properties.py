"""What holds for every document: sums, mirrors, determinism, and that no consumer of the Union escapes."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.core.money import round_half_away
from app.tax.amounts import apportion, settle
from app.tax.dataset import load
from app.tax.determination import Determination, determine
from app.tax.names import country_codes
from app.tax.request import Buyer, Evidence, Exemption, Line, Registration, Request, Seller, TaxId
from app.tax.ruling import Charge, Treatment

MEMBERS = sorted(load().places.members)
US_SELLER = Seller("US", frozenset({"US"}), oss="non_union")
CODES = sorted({product.code for product in load().products.values()})

amounts = st.integers(-(10**9), 10**9)
days = st.dates(date(2016, 1, 1), date(2035, 12, 31))
countries = st.sampled_from(sorted(country_codes()))
rates = st.decimals(0, 30, places=3, allow_nan=False)
charges = st.lists(
    st.builds(
        Charge, st.sampled_from(["A", "B", "C"]), st.just("tax"), rates, st.sampled_from([Decimal(100), Decimal(80)])
    ),
    max_size=3,
    unique=True,
).map(tuple)
document_lines = st.lists(st.builds(Line, st.sampled_from(["x", "y"]), amounts, st.booleans()), min_size=1, max_size=8)
jurisdictions = st.one_of(countries, st.sampled_from(["US-NY", "US-TX", "US-MA", "US-IL-CHICAGO", "CA-QC", "EU"]))
sellers = st.builds(
    Seller,
    countries,
    st.frozensets(countries, max_size=2),
    st.lists(
        st.builds(Registration, jurisdictions, st.sampled_from(["standard", "simplified", "oss_union", ""])), max_size=4
    ).map(tuple),
    st.sampled_from([None, "union", "non_union"]),
    st.booleans(),
    st.dictionaries(jurisdictions, st.sampled_from(["ssut", "single_local_rate", "nonsense"]), max_size=2),
)
buyers = st.builds(
    Buyer,
    countries,
    st.one_of(st.none(), st.sampled_from(["NY", "TX", "MA", "QC", "ON", "CN", "ZZ", ""]), st.text(max_size=4)),
    st.one_of(st.none(), st.sampled_from(["35001", "10001", "78701", "BT1 1AA", "9500-001"]), st.text(max_size=8)),
    st.one_of(st.none(), st.sampled_from(["Chicago", "Austin", "Livigno"]), st.text(max_size=8)),
    st.sampled_from(["business", "consumer"]),
    st.lists(
        st.builds(
            TaxId,
            st.sampled_from(["eu_vat", "gb_vat", "au_abn", "ca_gst_hst"]),
            st.one_of(st.sampled_from(["FR40303265045", "XI980780684"]), st.text(max_size=12)),
            st.sampled_from(["valid", "invalid", "unavailable", "unchecked"]),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(Exemption, jurisdictions), max_size=2).map(tuple),
)
requests = st.builds(
    Request,
    sellers,
    buyers,
    st.lists(
        st.builds(Line, st.sampled_from([*CODES, "unheard_of"]), amounts, st.booleans()), min_size=1, max_size=4
    ).map(tuple),
    st.sampled_from(["EUR", "USD", "JPY", "KWD"]),
    days,
    st.lists(
        st.builds(Evidence, st.sampled_from(["ip", "card", "billing_address", "other"]), countries), max_size=3
    ).map(tuple),
)


@given(document_lines, charges, charges)
def test_a_price_with_tax_is_kept_to_the_minor_unit_on_every_line(
    lines: list[Line], x: tuple[Charge, ...], y: tuple[Charge, ...]
) -> None:
    settled = settle(lines, {"x": x, "y": y})
    for line, net, tax in zip(lines, settled.nets, settled.taxes, strict=True):
        assert (net + tax if line.inclusive else net) == line.amount


@given(document_lines, charges, charges)
def test_the_lines_and_the_components_sum_to_the_same_tax(
    lines: list[Line], x: tuple[Charge, ...], y: tuple[Charge, ...]
) -> None:
    settled = settle(lines, {"x": x, "y": y})
    assert sum(settled.taxes) == sum(tax for _, _, tax in settled.components)


@given(st.lists(amounts, min_size=1, max_size=8), rates)
def test_tax_is_rounded_once_for_the_group_and_not_per_line(nets: list[int], rate: Decimal) -> None:
    settled = settle([Line("x", net) for net in nets], {"x": (Charge("A", "tax", rate),)})
    assert sum(settled.taxes) == round_half_away(sum(nets) * Fraction(rate) / 100)
    for net, tax in zip(nets, settled.taxes, strict=True):
        assert abs(tax - net * Fraction(rate) / 100) < 1


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8), rates, st.booleans())
def test_a_document_of_credits_mirrors_its_charge(amounts: list[int], rate: Decimal, inclusive: bool) -> None:
    rule = {"x": (Charge("A", "tax", rate),)}
    charged = settle([Line("x", amount, inclusive) for amount in amounts], rule)
    credited = settle([Line("x", -amount, inclusive) for amount in amounts], rule)
    assert credited.taxes == tuple(-tax for tax in charged.taxes)
    assert credited.nets == tuple(-net for net in charged.nets)


@given(st.lists(st.fractions(-1000, 1000, max_denominator=997), min_size=1, max_size=9))
def test_shares_sum_to_the_rounded_whole(exact: list[Fraction]) -> None:
    total = round_half_away(sum(exact, Fraction(0)))
    assert sum(apportion(total, exact)) == total


@given(requests)
def test_any_request_is_answered_the_same_twice_and_survives_storage(request: Request) -> None:
    first, second = determine(request), determine(request)
    assert first == second
    assert Determination.from_json(first.to_json()) == first
    assert first.tax.minor == sum(line.tax.minor for line in first.lines)
    assert first.tax.minor == sum(part.amount.minor for part in first.components)
    assert first.reason


@given(requests)
def test_a_document_that_needs_review_bears_no_tax(request: Request) -> None:
    answer = determine(request)
    if answer.treatment is Treatment.NEEDS_REVIEW:
        assert not answer.tax
        assert not answer.components


@given(st.sampled_from(MEMBERS), days, st.integers(1, 10**9), sellers)
def test_a_consumer_of_the_union_is_always_charged(country: str, on: date, amount: int, seller: Seller) -> None:
    answer = determine(Request(seller, Buyer(country), (Line("saas_business", amount),), "EUR", on))
    assert answer.treatment is Treatment.STANDARD
    assert Decimal(15) <= answer.components[0].rate <= Decimal(27)


@given(st.sampled_from(MEMBERS), days, st.sampled_from(["invalid", "unavailable", "unchecked"]))
def test_a_number_that_is_not_confirmed_never_relieves(country: str, on: date, status: str) -> None:
    buyer = Buyer(country, type="business", tax_ids=(TaxId("eu_vat", f"{country}123456789", status),))
    answer = determine(Request(US_SELLER, buyer, (Line("saas_business", 10_000),), "EUR", on))
    assert answer.treatment is Treatment.STANDARD


@given(countries.filter(lambda code: code not in {"EL", "UK"}), st.integers(1, 10**9))
def test_nothing_is_collected_beyond_the_union_without_a_registration(country: str, amount: int) -> None:
    place = load().places.locate(Buyer(country))
    answer = determine(Request(US_SELLER, Buyer(country), (Line("saas_business", amount),), "USD", date(2026, 11, 22)))
    if place.country not in MEMBERS:
        assert not answer.tax


def test_the_order_of_sets_and_mappings_does_not_change_the_hash() -> None:
    lines = (Line("saas_business", 1),)
    one = Seller("US", frozenset(["US", "DE", "FR"]), elections={"US-TX": "a", "US-AL": "b"})
    two = Seller("US", frozenset(["FR", "DE", "US"]), elections={"US-AL": "b", "US-TX": "a"})
    requests_made = [Request(seller, Buyer("DE"), lines, "EUR", date(2026, 11, 22)) for seller in (one, two)]
    assert len({request.inputs_hash() for request in requests_made}) == 1
