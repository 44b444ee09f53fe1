from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field

from app.catalog.pricing import PriceKind, PriceModel, Tier
from app.core.db import CURRENCY, INSTANT, JSON_OR_NOTHING, Table, currency_check, minor_field, row_id, text_enum
from app.core.states import declare_moves


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
    # How its licenses bind servers (activation_rules.py); without them they bind none.
    activation_rules: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    retired_at: datetime | None = Field(default=None, sa_type=INSTANT)


class Price(Table, table=True):
    """What a quantity costs per interval in one currency, for the days `[valid_from, valid_to)`; two never overlap.

    `unit_minor` of a tiered price is what one unit costs in its first tier; its `tiers` are what prices it.
    """

    __tablename__ = "price"
    __table_args__ = (
        currency_check(),
        CheckConstraint("unit_minor >= 0 AND base_minor >= 0", name="amounts_not_negative"),
        CheckConstraint(
            "(model IN ('graduated', 'volume')) = (jsonb_array_length(tiers) > 0)", name="tiered_has_tiers"
        ),
        CheckConstraint(
            "(model = 'package') = (package_size IS NOT NULL) AND coalesce(package_size, 1) > 0",
            name="package_has_size",
        ),
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
    model: PriceKind = Field(
        default=PriceKind.PER_UNIT,
        sa_type=text_enum(PriceKind, name="price_model"),
        sa_column_kwargs={"server_default": PriceKind.PER_UNIT.value},
    )
    tiers: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": text("'[]'::jsonb")}
    )  # up_to, unit_minor, flat_minor
    package_size: int | None = None
    base_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})

    @property
    def pricing(self) -> PriceModel:
        """The rule this row stores."""
        tiered = bool(self.tiers)
        return PriceModel(
            self.model, self.currency, None if tiered else self.unit_minor,
            tuple(Tier(each["up_to"], each["unit_minor"], each["flat_minor"]) for each in self.tiers),
            self.package_size, self.base_minor,
        )  # fmt: skip


class ExportClass(Table, table=True):
    """How a plan is classified for export control from a day on. Never changed: documents repeat it."""

    __tablename__ = "export_class"
    __table_args__ = (
        UniqueConstraint("plan_id", "valid_from"),
        CheckConstraint("eccn <> '' AND authorisation <> ''", name="says_what_it_is"),
    )

    id: int | None = row_id()
    plan_id: str = Field(foreign_key="plan.id")
    eccn: str
    authorisation: str  # NLR, a license exception with its paragraph, or the number of a license
    ccats: str = ""  # of a formal classification, where there is one
    valid_from: date
    recorded_at: datetime = Field(sa_type=INSTANT)


class CouponDuration(StrEnum):
    ONCE = "once"
    REPEATING = "repeating"  # on every term that begins within `months` of the first
    FOREVER = "forever"


class Coupon(Table, table=True):
    """A discount people ask for by a code. Worth and duration never change; a withdrawn one stays for its subscribers.

    `percent`, or `amounts`: minor units by currency. `plans` names the skus it is for, none meaning every one.
    """

    __tablename__ = "coupon"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9_-]{1,39}$'", name="code_is_plain"),
        CheckConstraint("(percent IS NULL) <> (amounts = '{}'::jsonb)", name="percent_or_amounts"),
        CheckConstraint("percent > 0 AND percent <= 100", name="percent_in_range"),
        CheckConstraint("(duration = 'repeating') = (months IS NOT NULL) AND coalesce(months, 1) > 0", name="months"),
        CheckConstraint("max_redemptions > 0", name="can_be_redeemed"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="ends_after_start"),
    )

    id: str = Field(primary_key=True)
    code: str = Field(unique=True)
    name: str
    percent: Any = Field(default=None, nullable=True, sa_type=Numeric(12, 9))  # Decimal or None
    amounts: dict[str, int] = Field(sa_type=JSONB)
    duration: CouponDuration = Field(sa_type=text_enum(CouponDuration, name="coupon_duration"))
    months: int | None = None
    max_redemptions: int | None = None
    plans: list[str] = Field(sa_type=JSONB)
    valid_from: date
    valid_to: date | None = None
    withdrawn_at: datetime | None = Field(default=None, sa_type=INSTANT)


class RedemptionState(StrEnum):
    RESERVED = "reserved"  # an order waits for its payment
    REDEEMED = "redeemed"
    RELEASED = "released"  # the order died; the use is given back


# Money that arrives for a dead order completes it all the same, at the price that was shown.
REDEMPTION_MOVES: Final = declare_moves(
    "coupon_redemption",
    {
        (RedemptionState.RESERVED, RedemptionState.REDEEMED),
        (RedemptionState.RESERVED, RedemptionState.RELEASED),
        (RedemptionState.RELEASED, RedemptionState.REDEEMED),
    },
)


class CouponRedemption(Table, table=True):
    """One use of a coupon by one order. Counted under the lock of the coupon's row."""

    __tablename__ = "coupon_redemption"
    __table_args__ = (currency_check(), CheckConstraint("amount_minor >= 0", name="amount_not_negative"))

    id: str = Field(primary_key=True)
    coupon_id: str = Field(foreign_key="coupon.id", index=True)
    order_id: str = Field(foreign_key="order.id", unique=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    state: RedemptionState = Field(sa_type=text_enum(RedemptionState, name="redemption_state"))
    currency: str = Field(sa_type=CURRENCY)
    amount_minor: int = minor_field()  # what the order was given
    reserved_at: datetime = Field(sa_type=INSTANT)
    settled_at: datetime | None = Field(default=None, sa_type=INSTANT)


class CatalogVersion(Table, table=True):
    """Each catalog file that was applied, by content."""

    __tablename__ = "catalog_version"

    id: int | None = row_id()
    sha256: str
    applied_at: datetime = Field(sa_type=INSTANT)
    applied_by: str
    changes: list[str] = Field(sa_type=JSONB)
