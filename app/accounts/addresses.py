"""E-mail addresses as this installation compares them."""

import re
from typing import Final

from app.core.errors import Invalid

# Deliberately loose: the proof that an address works is the mail that arrives there.
_FORM: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_LONGEST: Final = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets


def normal_email(text: str) -> str:
    """Trimmed and in lower case. Raises Invalid for what cannot be an address."""
    address = text.strip().lower()
    if len(address) > _LONGEST or not address.isprintable() or not _FORM.fullmatch(address):
        raise Invalid("An e-mail address looks like name@company.example.", param="email")
    return address
