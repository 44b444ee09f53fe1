from datetime import date, datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal


class TermsVersion(Table, table=True):
    """The exact text that was shown; a version's text never changes."""

    __tablename__ = "terms_version"
    __table_args__ = (UniqueConstraint("key", "version"),)

    id: str = Field(primary_key=True)
    key: str
    version: str
    title: str
    text: str
    sha256: str
    effective_from: date


class Acceptance(Table, table=True):
    """Evidence of a click (R-ACC-1), signed; a trigger refuses every change but the erasure of its person."""

    __tablename__ = "acceptance"

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    order_id: str = Field(foreign_key="order.id", unique=True)
    terms_id: str = Field(foreign_key="terms_version.id")
    terms_version: str
    terms_sha256: str
    snapshot: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    snapshot_sha256: str
    person_name: str = Field(sa_column_kwargs=personal("name"))
    person_email: str = Field(sa_column_kwargs=personal("contact"))
    company: str = Field(sa_column_kwargs=personal("name"))
    authority_statement: str
    accepted_at: datetime = Field(sa_type=INSTANT)
    ip: str = Field(sa_column_kwargs=personal("network"))
    user_agent: str = Field(sa_column_kwargs=personal("network"))
    kid: str
    signature: str
