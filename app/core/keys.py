"""Signing keys: each has an id, a purpose and a validity (ADR 0011)."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from app.core.db import INSTANT, Table


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
