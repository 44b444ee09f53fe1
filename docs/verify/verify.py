"""Check a license offline, in any of its formats: copy this file into your product.

It needs Python 3.11 or newer and the package `cryptography`, and nothing of the service that issued the license. Ship
the key set (GET /v1/licenses/keys) with your product; then

    python verify.py FILE... --keys keys.json [--license-key KEY] [--fingerprint SERVER] [--at 2027-01-01T00:00:00Z]
                             [--users 80] [--revocations LIST [--revocations DELTA]...]

(GET /v1/licenses/revocations is the list of what no longer holds, carried to where no network is)

prints one JSON object for each file and exits 0 where every license holds, 1 where one does not, 2 where the command
was used wrongly.
"""

import argparse
import hashlib
import json
import re
import sys
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512

LONGEST = {"mattermost": 10_000, "keygen": 40_000, "token": 10_000, "revocations": 64_000_000}  # characters
PURPOSE = {
    "mattermost": "license-file", "keygen": "keygen-file", "token": "license-token", "revocations": "revocation-list",
}  # fmt: skip
ARMOUR = re.compile(rb"-----BEGIN (LICENSE|MACHINE) FILE-----\n([A-Za-z0-9+/=\n]+)\n-----END \1 FILE-----\n?")
STEPS = ["warn", "banner", "block_new_users", "read_only"]


class Refused(Exception):
    """The license does not hold; the message is a code for programs, such as `bad_signature`."""


def verify(
    text: bytes, key_set: dict[str, Any], *, at: datetime, license_key: str | None = None,
    fingerprint: str | None = None, users: int | None = None, revocations: Sequence[bytes] = (),
) -> dict[str, Any]:  # fmt: skip
    """What the license grants: format, id, seats, starts_at, expires_at, features; a token says its step too.

    `key_set` is the published JSON Web Key Set. `license_key` opens an encrypted Keygen file, together with
    `fingerprint`, this server's own, a machine file. `revocations` is a whole revocation list and the deltas that
    continue it. Raises Refused.
    """
    if text.startswith(b"-----BEGIN "):
        found = _keygen(text, key_set, license_key, fingerprint, at)
    elif re.match(rb"v[0-9]+\.", text):
        found = _token(text, key_set, at, users)
    else:
        found = _mattermost(text, key_set, at)
    if users is not None and users > found["seats"] and found["format"] == "mattermost":
        raise Refused("more_users_than_seats")  # a server refuses to install it; a token has its ladder for that
    file_id, newest = found.pop("file_id"), found.pop("revocations")
    if revocations:
        listed = _listed(revocations, key_set)
        if len(listed) < newest:
            raise Refused("old_revocation_list")  # somebody kept back what was revoked before this was issued
        if hashlib.sha256(b"blp/revoked-file/v1\n" + file_id.encode()).hexdigest()[:20] in listed:
            raise Refused("revoked")
    return found


# --- Mattermost: base64( JSON, then 256 bytes of RSA PKCS#1 v1.5 SHA-512 ) -----------------------------------------


def _mattermost(text: bytes, key_set: dict[str, Any], at: datetime) -> dict[str, Any]:
    if len(text) > LONGEST["mattermost"]:
        raise Refused("too_long")
    joined = text.replace(b"\r\n", b"\n").replace(b"\n", b"")
    content = _base64(joined)
    trimmed = content.rstrip(b"\0")  # as servers do, which is why a signature may not end in a zero byte
    if len(trimmed) <= 256:
        raise Refused("too_short")
    payload, signature = trimmed[:-256], trimmed[-256:]
    if not any(_rsa_holds(jwk, signature, payload) for jwk in _keys(key_set, "mattermost", "RSA")):
        raise Refused("bad_signature")
    said = _json(payload)
    if any(type(said.get(name)) is not int for name in ("issued_at", "starts_at", "expires_at")):
        raise Refused("malformed_payload")
    features = said.get("features")
    if not isinstance(said.get("customer"), dict) or not isinstance(features, dict):
        raise Refused("malformed_payload")
    if type(features.get("users")) is not int or not re.fullmatch("[A-Za-z0-9]{26}", str(said.get("id"))):
        raise Refused("malformed_payload")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        starts_at, expires_at = (epoch + timedelta(milliseconds=said[name]) for name in ("starts_at", "expires_at"))
    except OverflowError as exc:
        raise Refused("malformed_payload") from exc
    on = sorted(name for name, value in features.items() if value is True and name != "future_features")
    found = _found("mattermost", said["id"], features["users"], starts_at, expires_at, on, said["id"], 0)
    if expires_at < at:
        raise Refused("expired")
    return found


