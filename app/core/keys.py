"""Signing keys: each has an id, a purpose and a validity (ADR 0011)."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sqlalchemy import CheckConstraint, select, text
from sqlmodel import Field, col

from app.core import audit, signing
from app.core.db import INSTANT, Table, Tx
from app.core.errors import DomainError, NotFound
from app.core.security import Secrets


class SigningKey(Table, table=True):
    """A key pair; the private half is sealed with the installation's secret."""

    __tablename__ = "signing_key"
    __table_args__ = (CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="ends_after_start"),)

    kid: str = Field(primary_key=True)
    purpose: str = Field(index=True)
    algorithm: str
    private_sealed: str
    public_pem: str
    valid_from: datetime = Field(sa_type=INSTANT)
    valid_to: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)


class KeyPurpose(StrEnum):
    LICENSE_FILE = "license-file"  # RSA-2048, for Mattermost-shaped files
    EVIDENCE = "evidence"  # Ed25519: certificates and signed answers, each domain-separated
    # Ed25519, each for one layout that others have settled, domain tag included (ADR 0054).
    KEYGEN_FILE = "keygen-file"
    LICENSE_TOKEN = "license-token"  # noqa: S105 -- the name of a purpose, not a secret


class NoSigningKey(DomainError):
    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "no-signing-key", "There is no key to sign with"


def create(tx: Tx, secrets: Secrets, purpose: KeyPurpose, *, by: str, now: datetime) -> SigningKey:
    """A new key pair for `purpose`, valid from now; its kid is the thumbprint of the public half."""
    rsa = purpose is KeyPurpose.LICENSE_FILE
    pem = signing.generate_rsa_key() if rsa else signing.generate_ed25519_key()
    private = signing.load_private_key(pem)
    kid = signing.thumbprint(private)
    key = SigningKey(
        kid=kid, purpose=purpose, algorithm="rsa-2048" if rsa else "ed25519",
        private_sealed=secrets.seal("signing-key", pem), public_pem=signing.public_pem(private).decode(),
        valid_from=now,
    )  # fmt: skip
    tx.add(key)
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.created", subject=kid, now=now,
                 details={"purpose": purpose})  # fmt: skip
    return key


def ensure(tx: Tx, secrets: Secrets, *, by: str, now: datetime) -> list[SigningKey]:
    """Create what is missing so that every purpose has a key; returns the new ones."""
    tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('signing_key'))"))
    return [create(tx, secrets, purpose, by=by, now=now) for purpose in KeyPurpose if not _usable(tx, purpose, now)]


def _usable(tx: Tx, purpose: KeyPurpose, now: datetime) -> Sequence[SigningKey]:
    query = (
        select(SigningKey)
        .where(
            col(SigningKey.purpose) == purpose,
            col(SigningKey.revoked_at).is_(None),
            col(SigningKey.valid_from) <= now,
            (col(SigningKey.valid_to).is_(None)) | (col(SigningKey.valid_to) > now),
        )
        .order_by(col(SigningKey.valid_from).desc(), col(SigningKey.kid))
    )
    return tx.execute(query).scalars().all()


def _current(tx: Tx, purpose: KeyPurpose, now: datetime) -> SigningKey:
    usable = _usable(tx, purpose, now)
    if not usable:
        raise NoSigningKey(f"No {purpose} key is valid; `blp keys create {purpose}` makes one.")
    return usable[0]


def license_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, RSAPrivateKey]:
    """The kid and key that sign license files now; the PEM is parsed once per process. Raises NoSigningKey."""
    key = _current(tx, KeyPurpose.LICENSE_FILE, now)
    return key.kid, signing.load_rsa_private_key(secrets.open("signing-key", key.private_sealed))


def keygen_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, Ed25519PrivateKey]:
    """The kid and key that sign Keygen license files now. Raises NoSigningKey."""
    return _ed25519(tx, secrets, KeyPurpose.KEYGEN_FILE, now)


def token_key(tx: Tx, secrets: Secrets, now: datetime) -> tuple[str, Ed25519PrivateKey]:
    """The kid and key that sign license tokens now. Raises NoSigningKey."""
    return _ed25519(tx, secrets, KeyPurpose.LICENSE_TOKEN, now)


def evidence_signer(tx: Tx, secrets: Secrets, now: datetime) -> signing.Ed25519Signer:
    """The signer of certificates and answers. Raises NoSigningKey."""
    return signing.Ed25519Signer(*_ed25519(tx, secrets, KeyPurpose.EVIDENCE, now))


def _ed25519(tx: Tx, secrets: Secrets, purpose: KeyPurpose, now: datetime) -> tuple[str, Ed25519PrivateKey]:
    key = _current(tx, purpose, now)
    return key.kid, signing.load_ed25519_private_key(secrets.open("signing-key", key.private_sealed))


def published(tx: Tx, purpose: KeyPurpose | None = None) -> list[SigningKey]:
    """Every key that was ever good and is not revoked: old signatures stay verifiable."""
    query = select(SigningKey).where(col(SigningKey.revoked_at).is_(None)).order_by(col(SigningKey.valid_from))
    if purpose is not None:
        query = query.where(col(SigningKey.purpose) == purpose)
    return list(tx.execute(query).scalars())


def revoke(tx: Tx, kid: str, *, by: str, why: str, now: datetime) -> None:
    """Stop trusting a key. Raises NotFound, or NoSigningKey if nothing would be left to sign with."""
    key = tx.execute(select(SigningKey).where(col(SigningKey.kid) == kid).with_for_update()).scalar_one_or_none()
    if key is None or key.revoked_at is not None:
        raise NotFound(f"There is no live key {kid!r}; `blp keys list` shows them.")
    key.revoked_at = now
    tx.flush()
    if not _usable(tx, KeyPurpose(key.purpose), now):
        raise NoSigningKey(f"It is the only {key.purpose} key; create its successor first.")
    audit.record(tx, audit.SYSTEM, actor=by, action="signing_key.revoked", subject=kid, now=now, details={"why": why})
