"""Whatever strangers type is printed as it was typed, on every document, or named where no font has it."""

import io
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from app.documents.legible import BOX
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, Party
from tests.documents.samples import BUYER, certificate, invoice, line, quote, quote_line, receipt, statement
from tests.world import full

# Every kind of document with one name in each place that a stranger fills.
MADE: Final[dict[DocumentKind, Callable[[Party, str], Any]]] = {
    DocumentKind.INVOICE: lambda buyer, name: invoice(buyer=buyer, po_number=name, lines=(line(description=name),)),
    DocumentKind.QUOTE: lambda buyer, name: quote(buyer=buyer, message=name, lines=(quote_line(description=name),)),
    DocumentKind.STATEMENT: lambda buyer, _: statement(buyer=buyer),
    DocumentKind.RECEIPT: lambda buyer, _: receipt(buyer=buyer),
    DocumentKind.CERTIFICATE: lambda _, name: certificate(company=name, person_name=name, user_agent=name),
}
FRAGMENTS: Final = (
    '#import "x": *', "{{7*7}}", '#read("/etc/passwd")', "$ x^2 $", "*b* _i_ `c` @r <l> [k] //", "\\u{41}\\",
    "<b>&amp;", "'; DROP TABLE invoice; --", "שלום עולם", "مرحبا", "株式会社", "😀👩‍👧", "\u202eevil\u2066",
    "e\u0301\u0327", "\u00adx\ufeff", "ﬁﬂ", "\U0001d54f", "Ω≈ç√∫", "--", "...", "=1+1", "\t\r\n", "%s %(x)s", "W" * 70,
)  # fmt: skip


def shown(kind: DocumentKind, name: str) -> str:
    buyer = replace(BUYER, name=name, contact=name, address=(name, "20457 Hamburg"))
    pdf = PdfReader(io.BytesIO(render_pdf(kind, MADE[kind](buyer, name), "en")))
    return "".join("".join(page.extract_text() for page in pdf.pages).split())


@pytest.mark.parametrize("kind", list(MADE))
def test_a_word_of_thousands_of_letters_is_printed_whole(kind: DocumentKind) -> None:
    assert shown(kind, "W" * 2_400).count("W") >= 2_400


def test_long_names_in_other_scripts_and_of_many_words_are_printed_whole() -> None:
    for name, mark in (("株" * 2_000, BOX), ("مرحبا" * 500, "م"), ("Very long " * 2_000, "V"), ("W" * 20_000, "W")):
        pdf = render_pdf(DocumentKind.RECEIPT, receipt(buyer=replace(BUYER, name=name)), "en")
        said = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
        assert said.count(mark) >= name.count(name[0])


@settings(max_examples=full(1_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map(" ".join), st.sampled_from(list(MADE)))
def test_what_looks_like_code_is_printed_and_never_run(name: str, kind: DocumentKind) -> None:
    said = shown(kind, name)
    assert "root:" not in said
    for fragment in name.split():
        if kind in {DocumentKind.INVOICE, DocumentKind.QUOTE} and fragment.isascii() and "-" not in fragment:
            # Beside words that are read from the right, signs stand in another order and brackets are mirrored.
            turned = any(unicodedata.bidirectional(char) in {"R", "AL"} for char in name)
            there = not Counter(fragment) - Counter(said) if turned else fragment in said
            assert there, (fragment, said)
    if kind is DocumentKind.INVOICE and any(unicodedata.category(char) == "Cf" and char != "\u200d" for char in name):
        assert BOX in said


def test_the_same_hostile_name_gives_the_same_bytes() -> None:
    name = " ".join(FRAGMENTS)
    drawn = {render_pdf(kind, MADE[kind](replace(BUYER, name=name), name), "de") for kind in MADE for _ in range(2)}
    assert len(drawn) == len(MADE)
