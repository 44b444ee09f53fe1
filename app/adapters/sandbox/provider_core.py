"""The sandbox's payment provider: what all of its calls share.

It is an outside party. Its rows are written in its own transactions, never in the caller's, and an event is
written in the transaction of the fact it tells.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from app.adapters.sandbox import delivery, switches
from app.adapters.sandbox.answers import Answer, Json, Refused, error_body
from app.adapters.sandbox.models import Fault, SandboxEvent, SandboxIdempotency
from app.adapters.stripe.version import API_VERSION
from app.core import jobs
from app.core.canonical import canonical_json, sha256_hex
from app.core.clock import Clock, RealClock
from app.core.db import Database, Tx
from app.core.ids import new_secret

# Stripe keeps a key for at least this long and may forget it afterwards; we forget on the dot.
KEYS_LIVE: Final = timedelta(hours=24)
_WAIT_FOR_KEY: Final = "3s"


def new_ref(prefix: str) -> str:
    """A reference such as `pi_…`: unguessable, for the pay page's address is the buyer's only credential."""
    return f"{prefix}_{new_secret(18).replace('-', 'x').replace('_', 'y')}"


@dataclass(frozen=True, slots=True)
class Provider:
    """One installation's provider. `base_url` is where its pay page is reached; its clock is real time."""

    database: Database
    base_url: str
    clock: Clock = field(default_factory=RealClock)

    def now(self) -> datetime:
        return self.clock.now()

    def pay_url(self, session_id: str) -> str:
        return f"{self.base_url}/sandbox/pay/{session_id}"

    def setup_url(self, session_id: str) -> str:
        return f"{self.base_url}/sandbox/setup/{session_id}"


def once(provider: Provider, call: str, key: str | None, params: Any, perform: Callable[[Tx], Answer]) -> Answer:
    """Run a changing call under its Idempotency-Key, as Stripe v1 does.

    The first call with a key decides; later ones get its answer, and those that come while it runs wait for it.
    A declined card is an answer and is kept; a refused request leaves nothing and frees the key. Raises Refused
    (400) if the key was used with other parameters, (409) if the first call takes longer than 3 s, and whatever
    fault is switched on.
    """
    fault = require_up(provider)
    with provider.database.transaction() as tx:
        if key is not None:
            kept = _claim(tx, key, sha256_hex(canonical_json([call, params])), provider.now())
            if kept is not None:
                return kept
        if fault is Fault.STORED_500:
            answer = Answer(500, error_body("api_error", "The sandbox was told to fail and to remember it."))
        else:
            answer = perform(tx)
        if key is not None:
            row = tx.get_one(SandboxIdempotency, key)
            row.status, row.response = answer.status, answer.body
    if fault is Fault.LOST_ANSWER:
        raise Refused(500, "api_error", "The sandbox was told to lose this answer.")
    return answer


def require_up(provider: Provider) -> Fault:
    """The fault switched on, unless it is one that answers no call at all: then Refused (503, 429)."""
    fault = switches.read(provider.database).fault
    if fault is Fault.DOWN:
        raise Refused(503, "api_error", "The sandbox was told to be down.")
    if fault is Fault.BUSY:
        raise Refused(429, "invalid_request_error", "The sandbox was told to be busy.", code="rate_limit")
    return fault


def _claim(tx: Tx, key: str, request_hash: str, now: datetime) -> Answer | None:
    """Take the key for this call, or return the answer it already has.

    One statement decides: an insert waits for a concurrent one with the same key and yields to it.
    """
    row = {"key": key, "request_hash": request_hash, "status": 0, "response": {}, "created_at": now}
    statement = insert(SandboxIdempotency).values(row)
    claim = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={name: statement.excluded[name] for name in row if name != "key"},
        where=col(SandboxIdempotency.created_at) <= now - KEYS_LIVE,
    ).returning(col(SandboxIdempotency.key))
    tx.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_FOR_KEY}'"))
    try:
        claimed = tx.execute(claim).scalar_one_or_none()
    except OperationalError as exc:
        if not isinstance(exc.orig, LockNotAvailable):
            raise
        raise Refused(
            409, "idempotency_error", "A call with this key is still running.", code="idempotency_key_in_use"
        ) from exc
    tx.execute(text("SET LOCAL lock_timeout = 0"))
    if claimed is not None:
        return None
    kept = tx.execute(select(SandboxIdempotency).where(col(SandboxIdempotency.key) == key)).scalar_one()
    if kept.request_hash != request_hash:
        raise Refused(400, "idempotency_error", "Keys can only be used again with the same parameters.")
    return Answer(kept.status, kept.response, replayed=True)


def emit(provider: Provider, tx: Tx, kind: str, subject: Json) -> None:
    """Write an event about `subject` and put its delivery on the queue, both as part of `tx`."""
    now = provider.now()
    how = switches.read_in(tx)
    event_id = new_ref("evt")
    body = {
        "id": event_id, "object": "event", "type": kind, "livemode": False, "api_version": API_VERSION,
        "created": int(now.timestamp()), "data": {"object": subject}, "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
    }  # fmt: skip
    target = how.target_url or f"{provider.base_url}/inbound/stripe"
    tx.add(SandboxEvent(id=event_id, type=kind, body=body, target_url=target, created_at=now))
    delivery.enqueue(tx, event_id, at=now + timedelta(seconds=how.delay_seconds) if how.delay_seconds else None)


def events(provider: Provider, *, limit: int, kind: str | None, after: str | None) -> tuple[list[Json], bool]:
    """The newest events first, and whether there are more."""
    query = select(SandboxEvent).order_by(col(SandboxEvent.sequence).desc()).limit(limit + 1)
    if kind is not None:
        query = query.where(col(SandboxEvent.type) == kind)
    if after is not None:
        place = select(col(SandboxEvent.sequence)).where(col(SandboxEvent.id) == after).scalar_subquery()
        query = query.where(col(SandboxEvent.sequence) < place)
    with provider.database.transaction() as tx:
        rows = [each.body for each in tx.execute(query).scalars()]
    return rows[:limit], len(rows) > limit


def undelivered(database: Database) -> int:
    """How many events have not been answered with 2xx yet."""
    count = select(func.count()).select_from(SandboxEvent).where(col(SandboxEvent.delivered_at).is_(None))
    with database.transaction() as tx:
        return tx.execute(count).scalar_one()


def redeliver(database: Database) -> int:
    """Post every undelivered event again, dropped ones too; returns how many."""
    query = select(col(SandboxEvent.id)).where(col(SandboxEvent.delivered_at).is_(None))
    with database.transaction() as tx:
        waiting = list(tx.execute(query.order_by(col(SandboxEvent.sequence))).scalars())
        for event_id in waiting:
            jobs.defer(tx, delivery.deliver, event_id=event_id)
    return len(waiting)
