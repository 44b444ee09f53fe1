"""Invoices for machines: held against the official schemas and rules of EN 16931, and against the paper they are in."""

import io
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import facturx  # type: ignore[import-untyped]  # the package carries no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # the package carries no types
from pypdf import PdfReader

from app.core.money import Money
from app.documents import factur_x
from app.documents.electronic_shapes import LineVat, Syntax, VatCategory
from app.documents.en16931 import electronic_xml, terms
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, InconsistentDocument, InvoiceDocument
from tests.documents.electronic_samples import named, owed, samples, several, shifted, standard
from tests.documents.samples import invoice
from tests.documents.schematron import broken_rules
from tests.world import full

_REFERENCES: Final = {
    Syntax.CII: "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
    "InvoiceReferencedDocument",
    Syntax.UBL: "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}InvoiceDocumentReference",
}
HOSTILE = (
    '#import "x"',
    "{{7*7}} ${7*7} <b>&amp;</b>",
    "]]> <!-- --> <?x?>",
    "שלום עולם",
    "مرحبا",
    "🦊 A\u0301",
    "a\u202eb",
)


def kind_of(document: InvoiceDocument) -> DocumentKind:
    return DocumentKind.CREDIT_NOTE if document.credits else DocumentKind.INVOICE


def xml(document: InvoiceDocument, syntax: Syntax = Syntax.CII) -> bytes:
    return electronic_xml(kind_of(document), document, syntax)


def of(document: InvoiceDocument) -> dict[str, Any]:
    return terms(kind_of(document), document)


def test_every_kind_of_document_is_valid_by_schema_and_rules_and_what_is_altered_is_caught() -> None:
    """One worker for all, because starting it and compiling the rules takes longer than they do."""
    files = {(name, syntax): xml(each, syntax) for name, each in samples().items() for syntax in Syntax}
    for made in files.values():
        assert facturx.xml_check_xsd(made)
    s, ae = files["S", Syntax.CII], files["AE", Syntax.CII]
    s_ubl, ae_ubl = files["S", Syntax.UBL], files["AE", Syntax.UBL]
    altered = [
        (Syntax.CII, s.replace(b"<ram:GrandTotalAmount>1428.00", b"<ram:GrandTotalAmount>1429.00"), "BR-CO-15"),
        (Syntax.CII, s.replace(b">228.00<", b">226.00<"), "BR-S-09"),
        (Syntax.CII, s.replace(b">EUR<", b">EUX<"), "FX-SCH-A-000595"),
        (
            Syntax.CII,
            _without(ae, b"Reverse charge</ram:ExemptionReason>", b"VATEX-EU-AE</ram:ExemptionReasonCode>"),
            "BR-AE-10",
        ),
        (
            Syntax.UBL,
            s_ubl.replace(b">1428.00</cbc:TaxInclusiveAmount", b">1429.00</cbc:TaxInclusiveAmount"),
            "BR-CO-15",
        ),
        (Syntax.UBL, s_ubl.replace(b">EUR<", b">EUX<"), "BR-CL-04"),
        (
            Syntax.UBL,
            _without(ae_ubl, b"Reverse charge</cbc:TaxExemptionReason>", b"VATEX-EU-AE</cbc:TaxExemptionReasonCode>"),
            "BR-AE-10",
        ),
    ]
    assert all(made not in files.values() for _, made, _ in altered)
    files |= {(f"{n}", syntax): xml(each, syntax) for n, each in enumerate(swept()) for syntax in Syntax}
    told = broken_rules(
        [*((syntax, made) for (_, syntax), made in files.items()), *((s, made) for s, made, _ in altered)]
    )
    assert dict(zip(files, told, strict=False)) == {name: [] for name in files}
    for found, (_, _, rule) in zip(told[len(files) :], altered, strict=True):
        assert rule in found, (rule, found)


