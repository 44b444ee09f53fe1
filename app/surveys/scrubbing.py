"""Taking contact data and credentials out of free text before it leaves (R-NPS-4). Pure.

It errs on the side of taking out too much: a comment that lost an order number is still a comment.
"""

import re
from typing import Final

_ADDRESS: Final = re.compile(r"\S+@\S+")
_LINK: Final = re.compile(r"(?i)\b(?:[a-z][a-z0-9+.-]*://|www\.)\S+")
_SITE: Final = re.compile(r"(?i)^(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?::\d+)?/?[.,;:!?)\]]*$")
_DATE: Final = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_DIGITS: Final = re.compile(r"(?<!\w)[+(]{0,2}\d(?:[\s().\-/]{0,3}\d){6,}(?!\w)")
# Keys, tokens, license files: long runs without a space. No word of a comment is this long.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_\-+/=.]{32,}")


def scrub(text: str) -> str:
    """Without e-mail addresses, phone and card numbers, keys, and links other than a bare site."""
    text = _ADDRESS.sub("[e-mail]", text)
    text = _LINK.sub(lambda found: _site_or_nothing(found[0]), text)
    text = _DIGITS.sub(lambda found: found[0] if _DATE.match(found[0]) else "[number]", text)
    return _TOKEN.sub("[removed]", text)


def _site_or_nothing(link: str) -> str:
    site = _SITE.match(link)
    return site[1] if site else "[link]"
