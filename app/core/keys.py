"""Signing keys: each has an id, a purpose and a life (ADR 0011, ADR 0057).

A key is published first and signs later, after every verifier could have fetched it. When its successor signs, it stays
published for what it signed, until it is retired. Revoking is for keys that somebody else may have.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import BigInteger, CheckConstraint, Index, select, text, update
from sqlmodel import Field, col

from app.core import audit, policy, signing
from app.core.db import INSTANT, Table, Tx
from app.core.errors import DomainError, NotFound
from app.core.security import Secrets
from app.core.signing import EdHolder, HeldRsaKey, Purpose, RsaHolder

OVERLAP_HOURS: Final = policy.declare(
    policy.Policy("signing_key_overlap_hours", 48, policy.whole_number(),
                  "Hours for which a new signing key is published before it signs.")
)  # fmt: skip


class SigningKey(Table, table=True):
    """A key pair; the private half is sealed with the installation's secret.

    Published from `valid_from`, it signs from `signs_from` until `valid_to`, when its successor does, and is published
    on until `retired_at` or `revoked_at`.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="ends_after_start"),
        CheckConstraint("signs_from >= valid_from", name="published_before_it_signs"),
        CheckConstraint("retired_at IS NULL OR retired_at >= valid_to", name="retired_after_signing"),
        # However many are rotated at once, one is the last.
        Index(
            "uq_signing_key_newest", "purpose", unique=True,
            postgresql_where=text("valid_to IS NULL AND revoked_at IS NULL"),
        ),
    )  # fmt: skip

    kid: str = Field(primary_key=True)
    purpose: str = Field(index=True)
    algorithm: str
    private_sealed: str
    public_pem: str
    valid_from: datetime = Field(sa_type=INSTANT)
    signs_from: datetime = Field(sa_type=INSTANT)
    valid_to: datetime | None = Field(default=None, sa_type=INSTANT)
    retired_at: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SigningKeyUse(Table, table=True):
    """How often something signed by the key was checked here on a day of real time; written some seconds late."""

    __tablename__ = "signing_key_use"
    __table_args__ = (CheckConstraint("count > 0", name="counts_something"),)

    kid: str = Field(primary_key=True, foreign_key="signing_key.kid")
    used_on: date = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)


class SigningCanary(Table, table=True):
    """What came of the last canary of a purpose; `fault` is empty where it was well."""

    __tablename__ = "signing_canary"
    __table_args__ = (CheckConstraint("(failing_since IS NULL) = (fault = '')", name="fault_has_beginning"),)

    purpose: str = Field(primary_key=True)
    kid: str
    checked_at: datetime = Field(sa_type=INSTANT)
    failing_since: datetime | None = Field(default=None, sa_type=INSTANT)
    fault: str = ""


class KeyCompromise(Table, table=True):
    """A key that somebody else may have, and how far its licenses were issued anew."""

    __tablename__ = "key_compromise"
    __table_args__ = (CheckConstraint("reissued >= 0", name="counted"),)

    kid: str = Field(primary_key=True, foreign_key="signing_key.kid")
    successor_kid: str = Field(foreign_key="signing_key.kid")
    started_by: str
    started_at: datetime = Field(sa_type=INSTANT)
    reissued: int = Field(default=0, sa_type=BigInteger)
    finished_at: datetime | None = Field(default=None, sa_type=INSTANT)


class KeyPurpose(StrEnum):
    LICENSE_FILE = "license-file"  # RSA-2048, for Mattermost-shaped files
    EVIDENCE = "evidence"  # Ed25519: certificates and signed answers, each domain-separated
    # Ed25519, each for one layout that others have settled, domain tag included (ADR 0054).
    KEYGEN_FILE = "keygen-file"
    LICENSE_TOKEN = "license-token"  # noqa: S105 -- the name of a purpose, not a secret
    REVOCATION_LIST = "revocation-list"  # Ed25519, in the form of the token (ADR 0057)


# What has a key of its own is signed by no other.
_EVIDENCE: Final = frozenset(Purpose) - {Purpose.LICENSE_TOKEN, Purpose.REVOCATION_LIST}


class KeyState(StrEnum):
    PUBLISHED = "published"  # signs later
    SIGNING = "signing"
    RETIRING = "retiring"  # published for what it signed
    RETIRED = "retired"
    REVOKED = "revoked"


class NoSigningKey(DomainError):
    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "no-signing-key", "There is no key to sign with"


class RotationPending(DomainError):
    slug, title = "rotation-pending", "A new key is published already"


class KeyInUse(DomainError):
    slug, title = "signing-key-in-use", "Something signed by the key is in use"