def test_what_follows_an_invoice_names_it_in_both_syntaxes() -> None:
    """BT-25 and BT-26, of a credit note and of an invoice that takes the place of another (BG-3)."""
    following = {name: each for name, each in samples().items() if each.credits or each.replaces}
    assert {each.electronic.lines[0].category for each in following.values() if each.electronic} == set(VatCategory)
    for name, document in following.items():
        before = document.credits or document.replaces
        assert before is not None
        for syntax, place in _REFERENCES.items():
            root = etree.fromstring(xml(document, syntax))
            (found,) = root.iterfind(f".//{place}")
            assert [each.strip() for each in found.itertext() if each.strip()] == [
                before.number, f"{before.issued_on:%Y%m%d}" if syntax is Syntax.CII else f"{before.issued_on}",
            ], (name, syntax)  # fmt: skip
    assert not [each for each in etree.fromstring(xml(standard())).iter() if "InvoiceReferenced" in str(each.tag)]


def swept() -> list[InvoiceDocument]:
    """Documents of up to seven lines at up to three rates, with every last digit."""
    rates = ("19", "7", "25.5")
    return [
        standard(*((f"{n * 37 % 9973}.{n * i % 100:02}", rates[(n + i) % 3]) for i in range(1, n % 7 + 2)))
        for n in range(1, 1 + full(300))
    ]


def _without(made: bytes, *ends: bytes) -> bytes:
    """Without the lines that end so."""
    return b"\n".join(each for each in made.splitlines() if not each.strip().endswith(ends))


RATES = st.sampled_from(["19", "7", "25.5", "8.1", "5.5"])
LINES = st.lists(
    st.tuples(st.integers(0, 10**9).map(lambda minor: f"{minor / 100:.2f}"), RATES), min_size=1, max_size=9
)


@settings(max_examples=full(400), deadline=None)
@given(LINES)
def test_totals_and_groups_add_up_whatever_is_sold(pairs: list[tuple[str, str]]) -> None:
    told = of(standard(*pairs))
    lines, groups = told["BG-25"], told["BG-23"]
    assert sum(Decimal(each["BT-131"]) for each in lines) == Decimal(told["BT-106"])  # BR-CO-10
    assert sum(Decimal(each["BT-117"]) for each in groups) == Decimal(told["BT-110"])  # BR-CO-14
    assert Decimal(told["BT-109"]) + Decimal(told["BT-110"]) == Decimal(told["BT-112"])  # BR-CO-15
    assert Decimal(told["BT-112"]) - Decimal(told.get("BT-113", 0)) == Decimal(told["BT-115"])  # BR-CO-16
    for group in groups:
        same = [Decimal(each["BT-131"]) for each in lines if each["BT-152"] == group["BT-119"]]
        assert sum(same) == Decimal(group["BT-116"])  # BR-S-08
        assert Money.from_major(group["BT-116"], "EUR").percent(Decimal(group["BT-119"])) == Money.from_major(
            group["BT-117"], "EUR"
        )  # BR-S-09
    for syntax in Syntax:
        assert facturx.xml_check_xsd(xml(standard(*pairs), syntax))


def test_a_line_says_quantity_times_price_less_discount_also_where_no_price_of_one_led_to_it() -> None:
    first, graduated, odd = of(several())["BG-25"]
    assert (first["BT-129"], first["BT-146"], first["BG-27"][0]["amount"], first["BT-131"]) == (
        "10", "120.00", "120.00", "1080.00"
    )  # fmt: skip
    assert (graduated["BT-129"], graduated["BT-146"], graduated["BT-149"], graduated["BT-154"]) == (
        "7", "333.33", "7", "5 × 50.00 + 2 × 41.67"
    )  # fmt: skip
    assert (odd["BT-146"], odd["BT-149"], odd["BT-131"]) == ("50.00", "1", "49.99")
    told = of(several())
    assert (told["BT-6"], told["BT-111"]) == ("HUF", "27203.00")
    assert [(group["BT-119"], group["BT-116"], group["BT-117"]) for group in told["BG-23"]] == [
        ("19", "1413.33", "268.53"), ("7", "49.99", "3.50")
    ]  # fmt: skip


