"""Keys and signatures: one purpose per signature, one parse per key (ADR 0011)."""

import json
from itertools import permutations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.core.signing import (
    Ed25519Signer,
    Purpose,
    PurposeNotAllowed,
    Signer,
    UnusableKey,
    generate_ed25519_key,
    generate_rsa_key,
    load_ed25519_private_key,
    load_private_key,
    load_public_keys,
    load_rsa_private_key,
    public_jwk,
    public_pem,
    thumbprint,
    verify,
)

PEM = generate_ed25519_key()
SIGNER = Ed25519Signer("k1", load_ed25519_private_key(PEM))
messages = st.binary(max_size=80)

# RFC 7638 §3.1 and RFC 8037 appendix A.3: keys and their thumbprints, as published.
RFC_RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
    "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa"
    "pJzKnqDKgw",
}
RFC_ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@given(messages, st.sampled_from(Purpose))
def test_a_signature_holds_for_its_purpose_and_message_only(message: bytes, purpose: Purpose) -> None:
    signature = SIGNER.sign(purpose, message)
    assert verify(purpose, message, signature, SIGNER.public_key)
    assert not verify(purpose, message + b"\0", signature, SIGNER.public_key)


@pytest.mark.parametrize(("signed_for", "shown_as"), list(permutations(Purpose, 2)))
def test_what_was_signed_for_one_purpose_passes_for_no_other(signed_for: Purpose, shown_as: Purpose) -> None:
    assert not verify(shown_as, b"{}", SIGNER.sign(signed_for, b"{}"), SIGNER.public_key)


def test_the_tag_cannot_be_moved_into_the_message() -> None:
    signature = SIGNER.sign(Purpose.AUDIT_HEAD, b"blp/license-token/v1\n{}")
    assert not verify(Purpose.LICENSE_TOKEN, b"{}", signature, SIGNER.public_key)


def test_anyone_can_check_a_signature_with_the_tag_in_front() -> None:
    signature = SIGNER.sign(Purpose.VALIDATION_ANSWER, b'{"valid":true}')
    SIGNER.public_key.verify(signature, b'blp/validation-answer/v1\n{"valid":true}')
    with pytest.raises(InvalidSignature):
        SIGNER.public_key.verify(signature, b'{"valid":true}')


def test_signing_is_deterministic_so_that_a_repeated_job_writes_the_same_bytes() -> None:
    assert SIGNER.sign(Purpose.AUDIT_HEAD, b"x") == SIGNER.sign(Purpose.AUDIT_HEAD, b"x")


@given(st.binary(max_size=80))
def test_bytes_that_are_no_signature_never_verify(junk: bytes) -> None:
    assert not verify(Purpose.AUDIT_HEAD, b"x", junk, SIGNER.public_key)


def test_a_key_signs_for_the_purposes_it_was_made_for() -> None:
    signer: Signer = Ed25519Signer("audit-1", load_ed25519_private_key(PEM), [Purpose.AUDIT_HEAD])
    assert signer.kid == "audit-1"
    assert signer.sign(Purpose.AUDIT_HEAD, b"x") == SIGNER.sign(Purpose.AUDIT_HEAD, b"x")
    with pytest.raises(PurposeNotAllowed, match="audit-1"):
        signer.sign(Purpose.LICENSE_TOKEN, b"x")


def test_purposes_keep_their_published_names() -> None:
    assert {purpose.value for purpose in Purpose} == {
        "validation-answer", "acceptance-certificate", "activation-file", "audit-head", "entitlement-set",
        "license-token", "revocation-list", "usage-report",
    }  # fmt: skip


def test_a_private_key_is_parsed_once_per_process() -> None:
    pem = generate_rsa_key()
    assert load_private_key(pem) is load_private_key(bytes(bytearray(pem)))
    assert load_rsa_private_key(pem) is load_private_key(pem)


def test_remembering_keys_is_bounded_and_a_forgotten_key_is_read_again() -> None:
    first = load_private_key(PEM)
    for _ in range(70):
        load_private_key(generate_ed25519_key())
    again = load_private_key(PEM)
    assert again is not first
    assert public_pem(again) == public_pem(first)


