"""Receipts read back from their own bytes."""

import io

import pytest
from pypdf import PdfReader

from app.core.money import Money
from app.documents.receipt_shapes import ReceiptDocument
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, InconsistentDocument
from tests.documents.samples import receipt


def text_of(document: ReceiptDocument, locale: str) -> str:
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.RECEIPT, document, locale)))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        ("en-GB", ("Receipt", "€1,830.00", "Received on 22 Nov 2026", "Bank transfer", "SEPA-77",
                   "LH-000041 1 Nov 2026 1,320.00 1,320.00", "LH-000042 8 Nov 2026 999.00 500.00",
                   "Kept as your credit 10.00", "It is no invoice")),
        ("de", ("Zahlungsbeleg", "1.830,00", "Eingegangen am 22.11.2026", "Überweisung",
                "LH-000042 08.11.2026 999,00 500,00", "Als Ihr Guthaben geführt 10,00", "keine Rechnung")),
    ],
)  # fmt: skip
def test_a_receipt_says_what_came_in_and_what_it_paid(locale: str, wanted: tuple[str, ...]) -> None:
    shown = text_of(receipt(), locale)
    for words in wanted:
        assert words in shown, (words, shown)


def test_money_that_paid_no_invoice_is_the_customers_and_parts_make_the_whole() -> None:
    shown = text_of(receipt(invoices=(), credited=Money(183_000, "EUR"), test_mode=True), "en")
    assert "Kept as your credit 1,830.00" in shown
    assert "No money was received." in shown
    with pytest.raises(InconsistentDocument, match="parts do not make"):
        receipt(credited=Money(999, "EUR"))
