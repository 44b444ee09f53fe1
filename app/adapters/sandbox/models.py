"""The sandbox's own records, as durable as a real provider's; nothing of ours refers to them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, minor_field, personal, row_id, text_enum


class SandboxClock(Table, table=True):
    """How far business time is ahead of real time."""

    __tablename__ = "sandbox_clock"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), CheckConstraint("offset_seconds >= 0", name="forward"))

    id: int = Field(default=1, primary_key=True)
    offset_seconds: int = Field(default=0, sa_type=BigInteger)


class SessionStatus(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class IntentStatus(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class CardKind(StrEnum):
    """What a test card does when it is charged."""

    PAYS = "pays"
    DECLINES = "declines"
    NO_FUNDS = "no_funds"
    ASKS = "asks"  # a confirm step at the first payment, none once it is saved
    DECLINES_LATER = "declines_later"  # pays on the pay page, declines when charged from the file
    LOST = "lost"


class RefundStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


class SandboxCustomer(Table, table=True):
    """Somebody who keeps cards with the provider."""

    __tablename__ = "sandbox_customer"

    id: str = Field(primary_key=True)  # cus_…
    email: str = Field(sa_column_kwargs=personal("contact"))
    extra: dict[str, Any] = Field(sa_type=JSONB)  # Stripe's `metadata`
    created_at: datetime = Field(sa_type=INSTANT)
    deleted_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SandboxMethod(Table, table=True):
    """A test card as the provider keeps it: what it does, never its number."""

    __tablename__ = "sandbox_method"

    id: str = Field(primary_key=True)  # pm_…
    customer_id: str | None = Field(default=None, foreign_key="sandbox_customer.id", index=True)
    brand: str
    last4: str
    exp_year: int
    exp_month: int
    kind: CardKind = Field(sa_type=text_enum(CardKind, name="kind"))
    created_at: datetime = Field(sa_type=INSTANT)


class SandboxIntent(Table, table=True):
    """A payment intent: what became of the money. Amounts are in the provider's units (ISK and UGX times 100)."""

    __tablename__ = "sandbox_intent"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor", name="refunds_within_amount"),
        CheckConstraint("(status = 'succeeded') = (charge_id IS NOT NULL)", name="charged_once_succeeded"),
    )

    id: str = Field(primary_key=True)  # pi_…
    amount_minor: int = minor_field()
    refunded_minor: int = minor_field(default=0)
    currency: str = Field(sa_type=CURRENCY)
    status: IntentStatus = Field(sa_type=text_enum(IntentStatus, name="status"))
    description: str
    customer_id: str | None = Field(default=None, foreign_key="sandbox_customer.id")
    method_id: str | None = Field(default=None, foreign_key="sandbox_method.id")  # the card of the last try
    keeps_card: bool = False
    charge_id: str | None = Field(default=None, unique=True)
    failure_code: str | None = None  # the decline code of the last try
    dispute_id: str | None = Field(default=None, unique=True)
    dispute_status: DisputeStatus | None = Field(default=None, sa_type=text_enum(DisputeStatus, name="dispute_status"))
    extra: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)


class SandboxCheckout(Table, table=True):
    """A checkout session of the TEST pay page, Stripe-shaped."""

    __tablename__ = "sandbox_checkout"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("status <> 'complete' OR intent_id IS NOT NULL", name="complete_is_paid"),
    )

    id: str = Field(primary_key=True)  # cs_test_…
    client_reference_id: str | None = Field(default=None, index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    description: str
    customer_email: str = Field(sa_column_kwargs=personal("contact"))
    success_url: str
    cancel_url: str
    status: SessionStatus = Field(sa_type=text_enum(SessionStatus, name="status"))
    # As at Stripe, the intent is made when the buyer first submits a card.
    intent_id: str | None = Field(default=None, foreign_key="sandbox_intent.id", unique=True)
    intent_template: dict[str, Any] = Field(sa_type=JSONB)  # description, metadata and card keeping of that intent
    consent: str = ""  # beside the button
    extra: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)


