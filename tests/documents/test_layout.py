"""What a reader may expect of every page: nothing torn apart, nothing cut off, nothing repeated without need."""

import io
import time
from decimal import Decimal
from typing import Final

import pytest
from pypdf import PdfReader

from app.documents.press import press
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, InvoiceDocument, QuoteDocument
from tests.documents.samples import invoice, line, quote, quote_line
from tests.documents.specimens import specimens
from tests.world import FULL

# Around the lengths at which the lines fill a page, where totals were once left alone on the next.
COUNTS: Final = (1, 8, 9, 10, 11, 12, 13, 14, 15, 16, 34, 35, 36, 37)


def pages(kind: DocumentKind, document: InvoiceDocument | QuoteDocument, language: str = "en") -> list[str]:
    reader = PdfReader(io.BytesIO(render_pdf(kind, document, language)), strict=True)
    return [" ".join(page.extract_text().split()) for page in reader.pages]


@pytest.mark.parametrize("count", COUNTS)
def test_totals_take_a_line_with_them_wherever_they_stand(count: int) -> None:
    bill = invoice(lines=tuple(line(description=f"Workspace {at}") for at in range(count)))
    offer = quote(lines=tuple(quote_line(description=f"Workspace {at}") for at in range(count)))
    for found in (pages(DocumentKind.INVOICE, bill), pages(DocumentKind.QUOTE, offer)):
        (ending,) = [page for page in found if "Total (EUR)" in page]
        assert f"Workspace {count - 1} " in ending
        assert sum(page.count("Total (EUR)") for page in found) == 1


def test_a_last_line_longer_than_a_page_breaks_instead_of_running_off_it() -> None:
    last = line(description="Seat " * 2_000, tax_rates=(Decimal(19),))
    found = pages(DocumentKind.INVOICE, invoice(lines=(line(), last)))
    assert len(found) > 2
    assert sum(page.count("Seat ") for page in found) == 2_000
    assert "Total (EUR)" in found[-1]


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_says_which_it_is_and_from_the_second_on_of_what(language: str) -> None:
    of = {"en": "Page {0} of {1}", "de": "Seite {0} von {1}"}[language]
    for name, (kind, document) in specimens(language).items():
        reader = PdfReader(io.BytesIO(render_pdf(kind, document, language)), strict=True)
        shown = [" ".join(page.extract_text().split()) for page in reader.pages]
        assert all(of.format(at, len(shown)) in page for at, page in enumerate(shown, 1)), name
        number = getattr(document, "number", "EUR")
        assert all(number in page for page in shown), name


def test_the_signature_of_a_quote_comes_after_all_that_is_signed() -> None:
    (kind, offer) = specimens("en")["quote-3-years"]
    assert isinstance(offer, QuoteDocument)
    shown = " ".join(pages(kind, offer))
    assert shown.index("Notes") < shown.index("We accept quote")


def test_seconds_later_and_from_another_press_every_document_is_the_same_to_the_byte() -> None:
    def drawn() -> dict[tuple[str, str], bytes]:
        made = {}
        for language in ("en", "de") if FULL else ("de",):
            for name, (kind, document) in specimens(language).items():
                made[name, language] = render_pdf(kind, document, language)
        return made

    first = drawn()
    time.sleep(1.1)  # the stamps of a PDF are in seconds
    press.cache_clear()
    again = drawn()
    assert [each for each in first if first[each] != again[each]] == []
    assert len(set(first.values())) == len(first)
