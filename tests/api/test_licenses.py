"""License records, files, keys and the linter over the API."""

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.signing import generate_rsa_key, load_private_key, load_public_keys, public_pem
from app.licenses.mattermost import verify_file
from tests.api.buying import Bought, Buyer
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
    assert found.keys() == {"license-file", "evidence"}
    assert (found["evidence"]["kty"], found["license-file"]["alg"]) == ("OKP", "RS512")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {name for each in found.values() for name in each}
    assert "PRIVATE" not in answer.text
    assert answer.headers["cache-control"] == "public, max-age=3600"


def test_another_rendering_is_refused_by_name(bought: Bought, vendor: httpx.Client) -> None:
    refused = vendor.get(f"/v1/licenses/{bought.license}/file?format=keygen")
    assert (refused.status_code, refused.json()["code"]) == (422, "license_format_unknown")
    assert (refused.json()["param"], "mattermost" in refused.json()["detail"]) == ("format", True)


def test_the_linter_reads_a_file_as_a_server_would(bought: Bought, vendor: httpx.Client, world: World) -> None:
    file = vendor.get(f"/v1/licenses/{bought.license}/file").text
    client = world.browser()
    assert client.post("/v1/licenses/lint", json={"license": file}).json() == {"accepted": True, "findings": []}
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
