"""Names that our documents can show: asked at the door, because a row of boxes names nobody on an invoice (R-INV-5).

What was stored before is still printed, its boxes named in the notes; the electronic form holds it as it was given.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

from app.accounts.service import BuyerDetails
from app.core.errors import Invalid
from app.documents.glyphs import not_drawn

_TOLD: Final = 10  # characters; who typed the name knows the rest
_FIELDS: Final = ("name", "company", "line1", "line2", "city", "region", "postcode")


def require(fields: Mapping[str, str]) -> None:
    """Raises Invalid, naming the first field that has a character without a glyph and what to write instead."""
    for name, value in fields.items():
        if found := not_drawn(value):
            told = " ".join(map(_told, found[:_TOLD]))
            raise Invalid(f"Our documents cannot show {told}: {_remedy(found)}.", param=name)


def require_buyer(buyer: BuyerDetails) -> None:
    """Raises Invalid naming the part of the name or address."""
    require({name: getattr(buyer, name) for name in _FIELDS})


def _remedy(found: str) -> str:
    """Letters can be written otherwise; what steers, like a tab, can only go."""
    if any(unicodedata.category(char)[0] != "C" for char in found):
        return "write it in Latin letters, as a register or a bank abroad does"
    return "leave it out"


def _told(char: str) -> str:
    """The character itself where a reader can see it."""
    return char if unicodedata.category(char)[0] in "LNPS" else f"U+{ord(char):04X}"
