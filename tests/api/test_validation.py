"""`POST /v1/licenses/validate`: what it says, how soon it says otherwise, and that both ways of answering agree."""

import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text

from app.adapters.sandbox.clock import set_to
from app.core import keys
from app.core.keys import KeyPurpose
from app.licenses import service as licenses
from app.licenses.formats import token
from app.main import create_app
from tests.api.buying import NEW_YORK, Bought, Buyer, make_key
from tests.licenses.activating import with_rules
from tests.serving import served
from tests.world import World

PATH = "/v1/licenses/validate"
UNKNOWN = "a" * 26
DOCUMENTED_SECONDS = 1.0


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


@pytest.fixture
def file(bought: Bought, vendor: httpx.Client) -> str:
    return vendor.get(f"/v1/licenses/{bought.license}/file").text


@pytest.fixture
def key(bought: Bought, vendor: httpx.Client) -> str:
    return str(vendor.get(f"/v1/licenses/{bought.license}").json()["key"])


@pytest.fixture
def ask(world: World) -> Iterator[Callable[..., dict[str, Any]]]:
    """Validation in a second web process without limits, which learns of changes through the database only."""
    lifted = world.settings.model_copy(update={"validate_burst": 0, "validate_key_burst": 0})
    with served(create_app(lifted, world.wired)) as url, httpx.Client(base_url=url, trust_env=False) as client:

        def send(api_key: str | None = None, **body: Any) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
            answer = client.post(PATH, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        sleep(0.2)  # the second process begins to listen
        yield send


def until(true: Callable[[], bool], seconds: float = DOCUMENTED_SECONDS) -> float:
    """Seconds until it was true. Fails once the documented time is over."""
    began = monotonic()
    while not true():
        assert monotonic() - began < seconds, "not within the documented time"
        sleep(0.01)
    return monotonic() - began


def verified(answer: dict[str, Any], key_set: dict[str, Any]) -> bool:
    """As a client that knows the documentation only: no code of ours."""
    said = dict(answer)
    signature = said.pop("signature")
    jwk = next(each for each in key_set["keys"] if each["kid"] == signature["kid"])
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(jwk["x"] + "=" * (-len(jwk["x"]) % 4)))
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    public.verify(b64decode(signature["value"]), b"blp/validation-answer/v1\n" + canonical)
    return True


def test_a_file_and_its_bare_key_are_valid_and_the_answer_is_signed(
    ask: Callable[..., dict[str, Any]], file: str, key: str, world: World
) -> None:
    by_file, by_key = ask(license=file), ask(key=key)
    assert (by_file["valid"], by_file["code"], by_file["findings"]) == (True, "valid", [])
    assert by_file["license"] == by_key["license"]
    assert by_file["license"]["seats"] == by_file["entitlements"]["users"] == 25
    assert "example.com" not in json.dumps(by_key)  # a bare key does not say whose it is
    key_set = world.browser().get("/v1/licenses/keys").json()
    assert verified(by_file, key_set)
    assert verified(by_key, key_set)


def test_every_finding_is_given_with_its_remedy(ask: Callable[..., dict[str, Any]], key: str, world: World) -> None:
    missing = ask(key=key, entitlements=["ldap", "cluster", "teleport"])
    assert (missing["valid"], missing["code"]) == (False, "entitlement_missing")
    assert [each["detail"] for each in missing["findings"]] == [
        "The license does not include 'cluster'.", "The license does not include 'teleport'."
    ]  # fmt: skip
    assert all(each["remedy"] for each in missing["findings"])
    set_to(world.db, world.ports.clock.now() + timedelta(days=370))
    until(lambda: ask(key=key)["code"] == "in_grace")
    late = ask(key=key, entitlements=["teleport"])
    assert (late["valid"], late["code"]) == (False, "entitlement_missing")
    assert [each["code"] for each in late["findings"]] == ["in_grace", "entitlement_missing"]
    set_to(world.db, world.ports.clock.now() + timedelta(days=370))
    until(lambda: ask(key=key)["code"] == "expired")
    assert ask(key=key)["valid"] is False


