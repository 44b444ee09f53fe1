from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field

from app.core.db import (
    CURRENCY,
    INSTANT,
    JSON_OR_NOTHING,
    Table,
    currency_check,
    minor_field,
    personal,
    row_id,
    text_enum,
)
from app.core.states import declare_moves

YEAR_MONTHS: Final = 12


class SubscriptionState(StrEnum):
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    LAPSED = "lapsed"  # ended, inside grace
    CANCELED = "canceled"
    EXPIRED = "expired"  # after grace


S = SubscriptionState
# R-SUB-1: anything else is an error.
MOVES: Final = declare_moves(
    "subscription",
    {
        (S.TRIALING, S.ACTIVE), (S.TRIALING, S.CANCELED), (S.TRIALING, S.EXPIRED),
        (S.ACTIVE, S.PAST_DUE), (S.ACTIVE, S.LAPSED), (S.ACTIVE, S.CANCELED),
        (S.PAST_DUE, S.ACTIVE), (S.PAST_DUE, S.LAPSED), (S.PAST_DUE, S.CANCELED),
        (S.LAPSED, S.ACTIVE), (S.LAPSED, S.EXPIRED), (S.LAPSED, S.CANCELED),
        (S.CANCELED, S.ACTIVE), (S.CANCELED, S.EXPIRED),
        (S.EXPIRED, S.ACTIVE),
    }
)  # fmt: skip


class ScheduledState(StrEnum):
    SCHEDULED = "scheduled"
    WITHDRAWN = "withdrawn"
    APPLIED = "applied"


SCHEDULED_MOVES: Final = declare_moves(
    "scheduled_change",
    {
        (ScheduledState.SCHEDULED, ScheduledState.WITHDRAWN),
        (ScheduledState.SCHEDULED, ScheduledState.APPLIED),
    },
)


class Billing(StrEnum):
    """How the term that was agreed is billed: at once, or year by year at the start of each (R-PRO-1)."""

    PREPAID = "prepaid"
    YEARLY = "yearly"


class TermKind(StrEnum):
    PURCHASE = "purchase"
    RENEWAL = "renewal"
    INSTALMENT = "instalment"  # a further year of a term that is billed yearly


