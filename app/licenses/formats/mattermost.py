"""The Mattermost license file, byte for byte (R-LIC-1, ADR 0011).

`file = base64( JSON payload || RSA-2048 PKCS#1 v1.5 SHA-512 signature over the payload, 256 bytes )`, nothing
around it, no key id. Reading applies the product's own rules, in its order: standard alphabet, padding required,
line breaks skipped but no other white space; NUL bytes at the end are dropped before the signature is cut off,
which is why a signature that itself ends in NUL is always refused; at most 10,000 characters fit its database.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.errors import DomainError
from app.core.signing import RSA_BITS, RsaHolder, UnusableKey
from app.licenses.formats.claims import LicenseClaims, MalformedPayload, PayloadFault
from app.licenses.formats.recognize import ReadCode

SIGNATURE_BYTES: Final = RSA_BITS // 8
MAX_FILE_CHARACTERS: Final = 10_000
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class FileCode(StrEnum):
    """Why the product would not read a file, in the order in which we look."""

    TOO_LONG = "too_long"
    NOT_BASE64 = "not_base64"
    TOO_SHORT = "too_short"
    SIGNATURE_ENDS_IN_NUL = "signature_ends_in_nul"
    BAD_SIGNATURE = "bad_signature"
    WRONG_KEY = "wrong_key"
    MALFORMED_PAYLOAD = "malformed_payload"


class LicenseFileRejected(DomainError):
    """A consumer would not read this file; `reason` says why, `faults` what is wrong with a genuine payload."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "license-file-rejected", "This is not a usable license file"

    def __init__(self, reason: FileCode | ReadCode, detail: str, faults: tuple[PayloadFault, ...] = ()) -> None:
        super().__init__(detail, param="license", reason=reason.value)
        self.reason, self.faults = reason, faults


def sign_payload(payload: bytes, key: RsaHolder) -> bytes:
    """The 256 signature bytes. Deterministic: only another payload brings another signature. Raises UnusableKey."""
    if (size := key.public_key().key_size) != RSA_BITS:
        raise UnusableKey(f"License files need an RSA key of {RSA_BITS} bits, not of {size}.")
    return key.sign(payload)


def encode(payload: bytes, signature: bytes) -> str:
    """The file's text: one line, no line break at its end."""
    return b64encode(payload + signature).decode("ascii")


def verify_file(text: str | bytes, public_keys: Sequence[RSAPublicKey]) -> LicenseClaims:
    """The claims of a file that a product trusting any of `public_keys` would read.

    Dates are not looked at. Raises LicenseFileRejected.
    """
    payload = verified_payload(text, public_keys)
    try:
        return LicenseClaims.from_payload(payload)
    except MalformedPayload as exc:
        raise LicenseFileRejected(FileCode.MALFORMED_PAYLOAD, str(exc), exc.faults) from exc


def verified_payload(text: str | bytes, public_keys: Sequence[RSAPublicKey]) -> bytes:
    """The JSON bytes of a file whose signature holds. Raises LicenseFileRejected."""
    if not public_keys:
        raise ValueError("there is no key to verify with")
    decoded = _decode(_bytes_of(text))
    trimmed = decoded.rstrip(b"\0")
    if len(trimmed) <= SIGNATURE_BYTES:
        raise LicenseFileRejected(
            FileCode.TOO_SHORT, f"The file holds {len(trimmed)} bytes; the signature alone takes {SIGNATURE_BYTES}."
        )
    payload, signature = trimmed[:-SIGNATURE_BYTES], trimmed[-SIGNATURE_BYTES:]
    if any(_signed(key, payload, signature) for key in public_keys):
        return payload
    if len(trimmed) < len(decoded):
        _refuse_nul_ending(decoded, public_keys)
    if any(_opens(key, signature) for key in public_keys):
        raise LicenseFileRejected(
            FileCode.BAD_SIGNATURE, "The signature is genuine but belongs to other content: the file was altered."
        )
    raise LicenseFileRejected(
        FileCode.WRONG_KEY,
        "The signature was made by none of the keys it was checked with, or the file was altered or cut.",
    )


def alteration(text: str | bytes) -> str | None:
    """What shows that a readable text is not the one that was issued, or None.

    The product's decoder skips line breaks and ignores unused bits of the last base64 character, so a few changed
    characters leave the content as it was. Line breaks are what mail programs add and are no alteration; a carriage
    return without its line feed and unused bits that are not zero come from neither an issuer nor a mail program.
    """
    data = _bytes_of(text)
    if re.search(rb"\r(?!\n)", data):
        return "A carriage return stands without its line feed."
    joined = data.translate(None, b"\r\n")
    if b64encode(b64decode(joined)) != joined:
        return "The last character carries bits that do not belong to the content."
    return None


def _bytes_of(text: str | bytes) -> bytes:
    """ASCII as it stands; any other character becomes one that base64 does not know."""
    return text.encode("ascii", "replace") if isinstance(text, str) else text


def _decode(data: bytes) -> bytes:
    if len(data) > MAX_FILE_CHARACTERS:  # looked at first, so that nobody makes us hash megabytes
        raise LicenseFileRejected(
            FileCode.TOO_LONG, f"The file has {len(data)} characters; the product stores {MAX_FILE_CHARACTERS}."
        )
    joined = data.translate(None, b"\r\n")
    if not _BASE64.fullmatch(joined):
        raise LicenseFileRejected(
            FileCode.NOT_BASE64,
            "The text is not base64 of the standard alphabet with its padding, without spaces or other signs.",
        )
    return b64decode(joined)


def _refuse_nul_ending(decoded: bytes, public_keys: Sequence[RSAPublicKey]) -> None:
    """Tell a genuine file that no server can read from an altered one."""
    payload, signature = decoded[:-SIGNATURE_BYTES], decoded[-SIGNATURE_BYTES:]
    if any(_signed(key, payload, signature) for key in public_keys):
        raise LicenseFileRejected(
            FileCode.SIGNATURE_ENDS_IN_NUL,
            "The file is genuine, but its signature ends in a zero byte, which the product cuts off before it looks.",
        )


def _signed(key: RSAPublicKey, payload: bytes, signature: bytes) -> bool:
    if key.key_size != RSA_BITS:
        return False
    try:
        key.verify(signature, payload, PKCS1v15(), hashes.SHA512())
    except InvalidSignature:
        return False
    return True


def _opens(key: RSAPublicKey, signature: bytes) -> bool:
    """Whether the signature was made with this key over something: its padding and digest name are intact."""
    if key.key_size != RSA_BITS:
        return False
    try:
        key.recover_data_from_signature(signature, PKCS1v15(), hashes.SHA512())
    except InvalidSignature:
        return False
    return True
