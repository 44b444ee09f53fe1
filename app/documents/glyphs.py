"""Which characters of a name our documents cannot show, for whoever asks for a name."""

import unicodedata
from functools import lru_cache
from typing import Final

from app.documents.legible import unprintable
from app.documents.press import press

# Latin with its additions, Greek, Cyrillic: every font of ours has the letters, so nobody has to be asked.
_SURE: Final = ((0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x17F), (0x386, 0x3CE), (0x400, 0x45F))


def not_drawn(text: str) -> str:
    """The characters that would be a box on paper, each once, in their order; empty where all can be read.

    Characters that only steer or hide text are among them, whatever the fonts say.
    """
    composed = unicodedata.normalize("NFC", text)
    boxed = {char for char in composed if unprintable(char)}
    asked = "".join(char for char in composed if char not in boxed)
    if not all(any(low <= ord(char) <= high for low, high in _SURE) for char in asked):
        boxed |= _without_glyph(asked)
    return "".join(dict.fromkeys(char for char in composed if char in boxed))


@lru_cache(maxsize=4_096)  # names come again: of an estimate, of an order, of the next
def _without_glyph(text: str) -> frozenset[str]:
    """Word by word, so that every missing character of a text is named and no letter for the mark upon it."""
    found: set[str] = set()
    pieces = text.split()
    while named := press("glyphs", None).undrawable(pieces):
        found |= named
        pieces = ["".join(char for char in piece if char not in named) for piece in pieces]
    return frozenset(found)
