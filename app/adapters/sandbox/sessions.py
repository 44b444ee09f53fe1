"""Checkout sessions: opened by a program, paid by a person on the TEST pay page."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import or_, select
from sqlmodel import col

from app.adapters.sandbox import intents, shapes
from app.adapters.sandbox.answers import Answer, Json, invalid, missing
from app.adapters.sandbox.cards import NOT_AUTHENTICATED, EnteredCard, decline_at_page
from app.adapters.sandbox.models import (
    CardKind,
    IntentStatus,
    SandboxCheckout,
    SandboxIntent,
    SandboxMethod,
    SessionStatus,
)
from app.adapters.sandbox.params import IntentData, SessionParams
from app.adapters.sandbox.provider_core import Provider, emit, new_ref, once, require_up
from app.core import jobs
from app.core.db import Tx
from app.flows.ports import Ports

# Stripe's limits on `expires_at`; a minute's grace for the way here.
_SHORTEST: Final = timedelta(minutes=30)
_LONGEST: Final = timedelta(hours=24)
_GRACE: Final = timedelta(minutes=1)


class Step(StrEnum):
    """Where a buyer stands after a form was sent."""

    PAID = "paid"
    DECLINED = "declined"
    ASKS = "asks"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class View:
    """What the pay page shows. `failure` is the decline code of the last try, `amount` in Stripe's units."""

    id: str
    status: SessionStatus
    asks: bool
    failure: str | None
    amount: int
    currency: str
    description: str
    email: str
    card: str  # the card of the last try, such as "visa 4242"
    consent: str
    success_url: str
    cancel_url: str


def create(provider: Provider, params: SessionParams, key: str | None) -> Answer:
    """Open a session. Raises Refused where Stripe would: mixed currencies, too small, a life too short or long."""

    def perform(tx: Tx) -> Answer:
        session = _row(provider, params)
        tx.add(session)
        tx.flush()
        jobs.defer(tx, expire_due, at=session.expires_at, session_id=session.id)
        body = shapes.session_json(session, None, provider.pay_url(session.id))
        return Answer(200, shapes.expand(tx, body, params.expand))

    return once(provider, "POST /v1/checkout/sessions", key, params.model_dump(), perform)


def _row(provider: Provider, params: SessionParams) -> SandboxCheckout:
    prices = [(item.price_data, item.quantity) for item in params.line_items]
    currency = prices[0][0].currency
    if any(price.currency != currency for price, _ in prices):
        raise invalid("All line items must have the same currency.", param="line_items")
    amount = sum(price.unit_amount * quantity for price, quantity in prices)
    intents.require_minimum(amount, currency)
    now = provider.now()
    return SandboxCheckout(
        id=new_ref("cs_test"),
        client_reference_id=params.client_reference_id,
        amount_minor=amount,
        currency=currency.upper(),
        description=", ".join(price.product_data.name for price, _ in prices),
        customer_email=params.customer_email,
        success_url=params.success_url,
        cancel_url=params.cancel_url,
        status=SessionStatus.OPEN,
        intent_template=params.payment_intent_data.model_dump(),
        extra=dict(params.metadata),
        created_at=now,
        consent=params.consent,
        expires_at=end_of(params.expires_at, now),
    )


def end_of(wanted: int | None, now: datetime) -> datetime:
    """When a session expires. Raises Refused for a life too short or long."""
    expires_at = datetime.fromtimestamp(wanted, UTC) if wanted else now + _LONGEST
    if not now + _SHORTEST - _GRACE <= expires_at <= now + _LONGEST + _GRACE:
        raise invalid("expires_at must be between 30 minutes and 24 hours from now.", param="expires_at")
    return expires_at


