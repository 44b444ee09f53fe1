"""Keygen license files by the facts of their layout, and what their readers make of them (R-LIC-1, R-LIC-2)."""

import hashlib
import json
from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.licenses.formats import keygen
from app.licenses.formats.claims import FEATURES, LIMITS, LicenseClaims
from app.licenses.formats.keygen import AlgorithmRefused, algorithm_of
from app.licenses.formats.keygen_claims import LONGEST_TTL, KeygenClaims, TtlRefused, payload_of, require_ttl, uuid_of
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode
from app.licenses.formats.rendering_lint import lint_keygen, verify_keygen
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import verify_license
from tests.licenses.making import NOW, claims
from tests.licenses.renderings import KEY, Signers, changed, stated

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
_WRONG: list[Any] = [None, 7.5, [], "never"]


def document_of(text: bytes) -> dict[str, Any]:
    document = json.loads(b64decode(b"".join(text.split(b"\n")[1:-2])))
    assert isinstance(document, dict)
    return document


def payload(**changes: Any) -> dict[str, Any]:
    said = json.loads(payload_of(stated(**changes), ttl=3600, now=NOW))
    assert isinstance(said, dict)
    return said


def codes(signers: Signers, text: bytes, **asked: Any) -> list[str]:
    found = lint_keygen(text, [signers.keygen.public_key()], KEY, now=asked.pop("now", NOW), **asked)
    return [f"{each.severity}:{each.code}" for each in found]


def test_the_text_is_an_envelope_of_lines_of_sixty_characters(signers: Signers) -> None:
    lines = signers.keygen_file().decode().split("\n")
    assert (lines[0], lines[-2:]) == (keygen.LICENSE.header, [keygen.LICENSE.footer, ""])
    assert {len(line) for line in lines[1:-3]} == {60}
    assert 0 < len(lines[-3]) <= 60


@pytest.mark.vector(16)
def test_a_reader_built_of_the_bare_facts_opens_an_encrypted_file(signers: Signers) -> None:
    document = document_of(signers.keygen_file())
    assert (list(document), document["alg"]) == (["enc", "sig", "alg"], "aes-256-gcm+ed25519")
    signers.keygen.public_key().verify(b64decode(document["sig"]), b"license/" + document["enc"].encode())
    ciphertext, iv, tag = (b64decode(part, validate=True) for part in document["enc"].split("."))
    assert (len(iv), len(tag)) == (12, 16)
    opened = AESGCM(hashlib.sha256(KEY.encode()).digest()).decrypt(iv, ciphertext + tag, None)
    assert json.loads(opened)["data"]["attributes"]["key"] == KEY


def test_a_plain_file_is_strict_base64_of_the_same_document(signers: Signers) -> None:
    document = document_of(signers.keygen_file(encrypted=False, ttl=3600))
    assert document["alg"] == "base64+ed25519"
    assert json.loads(b64decode(document["enc"], validate=True)) == payload()


def test_the_same_arguments_give_the_same_text_and_others_another_iv(signers: Signers) -> None:
    assert signers.keygen_file() == signers.keygen_file(now=NOW + timedelta(microseconds=999_999))
    ivs = [document_of(signers.keygen_file(now=NOW + n * SECOND))["enc"].split(".")[1] for n in range(50)]
    assert len(set(ivs)) == 50


def test_the_resource_has_what_its_clients_read() -> None:
    said = payload()
    assert (said["data"]["type"], said["data"]["id"]) == ("licenses", uuid_of("license", KEY))
    attributes = said["data"]["attributes"]
    assert (attributes["key"], attributes["expiry"], attributes["status"]) == (
        KEY,
        "2027-03-01T12:00:00.000Z",
        "ACTIVE",
    )
    assert (attributes["maxUsers"], attributes["suspended"]) == (100, False)
    assert [each["attributes"]["code"] for each in said["included"]] == ["LDAP"]
    assert said["meta"] == {"issued": "2026-03-01T12:00:00.000Z", "expiry": "2026-03-01T13:00:00.000Z", "ttl": 3600,
                            "revocations": 0}  # fmt: skip
    assert payload(expires_at=NOW + 2 * DAY)["data"]["attributes"]["status"] == "EXPIRING"


