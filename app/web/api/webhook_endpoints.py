"""Webhook endpoints: where events are sent, signed, tried again and sent again (Standard Webhooks, R-PRV-4)."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import ids, paging
from app.core.clock import transport_now
from app.core.events import Event
from app.core.security import Secrets
from app.flows import deliver
from app.web.deps import NotSignedIn, ScopeMissing, Tx, Wired, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems
from app.webhooks import service
from app.webhooks.errors import (
    AddressRefused,
    DeliveryNotFound,
    EndpointDisabled,
    EndpointNotFound,
    NothingToRotate,
    TooManyEndpoints,
)
from app.webhooks.models import DeliveryState, EndpointKind, WebhookDelivery, WebhookEndpoint

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"], route_class=IdempotentRoute)

Key = Annotated[ApiKey, Depends(requires("webhooks:write"))]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
EventTypes = Annotated[list[Annotated[str, StringConstraints(max_length=80)]], Field(min_length=1, max_length=50)]
_ANYBODY = (NotSignedIn, ScopeMissing, EndpointNotFound)


class EndpointIn(BaseModel):
    """`event_types` are names such as `invoice.paid`, `survey.*` or `*`. A key of an account opens endpoints that hear
    of that account only.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "kind": "standard", "url": "https://crm.example.com/hooks/blp", "event_types": ["license.*"],
        "description": "CRM",
    }})  # fmt: skip

    kind: EndpointKind = EndpointKind.STANDARD
    url: Url
    event_types: EventTypes = ["*"]
    description: Line = ""


class EndpointPatch(BaseModel):
    """Only what is given changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "event_types": ["license.*", "order.completed"],
    }})  # fmt: skip

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Line | None = None
    disabled: bool | None = None


class EndpointOut(BaseModel):
    """`url` shows only the host of a Mattermost channel: the rest of it is a password."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "whe_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "standard", "account_id": None,
        "url": "https://crm.example.com/hooks/blp", "event_types": ["license.*"], "description": "CRM",
        "created_at": "2026-11-22T09:00:00Z", "disabled_at": None, "disabled_reason": None,
        "previous_secret_until": None,
    }})  # fmt: skip

    id: str
    kind: EndpointKind
    account_id: str | None
    url: str
    event_types: list[str]
    description: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    previous_secret_until: datetime | None

    @classmethod
    def of(cls, secrets: Secrets, row: WebhookEndpoint, **more: Any) -> Self:
        facts = row.model_dump(include=set(cls.model_fields) - {"url"})
        return cls(**facts, url=service.shown_url(secrets, row), **more)


class EndpointWithSecret(EndpointOut):
    """`secret` is shown this once (null for a Mattermost channel)."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "whe_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "standard", "account_id": None,
        "url": "https://crm.example.com/hooks/blp", "event_types": ["license.*"], "description": "CRM",
        "created_at": "2026-11-22T09:00:00Z", "disabled_at": None, "disabled_reason": None,
        "previous_secret_until": None, "secret": "whsec_…",
    }})  # fmt: skip

    secret: str | None


class EndpointList(BaseModel):
    data: list[EndpointOut]
    has_more: bool


class TestOut(BaseModel):
    """What the receiver answered; `error` says why there is no status."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "delivered": True, "status": 204, "error": None,
    }})  # fmt: skip

    delivered: bool
    status: int | None
    error: str | None


class DeliveryOut(BaseModel):
    """`attempts` counts since the beginning or the last replay; `last_error` never repeats what the receiver wrote."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "whd_01ka8qj6x0c5q4m3t2r1p0n9mk", "event_id": "evt_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "event_type": "license.issued", "state": "delivered", "attempts": 1, "last_status": 204, "last_error": None,
        "created_at": "2026-11-22T09:00:00Z", "next_attempt_at": None, "delivered_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    event_id: str
    event_type: str
    state: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class DeliveryList(BaseModel):
    data: list[DeliveryOut]
    has_more: bool


class ReplayIn(BaseModel):
    """Either one event by `event_id`, or all that happened in `[from, to)` and did not arrive.

    `include_delivered` sends those too that did arrive. `after` goes on where the last call stopped.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra={"example": {
        "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z",
    }})  # fmt: skip

    event_id: str | None = None
    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = Field(default=None, alias="to")
    after: int = Field(default=0, ge=0, lt=2**63)
    include_delivered: bool = False

    @model_validator(mode="after")
    def one_or_range(self) -> Self:
        spans = self.since is not None and self.until is not None
        if (self.event_id is None) != spans or (self.since is None) != (self.until is None):
            raise ValueError("give either event_id, or from and to")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("from must be before to")
        return self


