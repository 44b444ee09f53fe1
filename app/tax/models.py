from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
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
    """What a registry answered about a number, and when: the evidence for a reverse charge."""

    __tablename__ = "tax_id_check"

    id: str = Field(primary_key=True)
    type: str
    value: str = Field(index=True, sa_column_kwargs=personal("contact"))
    status: str
    reference: str | None = None
    reply_hash: str
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


class TaxOverride(Table, table=True):
    """What the operator decided for a jurisdiction in place of the rows on file (R-TAX-7).

    `tax_code` and `buyer_type` may be `any`. Both days are included. A trigger lets nothing change but its end; one
    that ended before it began is withdrawn and never counted.
    """

    __tablename__ = "tax_override"
    __table_args__ = (
        CheckConstraint("buyer_type IN ('any', 'business', 'consumer')", name="buyer_type_known"),
        CheckConstraint(
            "treatment IN ('standard', 'zero_rated', 'reverse_charge', 'product_exempt', 'outside_scope',"
            " 'needs_review')",
            name="treatment_known",
        ),
        CheckConstraint("rate IS NULL OR (rate > 0 AND rate <= 30)", name="rate_in_range"),
        CheckConstraint("portion > 0 AND portion <= 100", name="portion_is_percent"),
        CheckConstraint("treatment = 'standard' OR (rate IS NULL AND portion = 100)", name="only_a_charge_has_a_rate"),
        CheckConstraint("rate IS NOT NULL OR NOT alone", name="alone_with_its_rate"),
        CheckConstraint("source <> '' AND why <> ''", name="source_and_reason_given"),
        CheckConstraint("withdrawn OR valid_to IS NULL OR valid_to >= valid_from", name="ends_after_it_begins"),
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended_by_somebody"),
        CheckConstraint("NOT withdrawn OR ended_at IS NOT NULL", name="withdrawn_is_ended"),
        ExcludeConstraint(
            ("jurisdiction", "="), ("tax_code", "="), ("buyer_type", "="),
            (text("daterange(valid_from, valid_to, '[]')"), "&&"),
            where=text("NOT withdrawn"), using="gist", name="ex_tax_override_no_overlap",
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    jurisdiction: str
    tax_code: str
    buyer_type: str
    treatment: str
    rate: Decimal | None = Field(default=None, sa_type=Numeric(8, 5))
    portion: Decimal = Field(default=Decimal(100), sa_type=Numeric(8, 5))
    alone: bool = False
    note: str = ""  # printed on documents
    valid_from: date
    valid_to: date | None = None
    source: str
    why: str
    recorded_by: str
    recorded_at: datetime = Field(sa_type=INSTANT)
    withdrawn: bool = False
    ended_by: str | None = None
    ended_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ended_why: str | None = None