def state(key: SigningKey, now: datetime) -> KeyState:
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.retired_at is not None:
        return KeyState.RETIRED
    if key.valid_to is not None and key.valid_to <= now:
        return KeyState.RETIRING
    return KeyState.PUBLISHED if key.signs_from > now else KeyState.SIGNING


def create(
    tx: Tx, secrets: Secrets, purpose: KeyPurpose, *, by: str, now: datetime, signs_from: datetime | None = None
) -> SigningKey:
    """A new key pair for `purpose`, published from now and signing from `signs_from`, at once where that is None.

    The one before it signs until then. Its kid is the thumbprint of the public half.
    """
    _take_turn(tx)
    rsa = purpose is KeyPurpose.LICENSE_FILE
    pem = signing.generate_rsa_key() if rsa else signing.generate_ed25519_key()
    private = signing.load_private_key(pem)
    kid, starts_at = signing.thumbprint(private), signs_from or now
    newest = (col(SigningKey.valid_to).is_(None), col(SigningKey.revoked_at).is_(None))
    for before in tx.execute(select(SigningKey).where(col(SigningKey.purpose) == purpose, *newest)).scalars():
        before.valid_to = max(starts_at, before.valid_from)
    tx.flush()
    key = SigningKey(
        kid=kid, purpose=purpose, algorithm="rsa-2048" if rsa else "ed25519",
        private_sealed=secrets.seal("signing-key", pem), public_pem=signing.public_pem(private).decode(),
        valid_from=now, signs_from=starts_at,
    )  # fmt: skip
    tx.add(key)
    tx.flush()
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.created", subject=kid, now=now,
                 details={"purpose": purpose, "signs_from": starts_at.isoformat()})  # fmt: skip
    return key


def rotate(tx: Tx, secrets: Secrets, purpose: KeyPurpose, *, by: str, now: datetime) -> SigningKey:
    """The successor of the key that signs: published now, signing once the overlap is over (policy).

    Raises NoSigningKey where there is nothing to rotate, RotationPending where a successor waits.
    """
    _take_turn(tx)
    current = _current(tx, purpose, now)
    if current.valid_to is not None:
        raise RotationPending(f"The successor of {current.kid} signs from {current.valid_to:%Y-%m-%d %H:%M} UTC.")
    overlap = timedelta(hours=policy.get(tx, OVERLAP_HOURS, now))
    return create(tx, secrets, purpose, by=by, now=now, signs_from=now + overlap)


def ensure(tx: Tx, secrets: Secrets, *, by: str, now: datetime) -> list[SigningKey]:
    """Create what is missing so that every purpose has a key; returns the new ones."""
    _take_turn(tx)
    return [create(tx, secrets, purpose, by=by, now=now) for purpose in KeyPurpose if not _usable(tx, purpose, now)]


def _take_turn(tx: Tx) -> None:
    tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('signing_key'))"))


def _usable(tx: Tx, purpose: KeyPurpose, now: datetime) -> Sequence[SigningKey]:
    query = (
        select(SigningKey)
        .where(
            col(SigningKey.purpose) == purpose,
            col(SigningKey.revoked_at).is_(None),
            col(SigningKey.signs_from) <= now,
            (col(SigningKey.valid_to).is_(None)) | (col(SigningKey.valid_to) > now),
        )
        .order_by(col(SigningKey.signs_from).desc(), col(SigningKey.kid))
    )
    return tx.execute(query).scalars().all()


def _current(tx: Tx, purpose: KeyPurpose, now: datetime) -> SigningKey:
    usable = _usable(tx, purpose, now)
    if not usable:
        raise NoSigningKey(f"No {purpose} key is valid; `blp keys create {purpose}` makes one.")
    return usable[0]


def signing_kid(tx: Tx, purpose: KeyPurpose, now: datetime) -> str:
    """Which key signs now. Raises NoSigningKey."""
    return _current(tx, purpose, now).kid


# What follows is the one way to a private key: whoever signs is handed a `KeyHolder`. Keys are kept sealed in the
# database, opened with the installation's secret, and parsed once per process.


def license_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, RsaHolder]:
    """The kid and key that sign license files now. Raises NoSigningKey."""
    key = _current(tx, KeyPurpose.LICENSE_FILE, now)
    return key.kid, HeldRsaKey(signing.load_rsa_private_key(_opened(secrets, key)))


def keygen_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, EdHolder]:
    """The kid and key that sign Keygen license and machine files now. Raises NoSigningKey."""
    return _ed25519(tx, secrets, KeyPurpose.KEYGEN_FILE, now)


def token_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, EdHolder]:
    """The kid and key that sign license tokens now. Raises NoSigningKey."""
    return _ed25519(tx, secrets, KeyPurpose.LICENSE_TOKEN, now)


