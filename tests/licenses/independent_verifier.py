"""A second reader of Mattermost license files, written from the byte layout alone.

It shares nothing with the application: no import of it, no cryptography library, not even the standard library's
base64. What it knows: a file is base64 of JSON followed by 256 signature bytes; the signature is RSASSA-PKCS1-v1_5
with SHA-512 (RFC 8017 §8.2.2) over the JSON bytes; the reader skips CR and LF, ignores unused bits of the last
character, and drops NUL bytes from the end before it cuts off the signature. Then it installs the file as a server
does: whole numbers for times, a customer, a number of users, an id of 26 letters and digits, not expired.
"""

import hashlib
import json
from typing import Any

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VALUE = {char: value for value, char in enumerate(ALPHABET)}
# DigestInfo of SHA-512 up to the digest itself: RFC 8017 §9.2, note 1.
SHA512_PREFIX = bytes.fromhex("3051300d060960864801650304020305000440")
SIGNATURE_BYTES = 256
LONGEST_FILE = 10_000


class Refused(Exception):
    """A server would not take the file."""


def decode(text: bytes) -> bytes:
    """Standard base64 with its padding; CR and LF anywhere are skipped, anything else refuses."""
    chars = [char for char in text if char not in b"\r\n"]
    if len(chars) % 4:
        raise Refused("incomplete base64")
    padding = 0
    while chars and padding < 2 and chars[-1] == ord("="):
        chars.pop()
        padding += 1
    bits = held = 0
    out = bytearray()
    for char in chars:
        if char not in VALUE:
            raise Refused("not base64")
        bits, held = (bits << 6 | VALUE[char]) & 0xFFFF, held + 6
        if held >= 8:
            held -= 8
            out.append(bits >> held & 0xFF)
    return bytes(out)


def signature_holds(payload: bytes, signature: bytes, n: int, e: int) -> bool:
    """Rebuild the encoded message and compare all of it, so that no sloppy parsing can be fooled."""
    number = int.from_bytes(signature, "big")
    if len(signature) != (n.bit_length() + 7) // 8 or number >= n:
        return False
    digest_info = SHA512_PREFIX + hashlib.sha512(payload).digest()
    wanted = b"\x00\x01" + b"\xff" * (len(signature) - len(digest_info) - 3) + b"\x00" + digest_info
    return pow(number, e, n).to_bytes(len(signature), "big") == wanted


def payload_of(text: bytes, n: int, e: int) -> bytes:
    """The signed JSON bytes. Raises Refused."""
    decoded = decode(text)
    while decoded and decoded[-1] == 0:
        decoded = decoded[:-1]
    if len(decoded) <= SIGNATURE_BYTES:
        raise Refused("too short")
    payload, signature = decoded[:-SIGNATURE_BYTES], decoded[-SIGNATURE_BYTES:]
    if not signature_holds(payload, signature, n, e):
        raise Refused("bad signature")
    return payload


def install(text: bytes, n: int, e: int, *, now_ms: int, users: int = 1) -> dict[str, Any]:
    """What a server with that many users would hold after installing the file. Raises Refused."""
    license_: Any = json.loads(payload_of(text, n, e))
    if len(text) > LONGEST_FILE:
        raise Refused("does not fit the database")
    for name in ("issued_at", "starts_at", "expires_at"):
        if type(license_[name]) is not int:
            raise Refused(f"{name} is not a whole number")
    if not isinstance(license_.get("customer"), dict):
        raise Refused("no customer")
    seats = (license_.get("features") or {}).get("users")
    if type(seats) is not int:
        raise Refused("no number of users")
    if users > seats:
        raise Refused("more users than seats")
    if license_["expires_at"] < now_ms:
        raise Refused("expired")
    if len(license_["id"]) != 26 or not license_["id"].isalnum():
        raise Refused("the id cannot be stored")
    assert isinstance(license_, dict)
    return license_


def numbers_of(pem: str) -> tuple[int, int]:
    """Modulus and exponent of an RSA SubjectPublicKeyInfo (RFC 5280 §4.1, RFC 8017 §A.1.1)."""
    body = "".join(line for line in pem.splitlines() if line and "-----" not in line)
    outer, _ = _der(decode(body.encode()), 0x30)
    _algorithm, rest = _der(outer, 0x30)
    bits, _ = _der(rest, 0x03)
    key, _ = _der(bits[1:], 0x30)  # the first byte counts unused bits
    n, rest = _der(key, 0x02)
    e, _ = _der(rest, 0x02)
    return int.from_bytes(n, "big"), int.from_bytes(e, "big")


def _der(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have this tag, and what follows it."""
    if data[0] != tag:
        raise ValueError(f"expected DER tag {tag:#x}, found {data[0]:#x}")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]
