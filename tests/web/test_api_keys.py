"""API keys over the API (S10, S11, S15, S19)."""

from datetime import timedelta

import httpx
from sqlalchemy import text

from app.accounts import api_keys
from app.accounts.models import ApiKey
from app.core.audit import AuditEntry
from app.core.clock import transport_now
from app.core.security import new_api_key
from tests.signing_in import make_account
from tests.world import World


def key_of(world: World, *scopes: str, account_id: str | None = None) -> str:
    """The secret of a new key; without an account it is the vendor's."""
    with world.db.transaction() as tx:
        return api_keys.create(
            tx, world.ports.secrets, name="test", scopes=list(scopes), account_id=account_id, actor="test",
            now=transport_now(),
        )[1]  # fmt: skip


def account_id(world: World) -> str:
    with world.db.transaction() as tx:
        return make_account(tx).id


def mint(client: httpx.Client, *scopes: str, **more: object) -> httpx.Response:
    return client.post("/v1/api_keys", json={"name": "another", "scopes": list(scopes), **more})


def test_a_key_is_shown_once_and_works_until_it_is_revoked(world: World) -> None:
    """S10: shown once, kept as a keyed hash; S8: dead at once."""
    vendor = world.api(key_of(world, "*"))
    made = mint(vendor, "keys:write", expires_in_days=30)
    assert made.status_code == 201
    body = made.json()
    listed = vendor.get("/v1/api_keys").json()
    assert listed["data"][0]["id"] == body["id"]
    assert body["secret"] not in vendor.get("/v1/api_keys").text
    with world.db.transaction() as tx:
        assert not tx.execute(
            text("SELECT 1 FROM api_key WHERE secret_hash LIKE '%' || :s"), {"s": body["secret"]}
        ).all()
    child = world.api(body["secret"])
    assert child.get("/v1/api_keys").status_code == 200
    assert vendor.delete(f"/v1/api_keys/{body['id']}").status_code == 204
    refused = child.get("/v1/api_keys")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")
    assert vendor.delete(f"/v1/api_keys/{body['id']}").status_code == 204, "again changes nothing"
    with world.db.transaction() as tx:
        about = tx.query(AuditEntry).filter_by(subject=body["id"]).order_by(AuditEntry.id).all()  # type: ignore[arg-type]  # a column at run time
        assert [entry.action for entry in about] == ["api_key.created", "api_key.revoked"]


def test_two_keys_live_side_by_side_while_one_replaces_the_other(world: World) -> None:
    """S10: rotation."""
    old = world.api(key_of(world, "keys:write", "licenses:read"))
    new = world.api(mint(old, "keys:write", "licenses:read").json()["secret"])
    assert [each.get("/v1/api_keys").status_code for each in (old, new)] == [200, 200]
    mine = next(each["id"] for each in new.get("/v1/api_keys").json()["data"] if each["name"] == "test")
    assert new.delete(f"/v1/api_keys/{mine}").status_code == 204
    assert [each.get("/v1/api_keys").status_code for each in (old, new)] == [401, 200]


MINTING = (
    (("keys:write",), ("keys:write",), 201),
    (("keys:write",), ("licenses:read",), 403),
    (("keys:write", "licenses:read"), ("licenses:write",), 403),
    (("keys:write", "licenses:*"), ("licenses:write",), 201),
    (("keys:write", "licenses:*"), ("licenses:*",), 201),
    (("keys:write", "licenses:read", "licenses:write"), ("licenses:*",), 403),
    (("keys:write", "licenses:*"), ("*",), 403),
    (("*",), ("*",), 201),
    (("*",), ("licenses:eat",), 422),
    (("licenses:read",), ("licenses:read",), 403),
)


def test_a_key_gives_away_only_what_it_has(world: World) -> None:
    """S7, S10."""
    for has, wants, status in MINTING:
        assert mint(world.api(key_of(world, *has)), *wants).status_code == status, (has, wants)


def test_a_key_of_an_account_stays_inside_it(world: World) -> None:
    """S15: the other account's keys, and the vendor's, are 404 and never 403; no key of the vendor comes out of it."""
    mine, theirs = account_id(world), account_id(world)
    inside = world.api(key_of(world, "keys:write", account_id=mine))
    key_of(world, "keys:write", account_id=theirs)
    key_of(world, "*")
    seen = inside.get("/v1/api_keys").json()["data"]
    assert {each["account_id"] for each in seen} == {mine}
    with world.db.transaction() as tx:
        foreign = [key.id for key in tx.query(ApiKey) if key.account_id != mine]
    assert len(foreign) == 2
    for key_id in (*foreign, "key_" + "0" * 26, "acc_1", "x"):
        assert inside.get(f"/v1/api_keys/{key_id}").status_code == 404
        assert inside.delete(f"/v1/api_keys/{key_id}").status_code == 404
    assert mint(inside, "keys:write").json()["account_id"] == mine
    assert mint(inside, "keys:write", account_id=theirs).status_code == 404
    vendor = world.api(key_of(world, "*"))
    assert mint(vendor, "keys:write", account_id=theirs).json()["account_id"] == theirs
    assert mint(vendor, "keys:write", account_id="acc_" + "0" * 26).status_code == 404
    assert mint(vendor, "keys:write").json()["account_id"] is None


