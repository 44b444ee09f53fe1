from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.core import audit
from app.core.audit import AuditEntry
from app.webhooks.models import WebhookEndpoint
from tests.callers import customer, vendor
from tests.webhooks.conftest import Hooks


def test_an_endpoint_lives_from_creation_to_removal(hooks: Hooks) -> None:
    made = hooks.sandbox("in", event_types=["invoice.*", "invoice.*", "survey.answered"], description="ERP")
    path = f"/v1/webhook_endpoints/{made['id']}"
    assert made["secret"].startswith("whsec_")
    assert made["event_types"] == ["invoice.*", "survey.answered"]
    read = hooks.client.get(path).json()
    assert read == {name: value for name, value in made.items() if name != "secret"}
    changed = hooks.client.patch(path, json={"event_types": ["*"], "url": f"{hooks.world.url}/sandbox/hooks/b"}).json()
    assert (changed["event_types"], changed["description"]) == (["*"], "ERP")
    assert changed["url"].endswith("/b")
    assert [each["id"] for each in hooks.client.get("/v1/webhook_endpoints").json()["data"]] == [made["id"]]
    assert hooks.client.delete(path).status_code == 204
    assert hooks.client.get(path).status_code == 404
    assert hooks.client.delete(path).status_code == 404


def test_secrets_and_addresses_are_not_readable_in_the_database(hooks: Hooks) -> None:
    made = hooks.sandbox("very-secret-path")
    hooks.client.post(f"/v1/webhook_endpoints/{made['id']}/rotate")
    with hooks.world.db.transaction() as tx:
        row = tx.execute(select(WebhookEndpoint)).scalar_one()
        stored = repr(row.model_dump())
        log = repr([each.details for each in tx.execute(select(AuditEntry)).scalars()])
    assert made["secret"].removeprefix("whsec_") not in stored
    for text in (stored, log):
        assert "very-secret-path" not in text


def test_every_change_is_in_the_audit_log(hooks: Hooks) -> None:
    made = hooks.sandbox("in")
    path = f"/v1/webhook_endpoints/{made['id']}"
    hooks.client.patch(path, json={"disabled": True})
    hooks.client.post(f"{path}/rotate")
    hooks.client.delete(path)
    with hooks.world.db.transaction() as tx:
        rows = tx.execute(
            select(AuditEntry).where(col(AuditEntry.subject) == made["id"]).order_by(col(AuditEntry.sequence))
        ).scalars()
        assert [each.action.partition(".")[2] for each in rows] == ["created", "changed", "rotated", "removed"]
        assert list(audit.verify(tx)) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://10.0.0.1/in"}, "address_refused"),
        ({"url": "http://hooks.example.com/in"}, "address_refused"),
        ({"url": "https://2130706433/in"}, "address_refused"), ({"url": "nonsense"}, "address_refused"),
        ({"url": "https://127.0.0.1\x00/"}, "address_refused"), ({"url": ""}, "invalid"), ({}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "event_types": []}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "event_types": ["Invoice Paid"]}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "kind": "email"}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "account_id": "acc_1"}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "secret": "whsec_mine"}, "invalid"),
        ({"url": "http://127.0.0.1:9/", "description": "a\x00"}, "invalid"),
    ],
)  # fmt: skip
def test_endpoints_that_cannot_be_used_are_refused_when_they_are_saved(
    hooks: Hooks, body: dict[str, Any], code: str
) -> None:
    refused = hooks.client.post("/v1/webhook_endpoints", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    made = hooks.sandbox("in")
    if code == "address_refused":
        changed = hooks.client.patch(f"/v1/webhook_endpoints/{made['id']}", json=body)
        assert (changed.status_code, changed.json()["param"]) == (422, "url")


def test_a_channel_has_no_secret_to_rotate(hooks: Hooks) -> None:
    made = hooks.sandbox("in", kind="mattermost")
    refused = hooks.client.post(f"/v1/webhook_endpoints/{made['id']}/rotate")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_rotate")


def test_there_is_an_end_to_how_many_endpoints_one_owner_adds(hooks: Hooks) -> None:
    for number in range(20):
        hooks.sandbox(f"in-{number}")
    url = f"{hooks.world.url}/sandbox/hooks/more"
    refused = hooks.client.post("/v1/webhook_endpoints", json={"url": url})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_endpoints")
    client, _ = customer(hooks.world)
    assert client.post("/v1/webhook_endpoints", json={"url": url}).status_code == 201
    page = hooks.client.get("/v1/webhook_endpoints", params={"limit": 15}).json()
    rest = hooks.client.get("/v1/webhook_endpoints", params={"starting_after": page["data"][-1]["id"]}).json()
    assert (len(page["data"]), page["has_more"], len(rest["data"]), rest["has_more"]) == (15, True, 6, False)


def test_what_belongs_to_others_looks_like_nothing(hooks: Hooks) -> None:
    stranger, _ = customer(hooks.world)
    owner, _ = customer(hooks.world, name="Owner Ltd")
    url = f"{hooks.world.url}/sandbox/hooks/in"
    theirs = owner.post("/v1/webhook_endpoints", json={"url": url}).json()
    for endpoint_id in (theirs["id"], hooks.sandbox("vendor")["id"], f"whe_{'0' * 26}", "whe_1", theirs["id"].upper()):
        path = f"/v1/webhook_endpoints/{endpoint_id}"
        answers = [
            stranger.get(path), stranger.patch(path, json={"disabled": True}), stranger.delete(path),
            stranger.post(f"{path}/rotate"), stranger.post(f"{path}/test"), stranger.get(f"{path}/deliveries"),
            stranger.post(f"{path}/replay", json={"event_id": f"evt_{'0' * 26}"}),
        ]  # fmt: skip
        assert [each.status_code for each in answers] == [404] * 7
    assert stranger.get("/v1/webhook_endpoints").json()["data"] == []
    assert owner.get(f"/v1/webhook_endpoints/{theirs['id']}").json()["disabled_at"] is None
    assert hooks.client.get(f"/v1/webhook_endpoints/{theirs['id']}").status_code == 200, "the vendor sees all"


def test_a_customer_cannot_have_anothers_event_sent_again(hooks: Hooks) -> None:
    client, account_id = customer(hooks.world)
    made = client.post("/v1/webhook_endpoints", json={"url": f"{hooks.world.url}/sandbox/hooks/in"}).json()
    foreign, own = hooks.happen(), hooks.happen(account_id=account_id)
    hooks.world.work()
    path = f"/v1/webhook_endpoints/{made['id']}/replay"
    assert client.post(path, json={"event_id": foreign}).status_code == 404
    assert client.post(path, json={"event_id": own}).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {}, {"from": "2026-01-01T00:00:00Z"}, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00"}, {"event_id": None}, {"after": -1},
        {"event_id": "evt_1", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
    ],
)  # fmt: skip
def test_a_replay_that_is_not_clear_is_refused(hooks: Hooks, body: dict[str, Any]) -> None:
    made = hooks.sandbox("in")
    assert hooks.client.post(f"/v1/webhook_endpoints/{made['id']}/replay", json=body).status_code == 422


