"""Each minute something of every purpose is signed and checked with the published keys alone (R-LIC-6, S29).

So that a key that does not open, a public half that does not fit, or a set that lacks the key that signs shows here and
not at a customer's. A canary is worthless: it ended in 2002, belongs to nobody and leaves this function as yes or no.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import select

from app.core import audit, jobs, keys
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.ids import new_license_file_id
from app.core.keys import KeyPurpose, SigningCanary
from app.core.signing import Purpose, verify
from app.flows.ports import Ports
from app.licenses import issuing, revocation_list
from app.licenses.formats import keygen, mattermost, token
from app.licenses.formats.claims import LicenseClaims, LicenseCustomer
from app.licenses.formats.trust import Trust
from app.licenses.revocation_list import RevocationList

log = structlog.get_logger()

_START: Final = datetime(2001, 1, 1, tzinfo=UTC)
_TEXT: Final = b"canary"
LATE: Final = timedelta(minutes=5)  # a canary that was not seen for so long says nothing any more


class CanaryDied(DomainError):
    slug, title = "signing-canary-failed", "What was signed does not verify"


@jobs.job("keys.canary", every="* * * * *", retry=jobs.Retry(attempts=1))
def check(ports: Ports) -> None:
    """One canary per purpose. What fails is kept, told in the log and the audit once, and fails the job."""
    with ports.db.transaction() as tx:
        faults = {purpose: fault for purpose in KeyPurpose if (fault := look(tx, ports, purpose))}
    if faults:
        raise CanaryDied("; ".join(f"{purpose}: {fault}" for purpose, fault in faults.items()))


def look(tx: Tx, ports: Ports, purpose: KeyPurpose) -> str:
    """Sign and check, and keep what came of it; returns the fault, empty where there is none."""
    fault, kid = "", ""
    try:
        kid = keys.signing_kid(tx, purpose, ports.clock.now())
        _SING[purpose](tx, ports, ports.clock.now())
    except (DomainError, ValueError) as exc:  # ValueError: a private half that does not open
        fault = exc.detail if isinstance(exc, DomainError) else str(exc)
    _keep(tx, purpose, kid, fault)
    return fault


def _keep(tx: Tx, purpose: KeyPurpose, kid: str, fault: str) -> None:
    now = transport_now()
    row = tx.get(SigningCanary, purpose.value, with_for_update=True)
    if row is None:
        row = SigningCanary(purpose=purpose, kid=kid, checked_at=now)
        tx.add(row)
    if bool(fault) is not bool(row.fault):
        audit.record(tx, audit.SYSTEM, actor="canary", action=f"signing_canary.{'failed' if fault else 'recovered'}",
                     subject=purpose, now=now, details={"kid": kid, "fault": fault})  # fmt: skip
    if fault:
        log.error("signing_canary.failed", purpose=purpose.value, kid=kid, fault=fault)
    row.failing_since = (row.failing_since or now) if fault else None
    row.kid, row.fault, row.checked_at = kid, fault, now
    tx.flush()


def faults(tx: Tx) -> dict[str, str]:
    """What is wrong by purpose, in words; also where the canary of a purpose was not heard for minutes."""
    now = transport_now()
    known = {row.purpose: row for row in tx.execute(select(SigningCanary)).scalars()}
    found = {}
    for purpose in KeyPurpose:
        row = known.get(purpose)
        if row is not None and row.fault:
            found[purpose.value] = f"{row.fault} (since {row.failing_since:%Y-%m-%d %H:%M} UTC)"
        elif row is not None and now - row.checked_at > LATE:
            found[purpose.value] = f"not checked since {row.checked_at:%Y-%m-%d %H:%M} UTC: does a worker run?"
    return found


def _license_file(tx: Tx, ports: Ports, now: datetime) -> None:
    _, key = keys.license_key(tx, ports.secrets, now)

    def claims_under(file_id: str) -> LicenseClaims:
        return LicenseClaims(
            id=file_id, issued_at=_START, starts_at=_START, expires_at=_START + timedelta(days=365), sku_name="canary",
            customer=LicenseCustomer(id="canary", name="canary", email="canary@example.invalid", company="canary"),
            sku_short_name="canary", features={"users": 1, "future_features": False},
        )  # fmt: skip

    made = issuing.issue(claims_under, key, new_id=new_license_file_id, now=_START)
    mattermost.verify_file(made.text, _trust(tx).mattermost)


def _keygen_file(tx: Tx, ports: Ports, now: datetime) -> None:
    _, key = keys.keygen_key(tx, ports.secrets, now)
    keygen.open_payload(keygen.encode(_TEXT, key, None), _trust(tx).keygen, None)


def _token(tx: Tx, ports: Ports, now: datetime) -> None:
    kid, key = keys.token_key(tx, ports.secrets, now)
    token.open_payload(token.encode(_TEXT, kid, key), _trust(tx).token)


def _revocations(tx: Tx, ports: Ports, now: datetime) -> None:
    kid, key = keys.revocation_key(tx, ports.secrets, now)
    text = revocation_list.sign(RevocationList(0, _START, ()), kid, key)
    revocation_list.read(text, keys.ed25519_of(tx, KeyPurpose.REVOCATION_LIST))


def _evidence(tx: Tx, ports: Ports, now: datetime) -> None:
    signer = keys.evidence_signer(tx, ports.secrets, now)
    public = keys.ed25519_of(tx, KeyPurpose.EVIDENCE).get(signer.kid)
    # Domain-separated as everything of this key; nothing reads a report about this installation's own usage.
    signature = signer.sign(Purpose.USAGE_REPORT, _TEXT)
    if public is None or not verify(Purpose.USAGE_REPORT, _TEXT, signature, public):
        raise CanaryDied(f"The published key {signer.kid} does not verify what it signed.")


def _trust(tx: Tx) -> Trust:
    return Trust.of(keys.published(tx))


_SING: Final[dict[KeyPurpose, Callable[[Tx, Ports, datetime], None]]] = {
    KeyPurpose.LICENSE_FILE: _license_file, KeyPurpose.KEYGEN_FILE: _keygen_file, KeyPurpose.LICENSE_TOKEN: _token,
    KeyPurpose.REVOCATION_LIST: _revocations, KeyPurpose.EVIDENCE: _evidence,
}  # fmt: skip
