"""Posting the provider's events, signed, to our own webhook until it answers 2xx."""

import json
from datetime import datetime

import httpx
import structlog
from sqlalchemy import select, update
from sqlmodel import col

from app.adapters.sandbox import SandboxInProduction, loopback, switches
from app.adapters.sandbox.models import SandboxEvent
from app.adapters.sandbox.signature import sign, webhook_secret
from app.core import jobs
from app.core.clock import transport_now
from app.core.db import Database, Tx, require_no_transaction
from app.core.errors import Unavailable
from app.flows.ports import Ports

log = structlog.get_logger()


class NotDelivered(Unavailable):
    """The receiver did not answer with 2xx; the queue tries again."""


# One second after the first failure, then ever later, six hours apart at most: more than three days in all.
@jobs.job("sandbox.deliver_event", retry=jobs.Retry(attempts=22, first=1, factor=3, cap=6 * 3600))
def deliver(ports: Ports, event_id: str) -> None:
    """Post one event. Raises NotDelivered so that the queue tries again."""
    if not ports.test_mode:
        raise SandboxInProduction("no sandbox event is sent by an installation that is not a sandbox")
    how = switches.read(ports.db)
    if how.drop:
        log.info("sandbox.event_dropped", event=event_id)
        return
    event = _pick(ports.db, event_id, newest_first=how.newest_first)
    if event is None:
        return
    secret = webhook_secret(ports.secrets)
    for _ in range(how.copies):
        _post(event, secret)
    _mark(ports.db, event.id, transport_now())


def enqueue(tx: Tx, event_id: str, *, at: datetime | None) -> None:
    """Put the delivery of an event on the queue with the transaction that writes it; `at` is real time."""
    jobs.defer(tx, deliver, at=at, event_id=event_id)


def _pick(database: Database, event_id: str, *, newest_first: bool) -> SandboxEvent | None:
    """The event to post now: its own, or under `newest_first` the youngest that waits. None if it arrived before."""
    query = select(SandboxEvent).where(col(SandboxEvent.delivered_at).is_(None))
    if newest_first:
        query = query.order_by(col(SandboxEvent.sequence).desc()).limit(1)
    else:
        query = query.where(col(SandboxEvent.id) == event_id)
    with database.transaction() as tx:
        event = tx.execute(query).scalar_one_or_none()
        if event is not None:
            event.tries += 1
    return event


def _post(event: SandboxEvent, secret: str) -> None:
    require_no_transaction()
    # Indented, as Stripe writes its bodies: whoever serialises the JSON anew before checking breaks the signature.
    raw = json.dumps(event.body, indent=2, sort_keys=True).encode()
    headers = {"content-type": "application/json; charset=utf-8", "user-agent": "BLP-sandbox/1.0"}
    headers["stripe-signature"] = sign(raw, secret, transport_now())
    try:
        with loopback.client() as sender:
            reply = sender.post(event.target_url, content=raw, headers=headers)
    except httpx.HTTPError as exc:
        raise NotDelivered(f"{event.id}: {type(exc).__name__}") from exc
    if not reply.is_success:
        raise NotDelivered(f"{event.id}: the receiver answered {reply.status_code}")


def _mark(database: Database, event_id: str, now: datetime) -> None:
    with database.transaction() as tx:
        tx.execute(update(SandboxEvent).where(col(SandboxEvent.id) == event_id).values(delivered_at=now))
