"""The provider's events: written with the fact, signed, and posted until they are answered."""

import json
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

from app.adapters.sandbox import switches
from app.adapters.sandbox.payments import SandboxPayments
from app.adapters.sandbox.provider_core import undelivered
from app.core import jobs
from app.core.clock import FixedClock, transport_now
from app.core.embedded_postgres import free_port
from app.core.ids import new_id
from app.core.money import Money
from app.payments.provider import CheckoutRequest, Outcome
from tests.paying import NO_FUNDS, pay
from tests.world import World

PAID = ["payment_intent.succeeded", "checkout.session.completed"]


def listen(world: World, query: str = "", **how: str | int | bool) -> None:
    """Send the provider's events to a receiver that keeps them."""
    switches.flip(world.db, target_url=f"{world.url}/sandbox/hooks/inbox{query}", **how)


def arrived(world: World) -> list[dict[str, Any]]:
    return [json.loads(each["body"]) for each in world.browser().get("/sandbox/hooks/inbox").json()]


def open_checkout(world: World, payments: SandboxPayments | None = None, *, hours: int = 23) -> tuple[str, str]:
    request = CheckoutRequest(
        attempt_id=new_id("pat"),
        amount=Money(100_00, "USD"),
        description="Professional",
        customer_email="ada@engines.example",
        success_url=f"{world.url}/orders/1",
        cancel_url=f"{world.url}/checkout",
        expires_at=transport_now() + timedelta(hours=hours),
    )
    checkout = (payments or world.ports.payments).start_checkout(request)
    return checkout.ref, checkout.url


def buy(world: World, *cards: str) -> str:
    """Try the given cards, then pay; returns the checkout."""
    ref, url = open_checkout(world)
    for card in cards:
        pay(world.browser(), url, card)
    pay(world.browser(), url)
    return ref


def test_every_fact_arrives_signed_in_the_order_it_happened(world: World) -> None:
    listen(world)
    ref = buy(world, NO_FUNDS)
    world.work()
    events = arrived(world)
    assert [each["type"] for each in events] == ["payment_intent.payment_failed", *PAID]
    assert events[-1]["data"]["object"]["id"] == ref
    assert undelivered(world.db) == 0
    for each in world.browser().get("/sandbox/hooks/inbox").json():
        event = world.ports.payments.verify_event(each["body"].encode(), each["headers"]["stripe-signature"])
        assert event.payload == json.loads(each["body"])


def test_a_receiver_that_fails_is_tried_again_with_the_same_event_signed_anew(world: World) -> None:
    listen(world, "?fail=1")
    buy(world)
    world.work()
    give_up = monotonic() + 20
    while undelivered(world.db) and monotonic() < give_up:  # the refused one waits a second of real time
        sleep(0.3)
        world.work()
    assert undelivered(world.db) == 0
    ids = [each["id"] for each in arrived(world)]
    assert (len(ids), len(set(ids))) == (3, 2)
    assert ids.count(ids[0]) == 2, "the refused event is the one that came again"


def test_a_receiver_that_is_not_there_keeps_the_event_waiting(world: World) -> None:
    switches.flip(world.db, target_url=f"http://127.0.0.1:{free_port()}/")
    buy(world)
    world.work()
    assert undelivered(world.db) == 2
    assert jobs.waiting(world.db).later >= 2


def test_events_can_arrive_several_times(world: World) -> None:
    listen(world, copies=3)
    buy(world)
    world.work()
    assert [each["type"] for each in arrived(world)] == [kind for kind in PAID for _ in range(3)]


def test_events_can_arrive_in_the_wrong_order(world: World) -> None:
    listen(world, newest_first=True)
    buy(world, NO_FUNDS)
    world.work()
    expected = ["payment_intent.payment_failed", *PAID][::-1]
    assert [each["type"] for each in arrived(world)] == expected


def test_events_can_be_lost_and_the_payment_is_still_known(world: World) -> None:
    listen(world, drop=True)
    ref = buy(world)
    world.work()
    assert arrived(world) == []
    assert world.ports.payments.report(ref).outcome is Outcome.SUCCEEDED
    world.browser().post("/sandbox/switches", json={"drop": False})
    assert world.browser().post("/sandbox/events/redeliver").json() == {"queued": 2}
    world.work()
    assert [each["type"] for each in arrived(world)] == PAID


def test_events_can_be_late(world: World) -> None:
    listen(world, delay_seconds=3600)
    buy(world)
    world.work()
    assert (arrived(world), undelivered(world.db)) == ([], 2)


def test_a_checkout_closes_by_itself_when_its_time_is_over(world: World) -> None:
    listen(world)
    clock = FixedClock(transport_now() - timedelta(hours=22))
    earlier = SandboxPayments(world.db, world.ports.secrets, base_url=world.url, env="test", clock=clock)
    ref, url = open_checkout(world, earlier, hours=-1)
    world.work()  # the provider's own timer
    assert [each["type"] for each in arrived(world)] == ["checkout.session.expired"]
    assert world.browser().get(url).status_code == 410
    assert world.ports.payments.report(ref).outcome is Outcome.EXPIRED


def test_a_checkout_whose_timer_is_late_cannot_be_paid_either(world: World) -> None:
    clock = FixedClock(transport_now() - timedelta(hours=22))
    earlier = SandboxPayments(world.db, world.ports.secrets, base_url=world.url, env="test", clock=clock)
    ref, url = open_checkout(world, earlier, hours=-1)
    assert earlier.report(ref).outcome is Outcome.PENDING  # the clock still stands before the end
    assert world.browser().get(url).status_code == 410


def test_the_switches_can_be_read_set_and_put_back(world: World) -> None:
    browser = world.browser()
    flipped = browser.post("/sandbox/switches", json={"copies": 2, "fault": "busy"}).json()
    assert (flipped["copies"], flipped["fault"], flipped["drop"]) == (2, "busy", False)
    assert browser.post("/sandbox/switches", json={"copies": 0}).status_code == 422
    assert browser.delete("/sandbox/switches").json()["fault"] == "none"
