"""What a tax provider's answer means for a document: pure, and never less than what our own facts bear."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.tax import provided
from app.tax.determination import Determination, determine
from app.tax.provider import Computed, ComputedLine, Share
from app.tax.request import Buyer, Exemption, Line, Registration, Request, Seller, TaxId
from app.tax.ruling import Treatment

SELLER = Seller("US", registrations=(Registration("US-TX", "standard"),))
AUSTIN = Buyer("US", "TX", "78701", "Austin", "business")
DAY = date(2026, 11, 22)


def question(*amounts: int, buyer: Buyer = AUSTIN, seller: Seller = SELLER) -> Request:
    return Request(seller, buyer, tuple(Line("saas_business", each) for each in amounts), "USD", DAY)


def share(
    amount: int, *, treatment: Treatment = Treatment.STANDARD, rate: str | None = "5", taxable: int = 100_00,
    name: str = "Texas Sales Tax", code: str = "US-TX",
) -> Share:  # fmt: skip
    return Share(code, name, Decimal(rate) if rate else None, taxable, amount, treatment, treatment.value)


def answer(*lines: tuple[Share, ...]) -> Computed:
    computed = {n: ComputedLine(sum(each.amount for each in line), line) for n, line in enumerate(lines)}
    return Computed("taxcalc_1", "stripe-x", None, computed, {})


def meant(asked: Request, said: Computed) -> tuple[Treatment, int, str]:
    found = provided.determination(asked, determine(asked), said, title="Stripe Tax", calculation="tcl_1")
    return found.treatment, found.tax.minor, found.reason


def is_asked(asked: Request, *countries: str) -> bool:
    return provided.is_asked(asked, determine(asked), countries)


def test_the_provider_is_asked_only_where_that_is_wanted_and_nothing_is_decided_here() -> None:
    assert is_asked(question(100), "US")
    assert not is_asked(question(100), "CA")
    assert not is_asked(question(0), "US"), "nothing is taxed"
    assert not is_asked(question(100, seller=Seller("US")), "US"), "no registration is kept"
    assert not is_asked(replace(question(100), lines=(Line("hats", 100),)), "US")
    aland = Buyer("FI", None, "22100", "Mariehamn", "business")
    assert not is_asked(question(100, buyer=aland, seller=Seller("IE")), "FI"), "territories apart are decided here"
    berlin = Buyer("DE", None, "10115", "Berlin", "consumer")
    assert is_asked(question(100, buyer=berlin, seller=Seller("IE", oss="union")), "DE")


def test_a_credit_and_an_address_without_a_zip_cannot_be_asked_about() -> None:
    assert provided.cannot_be_asked(question(100)) is None
    assert "below zero" in str(provided.cannot_be_asked(question(100, -1)))
    assert "ZIP" in str(provided.cannot_be_asked(question(100, buyer=replace(AUSTIN, postcode=None))))


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300)), min_size=1, max_size=4))
def test_amounts_are_added_up_and_never_computed_anew(lines: list[tuple[int, int]]) -> None:
    """Whatever the provider rounded, the document bears it: by line, by component and in all."""
    asked = question(*(100_00 for _ in lines))
    said = answer(*((share(a + 1), share(b, name="Austin", code="US-TX-AUSTIN", rate="2")) for a, b in lines))
    found = provided.determination(asked, determine(asked), said, title="Stripe Tax", calculation="tcl_1")
    assert found.treatment is Treatment.STANDARD
    assert [line.tax.minor for line in found.lines] == [a + 1 + b for a, b in lines]
    assert [part.amount.minor for part in found.components] == [sum(a + 1 for a, _ in lines), sum(b for _, b in lines)]
    assert found.tax.minor == sum(part.amount.minor for part in found.components)
    assert Determination.from_json(found.to_json()) == found


def test_what_is_relieved_stands_beside_what_is_charged_and_a_free_line_bears_nothing() -> None:
    asked = question(100_00, 0)
    relieved = share(0, treatment=Treatment.ZERO_RATED, rate="0", name="County", code="US-TX-TRAVIS")
    found = provided.determination(
        asked, determine(asked), answer((share(5_00), relieved)), title="Stripe Tax", calculation="tcl_1"
    )
    assert [(part.name, part.amount.minor) for part in found.components] == [("Texas Sales Tax", 5_00), ("County", 0)]
    assert [(line.net.minor, line.tax.minor) for line in found.lines] == [(100_00, 5_00), (0, 0)]


def test_an_answer_that_contradicts_itself_is_held_and_never_zero() -> None:
    for said, why in (
        (answer(()), "did not say why"),
        (answer((share(5_00),), (share(1),)), "other lines"),
        (answer((share(0),)), "a rate and a base, and no tax"),
        (answer((share(5, treatment=Treatment.PRODUCT_EXEMPT),)), "does not go with"),
        (answer((share(5, rate=None),)), "does not go with"),
        (answer((share(0, rate=None),)), "does not go with"),
        (answer((share(5), share(-1))), "do not make its sum"),
    ):
        assert meant(question(100_00), said)[:2] == (Treatment.NEEDS_REVIEW, 0)
        assert why in meant(question(100_00), said)[2]


def test_a_supply_that_is_taxed_at_the_sellers_is_placed_there() -> None:
    small = Seller("IE", below_eu_threshold=True)
    asked = question(100_00, buyer=Buyer("DE", None, "10115", "Berlin", "consumer"), seller=small)
    said = answer((share(23_00, rate="23", name="VAT", code="IE"),))
    found = provided.determination(asked, determine(asked), said, title="Stripe Tax", calculation="tcl_1")
    assert (found.jurisdiction, found.tax.minor) == ("IE", 23_00)


def test_a_relief_needs_what_proves_it() -> None:
    exempt = answer((share(0, treatment=Treatment.CUSTOMER_EXEMPT, rate=None),))
    assert meant(question(100_00), exempt)[0] is Treatment.NEEDS_REVIEW
    held = replace(AUSTIN, exemptions=(Exemption("US-TX", "resale", "T-1"),))
    assert meant(question(100_00, buyer=held), exempt)[0] is Treatment.CUSTOMER_EXEMPT
    reverse = answer((share(0, treatment=Treatment.REVERSE_CHARGE, rate=None),))
    assert "nothing known here bears that" in meant(question(100_00), reverse)[2]
    confirmed = Buyer("DE", None, "10115", "Berlin", "business", (TaxId("eu_vat", "DE136695976", "valid"),))
    abroad = question(100_00, buyer=confirmed, seller=Seller("IE"))
    assert meant(abroad, reverse)[0] is Treatment.REVERSE_CHARGE
    charged = answer((share(19_00, rate="19", name="VAT", code="DE"),))
    assert "charges what the buyer accounts for" in meant(abroad, charged)[2]
    untaxed = answer((share(0, treatment=Treatment.PRODUCT_EXEMPT, rate=None),))
    assert meant(question(100_00), untaxed)[0] is Treatment.PRODUCT_EXEMPT
