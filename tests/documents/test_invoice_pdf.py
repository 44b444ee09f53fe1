"""Invoices read back from their own bytes (R-INV-5; Directive 2006/112/EC Art. 226)."""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from app.core.money import Money
from app.documents.legible import BOX
from app.documents.render_pdf import render_pdf
from app.documents.shapes import (
    Attachment,
    BankAccount,
    CopyOf,
    DocumentKind,
    InconsistentDocument,
    InvoiceDocument,
    Party,
    PaymentMethod,
    PaymentView,
    PrecedingInvoice,
    Span,
    TaxGroupView,
    TaxId,
    TaxInStateCurrency,
)
from tests.documents.samples import BUYER, FOOTER, SELLER, invoice, line
from tests.world import full


def read(document: InvoiceDocument, locale: str = "en", kind: DocumentKind = DocumentKind.INVOICE) -> PdfReader:
    return PdfReader(io.BytesIO(render_pdf(kind, document, locale)))


def words(pages: Iterable[str]) -> str:
    """All text on one line, as a reader's eye takes it."""
    return " ".join(" ".join(pages).split())


def text_of(document: InvoiceDocument, locale: str = "en", kind: DocumentKind = DocumentKind.INVOICE) -> str:
    return words(page.extract_text() for page in read(document, locale, kind).pages)


def taxed(net: str, currency: str, *groups: TaxGroupView, **changes: Any) -> InvoiceDocument:
    """Taxed where the buyer is, so without a reverse charge."""
    lines = (line(net, currency, tax_rates=tuple(group.rate for group in groups)),)
    return invoice(**({"lines": lines, "tax_groups": groups, "reverse_charge": None} | changes))


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def test_a_reverse_charge_invoice_says_all_that_the_directive_asks() -> None:
    shown = text_of(invoice(), "en-GB")
    for wanted in (
        "INV-2026-00042",
        "22 Nov 2026",
        "22 Nov 2026 – 21 Nov 2027",
        "Lindenhof Software Ltd. 4 Ely Place Dublin 2, D02 FR58 Ireland",
        "VAT ID IE 6388047V",
        "Hafenwerk Logistik GmbH Attn. Accounts payable Am Sandtorkai 37 20457 Hamburg Germany",
        "VAT ID DE 811907980",
        "PO-4500019284",
        "Enterprise, self-managed",
        "10 120.00 0% 1,200.00",
        "Total (EUR) €1,200.00",
        "Amount due €0.00",
        "Paid on 22 Nov 2026 by card ending in 4242",
        "Reverse charge The recipient of the supply owes the tax (Art. 44, 196 Directive 2006/112/EC).",
        "Supplier: IE 6388047V. Recipient: DE 811907980.",
        "Germany VAT 0% 1,200.00 0.00",
        *FOOTER,
        "Page 1 of 1",
    ):
        assert wanted in shown


def test_a_german_reader_gets_german_labels_and_figures() -> None:
    shown = text_of(invoice(), "de-DE")
    for wanted in (
        "Rechnung",
        "Leistungszeitraum",
        "USt-IdNr. DE 811907980",
        "Steuerschuldnerschaft des Leistungsempfängers",
        "Gesamtbetrag (EUR) 1.200,00 €",
        "Bezahlt am 22.11.2026 mit Karte, Endziffern 4242",
        "Seite 1 von 1",
    ):
        assert wanted in shown
    assert "Invoice" not in shown
    assert "Total" not in shown


def test_every_component_of_an_american_tax_has_its_row() -> None:
    net = usd(480000)
    shown = text_of(
        taxed(
            "4800.00",
            "USD",
            TaxGroupView("New York", "Sales tax", Decimal(4), net, usd(19200)),
            TaxGroupView("New York City", "Sales tax", Decimal("4.5"), net, usd(21600)),
            TaxGroupView("MCTD", "Sales tax", Decimal("0.375"), net, usd(1800)),
        ),
        "en-US",
    )
    assert "New York Sales tax 4% 4,800.00 192.00" in shown
    assert "MCTD Sales tax 0.375% 4,800.00 18.00" in shown
    assert "10 480.00 8.875% 4,800.00" in shown
    assert "Total (USD) $5,226.00" in shown
    assert "Reverse charge" not in shown


