"""Deliveries: which event goes where, how often it is tried, and what can be sent again (R-PRV-4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, false, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.core.events import Event
from app.core.ids import new_id, require_form
from app.core.jobs import Retry
from app.core.security import Secrets
from app.webhooks import chat, service, signing
from app.webhooks.errors import DeliveryNotFound, EndpointDisabled
from app.webhooks.models import DeliveryState, EndpointKind, EventPosition, WebhookDelivery, WebhookEndpoint
from app.webhooks.provider import Reply

# 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, 5.7 h, then every 12 h: 14 tries over 79.6 hours.
RETRY: Final = Retry(attempts=14, first=5, factor=4, cap=12 * 3600)
KEPT_DAYS: Final = policy.declare(
    policy.Policy(
        "webhook_replay_days", 90, policy.whole_number(minimum=7), "Days for which events can be sent to webhooks again"
    )
)
MOST_AT_ONCE: Final = 1000
# Longer than a post may take; a worker that died in between leaves the delivery to the sweep.
_LEASE: Final = timedelta(seconds=60)
_STAND_BACK: Final = timedelta(seconds=30)
# How many of the newest events are searched for lost ones; all of them would be a walk over years.
_LOOKED_BACK: Final = 100_000
# One transaction at a time numbers events, so that the numbers become visible in their order.
_NUMBERING: Final = "event_position"


_HAPPENED: Final = (
    select(col(Event.id), col(Event.type), col(Event.account_id))
    .where(col(Event.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(Event.sequence))
)
# An account's endpoint hears of that account only; the vendor's hear everything.
_ENABLED: Final = (
    select(col(WebhookEndpoint.id), col(WebhookEndpoint.account_id), col(WebhookEndpoint.event_types))
    .where(
        col(WebhookEndpoint.disabled_at).is_(None),
        or_(
            col(WebhookEndpoint.account_id).is_(None),
            col(WebhookEndpoint.account_id).in_(bindparam("accounts", expanding=True)),
        ),
    )
    .with_for_update(key_share=True, read=True)  # none of them may be removed before we commit
)
_DELIVER: Final = (
    insert(WebhookDelivery)
    .on_conflict_do_nothing(index_elements=["endpoint_id", "event_id"])
    .returning(col(WebhookDelivery.id))
)
_TAKE_TURN: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(_NUMBERING, 0)))
_NUMBER: Final = insert(EventPosition).on_conflict_do_nothing(index_elements=["event_id"])


def fan_out(tx: Tx, event_ids: Sequence[str], now: datetime) -> Sequence[str]:
    """Give each event its position and a delivery for each endpoint that wants it; returns the new deliveries' ids.

    Run twice, it adds nothing; an id that nobody recorded is passed over. `now` is real time.
    """
    happened = tx.execute(_HAPPENED, {"ids": event_ids}).all()
    if not happened:
        return ()
    endpoints = tx.execute(_ENABLED, {"accounts": [each.account_id for each in happened]}).all()
    rows = [
        _delivery(endpoint.id, event.id, now)
        for event in happened
        for endpoint in endpoints
        if endpoint.account_id in {None, event.account_id} and service.wants(endpoint.event_types, event.type)
    ]
    made = tx.execute(_DELIVER, rows).scalars().all() if rows else ()
    tx.execute(_TAKE_TURN)
    tx.execute(
        _NUMBER, [{"event_id": each.id, "account_id": each.account_id, "published_at": now} for each in happened]
    )
    return made


def _delivery(endpoint_id: str, event_id: str, now: datetime) -> dict[str, object]:
    return {
        "id": new_id("whd"), "endpoint_id": endpoint_id, "event_id": event_id, "state": DeliveryState.PENDING,
        "attempts": 0, "created_at": now, "next_attempt_at": now,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parcel:
    """Everything one try needs, so that it can leave without a transaction."""

    url: str
    body: bytes
    headers: dict[str, str]


def pack(
    tx: Tx, secrets: Secrets, delivery_id: str, attempt: int, *, base_url: str, now: datetime
) -> Parcel | datetime | None:
    """The parcel of try number `attempt` (from 0), or when to ask again, or None if there is nothing to send.

    `now` is real time: it is what receivers compare with their own clock. The delivery is leased for a minute, so
    that a job that came twice does not post it twice.
    """
    found = _waiting(tx, delivery_id, attempt)
    if found is None:
        return None
    delivery, endpoint = found
    if endpoint.disabled_at is not None:
        _give_up(delivery, f"The endpoint is disabled: {endpoint.disabled_reason}.")
        return None
    if delivery.leased_until is not None and now < delivery.leased_until:
        return None
    if _hogging(tx, delivery, now):
        delivery.next_attempt_at = now + _STAND_BACK
        return delivery.next_attempt_at
    delivery.leased_until = now + _LEASE
    event = tx.get_one(Event, delivery.event_id)
    return wrap(secrets, endpoint, event.id, event, base_url=base_url, now=now)


def _hogging(tx: Tx, delivery: WebhookDelivery, now: datetime) -> bool:
    """Whether this endpoint did not answer lately and is being called at this moment.

    Such a receiver costs a worker ten seconds a try; one at a time, it cannot keep all workers from their jobs.
    """
    others = select(col(WebhookDelivery.id)).where(
        col(WebhookDelivery.endpoint_id) == delivery.endpoint_id,
        col(WebhookDelivery.state) == DeliveryState.PENDING,
    )
    silent = others.where(col(WebhookDelivery.attempts) > 0, col(WebhookDelivery.last_status).is_(None))
    called = others.where(col(WebhookDelivery.leased_until) > now)
    return bool(tx.execute(select(exists(silent) & exists(called))).scalar())


def wrap(
    secrets: Secrets, endpoint: WebhookEndpoint, message_id: str, event: Event, *, base_url: str, now: datetime
) -> Parcel:
    url = service.url_of(secrets, endpoint)
    if endpoint.kind is EndpointKind.MATTERMOST:
        content = chat.payload(event.type, event.object_id, event.data, base_url=base_url)
        return Parcel(url, content, {"content-type": "application/json", "user-agent": "BLP-Webhooks/1"})
    content = signing.message(event)
    signers = service.signing_secrets(secrets, endpoint, now)
    return Parcel(url, content, signing.headers(signers, message_id, now, content))


def settle(tx: Tx, delivery_id: str, attempt: int, reply: Reply, now: datetime) -> datetime | None:
    """Record what became of a try; returns when to try again, or None. `now` is real time.

    410 disables the endpoint; the last try makes the delivery a dead letter, which stays until it is replayed.
    """
    found = _waiting(tx, delivery_id, attempt)
    if found is None:
        return None
    delivery, endpoint = found
    delivery.attempts += 1
    delivery.leased_until = None
    delivery.last_status, delivery.last_error = reply.status, reply.error
    if reply.status is not None and HTTPStatus(200) <= reply.status < 300:
        delivery.state, delivery.delivered_at, delivery.next_attempt_at = DeliveryState.DELIVERED, now, None
        return None
    if reply.status == HTTPStatus.GONE:
        service.disable_gone(tx, endpoint, now)
        _give_up(delivery, "It answered 410 Gone, so the endpoint was disabled.")
        return None
    wait = RETRY.wait_after(delivery.attempts)
    if wait is None:
        _give_up(delivery, reply.error or f"It answered {reply.status} at every try.")
        return None
    delivery.next_attempt_at = now + timedelta(seconds=wait)
    return delivery.next_attempt_at


def _waiting(tx: Tx, delivery_id: str, attempt: int) -> tuple[WebhookDelivery, WebhookEndpoint] | None:
    """The delivery, locked, if exactly this try is the next one: a job that came twice or too late finds nothing."""
    delivery = tx.get(WebhookDelivery, delivery_id, with_for_update=True, populate_existing=True)
    if delivery is None or delivery.state is not DeliveryState.PENDING or delivery.attempts != attempt:
        return None
    return delivery, tx.get_one(WebhookEndpoint, delivery.endpoint_id)


def _give_up(delivery: WebhookDelivery, why: str) -> None:
    delivery.state, delivery.next_attempt_at, delivery.last_error = DeliveryState.DEAD, None, why


# --- Sending again ----------------------------------------------------------------------------------------------


def replay_one(tx: Tx, endpoint: WebhookEndpoint, event_id: str, now: datetime) -> Sequence[str]:
    """Send one event to this endpoint again, whatever became of it before; returns the ids to deliver.

    Raises DeliveryNotFound for an event that this endpoint may not see or that is too old, EndpointDisabled.
    """
    _require_enabled(endpoint)
    found = tx.execute(
        select(col(EventPosition.event_id)).where(
            col(EventPosition.event_id) == require_form("evt", event_id), *_visible(tx, endpoint, now)
        )
    ).scalar_one_or_none()
    if found is None:
        raise DeliveryNotFound("There is no such event that can be sent here again.", param="event_id")
    return _begin_again(tx, endpoint, [found], now)


def replay_range(
    tx: Tx, endpoint: WebhookEndpoint, *, since: datetime, until: datetime, after: int, include_delivered: bool,
    now: datetime,
) -> tuple[Sequence[str], int | None]:  # fmt: skip
    """Send again what happened in `[since, until)` of business time and did not arrive, in the order it became visible.

    At most 1,000 at a time: returns the ids to deliver, and the `after` of the next call or None at the end.
    What is still being tried is left alone. Raises EndpointDisabled.
    """
    _require_enabled(endpoint)
    sent = exists().where(
        col(WebhookDelivery.endpoint_id) == endpoint.id,
        col(WebhookDelivery.event_id) == col(Event.id),
        col(WebhookDelivery.state).in_(
            [DeliveryState.PENDING] if include_delivered else [DeliveryState.PENDING, DeliveryState.DELIVERED]
        ),
    )
    rows = tx.execute(
        select(col(EventPosition.position), col(Event.id))
        .join(Event, col(Event.id) == col(EventPosition.event_id))
        .where(
            col(EventPosition.position) > after,
            col(Event.occurred_at) >= since,
            col(Event.occurred_at) < until,
            _matching(endpoint.event_types),
            *_visible(tx, endpoint, now),
            ~sent,
        )
        .order_by(col(EventPosition.position))
        .limit(MOST_AT_ONCE + 1)
    ).all()
    batch = rows[:MOST_AT_ONCE]
    more = int(batch[-1][0] or 0) if len(rows) > MOST_AT_ONCE else None
    return _begin_again(tx, endpoint, [row[1] for row in batch], now), more


def _begin_again(tx: Tx, endpoint: WebhookEndpoint, event_ids: Sequence[str], now: datetime) -> Sequence[str]:
    if not event_ids:
        return []
    statement = insert(WebhookDelivery)
    again = statement.on_conflict_do_update(
        index_elements=["endpoint_id", "event_id"],
        set_={
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "next_attempt_at": now,
            "delivered_at": None,
            "leased_until": None,
        },
    )
    rows = [_delivery(endpoint.id, event_id, now) for event_id in event_ids]
    return tx.execute(again.returning(col(WebhookDelivery.id)), rows).scalars().all()


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise EndpointDisabled("Enable the endpoint first; then replay what it missed.")


def _visible(tx: Tx, endpoint: WebhookEndpoint, now: datetime) -> list[ColumnElement[bool]]:
    recent = col(EventPosition.published_at) >= now - timedelta(days=policy.get(tx, KEPT_DAYS, now))
    if endpoint.account_id is None:
        return [recent]
    return [recent, col(EventPosition.account_id) == endpoint.account_id]


def _matching(patterns: Sequence[str]) -> ColumnElement[bool]:
    """The same as `service.wants`, for the database."""
    kind = col(Event.type)
    each = [
        true() if one == "*" else kind.startswith(one[:-1], autoescape=True) if one.endswith(".*") else kind == one
        for one in patterns
    ]
    return or_(false(), *each)


# --- What must not be lost --------------------------------------------------------------------------------------


def unnumbered(tx: Tx, *, limit: int = MOST_AT_ONCE) -> Sequence[str]:
    """Events whose fan-out has not run: its job is late, or was lost. In the order of their recording."""
    numbered = exists().where(col(EventPosition.event_id) == col(Event.id))
    newest = select(func.coalesce(func.max(col(Event.sequence)), 0)).scalar_subquery()
    query = (
        select(col(Event.id))
        .where(~numbered, col(Event.sequence) > newest - _LOOKED_BACK)
        .order_by(col(Event.sequence))
        .limit(limit)
    )
    return tx.execute(query).scalars().all()


def overdue(tx: Tx, before: datetime, *, limit: int = MOST_AT_ONCE) -> Sequence[tuple[str, int]]:
    """Deliveries whose next try should have begun before that moment of real time, with its number."""
    rows = tx.execute(
        select(col(WebhookDelivery.id), col(WebhookDelivery.attempts))
        .where(and_(col(WebhookDelivery.state) == DeliveryState.PENDING, col(WebhookDelivery.next_attempt_at) < before))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def forget_old(tx: Tx, now: datetime) -> int:
    """Drop the log of deliveries that arrived and can no longer be replayed; returns how many. Dead letters stay."""
    before = now - timedelta(days=policy.get(tx, KEPT_DAYS, now))
    gone = tx.execute(
        delete(WebhookDelivery)
        .where(col(WebhookDelivery.state) == DeliveryState.DELIVERED, col(WebhookDelivery.delivered_at) < before)
        .returning(col(WebhookDelivery.id))
    )
    return len(gone.all())


def published(
    tx: Tx, *, after: int, limit: int, account_id: str | None, event_types: Sequence[str] = ("*",)
) -> Sequence[tuple[int, Event]]:
    """Events in the order in which they became visible, from behind position `after`; an account's key sees its own."""
    query = (
        select(col(EventPosition.position), Event)
        .join(Event, col(Event.id) == col(EventPosition.event_id))
        .where(col(EventPosition.position) > after, _matching(event_types))
        .order_by(col(EventPosition.position))
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(col(EventPosition.account_id) == account_id)
    return [(row[0] or 0, row[1]) for row in tx.execute(query)]
