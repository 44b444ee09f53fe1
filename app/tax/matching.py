"""Whether what a registry tells of a number is the buyer who gave it. Told to staff; it decides nothing (ADR 0046)."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

SAME, DIFFERS, NOT_TOLD = "same", "differs", "not_told"
# Forms of companies, which are written out here and shortened there.
_FORMS: Final = frozenset(
    "ab ag aps as asa bv bvba co company corp corporation cv doo eeig eg gmbh gbr inc incorporated kft kg kgaa limited "
    "llc llp ltd mbh nv oo ood oy oyj plc public sa sas se sl slu spa sp spzoo srl sro uab ug vof zoo z o".split()
)
_LETTERS: Final = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "œ": "oe"})


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who gave the number, as typed."""

    company: str = ""
    postcode: str = ""


def name(given: str, told: str) -> str:
    """Whether two names of a company are one, whatever their case, accents, order and legal form."""
    if not given or not told:
        return NOT_TOLD
    left, right = _words(given), _words(told)
    if not left or not right:
        return SAME if _plain(given).split() == _plain(told).split() else DIFFERS
    return SAME if left <= right or right <= left else DIFFERS


def address(postcode: str, told: str) -> str:
    """Whether the postcode stands in an address, which registries write in no fixed order."""
    wanted = _compact(postcode)
    if not wanted or not told:
        return NOT_TOLD
    return SAME if wanted in _compact(told) else DIFFERS


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return re.sub(r"[^\w]+", " ", "".join(char for char in decomposed if not unicodedata.combining(char)))


def _words(text: str) -> frozenset[str]:
    # S.p.A. and Sp. z o.o. lose their dots first, so that they are a form and not letters.
    joined = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", text)
    return frozenset(_plain(joined).split()) - _FORMS


def _compact(text: str) -> str:
    return "".join(char for char in text.upper() if char.isalnum())
