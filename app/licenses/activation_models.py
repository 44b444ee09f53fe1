"""Servers bound to licenses, and how many may be (R-LIC-5, ADR 0056)."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum


class ActivationState(StrEnum):
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


class EndedBy(StrEnum):
    """Who gave an activation up."""

    PRODUCT = "product"
    CUSTOMER = "customer"
    STAFF = "staff"
    SILENCE = "silence"  # its heartbeat stopped


class Activation(Table, table=True):
    """A server bound to a license, in one of the places that the license has (ADR 0056).

    Files of a subscription follow one another and share its places, so that a renewal binds nobody anew; `license_id`
    is the file it came with. Places are numbered from 1, and `allowed` is how many there were when it was taken:
    together with the index of live places they make one too many impossible.
    """

    __tablename__ = "license_activation"
    __table_args__ = (
        CheckConstraint("slot >= 1 AND (allowed IS NULL OR slot <= allowed)", name="within_what_is_allowed"),
        CheckConstraint("fingerprint ~ '^[!-~]{1,255}$'", name="fingerprint_form"),
        CheckConstraint(
            "(state = 'deactivated') = (deactivated_at IS NOT NULL)"
            " AND (state = 'deactivated') = (ended_by IS NOT NULL AND deactivated_by IS NOT NULL)",
            name="deactivated_by_somebody",
        ),
        CheckConstraint("NOT offline OR lease_until IS NULL", name="offline_has_no_lease"),
        CheckConstraint("(request_nonce IS NOT NULL) = offline", name="offline_by_request"),
        Index(
            "uq_license_activation_place", "subscription_id", "slot", unique=True,
            postgresql_where=text("state = 'active'"),
        ),
        Index(
            "uq_license_activation_server", "subscription_id", "fingerprint", unique=True,
            postgresql_where=text("state = 'active'"),
        ),
        # A request that was carried here binds once: played again after its deactivation it says no more.
        Index(
            "uq_license_activation_request", "subscription_id", "request_nonce", unique=True,
            postgresql_where=text("request_nonce IS NOT NULL"),
        ),
        Index(
            "ix_license_activation_leases", "lease_until",
            postgresql_where=text("state = 'active' AND lease_until IS NOT NULL"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    license_id: str = Field(foreign_key="license.id")
    slot: int
    allowed: int | None = None
    # As the product gave it: people tell their servers by it. Opaque to us.
    fingerprint: str = Field(sa_column_kwargs=personal("network"))
    name: str = Field(default="", sa_column_kwargs=personal("free_text"))
    hostname: str = Field(default="", sa_column_kwargs=personal("network"))
    version: str = ""
    state: ActivationState = Field(sa_type=text_enum(ActivationState, name="activation_state"))
    activated_at: datetime = Field(sa_type=INSTANT)
    # Real time, as leases are (ADR 0015).
    last_seen_at: datetime = Field(sa_type=INSTANT)
    lease_until: datetime | None = Field(default=None, sa_type=INSTANT)
    offline: bool = False  # by a request that was carried here (R-LIC-8)
    request_nonce: str | None = None
    deactivated_at: datetime | None = Field(default=None, sa_type=INSTANT)
    ended_by: EndedBy | None = Field(default=None, sa_type=text_enum(EndedBy, name="ended_by"))
    deactivated_by: str | None = None
    reason: str = Field(default="", sa_column_kwargs=personal("free_text"))


class ActivationLimit(Table, table=True):
    """A limit that staff gave the licenses of a subscription in place of the plan's; the newest row counts.

    `most` None: the plan's own limit again.
    """

    __tablename__ = "license_activation_limit"
    __table_args__ = (
        CheckConstraint("most IS NULL OR most >= 1", name="most_is_positive"),
        CheckConstraint("set_by <> '' AND reason <> ''", name="has_person_and_reason"),
    )

    id: int | None = row_id()
    account_id: str = Field(foreign_key="account.id")
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    most: int | None = None
    set_by: str
    reason: str = Field(sa_column_kwargs=personal("free_text"))
    set_at: datetime = Field(sa_type=INSTANT)