def test_what_is_owed_says_until_when_and_how_and_what_is_credited_names_its_invoice() -> None:
    told = of(owed())
    assert (told["BT-9"].isoformat(), told["BT-81"], told["BT-84"], told["BT-115"]) == (
        "2026-12-22", "30", "DE89370400440532013000", "1428.00"
    )  # fmt: skip
    assert (told["BT-13"], told["BT-73"].isoformat(), told["BT-74"].isoformat()) == (
        "PO-4500019284", "2026-11-22", "2027-11-21"
    )  # fmt: skip
    note = of(samples()["credit note"])
    assert (note["BT-3"], note["BG-3"][0]["BT-25"], note["BT-115"]) == ("381", "INV-2026-00017", "1428.00")
    assert b"<CreditNote" in xml(samples()["credit note"], Syntax.UBL) or b":CreditNote" in xml(
        samples()["credit note"], Syntax.UBL
    )
    assert any("TEST" in each["BT-22"] for each in of(samples()["online"])["BG-1"])


def test_facts_that_contradict_the_document_refuse_to_become_a_file() -> None:
    document = standard()
    assert document.electronic is not None
    for wrong in (
        replace(document.electronic, lines=()),
        replace(document.electronic, lines=(LineVat(VatCategory.STANDARD, Decimal(7)),)),
        replace(document.electronic, lines=(LineVat(VatCategory.EXEMPT),)),
    ):
        with pytest.raises(InconsistentDocument):
            of(replace(document, electronic=wrong))
    with pytest.raises(InconsistentDocument, match="credit note"):
        terms(DocumentKind.CREDIT_NOTE, document)
    with pytest.raises(ValueError, match="nothing to make"):
        of(invoice())


def test_the_pdf_carries_the_file_is_declared_for_what_it_is_and_is_the_same_seconds_later() -> None:
    document = shifted()
    pdf = render_pdf(DocumentKind.INVOICE, document, "en")
    name, inside = facturx.get_facturx_xml_from_pdf(pdf, check_xsd=True)
    assert (name, inside) == ("factur-x.xml", xml(document))
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    root: Any = reader.trailer["/Root"]
    metadata = root["/Metadata"].get_object().get_data().decode()
    for wanted in (
        "<pdfaid:part>3<", "<pdfuaid:part>1<", "<fx:ConformanceLevel>EN 16931<", "<fx:DocumentFileName>factur-x.xml<",
        "<pdfaSchema:prefix>fx<", "2026-11-22T12:00:00",
    ):  # fmt: skip
        assert metadata.count(wanted) >= 1, wanted
    assert root["/AF"][0].get_object()["/AFRelationship"] == "/Alternative"
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice INV-2026-00042"
    plain = render_pdf(DocumentKind.INVOICE, replace(document, electronic=None), "en")
    assert PdfReader(io.BytesIO(plain)).pages[0].extract_text() == reader.pages[0].extract_text()
    time.sleep(1.1)  # the stamps of a PDF are in seconds
    assert render_pdf(DocumentKind.INVOICE, document, "en") == pdf


def test_a_pdf_that_was_not_written_as_typst_writes_is_not_guessed_at() -> None:
    pdf = render_pdf(DocumentKind.INVOICE, shifted(electronic=None), "en")
    for foreign in (b"", pdf[:-40], pdf.replace(b"/Metadata", b"/Metadat_"), pdf.replace(b"</rdf:RDF>", b"</rdf_RDF>")):
        with pytest.raises(factur_x.NoMetadata):
            factur_x.declared(foreign)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_strangers_typed_is_said_literally(text: str) -> None:
    document = named(text)
    for syntax in Syntax:
        made = xml(document, syntax)
        assert facturx.xml_check_xsd(made)
        assert text in _texts(made)
    inside = facturx.get_facturx_xml_from_pdf(render_pdf(DocumentKind.INVOICE, document, "en"), check_xsd=False)[1]
    assert text in _texts(inside)


def _texts(made: bytes) -> set[str]:
    return {each.text for each in etree.fromstring(made).iter() if each.text}


def test_what_xml_cannot_hold_is_marked_and_a_name_of_a_megabyte_is_only_long() -> None:
    for syntax in Syntax:
        assert "a\ufffdb\ufffdc" in _texts(xml(named("a\x00b\ud800c"), syntax))
        assert "x" * 1_000_000 in _texts(xml(named("x" * 1_000_000), syntax))
