"""Quotes read back from their own bytes: what is offered, until when, and how to say yes."""

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from app.core.money import Money
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, ExportClassView, InconsistentDocument, QuoteDocument, YearDue
from tests.documents.samples import quote, quote_line


def text_of(document: QuoteDocument, locale: str = "en") -> str:
    reader = PdfReader(io.BytesIO(render_pdf(DocumentKind.QUOTE, document, locale)))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_a_quote_says_what_it_costs_until_when_and_what_was_taken_off() -> None:
    shown = text_of(quote(net_days=30, message="As discussed."), "en-GB")
    for wanted in (
        "Quote", "Q-2026-00017-r2", "€11,781.00", "Valid until 22 Dec 2026", "1 year", "Invoice, 30 days net",
        "Hafenwerk Logistik GmbH Attn. Accounts payable", "VAT ID DE 811907980", "less 10%: €1,100.00",
        "100 110.00 19% 9,900.00", "List total €11,000.00", "Discount −€1,100.00", "VAT Germany 19% €1,881.00",
        "Total (EUR) €11,781.00", "As discussed.", "Accept with one click", "The Terms of sale, version 3, apply.",
    ):  # fmt: skip
        assert wanted in shown, wanted
    assert "Signature" not in shown


def test_from_the_threshold_on_there_is_a_place_to_sign() -> None:
    shown = text_of(quote(needs_signature=True), "en-GB")
    for wanted in ("We accept quote Q-2026-00017-r2", "Function", "Place and date", "Signature", "PO number"):
        assert wanted in shown
    assert "one click" not in shown


def test_a_draft_and_a_closed_quote_cannot_be_taken_for_an_open_one() -> None:
    draft, closed = text_of(quote(draft=True)), text_of(quote(closed=True, needs_signature=True))
    assert "DRAFT" in draft
    assert "How to accept" not in draft
    assert "Was valid until" in closed
    assert "Place and date" not in closed


def test_an_agreement_and_the_test_mode_are_named() -> None:
    shown = text_of(quote(agreement="Master agreement 2026", test_mode=True), "de")
    assert "Für dieses Angebot gilt „Master agreement 2026“; wo es anderes sagt, geht es vor." in shown
    assert "Es ist kein Angebot." in shown
    assert "Angebot" in shown
    assert "Gültig bis 22.12.2026" in shown
    assert "11.781,00" in shown


def test_how_it_is_classified_for_export_is_said_in_both_languages() -> None:
    classes = (
        ExportClassView(("Professional", "Premier support"), "5D992.c", "NLR", "G123456"),
        ExportClassView(("Enterprise",), "5D002", "ENC 740.17(b)(1)"),
    )
    assert (
        "Export classification Professional, Premier support: ECCN 5D992.c, authorisation NLR, CCATS G123456."
        " Enterprise: ECCN 5D002, authorisation ENC 740.17(b)(1)." in text_of(quote(export_classes=classes))
    )
    german = text_of(quote(export_classes=classes), "de")
    assert "Exportklassifizierung Professional, Premier support: ECCN 5D992.c, Genehmigung NLR" in german
    assert "Export classification" not in text_of(quote())


def test_a_term_billed_yearly_says_what_is_due_when_in_both_languages() -> None:
    years = tuple(YearDue(year, Money(990_000, "EUR"), Money(188_100, "EUR")) for year in (1, 2, 3))
    shown = text_of(quote(months=36, payments=years, net_days=30), "de")
    for wanted in ("Rechnung, 30 Tage netto, jährlich berechnet", "Innerhalb von 30 Tagen nach Annahme",
                   "Innerhalb von 30 Tagen nach Beginn des 3. Jahres", "Erstes Jahr (EUR) 11.781,00",
                   "Die ganze Laufzeit 29.700,00 5.643,00 35.343,00", "zu den Sätzen seines ersten Tages"):  # fmt: skip
        assert wanted in shown, wanted
    assert "At the start of year 2 9,900.00 1,881.00 11,781.00" in text_of(quote(months=36, payments=years))


def test_a_change_says_what_the_earlier_plan_gives_back_and_what_is_left_to_pay() -> None:
    line = replace(quote_line(), days=(200, 365))
    shown = text_of(quote(lines=(line,), months=None, credit=Money(100_000, "EUR"), due=Money(1_078_100, "EUR")), "de")
    for wanted in ("für 200 von 365 Tagen", "Mit Steuer 11.781,00", "mit seiner Steuer −1.000,00",
                   "Zu zahlen (EUR) 10.781,00", "Bis zum Ende der laufenden"):  # fmt: skip
        assert wanted in shown, wanted
    more = text_of(quote(months=None, credit=Money(1_200_000, "EUR"), due=Money.zero("EUR")))
    assert "Stays to your credit €219.00 To pay (EUR) €0.00" in more
    carried = text_of(quote(months=None, due=Money.zero("EUR")))
    assert "Goes on the next invoice −€11,781.00 To pay (EUR) €0.00" in carried
    with pytest.raises(InconsistentDocument, match="less than its credit leaves"):
        quote(credit=Money(100, "EUR"), due=Money.zero("EUR"))


def test_figures_that_contradict_each_other_are_never_printed() -> None:
    with pytest.raises(InconsistentDocument, match="does not lead to its net"):
        quote(lines=(replace(quote_line(), net=Money(1, "EUR")),))
    with pytest.raises(InconsistentDocument, match="total is"):
        quote(total=Money(1, "EUR"))


def test_the_same_quote_is_the_same_bytes_and_many_lines_go_over_pages() -> None:
    many = quote(lines=tuple(quote_line() for _ in range(60)), needs_signature=True)
    drawn = render_pdf(DocumentKind.QUOTE, many, "de")
    assert drawn == render_pdf(DocumentKind.QUOTE, many, "de")
    assert len(PdfReader(io.BytesIO(drawn)).pages) > 2
