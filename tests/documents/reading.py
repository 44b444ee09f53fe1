"""What a document says, as a test reads it, and which English it is in."""

import io
import re
from functools import cache
from typing import Final

from babel.messages.pofile import read_po
from pypdf import PdfReader

from app.core.i18n import CATALOGS

_LEAST: Final = 3  # letters outside of the placeholders, without which a sentence could be anything


@cache
def english() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every sentence of the catalogue that is another one in German, as it looks when it is filled.

    A word that German uses too (the Tax of “Sales Tax”) is no sign of English.
    """
    with (CATALOGS / "de" / "messages.po").open("rb") as source:
        catalog = read_po(source, locale="de")
    found, german = {}, []
    for message in catalog:
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        for original, translated in zip(ids, strings, strict=True):
            parts = re.split(r"%\(\w+\)s|\{\w+\}", str(original))
            german.append(str(translated))
            if original != translated and sum(char.isalpha() for part in parts for char in part) >= _LEAST:
                made = r"\S.{0,200}?".join(re.escape(" ".join(part.split(" "))) for part in parts)
                found[str(original)] = re.compile(rf"(?<!\w){made}(?!\w)")
    return tuple((each, pattern) for each, pattern in found.items() if not any(map(pattern.search, german)))


def left_in(text: str) -> list[str]:
    """The English sentences of the catalogue that a German text still has."""
    said = " ".join(text.split())
    return [original for original, pattern in english() if pattern.search(said)]


def text_of(pdf: bytes) -> str:
    """On one line, page after page."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())