class SandboxSetup(Table, table=True):
    """A checkout session in setup mode and its setup intent: a card is entered to be kept, nothing is charged."""

    __tablename__ = "sandbox_setup"
    __table_args__ = (
        CheckConstraint(
            "(intent_status = 'succeeded') = (status = 'complete')"
            " AND (status <> 'complete' OR method_id IS NOT NULL AND customer_id IS NOT NULL)",
            name="complete_has_card",
        ),
    )

    id: str = Field(primary_key=True)  # cs_test_…
    intent_id: str = Field(unique=True)  # seti_…
    client_reference_id: str | None = Field(default=None, index=True)
    customer_id: str | None = Field(default=None, foreign_key="sandbox_customer.id")
    customer_email: str = Field(sa_column_kwargs=personal("contact"))
    success_url: str
    cancel_url: str
    consent: str
    status: SessionStatus = Field(sa_type=text_enum(SessionStatus, name="status"))
    intent_status: IntentStatus = Field(sa_type=text_enum(IntentStatus, name="intent_status"))
    method_id: str | None = Field(default=None, foreign_key="sandbox_method.id")  # the card of the last try
    failure_code: str | None = None
    extra: dict[str, Any] = Field(sa_type=JSONB)
    intent_extra: dict[str, Any] = Field(sa_type=JSONB)  # the intent's own `metadata`
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)


class SandboxRefund(Table, table=True):
    __tablename__ = "sandbox_refund"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    id: str = Field(primary_key=True)  # re_…
    intent_id: str = Field(foreign_key="sandbox_intent.id", index=True)
    amount_minor: int = minor_field()
    status: RefundStatus = Field(sa_type=text_enum(RefundStatus, name="status"))
    reason: str | None = None
    extra: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)


class SandboxEvent(Table, table=True):
    """A Stripe-shaped event, posted signed to `target_url` until it is answered with 2xx."""

    __tablename__ = "sandbox_event"

    id: str = Field(primary_key=True)
    sequence: int | None = Field(
        default=None, sa_type=BigInteger, sa_column_args=(Identity(),), index=True, nullable=False
    )  # the order they happened in
    type: str
    body: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    target_url: str
    created_at: datetime = Field(sa_type=INSTANT)
    tries: int = 0
    delivered_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SandboxIdempotency(Table, table=True):
    """The provider's side of Idempotency-Key."""

    __tablename__ = "sandbox_idempotency"

    key: str = Field(primary_key=True)
    request_hash: str
    status: int  # HTTP status of the stored answer
    response: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    created_at: datetime = Field(sa_type=INSTANT)


class Fault(StrEnum):
    """How the provider misbehaves towards our calls until it is told to stop."""

    NONE = "none"
    DOWN = "down"  # answers 503 and does nothing
    LOST_ANSWER = "lost_answer"  # does it, then answers 500; the key replays the true answer
    STORED_500 = "stored_500"  # does nothing, answers 500, and replays that for the key, as Stripe v1 does
    BUSY = "busy"  # answers 429


class SandboxSwitches(Table, table=True):
    """How badly the provider behaves; one row, read at each call and each delivery."""

    __tablename__ = "sandbox_switches"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("copies BETWEEN 1 AND 50", name="copies_in_range"),
        CheckConstraint("delay_seconds >= 0", name="delay_not_negative"),
    )

    id: int = Field(default=1, primary_key=True)
    target_url: str | None = None  # where new events go instead of our own webhook
    copies: int = 1  # every event is posted this many times
    drop: bool = False  # no event arrives at all
    newest_first: bool = False  # events waiting together arrive in the wrong order
    delay_seconds: int = 0  # real time between the fact and the first delivery
    fault: Fault = Field(default=Fault.NONE, sa_type=text_enum(Fault, name="fault"))


class SandboxMail(Table, table=True):
    """A mail that was sent in the sandbox: read it at /sandbox/mail."""

    __tablename__ = "sandbox_mail"

    id: int | None = row_id()
    message_id: str = Field(unique=True)
    to: str = Field(index=True, sa_column_kwargs=personal("contact"))
    subject: str = Field(sa_column_kwargs=personal("contact"))
    text: str = Field(sa_column_kwargs=personal("contact"))
    html: str = Field(sa_column_kwargs=personal("contact"))
    # The link that opts out is in them.
    headers: dict[str, str] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    sent_at: datetime = Field(sa_type=INSTANT)


class SandboxHook(Table, table=True):
    """What arrived at the sandbox's own webhook receiver, /sandbox/hooks/{name}."""

    __tablename__ = "sandbox_hook"

    id: int | None = row_id()
    name: str = Field(index=True)
    headers: dict[str, str] = Field(sa_type=JSONB)
    body: str = Field(sa_column_kwargs=personal("free_text"))
    received_at: datetime = Field(sa_type=INSTANT)


class SandboxProvisioner(Table, table=True):
    """The sandbox provisioner's own API key, sealed: it comes in through the public door like any other."""

    __tablename__ = "sandbox_provisioner"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    key_sealed: str
    created_at: datetime = Field(sa_type=INSTANT)
