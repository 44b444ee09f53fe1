from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, text_enum

MOST_BYTES: Final = 10 * 1024 * 1024


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


class PaperKind(StrEnum):
    SIGNED_QUOTE = "signed_quote"
    PURCHASE_ORDER = "purchase_order"
    AGREEMENT = "agreement"
    EXEMPTION = "exemption"


class Paper(Table, table=True):
    """A file as it came; a trigger refuses every change but the erasure of who sent it."""

    __tablename__ = "paper"
    __table_args__ = (
        CheckConstraint(f"size = octet_length(content) AND size BETWEEN 1 AND {MOST_BYTES}", name="size_is_true"),
        CheckConstraint("sha256 = encode(sha256(content), 'hex')", name="hash_is_true"),
        CheckConstraint("media_type IN ('application/pdf', 'image/png', 'image/jpeg')", name="media_type_known"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    kind: PaperKind = Field(sa_type=text_enum(PaperKind, name="paper_kind"))
    name: str = Field(sa_column_kwargs=personal("free_text"))
    media_type: str
    size: int
    sha256: str
    content: bytes = Field(sa_type=LargeBinary, repr=False, sa_column_kwargs=personal("free_text"))
    added_by: str = Field(sa_column_kwargs=personal("contact"))
    added_at: datetime = Field(sa_type=INSTANT)


class CustomAgreement(Table, table=True):
    """What one customer agreed apart from the terms of sale, for the days `[effective_from, effective_to)`.

    While it is in force their orders go to sales (R-THR-3), and documents say that it applies. Renewals run by
    themselves where it says so (R-THR-2).
    """

    __tablename__ = "custom_agreement"
    __table_args__ = (
        CheckConstraint("effective_to IS NULL OR effective_to > effective_from", name="ends_after_start"),
        CheckConstraint("title <> '' AND deviations <> '' AND approved_by <> ''", name="says_what_and_who"),
        CheckConstraint("(ended_at IS NULL) = (ended_why IS NULL)", name="ended_with_reason"),
        CheckConstraint("remind_at IS NULL OR effective_to IS NOT NULL", name="reminded_of_an_end"),
        Index("ix_custom_agreement_reminding", "remind_at", postgresql_where=text("reminded_at IS NULL")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    title: str
    deviations: str  # in words: what differs from the terms of sale
    effective_from: date
    effective_to: date | None = None
    renews_by_itself: bool = False  # renewals need no quote and no person while it is in force
    paper_id: str = Field(foreign_key="paper.id")
    approved_by: str = Field(sa_column_kwargs=personal("name"))  # who signed for the vendor
    recorded_by: str
    recorded_at: datetime = Field(sa_type=INSTANT)
    remind_at: datetime | None = Field(default=None, sa_type=INSTANT)
    reminded_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ended_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ended_by: str | None = None
    ended_why: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
