"""Signing keys from their first publication to their end, and what happens where somebody else may have one."""

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.adapters.sandbox.clock import set_to
from app.core import keys
from app.core.audit import AuditEntry
from app.core.keys import KeyInUse, KeyPurpose, KeyState, NoSigningKey, RotationPending
from app.core.signing import Purpose, PurposeNotAllowed
from app.flows import canary, compromise, key_life
from app.licenses import issuance, revocation_list
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState
from tests import shop
from tests.licenses.readers import python
from tests.world import World, full

LICENSE_FILE = KeyPurpose.LICENSE_FILE
DAY = timedelta(days=1)


def rotate(world: World, purpose: KeyPurpose = LICENSE_FILE, *, at_once: bool = False) -> str:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        made = keys.create if at_once else keys.rotate
        return made(tx, world.ports.secrets, purpose, by="test", now=now).kid


def states(world: World, purpose: KeyPurpose = LICENSE_FILE) -> list[KeyState]:
    with world.db.transaction() as tx:
        found = key_life.figures(tx, world.ports.clock.now())
    return [each.state for each in found if each.key.purpose == purpose]


def signing(world: World, purpose: KeyPurpose = LICENSE_FILE) -> str:
    with world.db.transaction() as tx:
        return keys.signing_kid(tx, purpose, world.ports.clock.now())


def wait(world: World, span: timedelta) -> None:
    set_to(world.db, world.ports.clock.now() + span)


def retire(world: World, kid: str) -> None:
    with world.db.transaction() as tx:
        key_life.retire(tx, kid, by="test", now=world.ports.clock.now())


def published(world: World) -> dict[str, Any]:
    return {each["kid"]: each for each in world.browser().get("/v1/licenses/keys").json()["keys"]}


def license_of(world: World, state: LicenseState = LicenseState.ACTIVE) -> License:
    with world.db.transaction() as tx:
        query = select(License).where(col(License.state) == state).order_by(col(License.id).desc()).limit(1)
        return tx.execute(query).scalar_one()


def test_a_key_is_published_before_it_signs_and_after_until_nothing_rests_on_it(world: World) -> None:
    old = signing(world)
    shop.buy(world)
    new = rotate(world)
    assert (signing(world), states(world)) == (old, [KeyState.SIGNING, KeyState.PUBLISHED])
    told = published(world)
    assert told[old]["valid_to"] == told[new]["signs_from"] > told[new]["valid_from"]
    with pytest.raises(RotationPending):
        rotate(world)
    wait(world, timedelta(hours=48))
    assert (signing(world), states(world)) == (new, [KeyState.RETIRING, KeyState.SIGNING])
    with pytest.raises(KeyInUse, match=r"1 file or token holds until \d{4}-\d{2}-\d{2}"):
        retire(world, old)
    with pytest.raises(KeyInUse, match="It signs"):
        retire(world, new)
    wait(world, 500 * DAY)
    with world.db.transaction() as tx:
        tx.execute(text("INSERT INTO signing_key_use VALUES (:kid, current_date, 7)"), {"kid": old})
    with pytest.raises(KeyInUse, match="7 checks used it of late"):
        retire(world, old)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE signing_key_use SET used_on = current_date - 31"))
    retire(world, old)
    assert (states(world), set(published(world)) & {old, new}) == ([KeyState.RETIRED, KeyState.SIGNING], {new})


def test_a_key_that_signed_yesterday_is_not_retired_today(world: World) -> None:
    old = signing(world)
    rotate(world, at_once=True)
    wait(world, DAY)
    with pytest.raises(KeyInUse, match="less than 30 days ago"):
        retire(world, old)


