"""The whole answer to "is this license good?": from what was presented to the signed statement (R-LIC-4).

Pure but for the signature: the plain door and the fast lane bring the record in their own ways and say the same.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.canonical import canonical_json, sha256_hex
from app.core.keys import NoSigningKey
from app.core.signing import Purpose, Signer
from app.licenses.activations import Standing
from app.licenses.decision import Credential, Decision, ValidationFacts, ValidationRequest, decide, refuse_file
from app.licenses.formats.findings import Finding
from app.licenses.formats.mattermost import LicenseFileRejected, verify_file
from app.licenses.records import Record


@dataclass(frozen=True, slots=True)
class Presented:
    """What the asker brought: a whole file or a bare key, and the questions asked with it."""

    license: str | None
    key: str | None
    fingerprint: str | None = None
    entitlements: frozenset[str] | None = None
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever sent an API key along. `account_id` None is the vendor; `reads` says whether it may read licenses."""

    account_id: str | None
    reads: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """Which record to look up; `refused` where a file cannot be believed and nothing may be looked up.

    `logged_under` is the key in whose log of signatures the very text was found (`resolving`).
    """

    file_id: str
    refused: Decision | None = None
    logged_under: str = ""


def open_credential(presented: Presented, keys: Sequence[RSAPublicKey]) -> Opened:
    """Check the signature of a file, or take the key as it is. Raises NoSigningKey where no file was ever signed."""
    if presented.license is None:
        return Opened(presented.key or "")
    if not keys:
        raise NoSigningKey("No license file was ever signed here, so none can be checked.")
    try:
        return Opened(verify_file(presented.license, keys).id)
    except LicenseFileRejected as rejected:
        return Opened("", refuse_file(rejected))


def judge(
    presented: Presented, opened: Opened, record: Record | None, asker: Asker | None, now: datetime, real_now: datetime
) -> Decision:
    """The decision about what was presented, `record` being what is on file under it; leases end by `real_now`."""
    if opened.refused is not None:
        return opened.refused
    if record is not None and not opened.logged_under and not _speaks_for(presented, record, asker):
        record = None
    request = ValidationRequest(
        credential=_credential(presented, record, asker),
        # A plan that binds no servers leaves nothing to ask about one.
        fingerprint=presented.fingerprint if record is not None and record.binding is not None else None,
        entitlements=presented.entitlements,
    )
    return decide(facts_of(record, presented.fingerprint, real_now) if record else None, request, now)


def standing_of(presented: Presented, record: Record | None, real_now: datetime) -> Standing | None:
    """How the server that asks stands; None where nothing was asked about one, or its plan binds none."""
    if record is None or record.binding is None or presented.fingerprint is None:
        return None
    return record.binding.standing(presented.fingerprint, real_now)


def _speaks_for(presented: Presented, record: Record, asker: Asker | None) -> bool:
    if presented.license is not None:
        # Our key signed it, yet it is not the file on record: made with a stolen key (R-LIC-6).
        joined = presented.license.translate({10: None, 13: None})
        return sha256_hex(joined.encode()) == record.file_sha256
    return asker is None or asker.account_id in {None, record.account_id}


def _credential(presented: Presented, record: Record | None, asker: Asker | None) -> Credential:
    if presented.license is not None:
        return Credential.SIGNED_FILE
    owns = record is not None and asker is not None and asker.reads
    return Credential.OWNER_API_KEY if owns else Credential.BARE_KEY


def facts_of(record: Record, fingerprint: str | None, real_now: datetime) -> ValidationFacts:
    """What is to be judged, with how the server of this fingerprint stands."""
    facts = ValidationFacts(
        state=record.state, starts_at=record.starts_at, expires_at=record.expires_at, grace_days=record.grace_days,
        seats=record.seats, entitlements=frozenset(name for name, value in record.entitlements.items() if value),
    )  # fmt: skip
    if record.binding is None or fingerprint is None:
        return facts
    standing = record.binding.standing(fingerprint, real_now)
    return replace(
        facts, activation_limit=record.binding.terms.allowed, activations_bought=record.binding.terms.limit,
        fingerprints=record.binding.places.keys(), activations_in_use=standing.in_use, heartbeat_dead=standing.dead,
        beyond_limit=standing.too_many,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer but for its time, nonce and signature: what may be decided once and said many times.

    Members are in the order of canonical JSON: `checked_at` before the rest of them, `nonce` before `valid`.
    """

    before: bytes
    after: bytes

    def signed(self, signer: Signer, now: datetime, nonce: str | None) -> bytes:
        """The answer as JSON.

        The signature is base64 of Ed25519 over `blp/validation-answer/v1`, a line feed, and the canonical JSON (sorted
        keys, no spaces, UTF-8) of the answer without its member `signature`.
        """
        shown = b"" if nonce is None else b',"nonce":' + canonical_json(nonce)
        said = b'{"checked_at":"%s",%s%s,%s' % (_instant(now).encode(), self.before, shown, self.after)
        signature = b64encode(signer.sign(Purpose.VALIDATION_ANSWER, said))
        return b'%s,"signature":{"kid":"%s","value":"%s"}}' % (said[:-1], signer.kid.encode(), signature)


def draft(decision: Decision, record: Record | None) -> Draft:
    """What is said about a license, which is shown only to whoever may see it."""
    shown = record if decision.reveals and record is not None else None
    before = canonical_json({
        "code": decision.code,
        "findings": [_finding(each) for each in decision.findings],
        "license": _license(shown) if shown else None,
        "entitlements": dict(shown.entitlements) if shown else {},
    })  # fmt: skip
    return Draft(before[1:-1], canonical_json({"valid": decision.valid})[1:])


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code, "severity": finding.severity.value, "detail": finding.detail, "remedy": finding.remedy
    }  # fmt: skip


def _license(record: Record) -> dict[str, Any]:
    return {
        "id": record.id, "sku": record.sku, "seats": record.seats, "state": record.state.value,
        "starts_at": _instant(record.starts_at), "expires_at": _instant(record.expires_at),
        "works_until": _instant(record.expires_at + timedelta(days=record.grace_days)),
    }  # fmt: skip


def _instant(at: datetime) -> str:
    return at.isoformat()[:19] + "Z"  # UTC, to the second; strftime takes ten times as long