def test_jurisdictions_are_named_and_not_coded() -> None:
    codes = ("DE", "US-NY", "US-IL-CHICAGO", "CA-QC", "EL", "US-ZZ", "MCTD", "XX-1", "")
    groups = [TaxGroupView(code, "VAT", Decimal(1), Money(100, "EUR"), Money(1, "EUR")) for code in codes]
    shown = text_of(taxed("1.00", "EUR", *groups), "de")
    for name in ("Deutschland", "New York", "Chicago, Illinois", "Griechenland", "US-ZZ", "MCTD", "XX-1"):
        assert f"{name} USt 1 % 1,00 0,01" in shown


def test_what_is_open_says_until_when_and_how_to_pay() -> None:
    document = invoice(
        payments=(PaymentView(date(2026, 11, 30), Money(20000, "EUR"), PaymentMethod.WIRE, reference="TX 7"),),
        due_on=date(2026, 12, 22),
        bank=BankAccount("Lindenhof Software Ltd.", "INV-2026-00042", iban="IE64 IRCE 9205 0112 3456 78"),
        pay_url="https://billing.example/pay/7",
    )
    reader = read(document)
    shown = words(page.extract_text() for page in reader.pages)
    assert "€1,000.00 Due on Dec 22, 2026" in shown
    assert "Paid on Nov 30, 2026 by bank transfer, €200.00, reference TX 7" in shown
    assert "Paid −€200.00 Amount due €1,000.00" in shown
    assert "IBAN IE64 IRCE 9205 0112 3456 78 Reference INV-2026-00042" in shown
    links = [note.get_object()["/A"]["/URI"] for page in reader.pages for note in page.get("/Annots", [])]
    assert links == ["https://billing.example/pay/7"]


def test_tax_is_repeated_in_the_currency_of_the_state_that_gets_it() -> None:
    vat = TaxGroupView("United Kingdom", "VAT", Decimal(20), Money(120000, "EUR"), Money(24000, "EUR"))
    there = TaxInStateCurrency(Money(20160, "GBP"), Decimal("0.84"), date(2026, 11, 20), "ECB")
    shown = text_of(taxed("1200.00", "EUR", vat, tax_in_state_currency=there))
    assert "Tax in GBP £201.60 at 1 EUR = 0.84 GBP (ECB, Nov 20, 2026)." in shown


def test_reasons_for_not_taxing_are_printed_in_the_words_of_the_determination() -> None:
    shown = text_of(invoice(tax_groups=(), tax_notes=("Exempt: resale certificate TX-118.",), reverse_charge=None))
    assert "Exempt: resale certificate TX-118." in shown
    assert "Tax summary" not in shown


def test_a_tax_representative_is_named_with_address_and_number() -> None:
    fiscal = Party("Fides Fiskal AG", ("Bahnhofstrasse 1", "8001 Zürich"), "CH", (TaxId("ch_vat", "CHE-116.281.710"),))
    shown = text_of(invoice(tax_representative=fiscal))
    assert "Tax representative Fides Fiskal AG, Bahnhofstrasse 1, 8001 Zürich, UID/VAT no. CHE-116.281.710" in shown


def test_a_credit_note_names_the_invoice_it_corrects() -> None:
    document = invoice(
        number="CN-2026-00003",
        payments=(),
        credits=PrecedingInvoice("INV-2026-00042", date(2026, 11, 22), "Two seats returned"),
    )
    shown = text_of(document, kind=DocumentKind.CREDIT_NOTE)
    for wanted in ("Credit note", "CN-2026-00003", "Credited to invoice INV-2026-00042", "Two seats returned"):
        assert wanted in shown
    assert "Rechnungskorrektur" in text_of(document, "de", DocumentKind.CREDIT_NOTE)


