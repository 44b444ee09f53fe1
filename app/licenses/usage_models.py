"""Reports of how many use a license (R-ORD-4)."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, text_enum


class ReportedBy(StrEnum):
    """Who says how many use it."""

    PRODUCT = "product"  # under a code that only whoever has the license file can make
    FILE = "file"  # the same, carried to the portal from a server without a network
    CUSTOMER = "customer"  # a count that a person stands for


class UsageReport(Table, table=True):
    """How many used a license in `[period_from, period_to)`; what is written stays (R-ORD-4).

    `sequence` counts the reports of one server, so that one that is sent again is known; of a person's count it counts
    those of the license.
    """

    __tablename__ = "usage_report"
    __table_args__ = (
        CheckConstraint("active_users >= 0", name="users_not_negative"),
        CheckConstraint("period_to > period_from", name="ends_after_start"),
        CheckConstraint("sequence >= 1", name="sequence_positive"),
        CheckConstraint("(source = 'customer') = (attested_by <> '')", name="a_count_is_attested"),
        UniqueConstraint("subscription_id", "server_id", "sequence"),
        Index("ix_usage_report_newest", "subscription_id", "period_to", "id"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    subscription_id: str = Field(foreign_key="subscription.id")
    license_id: str = Field(foreign_key="license.id", index=True)
    source: ReportedBy = Field(sa_type=text_enum(ReportedBy, name="reported_by"))
    server_id: str
    sequence: int = Field(sa_type=BigInteger)
    period_from: date
    period_to: date
    active_users: int
    attested_by: str = Field(default="", sa_column_kwargs=personal("name"))
    text_sha256: str
    received_at: datetime = Field(sa_type=INSTANT)
