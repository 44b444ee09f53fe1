"""Keeping a card without a charge: Checkout in setup mode, opened by a program, filled in on the TEST page."""

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlmodel import col

from app.adapters.sandbox import intents, sessions, shapes
from app.adapters.sandbox.answers import Answer, Json, invalid, missing
from app.adapters.sandbox.cards import NOT_AUTHENTICATED, EnteredCard, decline_at_page
from app.adapters.sandbox.models import (
    CardKind,
    IntentStatus,
    SandboxMethod,
    SandboxSetup,
    SessionStatus,
)
from app.adapters.sandbox.params import SetupSessionParams
from app.adapters.sandbox.provider_core import Provider, emit, new_ref, once, require_up
from app.adapters.sandbox.sessions import Step
from app.core import jobs
from app.core.db import Tx
from app.flows.ports import Ports


@dataclass(frozen=True, slots=True)
class SetupView:
    """What the page shows. `failure` is the decline code of the last try, `card` its card, such as "Visa •••• 4242"."""

    id: str
    status: SessionStatus
    asks: bool
    failure: str | None
    consent: str
    card: str
    success_url: str
    cancel_url: str


def create(provider: Provider, params: SetupSessionParams, key: str | None) -> Answer:
    """Open a session. Raises Refused for an unknown customer, or a life too short or long."""

    def perform(tx: Tx) -> Answer:
        if params.customer is not None:
            intents.customer(tx, params.customer)
        now = provider.now()
        row = SandboxSetup(
            id=new_ref("cs_test"), intent_id=new_ref("seti"), client_reference_id=params.client_reference_id,
            customer_id=params.customer, customer_email=params.customer_email, success_url=params.success_url,
            cancel_url=params.cancel_url, consent=params.consent, status=SessionStatus.OPEN,
            intent_status=IntentStatus.REQUIRES_PAYMENT_METHOD, extra=dict(params.metadata),
            intent_extra=dict(params.setup_intent_data.metadata), created_at=now,
            expires_at=sessions.end_of(params.expires_at, now),
        )  # fmt: skip
        tx.add(row)
        tx.flush()
        jobs.defer(tx, expire_due, at=row.expires_at, session_id=row.id)
        return Answer(200, shapes.expand(tx, _json(provider, row), params.expand))

    return once(provider, "POST /v1/checkout/sessions", key, params.model_dump(), perform)


@jobs.job("sandbox.expire_setup", retry=jobs.Retry(attempts=5))
def expire_due(ports: Ports, session_id: str) -> None:
    """Close a session whose real time is over."""
    with ports.db.transaction() as tx:
        _lock(Provider(ports.db, ports.base_url), tx, session_id)


def known(provider: Provider, ref: str) -> bool:
    """Whether a session is one in setup mode."""
    with provider.database.transaction() as tx:
        return tx.get(SandboxSetup, ref) is not None