def test_every_format_is_a_credential_and_is_told_the_true_code(
    ask: Callable[..., dict[str, Any]], bought: Bought, vendor: httpx.Client, world: World
) -> None:
    with_rules(world, limit=1)
    url = f"/v1/licenses/{bought.license}"
    bound = vendor.post(f"{url}/activations", json={"fingerprint": "one"}).json()["id"]
    texts = {
        "keygen": vendor.get(f"{url}/file?format=keygen").text, "token": vendor.get(f"{url}/file?format=token").text,
        "plain": vendor.get(f"{url}/file?format=keygen&encrypt=false&ttl=3600").text,
        "machine": vendor.get(f"{url}/activations/{bound}/file").text,
    }  # fmt: skip
    as_sent = {
        "keygen": texts["keygen"].replace("\n", "\r\n"),
        "token": f"{texts['token']}\n",
        "plain": texts["plain"].strip(),
    }
    for shown in [*texts.values(), *as_sent.values()]:
        said = ask(license=shown)
        assert (said["code"], said["license"]["id"], said["entitlements"]["users"]) == ("valid", bought.license, 25)
        assert ask(license=shown, nonce="n")["nonce"] == "n"
        servers = [ask(license=shown, fingerprint=each)["code"] for each in ("one", "two")]
        assert servers == ["valid", "activation_limit_reached"]
    for shown in texts.values():
        said = ask(license=shown[:90] + ("A" if shown[90] != "A" else "B") + shown[91:])
        assert (said["valid"], said["license"]) == (False, None)
        assert said["code"] in {"wrong_key", "broken_envelope", "unsupported_algorithm"}
    # Signed by us and in no log: made with a stolen key.
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        kid, stolen = keys.token_key(tx, world.ports.secrets, now)
        forged = token.encode(token.open_payload(texts["token"], {kid: stolen.public_key()}) + b" ", kid, stolen)
    assert ask(license=forged)["code"] == "not_found"
    assert ask(license=world.browser().get("/v1/licenses/revocations").text)["code"] == "wrong_purpose"
    vendor.post(f"{url}/revoke", json={"reason": "Refunded in full."})
    until(lambda: {ask(license=shown)["code"] for shown in texts.values()} == {"revoked"})


def test_a_nonce_comes_back_signed_fresh_and_without_one_the_answer_is_kept(
    ask: Callable[..., dict[str, Any]], key: str, world: World
) -> None:
    key_set = world.browser().get("/v1/licenses/keys").json()
    one, two = ask(key=key, nonce="one"), ask(key=key, nonce="two")
    assert (one["nonce"], two["nonce"]) == ("one", "two")
    assert one["signature"] != two["signature"]
    assert verified(one, key_set)
    assert verified(two, key_set)
    assert "nonce" not in ask(key=key)
    kept = {ask(key=key)["signature"]["value"] for _ in range(20)}
    assert len(kept) <= 2  # a minute may have passed in between


def test_a_revocation_is_seen_within_the_documented_time(
    ask: Callable[..., dict[str, Any]], bought: Bought, file: str, key: str, vendor: httpx.Client
) -> None:
    for _ in range(3):
        assert ask(license=file)["code"] == ask(key=key)["code"] == "valid"
    revoked = vendor.post(f"/v1/licenses/{bought.license}/revoke", json={"reason": "Refunded in full."})
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    until(lambda: ask(license=file)["code"] == "revoked")
    assert ask(key=key)["code"] == "not_found"
    assert ask(key=key)["valid"] is False
    again = vendor.post(f"/v1/licenses/{bought.license}/revoke", json={"reason": "Again."})
    assert (again.status_code, again.json()["code"]) == (409, "license_already_revoked")


def test_a_key_that_was_unknown_is_known_as_soon_as_it_is_issued(
    ask: Callable[..., dict[str, Any]], bought: Bought, key: str, world: World
) -> None:
    """That there is none is remembered too, and forgotten as well."""
    with world.db.transaction() as tx:
        licenses.lock(tx, bought.license).file_id = UNKNOWN
    until(lambda: ask(key=key)["code"] == "not_found")
    assert ask(key=UNKNOWN)["valid"] is True
    with world.db.transaction() as tx:
        licenses.lock(tx, bought.license).file_id = key
    until(lambda: ask(key=key)["code"] == "valid" and ask(key=UNKNOWN)["code"] == "not_found")


def test_nothing_remembered_is_used_while_nobody_listens(
    ask: Callable[..., dict[str, Any]], bought: Bought, file: str, key: str, world: World
) -> None:
    """The trigger is off, so no news comes at all, and the listeners' connections are cut again and again."""
    assert ask(license=file)["code"] == "valid"
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE license DISABLE TRIGGER told"))
        licenses.revoke(tx, bought.license, reason="test", by="test", now=world.ports.clock.now())
    assert ask(license=file)["code"] == "valid"  # deaf to this one change, as the trigger is off
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE application_name = 'blp-fast-lane' AND datname = current_database()")  # fmt: skip
    with world.db.reading() as connection:
        assert len(connection.execute(cut).all()) == 2
    until(lambda: ask(license=file)["code"] == "revoked")
    assert ask(key=key)["code"] == "not_found"


