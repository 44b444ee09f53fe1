"""The token of a server's renewal link: JWT, HS256, keyed with the e-mail of the license's customer (RFC 7519).

An address is no secret, so the token proves nothing about who follows the link: it says which license was meant and
how many use it, no more (reference/licensing.md §1.4).
"""

import hmac
import json
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from app.core.security import same

_LONGEST: Final = 4096
_MOST_USERS: Final = 10_000_000
_ALGORITHM: Final = "HS256"


class BadHint(Exception):
    """The token is damaged, forged, of another algorithm or over."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a token says. `license_id` is the id inside the file."""

    license_id: str
    active_users: int
    signed: bytes
    tag: bytes
    ends_at: datetime


def read(token: str) -> Hint:
    """What the token claims, not believed yet: the license says with what it is signed. Raises BadHint."""
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 3:
        raise BadHint("three parts are expected")
    header, claims = _object(parts[0]), _object(parts[1])
    if header.get("alg") != _ALGORITHM or "crit" in header:
        raise BadHint("only HS256 is read")
    license_id, users, ends = claims.get("license_id"), claims.get("active_users"), claims.get("exp")
    if not isinstance(license_id, str) or not (license_id.isascii() and license_id.isalnum() and len(license_id) == 26):
        raise BadHint("license_id is no license's")
    if type(users) is not int or not 0 <= users <= _MOST_USERS:
        raise BadHint("active_users is no count")
    if type(ends) is not int or not 0 <= ends < 2**33:
        raise BadHint("exp is no time")
    return Hint(
        license_id, users, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]), datetime.fromtimestamp(ends, UTC)
    )  # fmt: skip


def require_genuine(hint: Hint, email: str, now: datetime) -> None:
    """Raises BadHint where another key made it, or its time is over. `now` is real time, as the server's clock is."""
    tag = hmac.new(email.encode(), hint.signed, sha256).hexdigest()
    if not email or not same(tag, hint.tag.hex()):
        raise BadHint("signed with another key")
    if hint.ends_at <= now:
        raise BadHint("its time is over")


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except ValueError as exc:
        raise BadHint("a part is no JSON") from exc
    if not isinstance(value, dict):
        raise BadHint("a part is no object")
    return value


def _bytes(part: str) -> bytes:
    if not part.isascii() or "=" in part:
        raise BadHint("a part is no base64url without padding")
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except NotBase64 as exc:
        raise BadHint("a part is no base64url") from exc
