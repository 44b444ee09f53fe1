"""The compact license token: PASETO v4.public with a key of its own (R-LIC-1, ADR 0054).

`v4.public.` base64url(claims and signature) `.` base64url(footer). What is signed is the pre-authentication encoding of
the header, the claims, the footer and the tag `blp/license-token/v1`, which is not sent. The header is the algorithm
and is compared, never looked up; the footer names key and purpose, and only a key known for this purpose is tried.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.canonical import canonical_json
from app.core.signing import EdHolder
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode

HEADER: Final = b"v4.public."
MAX_CHARACTERS: Final = 10_000
_SIGNATURE_BYTES: Final = 64
_PARTS: Final = re.compile(rb"v4\.public\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is signed in this form: for what, under which tag, in how many characters at most."""

    purpose: str
    implicit: bytes
    longest: int


LICENSE: Final = Kind("license-token", b"blp/license-token/v1", MAX_CHARACTERS)


def encode(payload: bytes, kid: str, key: EdHolder, kind: Kind = LICENSE) -> str:
    """The token of these claims. The same arguments give the same text."""
    footer = canonical_json({"kid": kid, "purpose": kind.purpose})
    signature = key.sign(preauth(HEADER, payload, footer, kind.implicit))
    return f"{HEADER.decode()}{_base64url(payload + signature)}.{_base64url(footer)}"


def open_payload(text: str | bytes, keys: Mapping[str, Ed25519PublicKey], kind: Kind = LICENSE) -> bytes:
    """The JSON bytes of a token signed by the key its footer names. `keys` are those of this purpose by kid.

    Raises LicenseFileRejected.
    """
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    if len(data) > kind.longest:
        raise LicenseFileRejected(
            ReadCode.TOO_LONG, f"The token has {len(data)} characters; none of ours has {kind.longest}."
        )
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data.startswith(HEADER):
        raise LicenseFileRejected(ReadCode.UNSUPPORTED_ALGORITHM, f"It does not begin with {HEADER.decode()}.")
    found = _PARTS.fullmatch(data)
    if found is None:
        raise _broken("It is not made of header, claims and footer.")
    body, footer = _decoded(found[1]), _decoded(found[2])
    if len(body) <= _SIGNATURE_BYTES:
        raise _broken(f"It holds {len(body)} bytes; the signature alone takes {_SIGNATURE_BYTES}.")
    key = _named(footer, keys, kind)
    payload, signature = body[:-_SIGNATURE_BYTES], body[-_SIGNATURE_BYTES:]
    try:
        key.verify(signature, preauth(HEADER, payload, footer, kind.implicit))
    except InvalidSignature as exc:
        raise LicenseFileRejected(
            ReadCode.WRONG_KEY, "The key it names did not make this signature: the token was altered or forged."
        ) from exc
    return payload


def preauth(*pieces: bytes) -> bytes:
    """PASETO's pre-authentication encoding: how many pieces, then each with its length, so that none runs over."""
    return b"".join([_length(len(pieces)), *(_length(len(piece)) + piece for piece in pieces)])


def _named(footer: bytes, keys: Mapping[str, Ed25519PublicKey], kind: Kind) -> Ed25519PublicKey:
    try:
        said: Any = json.loads(footer)
    except (ValueError, RecursionError) as exc:
        raise _broken("Its footer is not JSON.") from exc
    if not isinstance(said, dict) or set(said) != {"kid", "purpose"} or not isinstance(said["kid"], str):
        raise _broken("Its footer does not name a key and a purpose.")
    if said["purpose"] != kind.purpose:
        raise LicenseFileRejected(ReadCode.WRONG_PURPOSE, f"It was made for another purpose than {kind.purpose}.")
    key = keys.get(said["kid"])
    if key is None:
        raise LicenseFileRejected(
            ReadCode.UNKNOWN_KID, "It names a key that is not among those it was checked with for this purpose."
        )
    return key


def _length(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: bytes) -> bytes:
    """In the one spelling only: no unused bits that are not zero."""
    if len(text) % 4 == 1:
        raise _broken("A part of it is cut short.")
    data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if _base64url(data).encode() != text:
        raise _broken("Its last character carries bits that do not belong to the content.")
    return data


def _broken(detail: str) -> LicenseFileRejected:
    return LicenseFileRejected(ReadCode.BROKEN_ENVELOPE, detail)
