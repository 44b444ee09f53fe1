from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
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
    __tablename__ = "webhook_endpoint"

    id: str = Field(primary_key=True)
    kind: EndpointKind = Field(sa_type=text_enum(EndpointKind, name="endpoint_kind"))
    url_sealed: str  # an incoming webhook's address is its own credential
    secret_sealed: str
    event_types: list[str] = Field(sa_type=JSONB)
    description: str = ""
    created_at: datetime = Field(sa_type=INSTANT)
    disabled_at: datetime | None = Field(default=None, sa_type=INSTANT)


class WebhookDelivery(Table, table=True):
    """One event for one endpoint, until it arrived or was given up."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (UniqueConstraint("endpoint_id", "event_id"),)

    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="webhook_endpoint.id")
    event_id: str = Field(foreign_key="event.id", index=True)
    state: DeliveryState = Field(sa_type=text_enum(DeliveryState, name="delivery_state"), index=True)
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    delivered_at: datetime | None = Field(default=None, sa_type=INSTANT)