def test_kind_and_content_must_belong_together() -> None:
    with pytest.raises(InconsistentDocument, match="names what it credits"):
        render_pdf(DocumentKind.CREDIT_NOTE, invoice(), "en")
    with pytest.raises(TypeError, match="certificate"):
        render_pdf(DocumentKind.CERTIFICATE, invoice(), "en")


def test_a_test_document_shows_it_on_every_page() -> None:
    pages = [page.extract_text() for page in read(invoice(test_mode=True, lines=(line(),) * 60)).pages]
    assert len(pages) > 1
    assert all("TEST" in page for page in pages)
    assert "TEST" not in text_of(invoice())


def test_a_copy_in_another_language_says_so_and_names_the_original() -> None:
    shown = text_of(invoice(copy_of=CopyOf("en", "ab" * 32)), "de")
    assert "KOPIE" in shown
    assert "Englisch" in shown
    assert "ab" * 32 in shown.replace(" ", "")
    assert "COPY" not in text_of(invoice())


def test_figures_that_do_not_add_up_are_never_printed() -> None:
    for wrong in ("subtotal", "tax_total", "total", "amount_due"):
        with pytest.raises(InconsistentDocument, match=r"parts make"):
            invoice(**{wrong: Money(1, "EUR")})
    with pytest.raises(InconsistentDocument, match="cannot end"):
        Span(date(2026, 1, 1), date(2026, 1, 1))


def test_two_hundred_lines_run_over_pages_with_the_heading_on_each() -> None:
    lines = tuple(line(description=f"Workspace {number}") for number in range(200))
    reader = read(invoice(lines=lines))
    pages = [words([page.extract_text()]) for page in reader.pages]
    carrying = [page for page in pages if "Workspace" in page]
    assert len(carrying) > 5
    assert all("Description Quantity Unit price Tax Net (EUR)" in page for page in carrying)
    assert all(f"Page {at} of {len(pages)}" in page for at, page in enumerate(pages, 1))
    assert all("Invoice INV-2026-00042" in page for page in pages[1:])
    assert all(f"Workspace {number} " in " ".join(pages) for number in range(200))


def test_paper_is_what_the_buyer_can_print_on() -> None:
    american = replace(BUYER, country="US")
    assert [round(side) for side in read(invoice()).pages[0].mediabox[2:]] == [595, 842]
    assert [round(side) for side in read(invoice(buyer=american)).pages[0].mediabox[2:]] == [612, 792]


def test_the_same_facts_give_the_same_bytes_from_any_thread() -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(lambda _: render_pdf(DocumentKind.INVOICE, invoice(), "de"), range(12)))
    assert len(drawn) == 1


def test_what_the_fonts_could_not_draw_before_does_not_change_what_is_drawn_now() -> None:
    document = invoice(buyer=replace(BUYER, name="中村 株式会社"))
    first = render_pdf(DocumentKind.INVOICE, document, "en")
    render_pdf(DocumentKind.INVOICE, invoice(buyer=replace(BUYER, name="한국 ไทย")), "en")
    assert render_pdf(DocumentKind.INVOICE, document, "en") == first


def test_the_file_claims_to_be_archival_and_accessible_and_says_its_language() -> None:
    reader = read(invoice(), "de-AT")
    xmp = reader.xmp_metadata
    assert xmp is not None
    assert (xmp.pdfaid_part, xmp.pdfaid_conformance) == ("3", "B")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in xmp.stream.get_data()
    assert "/StructTreeRoot" in reader.root_object
    assert str(reader.root_object["/Lang"]) == "de-AT"
    assert "/OutputIntents" in reader.root_object
    assert reader.metadata is not None
    assert reader.metadata.title == "Rechnung INV-2026-00042"
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.date() == date(2026, 11, 22)


