"""The sandbox's own records, as durable as a real provider's; nothing of ours refers to them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, minor_field, personal, row_id


class SandboxClock(Table, table=True):
    """How far business time is ahead of real time."""

    __tablename__ = "sandbox_clock"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), CheckConstraint("offset_seconds >= 0", name="forward"))

    id: int = Field(default=1, primary_key=True)
    offset_seconds: int = Field(default=0, sa_type=BigInteger)


class SandboxCheckout(Table, table=True):
    """A checkout session of the TEST pay page, Stripe-shaped."""

    __tablename__ = "sandbox_checkout"

    id: str = Field(primary_key=True)  # cs_test_…
    client_reference_id: str = Field(index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    description: str
    customer_email: str = Field(sa_column_kwargs=personal("contact"))
    success_url: str
    cancel_url: str
    status: str  # open, complete, expired
    payment_intent_id: str = Field(unique=True)
    extra: dict[str, Any] = Field(sa_type=JSONB)  # Stripe's `metadata`
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)


class SandboxIntent(Table, table=True):
    """A payment intent: what became of the money."""

    __tablename__ = "sandbox_intent"

    id: str = Field(primary_key=True)  # pi_…
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    status: str  # requires_payment_method, requires_action, succeeded, canceled
    card_brand: str = ""
    card_last4: str = ""
    charge_id: str | None = Field(default=None, unique=True)
    failure_code: str | None = None
    extra: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)


class SandboxEvent(Table, table=True):
    """A Stripe-shaped event, posted signed to our own webhook until it is answered with 2xx."""

    __tablename__ = "sandbox_event"

    id: str = Field(primary_key=True)
    type: str
    body: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    created_at: datetime = Field(sa_type=INSTANT)
    delivered_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SandboxIdempotency(Table, table=True):
    """The provider's side of Idempotency-Key."""

    __tablename__ = "sandbox_idempotency"

    key: str = Field(primary_key=True)
    request_hash: str
    status: int
    response: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=INSTANT)


class SandboxMail(Table, table=True):
    """A mail that was sent in the sandbox: read it at /sandbox/mail."""

    __tablename__ = "sandbox_mail"

    id: int | None = row_id()
    message_id: str = Field(unique=True)
    to: str = Field(index=True, sa_column_kwargs=personal("contact"))
    subject: str
    text: str = Field(sa_column_kwargs=personal("contact"))
    html: str = Field(sa_column_kwargs=personal("contact"))
    headers: dict[str, str] = Field(sa_type=JSONB)
    sent_at: datetime = Field(sa_type=INSTANT)


class SandboxHook(Table, table=True):
    """What arrived at the sandbox's own webhook receiver, /sandbox/hooks/{name}."""

    __tablename__ = "sandbox_hook"

    id: int | None = row_id()
    name: str = Field(index=True)
    headers: dict[str, str] = Field(sa_type=JSONB)
    body: str
    received_at: datetime = Field(sa_type=INSTANT)
