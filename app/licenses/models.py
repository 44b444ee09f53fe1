from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum
from app.licenses.formats.recognize import Format


class LicenseState(StrEnum):
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class LicenseEnvironment(StrEnum):
    """What a license is for. Seats of one environment never add to those of the other (R-LIC-3)."""

    PRODUCTION = "production"
    NON_PRODUCTION = "non_production"


class License(Table, table=True):
    """What a customer may run, until when, for how many people. The file is one rendering of it."""

    __tablename__ = "license"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats_positive"),
        CheckConstraint("expires_at > starts_at", name="ends_after_start"),
        CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", name="revoked_has_instant"),
        CheckConstraint("trial = (subscription_id IS NULL) AND trial = (order_id IS NULL)", name="trial_or_bought"),
        CheckConstraint("char_length(label) <= 80", name="label_is_short"),
        CheckConstraint("char_length(server) <= 120 AND server = btrim(server)", name="server_is_short"),
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
    # Of a trial neither: nothing was bought.
    subscription_id: str | None = Field(default=None, foreign_key="subscription.id", index=True)
    order_id: str | None = Field(default=None, foreign_key="order.id")
    trial: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    plan_id: str = Field(foreign_key="plan.id")
    file_id: str = Field(unique=True)  # the 26 characters inside the file; a renewal has new ones
    label: str = ""
    environment: LicenseEnvironment = Field(
        default=LicenseEnvironment.PRODUCTION, sa_type=text_enum(LicenseEnvironment, name="license_environment")
    )
    # The server it is for, in the customer's words; licenses of one server become one file. Empty: any server.
    server: str = ""
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
        CheckConstraint("(license_id IS NULL) <> (merged_id IS NULL)", name="of_one_file"),
    )

    id: int | None = row_id()
    kid: str
    sequence: int = Field(sa_type=BigInteger)
    license_id: str | None = Field(default=None, foreign_key="license.id")
    merged_id: str | None = Field(default=None, foreign_key="merged_license.id", unique=True)
    format: Format = Field(sa_type=text_enum(Format, name="license_format"))
    actor: str
    version: int = Field(sa_type=SmallInteger)
    file_sha256: str
    issued_at: datetime = Field(sa_type=INSTANT)
    previous_hash: str
    hash: str


class MergedLicense(Table, table=True):
    """One file for the production licenses of one server together; a later one takes the place of the one before it.

    `sources` are the licenses in it as the file states them; `content_sha256` is of everything stated but the id and
    the instants of issue, so that a file is made anew only where it says something else.
    """

    __tablename__ = "merged_license"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats_positive"),
        CheckConstraint("expires_at > starts_at", name="ends_after_start"),
        CheckConstraint("state <> 'suspended'", name="never_suspended"),
        CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", name="revoked_has_instant"),
        CheckConstraint("jsonb_array_length(sources) > 0", name="has_sources"),
        Index(
            "uq_merged_license_in_force", "account_id", "server", unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    server: str
    file_id: str = Field(unique=True)
    plan: str
    sku: str  # the short name inside the file
    seats: int
    starts_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    grace_days: int
    state: LicenseState = Field(sa_type=text_enum(LicenseState, name="license_state"))
    entitlements: dict[str, Any] = Field(sa_type=JSONB)
    sources: list[dict[str, Any]] = Field(sa_type=JSONB)
    content_sha256: str
    kid: str
    file_text: str = Field(sa_column_kwargs=personal("contact"))
    file_sha256: str = Field(unique=True)
    issued_at: datetime = Field(sa_type=INSTANT)
    replaces_id: str | None = Field(default=None, foreign_key="merged_license.id", unique=True)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)


class LicenseChange(Table, table=True):
    """A license of an account with several became another: written by the table itself, taken off when looked at."""

    __tablename__ = "license_change"

    id: int | None = row_id()
    account_id: str = Field(foreign_key="account.id")


class MergeWatch(Table, table=True):
    """When to look again at an account with several licenses; NULL where nothing is known to come."""

    __tablename__ = "merge_watch"

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    next_at: datetime | None = Field(default=None, sa_type=INSTANT, index=True)


class ToldDrop(Table, table=True):
    """A drop of what the licenses give together of which the customer was told, once."""

    __tablename__ = "told_drop"
    __table_args__ = (CheckConstraint("seats_before >= 0 AND seats_after >= 0", name="seats_counted"),)

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    environment: LicenseEnvironment = Field(
        primary_key=True, sa_type=text_enum(LicenseEnvironment, name="license_environment")
    )
    drops_at: datetime = Field(primary_key=True, sa_type=INSTANT)
    seats_before: int
    seats_after: int
    told_at: datetime = Field(sa_type=INSTANT)


class RevocationReason(StrEnum):
    """Why a file is on the list; which ground a license was revoked on is nobody else's business."""

    REVOKED = "revoked"
    KEY_COMPROMISED = "key_compromised"


class LicenseRevocation(Table, table=True):
    """A file that no longer holds, for those who check offline. The table of licenses writes it (R-LIC-6).

    `sequence` counts without a gap and is given when a list is asked for, so that revoking waits for nobody.
    """

    __tablename__ = "license_revocation"
    __table_args__ = (
        CheckConstraint("sequence >= 1", name="counted_from_one"),
        CheckConstraint("file_hash ~ '^[0-9a-f]{20}$'", name="hash_has_form"),
        Index("ix_license_revocation_unnumbered", "id", postgresql_where=text("sequence IS NULL")),
    )

    id: int | None = row_id()
    file_hash: str = Field(unique=True)
    reason: RevocationReason = Field(sa_type=text_enum(RevocationReason, name="revocation_reason"))
    revoked_at: datetime = Field(sa_type=INSTANT)
    sequence: int | None = Field(default=None, unique=True, sa_type=BigInteger)
