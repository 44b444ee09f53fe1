import json
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlmodel import col
from standardwebhooks import Webhook, WebhookVerificationError

from app.core import events, jobs
from app.core.clock import transport_now
from app.flows import deliver
from app.webhooks.deliveries import RETRY
from app.webhooks.models import DeliveryState, EventPosition, WebhookDelivery
from app.webhooks.provider import Reply
from tests.callers import customer
from tests.surveys.conftest import Asking
from tests.webhooks.conftest import Hooks, Receiver, data_of


def test_an_event_arrives_signed_and_verifies_with_another_ones_library(hooks: Hooks) -> None:
    endpoint = hooks.sandbox("in", event_types=["thing.*"])
    event_id = hooks.happen(object_id="ord_1", amount=4999, note="ünïcode")
    hooks.happen("other.thing")
    hooks.world.work()
    (post,) = hooks.arrived("in")
    told = Webhook(endpoint["secret"]).verify(post["body"], post["headers"])
    assert told == {
        "type": "thing.happened", "timestamp": told["timestamp"], "object_id": "ord_1", "sequence": 1,
        "account_id": None, "data": {"amount": 4999, "note": "ünïcode"},
    }  # fmt: skip
    assert told["timestamp"].endswith("Z")
    assert post["headers"]["webhook-id"] == event_id
    assert post["headers"]["content-type"] == "application/json"
    (row,) = hooks.deliveries(endpoint)
    assert (row["state"], row["attempts"], row["last_status"], row["event_type"]) == (
        "delivered", 1, 204, "thing.happened",
    )  # fmt: skip


def test_events_of_one_object_carry_a_sequence_without_a_gap(hooks: Hooks) -> None:
    hooks.sandbox("in")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: hooks.happen(object_id="ord_1", turn=turn), range(12)))
    hooks.world.work()
    assert sorted(data_of(post["body"])["sequence"] for post in hooks.arrived("in")) == list(range(1, 13))


def test_an_event_that_was_rolled_back_is_told_to_nobody(hooks: Hooks) -> None:
    hooks.sandbox("in")
    with hooks.world.db.transaction() as tx:
        events.append(tx, "thing.happened", "ord_1", now=transport_now())
        tx.rollback()
    hooks.world.work()
    assert hooks.arrived("in") == []


def test_fanning_out_twice_delivers_once(hooks: Hooks) -> None:
    hooks.sandbox("in")
    event_id = hooks.happen()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: deliver.fan_out.run(hooks.world.ports, event_ids=event_id), range(6)))
    hooks.world.work()
    assert len(hooks.rows()) == 1
    assert len(hooks.arrived("in")) == 1
    with hooks.world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(EventPosition)).scalar_one() == 1


def test_a_receiver_that_fails_is_tried_again_until_it_answers(hooks: Hooks) -> None:
    endpoint = hooks.sandbox("in?fail=2")
    event_id = hooks.happen()
    hooks.world.work()
    (waiting,) = hooks.deliveries(endpoint)
    assert (waiting["state"], waiting["attempts"], waiting["last_status"]) == ("pending", 1, 500)
    assert waiting["next_attempt_at"] > waiting["created_at"]
    assert jobs.waiting(hooks.world.db).later == 1
    hooks.world.work()
    assert len(hooks.arrived("in")) == 1, "not before its time"
    hooks.hurry()
    hooks.hurry()
    (row,) = hooks.deliveries(endpoint)
    assert (row["state"], row["attempts"], row["last_status"]) == ("delivered", 3, 204)
    posts = hooks.arrived("in")
    assert [post["headers"]["webhook-id"] for post in posts] == [event_id] * 3
    assert len({post["body"] for post in posts}) == 1
    for post in posts:
        Webhook(endpoint["secret"]).verify(post["body"], post["headers"])


