"""Reading license files with the product's rules, checked against the independent verifier (R-LIC-1)."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from app.core.ids import new_license_file_id
from app.core.signing import HeldRsaKey, UnusableKey
from app.licenses.formats.mattermost import LicenseFileRejected, alteration, encode, sign_payload, verify_file
from app.licenses.issuing import issue
from tests.licenses.independent_verifier import Refused, payload_of
from tests.licenses.making import NOW, claims, claims_under, decoded, signed


@pytest.fixture(scope="module")
def text(private_key: RSAPrivateKey) -> bytes:
    return issue(claims_under(), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW).text.encode()


def refusal(text: str | bytes, keys: list[RSAPublicKey]) -> str:
    """Why we refuse a file that the independent reader refuses too."""
    numbers = keys[0].public_numbers()
    with pytest.raises(Refused):
        payload_of(text if isinstance(text, bytes) else text.encode(), numbers.n, numbers.e)
    with pytest.raises(LicenseFileRejected) as rejected:
        verify_file(text, keys)
    return rejected.value.reason.value


def accepted(text: bytes, keys: list[RSAPublicKey]) -> bool:
    """Whether both readers find the same payload."""
    numbers = keys[0].public_numbers()
    return verify_file(text, keys).to_payload().rstrip() == payload_of(text, numbers.n, numbers.e).rstrip()


def test_an_issued_file_is_read_as_text_and_as_bytes(text: bytes, keys: list[RSAPublicKey]) -> None:
    assert accepted(text, keys)
    assert verify_file(text.decode(), keys) == verify_file(text, keys)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + b"\n",
        lambda text: text + b"\r\n\r\n",
        lambda text: b"\n" + text,
        lambda text: b"\r\n".join(text[i : i + 76] for i in range(0, len(text), 76)),
        lambda text: b"\n".join(bytes([char]) for char in text),
    ],
    ids=["a final line feed", "blank lines", "a leading line feed", "mail lines", "one character per line"],
)
def test_line_breaks_anywhere_are_skipped(
    spoil: Callable[[bytes], bytes], text: bytes, keys: list[RSAPublicKey]
) -> None:
    assert accepted(spoil(text), keys)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b" " + text,
        lambda text: text + b"\t",
        lambda text: text[:40] + b" " + text[40:],
        lambda text: text + b"=",
        lambda text: text + b"====",
        lambda text: text[:-1],
        lambda text: text[:40] + b"-_==" + text[44:],
        lambda text: text + b"\0",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(text[40:41], "é".encode()),
    ],
    ids="space tab inner-space padding padding-only cut inner-padding nul bom accent".split(),
)
def test_what_is_not_standard_padded_base64_is_refused(
    spoil: Callable[[bytes], bytes], text: bytes, keys: list[RSAPublicKey]
) -> None:
    assert refusal(spoil(text), keys) == "not_base64"


def test_missing_padding_is_refused(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    padded = signed(claims().to_payload() + b" ", private_key)
    assert padded.endswith(b"==")
    assert accepted(padded, keys)
    assert refusal(padded.rstrip(b"="), keys) == "not_base64"


def test_the_url_safe_alphabet_is_refused(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    files = (signed(claims(sku_name=f"Plan {n}").to_payload(), private_key) for n in range(100))
    with_both = next(text for text in files if b"+" in text and b"/" in text)
    assert accepted(with_both, keys)
    assert refusal(with_both.replace(b"+", b"-").replace(b"/", b"_"), keys) == "not_base64"


@pytest.mark.parametrize("content", [b"", b"A" * 255, b"A" * 256, b"A" * 255 + b"\0", b"\0" * 256, b"A" * 256 + b"\0"])
def test_a_file_needs_more_than_the_signature(content: bytes, keys: list[RSAPublicKey]) -> None:
    assert refusal(encode(content, b""), keys) == "too_short"


@pytest.mark.vector(14)
def test_a_file_longer_than_the_products_database_column_is_refused(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    payloads = (claims(sku_name=f"Plan {n}").to_payload().ljust(10_000 // 4 * 3 - 256) for n in range(100))
    longest = next(text for payload in payloads if len(text := signed(payload, private_key)) == 10_000)
    assert accepted(longest, keys)
    with pytest.raises(LicenseFileRejected) as rejected:
        verify_file(longest + b"\n", keys)
    assert rejected.value.reason == "too_long"


def test_another_key_is_told_apart_from_changed_content(text: bytes, keys: list[RSAPublicKey]) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    assert refusal(text, [stranger]) == "wrong_key"
    content = bytearray(decoded(text))
    content[10] ^= 1
    assert refusal(encode(bytes(content), b""), keys) == "bad_signature"


def test_any_of_several_trusted_keys_will_do(text: bytes, keys: list[RSAPublicKey]) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    assert verify_file(text, [stranger, *keys]) == verify_file(text, keys)


def test_other_ways_of_signing_are_refused(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    payload = claims().to_payload()
    sha256 = private_key.sign(payload, PKCS1v15(), hashes.SHA256())
    pss = private_key.sign(payload, PSS(MGF1(hashes.SHA512()), PSS.MAX_LENGTH), hashes.SHA512())
    right = sign_payload(payload, HeldRsaKey(private_key))
    assert refusal(encode(payload, sha256), keys) == "wrong_key"
    assert refusal(encode(payload, pss), keys) == "wrong_key"
    assert refusal(encode(right, payload), keys) == "wrong_key"  # the signature in front


def test_a_key_of_another_size_neither_signs_nor_verifies() -> None:
    large = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    payload = claims().to_payload()
    with pytest.raises(UnusableKey, match="3072"):
        sign_payload(payload, HeldRsaKey(large))
    text = encode(payload, large.sign(payload, PKCS1v15(), hashes.SHA512()))
    assert refusal(text, [large.public_key()]) == "wrong_key"


def test_a_signature_that_ends_in_nul_is_refused_and_named(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    payloads = (claims(sku_name=f"Plan {n}").to_payload() for n in range(10_000))
    unlucky = next(
        (payload, signature)
        for payload in payloads
        if (signature := sign_payload(payload, HeldRsaKey(private_key))).endswith(b"\0")
    )
    assert refusal(encode(*unlucky), keys) == "signature_ends_in_nul"


def test_nul_bytes_behind_a_good_signature_are_dropped(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    assert accepted(encode(decoded(signed(claims().to_payload(), private_key)), b"\0\0").encode(), keys)


def test_a_genuine_file_with_an_unusable_payload_names_its_faults(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    with pytest.raises(LicenseFileRejected) as rejected:
        verify_file(signed(b'{"id":"abc"}', private_key), keys)
    assert rejected.value.reason == "malformed_payload"
    assert {fault.code.value for fault in rejected.value.faults} == {
        "customer_missing",
        "users_missing",
        "id_malformed",
    }


def test_verifying_without_a_key_is_a_mistake_of_the_caller(text: bytes) -> None:
    with pytest.raises(ValueError, match="no key"):
        verify_file(text, [])


def test_unused_bits_are_seen_where_the_product_does_not_look(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    padded = signed(claims().to_payload() + b" ", private_key)
    changed = padded[:-3] + bytes([padded[-3] + 1]) + b"=="
    assert accepted(changed, keys)
    assert alteration(padded) is None
    assert alteration(changed) is not None


def test_a_lone_carriage_return_is_seen_where_the_product_does_not_look(text: bytes, keys: list[RSAPublicKey]) -> None:
    assert accepted(text + b"\r", keys)
    assert alteration(text + b"\r") is not None
    assert alteration(text + b"\r\n") is None
