from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, minor_field, text_enum


class AttemptState(StrEnum):
    UNKNOWN = "unknown"  # intended; the provider's answer is not recorded yet
    PENDING = "pending"  # the buyer is at the provider's page
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class Method(StrEnum):
    CARD = "card"
    WIRE = "wire"
    CHEQUE = "cheque"


class PaymentAttempt(Table, table=True):
    """Written before the provider is called, so that no charge can exist without a row here (I5)."""

    __tablename__ = "payment_attempt"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)  # also the idempotency key sent to the provider
    order_id: str = Field(foreign_key="order.id", index=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    provider: str
    provider_ref: str | None = None
    redirect_url: str | None = None
    # Set before a saved card is charged: such an attempt is asked about by charging again under the same key.
    saved_method_ref: str | None = None
    state: AttemptState = Field(sa_type=text_enum(AttemptState, name="attempt_state"))
    failure_code: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class Payment(Table, table=True):
    """Money that arrived. A provider's charge, or a bank's reference, can be recorded once only."""

    __tablename__ = "payment"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    # What was being paid for; None for a transfer, whose invoices `invoice_payment` names.
    order_id: str | None = Field(default=None, foreign_key="order.id", index=True)
    attempt_id: str | None = Field(default=None, foreign_key="payment_attempt.id")
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    method: Method = Field(sa_type=text_enum(Method, name="method"))
    method_label: str = ""  # "Visa •••• 4242"
    provider: str
    provider_ref: str
    received_at: datetime = Field(sa_type=INSTANT)
    recorded_by: str | None = None  # staff, for what no provider tells us


class PaymentMethod(Table, table=True):
    """A card the provider keeps; we hold references and a label, never a number."""

    __tablename__ = "payment_method"
    __table_args__ = (UniqueConstraint("provider", "method_ref"),)

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    provider: str
    customer_ref: str
    method_ref: str
    label: str
    created_at: datetime = Field(sa_type=INSTANT)
    removed_at: datetime | None = Field(default=None, sa_type=INSTANT)
