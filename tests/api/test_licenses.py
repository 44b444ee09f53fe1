"""License records, files, keys and the linter over the API."""

import json
from base64 import b64decode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sqlalchemy import select, text, update
from sqlmodel import col

from app.core import keys
from app.core.canonical import canonical_json, sha256_hex
from app.core.signing import generate_rsa_key, load_private_key, load_public_keys, public_pem
from app.licenses import issuance
from app.licenses.formats.mattermost import verify_file
from app.licenses.formats.recognize import OF_A_LICENSE, Format
from app.licenses.models import IssuanceEntry
from tests.api.buying import Bought, Buyer
from tests.licenses.renderings import documented
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


def test_the_file_verifies_with_the_published_keys_in_either_form(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    answer = vendor.get(f"/v1/licenses/{bought.license}/file?format=mattermost")
    record = vendor.get(f"/v1/licenses/{bought.license}").json()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{record["key"]}.mattermost-license"'
    for form in ("jwks", "pem"):
        published = world.browser().get(f"/v1/licenses/keys?format={form}").content
        rsa = [key for key in load_public_keys(published) if isinstance(key, RSAPublicKey)]
        claims = verify_file(answer.text, rsa)
        assert (claims.id, claims.users) == (record["key"], 25)


def test_keys_are_published_with_their_purpose_and_no_private_half(world: World) -> None:
    answer = world.browser().get("/v1/licenses/keys")
    found = {each["purpose"]: each for each in answer.json()["keys"]}
    assert found.keys() == {"license-file", "evidence", "keygen-file", "license-token", "revocation-list"}
    assert (found["evidence"]["kty"], found["license-file"]["alg"]) == ("OKP", "RS512")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {name for each in found.values() for name in each}
    assert "PRIVATE" not in answer.text
    assert answer.headers["cache-control"] == "public, max-age=3600"


def test_the_record_renders_in_three_formats_that_say_the_same(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    url = f"/v1/licenses/{bought.license}/file"
    record = vendor.get(f"/v1/licenses/{bought.license}").json()
    published, at = world.browser().get("/v1/licenses/keys").json(), world.ports.clock.now()
    texts = {
        "mattermost": vendor.get(url), "keygen": vendor.get(f"{url}?format=keygen"),
        "plain": vendor.get(f"{url}?format=keygen&encrypt=false&ttl=3600"), "token": vendor.get(f"{url}?format=token"),
    }  # fmt: skip
    for name, answer in texts.items():
        read = documented().verify(answer.content, published, at=at, license_key=record["key"], users=25)
        assert read["format"] == name.replace("plain", "keygen")
        assert (read["seats"], read["expires_at"]) == (25, record["expires_at"])
        assert "ldap" in read["features"], name
    assert texts["keygen"].headers["content-disposition"].endswith('.lic"')
    assert "-----BEGIN LICENSE FILE-----\n" in texts["keygen"].text
    with pytest.raises(documented().Refused, match="sealed"):
        documented().verify(texts["keygen"].content, published, at=at)
    for answer in texts.values():
        checked = world.browser().post(
            "/v1/licenses/lint", json={"license": answer.text, "license_key": record["key"]}
        ).json()  # fmt: skip
        assert checked["accepted"], checked


def test_every_signature_is_in_the_log_with_its_hash_and_whoever_asked(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    url = f"/v1/licenses/{bought.license}/file"
    texts = [vendor.get(f"{url}?format={each}").text for each in ("mattermost", "keygen", "token", "token")]
    hashes = {sha256_hex(text.encode()) for text in texts}
    with world.db.transaction() as tx:
        logged = list(
            tx.execute(select(IssuanceEntry).where(col(IssuanceEntry.license_id) == bought.license)).scalars()
        )
        assert {each.file_sha256 for each in logged} == hashes
        assert len(logged) == len(hashes), "the same bytes are logged once"
        kids = {each.format: each.kid for each in logged}
        published = {each.kid: each.purpose for each in keys.published(tx)}
        assert [published[kids[each]] for each in OF_A_LICENSE] == ["license-file", "keygen-file", "license-token"]
        assert {each.actor[:4] for each in logged if each.format != Format.MATTERMOST} == {"key_"}
        assert [issuance.broken_at(tx, kid) for kid in kids.values()] == [None, None, None]
        tx.execute(text("ALTER TABLE license_issuance DISABLE TRIGGER USER"))
        tx.execute(text("UPDATE license_issuance SET actor = 'nobody' WHERE format = 'token'"))
        tx.expire_all()
        assert issuance.broken_at(tx, kids[Format.TOKEN]) == 1
        assert issuance.broken_at(tx, kids[Format.KEYGEN]) is None
        tx.rollback()


def test_a_wish_that_cannot_be_met_is_refused_by_name(bought: Bought, vendor: httpx.Client) -> None:
    for query, code, param in (
        ("format=pdf", "license_format_unknown", "format"),
        ("format=machine", "license_format_unknown", "format"),
        ("format=keygen&ttl=60", "license_file_ttl_invalid", "ttl"),
        ("format=keygen&ttl=3599", "license_file_ttl_invalid", "ttl"),
        ("format=keygen&alg=base64%2Brsa-sha256", "license_file_algorithm_invalid", "alg"),
        ("format=keygen&alg=base64%2Bed25519&encrypt=true", "license_option_without_effect", "encrypt"),
        ("format=token&ttl=3600", "license_option_without_effect", "ttl"),
        ("encrypt=true", "license_option_without_effect", "encrypt"),
    ):
        refused = vendor.get(f"/v1/licenses/{bought.license}/file?{query}")
        assert (refused.status_code, refused.json()["code"], refused.json()["param"]) == (422, code, param)


@pytest.mark.vector(17)
def test_a_keygen_file_is_good_for_a_month_unless_another_time_is_asked_for(
    bought: Bought, vendor: httpx.Client
) -> None:
    for query, ttl in (("", 2_629_746), ("&ttl=3600", 3600), ("&ttl=null", None)):
        answer = vendor.get(f"/v1/licenses/{bought.license}/file?format=keygen&alg=base64%2Bed25519{query}")
        document = json.loads(b64decode("".join(answer.text.split("\n")[1:-2])))
        meta = json.loads(b64decode(document["enc"]))["meta"]
        assert meta["ttl"] == ttl
        assert (meta["expiry"] is None) == (ttl is None)


def test_nothing_more_is_signed_for_a_revoked_license(bought: Bought, vendor: httpx.Client) -> None:
    vendor.post(f"/v1/licenses/{bought.license}/revoke", json={"reason": "Paid back."})
    for written, status in (("mattermost", 200), ("keygen", 409), ("token", 409)):
        answer = vendor.get(f"/v1/licenses/{bought.license}/file?format={written}")
        assert answer.status_code == status, written
    assert answer.json()["code"] == "license_not_in_force"


def test_the_linter_reads_a_file_as_a_server_would(bought: Bought, vendor: httpx.Client, world: World) -> None:
    file = vendor.get(f"/v1/licenses/{bought.license}/file").text
    client = world.browser()
    assert client.post("/v1/licenses/lint", json={"license": file}).json() == {
        "format": "mattermost",
        "accepted": True,
        "findings": [],
    }
    crowded = client.post("/v1/licenses/lint", json={"license": file, "reported_users": 26}).json()
    assert (crowded["accepted"], crowded["findings"][0]["code"]) == (False, "seats_below_users")
    assert crowded["findings"][0]["remedy"]
    other = public_pem(load_private_key(generate_rsa_key())).decode()
    foreign = client.post("/v1/licenses/lint", json={"license": file, "keys": other}).json()
    assert [each["code"] for each in foreign["findings"]] == ["wrong_key"]
    useless = client.post("/v1/licenses/lint", json={"license": file, "keys": "no key"})
    assert (useless.status_code, useless.json()["code"]) == (422, "unusable_key")
    broken = client.post("/v1/licenses/lint", json={"license": "x y z"}).json()
    assert [each["code"] for each in broken["findings"]] == ["not_base64"]


def test_a_revocation_needs_a_reason_and_keeps_it(bought: Bought, vendor: httpx.Client) -> None:
    url = f"/v1/licenses/{bought.license}/revoke"
    assert vendor.post(url, json={"reason": ""}).json()["param"] == "reason"
    revoked = vendor.post(url, json={"reason": "Paid back."}).json()
    assert (revoked["state"], revoked["revoked_reason"]) == ("revoked", "Paid back.")
    assert [each["id"] for each in vendor.get("/v1/licenses?state=revoked").json()["data"]] == [bought.license]


def test_a_chain_begun_before_formats_were_logged_still_holds(bought: Bought, world: World) -> None:
    link = {"kid": "old", "sequence": 1, "license": bought.license, "file": "f" * 64, "previous": "0" * 64}
    first = sha256_hex(b"blp/issuance/v1\n" + canonical_json(link))
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        tx.add(IssuanceEntry(
            kid="old", sequence=1, license_id=bought.license, format=Format.KEYGEN, actor="", version=1,
            file_sha256="f" * 64, issued_at=now, previous_hash="0" * 64, hash=first,
        ))  # fmt: skip
        tx.flush()
        issuance.record(tx, "old", bought.license, "e" * 64, now, written=Format.TOKEN, actor="test")
        issuance.record(tx, "old", bought.license, "e" * 64, now, written=Format.TOKEN, actor="again")
        assert issuance.broken_at(tx, "old") is None
        assert tx.execute(text("SELECT count(*) FROM license_issuance WHERE kid = 'old'")).scalar_one() == 2
        forged = update(IssuanceEntry).where(col(IssuanceEntry.kid) == "old", col(IssuanceEntry.version) == 2)
        for slipped in ({"actor": "nobody"}, {"file_sha256": "x"}, {"sequence": 7}, {"previous_hash": "x"}):
            with tx.begin_nested() as step:
                tx.execute(text("ALTER TABLE license_issuance DISABLE TRIGGER USER"))
                tx.execute(forged.values(slipped))
                tx.expire_all()
                assert issuance.broken_at(tx, "old") == 2, slipped
                step.rollback()
