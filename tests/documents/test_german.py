"""A German document speaks German: nothing of our English catalogue is left on it, on paper or in its XML."""

import re
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from app.core.i18n import translate
from app.documents.electronic_shapes import Syntax
from app.documents.en16931 import electronic_xml
from app.documents.notes import in_words
from app.documents.render_pdf import render_pdf
from app.documents.shapes import InvoiceDocument
from app.tax import canada, dataset, eu, ruling
from app.tax.models import CertificateReason
from app.tax.request import Exemption
from tests.documents.reading import left_in, text_of
from tests.documents.specimens import specimens

GERMAN: Final = translate("de")


@pytest.mark.parametrize("name", list(specimens("de")))
def test_nothing_english_is_left_on_a_german_document(name: str) -> None:
    kind, document = specimens("de")[name]
    shown = text_of(render_pdf(kind, document, "de"))
    assert left_in(shown) == []
    assert len(left_in(text_of(render_pdf(kind, document, "en")))) > 5, "the rule finds English where there is some"


def test_nor_in_its_electronic_form() -> None:
    drawn = {name: (kind, each) for name, (kind, each) in specimens("de").items() if isinstance(each, InvoiceDocument)}
    made = 0
    for name, (kind, document) in drawn.items():
        assert isinstance(document, InvoiceDocument)
        if document.electronic is None:
            continue
        made += 1
        for syntax in Syntax:
            assert left_in(said(electronic_xml(kind, document, syntax, "de"))) == [], (name, syntax)
    assert made > 5
    kind, document = drawn["invoice-shifted"]
    assert isinstance(document, InvoiceDocument)
    assert "Steuerschuldnerschaft des Leistungsempfängers" in said(electronic_xml(kind, document, Syntax.CII, "de"))


def said(made: bytes) -> str:
    """Every text of an XML file, each ended, so that two of them never make a sentence."""
    return " | ".join(each.text.strip() for each in ET.fromstring(made).iter() if each.text and each.text.strip())  # noqa: S314  # we wrote it


def notes() -> dict[str, str]:
    """Whatever a determination can print, by what it comes from."""
    found = {
        code: f"{country.note}. Customer number AB1."
        for code, country in dataset.load().world.items()
        if country.note
    }  # fmt: skip
    found["EU"] = f"{eu.ARTICLE_196}. Customer VAT number DE811907980. Supplier VAT number IE6388047V."
    found["CA"] = f"{canada.RELIEF_NOTE}."
    for reason in ("", *CertificateReason):
        for number in ("", "RS-1.7"):
            paper = Exemption("US-NY", reason, number)
            found[f"{reason} {number}"] = ruling.exempt("US-NY", "New York", paper).note
    found["CA both"] = f"{canada.RELIEF_NOTE}. {ruling.exempt('CA-BC', 'X', Exemption('CA-BC', 'resale', 'R 1')).note}"
    return found


@pytest.mark.parametrize("note", notes().values(), ids=notes().keys())
def test_every_note_of_a_determination_is_said_in_german_with_its_numbers(note: str) -> None:
    shown = in_words(note, GERMAN)
    assert left_in(shown) == []
    assert left_in(note) != []
    for number in re.findall(r"[A-Z]{2}-?\d[\w.-]*\w", note.replace("2006/112/EC", "")):
        assert number in shown
    assert in_words(note, translate("en")) == note.replace("_", " ")


def test_what_was_said_in_german_is_said_again_in_english() -> None:
    german = "Sie ersetzt Rechnung INV-7, die vollständig gutgeschrieben wurde."
    assert in_words(german, translate("en")) == "It replaces invoice INV-7, which was credited in full."
    assert in_words(german, GERMAN) == german
    assert in_words("The agreement “A. B.” applies.", GERMAN) == "Es gilt die Vereinbarung „A. B.“."


@pytest.mark.parametrize(
    "own", ["Befreit nach § 4 Nr. 1. Siehe Akte 7.", "As agreed. See file 7.", "x" * 5_000, "", ". . ."]
)
def test_the_words_of_an_operator_stay_as_they_are(own: str) -> None:
    assert in_words(own, GERMAN) == own
