"""The two readers that product teams copy: both accept what is ours, and nothing else, for the same reasons."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import DomainError
from app.core.signing import Ed25519Signer, HeldRsaKey, Purpose, thumbprint, verify
from app.licenses import offline, revocation_list
from app.licenses.formats import keygen, token
from app.licenses.formats.findings import Finding
from app.licenses.formats.keygen import Algorithm, Envelope
from app.licenses.formats.keygen_claims import payload_of
from app.licenses.formats.linter import lint
from app.licenses.formats.mattermost import encode, sign_payload
from app.licenses.formats.rendering_lint import lint_keygen, lint_machine, lint_token
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import verify_license
from app.licenses.models import RevocationReason
from app.licenses.revocation_list import Revoked, file_hash
from tests.licenses.making import FULL, NOW, claims, signed
from tests.licenses.readers import READERS, Reader, python
from tests.licenses.renderings import FINGERPRINT, KEY, Signers, new_key, stated
from tests.world import full

DAY = timedelta(days=1)
END = NOW + timedelta(days=365)
each_reader = pytest.mark.parametrize("read", READERS, ids=lambda reader: reader.__name__)


@pytest.fixture(scope="module")
def artifacts(signers: Signers) -> dict[str, bytes]:
    return {
        "mattermost": signers.mattermost_file(), "keygen": signers.keygen_file(),
        "plain": signers.keygen_file(encrypted=False), "machine": signers.machine_file(),
        "plain machine": signers.machine_file(encrypted=False), "token": signers.token_text(),
    }  # fmt: skip


@each_reader
def test_all_renderings_grant_the_same(read: Reader, signers: Signers, artifacts: dict[str, bytes]) -> None:
    said = read(list(artifacts.values()), signers.key_set(), users=100)
    granted = {"seats": 100, "starts_at": "2026-03-01T12:00:00Z", "expires_at": "2027-03-01T12:00:00Z",
               "features": ["ldap"], "accepted": True}  # fmt: skip
    assert [each["format"] for each in said] == ["mattermost", "keygen", "keygen", "machine", "machine", "token"]
    for each in said:
        assert {name: each[name] for name in granted} == granted


@each_reader
def test_no_byte_of_any_artifact_can_be_changed(read: Reader, signers: Signers, artifacts: dict[str, bytes]) -> None:
    for name, text in artifacts.items():
        positions = range(len(text)) if FULL else range(0, len(text), max(1, len(text) // 40))
        masks = (0x01, 0x07, 0x80) if FULL else (0x01,)
        flipped = [
            text[:at] + bytes([text[at] ^ mask]) + text[at + 1 :]
            for at in (*positions, len(text) - 1)
            for mask in masks
        ]
        accepted = [each for each in read(flipped, signers.key_set()) if each["accepted"]]
        assert accepted == [], (name, len(accepted))


@each_reader
def test_a_key_of_another_purpose_or_another_signer_verifies_nothing(
    read: Reader, signers: Signers, artifacts: dict[str, bytes]
) -> None:
    published = signers.key_set()
    for purpose in ("evidence", "keygen-file", "license-token", "license-file"):
        mislabelled = {"keys": [each | {"purpose": purpose} for each in published["keys"][:1]]
                       + [each | {"purpose": "evidence"} for each in published["keys"][1:]]}  # fmt: skip
        said = dict(zip(artifacts, read(list(artifacts.values()), mislabelled), strict=True))
        assert [name for name, each in said.items() if each["accepted"]] == (
            ["mattermost"] if purpose == "license-file" else []
        )
    strangers = Signers(signers.rsa, new_key(), new_key(), new_key())
    codes = [each.get("code") for each in read(list(artifacts.values()), strangers.key_set())]
    assert codes == [None, *["bad_signature"] * 4, "unknown_key"]


@each_reader
def test_with_one_key_for_everything_the_signed_bytes_still_tell_the_purposes_apart(
    read: Reader, signers: Signers
) -> None:
    one = Signers(signers.rsa, signers.keygen, signers.keygen, signers.keygen)
    payload = payload_of(stated(), ttl=3600, now=NOW)
    said = TokenClaims.of(stated(), [], NOW).to_payload()
    tag = b"blp/license-token/v1"
    forged = [
        # The signature of a token under a Keygen file, of a Keygen file under a token, and of an answer under both.
        keygen.write(Envelope(b64(payload), one.token.sign(token.preauth(token.HEADER, payload, b"", tag)), PLAIN)),
        keygen.write(Envelope(b64(payload), one.token.sign(b"machine/" + b64(payload).encode()), PLAIN)),
        keygen.write(Envelope(b64(payload), one.token.sign(b64(payload).encode()), PLAIN)),
        # The file of a server under the lines of a license, and the other way round.
        keygen.write(keygen.read(one.machine_file(), keygen.MACHINE)),
        keygen.write(keygen.read(one.keygen_file()), keygen.MACHINE),
        keygen.write(
            Envelope(b64(payload), one.token.sign(b"license/" + b64(payload).encode()), PLAIN), keygen.MACHINE
        ),
        keygen.encode(payload, one.keygen, None, keygen.MACHINE),
        as_token(said, one.kid, one.token.sign(b"license/" + b64(said).encode())),
        as_token(said, one.kid, one.token.sign(f"blp/{Purpose.LICENSE_TOKEN}/v1\n".encode() + said)),
        as_token(said, one.kid, one.token.sign(token.preauth(token.HEADER, said, footer(one.kid), b""))),
    ]
    texts = [each.encode() for each in forged]
    assert [each["accepted"] for each in read(texts, one.key_set())] == [False] * len(texts)
    assert not any(lint_keygen(each, [one.keygen.public_key()], KEY, now=NOW) == [] for each in texts)
    assert not any(lint_token(each, one.tokens, now=NOW) == [] for each in texts)


@each_reader
def test_the_algorithm_is_pinned_and_never_taken_from_the_text(read: Reader, signers: Signers) -> None:
    payload = payload_of(stated(), ttl=3600, now=NOW)
    signature = signers.keygen.sign(b"license/" + b64(payload).encode())
    named = [
        keygen.write(Envelope(b64(payload), signature, alg)).encode()
        for alg in ("base64+rsa-sha256", "base64+ecdsa-p256", "none", "base64", "aes-256-gcm+ed25519", "")
    ]
    others = [
        signers.token_text().replace(b"v4.public.", head)
        for head in (b"v4.local.", b"v3.public.", b"v2.public.", b"v4.PUBLIC.", b"")
    ]
    assert not any(each["accepted"] for each in read([*named, *others], signers.key_set()))


@each_reader
def test_the_rules_of_each_reader_hold(read: Reader, signers: Signers) -> None:
    keys = signers.key_set()
    file, text, licence = signers.keygen_file(ttl=3600), signers.token_text(), signers.mattermost_file()

    def code(data: bytes, **asked: Any) -> str | None:
        return next(each.get("code") for each in read([data], keys, **asked))

    assert code(file, license_key=None) == "sealed"
    assert code(file, license_key="another") == "wrong_license_key"
    hour, minutes = timedelta(hours=1), timedelta(minutes=5)
    assert [code(file, at=NOW + each) for each in (hour, hour + timedelta(seconds=1))] == [None, "file_ended"]
    assert [code(file, at=NOW - each) for each in (minutes, minutes + timedelta(seconds=1))] == [
        None, "issued_in_the_future"
    ]  # fmt: skip
    endless = signers.keygen_file(ttl=None)
    assert [code(endless, at=END + each) for each in (timedelta(0), DAY)] == [None, "expired"]
    assert [code(licence, at=END + each) for each in (timedelta(0), DAY)] == [None, "expired"]
    assert [code(licence, users=users) for users in (100, 101)] == [None, "more_users_than_seats"]
    later = signers.token_text(starts_at=NOW + DAY)
    assert (code(later), code(later, at=NOW + DAY)) == ("not_started", None)
    assert [code(text, at=END + 42 * DAY + each) for each in (timedelta(0), DAY)] == [None, "expired"]
    steps = [read([text], keys, at=END + days * DAY + timedelta(seconds=1), users=1)[0] for days in (-31, -30, 0, 10)]
    assert [each.get("step") for each in steps] == [None, "warn", "banner", "block_new_users"]
    full = [read([text], keys, users=users)[0].get("step") for users in (95, 96, 100, 101, 110, 111, 10_000)]
    assert full == [None, "warn", "warn", "banner", "banner", "block_new_users", "block_new_users"]


@pytest.mark.vector(2, 4, 6, 7, 14)
@each_reader
def test_the_known_ways_to_spoil_a_mattermost_file_are_refused(read: Reader, signers: Signers) -> None:
    payload, key = claims().to_payload(), signers.rsa
    right = sign_payload(payload, HeldRsaKey(key))
    other, large = (rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (2048, 4096))
    stated_ = json.loads(payload)
    spoilt = {
        "a bit of the payload": encode(bytes([*payload[:9], payload[9] ^ 1, *payload[10:]]), right),
        "a bit of the signature": encode(payload, bytes([right[0] ^ 1, *right[1:]])),
        "another key": encode(payload, sign_payload(payload, HeldRsaKey(other))),
        "SHA-256": encode(payload, key.sign(payload, PKCS1v15(), SHA256())),
        "PSS": encode(payload, key.sign(payload, PSS(MGF1(SHA512()), PSS.MAX_LENGTH), SHA512())),
        "RSA-4096": encode(payload, large.sign(payload, PKCS1v15(), SHA512())),
        "the signature in front": encode(right, payload),
        "a signature that ends in NUL": encode(*ending_in_nul(key)),
        "users as text": resigned(stated_ | {"features": {"users": "100"}}, key),
        "a time with a fraction": resigned(stated_ | {"expires_at": stated_["expires_at"] + 0.5}, key),
        "a time as text": resigned(stated_ | {"starts_at": "2026-03-01"}, key),
        "no customer": resigned(stated_ | {"customer": None}, key),
        "no features": resigned(stated_ | {"features": None}, key),
        "features without users": resigned(stated_ | {"features": {}}, key),
        "an id of 25": resigned(stated_ | {"id": "a" * 25}, key),
        "too long": resigned(stated_ | {"sku_name": "x" * 8_000}, key),
    }  # fmt: skip
    said = read([each.encode() for each in spoilt.values()], signers.key_set())
    assert [name for name, each in zip(spoilt, said, strict=True) if each["accepted"]] == []
    ours = {name: lint(text, [key.public_key()], now=NOW) for name, text in spoilt.items()}
    assert [name for name, found in ours.items() if not any(each.blocks for each in found)] == []


@settings(max_examples=full(1_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=90)), users=st.integers(0, 2),
    later=st.timedeltas(timedelta(days=-10), timedelta(days=140)), ttl=st.none() | st.integers(3_600, 86_400 * 60),
)  # fmt: skip
def test_our_report_and_the_documented_reader_agree_at_any_time(
    signers: Signers, length: timedelta, users: int, later: timedelta, ttl: int | None
) -> None:
    at = (NOW + later).replace(microsecond=0)
    key_set = signers.key_set()
    trust = Trust.read(json.dumps(key_set).encode())
    term: dict[str, Any] = {"expires_at": NOW + length, "features": {"users": users, "ldap": True}}
    texts = [signers.mattermost_file(**term), signers.keygen_file(ttl=ttl, **term), signers.token_text(**term)]
    for text in [*texts, signers.machine_file(ttl=ttl, **term)]:
        said = python([text], key_set, at=at)[0]
        assert verify_license(text, trust, at, KEY, FINGERPRINT).accepted == said["accepted"], said


def test_each_of_our_own_readers_takes_its_own_artifact_only(signers: Signers) -> None:
    """Everything that is signed, fed to everything that reads; with one Ed25519 key for all purposes, too."""
    one = Signers(signers.rsa, *[signers.token] * 4)
    for who in (signers, one):
        readers = own_readers(who)
        for name, text in everything_signed(who).items():
            taken = [reader for reader, takes in readers.items() if takes(text)]
            assert taken == [name.removeprefix("plain ")], name


def test_none_of_our_own_readers_takes_a_text_of_which_a_byte_was_changed(signers: Signers) -> None:
    trust = Trust.read(json.dumps(signers.key_set()).encode())
    for name, text in everything_signed(signers).items():
        for at in range(0, len(text), 1 if FULL else max(1, len(text) // 15)):
            altered = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
            assert not verify_license(altered, trust, NOW, KEY, FINGERPRINT).accepted, (name, at)
            assert not own_readers(signers)["list"](altered), (name, at)


def everything_signed(who: Signers) -> dict[str, bytes]:
    said = {"type": offline.ACTIVATION, "fingerprint": FINGERPRINT, "license": KEY, "expires_at": END}
    return {
        "mattermost": who.mattermost_file(), "keygen": who.keygen_file(),
        "plain keygen": who.keygen_file(encrypted=False),
        "machine": who.machine_file(), "plain machine": who.machine_file(encrypted=False), "token": who.token_text(),
        "list": who.list_text([Revoked(file_hash(KEY), RevocationReason.REVOKED, NOW)]),
        "activation": offline.sign(said, Ed25519Signer(thumbprint(who.evidence), who.evidence)).encode(),
    }  # fmt: skip


def own_readers(signers: Signers) -> dict[str, Callable[[bytes], bool]]:
    """What believes a text, by what it is for, whatever the text begins with."""
    keygen_keys = [signers.keygen.public_key()]
    evidence = {thumbprint(signers.evidence): signers.evidence.public_key()}

    def clean(found: list[Finding]) -> bool:
        return not any(each.blocks for each in found)

    def believed(reader: Callable[[], object]) -> bool:
        try:
            reader()
        except DomainError:
            return False
        return True

    return {
        "mattermost": lambda text: clean(lint(text, [signers.rsa.public_key()], now=NOW)),
        "keygen": lambda text: clean(lint_keygen(text, keygen_keys, KEY, now=NOW)),
        "machine": lambda text: clean(lint_machine(text, keygen_keys, KEY, FINGERPRINT, now=NOW)),
        "token": lambda text: clean(lint_token(text, signers.tokens, now=NOW)),
        "list": lambda text: believed(lambda: revocation_list.read(text, signers.list_keys)),
        "activation": lambda text: believed(lambda: offline.verify_signed(text.decode("latin-1"), evidence)),
    }


@each_reader
def test_nothing_else_that_we_sign_can_be_wrapped_into_a_license(read: Reader, signers: Signers) -> None:
    one = Signers(signers.rsa, signers.keygen, signers.keygen, signers.keygen)
    evidence = Ed25519Signer(one.kid, one.keygen)
    payload, said = payload_of(stated(), ttl=3600, now=NOW), TokenClaims.of(stated(), [], NOW).to_payload()
    enc = b64(payload).encode()
    wrapped = [
        text.encode()
        for purpose in Purpose
        for text in (
            keygen.write(Envelope(enc.decode(), evidence.sign(purpose, enc), PLAIN)),
            keygen.write(Envelope(enc.decode(), evidence.sign(purpose, b"license/" + enc), PLAIN)),
            as_token(said, one.kid, evidence.sign(purpose, said)),
        )
    ]
    assert not any(each["accepted"] for each in read(wrapped, one.key_set()))
    answer = json.dumps({"signed_text": "{}", "kid": one.kid, "signature": "AAAA"}).encode()
    assert read([answer], one.key_set())[0]["code"] == "not_base64"
    listed = one.list_text([Revoked(file_hash(KEY), RevocationReason.REVOKED, NOW)])
    assert [each["code"] for each in read([listed, listed.strip()], one.key_set())] == ["wrong_purpose"] * 2


def test_a_license_is_no_certificate_and_no_answer(signers: Signers, artifacts: dict[str, bytes]) -> None:
    envelope = keygen.read(artifacts["plain"])
    for purpose in Purpose:
        for message in (envelope.enc.encode(), b"license/" + envelope.enc.encode()):
            assert not verify(purpose, message, envelope.signature, signers.keygen.public_key())


PLAIN = Algorithm.PLAIN.value


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def resigned(said: dict[str, Any], key: RSAPrivateKey) -> str:
    return signed(json.dumps(said).encode(), key).decode()


def ending_in_nul(key: RSAPrivateKey) -> tuple[bytes, bytes]:
    payloads = (claims(sku_name=f"Plan {n}").to_payload() for n in range(10_000))
    return next((each, made) for each in payloads if (made := sign_payload(each, HeldRsaKey(key))).endswith(b"\0"))


def footer(kid: str) -> bytes:
    return json.dumps({"kid": kid, "purpose": "license-token"}, separators=(",", ":")).encode()


def as_token(payload: bytes, kid: str, signature: bytes) -> str:
    parts = (payload + signature, footer(kid))
    return "v4.public." + ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
