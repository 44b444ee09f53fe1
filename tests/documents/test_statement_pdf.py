"""Statements of account read back from their own bytes: what is owed, how it came about, how old it is."""

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from app.core.money import Money
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, InconsistentDocument
from app.documents.statement_shapes import StatementDocument
from tests.documents.samples import statement


def text_of(document: StatementDocument, locale: str) -> str:
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.STATEMENT, document, locale)))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        ("en-GB", ("Statement of account", "€710.00", "owed to us on 31 Dec 2026", "Invoice LH-000041",
                   "PO number PO-4711", "Credit note LH-CN-000002 to invoice LH-000041", "€50.00 of credit, LH-000041",
                   "Refund of LH-000030", "303 days overdue", "IBAN DE02")),
        ("de", ("Kontoauszug", "710,00", "am 31.12.2026 zu zahlen", "Rechnung LH-000041", "Bestellnummer PO-4711",
                "Rechnungskorrektur LH-CN-000002", "50,00 € Guthaben, LH-000041", "303 Tage überfällig")),
    ],
)  # fmt: skip
def test_a_statement_says_what_is_owed_and_how_it_came_about(locale: str, wanted: tuple[str, ...]) -> None:
    shown = text_of(statement(), locale)
    for words in wanted:
        assert words in shown, (words, shown)


def test_a_balance_in_favour_asks_for_nothing() -> None:
    paid = statement(
        rows=(*statement().rows[:1], replace(statement().rows[1], amount=Money(-133000, "EUR"))), open_rows=(),
        closing=Money(-1_000, "EUR"), owed=Money(0, "EUR"), test_mode=True,
    )  # fmt: skip
    shown = text_of(paid, "en-GB")
    assert "in your favour" in shown
    assert "−€10.00" in shown
    assert "IBAN" not in shown
    assert "made in test mode" in shown


def test_figures_that_do_not_add_up_are_never_printed() -> None:
    with pytest.raises(InconsistentDocument, match="do not lead"):
        statement(closing=Money(1, "EUR"))
    with pytest.raises(InconsistentDocument, match="open invoices"):
        statement(owed=Money(1, "EUR"))
