"""Telling other systems what happened: endpoints, deliveries, and the order in which events became visible."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, text_enum


class EndpointKind(StrEnum):
    STANDARD = "standard"  # Standard Webhooks: signed JSON
    MATTERMOST = "mattermost"  # an incoming webhook of a Mattermost channel


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; can be replayed


class WebhookEndpoint(Table, table=True):
    """Where events are sent. With an account it gets only that account's events, without one every event."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("(kind = 'standard') = (secret_sealed IS NOT NULL)", name="signed_if_standard"),
        CheckConstraint(
            "(previous_secret_sealed IS NULL) = (previous_secret_until IS NULL)", name="previous_secret_ends"
        ),
    )

    id: str = Field(primary_key=True)
    kind: EndpointKind = Field(sa_type=text_enum(EndpointKind, name="endpoint_kind"))
    account_id: str | None = Field(default=None, foreign_key="account.id", index=True)
    url_sealed: str  # an incoming webhook's address is its own credential
    secret_sealed: str | None = None
    # The secret before the last rotation, with which deliveries are signed too until then (real time).
    previous_secret_sealed: str | None = None
    previous_secret_until: datetime | None = Field(default=None, sa_type=INSTANT)
    event_types: list[str] = Field(sa_type=JSONB)
    description: str = ""
    created_at: datetime = Field(sa_type=INSTANT)
    disabled_at: datetime | None = Field(default=None, sa_type=INSTANT)
    disabled_reason: str | None = None


class WebhookDelivery(Table, table=True):
    """One event for one endpoint, until it arrived or was given up. Its instants are real time."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_has_next"),
        Index("ix_webhook_delivery_waiting", "endpoint_id", postgresql_where=text("state = 'pending'")),
    )

    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="webhook_endpoint.id")
    event_id: str = Field(foreign_key="event.id", index=True)
    state: DeliveryState = Field(sa_type=text_enum(DeliveryState, name="delivery_state"), index=True)
    attempts: int = 0  # since the delivery was begun or replayed
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    next_attempt_at: datetime | None = Field(default=None, sa_type=INSTANT)
    leased_until: datetime | None = Field(default=None, sa_type=INSTANT)  # while a worker is posting it
    delivered_at: datetime | None = Field(default=None, sa_type=INSTANT)


class EventPosition(Table, table=True):
    """The order in which events became visible, for `GET /v1/events?after=`.

    A number taken inside the business transaction will not do: of two that run side by side, the one with the
    larger number may commit first, and a reader that has seen it would never look back for the other. These
    numbers are taken after the commit, one transaction at a time, so a reader never misses one.
    """

    __tablename__ = "event_position"

    position: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)]
    )
    event_id: str = Field(foreign_key="event.id", unique=True)
    account_id: str | None = Field(default=None, index=True)  # the event's, so that a page needs one index
    published_at: datetime = Field(sa_type=INSTANT)  # real time