class Subscription(Table, table=True):
    """`[starts_on, ends_on)` is the current term in local dates of `time_zone`; `anchor_day` is kept apart."""

    __tablename__ = "subscription"
    __table_args__ = (
        currency_check(),
        CheckConstraint("ends_on > starts_on", name="ends_after_start"),
        CheckConstraint("anchor_day BETWEEN 1 AND 31", name="anchor_is_a_day"),
        CheckConstraint("term_months > 0", name="term_positive"),
        CheckConstraint("(not_renewing_at IS NULL) = (not_renewing_reason IS NULL)", name="not_renewing_says_why"),
        CheckConstraint("(parked_at IS NULL) = (parked_reason IS NULL)", name="parked_says_why"),
        CheckConstraint("NOT parked_by_screening OR parked_at IS NOT NULL", name="parked_by_screening_is_parked"),
        CheckConstraint("billed_until > starts_on AND billed_until <= ends_on", name="billed_within_the_term"),
        Index("ix_subscription_to_bill", "billed_until", postgresql_where=text("billed_until < ends_on")),
        # What the billing run walks along, in this order.
        Index(
            "ix_subscription_renewing", "ends_on", "id",
            postgresql_where=text("state = 'active' AND auto_renew AND not_renewing_at IS NULL AND parked_at IS NULL"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    order_id: str = Field(foreign_key="order.id", unique=True)
    state: SubscriptionState = Field(sa_type=text_enum(SubscriptionState, name="subscription_state"), index=True)
    plan_id: str = Field(foreign_key="plan.id")
    currency: str = Field(sa_type=CURRENCY)
    interval: str
    term_months: int
    starts_on: date
    ends_on: date = Field(index=True)
    # Of a term billed yearly, the end of the last year that was billed; NULL where the whole term was paid at once.
    billed_until: date | None = None
    first_starts_on: date
    anchor_day: int
    anchor_month: int
    time_zone: str
    grace_days: int
    # A coupon that goes on: for every term that begins before `coupon_until`, or for good.
    coupon_id: str | None = Field(default=None, foreign_key="coupon.id")
    coupon_until: date | None = None
    contact_name: str = Field(sa_column_kwargs=personal("name"))
    contact_email: str = Field(sa_column_kwargs=personal("contact"))
    # R-SUB-5: charge the saved card on the end date. Short terms begin with it, long ones when somebody switched it on.
    auto_renew: bool = False
    # The customer does not want the next term; taken back at any time before the end. The reason may be empty.
    not_renewing_at: datetime | None = Field(default=None, sa_type=INSTANT)
    not_renewing_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    # The billing run leaves a parked one alone until a person has looked (R-SUB-6).
    parked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    parked_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    # Because of a case of party screening alone: released with it.
    parked_by_screening: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    created_at: datetime = Field(sa_type=INSTANT)
    # Counts every change of what is held or wished for the next term, so that an older offer is known as such.
    revision: int = Field(default=0, sa_column_kwargs={"server_default": "0"})

    @property
    def renews_itself(self) -> bool:
        return self.auto_renew and self.not_renewing_at is None

    @property
    def billing(self) -> Billing:
        return Billing.PREPAID if self.billed_until is None else Billing.YEARLY

    @property
    def billed_to(self) -> date:
        """The first day that nothing was billed for."""
        return self.billed_until or self.ends_on

    @property
    def billed_months(self) -> int:
        """How many months one invoice of the term is for."""
        return self.term_months if self.billed_until is None else YEAR_MONTHS


class SubscriptionLine(Table, table=True):
    """What one unit costs on this subscription; ARR is kept as an integer per line, ex tax (R-FIN-1)."""

    __tablename__ = "subscription_line"
    __table_args__ = (
        UniqueConstraint("subscription_id", "plan_id"),
        CheckConstraint("quantity > 0 AND unit_minor >= 0 AND net_minor >= 0 AND intervals > 0", name="amounts"),
        CheckConstraint("quoted_minor >= 0", name="quoted_not_negative"),
    )

    id: str = Field(primary_key=True)
    subscription_id: str = Field(foreign_key="subscription.id")
    plan_id: str = Field(foreign_key="plan.id")
    price_id: str = Field(foreign_key="price.id")
    sku: str
    description: str
    quantity: int
    unit_minor: int = minor_field()
    net_minor: int = minor_field()
    arr_minor: int = minor_field()
    # What prices the line again (R-PRO-4): the price model as it was, for how many intervals; NULL on older rows.
    pricing: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    intervals: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    # What sales took off by quote, of each bill of the term; further years of it are billed with this (ADR 0043).
    quoted_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})


class SubscriptionTerm(Table, table=True):
    """Every term a subscription has had; one that is billed yearly, year by year. No two of them overlap."""

    __tablename__ = "subscription_term"
    __table_args__ = (
        UniqueConstraint("subscription_id", "starts_on", "kind"),
        CheckConstraint("ends_on > starts_on", name="ends_after_start"),
        ExcludeConstraint(
            ("subscription_id", "="),
            (text("daterange(starts_on, ends_on)"), "&&"),
            using="gist",
            name="ex_subscription_term_no_overlap",
        ),
    )

    id: int | None = row_id()
    subscription_id: str = Field(foreign_key="subscription.id")
    kind: TermKind = Field(sa_type=text_enum(TermKind, name="term_kind"))
    starts_on: date
    ends_on: date
    order_id: str = Field(foreign_key="order.id", unique=True)


class ScheduledChange(Table, table=True):
    """What the next term will have less of (R-PRO-6): a lower plan, fewer seats, add-ons left out. One at a time.

    What is NULL stays as it is held when the term ends. Seen by everybody, and withdrawn at any time before that.
    """

    __tablename__ = "scheduled_change"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats_positive"),
        CheckConstraint(
            "plan_id IS NOT NULL OR seats IS NOT NULL OR jsonb_array_length(dropped) > 0", name="changes_something"
        ),
        CheckConstraint("(state = 'scheduled') = (closed_at IS NULL)", name="closed_has_instant"),
        CheckConstraint("(state = 'applied') = (order_id IS NOT NULL)", name="applied_by_an_order"),
        Index(
            "uq_scheduled_change_one", "subscription_id", unique=True, postgresql_where=text("state = 'scheduled'")
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    state: ScheduledState = Field(sa_type=text_enum(ScheduledState, name="scheduled_state"))
    plan_id: str | None = Field(default=None, foreign_key="plan.id")
    seats: int | None = None
    dropped: list[str] = Field(sa_type=JSONB)  # skus of add-ons
    requested_by: str  # a member, an API key, or staff
    requested_at: datetime = Field(sa_type=INSTANT)
    closed_by: str | None = None
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    order_id: str | None = Field(default=None, foreign_key="order.id")  # the renewal that applied it


class RenewalReminder(Table, table=True):
    """What is to be sent and when (R-SUB-3): once per subscription, term and template, or skipped with a reason."""

    __tablename__ = "renewal_reminder"
    __table_args__ = (UniqueConstraint("subscription_id", "ends_on", "days_before"),)

    id: str = Field(primary_key=True)
    subscription_id: str = Field(foreign_key="subscription.id")
    ends_on: date
    days_before: int  # negative: days after the end
    due_at: datetime = Field(sa_type=INSTANT, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=INSTANT)
    skipped_reason: str | None = None


class RenewalOpening(Table, table=True):
    """What was found when the renewal of a long term opened: whether it runs by itself, or who was asked (R-THR-2)."""

    __tablename__ = "renewal_opening"
    __table_args__ = (UniqueConstraint("subscription_id", "ends_on"),)

    id: int | None = row_id()
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    ends_on: date
    opened_at: datetime = Field(sa_type=INSTANT)
    route: str
    reasons: list[dict[str, Any]] = Field(sa_type=JSONB)
    quote_id: str | None = Field(default=None, foreign_key="quote.id")


class RenewalLink(Table, table=True):
    """A single-use key to renew one term of one subscription, forwardable without signing in (R-SUB-4)."""

    __tablename__ = "renewal_link"

    id: str = Field(primary_key=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    ends_on: date
    token_hash: str = Field(unique=True)
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    used_at: datetime | None = Field(default=None, sa_type=INSTANT)
