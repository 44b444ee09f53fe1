"""The offline report: accepted exactly when a server would install the file and nobody changed its text."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.signing import UnusableKey, generate_ed25519_key, load_private_key, public_jwk, public_pem
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.formats.verify import load_keys, verify_license_file
from tests.licenses.independent_verifier import Refused, install
from tests.licenses.making import ID, NOW, claims, signed
from tests.world import full

END = NOW + timedelta(days=365)
MS = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def data(private_key: RSAPrivateKey) -> bytes:
    return signed(claims(expires_at=END).to_payload(), private_key)


def test_a_good_file_is_accepted_with_its_claims(data: bytes, keys: list[RSAPublicKey]) -> None:
    report = verify_license_file(data, keys, NOW)
    assert (report.accepted, report.code, report.findings) == (True, "accepted", ())
    assert report.claims == claims(expires_at=END)


@pytest.mark.parametrize(
    ("at", "accepted", "codes"),
    [
        (END, True, []),
        (END + MS, False, ["expired", "expired_in_product_grace"]),
        (END + timedelta(days=10), False, ["expired", "expired_in_product_grace"]),
        (END + timedelta(days=10) + MS, False, ["expired"]),
        (NOW - MS, True, ["starts_later"]),
    ],
)
def test_the_end_is_the_files_own_and_the_products_grace_is_only_reported(
    data: bytes, keys: list[RSAPublicKey], at: datetime, accepted: bool, codes: list[str]
) -> None:
    report = verify_license_file(data, keys, at)
    assert (report.accepted, [each.code for each in report.findings]) == (accepted, codes)
    assert report.code == ("accepted" if accepted else "expired")


@settings(max_examples=full(3_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=1200)),
    later=st.timedeltas(timedelta(days=-30), timedelta(days=1300)),
    users=st.integers(-1, 3),
    is_trial=st.booleans(),
)
def test_report_and_independent_verifier_agree_at_any_time(
    private_key: RSAPrivateKey,
    keys: list[RSAPublicKey],
    length: timedelta,
    later: timedelta,
    users: int,
    is_trial: bool,
) -> None:
    text = signed(
        claims(expires_at=NOW + length, features={"users": users}, is_trial=is_trial).to_payload(), private_key
    )
    numbers, at = keys[0].public_numbers(), claims(issued_at=NOW + later).issued_at
    try:
        install(text, numbers.n, numbers.e, now_ms=round(at.timestamp() * 1000))
        installed = True
    except Refused:
        installed = False
    assert verify_license_file(text, keys, at).accepted == installed


def test_a_changed_text_with_unchanged_content_is_refused_and_the_difference_told(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    padded = signed(claims().to_payload() + b" ", private_key)
    changed = padded[:-3] + bytes([padded[-3] + 1]) + b"=="
    report = verify_license_file(changed, keys, NOW)
    assert (report.accepted, report.server_accepts, report.code) == (False, True, "altered")
    assert any("still install" in line for line in report.lines())
    assert verify_license_file(padded, keys, NOW).accepted


def test_lines_broken_by_a_mail_program_do_no_harm_and_are_mentioned(data: bytes, keys: list[RSAPublicKey]) -> None:
    wrapped = b"\r\n".join(data[i : i + 76] for i in range(0, len(data), 76)) + b"\r\n"
    report = verify_license_file(wrapped, keys, NOW)
    assert report.accepted
    assert [each.code for each in report.findings] == ["lines_broken"]
    assert verify_license_file(data + b"\n", keys, NOW).findings == ()


def test_a_file_that_cannot_be_believed_shows_no_claims(data: bytes, keys: list[RSAPublicKey]) -> None:
    cut = verify_license_file(data[:-4], keys, NOW)
    assert (cut.accepted, cut.server_accepts, cut.code, cut.claims) == (False, False, "wrong_key", None)
    assert not any("zoe@example.com" in line for line in cut.lines())
    assert verify_license_file(b"\xff\xfe", keys, NOW).code == "not_base64"
    assert verify_license_file(b"", keys, NOW).code == "too_short"


def test_the_faults_of_a_genuine_file_are_listed(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    payload = json.loads(claims().to_payload()) | {"customer": None, "expires_at": 1.5e12}
    report = verify_license_file(signed(json.dumps(payload).encode(), private_key), keys, NOW)
    assert [each.code for each in report.findings] == ["malformed_payload", "customer_missing", "time_not_milliseconds"]


def test_an_issuers_slip_is_a_warning_to_the_reader_since_servers_install_the_file(
    private_key: RSAPrivateKey, keys: list[RSAPublicKey]
) -> None:
    text = signed(claims(expires_at=NOW + timedelta(days=30, hours=8)).to_payload(), private_key)
    report = verify_license_file(text, keys, NOW)
    assert report.accepted
    assert [(each.code, each.severity.value) for each in report.findings] == [("accidental_trial", "warning")]


def test_the_report_reads_as_text(data: bytes, keys: list[RSAPublicKey]) -> None:
    east = datetime.fromisoformat("2026-03-02T08:00:00+09:00")
    assert verify_license_file(data, keys, east).lines() == [
        "ACCEPTED (as of 2026-03-01 23:00:00 UTC)",
        f"License   {ID}",
        "Customer  Österreichische Dampf GmbH, Zoë Ångström <zoe@example.com>",
        "Plan      Professional (professional)",
        "Seats     100, counted at renewal",
        "Issued    2026-03-01 12:00:00 UTC",
        "Term      2026-03-01 12:00:00 UTC to 2027-03-01 12:00:00 UTC",
    ]


def test_a_refusal_says_what_to_do(data: bytes, keys: list[RSAPublicKey]) -> None:
    lines = verify_license_file(data, keys, datetime(2028, 1, 1, tzinfo=UTC)).lines()
    assert lines[:3] == [
        "NOT ACCEPTED: expired (as of 2028-01-01 00:00:00 UTC)",
        "  error: expired: The term ended on 2027-03-01 12:00:00 UTC; no server installs it.",
        "    Renew, and install the file that comes with the renewal.",
    ]


def test_names_in_a_file_cannot_drive_the_terminal(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    customer = LicenseCustomer("acc_1", "\x1b[2JNobody\nACCEPTED", "a@example.com", "")
    lines = verify_license_file(signed(claims(customer=customer).to_payload(), private_key), keys, NOW).lines()
    assert all(line.isprintable() for line in lines)


def test_an_enforced_seat_count_is_shown_with_its_stop(private_key: RSAPrivateKey, keys: list[RSAPublicKey]) -> None:
    text = signed(claims(is_seat_count_enforced=True, extra_users=5).to_payload(), private_key)
    assert "Seats     100, the server stops at 105" in verify_license_file(text, keys, NOW).lines()


def test_keys_are_read_from_pem_from_several_pem_blocks_and_from_a_key_set(
    private_key: RSAPrivateKey, data: bytes
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = load_private_key(generate_ed25519_key())
    bundle = b"# keys of 2025 and 2026\n" + public_pem(other) + public_pem(private_key)
    published = {"keys": [public_jwk(signer, "k1"), public_jwk(other, "k2"), public_jwk(private_key, "k3")]}
    for text in (public_pem(private_key), bundle, json.dumps(published).encode()):
        assert verify_license_file(data, load_keys(text), NOW).accepted
    assert verify_license_file(data, load_keys(public_pem(other)), NOW).code == "wrong_key"


def test_keys_that_cannot_verify_license_files_are_refused() -> None:
    large = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    with pytest.raises(UnusableKey, match="RSA-3072"):
        load_keys(public_pem(large))
    with pytest.raises(UnusableKey, match="no RSA key"):
        load_keys(public_pem(load_private_key(generate_ed25519_key())))
