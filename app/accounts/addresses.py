"""E-mail addresses as this installation compares them, and what a postal address has to have."""

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


# Countries whose addresses have no postcode, or where using one is up to the sender (Universal Postal Union).
_WITHOUT_POSTCODES: Final = frozenset(
    "AE AG AO AW BF BI BJ BO BS BW BZ CD CF CG CI CK CM CW DJ DM ER FJ GA GD GH GM GQ GY HK IE JM KI KM "
    "KN KP LC LY ML MO MR MW NR NU PA QA RW SB SC SL SR SS ST SX SY TD TG TK TL TO TT TV UG VU YE ZW".split()
)


def has_postcodes(country: str) -> bool:
    """Whether an address there has a postcode; `country` is ISO 3166-1 alpha-2."""
    return country not in _WITHOUT_POSTCODES