def test_a_bare_key_tells_nobody_whether_it_is_unknown_revoked_or_foreign(
    ask: Callable[..., dict[str, Any]], bought: Bought, file: str, key: str, buyer: Buyer, world: World
) -> None:
    other = buyer.buy(buyer=NEW_YORK | {"email": "other@example.com", "company": "Other, Inc."})
    stranger = make_key(world, account_id=other.account)
    owner = make_key(world, account_id=bought.account)
    foreign = ask(stranger, key=key)
    with world.db.transaction() as tx:
        licenses.revoke(tx, bought.license, reason="test", by="test", now=world.ports.clock.now())
    until(lambda: ask(license=file)["code"] == "revoked")
    unknown, revoked = ask(key=UNKNOWN), ask(key=key)
    shapes = [
        {name: value for name, value in each.items() if name not in {"checked_at", "signature"}}
        for each in (unknown, revoked, foreign, ask(stranger, key=key), ask(stranger, key=UNKNOWN))
    ]
    assert all(shape == shapes[0] for shape in shapes)
    assert (unknown["code"], unknown["license"], unknown["entitlements"]) == ("not_found", None, {})
    # Whoever shows the whole file, owns the license or is the vendor gets the true code.
    assert ask(owner, key=key)["code"] == "revoked"
    assert ask(make_key(world, account_id=None), key=key)["code"] == "revoked"
    assert ask(make_key(world, account_id=bought.account, scopes=("orders:read",)), key=key)["code"] == "not_found"
    assert ask(stranger, license=file)["code"] == "revoked"


def test_a_file_that_cannot_be_believed_opens_nothing(ask: Callable[..., dict[str, Any]], file: str) -> None:
    swapped = file[:40] + ("A" if file[40] != "A" else "B") + file[41:]
    for license_, code in ((swapped, "bad_signature"), ("nonsense!", "not_base64"), (file[:100], "too_short"),
                           ("A" * 20_000, "too_long")):  # fmt: skip
        answer = ask(license=license_)
        assert (answer["valid"], answer["code"], answer["license"]) == (False, code, None)
    assert ask(license=file + "\n")["code"] == "valid"  # as mail programs leave it


def test_a_file_we_signed_but_never_issued_is_not_believed(
    ask: Callable[..., dict[str, Any]], bought: Bought, file: str, world: World
) -> None:
    """Made with a stolen key under a known id: the record has another file (R-LIC-6)."""
    with world.db.transaction() as tx:
        licenses.lock(tx, bought.license).file_sha256 = "0" * 64
    until(lambda: ask(license=file)["code"] == "not_found")


def test_rotating_the_key_of_answers_is_seen_and_old_answers_stay_verifiable(
    ask: Callable[..., dict[str, Any]], key: str, world: World
) -> None:
    old = ask(key=key)
    with world.db.transaction() as tx:
        new = keys.create(tx, world.ports.secrets, KeyPurpose.EVIDENCE, by="test", now=world.ports.clock.now()).kid
    until(lambda: ask(key=key)["signature"]["kid"] == new)
    key_set = world.browser().get("/v1/licenses/keys").json()
    assert verified(old, key_set)
    assert verified(ask(key=key), key_set)


def test_the_fast_lane_and_the_plain_door_give_the_same_answers(
    bought: Bought, file: str, key: str, vendor: httpx.Client, world: World
) -> None:
    """The plain door stands behind the lane; an app whose lane was never opened answers through it."""
    token_ = vendor.get(f"/v1/licenses/{bought.license}/file?format=token").text
    owner = make_key(world, account_id=bought.account)
    bodies: list[Any] = [
        {"license": file}, {"key": key}, {"key": UNKNOWN}, {"key": key, "nonce": "n"}, {"license": file[:-8]},
        {"key": key, "entitlements": ["ldap", "teleport"]}, {"key": key, "fingerprint": "laptop"}, {}, [], None,
        {"key": "short"}, {"key": key, "license": file}, {"key": key, "nonce": 5}, {"key": key, "colour": "red"},
        {"license": token_}, {"license": token_[:-8]}, {"license": "-----BEGIN LICENSE FILE-----"},
        {"license": ""}, {"key": key, "entitlements": "ldap"}, {"key": key, "entitlements": ["l d"]},
    ]  # fmt: skip
    raw = [json.dumps(body).encode() for body in bodies]
    raw += [b"", b"{", b'{"key": NaN}', b"[" * 40, b'{"key": "\\ud800"}']
    lifted = world.settings.model_copy(update={"validate_burst": 0})
    plain_app = create_app(lifted, world.wired)
    plain_app.lane = None
    client = world.browser()
    with served(create_app(lifted, world.wired)) as fast_url, served(plain_app) as plain_url:
        for state in ("active", "revoked", "ended"):
            _put(world, bought, state)
            for credential in ("", f"Bearer {owner}"):
                for body in raw:
                    fast, plain = (_posted(client, url, body, credential) for url in (fast_url, plain_url))
                    assert fast == plain, (state, credential, body[:200])
        wrong = [_posted(client, url, raw[1], "Bearer blp_wrong") for url in (fast_url, plain_url)]
        assert wrong[0] == wrong[1]
        assert wrong[0][0] == 401


