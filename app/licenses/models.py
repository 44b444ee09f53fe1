from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum
from app.licenses.formats import Format


class LicenseState(StrEnum):
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class License(Table, table=True):
    """What a customer may run, until when, for how many people. The file is one rendering of it."""

    __tablename__ = "license"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats_positive"),
        CheckConstraint("expires_at > starts_at", name="ends_after_start"),
        CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", name="revoked_has_instant"),
        # Whatever else goes wrong, an order line is licensed once (I2); bridges to it may follow one another, and after
        # the refund of a change a license without it takes the place of the one that is revoked.
        Index(
            "uq_license_order_plan",
            "order_id",
            "plan_id",
            unique=True,
            postgresql_where=text("NOT bridge AND state <> 'revoked'"),
        ),
        # Of a next term with less in it: held back until the present one ends (R-LIC-7).
        Index(
            "ix_license_to_release", "starts_at", postgresql_where=text("state = 'active' AND starts_at > issued_at")
        ),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    order_id: str = Field(foreign_key="order.id")
    plan_id: str = Field(foreign_key="plan.id")
    file_id: str = Field(unique=True)  # the 26 characters inside the file; a renewal has new ones
    label: str = ""
    # Stands in until the money is there, and gives way to the full license then (R-ORD-1, R-SUB-5).
    bridge: bool = False
    sku: str
    seats: int
    starts_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    grace_days: int
    state: LicenseState = Field(sa_type=text_enum(LicenseState, name="license_state"), index=True)
    entitlements: dict[str, Any] = Field(sa_type=JSONB)
    kid: str
    file_text: str = Field(sa_column_kwargs=personal("contact"))
    file_sha256: str = Field(unique=True)
    issued_at: datetime = Field(sa_type=INSTANT)
    superseded_by: str | None = Field(default=None, foreign_key="license.id")
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))


class IssuanceEntry(Table, table=True):
    """Every signature ever given, hash-chained per key, so that a stolen key's forgeries show (R-LIC-6, S29).

    `actor` is who asked for the rendering, or `system`; empty in rows of `version` 1, which named nobody and whose
    hash leaves `format` and `actor` out.
    """

    __tablename__ = "license_issuance"
    __table_args__ = (
        UniqueConstraint("kid", "sequence"),
        CheckConstraint("version IN (1, 2)", name="version_known"),
        CheckConstraint("version = 1 OR actor <> ''", name="names_its_actor"),
        # The Mattermost file is signed once and kept; the other renderings are made when somebody asks.
        Index(
            "uq_license_issuance_mattermost", "license_id", unique=True, postgresql_where=text("format = 'mattermost'")
        ),
        Index(
            "uq_license_issuance_rendered",
            "kid",
            "file_sha256",
            unique=True,
            postgresql_where=text("format <> 'mattermost'"),
        ),
    )

    id: int | None = row_id()
    kid: str
    sequence: int = Field(sa_type=BigInteger)
    license_id: str = Field(foreign_key="license.id")
    format: Format = Field(sa_type=text_enum(Format, name="license_format"))
    actor: str
    version: int = Field(sa_type=SmallInteger)
    file_sha256: str
    issued_at: datetime = Field(sa_type=INSTANT)
    previous_hash: str
    hash: str
