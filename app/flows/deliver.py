"""From a recorded event to the systems that want to know: fan out, deliver, try again, send again (R-PRV-4).

Deliveries live in real time: a receiver's outage lasts as long as it lasts, whatever the business clock says.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.core import events, jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.events import Event
from app.core.ids import new_id
from app.flows.ports import Ports
from app.webhooks import deliveries, service
from app.webhooks.errors import AddressRefused
from app.webhooks.models import EndpointKind, WebhookEndpoint
from app.webhooks.provider import Reply

log = structlog.get_logger()

_LATE: Final = timedelta(minutes=10)


@jobs.job(events.FAN_OUT)
def fan_out(ports: Ports, *, event_ids: str) -> None:
    """Make events, whose ids stand between commas, visible and put one delivery per endpoint on the queue."""
    with ports.db.transaction() as tx:
        _enqueue(tx, [(each, 0) for each in deliveries.fan_out(tx, event_ids.split(","), transport_now())])


def _enqueue(tx: Tx, waiting: Sequence[tuple[str, int]], *, at: datetime | None = None) -> None:
    for delivery_id, attempt in waiting:
        # Without a lock: a try that waits for its time would hold up a replay behind it.
        jobs.defer(tx, deliver, at=at, delivery_id=delivery_id, attempt=attempt)


@jobs.job("webhooks.deliver", retry=jobs.Retry(attempts=3, first=30))
def deliver(ports: Ports, *, delivery_id: str, attempt: int) -> None:
    """Try number `attempt` of a delivery. A failed try is no failed job: it puts the next one on the queue itself.

    The address is looked up and checked again at every try (S21). After a crash between the post and its record
    the same try is made again: receivers know the message by its `webhook-id`.
    """
    with ports.db.transaction() as tx:
        parcel = deliveries.pack(tx, ports.secrets, delivery_id, attempt, base_url=ports.base_url, now=transport_now())
        if isinstance(parcel, datetime):
            _enqueue(tx, [(delivery_id, attempt)], at=parcel)
    if not isinstance(parcel, deliveries.Parcel):
        return
    reply = ports.http.post(parcel.url, parcel.body, parcel.headers)
    with ports.db.transaction() as tx:
        again_at = deliveries.settle(tx, delivery_id, attempt, reply, transport_now())
        if again_at is not None:
            _enqueue(tx, [(delivery_id, attempt + 1)], at=again_at)
    log.info(
        "webhook.tried", delivery=delivery_id, attempt=attempt + 1, status=reply.status, again=again_at is not None
    )


@jobs.job("webhooks.sweep", every="*/10 * * * *", retry=jobs.Retry(attempts=1))
def sweep(ports: Ports) -> None:
    """Nothing stays behind: fan-outs and tries whose job was lost are put on the queue again."""
    with ports.db.transaction() as tx:
        lost = deliveries.unnumbered(tx)
        events.fan_out_later(tx, lost)
        late = deliveries.overdue(tx, transport_now() - _LATE)
        for delivery_id, attempt in late:
            once = f"deliver:{delivery_id}:{attempt}"
            jobs.defer(tx, deliver, once=once, delivery_id=delivery_id, attempt=attempt)
    if lost or late:
        log.warning("webhook.swept", events=len(lost), deliveries=len(late))


@jobs.job("webhooks.forget_old", every="41 3 * * *", retry=jobs.Retry(attempts=3))
def forget_old(ports: Ports) -> None:
    with ports.db.transaction() as tx:
        deliveries.forget_old(tx, transport_now())


# --- What the owner of an endpoint does -------------------------------------------------------------------------


def open_endpoint(
    ports: Ports, *, kind: EndpointKind, url: str, event_types: Sequence[str], description: str,
    account_id: str | None, actor: str,
) -> tuple[WebhookEndpoint, str | None]:  # fmt: skip
    """A new endpoint and its signing secret, shown this once. Raises AddressRefused, Invalid, TooManyEndpoints."""
    require_callable(ports, url)
    with ports.db.transaction() as tx:
        return service.create(
            tx, ports.secrets, kind=kind, url=url, event_types=event_types, description=description,
            account_id=account_id, actor=actor, now=transport_now(),
        )  # fmt: skip


def require_callable(ports: Ports, url: str) -> None:
    """Checked when it is saved, at each delivery and by the test button (S21). Raises AddressRefused."""
    refusal = ports.http.refusal(url)
    if refusal is not None:
        raise AddressRefused(refusal, param="url")


def try_endpoint(ports: Ports, endpoint_id: str, *, account_id: str | None) -> Reply:
    """Post one signed `webhook.test` message now, also to a disabled endpoint, and say what came back."""
    now = transport_now()
    with ports.db.transaction() as tx:
        endpoint = service.get(tx, endpoint_id, account_id=account_id)
        event = Event(
            id=new_id("evt"), type="webhook.test", object_id=endpoint.id, object_sequence=1,
            account_id=endpoint.account_id, data={"message": "This endpoint can be reached."}, occurred_at=now,
        )  # fmt: skip
        parcel = deliveries.wrap(ports.secrets, endpoint, event.id, event, base_url=ports.base_url, now=now)
    return ports.http.post(parcel.url, parcel.body, parcel.headers)


def replay(ports: Ports, endpoint_id: str, event_id: str, *, account_id: str | None) -> int:
    """Send one event again; returns how many deliveries were put on the queue."""
    with ports.db.transaction() as tx:
        endpoint = service.get(tx, endpoint_id, account_id=account_id)
        again = deliveries.replay_one(tx, endpoint, event_id, transport_now())
        _enqueue(tx, [(each, 0) for each in again])
        return len(again)


def replay_range(
    ports: Ports, endpoint_id: str, *, since: datetime, until: datetime, after: int, include_delivered: bool,
    account_id: str | None,
) -> tuple[int, int | None]:  # fmt: skip
    """Send again what happened in a span; returns how many, and where the next call goes on (None at the end)."""
    with ports.db.transaction() as tx:
        endpoint = service.get(tx, endpoint_id, account_id=account_id)
        again, more = deliveries.replay_range(
            tx, endpoint, since=since, until=until, after=after, include_delivered=include_delivered,
            now=transport_now(),
        )  # fmt: skip
        _enqueue(tx, [(each, 0) for each in again])
        return len(again), more
