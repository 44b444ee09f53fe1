"""Who sees what: every route of the OpenAPI, asked by everybody who should not be answered (S15, S16)."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.buying import NEW_YORK, Bought, Buyer, make_key
from tests.world import World

# Doors that need no key, by their names in the OpenAPI.
OPEN = {
    "list_plans", "get_plan", "create_preview", "create_order", "request_quote", "published_keys", "lint_license",
    "validate_license", "receive_payment_event", "answer_surveys", "opt_out", "start_trial", "license_status",
    "report_usage", "revocation_list",
}  # fmt: skip
# The vendor's own figures: closed to customers, and tested with their parameters where they live.
FIGURES = {
    "nps_surveys", "list_reports", "download_reports", "manifest_reports", "list_tasks", "tax_evidence_of_invoice",
    "list_tax_overrides", "get_tax_override", "read_tax_nexus", "list_tax_records", "get_tax_record",
}  # fmt: skip
# A body that would do, where a POST or PATCH needs one before it looks for the row.
BODIES: dict[str, Any] = {
    "withdraw_quote": {"reason": "x"}, "decline_quote": {"reason": "x"}, "revise_quote": {"reason": "x"},
    "write_quote": {"message": "x"}, "accept_quote": {
        "terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "person_name": "x", "person_email": "x@example.com",
        "authority": True,
    }, "revoke_license": {"reason": "x"}, "change_license": {"label": "x"}, "activate_license": {"fingerprint": "x"},
    "deactivate_license": {"fingerprint": "x"}, "heartbeat_license": {"fingerprint": "x"},
    "change_account": {"name": "x"}, "change_workspace": {"desired": "hibernated"}, "move_clock": {"advance_days": 1},
    "heartbeat_provisioning": {"lease": "x"}, "progress_provisioning": {"lease": "x", "percent": 1},
    "complete_provisioning": {"lease": "x"}, "fail_provisioning": {"lease": "x", "reason": "x"},
    "change_subscription": {"auto_renew": True}, "preview_change": {"seats": 30},
    "create_change": {"preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk"},
    "play_payment": {"action": "succeed"}, "change_webhooks": {"description": "x"},
    "replay_webhooks": {"event_id": "evt_01ka8qj6x0c5q4m3t2r1p0n9mk"},
}  # fmt: skip


CERTIFICATE = {
    "jurisdiction": "US-NY", "reason": "resale", "number": "RS-1", "signed_on": "2026-01-01",
    "content": b64encode(b"%PDF-1.7 %%EOF").decode(),
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    name: str

    @property
    def parameter(self) -> str | None:
        found = re.search(r"\{(\w+)\}", self.path)
        return found[1] if found else None


def operations(client: httpx.Client) -> list[Operation]:
    paths = client.get("/openapi.json").json()["paths"]
    return [
        Operation(method.upper(), path, facts["operationId"])
        for path, methods in paths.items() for method, facts in methods.items()
    ]  # fmt: skip


def send(client: httpx.Client, operation: Operation, **ids: str) -> httpx.Response:
    body = BODIES.get(operation.name)
    if operation.name == "create_renewal":
        body = {"preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk",
                "acceptance": {"terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "authority": True}}  # fmt: skip
    return client.request(operation.method, operation.path.format(**ids), json=body)


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


@pytest.fixture
def ids(buyer: Buyer, bought: Bought, vendor: httpx.Client) -> dict[str, str]:
    """A real id of the first customer for every parameter a path may have."""
    told = buyer.world.past.after("one of everything", (), lambda: json.dumps(_one_of_each(buyer, bought, vendor)))
    return dict(json.loads(told))


def _one_of_each(buyer: Buyer, bought: Bought, vendor: httpx.Client) -> dict[str, str]:
    order = bought.order
    big = buyer.preview(lines=[{"sku": "professional", "quantity": 500}])
    workspace = vendor.post("/v1/workspaces", json={"subscription_id": order["subscription_id"]})
    assert workspace.status_code == 201, workspace.text
    key = vendor.post("/v1/api_keys", json={"name": "x", "scopes": ["orders:read"], "account_id": bought.account})
    tasks = vendor.get("/v1/provisioning/tasks").json()["data"]
    own = buyer.world.api(make_key(buyer.world, account_id=bought.account))
    endpoint = own.post("/v1/webhook_endpoints", json={"url": f"{buyer.world.url}/sandbox/hooks/x"})
    assert endpoint.status_code == 201, endpoint.text
    charge = vendor.get("/v1/payments").json()["data"][0]["provider_ref"]
    refund = vendor.post("/v1/refunds", json={"invoice_id": order["invoice_id"], "amount": 100})
    assert refund.status_code == 201, refund.text
    buyer.world.work()
    vendor.post(f"/sandbox/payments/{charge}", json={"action": "dispute"})
    buyer.world.work()
    card = vendor.get("/v1/payment_methods").json()["data"][0]["id"]
    setup = vendor.post("/v1/card_setups", json={"account_id": bought.account})
    assert setup.status_code == 201, setup.text
    quote = buyer.client.post("/v1/quotes", json={"preview": big["id"]}).json()["id"]
    assert vendor.patch(f"/v1/quotes/{quote}", json={"message": "Gladly."}).status_code == 200
    assert vendor.post(f"/v1/quotes/{quote}/send").status_code == 200
    asked = next(each for each in vendor.get("/v1/surveys/invitations").json()["data"] if each["order_id"])
    certificate = vendor.post("/v1/exemption_certificates", json=CERTIFICATE | {"account_id": bought.account})
    assert certificate.status_code == 201, certificate.text
    bound = vendor.post(f"/v1/licenses/{order['license_id']}/activations", json={"fingerprint": "x"})
    assert bound.status_code == 201, bound.text
    return {
        "certificate_id": certificate.json()["id"], "activation_id": bound.json()["id"],
        # The vendor's own, closed to every customer before any row is looked for.
        "override_id": "tov_01ka8qj6x0c5q4m3t2r1p0n9mk", "alert_id": "tna_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "record_id": "trc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "merged_id": buyer.merged(),
        "change_id": "chg_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "order_id": order["id"], "subscription_id": order["subscription_id"], "invoice_id": order["invoice_id"],
        "license_id": order["license_id"], "account_id": bought.account,
        "payment_id": vendor.get("/v1/payments").json()["data"][0]["id"],
        "quote_id": quote,
        "workspace_id": workspace.json()["id"], "key_id": key.json()["id"],
        "task_id": tasks[0]["id"], "payment": "cs_test_1", "endpoint_id": endpoint.json()["id"],
        "credit_note_id": refund.json()["credit_note_id"], "refund_id": refund.json()["id"],
        "payment_method_id": card, "card_setup_id": setup.json()["id"],
        "dispute_id": vendor.get("/v1/disputes").json()["data"][0]["id"],
        "invitation_id": asked["id"], "name": "invoice_register", "ending": "csv",
    }  # fmt: skip


@pytest.fixture
def stranger(buyer: Buyer, world: World) -> httpx.Client:
    """A key that may do everything for another account."""
    other = buyer.buy(buyer=NEW_YORK | {"email": "other@example.com", "company": "Other, Inc."})
    return world.api(make_key(world, account_id=other.account))


def test_what_belongs_to_another_account_does_not_exist(
    ids: dict[str, str], stranger: httpx.Client, vendor: httpx.Client
) -> None:
    with_id = [each for each in operations(vendor) if each.parameter and each.name not in OPEN]
    assert {each.parameter for each in with_id} <= ids.keys(), "give the sweep a real id for the new parameter"
    assert len(with_id) > 20
    for operation in with_id:
        foreign = send(stranger, operation, **ids)
        # Doors of the vendor refuse every customer's key alike, whatever the id.
        closed = (foreign.status_code, foreign.json()["code"]) == (403, "not_allowed")
        assert closed or foreign.status_code == 404, (operation, foreign.text)
        if foreign.status_code == 404:
            _, made_up = _made_up(ids, operation)
            missing = send(stranger, operation, **made_up)
            assert missing.status_code == 404, operation
            assert _without_ids(missing.text) == _without_ids(foreign.text), operation


def _made_up(ids: dict[str, str], operation: Operation) -> tuple[str, dict[str, str]]:
    name = operation.parameter or ""
    made_up = ids[name].partition("_")[0] + "_01ka8qj6x0c5q4m3t2r1p0n9mk"
    return name, ids | {name: made_up}


def _without_ids(body: str) -> str:
    return re.sub(r"[a-z]{2,3}_[0-9a-z]{26}", "ID", body)


def test_the_rows_of_others_are_in_no_list(ids: dict[str, str], stranger: httpx.Client) -> None:
    lists = [each for each in operations(stranger) if each.method == "GET" and each.parameter is None]
    mine = set(ids.values())
    for operation in lists:
        answer = stranger.get(operation.path)
        assert not [each for each in mine if each in answer.text], operation


def test_without_a_key_nothing_but_the_open_doors_answers(ids: dict[str, str], world: World) -> None:
    nobody = world.browser()
    for operation in operations(nobody):
        if operation.name in OPEN:
            continue
        refused = send(nobody, operation, **ids)
        assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in"), operation


def test_a_key_without_the_scope_is_refused(ids: dict[str, str], bought: Bought, world: World) -> None:
    narrow = world.api(make_key(world, account_id=bought.account, scopes=()))
    for operation in operations(narrow):
        if operation.name in OPEN:
            continue
        refused = send(narrow, operation, **ids)
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing"), operation


def test_owners_and_the_vendor_see_what_is_theirs(
    ids: dict[str, str], bought: Bought, vendor: httpx.Client, world: World
) -> None:
    owner = world.api(make_key(world, account_id=bought.account))
    for operation in operations(vendor):
        if operation.method != "GET" or operation.name in OPEN | FIGURES:
            continue
        for client in (owner, vendor):
            # What was bought bears sales tax of New York, which an electronic invoice cannot say: seen, and refused.
            wanted = 409 if operation.path.endswith("/xml") else 200
            assert send(client, operation, **ids).status_code == wanted, operation


def test_a_wrong_key_is_never_taken_for_nobody(buyer: Buyer, world: World) -> None:
    wrong = world.api("blp_nonsense")
    assert wrong.post("/v1/previews", json=buyer.wanted()).status_code == 401
