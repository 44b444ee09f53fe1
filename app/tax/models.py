from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id


class TaxDetermination(Table, table=True):
    """One answer of the engine, kept as it was given; a trigger refuses every change."""

    __tablename__ = "tax_determination"

    id: str = Field(primary_key=True)
    treatment: str = Field(index=True)
    result: dict[str, Any] = Field(sa_type=JSONB)
    request: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    inputs_hash: str
    data_version: str
    determined_at: datetime = Field(sa_type=INSTANT)


class TaxIdCheck(Table, table=True):
    """What a registry answered about a number, and when: the evidence for a reverse charge; it never changes.

    `authority` is who was asked, `code` its word for an answer that says nothing. `reply_sealed` is the raw answer,
    sealed for `tax_id_reply`; its hash is of what is inside. The matches compare the buyer with what was told.
    """

    __tablename__ = "tax_id_check"
    __table_args__ = (
        CheckConstraint("status IN ('valid', 'invalid', 'unavailable')", name="status_known"),
        CheckConstraint("status = 'unavailable' OR (code = '' AND NOT again)", name="code_of_no_answer"),
        CheckConstraint("name_match IN ('same', 'differs', 'not_told')", name="name_match_known"),
        CheckConstraint("address_match IN ('same', 'differs', 'not_told')", name="address_match_known"),
    )

    id: str = Field(primary_key=True)
    type: str
    value: str = Field(index=True, sa_column_kwargs=personal("contact"))
    status: str
    reference: str | None = None
    reply_hash: str
    authority: str = Field(default="", sa_column_kwargs={"server_default": ""})
    code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    again: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})  # asking later may help
    name_match: str = Field(default="not_told", sa_column_kwargs={"server_default": "not_told"})
    address_match: str = Field(default="not_told", sa_column_kwargs={"server_default": "not_told"})
    reply_sealed: str | None = Field(default=None, sa_column_kwargs=personal("contact"))
    checked_at: datetime = Field(sa_type=INSTANT)


class TaxLocalVersion(Table, table=True):
    """All local rates of one state as one import gave them; the highest version is in force, and none ever changes."""

    __tablename__ = "tax_local_version"
    __table_args__ = (
        UniqueConstraint("state", "version"),
        CheckConstraint("version > 0", name="version_from_one"),
        CheckConstraint("row_count > 0", name="has_rows"),
    )

    id: int | None = row_id()
    state: str
    version: int
    content_hash: str
    row_count: int
    imported_by: str
    imported_at: datetime = Field(sa_type=INSTANT)


class TaxLocalRate(Table, table=True):
    """One line of an import (app/tax/local_rates.py). `rate` in percent; `plus4_from` empty for the whole ZIP."""

    __tablename__ = "tax_local_rate"
    __table_args__ = (
        CheckConstraint("zip_from ~ '^[0-9]{5}$' AND zip_to ~ '^[0-9]{5}$' AND zip_from <= zip_to", name="zip_range"),
        CheckConstraint(
            "(plus4_from = '' AND plus4_to = '') OR (plus4_from ~ '^[0-9]{4}$' AND plus4_to ~ '^[0-9]{4}$'"
            " AND plus4_from <= plus4_to AND zip_from = zip_to)",
            name="plus4_range",
        ),
        CheckConstraint("rate >= 0 AND rate <= 30", name="rate_in_range"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="ends_after_it_begins"),
        Index("ix_tax_local_rate_zip", "version_id", "zip_from", "zip_to"),
    )

    id: int | None = row_id()
    version_id: int = Field(foreign_key="tax_local_version.id", sa_type=BigInteger)
    zip_from: str
    zip_to: str
    plus4_from: str
    plus4_to: str
    component: str
    rate: Decimal = Field(sa_type=Numeric(8, 5))
    valid_from: date
    valid_to: date | None = None