def test_where_a_successor_that_waits_is_revoked_the_one_before_goes_on(world: World) -> None:
    old, new = signing(world), rotate(world)
    with world.db.transaction() as tx:
        keys.revoke(tx, new, by="test", why="drawn by mistake", now=world.ports.clock.now())
    wait(world, 100 * DAY)
    assert (signing(world), states(world)) == (old, [KeyState.SIGNING, KeyState.REVOKED])
    with pytest.raises(NoSigningKey), world.db.transaction() as tx:
        keys.revoke(tx, old, by="test", why="the last", now=world.ports.clock.now())


def test_private_keys_are_sealed_and_sign_for_their_purposes_only(world: World) -> None:
    with world.db.transaction() as tx:
        for key in keys.every(tx):
            assert "PRIVATE" not in key.private_sealed
            assert b"PRIVATE" not in b64decode(key.private_sealed, altchars=b"-_")
            assert b"BEGIN PRIVATE KEY" in world.ports.secrets.open("signing-key", key.private_sealed)
        signer = keys.evidence_signer(tx, world.ports.secrets, world.ports.clock.now())
    for purpose in (Purpose.LICENSE_TOKEN, Purpose.REVOCATION_LIST):
        with pytest.raises(PurposeNotAllowed):
            signer.sign(purpose, b"")


def test_the_published_set_is_asked_for_again_only_when_it_changed(world: World) -> None:
    browser = world.browser()
    first = browser.get("/v1/licenses/keys")
    again = {"If-None-Match": first.headers["etag"]}
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert browser.get("/v1/licenses/keys", headers=again).status_code == 304
    rotate(world)
    assert browser.get("/v1/licenses/keys", headers=again).status_code == 200


def test_revocations_are_listed_signed_and_continued(world: World) -> None:
    browser = world.browser()
    empty = browser.get("/v1/licenses/revocations")
    orders = [shop.buy(world).id, shop.buy(world, email="b@example.de").id]
    for order_id in orders:
        with world.db.transaction() as tx:
            license_ = licenses.of_order(tx, order_id)
            assert license_ is not None
            licenses.revoke(tx, license_.id, reason="test", by="test", now=world.ports.clock.now())
            file_id = license_.file_id
        browser.get("/v1/licenses/revocations")  # numbers it
    whole, delta = browser.get("/v1/licenses/revocations"), browser.get("/v1/licenses/revocations?since=1")
    assert 'filename="revocations-2.token"' in whole.headers["content-disposition"]
    with world.db.transaction() as tx:
        trusted = keys.ed25519_of(tx, KeyPurpose.REVOCATION_LIST)
    read = revocation_list.read(whole.text, trusted)
    assert (read.sequence, revocation_list.read(delta.text, trusted).since) == (2, 1)
    assert read.entry_of(file_id) is not None
    assert file_id not in whole.text
    assert revocation_list.read_all([empty.text, whole.text, delta.text], trusted).revoked == read.revoked
    known = {"If-None-Match": whole.headers["etag"]}
    assert browser.get("/v1/licenses/revocations", headers=known).status_code == 304
    ahead = browser.get("/v1/licenses/revocations?since=3")
    assert (ahead.status_code, ahead.json()["code"]) == (404, "revocations_unknown")
    with pytest.raises(Exception, match="kept as it is"), world.db.transaction() as tx:
        tx.execute(text("UPDATE license_revocation SET reason = 'key_compromised'"))


