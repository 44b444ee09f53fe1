"""Every kind of event we act on: to one handler, in any order, twice, stale, foreign or unknown."""

import json
from itertools import count, permutations
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import switches
from app.adapters.sandbox.models import SandboxEvent, SandboxIntent
from app.adapters.sandbox.signature import sign, webhook_secret
from app.adapters.stripe.events import KINDS, event_of
from app.core import inbox, jobs
from app.core.clock import transport_now
from app.core.inbox import InboxEvent
from app.flows import cards, provider_events
from app.orders import service as orders
from app.orders.models import OrderState
from app.payments.models import PaymentMethod, Refund, RefundState
from tests import paying, shop
from tests.world import World, full

_serial = count(1)


def post(world: World, kind: str, subject: dict[str, Any], **changes: Any) -> httpx.Response:
    """An event as the provider would post it, really signed."""
    body = {"id": f"evt_{next(_serial)}", "type": kind, "livemode": False, "data": {"object": subject}}
    raw = json.dumps(body | changes).encode()
    header = sign(raw, webhook_secret(world.ports.secrets), transport_now())
    return world.browser().post("/inbound/stripe", content=raw, headers={"stripe-signature": header})


def outcome(world: World) -> str | None:
    with world.db.transaction() as tx:
        return tx.execute(select(col(InboxEvent.outcome)).order_by(col(InboxEvent.id).desc()).limit(1)).scalar_one()


def quiet(world: World) -> None:
    """The provider tells nothing by itself from now on."""
    switches.flip(world.db, drop=True)


def test_every_kind_names_something_that_has_a_handler() -> None:
    for kind, naming in KINDS.items():
        named = naming({"id": "x_1", "object": "x", "payment_intent": "pi_1", "mode": "payment"})
        assert named.keys() & provider_events.HANDLERS.keys(), kind
        assert named.keys() <= provider_events.HANDLERS.keys(), kind


def test_a_kind_that_nobody_acts_on_is_stored_and_acknowledged(world: World) -> None:
    answer = post(world, "issuing_card.created", {"id": "ic_1", "object": "issuing.card"})
    world.work()
    assert (answer.status_code, outcome(world)) == (200, "not about anything of ours")


@pytest.mark.parametrize(
    "kind",
    ["checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_succeeded",
     "checkout.session.async_payment_failed", "payment_intent.succeeded", "payment_intent.payment_failed",
     "payment_intent.canceled"],
)  # fmt: skip
def test_whatever_an_event_of_a_payment_claims_what_is_true_happens(world: World, kind: str) -> None:
    quiet(world)
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    ref = started.payment_url.rpartition("/")[2]
    subject = {"id": ref, "object": "checkout.session", "mode": "payment"}
    post(world, "checkout.session.completed" if "intent" in kind else kind, subject)
    world.work()
    assert state_of(world, started.order_id) is OrderState.AWAITING_PAYMENT, "nothing is paid yet"
    paying.pay(world.browser(), started.payment_url)
    with world.db.transaction() as tx:
        intent = tx.execute(select(col(SandboxIntent.id))).scalar_one()
    subject = {"id": intent, "object": "payment_intent"} if "intent" in kind else subject
    for _ in range(2):
        assert post(world, kind, subject).status_code == 200
    world.work()
    assert (state_of(world, started.order_id), outcome(world)) == (OrderState.COMPLETED, "known")


def state_of(world: World, order_id: str) -> OrderState:
    with world.db.transaction() as tx:
        return orders.get(tx, order_id).state


def test_a_payment_of_other_software_at_the_same_account_is_not_ours(world: World) -> None:
    quiet(world)
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    paying.pay(world.browser(), started.payment_url)
    with world.db.transaction() as tx:
        intent = tx.execute(select(SandboxIntent)).scalar_one()
        ref, intent.extra = intent.id, {}
    post(world, "payment_intent.succeeded", {"id": ref, "object": "payment_intent"})
    post(world, "setup_intent.succeeded", {"id": "seti_of_others", "object": "setup_intent"})
    post(world, "payment_method.detached", {"id": "pm_of_others", "object": "payment_method"})
    post(world, "customer.deleted", {"id": "cus_of_others", "object": "customer"})
    world.work()
    with world.db.transaction() as tx:
        outcomes = list(tx.execute(select(col(InboxEvent.outcome))).scalars())
    assert outcomes == ["not_ours"] * 4
    assert jobs.waiting(world.db).failed == 0


def test_a_charge_of_which_something_went_back_tells_every_refund(world: World) -> None:
    order = shop.buy(world)
    quiet(world)
    with world.db.transaction() as tx:
        intent = tx.execute(select(SandboxIntent)).scalar_one()
    for amount in (1_000, 2_000):
        done = world.browser().post(f"/sandbox/payments/{intent.id}", json={"action": "refund", "amount": amount})
        assert done.status_code == 200
    for _ in range(2):
        post(world, "charge.refunded", {"id": intent.charge_id, "object": "charge", "payment_intent": intent.id})
        world.work()
    with world.db.transaction() as tx:
        made = list(tx.execute(select(Refund).order_by(col(Refund.id))).scalars())
    assert [(each.amount_minor, each.state, each.account_id) for each in made] == [
        (1_000, RefundState.SUCCEEDED, order.account_id), (2_000, RefundState.SUCCEEDED, order.account_id),
    ]  # fmt: skip


def test_the_events_of_a_card_leave_the_same_behind_in_any_order(world: World) -> None:
    order = shop.buy(world)
    ends = set[tuple[Any, ...]]()
    for turn in list(permutations(range(5)))[:: 1 if full(100) == 100 else 17]:
        switches.reset(world.db)
        quiet(world)
        told = _card_story(world, order.account_id)
        for index in turn:
            _hear_twice(world, told[index])
        with world.db.transaction() as tx:
            row = tx.execute(select(PaymentMethod).order_by(col(PaymentMethod.id).desc()).limit(1)).scalar_one()
            ends.add((row.label, row.exp_year, row.is_default, row.removed_at is None))
    assert ends == {("Visa •••• 1111", 2040, True, True)}


def _card_story(world: World, account_id: str) -> list[dict[str, Any]]:
    """A card is refused, another kept, and its number changes: the five events of it, in the order they happened."""
    with world.db.transaction() as tx:
        before = set(tx.execute(select(col(SandboxEvent.id))).scalars())
    begun = cards.begin(world.ports, account_id, by="test")
    assert begun.redirect_url is not None
    for card in (paying.LOST, paying.PAYS):
        paying.pay(world.browser(), begun.redirect_url, card)
    method = world.ports.payments.report_setup(begun.provider_ref or "").method
    assert method is not None
    for _ in range(2):
        assert world.browser().post(f"/sandbox/methods/{method.method_ref}", json={"action": "update"}).is_success
    with world.db.transaction() as tx:
        rows = tx.execute(select(SandboxEvent).order_by(col(SandboxEvent.sequence))).scalars()
        return [row.body for row in rows if row.id not in before]


def _hear_twice(world: World, body: dict[str, Any]) -> None:
    event = event_of(body)
    for _ in range(2):
        with world.db.transaction() as tx:
            again = f"{event.id}/{next(_serial)}"  # a provider repeats itself under other ids too
            stored = inbox.store(tx, "sandbox", again, event.type, dict(event.names()), transport_now())
        assert stored is not None
        provider_events.handle_event.run(world.ports, event_id=stored)
