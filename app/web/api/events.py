"""Events: what happened, for systems that ask instead of being told, and for catching up after an outage."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from app.accounts.models import ApiKey
from app.web.deps import NotSignedIn, ScopeMissing, Tx, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems
from app.webhooks import deliveries, service

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=IdempotentRoute)

Reader = Annotated[ApiKey, Depends(requires("events:read"))]


class EventOut(BaseModel):
    """`position` orders all events as they became visible: ask for what comes `after` the last one you have.

    `sequence` counts the events of `object_id` from 1 without a gap, here as in webhooks.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "position": 812, "id": "evt_01ka8qj6x0c5q4m3t2r1p0n9mk", "type": "license.issued",
        "timestamp": "2026-11-22T09:00:00Z", "object_id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "sequence": 1,
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "data": {"seats": 25},
    }})  # fmt: skip

    position: int
    id: str
    type: str
    timestamp: datetime
    object_id: str
    sequence: int
    account_id: str | None
    data: dict[str, Any]


class EventList(BaseModel):
    data: list[EventOut]
    has_more: bool


@router.get("", responses=problems(NotSignedIn, ScopeMissing))
def list_events(
    tx: Tx,
    key: Reader,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    types: Annotated[str, Query(max_length=500)] = "*",
) -> EventList:
    """Oldest first, from behind position `after`; a reader that repeats its last position never misses one.

    `types` takes several names with commas between them, such as `invoice.paid,survey.*`. A key of an account
    sees that account's events.
    """
    patterns = service.check_event_types(types.split(","), param="types")
    rows = deliveries.published(tx, after=after, limit=limit + 1, account_id=key.account_id, event_types=patterns)
    shown = [
        EventOut(
            position=position, id=each.id, type=each.type, timestamp=each.occurred_at, object_id=each.object_id,
            sequence=each.object_sequence, account_id=each.account_id, data=each.data,
        )
        for position, each in rows[:limit]
    ]  # fmt: skip
    return EventList(data=shown, has_more=len(rows) > limit)
