"""Activation files are believed by the one server they were made for, offline, and by no other (R-LIC-8)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import transport_now
from app.core.errors import Invalid
from app.core.signing import Ed25519Signer, Purpose, load_public_keys
from app.licenses import activating, carrying, offline
from app.licenses.activating import By
from app.licenses.activation_models import Activation, EndedBy
from app.licenses.errors import OfflineNotOffered, ProofNeeded
from app.licenses.models import License
from app.licenses.offline import ActivationFileRejected, RequestUnreadable, verify_activation
from tests.licenses.activating import bought, with_rules
from tests.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
SIGNER, KEYS = Ed25519Signer("k1", KEY), {"k1": KEY.public_key()}
SAID: dict[str, Any] = {
    "type": offline.ACTIVATION, "activation": "act_1", "fingerprint": "alpha", "license": "a" * 26, "nonce": "n" * 8,
    "place": 1, "issued_at": NOW, "expires_at": NOW + timedelta(days=10), "release": "secret",
}  # fmt: skip
FILE = offline.sign(SAID, SIGNER)
BY = By(EndedBy.CUSTOMER, "mem_1")


def believed(text: str = FILE, **changes: Any) -> str:
    """`yes`, or the code of the refusal."""
    asked: dict[str, Any] = {"fingerprint": "alpha", "license_file_id": "a" * 26, "now": NOW, "nonce": "n" * 8}
    asked |= changes
    try:
        return str(verify_activation(text, KEYS, **asked)["activation"]).replace("act_1", "yes")
    except ActivationFileRejected as rejected:
        return rejected.reason.value


def test_the_server_it_was_made_for_believes_it_and_others_say_why_not() -> None:
    assert believed() == "yes"
    assert believed(json.dumps(json.loads(FILE))) == "yes", "the layout is free"
    assert believed("\ufeff " + FILE.replace("\n", "\r\n")) == "yes", "as editors leave it"
    assert believed(nonce=None) == "yes"
    refused = {
        "other_server": believed(fingerprint="beta"), "other_license": believed(license_file_id="b" * 26),
        "other_request": believed(nonce="m" * 8), "expired": believed(now=NOW + timedelta(days=10, seconds=1)),
        "no_activation": believed(offline.sign(SAID | {"type": offline.DEACTIVATION}, SIGNER)),
        "unknown_key": believed(offline.sign(SAID, Ed25519Signer("k2", KEY))),
        "bad_signature": believed(offline.sign(SAID, Ed25519Signer("k1", Ed25519PrivateKey.generate()))),
        "unreadable": believed("[1]"),
    }  # fmt: skip
    assert all(code == found for code, found in refused.items()), refused
    assert [believed(text) for text in ("", "{", "{}", "[" * 9000, FILE + "x" * 9000)] == ["unreadable"] * 5
    other = SIGNER.sign(Purpose.VALIDATION_ANSWER, b"{}")
    assert believed(json.dumps({"signature": {"kid": "k1", "value": other.hex()}})) in {"unreadable", "bad_signature"}


@given(st.integers(0, len(FILE) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_whatever_is_changed_is_noticed(at: int, letter: str) -> None:
    changed = FILE[:at] + letter + FILE[at + 1 :]
    if json.loads(FILE) != _json(changed):
        assert believed(changed) != "yes"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def test_every_member_counts() -> None:
    whole = json.loads(FILE)
    for name in whole:
        for value in ("x", None, 1, "act_2"):
            if whole[name] != value:
                assert believed(json.dumps(whole | {name: value})) != "yes", name
        assert believed(json.dumps({key: whole[key] for key in whole if key != name})) != "yes", name
    assert believed(json.dumps(whole | {"more": 1})) == "bad_signature"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"type": "blp/activation/v1"}, "type"), ({"license": "short"}, "license"), ({"nonce": "short"}, "nonce"),
        ({"fingerprint": "two words"}, "fingerprint"), ({"created": "yesterday"}, "created"), ({"price": 0}, "price"),
        ({"action": "deactivate"}, "names `activation` and `release`"), ({"name": "a\nb"}, "name"),
    ],
)  # fmt: skip
def test_a_request_that_no_product_writes_is_refused_with_the_reason(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestUnreadable, match=says):
        offline.read_request(json.dumps(request("alpha") | changes))
    for text in ("", "no", "[]", "{" * 9000, '"x"'):
        with pytest.raises(RequestUnreadable):
            offline.read_request(text)


def request(fingerprint: str, license_: str = "a" * 26, nonce: str = "nonce-001", **more: str) -> dict[str, Any]:
    """What a product writes."""
    return {"type": offline.REQUEST, "action": "activate", "license": license_, "fingerprint": fingerprint,
            "nonce": nonce, "created": "2026-03-01T12:00:00Z"} | more  # fmt: skip


def carried(world: World, license_: License, asked: dict[str, Any]) -> tuple[Activation, str]:
    """The activation, and the text that is carried back."""
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        row = carrying.carry(
            tx, world.ports.secrets, license_, offline.read_request(json.dumps(asked)), by=BY, now=now,
            real_now=transport_now(),
        )  # fmt: skip
        return row, carrying.answer(tx, world.ports.secrets, license_, row, now)


def published(world: World) -> dict[str, Ed25519PublicKey]:
    """The trusted keys by kid, from the door everybody may read."""
    found = {}
    for each in world.browser().get("/v1/licenses/keys").json()["keys"]:
        public = load_public_keys(each["pem"].encode())[0]
        if isinstance(public, Ed25519PublicKey):
            found[each["kid"]] = public
    return found


def test_a_request_is_carried_out_and_in_and_the_place_comes_back_the_same_way(world: World) -> None:
    license_ = bought(world, limit=1, heartbeat_seconds=600)
    asked = request("alpha", license_.file_id, name="vault-01")
    row, text = carried(world, license_, asked)
    said = verify_activation(
        text, published(world), fingerprint="alpha", license_file_id=license_.file_id, now=world.ports.clock.now(),
        nonce="nonce-001",
    )  # fmt: skip
    assert (said["activation"], row.name, row.offline, row.lease_until) == (row.id, "vault-01", True, None)
    assert carried(world, license_, asked)[1] == text, "the same request again gets the same file"
    with world.db.transaction() as tx, pytest.raises(ProofNeeded, match="deactivation request"):
        activating.deactivate(tx, license_, row.id, by=BY, now=world.ports.clock.now())
    gives_up = request("alpha", license_.file_id, "nonce-002", action="deactivate", activation=row.id)
    for wrong in ({"release": "guessed"}, {"release": said["release"], "fingerprint": "beta"}):
        with pytest.raises(Invalid, match="does not show"):
            carried(world, license_, gives_up | wrong)
    ended, receipt = carried(world, license_, gives_up | {"release": said["release"]})
    told = offline.verify_signed(receipt, published(world))
    assert (told["type"], told["activation"], ended.ended_by) == (offline.DEACTIVATION, row.id, EndedBy.CUSTOMER)
    assert carried(world, license_, gives_up | {"release": said["release"]})[1] == receipt
    with pytest.raises(Invalid, match="used before"):
        carried(world, license_, asked)
    assert carried(world, license_, request("beta", license_.file_id, "nonce-003"))[0].slot == 1
    with pytest.raises(Invalid, match="another license"):
        carried(world, license_, request("beta", "b" * 26))
    with_rules(world, limit=2, floating=True)
    with pytest.raises(OfflineNotOffered):
        carried(world, license_, request("gamma", license_.file_id, "nonce-004"))