def revocation_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, EdHolder]:
    """The kid and key that sign revocation lists now. Raises NoSigningKey."""
    return _ed25519(tx, secrets, KeyPurpose.REVOCATION_LIST, now)


def evidence_signer(tx: Tx, secrets: Secrets, now: datetime) -> signing.Ed25519Signer:
    """The signer of certificates and answers, and of nothing that has a key of its own. Raises NoSigningKey."""
    return signing.Ed25519Signer(*_ed25519(tx, secrets, KeyPurpose.EVIDENCE, now), purposes=_EVIDENCE)


def _ed25519(tx: Tx, secrets: Secrets, purpose: KeyPurpose, now: datetime) -> tuple[str, EdHolder]:
    key = _current(tx, purpose, now)
    return key.kid, signing.load_ed25519_private_key(_opened(secrets, key))


def _opened(secrets: Secrets, key: SigningKey) -> bytes:
    """The PEM of a sealed key; it goes to the parser and nowhere else."""
    return secrets.open("signing-key", key.private_sealed)


def published(tx: Tx, purpose: KeyPurpose | None = None) -> list[SigningKey]:
    """Every key that verifiers should know: of today, of tomorrow, and of what was signed before and is in use."""
    query = (
        select(SigningKey)
        .where(col(SigningKey.revoked_at).is_(None), col(SigningKey.retired_at).is_(None))
        .order_by(col(SigningKey.valid_from), col(SigningKey.kid))
    )
    if purpose is not None:
        query = query.where(col(SigningKey.purpose) == purpose)
    return list(tx.execute(query).scalars())


def ed25519_of(tx: Tx, purpose: KeyPurpose) -> dict[str, Ed25519PublicKey]:
    """The published keys of a purpose by kid, for verifying."""
    found = ((key.kid, signing.load_public_keys(key.public_pem.encode())[0]) for key in published(tx, purpose))
    return {kid: public for kid, public in found if isinstance(public, Ed25519PublicKey)}


def every(tx: Tx) -> list[SigningKey]:
    """Every key there was, by purpose, oldest first."""
    query = select(SigningKey).order_by(col(SigningKey.purpose), col(SigningKey.signs_from), col(SigningKey.kid))
    return list(tx.execute(query).scalars())


def lock(tx: Tx, kid: str) -> SigningKey:
    """The key, neither revoked nor retired. Raises NotFound."""
    key = tx.execute(select(SigningKey).where(col(SigningKey.kid) == kid).with_for_update()).scalar_one_or_none()
    if key is None or key.revoked_at is not None or key.retired_at is not None:
        raise NotFound(f"There is no live key {kid[:60]!r}; `blp keys list` shows them.")
    return key


def retire(tx: Tx, kid: str, *, by: str, now: datetime) -> None:
    """Stop publishing a key that has signed its last. What it signed must be out of use: the caller has looked.

    Raises NotFound, KeyInUse for a key that signs or is to sign.
    """
    _take_turn(tx)
    key = lock(tx, kid)
    if state(key, now) is not KeyState.RETIRING:
        raise KeyInUse(f"It signs, or is to sign; `blp keys rotate {key.purpose}` makes its successor.")
    key.retired_at = now
    tx.flush()
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.retired", subject=kid, now=now)


def revoke(tx: Tx, kid: str, *, by: str, why: str, now: datetime) -> None:
    """Stop trusting a key. Raises NotFound, or NoSigningKey if nothing would be left to sign with.

    Where the key was a successor that waited, the one before it goes on.
    """
    _take_turn(tx)
    key = lock(tx, kid)
    key.revoked_at = now
    tx.flush()
    if key.valid_to is None:
        _go_on_after(tx, key, now)
    if not _usable(tx, KeyPurpose(key.purpose), now):
        raise NoSigningKey(f"It is the only {key.purpose} key; create its successor first.")
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.revoked", subject=kid, now=now, details={"why": why})


def _go_on_after(tx: Tx, gone: SigningKey, now: datetime) -> None:
    """Nobody follows the key before the one that is gone."""
    before = (
        select(col(SigningKey.kid))
        .where(
            col(SigningKey.purpose) == gone.purpose, col(SigningKey.kid) != gone.kid,
            col(SigningKey.revoked_at).is_(None), col(SigningKey.retired_at).is_(None),
            col(SigningKey.valid_to) >= max(now, gone.signs_from),
        )
        .order_by(col(SigningKey.signs_from).desc()).limit(1)
    )  # fmt: skip
    tx.execute(update(SigningKey).where(col(SigningKey.kid).in_(before)).values(valid_to=None))
    tx.flush()