def test_after_the_last_try_a_delivery_is_a_dead_letter_that_can_be_replayed(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [503]
    endpoint = hooks.add(receiver.url)
    event_id = hooks.happen()
    hooks.world.work()
    seen = []
    while (row := hooks.deliveries(endpoint)[0])["state"] == "pending":
        seen.append(row["attempts"])
        hooks.hurry()
    assert seen == list(range(1, RETRY.attempts))
    assert (row["state"], row["attempts"], row["next_attempt_at"]) == ("dead", RETRY.attempts, None)
    assert row["last_error"] == "It answered 503 at every try."
    assert len(receiver.posts) == RETRY.attempts
    assert hooks.deliveries(endpoint, state="delivered") == []
    receiver.answers = [200]
    again = hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", json={"event_id": event_id})
    assert (again.status_code, again.json()) == (202, {"queued": 1, "next_after": None})
    hooks.world.work()
    assert hooks.deliveries(endpoint, state="delivered")[0]["attempts"] == 1
    assert {headers["webhook-id"] for headers, _ in receiver.posts} == {event_id}


def test_the_waits_between_tries_are_those_of_the_schedule(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    hooks.add(receiver.url)
    hooks.happen()
    hooks.world.work()
    due = [hooks.rows()[0].next_attempt_at]
    for _ in range(4):
        before = transport_now()
        hooks.hurry()
        due.append(hooks.rows()[0].next_attempt_at)
        seconds = RETRY.wait_after(len(due))
        latest = due[-1]
        assert latest is not None
        assert seconds is not None
        assert timedelta(0) <= latest - before - timedelta(seconds=seconds) < timedelta(seconds=10)
    assert all(early is not None and late is not None and early < late for early, late in pairwise(due))


def test_a_receiver_that_is_gone_is_not_called_again(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [410]
    endpoint = hooks.add(receiver.url)
    hooks.happen()
    hooks.world.work()
    shown = hooks.client.get(f"/v1/webhook_endpoints/{endpoint['id']}").json()
    assert shown["disabled_reason"] == "the receiver answered 410 Gone"
    assert shown["disabled_at"] is not None
    hooks.happen()
    hooks.hurry()
    assert len(receiver.posts) == 1
    assert [row["state"] for row in hooks.deliveries(endpoint)] == ["dead"]


def test_redirects_and_refused_connections_are_failures(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [302]
    moved = hooks.add(receiver.url)
    hooks.happen()
    hooks.world.work()
    assert (hooks.deliveries(moved)[0]["state"], hooks.deliveries(moved)[0]["last_status"]) == ("pending", 302)
    assert len(receiver.posts) == 1
    closed = hooks.add("http://127.0.0.1:1/in", event_types=["late.*"])
    hooks.happen("late.thing")
    hooks.world.work()
    (row,) = hooks.deliveries(closed)
    assert (row["last_status"], row["last_error"]) == (None, "It refused the connection.")


def test_the_address_is_checked_again_at_every_delivery(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = hooks.add(receiver.url)
    secrets = hooks.world.ports.secrets
    with hooks.world.db.transaction() as tx:
        tx.execute(
            text("UPDATE webhook_endpoint SET url_sealed = :url"),
            {"url": secrets.seal("webhook-url", b"https://169.254.169.254/latest/meta-data")},
        )
    hooks.happen()
    hooks.world.work()
    (row,) = hooks.deliveries(endpoint)
    assert (row["state"], row["last_status"]) == ("pending", None)
    assert "private network" in row["last_error"]
    tested = hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/test").json()
    assert (tested["delivered"], tested["status"]) == (False, None)
    assert "private network" in tested["error"]
    assert receiver.posts == []


def test_a_disabled_endpoint_gets_nothing_and_catches_up_by_replay(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    endpoint = hooks.add(receiver.url)
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    hooks.happen()
    hooks.world.work()
    assert hooks.client.patch(path, json={"disabled": True}).json()["disabled_reason"] == "switched off"
    hooks.happen()
    hooks.hurry()
    assert len(receiver.posts) == 1
    (dead,) = hooks.deliveries(endpoint)
    assert (dead["state"], dead["last_error"]) == ("dead", "The endpoint is disabled: switched off.")
    span = {"from": "2020-01-01T00:00:00Z", "to": "2090-01-01T00:00:00Z"}
    assert hooks.client.post(f"{path}/replay", json=span).status_code == 409
    receiver.answers = [200]
    assert hooks.client.patch(path, json={"disabled": False}).json()["disabled_at"] is None
    assert hooks.client.post(f"{path}/replay", json=span).json() == {"queued": 2, "next_after": None}
    assert hooks.client.post(f"{path}/replay", json=span).json()["queued"] == 0, "what waits is left alone"
    hooks.world.work()
    assert [row["state"] for row in hooks.deliveries(endpoint)] == ["delivered", "delivered"]
    assert hooks.client.post(f"{path}/replay", json=span).json()["queued"] == 0
    everything = hooks.client.post(f"{path}/replay", json=span | {"include_delivered": True})
    assert everything.json()["queued"] == 2


def test_a_replay_does_not_double_the_tries_that_wait(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    endpoint = hooks.add(receiver.url)
    event_id = hooks.happen()
    hooks.world.work()
    for _ in range(3):
        hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", json={"event_id": event_id})
    hooks.world.work()
    posted = len(receiver.posts)
    receiver.answers = [200]
    hooks.hurry()
    hooks.hurry()
    assert len(receiver.posts) == posted + 1, "one delivery, one more try, however many jobs there were"
    assert hooks.rows()[0].state == "delivered"


def test_a_replay_does_not_wait_behind_a_try_that_waits_for_its_time(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [500, 500, 500, 500, 200]
    endpoint = hooks.add(receiver.url)
    event_id = hooks.happen()
    hooks.world.work()
    for _ in range(3):
        hooks.hurry()
    assert jobs.waiting(hooks.world.db).later == 1
    hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", json={"event_id": event_id})
    hooks.world.work()
    assert hooks.rows()[0].state == "delivered"


def test_a_try_that_came_twice_is_posted_once(hooks: Hooks) -> None:
    """Six workers run the same try while the receiver is still thinking."""
    thinking = Event()
    posts = []

    class Slow:
        def refusal(self, _url: str) -> str | None:
            return None

        def post(self, url: str, _body: bytes, _headers: Mapping[str, str]) -> Reply:
            posts.append(url)
            thinking.wait(timeout=5)
            return Reply(200, None)

    hooks.sandbox("in")
    hooks.happen()
    with hooks.world.db.transaction() as tx:
        tx.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    deliver.fan_out.run(hooks.world.ports, event_ids=_only_event(hooks))
    row = hooks.rows()[0]
    ports = replace(hooks.world.ports, http=Slow())

    def attempt(number: int) -> None:
        deliver.deliver.run(ports, delivery_id=row.id, attempt=number)

    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(attempt, 0) for _ in range(6)]
        wait(runs, timeout=3, return_when=FIRST_COMPLETED)
        thinking.set()
    assert [run.exception() for run in runs] == [None] * 6
    for late in (0, 1, 7):
        attempt(late)
    assert len(posts) == 1
    assert (hooks.rows()[0].state, hooks.rows()[0].attempts) == ("delivered", 1)


def _only_event(hooks: Hooks) -> str:
    with hooks.world.db.transaction() as tx:
        return tx.execute(select(col(events.Event.id))).scalar_one()


def test_a_receiver_that_does_not_answer_holds_one_worker_at_a_time(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = hooks.add(receiver.url)
    healthy = hooks.sandbox("healthy")
    for _ in range(3):
        hooks.happen()
    hooks.world.work()
    silent, called, waiting = (row for row in hooks.rows() if row.endpoint_id == endpoint["id"])
    soon = transport_now() + timedelta(seconds=50)
    with hooks.world.db.transaction() as tx:
        for row, changes in (
            (silent, {"attempts": 1, "last_status": None, "last_error": "It did not answer within 10 seconds."}),
            (called, {"attempts": 0, "leased_until": soon}),
            (waiting, {"attempts": 0}),
        ):
            again = tx.get_one(WebhookDelivery, row.id)
            for name, value in {"state": DeliveryState.PENDING, "next_attempt_at": soon, **changes}.items():
                setattr(again, name, value)
    receiver.posts.clear()
    deliver.deliver.run(hooks.world.ports, delivery_id=waiting.id, attempt=0)
    assert receiver.posts == []
    stood_back = next(row for row in hooks.rows() if row.id == waiting.id)
    assert (stood_back.state, stood_back.attempts) == ("pending", 0), "standing back is no try"
    assert jobs.waiting(hooks.world.db).later == 1
    with hooks.world.db.transaction() as tx:
        tx.get_one(WebhookDelivery, called.id).leased_until = None
    hooks.hurry()
    assert len(receiver.posts) == 1
    assert len(hooks.deliveries(healthy, state="delivered")) == 3


def test_what_lost_its_job_is_swept_up(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = hooks.add(receiver.url)
    hooks.happen()
    with hooks.world.db.transaction() as tx:
        tx.execute(text("DELETE FROM procrastinate_jobs"))
    deliver.sweep.run(hooks.world.ports)
    deliver.sweep.run(hooks.world.ports)
    hooks.world.work()
    assert len(receiver.posts) == 1
    hooks.happen()
    receiver.answers = [500]
    hooks.world.work()
    with hooks.world.db.transaction() as tx:
        tx.execute(text("DELETE FROM procrastinate_jobs"))
        tx.execute(
            text("UPDATE webhook_delivery SET next_attempt_at = now() - interval '11 minutes' WHERE state = 'pending'")
        )
    receiver.answers = [200]
    deliver.sweep.run(hooks.world.ports)
    hooks.world.work()
    assert {row["state"] for row in hooks.deliveries(endpoint)} == {"delivered"}


def test_the_log_of_what_arrived_is_kept_for_ninety_days(hooks: Hooks, receiver: Receiver) -> None:
    hooks.add(receiver.url)
    hooks.happen()
    hooks.happen()
    hooks.world.work()
    first, second = hooks.rows()
    with hooks.world.db.transaction() as tx:
        old = tx.get_one(WebhookDelivery, first.id)
        old.delivered_at = transport_now() - timedelta(days=91)
    deliver.forget_old.run(hooks.world.ports)
    assert [row.id for row in hooks.rows()] == [second.id]


def test_replay_reaches_back_ninety_days(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = hooks.add(receiver.url)
    event_id = hooks.happen()
    hooks.world.work()
    with hooks.world.db.transaction() as tx:
        tx.execute(text("UPDATE event_position SET published_at = now() - interval '91 days'"))
    path = f"/v1/webhook_endpoints/{endpoint['id']}/replay"
    assert hooks.client.post(path, json={"event_id": event_id}).status_code == 404
    span = {"from": "2020-01-01T00:00:00Z", "to": "2090-01-01T00:00:00Z", "include_delivered": True}
    assert hooks.client.post(path, json=span).json()["queued"] == 0


def test_a_long_replay_goes_on_where_it_stopped(hooks: Hooks) -> None:
    with hooks.world.db.transaction() as tx:
        for _ in range(1005):
            events.append(tx, "bulk.thing", "ord_1", now=hooks.world.ports.clock.now())
        events.append(tx, "other.thing", "ord_1", now=hooks.world.ports.clock.now())
        tx.execute(text("DELETE FROM procrastinate_jobs"))
        tx.execute(
            text("INSERT INTO event_position (event_id, published_at) SELECT id, now() FROM event ORDER BY sequence")
        )
    endpoint = hooks.sandbox("in", event_types=["bulk.*"])
    path = f"/v1/webhook_endpoints/{endpoint['id']}/replay"
    span: dict[str, Any] = {"from": "2020-01-01T00:00:00Z", "to": "2090-01-01T00:00:00Z"}
    first = hooks.client.post(path, json=span).json()
    second = hooks.client.post(path, json=span | {"after": first["next_after"]}).json()
    assert (first["queued"], second) == (1000, {"queued": 5, "next_after": None})


def test_both_secrets_sign_for_a_day_after_a_rotation(hooks: Hooks) -> None:
    endpoint = hooks.sandbox("in")
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    rotated = hooks.client.post(f"{path}/rotate")
    assert rotated.status_code == 200
    new = rotated.json()["secret"]
    assert new != endpoint["secret"]
    hooks.happen()
    hooks.world.work()
    (post,) = hooks.arrived("in")
    for secret in (endpoint["secret"], new):
        Webhook(secret).verify(post["body"], post["headers"])
    with hooks.world.db.transaction() as tx:
        tx.execute(text("UPDATE webhook_endpoint SET previous_secret_until = now()"))
    hooks.happen()
    hooks.world.work()
    later = hooks.arrived("in")[1]
    Webhook(new).verify(later["body"], later["headers"])
    assert later["headers"]["webhook-signature"].count("v1,") == 1


def test_rotating_twice_takes_a_leaked_secret_out_at_once(hooks: Hooks) -> None:
    endpoint = hooks.sandbox("in")
    newest = [hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/rotate").json()["secret"] for _ in range(2)]
    hooks.happen()
    hooks.world.work()
    (post,) = hooks.arrived("in")
    for secret in newest:
        Webhook(secret).verify(post["body"], post["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(post["body"], post["headers"])


def test_the_test_button_sends_one_signed_message_that_is_no_event(hooks: Hooks) -> None:
    endpoint = hooks.sandbox("in", event_types=["nothing.at_all"])
    tested = hooks.client.post(f"/v1/webhook_endpoints/{endpoint['id']}/test")
    assert tested.json() == {"delivered": True, "status": 204, "error": None}
    hooks.world.work()
    (post,) = hooks.arrived("in")
    assert Webhook(endpoint["secret"]).verify(post["body"], post["headers"])["type"] == "webhook.test"
    assert hooks.deliveries(endpoint) == []
    assert hooks.client.get("/v1/events").json()["data"] == []


def test_a_customer_hears_of_its_own_account_only(hooks: Hooks) -> None:
    client, account_id = customer(hooks.world)
    made = client.post("/v1/webhook_endpoints", json={"url": f"{hooks.world.url}/sandbox/hooks/theirs"})
    assert made.json()["account_id"] == account_id
    _, other_id = customer(hooks.world, name="Other Ltd")
    for owner in (account_id, other_id, None):
        hooks.happen(account_id=owner)
    hooks.world.work()
    (post,) = hooks.arrived("theirs")
    assert data_of(post["body"])["account_id"] == account_id


def test_a_survey_answer_is_posted_to_a_mattermost_channel(hooks: Hooks) -> None:
    asking = Asking(hooks.world)
    channel = hooks.sandbox("channel", kind="mattermost", event_types=["survey.*"])
    assert channel["secret"] is None
    assert channel["url"] == "http://127.0.0.1/…", "the path is the channel's password"
    made = asking.invite("ana@acme.example")
    asking.answer(made, 2, "Ask ana@acme.example why @channel")
    hooks.world.work()
    (post,) = hooks.arrived("channel")
    assert "webhook-signature" not in post["headers"]
    message = json.loads(post["body"])
    assert set(message) == {"text"}
    assert "answered with **2**" in message["text"]
    assert "plan: professional" in message["text"]
    assert "Ask \\[e\\-mail\\] why @\u200bchannel" in message["text"]
    assert f"{hooks.world.url}/console/survey?invitation={made.id}" in message["text"]
    assert "acme" not in message["text"]


def test_removing_an_endpoint_while_its_deliveries_wait_breaks_nothing(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    endpoint = hooks.add(receiver.url)
    hooks.happen()
    hooks.world.work()
    assert hooks.client.delete(f"/v1/webhook_endpoints/{endpoint['id']}").status_code == 204
    hooks.hurry()
    assert len(receiver.posts) == 1
    assert hooks.rows() == []
    assert jobs.waiting(hooks.world.db).failed == 0


def test_positions_follow_the_commit_and_not_the_insert(hooks: Hooks) -> None:
    """The slow transaction inserted first and committed last: a reader of positions still finds it."""
    with hooks.world.db.transaction() as slow:
        events.append(slow, "slow.thing", "ord_1", now=transport_now())
        slow.flush()
        fast_id = hooks.happen("fast.thing", "ord_2")
        hooks.world.work()
        seen = hooks.client.get("/v1/events").json()["data"]
        assert [each["id"] for each in seen] == [fast_id]
    hooks.world.work()
    rest = hooks.client.get("/v1/events", params={"after": seen[-1]["position"]}).json()["data"]
    assert [each["type"] for each in rest] == ["slow.thing"]
    with hooks.world.db.transaction() as tx:
        assert len(tx.execute(select(col(EventPosition.position))).all()) == 2


def test_what_went_with_a_savepoint_is_told_to_nobody_and_the_rest_is(hooks: Hooks) -> None:
    hooks.sandbox("in")
    with hooks.world.db.transaction() as tx:
        events.append(tx, "order.placed", "ord_kept", now=transport_now())
        with suppress(LookupError), tx.begin_nested():
            events.append(tx, "order.placed", "ord_undone", now=transport_now())
            raise LookupError
        with tx.begin_nested():
            events.append(tx, "order.completed", "ord_kept", now=transport_now())
    hooks.world.work()
    told = [json.loads(each["body"]) for each in hooks.arrived("in")]
    assert sorted((each["object_id"], each["type"]) for each in told) == [
        ("ord_kept", "order.completed"), ("ord_kept", "order.placed"),
    ]  # fmt: skip
