"""Somebody else may have a signing key: it is revoked at once, and what it signed is replaced (R-LIC-6, S28, ADR 0057).

From the first commit on nothing signed by it is believed. Licenses in force are then issued anew in chunks, as plain
rows (ADR 0036): the old record is revoked, which puts its file on the revocation list, and its successor says the same
under a new id and key. A run that was cut off goes on where it was, because what is done is no longer in force.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Any, Final

import structlog
from sqlalchemy import RowMapping, select, text
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account
from app.catalog.models import Family, Plan
from app.core import audit, bulk, events, jobs, keys
from app.core.audit import Deed
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.ids import new_id, new_license_file_id
from app.core.keys import KeyCompromise, KeyPurpose, KeyState
from app.core.signing import RsaHolder
from app.documents.change_mails import LicenseReplaced
from app.documents.mail_shapes import MailName
from app.flows import notify, provisioning
from app.flows.ports import Ports
from app.licenses import issuance, issuing, revocations
from app.licenses import service as licenses
from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.mattermost import SIGNATURE_BYTES
from app.licenses.issuing import UndeliverableLicenseFile
from app.licenses.models import IssuanceEntry, License, LicenseState
from app.subscriptions import service as subscriptions

log = structlog.get_logger()

_CHUNK: Final = 500
_DRILLED: Final = 5_000  # enough to measure, and few enough to hold locks on
_REASON: Final = "the signing key was compromised"
_IN_FORCE: Final = (LicenseState.ACTIVE, LicenseState.SUSPENDED)
# What was merged into files, and what was replaced before its end: nobody asks for it again, yet it may be installed.
_LIST_MERGED: Final = text("""
UPDATE merged_license SET state = 'revoked', revoked_at = :now WHERE kid = :kid AND state = 'active' RETURNING file_id
""")
_LIST_OLDER: Final = text("""
INSERT INTO license_revocation (file_hash, reason, revoked_at)
SELECT revoked_file_hash(file_id), 'key_compromised', CAST(:now AS timestamptz) FROM (
  SELECT file_id, kid, state, expires_at FROM license
  UNION ALL SELECT file_id, kid, state, expires_at FROM merged_license
) AS file WHERE kid = :kid AND state = 'superseded' AND expires_at > :now ON CONFLICT DO NOTHING
""")
_TRIALS: Final = text("""
UPDATE trial SET license_id = old.superseded_by FROM license AS old
 WHERE trial.license_id = old.id AND old.id = ANY(:replaced)
""")
_RENDERED: Final = text("""
SELECT DISTINCT license.id FROM license_issuance AS entry JOIN license ON license.id = entry.license_id
 WHERE entry.kid = :kid AND license.state = 'active' AND license.expires_at > :now
