"""The second factor: six digits that change every 30 seconds (RFC 6238 with SHA-1, as authenticator apps expect).

Pure; times are real time.
"""

import unicodedata
from base64 import b32encode
from datetime import datetime
from typing import Final

import pyotp

from app.core.security import same

_STEP_SECONDS: Final = 30
_DRIFT: Final = 1  # steps of clock drift forgiven either way (S6)


def secret_of(random: bytes) -> str:
    """20 bytes as the Base32 text that authenticator apps take."""
    return b32encode(random[:20]).decode()


def address(secret: str, *, person: str, vendor: str) -> str:
    """The `otpauth:` address that a QR code carries."""
    return pyotp.TOTP(secret).provisioning_uri(name=person, issuer_name=vendor)


def normal_code(typed: str) -> str:
    """The digits of what was typed, in ASCII: done before anything is compared, so one code has one spelling (S6)."""
    return "".join(str(unicodedata.digit(sign)) for sign in unicodedata.normalize("NFKC", typed) if sign.isdigit())


def step_of(secret: str, typed: str, *, used: int, now: datetime) -> int | None:
    """The time step a code belongs to, or None. Steps up to `used` are spent: each code is good once."""
    code, present = normal_code(typed), int(now.timestamp()) // _STEP_SECONDS
    fitting = [
        step
        for step in range(present - _DRIFT, present + _DRIFT + 1)
        if step > used and same(pyotp.HOTP(secret).at(step), code)
    ]
    return min(fitting, default=None)