def test_an_attached_file_comes_out_as_it_went_in() -> None:
    xml = "<Invoice>Bl\u00e4tter & 中村 \u202e</Invoice>\n"
    file = Attachment("en16931.xml", xml, "text/xml", "alternative", "EN 16931 invoice")
    reader = read(invoice(attachments=(file,)))
    assert reader.attachments["en16931.xml"] == [xml.encode()]
    assert "/AF" in reader.root_object


HOSTILE = (
    '#evil("x")',
    "{{7*7}}",
    "<img src=file:///etc/passwd>",
    '#read("/etc/passwd")',
    "$x$ *b* _i_ @ref [c]",
    "\\u{41}",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_text_that_looks_like_code_is_printed_as_it_was_typed(name: str) -> None:
    assert name in text_of(invoice(buyer=replace(BUYER, name=name), message=name))


def test_a_character_without_a_glyph_becomes_a_box_that_is_explained() -> None:
    shown = text_of(invoice(buyer=replace(BUYER, name="中村 Ltd.", address=("😀 Street",))))
    assert f"{BOX}{BOX} Ltd." in shown
    assert f"{BOX} Street" in shown
    assert "not in the fonts of this document: U+4E2D U+6751 U+1F600." in shown
    assert BOX not in text_of(invoice(buyer=replace(BUYER, name="Łódź Ελλάς Україна שלום مرحبا")))


def test_a_rare_mark_costs_only_itself_and_no_letter() -> None:
    shown = text_of(
        invoice(buyer=replace(BUYER, name="Circle\u20dd Ж\u20dd Ltd.", contact="Железнов 👩\u200d👧 ❤\ufe0f"))
    )
    assert f"Circle{BOX} Ж{BOX} Ltd." in shown
    assert f"Железнов {BOX}{BOX}" in shown


def test_a_name_cannot_turn_the_line_it_stands_in_around() -> None:
    shown = text_of(invoice(buyer=replace(BUYER, name="Alder\u202e.dtL")))
    assert f"Alder{BOX}.dtL" in shown
    assert "U+202E" in shown


@pytest.mark.parametrize("name", ["W" * 300, "Aktien" * 50, "Long Company Name " * 17, "Ä" * 300])
def test_a_name_of_300_characters_stays_on_the_page(name: str) -> None:
    reader = read(invoice(buyer=replace(BUYER, name=name), seller=replace(SELLER, name=name)))
    right_edge = float(reader.pages[0].mediabox.right)
    starts: list[float] = []
    reader.pages[0].extract_text(
        visitor_text=lambda text, _cm, tm, _font, _size: starts.append(tm[4]) if text else None
    )
    assert max(starts) < right_edge
    pieces = "".join(page.extract_text() for page in reader.pages).replace("\n", "")
    assert name.replace(" ", "")[:40] in pieces.replace(" ", "")


typed = st.text(st.characters(exclude_categories=()), max_size=80)


@settings(max_examples=full(2_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("\u0378\ud800\x00\x1b[0m", "e\u20dd\U000e0041", "\u200d\ufe0f👨\u200d👩\u200d👧")
@given(typed, typed, typed)
def test_nothing_anybody_types_breaks_an_invoice(name: str, street: str, detail: str) -> None:
    buyer = Party(name, (street,), "DE", (TaxId("eu_vat", street),), contact=name)
    pdf = render_pdf(DocumentKind.INVOICE, invoice(buyer=buyer, lines=(line(detail=detail),), po_number=detail), "en")
    assert "INV-2026-00042" in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


def test_a_pay_link_can_only_lead_to_the_web() -> None:
    for url in ("javascript:alert(1)", "file:///etc/passwd", "https://x.example/\nevil", ""):
        with pytest.raises(ValueError, match="http"):
            invoice(pay_url=url)


def test_a_folder_without_fonts_changes_nothing(tmp_path: Path) -> None:
    drawn = render_pdf(DocumentKind.INVOICE, invoice(), "en", font_dir=tmp_path)
    assert drawn == render_pdf(DocumentKind.INVOICE, invoice(), "en")