class ReplayOut(BaseModel):
    """`next_after` is null at the end; otherwise call again with it as `after`."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "queued": 42, "next_after": None,
    }})  # fmt: skip

    queued: int
    next_after: int | None


@router.post("", status_code=201, responses=problems(NotSignedIn, ScopeMissing, AddressRefused, TooManyEndpoints))
def create(body: EndpointIn, ports: Wired, key: Key) -> EndpointWithSecret:
    """Add an endpoint. Keep the secret: it is shown this once."""
    endpoint, secret = deliver.open_endpoint(
        ports, kind=body.kind, url=body.url, event_types=body.event_types, description=body.description,
        account_id=key.account_id, actor=key.id,
    )  # fmt: skip
    return EndpointWithSecret.of(ports.secrets, endpoint, secret=secret)


@router.get("", responses=problems(NotSignedIn, ScopeMissing))
def list_endpoints(
    ports: Wired,
    tx: Tx,
    key: Key,
    limit: Annotated[int, Query(ge=1, le=paging.MAX_LIMIT)] = 20,
    starting_after: str | None = None,
) -> EndpointList:
    """Newest first."""
    query = select(WebhookEndpoint)
    if key.account_id is not None:
        query = query.where(col(WebhookEndpoint.account_id) == key.account_id)
    after = ids.require_form("whe", starting_after) if starting_after is not None else None
    page = paging.page(tx, query, col(WebhookEndpoint.id), limit=limit, starting_after=after)
    return EndpointList(data=[EndpointOut.of(ports.secrets, each) for each in page.data], has_more=page.has_more)


@router.get("/{endpoint_id}", responses=problems(*_ANYBODY))
def read(endpoint_id: str, ports: Wired, tx: Tx, key: Key) -> EndpointOut:
    """One endpoint."""
    return EndpointOut.of(ports.secrets, service.get(tx, endpoint_id, account_id=key.account_id))


@router.patch("/{endpoint_id}", responses=problems(*_ANYBODY, AddressRefused))
def change(endpoint_id: str, body: EndpointPatch, ports: Wired, key: Key) -> EndpointOut:
    """Change address, event types or description, disable or enable. What was missed meanwhile: replay it."""
    if body.url is not None:
        deliver.require_callable(ports, body.url)
    with ports.db.transaction() as tx:
        endpoint = service.get(tx, endpoint_id, account_id=key.account_id, lock=True)
        service.change(
            tx, ports.secrets, endpoint, url=body.url, event_types=body.event_types, description=body.description,
            disabled=body.disabled, actor=key.id, now=transport_now(),
        )  # fmt: skip
        return EndpointOut.of(ports.secrets, endpoint)


@router.delete("/{endpoint_id}", status_code=204, responses=problems(*_ANYBODY))
def remove(endpoint_id: str, tx: Tx, key: Key) -> None:
    """Remove the endpoint and the log of its deliveries. The events stay."""
    endpoint = service.get(tx, endpoint_id, account_id=key.account_id, lock=True)
    service.remove(tx, endpoint, actor=key.id, now=transport_now())


@router.post("/{endpoint_id}/rotate", responses=problems(*_ANYBODY, NothingToRotate))
def rotate(endpoint_id: str, ports: Wired, tx: Tx, key: Key) -> EndpointWithSecret:
    """A new signing secret. For 24 hours deliveries carry two signatures, one with each secret."""
    endpoint = service.get(tx, endpoint_id, account_id=key.account_id, lock=True)
    secret = service.rotate(tx, ports.secrets, endpoint, actor=key.id, now=transport_now())
    return EndpointWithSecret.of(ports.secrets, endpoint, secret=secret)


@router.post("/{endpoint_id}/test", responses=problems(*_ANYBODY))
def test(endpoint_id: str, ports: Wired, key: Key) -> TestOut:
    """Send one `webhook.test` message now and say what came back. It is not an event and is in no list."""
    reply = deliver.try_endpoint(ports, endpoint_id, account_id=key.account_id)
    return TestOut(
        delivered=reply.status is not None and 200 <= reply.status < 300, status=reply.status, error=reply.error
    )


@router.get("/{endpoint_id}/deliveries", responses=problems(*_ANYBODY))
def list_deliveries(
    endpoint_id: str,
    tx: Tx,
    key: Key,
    limit: Annotated[int, Query(ge=1, le=paging.MAX_LIMIT)] = 20,
    starting_after: str | None = None,
    state: DeliveryState | None = None,
) -> DeliveryList:
    """Newest first. `state=dead` lists what was given up."""
    endpoint = service.get(tx, endpoint_id, account_id=key.account_id)
    query = select(WebhookDelivery).where(col(WebhookDelivery.endpoint_id) == endpoint.id)
    if state is not None:
        query = query.where(col(WebhookDelivery.state) == state)
    after = ids.require_form("whd", starting_after) if starting_after is not None else None
    page = paging.page(tx, query, col(WebhookDelivery.id), limit=limit, starting_after=after)
    events = select(col(Event.id), col(Event.type)).where(col(Event.id).in_([each.event_id for each in page.data]))
    types = {row[0]: row[1] for row in tx.execute(events)}
    shown = set(DeliveryOut.model_fields) - {"event_type"}
    return DeliveryList(
        data=[DeliveryOut(**each.model_dump(include=shown), event_type=types[each.event_id]) for each in page.data],
        has_more=page.has_more,
    )


@router.post(
    "/{endpoint_id}/replay", status_code=202, responses=problems(*_ANYBODY, DeliveryNotFound, EndpointDisabled)
)
def replay(endpoint_id: str, body: ReplayIn, ports: Wired, key: Key) -> ReplayOut:
    """Send events again, of the last 90 days, with the same `webhook-id` as before; at most 1,000 per call."""
    if body.since is not None and body.until is not None:
        queued, more = deliver.replay_range(
            ports, endpoint_id, since=body.since, until=body.until, after=body.after,
            include_delivered=body.include_delivered, account_id=key.account_id,
        )  # fmt: skip
        return ReplayOut(queued=queued, next_after=more)
    queued = deliver.replay(ports, endpoint_id, body.event_id or "", account_id=key.account_id)
    return ReplayOut(queued=queued, next_after=None)
