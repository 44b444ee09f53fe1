"""Checking a machine file out: a license for one of its servers, in a file that opens for that server alone (R-LIC-5).

It goes on until its own end, whatever becomes of the activation meanwhile: whoever has it needs no network, so
nothing can call it back. That is why it has an end, and why seats that are lent are in none.
"""

from datetime import datetime

from app.core import keys
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.security import Secrets
from app.licenses import activation_terms, issuance, revocations
from app.licenses.activation_models import Activation, ActivationState
from app.licenses.decision import Credential, ValidationRequest, decide
from app.licenses.errors import LeaseEnded, LicenseNotUsable, NotInForce, OfflineNotOffered
from app.licenses.formats import keygen, machine_claims
from app.licenses.formats.keygen_claims import require_ttl
from app.licenses.formats.machine_claims import Bound
from app.licenses.formats.recognize import Format
from app.licenses.formats.rendering_lint import lint_machine
from app.licenses.formats.stated import Stated
from app.licenses.issuing import UndeliverableLicenseFile
from app.licenses.models import License, LicenseState
from app.licenses.records import record_of
from app.licenses.rendering import Wanted
from app.licenses.validating import facts_of


def check_out(
    tx: Tx, secrets: Secrets, license_: License, row: Activation, wanted: Wanted, *, by: str, now: datetime,
    real_now: datetime,
) -> str:  # fmt: skip
    """The text for the server of `row`, which holds a place of the license; `by` is who asked, for the log.

    The caller has asked whether it may be delivered. The same record, wish and second give the same text. Raises
    TtlRefused, NotInForce, LeaseEnded for a server that was deactivated, OfflineNotOffered for a seat that is lent,
    LicenseNotUsable for what validation refuses, UndeliverableLicenseFile, NoSigningKey.
    """
    ttl = require_ttl(wanted.ttl)
    if license_.state in {LicenseState.REVOKED, LicenseState.SUSPENDED}:
        raise NotInForce(f"It is {license_.state.value}; what was signed before is all there is.")
    if row.state is ActivationState.DEACTIVATED:
        raise LeaseEnded("It was deactivated. Activate again.", activation=row.id)
    rules = activation_terms.terms_of(tx, license_).rules
    if rules.floating:
        raise OfflineNotOffered("Its seats are lent while heartbeats come, which needs a network.")
    _require_valid(tx, license_, row, now, real_now)
    stated = Stated.of(license_)
    kid, key = keys.keygen_key(tx, secrets, now)
    payload = machine_claims.payload_of(
        stated, bound(row, rules.heartbeat_seconds), ttl=ttl, now=now, revocations=revocations.newest(tx)
    )
    opener = keygen.machine_opener(stated.key, row.fingerprint) if wanted.encrypted else None
    made = keygen.encode(payload, key, opener, keygen.MACHINE)
    findings = lint_machine(made, [key.public_key()], stated.key, row.fingerprint, now=now)
    if blocking := tuple(each for each in findings if each.blocks):
        raise UndeliverableLicenseFile(blocking)
    issuance.record(tx, kid, license_.id, sha256_hex(made.encode()), now, written=Format.MACHINE, actor=by)
    return made


def bound(row: Activation, heartbeat_seconds: int | None) -> Bound:
    """What the file says of the server; one that was activated by a file beats for nobody."""
    return Bound(
        row.id, row.fingerprint, row.name, row.hostname, row.slot, row.activated_at,
        None if row.offline else heartbeat_seconds,
    )  # fmt: skip


def _require_valid(tx: Tx, license_: License, row: Activation, now: datetime, real_now: datetime) -> None:
    """What validation would say of this server, it says here. Raises LicenseNotUsable."""
    record = record_of(tx, license_.file_id)
    assert record is not None  # of the license at hand
    fingerprint = row.fingerprint if record.binding is not None else None
    decision = decide(
        facts_of(record, fingerprint, real_now), ValidationRequest(Credential.SIGNED_FILE, fingerprint), now
    )
    if not decision.valid:
        raise LicenseNotUsable.of(decision.findings)