def _put(world: World, bought: Bought, state: str) -> None:
    if state == "revoked":
        with world.db.transaction() as tx:
            licenses.revoke(tx, bought.license, reason="test", by="test", now=world.ports.clock.now())
    if state == "ended":
        set_to(world.db, world.ports.clock.now() + timedelta(days=800))
    sleep(0.5)


def _posted(client: httpx.Client, url: str, body: bytes, credential: str) -> tuple[int, dict[str, Any]]:
    """The answer without what differs from one moment to the next."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": credential} if credential else {})
    answer = client.post(url + PATH, content=body, headers=headers)
    passing = {"checked_at", "signature", "request_id"}
    return answer.status_code, {name: value for name, value in answer.json().items() if name not in passing}


def test_what_is_too_large_too_deep_or_no_json_is_refused(key: str, world: World) -> None:
    client = world.api(make_key(world, account_id=None))
    tries: dict[str, tuple[bytes, str, int, str]] = {
        "too large": (b'{"license": "' + b"A" * (64 * 1024) + b'"}', "application/json", 413, "body_too_large"),
        "too deep": (b"[" * 33 + b"]" * 33, "application/json", 400, "malformed_json"),
        "no JSON": (b"key=abc", "application/json", 400, "malformed_json"),
        "a form": (b"key=abc", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        "a key in capitals and signs": (b'{"key": "' + b"!" * 26 + b'"}', "application/json", 422, "invalid"),
    }
    found = {}
    for name, (body, media_type, _, _) in tries.items():
        answer = client.post(PATH, content=body, headers={"Content-Type": media_type})
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        found[name] = (answer.status_code, answer.json()["code"])
    assert found == {name: (status, code) for name, (_, _, status, code) in tries.items()}
    pieces = (b"x" * 1024 for _ in range(70))
    assert client.post(PATH, content=pieces, headers={"Content-Type": "application/json"}).status_code == 413
    assert client.get(PATH).status_code == 404
    assert client.post(PATH, json={"key": key}).json()["valid"] is True


def test_an_address_may_ask_thirty_times_at_once_and_a_key_more(key: str, world: World) -> None:
    client = world.browser()
    answers = [client.post(PATH, json={"key": key}) for _ in range(45)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:30] == [200] * 30
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_requests"
    assert int(refused.headers["retry-after"]) >= 1
    # Random bearer tokens do not mint fresh buckets.
    made_up = client.post(PATH, json={"key": key}, headers={"Authorization": "Bearer blp_nonsense"})
    assert made_up.status_code == 429
    sleep(1)
    raised = {"Authorization": f"Bearer {make_key(world, account_id=None)}"}
    assert [client.post(PATH, json={"key": key}, headers=raised).status_code for _ in range(60)] == [200] * 60


def test_a_wrong_api_key_is_told_so_and_a_revoked_one_soon(key: str, world: World) -> None:
    client = world.browser()
    wrong = client.post(PATH, json={"key": key}, headers={"Authorization": "Bearer blp_nonsense"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "not_signed_in")
    good = make_key(world, account_id=None)
    headers = {"Authorization": f"Bearer {good}"}
    assert client.post(PATH, json={"key": key}, headers=headers).status_code == 200
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE api_key SET revoked_at = now() WHERE secret_hash = :hash"),
                   {"hash": world.ports.secrets.fingerprint("api-key", good)})  # fmt: skip
    until(lambda: client.post(PATH, json={"key": key}, headers=headers).status_code == 401)


def test_no_database_is_told_as_such_and_nothing_is_guessed(file: str, world: World) -> None:
    lifted = world.settings.model_copy(update={"validate_burst": 0})
    with served(create_app(lifted, world.wired)) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post(PATH, json={"license": file}).status_code == 200
        with world.db.transaction() as tx:
            tx.execute(text("ALTER TABLE license RENAME TO license_away"))
        until(lambda: client.post(PATH, json={"key": UNKNOWN}).status_code == 503)
        assert client.post(PATH, json={"key": UNKNOWN}).json()["code"] == "unavailable"
