"""Playing the outside world: pay, decline, refund or dispute without a person, and make the provider misbehave."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.adapters.sandbox import disputes, intents, refunds, sessions, setups, switches
from app.adapters.sandbox.answers import Json, invalid, missing
from app.adapters.sandbox.cards import EnteredCard
from app.adapters.sandbox.deps import Desk, Ref
from app.adapters.sandbox.models import CardKind, Fault, SandboxMethod, SandboxSwitches
from app.adapters.sandbox.params import RefundParams, Url
from app.adapters.sandbox.provider_core import Provider, redeliver, undelivered

CardAction = Literal["update", "forget", "forget_customer"]
Action = Literal[
    "succeed", "decline", "expire", "refund", "fail_refund", "dispute", "review_dispute", "win_dispute", "lose_dispute"
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ActionIn(_In):
    """`amount` is for a partial refund, in the provider's units; `card` is what a succeeding or declining card does."""

    action: Action
    amount: Annotated[int, Field(gt=0)] | None = None
    card: CardKind | None = None


class CardIn(_In):
    """`kind`: what the card does from now on. `action`: its number and expiry change, or the provider forgets it."""

    kind: CardKind | None = None
    action: CardAction | None = None
    last4: Annotated[str, Field(pattern="^[0-9]{4}$")] = "1111"
    exp_year: Annotated[int, Field(ge=2000, le=2100)] = 2040
    exp_month: Annotated[int, Field(ge=1, le=12)] = 1


class SetupActionIn(_In):
    action: Literal["succeed", "decline", "expire"]
    card: CardKind | None = None


class SwitchesIn(_In):
    """What is left out stays as it is."""

    target_url: Url | None = None
    copies: Annotated[int, Field(ge=1, le=50)] = 1
    drop: bool = False
    newest_first: bool = False
    delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    fault: Fault = Fault.NONE


doors = APIRouter()


@doors.get("/payments/{ref}")
def look(provider: Desk, ref: Ref) -> Json:
    """A payment by its checkout, intent or charge reference, or by the payment attempt's own id."""
    return _state(provider, ref)


@doors.post("/payments/{ref}")
def act(provider: Desk, ref: Ref, body: ActionIn) -> Json:
    """Do what a buyer, a bank or the provider would do to this payment."""
    session_id, intent_id = sessions.find(provider, ref)
    if body.action in {"succeed", "decline", "expire"}:
        if session_id is None:
            raise missing("checkout", ref)
        _at_the_page(provider, session_id, body)
    else:
        if intent_id is None:
            raise missing("payment", ref)
        _afterwards(provider, intent_id, body)
    return _state(provider, ref)


@doors.post("/methods/{ref}")
def change_card(provider: Desk, ref: Ref, body: CardIn) -> Json:
    """A customer's bank changes its mind about a kept card, sends a new one, or takes it back."""
    with provider.database.transaction() as tx:
        method = tx.get(SandboxMethod, ref, with_for_update=True)
        if method is None:
            raise missing("PaymentMethod", ref)
        method.kind = body.kind or method.kind
        kind, customer_ref = method.kind, method.customer_id
    match body.action:
        case "update":
            intents.change_method(provider, ref, last4=body.last4, exp_year=body.exp_year, exp_month=body.exp_month)
        case "forget":
            intents.detach_method(provider, ref, [])
        case "forget_customer" if customer_ref is not None:
            intents.delete_customer(provider, customer_ref)
    return {"id": ref, "kind": kind}


@doors.get("/setups/{ref}")
def look_at_setup(provider: Desk, ref: Ref) -> Json:
    """The keeping of a card, by its checkout or setup intent, or by our own id."""
    return _setup_state(provider, ref)


@doors.post("/setups/{ref}")
def act_on_setup(provider: Desk, ref: Ref, body: SetupActionIn) -> Json:
    """Do what a card's owner would do on the page where it is entered."""
    session_id = setups.find(provider, ref)
    if session_id is None:
        raise missing("checkout", ref)
    if body.action == "expire":
        setups.expire(provider, session_id, [])
        return _setup_state(provider, ref)
    kind = body.card or (CardKind.PAYS if body.action == "succeed" else CardKind.DECLINES)
    card = EnteredCard("visa", "4242" if body.action == "succeed" else "0002", kind, provider.now().year + 5, 12)
    step = setups.submit(provider, session_id, card)
    if step is sessions.Step.ASKS:
        setups.confirm(provider, session_id, approve=body.action == "succeed")
    return _setup_state(provider, ref)


@doors.get("/switches")
def read_switches(provider: Desk) -> Json:
    return _switches(switches.read(provider.database))


@doors.post("/switches")
def set_switches(provider: Desk, body: SwitchesIn) -> Json:
    """Make the provider duplicate, reorder, drop or delay its events, or answer our calls badly."""
    return _switches(switches.flip(provider.database, **body.model_dump(exclude_unset=True)))


@doors.delete("/switches")
def reset_switches(provider: Desk) -> Json:
    switches.reset(provider.database)
    return _switches(switches.read(provider.database))


@doors.get("/events/undelivered")
def waiting(provider: Desk) -> dict[str, int]:
    return {"undelivered": undelivered(provider.database)}


@doors.post("/events/redeliver")
def again(provider: Desk) -> dict[str, int]:
    """Put every event that was not answered with 2xx on the queue again, dropped ones too."""
    return {"queued": redeliver(provider.database)}


def _switches(row: SandboxSwitches) -> Json:
    return row.model_dump(exclude={"id"})


def _at_the_page(provider: Provider, session_id: str, body: ActionIn) -> None:
    if body.action == "expire":
        sessions.expire(provider, session_id, [])
        return
    kind = body.card or (CardKind.PAYS if body.action == "succeed" else CardKind.DECLINES)
    last4 = "4242" if body.action == "succeed" else "0002"
    now = provider.now()
    card = EnteredCard("visa", last4, kind, now.year + 5, 12)
    step = sessions.submit(provider, session_id, card, keep=True)
    if step is sessions.Step.ASKS:
        step = sessions.confirm(provider, session_id, approve=body.action == "succeed")
    if step is sessions.Step.EXPIRED or (step is sessions.Step.PAID and body.action == "decline"):
        raise invalid("This checkout is closed.", code="checkout_closed")


def _afterwards(provider: Provider, intent_id: str, body: ActionIn) -> None:
    if body.action == "refund":
        refunds.create(provider, RefundParams(payment_intent=intent_id, amount=body.amount), None)
        return
    if body.action == "fail_refund":
        refunds.fail_last(provider, intent_id)
        return
    step: dict[str, disputes.Step] = {
        "dispute": "opened", "review_dispute": "under_review", "win_dispute": "won", "lose_dispute": "lost",
    }  # fmt: skip
    disputes.move(provider, intent_id, step[body.action])


def _setup_state(provider: Provider, ref: str) -> Json:
    session_id = setups.find(provider, ref)
    if session_id is None:
        raise missing("checkout", ref)
    return {"checkout": setups.retrieve(provider, session_id, ["setup_intent"])}


def _state(provider: Provider, ref: str) -> Json:
    session_id, intent_id = sessions.find(provider, ref)
    if session_id is None and intent_id is None:
        raise missing("payment", ref)
    return {
        "checkout": sessions.retrieve(provider, session_id, []) if session_id else None,
        "intent": intents.state(provider, intent_id) if intent_id else None,
    }