def retrieve(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        return shapes.expand(tx, _json(provider, _lock(provider, tx, ref)), expand)


def retrieve_intent(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    query = select(SandboxSetup).where(col(SandboxSetup.intent_id) == ref)
    with provider.database.transaction() as tx:
        row = tx.execute(query).scalar_one_or_none()
        if row is None:
            raise missing("setup_intent", ref)
        return shapes.expand(tx, shapes.setup_json(row), expand)


def expire(provider: Provider, ref: str, expand: list[str]) -> Json:
    """Close an open session. Raises Refused (400) for one that is not open, as Stripe does."""
    require_up(provider)
    with provider.database.transaction() as tx:
        row = _lock(provider, tx, ref)
        if row.status is not SessionStatus.OPEN:
            raise invalid(f"Only open Checkout Sessions can be expired; this one is {row.status.value}.")
        _close(provider, tx, row)
        return shapes.expand(tx, _json(provider, row), expand)


def view(provider: Provider, ref: str) -> SetupView:
    """What the page needs. Raises Refused (404)."""
    with provider.database.transaction() as tx:
        row = _lock(provider, tx, ref)
        method = tx.get(SandboxMethod, row.method_id) if row.method_id else None
        return SetupView(
            id=row.id, status=row.status, asks=row.intent_status is IntentStatus.REQUIRES_ACTION,
            failure=row.failure_code, consent=row.consent,
            card=f"{method.brand.title()} •••• {method.last4}" if method else "",
            success_url=row.success_url.replace("{CHECKOUT_SESSION_ID}", row.id), cancel_url=row.cancel_url,
        )  # fmt: skip


def submit(provider: Provider, ref: str, card: EnteredCard) -> Step:
    """Try to keep a card. A session that has one already keeps it: two submissions keep one card."""
    with provider.database.transaction() as tx:
        row = _lock(provider, tx, ref)
        if row.status is not SessionStatus.OPEN:
            return _closed(row)
        method = SandboxMethod(
            id=new_ref("pm"), brand=card.brand, last4=card.last4, exp_year=card.exp_year, exp_month=card.exp_month,
            kind=card.kind, created_at=provider.now(),
        )  # fmt: skip
        tx.add(method)
        tx.flush()
        row.method_id = method.id
        if card.kind is CardKind.ASKS:
            row.intent_status = IntentStatus.REQUIRES_ACTION
            return Step.ASKS
        return _settle(provider, tx, row, method, decline_at_page(card.kind))


def confirm(provider: Provider, ref: str, *, approve: bool) -> Step:
    """Answer the bank's question. Without an open question the session stays as it is."""
    with provider.database.transaction() as tx:
        row = _lock(provider, tx, ref)
        if row.status is not SessionStatus.OPEN:
            return _closed(row)
        if row.intent_status is not IntentStatus.REQUIRES_ACTION or row.method_id is None:
            return Step.DECLINED
        method = tx.get_one(SandboxMethod, row.method_id)
        return _settle(provider, tx, row, method, None if approve else NOT_AUTHENTICATED)


def find(provider: Provider, ref: str) -> str | None:
    """The session behind its own reference, its intent's, or our setup's id."""
    query = select(col(SandboxSetup.id)).where(
        or_(
            col(SandboxSetup.id) == ref,
            col(SandboxSetup.intent_id) == ref,
            col(SandboxSetup.client_reference_id) == ref,
        )
    )
    with provider.database.transaction() as tx:
        return tx.execute(query.order_by(col(SandboxSetup.created_at).desc())).scalars().first()


def _settle(provider: Provider, tx: Tx, row: SandboxSetup, method: SandboxMethod, decline: str | None) -> Step:
    if decline is not None:
        row.intent_status, row.failure_code = IntentStatus.REQUIRES_PAYMENT_METHOD, decline
        tx.flush()
        emit(provider, tx, "setup_intent.setup_failed", shapes.setup_json(row))
        return Step.DECLINED
    if row.customer_id is None:
        row.customer_id = intents.add_customer(provider, tx, row.customer_email, {}).id
    method.customer_id = row.customer_id
    row.status, row.intent_status, row.failure_code = SessionStatus.COMPLETE, IntentStatus.SUCCEEDED, None
    tx.flush()
    emit(provider, tx, "setup_intent.succeeded", shapes.setup_json(row))
    emit(provider, tx, "checkout.session.completed", _json(provider, row))
    return Step.PAID


def _lock(provider: Provider, tx: Tx, ref: str) -> SandboxSetup:
    """The session under its row lock, closed first if its time is over. Raises Refused (404)."""
    query = select(SandboxSetup).where(col(SandboxSetup.id) == ref).with_for_update()
    row = tx.execute(query).scalar_one_or_none() if ref.isascii() and ref.isprintable() else None
    if row is None:
        raise missing("checkout.session", ref)
    if row.status is SessionStatus.OPEN and row.expires_at <= provider.now():
        _close(provider, tx, row)
    return row


def _close(provider: Provider, tx: Tx, row: SandboxSetup) -> None:
    row.status, row.intent_status = SessionStatus.EXPIRED, IntentStatus.CANCELED
    tx.flush()
    emit(provider, tx, "checkout.session.expired", _json(provider, row))


def _closed(row: SandboxSetup) -> Step:
    return Step.PAID if row.status is SessionStatus.COMPLETE else Step.EXPIRED


def _json(provider: Provider, row: SandboxSetup) -> Json:
    return shapes.setup_session_json(row, provider.setup_url(row.id))