def test_a_mattermost_server_maps_the_file_to_the_license_it_would_have_read_from_its_own(signers: Signers) -> None:
    everything: dict[str, bool | int] = {name: place % 2 == 0 for place, name in enumerate(sorted(FEATURES))}
    given = claims(
        features=everything | {"users": 100}, limits=dict.fromkeys(LIMITS, 7), is_seat_count_enforced=True,
        extra_users=3, is_gov_sku=True,
    )  # fmt: skip
    text = signers.keygen_file(
        features=given.features, limits=given.limits, is_seat_count_enforced=True, extra_users=3, is_gov_sku=True
    )
    read = verify_keygen(text, [signers.keygen.public_key()], KEY)
    mapped = {name: getattr(read.claims, name) for name in LicenseClaims.__dataclass_fields__ if name != "id"}
    assert mapped == {name: getattr(given, name) for name in mapped}
    assert read.claims.id == uuid_of("license", KEY).replace("-", "")[:26]
    assert (read.license_id, read.key, read.grace_days) == ("lic_1", KEY, 10)


def test_the_mapping_server_finds_its_own_names_in_the_metadata() -> None:
    metadata = payload(features={"users": 1, "elastic_search": True}, limits={"call_duration": 60})["data"][
        "attributes"
    ]["metadata"]
    assert (metadata["features"], metadata["limits"]) == ({"elasticsearch": True}, {"callDurationSeconds": 60})
    assert {"customerId", "customerName", "customerEmail", "companyName", "skuName", "skuShortName"} <= set(metadata)


def test_entitlements_only_switch_on() -> None:
    said = payload()
    said["included"].append(
        {"type": "entitlements", "id": uuid_of("entitlement", "SAML"), "attributes": {"code": "SAML"}}
    )
    read = KeygenClaims.from_payload(json.dumps(said).encode())
    assert (read.claims.features["saml"], read.claims.features["ldap"]) == (True, True)


@pytest.mark.vector(17)
@pytest.mark.parametrize("ttl", [60, 3_599, LONGEST_TTL + 1, 0, -1])
def test_a_ttl_out_of_bounds_is_refused(ttl: int) -> None:
    with pytest.raises(TtlRefused) as refused:
        require_ttl(ttl)
    assert refused.value.param == "ttl"


def test_an_hour_and_no_end_at_all_are_taken() -> None:
    assert (require_ttl(3_600), require_ttl(None)) == (3_600, None)
    assert json.loads(payload_of(stated(), ttl=None, now=NOW))["meta"]["expiry"] is None


def test_an_algorithm_that_is_not_signed_here_is_refused() -> None:
    for name in ("aes-256-gcm+rsa-sha256", "base64+ecdsa-p256", "ED25519", ""):
        with pytest.raises(AlgorithmRefused):
            algorithm_of(name)


def test_the_linter_applies_the_rules_of_both_readers(signers: Signers) -> None:
    assert codes(signers, signers.keygen_file()) == []
    assert codes(signers, signers.keygen_file(encrypted=False)) == ["notice:not_encrypted"]
    assert codes(signers, signers.keygen_file(ttl=None)) == ["warning:ttl_none"]
    hour = signers.keygen_file(ttl=3600)
    assert codes(signers, hour, now=NOW + timedelta(hours=1)) == []
    assert codes(signers, hour, now=NOW + timedelta(hours=1, seconds=1)) == ["error:file_ended"]
    ahead = [codes(signers, hour, now=NOW - timedelta(minutes=5) - each) for each in (timedelta(0), SECOND)]
    assert ahead == [["warning:starts_later"], ["error:file_from_the_future", "warning:starts_later"]]
    assert codes(signers, hour, reported_users=101) == ["error:seats_below_users"]
    assert codes(signers, signers.keygen_file(expires_at=NOW + timedelta(days=30, hours=8))) == [
        "error:accidental_trial"
    ]
    for meta in ({"ttl": 3_601}, {"expiry": None}, {"ttl": None}):
        said = payload()
        said["meta"] |= meta
        found = codes(signers, signers.sign_keygen(json.dumps(said).encode(), encrypted=True))
        assert "error:ttl_mismatch" in found


