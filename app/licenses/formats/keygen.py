"""Keygen license and machine files: an envelope of lines around signed, usually encrypted JSON (R-LIC-1).

Between `BEGIN LICENSE FILE` and `END LICENSE FILE` (`MACHINE` in the file of one server) stands base64 of
`{"enc","sig","alg"}` in lines of 60 characters.
`enc` is base64 of a JSON:API document, or `ciphertext.iv.tag`, each base64, by AES-256-GCM under the SHA-256 of the
license key, in a machine file of license key and fingerprint in one. `sig` is Ed25519 over the ASCII text `license/` or
`machine/` and `enc`: the prefix keeps either from passing for the other.
Of the algorithms their SDKs know, Ed25519 is the one we sign and the only one we take.
"""

import hashlib
import hmac
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.errors import DomainError
from app.core.signing import EdHolder
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode

MAX_FILE_CHARACTERS: Final = 40_000
_WIDTH: Final = 60
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LINES: Final = re.compile(
    rb"(-----BEGIN [A-Z]+ FILE-----)\n([A-Za-z0-9+/=\n]+)\n(-----END [A-Z]+ FILE-----)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is for; `tag` stands in front of what is signed."""

    header: str
    footer: str
    tag: bytes


LICENSE: Final = Kind("-----BEGIN LICENSE FILE-----", "-----END LICENSE FILE-----", b"license/")
MACHINE: Final = Kind("-----BEGIN MACHINE FILE-----", "-----END MACHINE FILE-----", b"machine/")


class Algorithm(StrEnum):
    PLAIN = "base64+ed25519"
    ENCRYPTED = "aes-256-gcm+ed25519"


class AlgorithmRefused(DomainError):
    status, slug, title = (
        HTTPStatus.UNPROCESSABLE_ENTITY, "license-file-algorithm-invalid", "A license file is not made this way",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Envelope:
    """The three members inside the lines; `signature` decoded."""

    enc: str
    signature: bytes
    alg: str


def algorithm_of(name: str) -> Algorithm:
    """Raises AlgorithmRefused for any other than the two we sign."""
    try:
        return Algorithm(name)
    except ValueError as exc:
        known = " or ".join(Algorithm)
        raise AlgorithmRefused(f"{name!r} is not signed here; use {known}.", param="alg") from exc


def machine_opener(license_key: str | None, fingerprint: str | None) -> str | None:
    """What opens the content of a machine file: both in one, so that neither does alone."""
    return None if license_key is None or fingerprint is None else license_key + fingerprint


def encode(payload: bytes, key: EdHolder, opener: str | None, kind: Kind = LICENSE) -> str:
    """The file's text with a line feed at its end; encrypted under `opener`, plain where that is None.

    `opener` is the license key, of a machine file `machine_opener`.

    The same arguments give the same text: the IV is drawn from key and payload (as SIV modes do), so that two
    payloads never share one and nothing has to be kept.
    """
    algorithm = Algorithm.PLAIN if opener is None else Algorithm.ENCRYPTED
    enc = _base64(payload) if opener is None else _encrypt(payload, opener)
    return write(Envelope(enc, key.sign(kind.tag + enc.encode()), algorithm), kind)


def write(envelope: Envelope, kind: Kind = LICENSE) -> str:
    """The text of an envelope, in the one spelling we issue."""
    document = {"enc": envelope.enc, "sig": _base64(envelope.signature), "alg": envelope.alg}
    text = _base64(json.dumps(document, separators=(",", ":")).encode())
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return "\n".join([kind.header, *lines, kind.footer, ""])


def open_payload(
    text: str | bytes, keys: Sequence[Ed25519PublicKey], opener: str | None, kind: Kind = LICENSE
) -> bytes:
    """The JSON bytes of a file that one of `keys` signed, decrypted if need be. Raises LicenseFileRejected."""
    envelope = read(text, kind)
    if envelope.alg not in set(Algorithm):
        raise LicenseFileRejected(
            ReadCode.UNSUPPORTED_ALGORITHM, f"{envelope.alg[:40]!r} is not an algorithm that is accepted here."
        )
    if not any(_signed(key, envelope, kind) for key in keys):
        raise LicenseFileRejected(
            ReadCode.WRONG_KEY,
            "The signature was made by none of the keys it was checked with, or the file was altered or cut.",
        )
    if envelope.alg == Algorithm.PLAIN:
        return _decoded(envelope.enc, "enc")
    if opener is None:
        raise LicenseFileRejected(
            ReadCode.SEALED, f"The signature is genuine; the content is encrypted {_OPENED[kind]}."
        )
    return _decrypt(envelope.enc, opener)


_OPENED: Final = {
    LICENSE: "with the license key", MACHINE: "with the license key and the fingerprint of the server together"
}  # fmt: skip


def read(text: str | bytes, kind: Kind = LICENSE) -> Envelope:
    """The members of the envelope, believed or not. Raises LicenseFileRejected."""
    data = _bytes_of(text)
    if len(data) > MAX_FILE_CHARACTERS:
        raise LicenseFileRejected(
            ReadCode.TOO_LONG, f"The file has {len(data)} characters; none of ours has {MAX_FILE_CHARACTERS}."
        )
    found = _LINES.fullmatch(data.replace(b"\r\n", b"\n").strip(b"\n"))
    if found is None or (found[1].decode(), found[3].decode()) != (kind.header, kind.footer):
        raise LicenseFileRejected(ReadCode.BROKEN_ENVELOPE, "The text does not stand between the lines of its kind.")
    try:
        document: Any = json.loads(_decoded(found[2].replace(b"\n", b"").decode(), "the text"))
        members = {name: document[name] for name in ("enc", "sig", "alg")}
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise _broken("The text is not JSON with enc, sig and alg.") from exc
    if not all(isinstance(value, str) and value.isascii() for value in members.values()):
        raise _broken("Of enc, sig and alg, one is not text.")
    return Envelope(members["enc"], _decoded(members["sig"], "sig"), members["alg"])


def alteration(text: str | bytes, kind: Kind = LICENSE) -> str | None:
    """What shows that a readable text is not the one that was issued, or None: spelled anew it must be the same."""
    data = _bytes_of(text).replace(b"\r\n", b"\n").strip(b"\n")
    if data != write(read(text, kind), kind).encode().strip(b"\n"):
        return "Written down again from its content it reads differently."
    return None


def _bytes_of(text: str | bytes) -> bytes:
    return text.encode("ascii", "replace") if isinstance(text, str) else text


def _signed(key: Ed25519PublicKey, envelope: Envelope, kind: Kind) -> bool:
    try:
        key.verify(envelope.signature, kind.tag + envelope.enc.encode())
    except InvalidSignature:
        return False
    return True


def _encrypt(payload: bytes, opener: str) -> str:
    key = _content_key(opener)
    iv = hmac.digest(key, b"blp/keygen-iv/v1\n" + payload, "sha256")[:_IV_BYTES]
    sealed = AESGCM(key).encrypt(iv, payload, None)
    return ".".join(_base64(part) for part in (sealed[:-_TAG_BYTES], iv, sealed[-_TAG_BYTES:]))


def _decrypt(enc: str, opener: str) -> bytes:
    parts = enc.split(".")
    if len(parts) != 3:
        raise _broken("What is encrypted is not made of ciphertext, IV and tag.")
    ciphertext, iv, tag = (_decoded(part, "enc") for part in parts)
    if (len(iv), len(tag)) != (_IV_BYTES, _TAG_BYTES):
        raise _broken("The IV or the tag has another length.")
    try:
        return AESGCM(_content_key(opener)).decrypt(iv, ciphertext + tag, None)
    except InvalidTag as exc:
        raise LicenseFileRejected(ReadCode.WRONG_LICENSE_KEY, "What was given does not open the content.") from exc


def _content_key(opener: str) -> bytes:
    return hashlib.sha256(opener.encode()).digest()


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _decoded(text: str, name: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError) as exc:
        raise _broken(f"{name} is not base64.") from exc


def _broken(detail: str) -> LicenseFileRejected:
    return LicenseFileRejected(ReadCode.BROKEN_ENVELOPE, detail)
