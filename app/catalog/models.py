from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, minor_field, row_id, text_enum


class PlanKind(StrEnum):
    PLAN = "plan"
    ADD_ON = "add_on"


class Family(StrEnum):
    SELF_MANAGED = "self_managed"
    CLOUD = "cloud"


class Interval(StrEnum):
    MONTH = "month"
    YEAR = "year"


class Plan(Table, table=True):
    """What is sold, known by its `sku`. Retired plans stay: documents and subscriptions point at them."""

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint("min_seats >= 1 AND max_seats >= min_seats", name="seat_range"),
        CheckConstraint("grace_days >= 0 AND trial_days >= 0", name="days_not_negative"),
    )

    id: str = Field(primary_key=True)
    sku: str = Field(unique=True)
    name: str
    kind: PlanKind = Field(sa_type=text_enum(PlanKind, name="plan_kind"))
    family: Family = Field(sa_type=text_enum(Family, name="family"))
    tagline: str = ""
    position: int = 0
    sales_only: bool = False
    tax_code: str
    license_sku: str = ""  # the short name inside a license file; empty for add-ons
    min_seats: int
    max_seats: int
    trial_days: int = 0
    grace_days: int = 10
    bullets: list[str] = Field(sa_type=JSONB)
    flags: dict[str, Any] = Field(sa_type=JSONB)  # entitlements: feature flags and limits
    add_on_for: list[str] = Field(sa_type=JSONB)
    retired_at: datetime | None = Field(default=None, sa_type=INSTANT)


class Price(Table, table=True):
    """Per seat and interval in one currency, for the days `[valid_from, valid_to)`; two never overlap."""

    __tablename__ = "price"
    __table_args__ = (
        currency_check(),
        CheckConstraint("unit_minor > 0", name="unit_positive"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="ends_after_start"),
        ExcludeConstraint(
            ("plan_id", "="), ("currency", "="), ("interval", "="), (text("daterange(valid_from, valid_to)"), "&&"),
            using="gist",
            name="ex_price_no_overlap",
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    plan_id: str = Field(foreign_key="plan.id", index=True)
    currency: str = Field(sa_type=CURRENCY)
    interval: Interval = Field(sa_type=text_enum(Interval, name="interval"))
    unit_minor: int = minor_field()
    valid_from: date
    valid_to: date | None = None


class CatalogVersion(Table, table=True):
    """Each catalog file that was applied, by content."""

    __tablename__ = "catalog_version"

    id: int | None = row_id()
    sha256: str
    applied_at: datetime = Field(sa_type=INSTANT)
    applied_by: str
    changes: list[str] = Field(sa_type=JSONB)