def test_a_compromised_key_is_replaced_with_everything_it_signed(world: World) -> None:
    shop.buy(world)
    before, old_kid = license_of(world), signing(world)
    drilled = compromise.drill(world.ports, old_kid)
    assert (drilled.reissued, signing(world), license_of(world).id) == (1, old_kid, before.id)
    done = compromise.compromised(world.ports, old_kid, by="test")
    assert (done.reissued, done.refused, signing(world)) == (1, (), done.successor_kid)
    assert compromise.compromised(world.ports, old_kid, by="test").reissued == 1, "a second run finds nothing to do"
    after, gone = license_of(world), license_of(world, LicenseState.REVOKED)
    assert (gone.id, gone.superseded_by) == (before.id, after.id)
    unchanged = ("account_id", "order_id", "plan_id", "seats", "starts_at", "expires_at", "entitlements", "label")
    assert [getattr(after, name) for name in unchanged] == [getattr(before, name) for name in unchanged]
    key_set = world.browser().get("/v1/licenses/keys").json()
    lists = [world.browser().get("/v1/licenses/revocations").content]
    said = python([before.file_text.encode(), after.file_text.encode()], key_set, at=world.ports.clock.now(),
                  revocations=lists)  # fmt: skip
    assert [(each["accepted"], each.get("code")) for each in said] == [(False, "bad_signature"), (True, None)]
    with world.db.transaction() as tx:
        assert issuance.broken_at(tx, done.successor_kid) is None
        listed = revocation_list.read(lists[0], keys.ed25519_of(tx, KeyPurpose.REVOCATION_LIST))
        audited = tx.execute(select(col(AuditEntry.action)).where(col(AuditEntry.subject) == before.id)).scalars().all()
    entry = listed.entry_of(before.file_id)
    assert entry is not None
    assert entry.reason == "key_compromised"
    assert "license.reissued" in audited
    world.work()
    with world.db.transaction() as tx:
        mails = tx.execute(text("SELECT subject FROM sandbox_mail")).scalars().all()
    assert [each for each in mails if each.startswith("Install the new license file")] != []


def test_a_replacement_that_was_cut_off_goes_on_and_leaves_nothing_behind(world: World) -> None:
    """Copies of one license, so that there are many; the run is killed between two chunks."""
    shop.buy(world)
    count, old_kid = full(5_000), signing(world)
    with world.db.transaction() as tx:
        tx.execute(text("""
            INSERT INTO license SELECT (jsonb_populate_record(one, jsonb_build_object(
                'id', one.id || number, 'bridge', true, 'file_id', lpad(number::text, 26, '0'),
                'file_sha256', number::text))).*
            FROM license AS one, generate_series(2, :count) AS number"""), {"count": count})  # fmt: skip

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compromise.compromised(world.ports, old_kid, by="test", progress=killed, at_once=20)
    assert signing(world) != old_kid, "the key is worthless from the first commit on"
    done = compromise.compromised(world.ports, old_kid, by="test", at_once=20)
    assert (done.reissued, done.refused) == (count, ())
    with world.db.transaction() as tx:
        left = tx.execute(text(
            "SELECT count(*) FILTER (WHERE kid = :old AND state = 'active'), count(*) FILTER (WHERE state = 'active'),"
            " count(*) FILTER (WHERE state = 'revoked' AND superseded_by IS NOT NULL) FROM license"
        ), {"old": old_kid}).one()  # fmt: skip
        listed = tx.execute(text("SELECT count(*) FROM license_revocation WHERE reason = 'key_compromised'")).scalar()
        assert issuance.broken_at(tx, done.successor_kid) is None
    assert (tuple(left), listed) == ((0, count, count), count)


def test_canaries_sing_with_the_published_keys_and_their_silence_is_told_once(world: World) -> None:
    canary.check.run(world.ports)
    assert world.browser().get("/readyz").json()["canaries_failing"] == []
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE signing_key SET private_sealed = (SELECT private_sealed FROM signing_key"
                        " WHERE purpose = 'keygen-file') WHERE purpose = 'license-token'"))  # fmt: skip
    for _ in range(2):
        with pytest.raises(canary.CanaryDied, match="license-token"):
            canary.check.run(world.ports)
    assert world.browser().get("/readyz").json()["canaries_failing"] == ["license-token"]
    assert 'blp_signing_canary_failing{purpose="license-token"} 1.0' in world.browser().get("/metrics").text
    with world.db.transaction() as tx:
        told = tx.execute(select(AuditEntry).where(col(AuditEntry.action) == "signing_canary.failed")).scalars().all()
    assert [entry.subject for entry in told] == ["license-token"]
