"""Which category of EN 16931 a document's treatment is, and which documents have none: the rule alone."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest

from app.core.money import Money
from app.documents.electronic_shapes import LineVat, Syntax, VatCategory
from app.documents.en16931 import terms
from app.documents.shapes import DocumentKind, InvoiceDocument, TaxGroupView, TaxId
from app.flows import electronic
from app.flows.electronic import NoElectronicForm, Parties
from app.tax.determination import Determination, Treatment
from tests.documents.samples import BUYER, SELLER, invoice, line

T = Treatment
NOTE: Final = "Exempt: resale certificate 4711."
ADDRESS: Final = {"line1": "1 Street", "city": "Town", "postcode": "12345"}


def parties(*registered: tuple[str, str]) -> Parties:
    registrations = [{"jurisdiction": place, "number": number} for place, number in registered]
    seller = ADDRESS | {"country": "IE", "registrations": registrations}
    return Parties(seller, ADDRESS | {"country": "DE"}, "ent_01")


def found(place: str = "DE", note: str = NOTE) -> Determination:
    return Determination(
        treatment=T.STANDARD, jurisdiction=place, tax=Money.zero("EUR"), components=(), note=note, reason="",
        precision="country", data_version="1", inputs_hash="", lines=(),
    )  # fmt: skip


def document(
    *nets: str, rate: str = "", name: str = "VAT", numbers: tuple[TaxId, ...] = (), **changes: Any
) -> InvoiceDocument:
    """Charged at `rate` on every line, or untaxed; the seller has these numbers on it."""
    rates = (Decimal(rate),) if rate else ()
    lines = tuple(line(net, tax_rates=rates) for net in nets or ("1200.00",))
    net = Money(sum(each.net.minor for each in lines), "EUR")
    groups = (TaxGroupView("DE", name, Decimal(rate), net, net.percent(Decimal(rate))),) if rate else ()
    given: dict[str, Any] = {"lines": lines, "tax_groups": groups, "reverse_charge": None, "payments": (),
                             "seller": replace(SELLER, tax_ids=numbers)}  # fmt: skip
    return invoice(**(given | changes))


IRISH: Final = (TaxId("eu_vat", "IE 6388047V"),)


@pytest.mark.parametrize(
    ("treatment", "rate", "numbers", "category", "reason", "code"),
    [
        (T.STANDARD, "19", IRISH, "S", "", ""),
        (T.REDUCED, "7", (TaxId("eu_oss_vat", "EU372012345"),), "S", "", ""),
        (T.REVERSE_CHARGE, "", IRISH, "AE", "Reverse charge", "VATEX-EU-AE"),
        (T.REVERSE_CHARGE, "", (), "O", NOTE, "VATEX-EU-O"),
        (T.CUSTOMER_EXEMPT, "", IRISH, "E", NOTE, ""),
        (T.CUSTOMER_EXEMPT, "", (), "O", NOTE, "VATEX-EU-O"),
        (T.ZERO_RATED, "", IRISH, "Z", "", ""),
        (T.NOT_COLLECTING, "", (), "O", NOTE, "VATEX-EU-O"),
        (T.OUTSIDE_SCOPE, "", IRISH, "O", NOTE, "VATEX-EU-O"),
    ],
)
def test_every_treatment_has_its_category_and_its_reason(
    treatment: Treatment, rate: str, numbers: tuple[TaxId, ...], category: str, reason: str, code: str
) -> None:
    made = electronic.with_facts(
        document(rate=rate, numbers=numbers), parties(("IE", "IE 6388047V")), found(), [treatment]
    )
    facts = made.electronic
    assert facts is not None, made.not_electronic
    assert facts.lines == (LineVat(VatCategory(category), Decimal(rate or 0)),)
    assert (facts.reason, facts.reason_code) == (reason, code)
    named = (facts.seller.vat_id, facts.buyer.vat_id)
    assert named == (None, None) if category == "O" else named[1] == "DE811907980"
    assert terms(DocumentKind.INVOICE, made)["BG-23"][0]["BT-118"] == category


def test_a_reverse_charge_beyond_the_union_bears_no_code_of_the_union() -> None:
    swiss = replace(BUYER, tax_ids=(TaxId("ch_vat", "CHE-123.456.788 MWST"),))
    sold = document(numbers=IRISH, buyer=swiss)
    facts = electronic.electronic_facts(sold, parties(), found("CH"), [T.REVERSE_CHARGE])
    assert (facts.buyer.vat_id, facts.reason, facts.reason_code) == ("CHE123456788MWST", "Reverse charge", "")


def test_an_exemption_from_sales_tax_is_none_from_vat() -> None:
    sold = document(numbers=(TaxId("us_tin", "12-3456789"),))
    facts = electronic.electronic_facts(sold, parties(), found("US-NY"), [T.CUSTOMER_EXEMPT])
    assert (facts.lines[0].category, facts.seller.tax_id) == (VatCategory.OUTSIDE, None)


def test_a_number_gets_the_country_in_front_that_it_was_written_without() -> None:
    for number, registered, wanted in (
        ("123456789", ("GR", "123456789"), "EL123456789"), ("6388047V", ("IE", "6388047V"), "IE6388047V"),
        ("ATU 12345678", ("AT", "ATU 12345678"), "ATU12345678"),
    ):  # fmt: skip
        sold = document(rate="19", numbers=(TaxId("eu_vat", number),))
        assert electronic.electronic_facts(sold, parties(registered), found(), [T.STANDARD]).seller.vat_id == wanted
    norwegian = document(rate="25", name="MVA", numbers=(TaxId("no_vat", "123456785MVA"),))
    assert (
        electronic.electronic_facts(norwegian, parties(), found("NO"), [T.STANDARD]).seller.vat_id == "NO123456785MVA"
    )


def test_what_the_standard_cannot_say_is_refused_with_its_reason_and_never_bent() -> None:
    part = document(rate="19", numbers=IRISH)
    part = replace(part, tax_groups=(replace(part.tax_groups[0], taxable=Money(96_000, "EUR")),))
    two_taxes = document(rate="19", numbers=IRISH)
    two_taxes = replace(two_taxes, lines=(replace(two_taxes.lines[0], tax_rates=(Decimal(19), Decimal(1))),))
    wrong = document(rate="19", numbers=IRISH)
    tax = Money(23_000, "EUR")
    wrong = replace(wrong, tax_groups=(replace(wrong.tax_groups[0], amount=tax),), tax_total=tax,
                    total=wrong.subtotal + tax, amount_due=wrong.subtotal + tax)  # fmt: skip
    cases: tuple[tuple[InvoiceDocument, list[Treatment], str], ...] = (
        (document(rate="8.875", name="Sales tax"), [T.STANDARD], "not a value added tax"),
        (document(rate="5", name="GST"), [T.STANDARD], "GST is not a value added tax"),
        (document(rate="9.975", name="QST"), [T.STANDARD], "QST is not a value added tax"),
        (document(rate="19"), [T.STANDARD], "BR-S-02"),
        (document("10.00", "20.00", numbers=IRISH), [T.CUSTOMER_EXEMPT, T.REVERSE_CHARGE], "different reasons"),
        (document("10.00", "20.00", rate="19", numbers=IRISH), [T.STANDARD, T.OUTSIDE_SCOPE], "different reasons"),
        (part, [T.STANDARD], "BR-S-08"), (wrong, [T.STANDARD], "BR-S-09"), (two_taxes, [T.STANDARD], "several taxes"),
        (document("-5.00", rate="19", numbers=IRISH), [T.STANDARD], "below zero"),
        (invoice(lines=(line("1.000", "KWD"),), reverse_charge=None), [T.OUTSIDE_SCOPE], "decimals"),
    )  # fmt: skip
    for sold, treatments, why in cases:
        made = electronic.with_facts(sold, parties(), found(), treatments)
        assert made.electronic is None, why
        assert why in made.not_electronic
        with pytest.raises(NoElectronicForm, match="as PDF only"):
            electronic.file_of(DocumentKind.INVOICE, made, Syntax.UBL)


def test_a_link_is_shown_only_where_every_tax_is_value_added_tax() -> None:
    assert electronic.may_have_one(["VAT", "VAT (Northern Ireland)", "MWST"])
    assert electronic.may_have_one([])
    assert not electronic.may_have_one(["VAT", "New York City sales tax"])
