"""The same request sent again: one effect, one answer."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy import func, select

from app.core import idempotency
from app.core.canonical import sha256_hex
from app.core.clock import transport_now
from app.orders.models import Order
from tests.api.buying import Buyer, make_key
from tests.world import World


def orders_in(world: World) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(Order)).scalar_one()


def test_a_repeat_gets_the_first_answer_and_another_body_is_refused(buyer: Buyer, world: World) -> None:
    keyed = Buyer(world, world.api(make_key(world, account_id=None)))
    preview, headers = buyer.preview(), {"Idempotency-Key": "k-1"}
    first = keyed.send_order(preview, headers=headers)
    again = keyed.send_order(preview, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = keyed.send_order(preview, headers=headers, po_number="PO-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert other.json()["param"] == "Idempotency-Key"


def test_strangers_who_choose_the_same_key_do_not_meet(buyer: Buyer, world: World) -> None:
    stranger, headers = Buyer(world), {"Idempotency-Key": "1"}
    preview, theirs = buyer.preview(), stranger.preview()
    first = buyer.send_order(preview, headers=headers)
    other = stranger.send_order(theirs, headers=headers)
    assert (first.status_code, other.status_code) == (201, 201), "neither refused by the key of somebody else"
    assert "idempotency-replayed" not in other.headers
    assert other.json()["id"] != first.json()["id"]
    again = buyer.send_order(preview, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    refused = stranger.send_order(
        preview, headers=headers, acceptance=stranger.acceptance(preview) | {"person_name": ""}
    )
    assert (refused.status_code, "idempotency-replayed" in refused.headers) == (422, False)
    assert refused.json()["param"] != "Idempotency-Key"
    keyed = Buyer(world, world.api(make_key(world, account_id=None)))
    mine = keyed.send_order(preview, headers=headers)
    assert "idempotency-replayed" not in mine.headers, "a credential has keys of its own"
    assert orders_in(world) == 2


def test_the_query_belongs_to_the_request(world: World) -> None:
    client, headers = world.api(make_key(world, account_id=None)), {"Idempotency-Key": "q"}
    first = client.post("/v1/surveys/invitations?a=1", json={}, headers=headers)
    other = client.post("/v1/surveys/invitations?a=2", json={}, headers=headers)
    assert "idempotency-replayed" not in first.headers
    assert other.json()["code"] == "idempotency_key_reused"


def test_a_refusal_is_an_answer_and_is_kept(buyer: Buyer) -> None:
    preview, headers = buyer.preview(), {"Idempotency-Key": "k-2"}
    first = buyer.send_order(preview, headers=headers, payment="invoice")
    again = buyer.send_order(preview, headers=headers, payment="invoice")
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()
    assert "idempotency-replayed" in again.headers


def test_a_repeat_while_the_first_is_running_is_told_to_wait(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    body = json.dumps({"preview": preview["id"], "acceptance": buyer.acceptance(preview)}).encode()
    digest = sha256_hex(b"/v1/orders\n" + body)
    assert idempotency.begin(world.db, sha256_hex(b"\n" + digest.encode()), "k-3", digest, transport_now()) is None
    headers = {"Idempotency-Key": "k-3", "Content-Type": "application/json"}
    refused = buyer.client.post("/v1/orders", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
    assert orders_in(world) == 0


def test_fifty_at_once_under_one_key_are_one_order(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    body = {"preview": preview["id"], "acceptance": buyer.acceptance(preview)}

    def send(client: httpx.Client) -> httpx.Response:
        return client.post("/v1/orders", json=body, headers={"Idempotency-Key": "k-50"})

    clients = [world.browser() for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, clients))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_flight"}
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert orders_in(world) == 1
    assert send(clients[0]).json()["id"] in ids


def test_fifty_at_once_without_a_key_are_one_order_all_the_same(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    body = {"preview": preview["id"], "acceptance": buyer.acceptance(preview)}
    clients = [world.browser() for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda client: client.post("/v1/orders", json=body), clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.json()["id"], answer.json()["payment_url"]) for answer in answers}) == 1
    assert orders_in(world) == 1


def test_a_key_has_to_be_a_key(buyer: Buyer) -> None:
    preview = buyer.preview()
    for key in ("x" * 256, ""):
        refused = buyer.send_order(preview, headers={"Idempotency-Key": key})
        assert (refused.status_code, refused.json()["param"]) == (422, "Idempotency-Key")
