"""Keygen machine files: a license for one server, which opens with key and fingerprint only (R-LIC-1, R-LIC-5)."""

import hashlib
import json
from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.licenses.formats import keygen
from app.licenses.formats.keygen_claims import DEFAULT_TTL, uuid_of
from app.licenses.formats.rendering_lint import lint_machine, verify_machine
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import verify_license
from tests.licenses.making import NOW
from tests.licenses.readers import READERS, Reader
from tests.licenses.renderings import FINGERPRINT, KEY, Signers

each_reader = pytest.mark.parametrize("read", READERS, ids=lambda reader: reader.__name__)
# What may be given for the key and the fingerprint, and what a reader answers then.
GIVEN: list[tuple[str | None, str | None, str]] = [
    (KEY, FINGERPRINT, "accepted"),
    (KEY, "another-server", "wrong_license_key"),
    ("h7x4kq9p2m3n5r8s6t1vwyzabc", FINGERPRINT, "wrong_license_key"),
    (KEY, None, "sealed"),
    (None, FINGERPRINT, "sealed"),
    (FINGERPRINT, KEY, "wrong_license_key"),
    # The same characters in a row, divided in another place.
    (KEY + FINGERPRINT[:1], FINGERPRINT[1:], "wrong_license_key"),
    (KEY[:-1], KEY[-1] + FINGERPRINT, "wrong_license_key"),
]


def document_of(text: bytes) -> dict[str, Any]:
    document = json.loads(b64decode(b"".join(text.split(b"\n")[1:-2])))
    assert isinstance(document, dict)
    return document


@pytest.mark.vector(19)
def test_it_opens_with_key_and_fingerprint_only(signers: Signers) -> None:
    trust, text = Trust.read(json.dumps(signers.key_set()).encode()), signers.machine_file()
    for license_key, fingerprint, code in GIVEN:
        report = verify_license(text, trust, NOW, license_key, fingerprint)
        assert (report.code, report.accepted, report.claims is None) == (code, code == "accepted", code != "accepted")


@pytest.mark.vector(19)
@each_reader
def test_so_say_the_readers_that_products_copy(read: Reader, signers: Signers) -> None:
    for license_key, fingerprint, code in GIVEN:
        asked: dict[str, Any] = {"license_key": license_key, "fingerprint": fingerprint}
        [said] = read([signers.machine_file()], signers.key_set(), **asked)
        assert said.get("code", "accepted") == code
    plain = signers.machine_file(encrypted=False)
    codes = [read([plain], signers.key_set(), fingerprint=each)[0].get("code") for each in (FINGERPRINT, "other", None)]
    assert codes == [None, "other_server", "other_server"]
    hour = signers.machine_file(ttl=3600)
    at = [NOW + timedelta(seconds=each) for each in (3600, 3601)]
    assert [read([hour], signers.key_set(), at=each)[0].get("code") for each in at] == [None, "file_ended"]
    [said] = read([hour], signers.key_set())
    assert (said["format"], said["id"], said["fingerprint"], said["seats"]) == ("machine", "lic_1", FINGERPRINT, 100)


def test_a_reader_built_of_the_bare_facts_opens_it(signers: Signers) -> None:
    lines = signers.machine_file().decode().split("\n")
    assert (lines[0], lines[-2]) == ("-----BEGIN MACHINE FILE-----", "-----END MACHINE FILE-----")
    document = document_of(signers.machine_file())
    signers.keygen.public_key().verify(b64decode(document["sig"]), b"machine/" + document["enc"].encode())
    ciphertext, iv, tag = (b64decode(part, validate=True) for part in document["enc"].split("."))
    key = hashlib.sha256((KEY + FINGERPRINT).encode()).digest()
    said = json.loads(AESGCM(key).decrypt(iv, ciphertext + tag, None))
    machine = said["data"]
    assert (machine["type"], machine["id"]) == ("machines", uuid_of("machine", "act_1"))
    assert machine["attributes"]["fingerprint"] == FINGERPRINT
    assert machine["attributes"]["metadata"] == {"activationId": "act_1", "place": 1}
    assert [each["type"] for each in said["included"]] == ["licenses", "entitlements"]
    assert machine["relationships"]["license"]["data"]["id"] == said["included"][0]["id"]
    assert (said["included"][0]["attributes"]["key"], said["meta"]["ttl"]) == (KEY, DEFAULT_TTL)


def test_it_says_what_the_license_file_says_and_whose_server_it_is(signers: Signers) -> None:
    keys = [signers.keygen.public_key()]
    read = verify_machine(signers.machine_file(), keys, KEY, FINGERPRINT)
    assert (read.activation_id, read.name, read.license.license_id) == ("act_1", "chat-01", "lic_1")
    assert (read.license.claims.users, sorted(read.license.entitlements)) == (100, ["LDAP"])
    assert signers.machine_file() == signers.machine_file(now=NOW + timedelta(microseconds=1))
    assert document_of(signers.machine_file())["enc"] != document_of(signers.machine_file(fingerprint="b"))["enc"]
    plain = signers.machine_file(encrypted=False)
    assert [each.code for each in lint_machine(plain, keys, None, None, now=NOW)] == ["not_encrypted"]


def test_the_report_names_the_server_and_refuses_another(signers: Signers) -> None:
    trust = Trust.read(json.dumps(signers.key_set()).encode())
    plain = signers.machine_file(encrypted=False)
    here, there, nowhere = (verify_license(plain, trust, NOW, None, each) for each in (FINGERPRINT, "other", None))
    assert here.lines()[-2:] == [f"Server    chat-01 ({FINGERPRINT})", "File ends 2026-03-31 22:29:06 UTC"]
    assert [each.code for each in (here, there, nowhere)] == ["accepted", "other_server", "other_server"]
    crlf = verify_license(plain.replace(b"\n", b"\r\n"), trust, NOW, None, FINGERPRINT)
    assert crlf.accepted
    body = b"".join(plain.split(b"\n")[1:-2])
    rewrapped = b"\n".join([keygen.MACHINE.header.encode(), body, keygen.MACHINE.footer.encode(), b""])
    assert verify_license(rewrapped, trust, NOW, None, FINGERPRINT).code == "altered"


@each_reader
def test_a_genuine_file_of_another_shape_is_refused(read: Reader, signers: Signers) -> None:
    trust = Trust.read(json.dumps(signers.key_set()).encode())
    good = json.loads(b64decode(document_of(signers.machine_file(encrypted=False))["enc"]))
    license_ = good["included"][0]
    spoilt: list[dict[str, Any]] = [
        good | {"included": []}, good | {"included": good["included"][1:]}, good | {"data": license_},
        good | {"included": [license_, *good["included"]]}, good | {"meta": {}}, good | {"data": {}},
        good | {"data": good["data"] | {"relationships": {"license": {"data": {"id": "x"}}}}},
        good | {"data": good["data"] | {"attributes": good["data"]["attributes"] | {"fingerprint": 7}}},
    ]  # fmt: skip
    texts = [
        signers.sign_machine(json.dumps(each).encode(), encrypted=sealed) for each in spoilt for sealed in (False, True)
    ]
    assert {each["code"] for each in read(texts, signers.key_set())} == {"malformed_payload"}
    assert {verify_license(each, trust, NOW, KEY, FINGERPRINT).code for each in texts} == {"malformed_payload"}