def _rsa_holds(jwk: dict[str, Any], signature: bytes, payload: bytes) -> bool:
    try:
        RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key().verify(
            signature, payload, PKCS1v15(), SHA512()
        )
    except InvalidSignature:
        return False
    return True


# --- Keygen: lines around base64 of {"enc","sig","alg"}, Ed25519 over "license/" or "machine/" and enc -------------


def _keygen(
    text: bytes, key_set: dict[str, Any], license_key: str | None, fingerprint: str | None, at: datetime
) -> dict[str, Any]:
    if len(text) > LONGEST["keygen"]:
        raise Refused("too_long")
    found = ARMOUR.fullmatch(text.replace(b"\r\n", b"\n"))
    if found is None or any(len(line) != 60 for line in found[2].split(b"\n")[:-1]):
        raise Refused("broken_envelope")
    content, machine = _base64(found[2].replace(b"\n", b"")), found[1] == b"MACHINE"
    document = _json(content)
    if list(document) != ["enc", "sig", "alg"] or not all(isinstance(each, str) for each in document.values()):
        raise Refused("broken_envelope")
    if json.dumps(document, separators=(",", ":")).encode() != content:
        raise Refused("broken_envelope")  # one spelling only
    if document["alg"] not in {"base64+ed25519", "aes-256-gcm+ed25519"}:  # pinned: never what the file asks for
        raise Refused("unsupported_algorithm")
    signature, enc = _base64(document["sig"].encode()), document["enc"].encode("utf-8")
    keys = [_ed25519(jwk) for jwk in _keys(key_set, "keygen", "OKP")]
    tag = b"machine/" if machine else b"license/"
    if not any(_holds(key, signature, tag + enc) for key in keys):
        raise Refused("bad_signature")
    sealed = document["alg"] != "base64+ed25519"
    if not machine:
        return _resource(_json(_opened(enc, license_key) if sealed else _base64(enc)), at)
    both = None if license_key is None or fingerprint is None else license_key + fingerprint
    said = _json(_opened(enc, both) if sealed else _base64(enc))
    return _server(said, sealed, license_key, fingerprint, at)


def _server(
    said: dict[str, Any], sealed: bool, license_key: str | None, fingerprint: str | None, at: datetime
) -> dict[str, Any]:
    """A machine file: the license is among what is included."""
    if sealed and _stated(said) != (license_key, fingerprint):  # not the same text divided in another place
        raise Refused("wrong_license_key")
    if _stated(said)[1] != fingerprint:
        raise Refused("other_server")
    return _resource({**said, "data": _licenses(said)[0]}, at) | {"format": "machine", "fingerprint": fingerprint}


def _stated(document: dict[str, Any]) -> tuple[str, str]:
    """The license key and the fingerprint that a machine file is for."""
    try:
        data, [license_] = document["data"], _licenses(document)
        key, fingerprint = license_["attributes"]["key"], data["attributes"]["fingerprint"]
        right = data["type"] == "machines" and data["relationships"]["license"]["data"]["id"] == license_["id"]
    except (KeyError, TypeError, ValueError) as exc:
        raise Refused("malformed_payload") from exc
    if not right or type(key) is not str or type(fingerprint) is not str:
        raise Refused("malformed_payload")
    return key, fingerprint


def _licenses(document: dict[str, Any]) -> list[Any]:
    return [each for each in document["included"] if each["type"] == "licenses"]