def test_generated_keys_are_rsa_2048_and_ed25519_in_pkcs8() -> None:
    key = load_private_key(generate_rsa_key())
    assert isinstance(key, RSAPrivateKey)
    assert (key.key_size, key.public_key().public_numbers().e) == (2048, 65537)
    assert PEM.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert generate_ed25519_key() != generate_ed25519_key()


def test_a_key_of_the_wrong_kind_is_refused_where_it_is_loaded() -> None:
    with pytest.raises(UnusableKey):
        load_rsa_private_key(PEM)
    with pytest.raises(UnusableKey):
        load_ed25519_private_key(generate_rsa_key())
    with pytest.raises(UnusableKey):
        load_rsa_private_key(_pem(rsa.generate_private_key(public_exponent=65537, key_size=3072)))
    with pytest.raises(UnusableKey, match="Only RSA and Ed25519"):
        load_private_key(_pem(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    "damage", [b"", b"junk", PEM[:60], PEM.replace(b"\nMC4", b"\nMD4")], ids="empty junk cut altered".split()
)
def test_an_unreadable_private_key_is_refused_without_quoting_it(damage: bytes) -> None:
    with pytest.raises(UnusableKey) as refusal:
        load_private_key(damage)
    assert "MC4" not in str(refusal.value)


def test_an_encrypted_private_key_is_refused() -> None:
    locked = load_ed25519_private_key(PEM).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    with pytest.raises(UnusableKey, match="unencrypted"):
        load_private_key(locked)


@pytest.mark.parametrize("pem", [PEM, generate_rsa_key()], ids=["ed25519", "rsa"])
def test_a_published_key_is_the_same_key_as_pem_as_jwk_and_in_a_set(pem: bytes) -> None:
    key = load_private_key(pem)
    jwk = public_jwk(key, "k1")
    spellings = [public_pem(key), json.dumps(jwk).encode(), json.dumps({"keys": [jwk]}).encode()]
    assert [[public_pem(read) for read in load_public_keys(text)] for text in spellings] == [[public_pem(key)]] * 3
    assert (jwk["kid"], jwk["use"]) == ("k1", "sig")
    assert "d" not in jwk


def test_published_members_follow_the_standards() -> None:
    assert set(public_jwk(load_private_key(generate_rsa_key()), "a")) == {"kty", "alg", "n", "e", "kid", "use"}
    ed25519 = public_jwk(SIGNER.public_key, "b")
    assert (ed25519["kty"], ed25519["crv"], ed25519["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert len(ed25519["x"]) == 43


@pytest.mark.parametrize(
    ("jwk", "published"),
    [
        (RFC_RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (RFC_ED25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ],
)
def test_thumbprints_are_those_of_the_rfcs(jwk: dict[str, str], published: str) -> None:
    [key] = load_public_keys(json.dumps(jwk).encode())
    assert thumbprint(key) == published


def test_keys_of_other_kinds_in_a_set_are_passed_over() -> None:
    others = [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "OKP", "crv": "X25519", "x": "AA"}, {}]
    [key] = load_public_keys(json.dumps({"keys": [*others, RFC_ED25519]}).encode())
    assert isinstance(key, Ed25519PublicKey)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"nothing", b"{", b"{}", b'{"keys":[]}', b'{"keys":{}}', b'{"keys":["x"]}', b'{"keys":[{"kty":"EC"}]}',
        b'{"kty":"RSA","n":"AQAB"}', b'{"kty":"RSA","n":"==","e":"AQAB"}', b'{"kty":"RSA","n":7,"e":"AQAB"}',
        b'{"kty":"OKP","crv":"Ed25519","x":"AAAA"}', b'{"a":' * 100_000,
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ],
    ids=range(14),
)  # fmt: skip
def test_what_holds_no_usable_public_key_is_refused(text: bytes) -> None:
    with pytest.raises(UnusableKey):
        load_public_keys(text)


@pytest.mark.parametrize(
    "text", [PEM, json.dumps({"keys": [RFC_ED25519 | {"d": "AAAA"}]}).encode()], ids=["pem", "jwk"]
)
def test_a_private_key_given_for_a_public_one_is_refused(text: bytes) -> None:
    with pytest.raises(UnusableKey, match="private"):
        load_public_keys(text)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