def test_scopes_are_asked_for(hooks: Hooks) -> None:
    reader = vendor(hooks.world, "events:read")
    assert reader.get("/v1/webhook_endpoints").status_code == 403
    assert reader.get("/v1/events").status_code == 200
    assert vendor(hooks.world, "webhooks:write").get("/v1/events").status_code == 403
    assert hooks.world.browser().get("/v1/events").status_code == 401


def test_events_are_read_in_order_page_by_page_and_by_type(hooks: Hooks) -> None:
    for number in range(5):
        hooks.happen("invoice.paid" if number % 2 else "survey.answered", "ord_1", number=number)
    hooks.world.work()
    first = hooks.client.get("/v1/events", params={"limit": 3}).json()
    rest = hooks.client.get("/v1/events", params={"limit": 3, "after": first["data"][-1]["position"]}).json()
    assert [each["data"]["number"] for each in first["data"] + rest["data"]] == list(range(5))
    assert [each["sequence"] for each in first["data"] + rest["data"]] == [1, 2, 3, 4, 5]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    paid = hooks.client.get("/v1/events", params={"types": "invoice.*"}).json()["data"]
    assert {each["type"] for each in paid} == {"invoice.paid"}
    both = hooks.client.get("/v1/events", params={"types": "invoice.paid,survey.answered"}).json()["data"]
    assert len(both) == 5
    for wrong in ({"types": "Invoice"}, {"after": "x"}, {"after": str(2**63)}, {"limit": 0}):
        assert hooks.client.get("/v1/events", params=wrong).status_code == 422


def test_a_customer_reads_the_events_of_its_account(hooks: Hooks) -> None:
    client, account_id = customer(hooks.world)
    _, other_id = customer(hooks.world, name="Other Ltd")
    mine = hooks.happen(account_id=account_id)
    hooks.happen(account_id=other_id)
    hooks.happen()
    hooks.world.work()
    assert [each["id"] for each in client.get("/v1/events").json()["data"]] == [mine]
    assert len(hooks.client.get("/v1/events").json()["data"]) == 3