def test_a_key_lives_a_year_at_most_and_then_no_longer(world: World) -> None:
    """S10: expiry."""
    vendor = world.api(key_of(world, "*"))
    assert mint(vendor, "keys:write", expires_in_days=367).status_code == 422
    made = mint(vendor, "keys:write", expires_in_days=1).json()
    child = world.api(made["secret"])
    assert child.get("/v1/api_keys").status_code == 200
    with world.db.transaction() as tx:
        tx.get_one(ApiKey, made["id"]).expires_at = transport_now() - timedelta(seconds=1)
    assert child.get("/v1/api_keys").status_code == 401


def test_when_and_from_where_a_key_was_last_used_is_shown(world: World) -> None:
    """S10."""
    vendor = world.api(key_of(world, "*"))
    made = mint(vendor, "keys:write").json()
    assert (made["last_used_at"], made["last_used_ip"]) == (None, None)
    world.api(made["secret"]).get("/v1/api_keys")
    used = vendor.get(f"/v1/api_keys/{made['id']}").json()
    assert (used["last_used_at"] is not None, used["last_used_ip"]) == (True, "127.0.0.1")


def test_what_is_no_key_is_not_signed_in(world: World) -> None:
    client = world.browser()
    for presented in ("", "Basic abc", "Bearer", "Bearer blp_short", "Bearer é"):
        answer = client.get("/v1/api_keys", headers=[(b"authorization", presented.encode())])
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in"), presented


def test_a_mistyped_an_unknown_and_an_expired_key_look_alike(world: World) -> None:
    """S18: nothing tells which keys exist."""
    secret = key_of(world, "*")
    typo = secret[:20] + ("A" if secret[20] != "A" else "B") + secret[21:]
    expired = key_of(world, "*")
    with world.db.transaction() as tx:
        row = tx.query(ApiKey).filter_by(secret_hash=world.ports.secrets.fingerprint("api-key", expired)).one()
        row.expires_at = transport_now()
    answers = [world.api(each).get("/v1/api_keys").json() for each in (typo, new_api_key(), expired)]
    assert len({(each["status"], each["code"], each["detail"]) for each in answers}) == 1


def test_wrong_keys_are_limited_like_wrong_codes_and_right_ones_are_not(world: World) -> None:
    """S11, S19."""
    right = world.api(key_of(world, "*"))
    statuses = [world.api(new_api_key()).get("/v1/api_keys").status_code for _ in range(70)]
    assert 30 <= statuses.index(429) <= 60
    assert right.get("/v1/api_keys").status_code == 200


def test_a_route_for_programs_takes_no_form(world: World) -> None:
    """S13: what a foreign page can make a browser send is not understood."""
    client = world.api(key_of(world, "*"))
    for media in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = client.post("/v1/api_keys", content=b'{"name":"x","scopes":["*"]}', headers={"content-type": media})
        assert answer.status_code == 422, media
    with world.db.transaction() as tx:
        assert tx.query(ApiKey).count() == 1


def test_unknown_and_unusable_fields_are_refused(world: World) -> None:
    """S17."""
    client, fits = world.api(key_of(world, "*")), {"name": "x", "scopes": ["*"]}
    wrong: tuple[dict[str, object], ...] = (
        {"name": ""}, {"scopes": []}, {"id": "key_1"}, {"revoked_at": None}, {"secret": "x"}, {"expires_in_days": 0},
    )  # fmt: skip
    for change in wrong:
        assert client.post("/v1/api_keys", json=fits | change).status_code == 422, change
    assert client.post("/v1/api_keys", json={}).status_code == 422


def test_lists_go_on_where_the_last_one_ended(world: World) -> None:
    vendor = world.api(key_of(world, "*"))
    for _ in range(4):
        mint(vendor, "keys:write")
    first = vendor.get("/v1/api_keys", params={"limit": 3}).json()
    rest = vendor.get("/v1/api_keys", params={"limit": 3, "starting_after": first["data"][-1]["id"]}).json()
    assert ([len(first["data"]), first["has_more"]], [len(rest["data"]), rest["has_more"]]) == ([3, True], [2, False])
    assert not {each["id"] for each in first["data"]} & {each["id"] for each in rest["data"]}