def _opened(enc: bytes, opener: str | None) -> bytes:
    if opener is None:
        raise Refused("sealed")
    ciphertext, iv, tag = (_base64(part) for part in _three(enc))
    try:
        return AESGCM(hashlib.sha256(opener.encode()).digest()).decrypt(iv, ciphertext + tag, None)
    except (InvalidTag, ValueError) as exc:
        raise Refused("wrong_license_key") from exc


def _three(enc: bytes) -> list[bytes]:
    parts = enc.split(b".")
    if len(parts) != 3:
        raise Refused("broken_envelope")
    return parts


def _resource(document: dict[str, Any], at: datetime) -> dict[str, Any]:
    try:
        meta, attributes = document["meta"], document["data"]["attributes"]
        metadata = attributes["metadata"]
        issued, expires_at = _instant(meta["issued"]), _instant(attributes["expiry"])
        ends = None if meta["expiry"] is None else _instant(meta["expiry"])
        codes = sorted(
            each["attributes"]["code"].lower() for each in document["included"] if each["type"] == "entitlements"
        )
        if document["data"]["type"] != "licenses":
            raise Refused("malformed_payload")
        starts_at = _instant(metadata["startsAt"])
        found = _found(
            "keygen", metadata["licenseId"], metadata["users"], starts_at, expires_at, codes, attributes["key"],
            meta.get("revocations", 0),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Refused("malformed_payload") from exc
    if issued > at + timedelta(minutes=5):
        raise Refused("issued_in_the_future")
    if meta["ttl"] and ends is not None and at > ends:
        raise Refused("file_ended")
    if expires_at < at:
        raise Refused("expired")
    return found | {"file_ends_at": ends and _written(ends)}


# --- Token: PASETO v4.public, key and purpose named in the footer ---------------------------------------------------


def _paseto(text: bytes, key_set: dict[str, Any], kind: str) -> bytes:
    """The signed JSON of a token of this kind and no other."""
    if len(text) > LONGEST[kind]:
        raise Refused("too_long")
    found = re.fullmatch(rb"v4\.public\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)(?:\r?\n)?", text)
    if found is None:
        raise Refused("broken_envelope")
    body, footer = _base64url(found[1]), _base64url(found[2])
    named = _json(footer)
    if named.get("purpose") != PURPOSE[kind]:
        raise Refused("wrong_purpose")
    known = [jwk for jwk in _keys(key_set, kind, "OKP") if jwk.get("kid") == named.get("kid")]
    if not known:
        raise Refused("unknown_key")
    pieces = (b"v4.public.", body[:-64], footer, f"blp/{PURPOSE[kind]}/v1".encode())
    signed = len(pieces).to_bytes(8, "little") + b"".join(len(each).to_bytes(8, "little") + each for each in pieces)
    if len(body) <= 64 or not _holds(_ed25519(known[0]), body[-64:], signed):
        raise Refused("bad_signature")
    return body[:-64]


def _token(text: bytes, key_set: dict[str, Any], at: datetime, users: int | None) -> dict[str, Any]:
    said = _json(_paseto(text, key_set, "token"))
    try:
        starts_at, expires_at, issued, ends = (_instant(said[name]) for name in ("nbf", "expires_at", "iat", "exp"))
        ladder = [(each["step"], each["days"], each["percent"]) for each in said["enforcement"]]
        found = _found(
            "token", said["sub"], said["seats"], starts_at, expires_at, sorted(said["features"]), said["key"],
            said.get("revocations", 0),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as exc:
        raise Refused("malformed_payload") from exc
    if issued > at + timedelta(minutes=5):
        raise Refused("issued_in_the_future")
    if at < starts_at:
        raise Refused("not_started")
    if at > ends:
        raise Refused("expired")
    # Between the end of the term and `exp` the token still holds: what to do then is what its ladder says.
    begun = [
        step
        for step, days, percent in ladder
        if (days is not None and at > expires_at + timedelta(days=days))
        or (percent is not None and users is not None and users * 100 > said["seats"] * percent)
    ]
    return found | {"step": max(begun, key=STEPS.index, default=None)}


# --- What no longer holds: a list in the form of the token, under a key and a tag of its own ------------------------


def _listed(texts: Sequence[bytes], key_set: dict[str, Any]) -> dict[str, None]:
    """The hashes of all files that were revoked, in the order of their numbers."""
    listed: list[str] = []
    for place, text in enumerate(texts):
        said = _json(_paseto(text, key_set, "revocations"))
        try:
            since, entries = said["since"], [name for name, _, _ in said["revoked"]]
            right = said["type"] == "blp/revocation-list/v1" and said["sequence"] == since + len(entries)
            if not right or any(type(name) is not str for name in entries):
                raise Refused("malformed_payload")
        except (KeyError, TypeError, ValueError) as exc:
            raise Refused("malformed_payload") from exc
        if not 0 <= since <= (len(listed) if place else 0):
            raise Refused("revocations_missing")  # begin with a whole list, and leave no delta out
        known = listed[since:]
        if known[: len(entries)] != entries[: len(known)]:
            raise Refused("malformed_payload")
        listed += entries[len(known) :]
    return dict.fromkeys(listed)


# --- What they share ------------------------------------------------------------------------------------------------


def _keys(key_set: dict[str, Any], kind: str, kty: str) -> list[dict[str, Any]]:
    """Only keys published for this very purpose are tried."""
    return [each for each in key_set["keys"] if each.get("purpose") == PURPOSE[kind] and each.get("kty") == kty]


def _ed25519(jwk: dict[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_base64url(jwk["x"].encode()))


def _holds(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _found(
    kind: str, license_id: str, seats: int, starts_at: datetime, expires_at: datetime, features: list[str],
    file_id: str, revocations: int,
) -> dict[str, Any]:  # fmt: skip
    if (
        type(seats) is not int
        or type(license_id) is not str
        or type(file_id) is not str
        or type(revocations) is not int
    ):
        raise Refused("malformed_payload")
    if seats < 1:
        raise Refused("no_seats")
    return {
        "format": kind, "id": license_id, "seats": seats, "starts_at": _written(starts_at),
        "expires_at": _written(expires_at), "features": features, "file_id": file_id, "revocations": revocations,
    }  # fmt: skip


def _json(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise Refused("malformed_payload") from exc
    if not isinstance(said, dict):
        raise Refused("malformed_payload")
    return said


def _base64(text: bytes) -> bytes:
    """Standard alphabet, padded, and no bit that does not belong to the content."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as exc:
        raise Refused("not_base64") from exc
    if b64encode(data) != text:
        raise Refused("altered")
    return data


def _base64url(text: bytes) -> bytes:
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError as exc:
        raise Refused("not_base64") from exc
    if urlsafe_b64encode(data).rstrip(b"=") != text:
        raise Refused("altered")
    return data


def _number(text: str) -> int:
    return int.from_bytes(_base64url(text.encode()), "big")


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    options = argparse.ArgumentParser(description="Check a license offline.")
    options.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options.add_argument("--keys", type=Path, required=True, help="the published key set, JSON")
    options.add_argument("--license-key", help="opens an encrypted Keygen file")
    options.add_argument("--fingerprint", help="of this server, for a machine file")
    options.add_argument("--at", type=_instant, default=datetime.now(UTC), help="judge as of this time")
    options.add_argument("--users", type=int, help="how many users there are")
    options.add_argument("--revocations", type=Path, action="append", default=[], help="a revocation list, then deltas")
    given = options.parse_args()
    key_set, status = json.loads(given.keys.read_bytes()), 0
    lists = [path.read_bytes() for path in given.revocations]
    for path in given.files:
        try:
            found = verify(
                path.read_bytes(), key_set, at=given.at, license_key=given.license_key,
                fingerprint=given.fingerprint, users=given.users, revocations=lists,
            )  # fmt: skip
        except Refused as refused:
            status, said = 1, {"accepted": False, "code": str(refused)}
        else:
            said = {"accepted": True, **{name: value for name, value in found.items() if value is not None}}
        sys.stdout.write(json.dumps(said) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
