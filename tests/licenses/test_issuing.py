"""No file leaves that a server would refuse (R-LIC-2): volume, re-salting, every altered byte."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from app.core.ids import new_license_file_id
from app.core.signing import HeldRsaKey, UnusableKey, public_jwk, public_pem
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.formats.mattermost import LicenseFileRejected, encode, sign_payload, verify_file
from app.licenses.formats.verify import verify_license_file
from app.licenses.issuing import UndeliverableLicenseFile, issue
from tests.licenses.independent_verifier import Refused, install, numbers_of, payload_of
from tests.licenses.making import FULL, NOW, claims_under, decoded
from tests.licenses.renderings import documented
from tests.world import full

NOW_MS = int(NOW.timestamp() * 1000)
Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Says past pytest's capture how much was looked at, and how much a full run looks at."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {line}\n")

    return say


def numbered_ids() -> Iterator[str]:
    return (f"{n:026d}" for n in count())


@pytest.fixture(scope="module")
def unlucky_id(private_key: RSAPrivateKey) -> str:
    """An id under which the signature of the usual claims ends in NUL; one in 256 does."""
    under = claims_under()
    return next(
        id_ for id_ in numbered_ids() if sign_payload(under(id_).to_payload(), HeldRsaKey(private_key)).endswith(b"\0")
    )


@pytest.mark.vector(1, 4)
def test_every_issued_file_is_installed_by_the_independent_verifier(private_key: RSAPrivateKey, tell: Tell) -> None:
    files = full(5_000)
    documented_reader, published = documented(), {"keys": [public_jwk(private_key, "k") | {"purpose": "license-file"}]}
    n, e = numbers_of(public_pem(private_key).decode())
    resalted = 0
    for number in range(files):
        customer = LicenseCustomer(f"acc_{number}", "Zoë", f"zoe+{number}@example.com", "Ö" * (number % 50))
        issued = issue(
            claims_under(customer=customer, features={"users": number + 1, "future_features": False}),
            HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW,
        )  # fmt: skip
        installed = install(issued.text.encode(), n, e, now_ms=NOW_MS, users=number + 1)
        assert installed["id"] == issued.claims.id
        assert installed["customer"]["email"] == customer.email
        assert not decoded(issued.text).endswith(b"\0")
        read = documented_reader.verify(issued.text.encode(), published, at=NOW, users=number + 1)
        assert (read["id"], read["seats"]) == (issued.claims.id, number + 1)
        resalted += issued.attempts > 1
    tell(f"{files:,} of 5,000 license files issued and installed; {resalted} needed another id")


@pytest.mark.vector(4)
def test_a_signature_that_ends_in_nul_is_thrown_away_and_another_id_is_signed(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey], unlucky_id: str
) -> None:
    spoilt = claims_under()(unlucky_id).to_payload()
    with pytest.raises(LicenseFileRejected, match="zero byte"):
        verify_file(encode(spoilt, sign_payload(spoilt, HeldRsaKey(private_key))), keys)
    drawn = iter([unlucky_id, unlucky_id, *[new_license_file_id() for _ in range(20)]])
    issued = issue(claims_under(), HeldRsaKey(private_key), new_id=lambda: next(drawn), now=NOW)
    assert issued.attempts >= 3
    assert issued.claims.id != unlucky_id
    assert verify_file(issued.text, keys) == issued.claims


def test_ids_that_repeat_themselves_stop_the_issuer_instead_of_looping(
    private_key: RSAPrivateKey, unlucky_id: str
) -> None:
    with pytest.raises(RuntimeError, match="repeats itself"):
        issue(claims_under(), HeldRsaKey(private_key), new_id=lambda: unlucky_id, now=NOW)


def test_the_same_id_gives_the_same_file(private_key: RSAPrivateKey) -> None:
    first, second = (
        issue(claims_under(), HeldRsaKey(private_key), new_id=numbered_ids().__next__, now=NOW) for _ in range(2)
    )
    assert first == second


def test_no_byte_of_the_content_can_be_changed(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey], tell: Tell
) -> None:
    issued = issue(claims_under(), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW)
    content = decoded(issued.text)
    n, e = keys[0].public_numbers().n, keys[0].public_numbers().e
    positions = range(len(content)) if FULL else _spread(len(content), 64)
    masks = [1 << bit for bit in range(8)] + [0xFF] if FULL else [0x01, 0x80]
    for position in positions:
        for mask in masks:
            changed = bytearray(content)
            changed[position] ^= mask
            text = encode(bytes(changed), b"")
            assert not verify_license_file(text.encode(), keys, NOW).accepted
            with pytest.raises(Refused):
                payload_of(text.encode(), n, e)
    tell(f"{len(positions)} of {len(content)} bytes of content changed in {len(masks)} ways each, all refused")


def test_no_character_of_the_text_can_be_changed(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey], tell: Tell
) -> None:
    text = issue(claims_under(), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW).text.encode()
    n, e = keys[0].public_numbers().n, keys[0].public_numbers().e
    positions = range(len(text)) if FULL else _spread(len(text), 64)
    replacements = range(256) if FULL else [0x0A, 0x0D, 0x20, 0x3D, *b"ABwxyz/+"]
    flips = {1 << bit for bit in range(8)}
    tried = 0
    for position in positions:
        for char in {*replacements, *(text[position] ^ flip for flip in flips)} - {text[position]}:
            changed = text[:position] + bytes([char]) + text[position + 1 :]
            assert not verify_license_file(changed, keys, NOW).accepted
            if char ^ text[position] in flips:  # the slow reader sees the single bits
                with pytest.raises(Refused):
                    payload_of(changed, n, e)
            tried += 1
    tell(f"{tried:,} of {len(text) * 255:,} changed characters of a license file tried, all refused")


def test_a_line_break_behind_the_text_protects_no_changed_character(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    text = issue(claims_under(), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW).text.encode() + b"\n"
    assert verify_license_file(text, keys, NOW).accepted
    for position in (0, len(text) - 3, len(text) - 2, len(text) - 1):
        for char in set(range(256)) - {text[position]}:
            assert not verify_license_file(text[:position] + bytes([char]) + text[position + 1 :], keys, NOW).accepted


def test_a_file_a_server_would_refuse_is_not_issued(private_key: RSAPrivateKey) -> None:
    under = claims_under(expires_at=NOW - timedelta(days=1), starts_at=NOW - timedelta(days=30), features={"users": 0})
    with pytest.raises(UndeliverableLicenseFile) as refusal:
        issue(under, HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW)
    assert [each.code for each in refusal.value.findings] == ["already_expired", "no_seats"]
    assert refusal.value.extra == {"findings": "already_expired no_seats"}


def test_a_renewal_under_the_old_id_is_not_issued(private_key: RSAPrivateKey) -> None:
    first = issue(claims_under(), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW)
    with pytest.raises(UndeliverableLicenseFile, match="next restart"):
        issue(
            claims_under(),
            HeldRsaKey(private_key),
            new_id=lambda: first.claims.id,
            now=NOW,
            previous_ids={first.claims.id},
        )


def test_a_file_too_long_for_the_product_is_not_issued(private_key: RSAPrivateKey) -> None:
    with pytest.raises(UndeliverableLicenseFile, match="10000"):
        issue(claims_under(sku_name="x" * 8000), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW)


def test_what_hinders_nothing_is_handed_back_as_a_remark(private_key: RSAPrivateKey) -> None:
    issued = issue(claims_under(sku_short_name="starter"), HeldRsaKey(private_key), new_id=new_license_file_id, now=NOW)
    assert [each.code for each in issued.remarks] == ["unknown_sku"]


def test_a_key_of_another_size_issues_nothing() -> None:
    with pytest.raises(UnusableKey):
        issue(
            claims_under(), HeldRsaKey(rsa.generate_private_key(public_exponent=65537, key_size=3072)),
            new_id=new_license_file_id, now=NOW,
        )  # fmt: skip


def test_file_ids_are_26_letters_and_digits_and_do_not_repeat() -> None:
    ids = [new_license_file_id() for _ in range(500)]
    assert len(set(ids)) == 500
    assert all(len(id_) == 26 and id_.isascii() and id_.isalnum() and id_ == id_.lower() for id_ in ids)
    assert len(set("".join(ids))) == 36


def _spread(length: int, wanted: int) -> list[int]:
    """That many positions from the first to the last, both included."""
    return [i * (length - 1) // (wanted - 1) for i in range(wanted)]