def test_a_genuine_file_that_a_reader_fails_on_names_its_faults(signers: Signers) -> None:
    for path in (
        ("meta", "issued"), ("data", "attributes", "expiry"), ("data", "attributes", "metadata", "customerId"),
        ("data", "attributes", "metadata", "users"), ("data", "id"), ("data", "type"),
    ):  # fmt: skip
        for wrong in _WRONG:
            said = payload()
            inner = said
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = wrong
            if path[-1] == "customerId" and wrong == "never":
                continue
            found = codes(signers, signers.sign_keygen(json.dumps(said).encode(), encrypted=True))
            assert found[0] == "error:malformed_payload", (path, wrong)
    assert codes(signers, signers.sign_keygen(b"[]"))[0] == "error:malformed_payload"
    assert codes(signers, signers.sign_keygen(b"no"))[1] == "error:not_json"


def test_what_is_not_such_an_envelope_is_told_so(signers: Signers) -> None:
    good = signers.keygen_file()
    for text in (
        good.replace(b"LICENSE FILE", b"MACHINE FILE"), good[:-40], good.replace(b"\n", b" "), good + good, b"",
        f"{keygen.LICENSE.header}\n{'A' * 60}\n{keygen.LICENSE.footer}\n".encode(),
        good.replace(b"BEGIN", "BEGÍN".encode()), good.replace(b"END LICENSE", b"END MACHINE"),
    ):  # fmt: skip
        with pytest.raises(LicenseFileRejected) as refused:
            keygen.open_payload(text, [signers.keygen.public_key()], KEY)
        assert refused.value.reason is ReadCode.BROKEN_ENVELOPE
    with pytest.raises(LicenseFileRejected) as refused:
        keygen.open_payload(b"x" * 40_001, [signers.keygen.public_key()], KEY)
    assert refused.value.reason is ReadCode.TOO_LONG


def test_windows_line_ends_do_no_harm_and_another_wrapping_is_seen(signers: Signers) -> None:
    trust, good = Trust.read(json.dumps(signers.key_set()).encode()), signers.keygen_file()
    assert verify_license(good.replace(b"\n", b"\r\n"), trust, NOW, KEY).accepted
    body = b"".join(good.split(b"\n")[1:-2])
    rewrapped = b"\n".join([keygen.LICENSE.header.encode(), body, keygen.LICENSE.footer.encode(), b""])
    report = verify_license(rewrapped, trust, NOW, KEY)
    assert (report.accepted, report.server_accepts, report.code) == (False, True, "altered")


@pytest.mark.vector(16)
def test_the_report_tells_the_file_from_the_license(signers: Signers) -> None:
    trust, text = Trust.read(json.dumps(signers.key_set()).encode()), signers.keygen_file(ttl=3600)
    accepted = verify_license(text, trust, NOW, KEY)
    assert accepted.lines()[-1] == "File ends 2026-03-01 13:00:00 UTC"
    assert accepted.lines()[1:3] == [
        "License   lic_1", "Customer  Österreichische Dampf GmbH, Zoë Ångström <zoe@example.com>"
    ]  # fmt: skip
    at = NOW + timedelta(days=366)
    assert [verify_license(text, trust, each, KEY).code for each in (NOW, NOW + DAY, at)] == [
        "accepted", "file_ended", "file_ended"
    ]  # fmt: skip
    endless = verify_license(signers.keygen_file(ttl=None), trust, at, KEY)
    assert (endless.code, endless.accepted) == ("expired", False)
    sealed = verify_license(text, trust, NOW)
    assert (sealed.code, sealed.accepted, sealed.claims) == ("sealed", False, None)
    assert verify_license(text, trust, NOW, "other").code == "wrong_license_key"


def test_a_renewal_has_another_id_for_the_server_that_keeps_the_first() -> None:
    ids = {uuid_of("license", f"{number:026}").replace("-", "")[:26] for number in range(500)}
    assert len(ids) == 500
    assert changed(b"{}", a=1) == b'{"a": 1}'