def retrieve(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        session = _lock(provider, tx, ref)
        return shapes.expand(tx, _json(provider, tx, session), expand)


def expire(provider: Provider, ref: str, expand: list[str]) -> Json:
    """Close an open session. Raises Refused (400) for one that is not open, as Stripe does."""
    require_up(provider)
    with provider.database.transaction() as tx:
        session = _lock(provider, tx, ref)
        if session.status is not SessionStatus.OPEN:
            raise invalid(f"Only open Checkout Sessions can be expired; this one is {session.status.value}.")
        _close(provider, tx, session)
        return shapes.expand(tx, _json(provider, tx, session), expand)


@jobs.job("sandbox.expire_session", retry=jobs.Retry(attempts=5))
def expire_due(ports: Ports, session_id: str) -> None:
    """Close a session whose real time is over."""
    with ports.db.transaction() as tx:
        _lock(Provider(ports.db, ports.base_url), tx, session_id)


def view(provider: Provider, ref: str) -> View:
    """What the pay page needs. Raises Refused (404)."""
    with provider.database.transaction() as tx:
        session = _lock(provider, tx, ref)
        intent = tx.get(SandboxIntent, session.intent_id) if session.intent_id else None
        method = tx.get(SandboxMethod, intent.method_id) if intent and intent.method_id else None
        return View(
            id=session.id,
            status=session.status,
            asks=intent is not None and intent.status is IntentStatus.REQUIRES_ACTION,
            failure=intent.failure_code if intent else None,
            amount=session.amount_minor,
            currency=session.currency,
            description=session.description,
            email=session.customer_email,
            card=f"{method.brand.title()} •••• {method.last4}" if method else "",
            consent=session.consent,
            success_url=session.success_url.replace("{CHECKOUT_SESSION_ID}", session.id),
            cancel_url=session.cancel_url,
        )


def submit(provider: Provider, ref: str, card: EnteredCard, *, keep: bool) -> Step:
    """Try to pay with a card. A session that is paid already stays paid once: two submissions charge one time."""
    with provider.database.transaction() as tx:
        session = _lock(provider, tx, ref)
        if session.status is not SessionStatus.OPEN:
            return _closed(session)
        intent = _intent(provider, tx, session, keep=keep)
        method = SandboxMethod(
            id=new_ref("pm"),
            brand=card.brand,
            last4=card.last4,
            exp_year=card.exp_year,
            exp_month=card.exp_month,
            kind=card.kind,
            created_at=provider.now(),
        )
        tx.add(method)
        tx.flush()
        if card.kind is CardKind.ASKS:
            intent.status, intent.method_id = IntentStatus.REQUIRES_ACTION, method.id
            return Step.ASKS
        return _settle(provider, tx, session, intent, method, decline_at_page(card.kind))


def confirm(provider: Provider, ref: str, *, approve: bool) -> Step:
    """Answer the bank's question. Without an open question the session stays as it is."""
    with provider.database.transaction() as tx:
        session = _lock(provider, tx, ref)
        if session.status is not SessionStatus.OPEN:
            return _closed(session)
        intent = tx.get(SandboxIntent, session.intent_id) if session.intent_id else None
        if intent is None or intent.status is not IntentStatus.REQUIRES_ACTION or intent.method_id is None:
            return Step.DECLINED
        method = tx.get_one(SandboxMethod, intent.method_id)
        return _settle(provider, tx, session, intent, method, None if approve else NOT_AUTHENTICATED)


def find(provider: Provider, ref: str) -> tuple[str | None, str | None]:
    """The session and the intent behind any reference a person may hold: cs_, pi_, ch_, or our attempt's id."""
    by_session = select(SandboxCheckout).where(
        or_(col(SandboxCheckout.id) == ref, col(SandboxCheckout.client_reference_id) == ref)
    )
    by_intent = select(SandboxIntent).where(
        or_(
            col(SandboxIntent.id) == ref,
            col(SandboxIntent.charge_id) == ref,
            col(SandboxIntent.extra)["attempt_id"].astext == ref,
        )
    )
    with provider.database.transaction() as tx:
        # An attempt asked anew after 24 h may have two; the youngest counts.
        session = tx.execute(by_session.order_by(col(SandboxCheckout.created_at).desc())).scalars().first()
        intent = tx.execute(by_intent.order_by(col(SandboxIntent.created_at).desc())).scalars().first()
        if session is None and intent is not None:
            of_intent = select(SandboxCheckout).where(col(SandboxCheckout.intent_id) == intent.id)
            session = tx.execute(of_intent).scalar_one_or_none()
        intent_id = intent.id if intent else session.intent_id if session else None
        return (session.id if session else None), intent_id


def _lock(provider: Provider, tx: Tx, ref: str) -> SandboxCheckout:
    """The session under its row lock, closed first if its time is over. Raises Refused (404)."""
    query = select(SandboxCheckout).where(col(SandboxCheckout.id) == ref).with_for_update()
    session = tx.execute(query).scalar_one_or_none() if ref.isascii() and ref.isprintable() else None
    if session is None:
        raise missing("checkout.session", ref)
    if session.status is SessionStatus.OPEN and session.expires_at <= provider.now():
        _close(provider, tx, session)
    return session


def _close(provider: Provider, tx: Tx, session: SandboxCheckout) -> None:
    session.status = SessionStatus.EXPIRED
    if session.intent_id:
        tx.get_one(SandboxIntent, session.intent_id).status = IntentStatus.CANCELED
    tx.flush()
    emit(provider, tx, "checkout.session.expired", _json(provider, tx, session))


def _closed(session: SandboxCheckout) -> Step:
    return Step.PAID if session.status is SessionStatus.COMPLETE else Step.EXPIRED


def _intent(provider: Provider, tx: Tx, session: SandboxCheckout, *, keep: bool) -> SandboxIntent:
    template = IntentData.model_validate(session.intent_template)
    keeps_card = keep and template.setup_future_usage is not None
    if session.intent_id is not None:
        intent = tx.get_one(SandboxIntent, session.intent_id)
        intent.keeps_card = keeps_card
        return intent
    intent = SandboxIntent(
        id=new_ref("pi"),
        amount_minor=session.amount_minor,
        currency=session.currency,
        status=IntentStatus.REQUIRES_PAYMENT_METHOD,
        description=template.description,
        keeps_card=keeps_card,
        extra=dict(template.metadata),
        created_at=provider.now(),
    )
    tx.add(intent)
    tx.flush()
    session.intent_id = intent.id
    return intent


def _settle(
    provider: Provider,
    tx: Tx,
    session: SandboxCheckout,
    intent: SandboxIntent,
    method: SandboxMethod,
    decline: str | None,
) -> Step:
    if decline is not None:
        intents.fail(provider, tx, intent, method, decline)
        return Step.DECLINED
    customer = intents.add_customer(provider, tx, session.customer_email, {})
    intent.customer_id = customer.id
    if intent.keeps_card:
        method.customer_id = customer.id
    intents.succeed(provider, tx, intent, method)
    session.status = SessionStatus.COMPLETE
    tx.flush()
    emit(provider, tx, "checkout.session.completed", _json(provider, tx, session))
    return Step.PAID


def _json(provider: Provider, tx: Tx, session: SandboxCheckout) -> Json:
    intent = tx.get(SandboxIntent, session.intent_id) if session.intent_id else None
    return shapes.session_json(session, intent, provider.pay_url(session.id))