""")


@dataclass(frozen=True, slots=True)
class Done:
    """`refused` are licenses whose file the linter would not let out: they wait for a person."""

    successor_kid: str
    reissued: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drilled:
    reissued: int
    seconds: float

    @property
    def per_thousand(self) -> float:
        return self.seconds * 1000 / self.reissued if self.reissued else 0.0


def compromised(
    ports: Ports, kid: str, *, by: str, progress: Callable[[int], None] = lambda _: None, at_once: int = _CHUNK
) -> Done:
    """Revoke the key and replace what it signed, `at_once` licenses in a transaction. Safe to repeat.

    `progress` hears how many are done.

    License files are issued anew. Keygen files and tokens are made at download, so that their owners are asked to
    download again. Raises NotFound.
    """
    with ports.db.transaction() as tx:
        begun = _begin(tx, ports, kid, by=by, now=ports.clock.now())
        successor, reissued = begun.successor_kid, begun.reissued
    refused: set[str] = set()
    # From the first license, and once more for those that were being signed while the key was revoked.
    for _ in range(2):
        after = ""
        while True:
            with ports.db.transaction() as tx:
                row = _lock(tx, kid)
                chunk = _reissue(tx, ports, kid, after, by=by, now=ports.clock.now(), at_once=at_once)
                row.reissued += chunk.count
                reissued = row.reissued
            refused.update(chunk.refused)
            if not chunk.last:
                break
            after = chunk.last
            progress(reissued)
    with ports.db.transaction() as tx:
        _finish(tx, kid, by=by, now=ports.clock.now())
    return Done(successor, reissued, tuple(sorted(refused)))


def drill(ports: Ports, kid: str) -> Drilled:
    """The same with up to 5,000 licenses in a transaction that is rolled back: what it takes, measured here and now.

    Meanwhile those licenses and the logs of their accounts are locked. Raises NotFound.
    """
    count, after = 0, ""
    began = perf_counter()
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        savepoint = tx.begin_nested()
        _begin(tx, ports, kid, by="drill", now=now)
        while count < _DRILLED:
            chunk = _reissue(tx, ports, kid, after, by="drill", now=now)
            if not chunk.last:
                break
            count, after = count + chunk.count, chunk.last
        savepoint.rollback()
    return Drilled(count, perf_counter() - began)


def _lock(tx: Tx, kid: str) -> KeyCompromise:
    return tx.execute(select(KeyCompromise).where(col(KeyCompromise.kid) == kid).with_for_update()).scalar_one()


def _begin(tx: Tx, ports: Ports, kid: str, *, by: str, now: datetime) -> KeyCompromise:
    """The key is worthless from this commit on, and another one signs. Raises NotFound."""
    known = tx.get(KeyCompromise, kid)
    if known is not None:
        return known
    key = keys.lock(tx, kid)
    purpose = KeyPurpose(key.purpose)
    if keys.state(key, now) is KeyState.SIGNING:
        keys.create(tx, ports.secrets, purpose, by=by, now=now)
    keys.revoke(tx, kid, by=by, why="compromised", now=now)
    row = KeyCompromise(kid=kid, successor_kid=keys.signing_kid(tx, purpose, now), started_by=by, started_at=now)
    tx.add(row)
    tx.flush()
    if purpose is KeyPurpose.LICENSE_FILE:
        revocations.blame_the_key(tx, list(tx.execute(_LIST_MERGED, {"kid": kid, "now": now}).scalars()))
        tx.execute(_LIST_OLDER, {"kid": kid, "now": now})
    return row


def _finish(tx: Tx, kid: str, *, by: str, now: datetime) -> None:
    row = _lock(tx, kid)
    if row.finished_at is not None:
        return
    row.finished_at = now
    told = list(tx.execute(_RENDERED, {"kid": kid, "now": now}).scalars())
    jobs.defer_many(tx, deliver, [jobs.Order({"license_id": each, "kid": kid}) for each in told])
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.replaced", subject=kid, now=now,
                 details={"successor": row.successor_kid, "reissued": row.reissued, "told": len(told)})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Chunk:
    """`last` is the id to go on after, empty at the end."""

    count: int = 0
    last: str = ""
    refused: tuple[str, ...] = ()


def _reissue(
    tx: Tx, ports: Ports, kid: str, after: str, *, by: str, now: datetime, at_once: int = _CHUNK
) -> _Chunk:  # fmt: skip
    columns = bulk.sql_table(License).c
    found = tx.execute(
        select(*columns)
        .where(columns.kid == kid, columns.state.in_(_IN_FORCE), columns.expires_at > now, columns.id > after)
        .order_by(columns.id).limit(at_once).with_for_update()
    ).mappings().all()  # fmt: skip
    if not found:
        return _Chunk()
    new_kid, key = keys.license_key(tx, ports.secrets, now)
    previous = licenses.previous_ids(tx, [row["subscription_id"] for row in found if not row["trial"]])
    pairs, refused = [], []
    for old in found:
        try:
            pairs.append((old, _anew(old, new_kid, key, previous, now)))
        except UndeliverableLicenseFile as exc:
            log.warning("license.not_reissued", license=old["id"], why=exc.detail)
            refused.append(old["id"])
    if pairs:
        _write(tx, new_kid, pairs, by=by, now=now)
    return _Chunk(len(pairs), found[-1]["id"], tuple(refused))


_Pair = tuple[RowMapping, Mapping[str, Any]]


def _anew(
    old: RowMapping, kid: str, key: RsaHolder, previous: set[str], now: datetime
) -> Mapping[str, Any]:  # fmt: skip
    """The record again, under a new id and key. Raises UndeliverableLicenseFile."""
    claims = LicenseClaims.from_payload(b64decode(old["file_text"])[:-SIGNATURE_BYTES])
    issued = issuing.issue(
        lambda file_id: replace(claims, id=file_id, issued_at=now), key, new_id=new_license_file_id, now=now,
        previous_ids=previous,
    )  # fmt: skip
    previous.add(issued.claims.id)
    return dict(old) | {
        "id": new_id("lic"), "file_id": issued.claims.id, "kid": kid, "file_text": issued.text,
        "file_sha256": sha256_hex(issued.text.encode()), "issued_at": now,
    }  # fmt: skip


def _write(tx: Tx, kid: str, pairs: Sequence[_Pair], *, by: str, now: datetime) -> None:
    last = events.take_turns(tx, [old["id"] for old, _ in pairs])
    # In this order: an order has one license that is not revoked, and nobody names what does not exist yet.
    bulk.update(tx, License, "id", [
        {"id": old["id"], "state": LicenseState.REVOKED, "revoked_at": now, "revoked_reason": _REASON}
        for old, _ in pairs
    ])  # fmt: skip
    bulk.copy(tx, License, [new for _, new in pairs])
    bulk.update(tx, License, "id", [{"id": old["id"], "superseded_by": new["id"]} for old, new in pairs])
    tx.execute(_TRIALS, {"replaced": [old["id"] for old, _ in pairs if old["trial"]]})
    revocations.blame_the_key(tx, [old["file_id"] for old, _ in pairs])
    bulk.copy(tx, IssuanceEntry, issuance.rows(tx, kid, [(new["id"], new["file_sha256"]) for _, new in pairs], now))
    told = [licenses.issued_event(bulk.plain(License, new)) for _, new in pairs]
    told += [events.Happened("license.revoked", old["id"], old["account_id"], {"by": new["id"]}) for old, new in pairs]
    events.append_many(tx, told, last, now)
    jobs.defer_many(tx, deliver, [jobs.Order({"license_id": new["id"], "kid": old["kid"]}) for old, new in pairs])
    audit.record_many(tx, [
        Deed(old["account_id"], by, "license.reissued", old["id"], {"by": new["id"], "reason": _REASON})
        for old, new in pairs
    ], now)  # fmt: skip


@jobs.job("licenses.deliver_replacement", retry=jobs.Retry(attempts=10, first=5))
def deliver(ports: Ports, *, license_id: str, kid: str) -> None:
    """The new file to the workspace that runs on it, a mail to those who install it themselves; one for each key."""
    with ports.db.transaction() as tx:
        license_ = licenses.get(tx, license_id)
        if license_.state is not LicenseState.ACTIVE:
            return
        account = tx.get_one(Account, license_.account_id)
        plan = tx.get_one(Plan, license_.plan_id)
        now = ports.clock.now()
        if plan.family is Family.CLOUD and not license_.trial:
            held = subscriptions.get(tx, licenses.subscription_of(license_))
            provisioning.provide(tx, held, license_, region=None, now=now)
            return
        data = LicenseReplaced(
            vendor=notify.vendor(ports, accounts.seller(tx)), person_name="", name=license_.label or plan.name,
            seats=license_.seats, license_url=ports.link(f"/account/licenses/{license_.id}"),
        )  # fmt: skip
    notify.send(
        ports, MailName.LICENSE_REPLACED, data, to=account.email, locale=account.locale,
        message_id=f"license-replaced-{license_id}-{kid}",
    )  # fmt: skip
