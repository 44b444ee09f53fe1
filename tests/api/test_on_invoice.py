"""Paying by invoice over the API: ordering for an account, and the vendor recording what the bank shows."""

from typing import Any

import httpx
import pytest

from tests import shop
from tests.api.buying import NEW_YORK, Buyer
from tests.callers import customer
from tests.world import World

# Wire references and accounts of nobody.
NOBODY = "acc_01ka8qj6x0c5q4m3t2r1p0n9mk"


@pytest.fixture
def on_invoice(world: World) -> tuple[httpx.Client, str, dict[str, Any]]:
    """A customer's client, its account, and an order of 12 seats on invoice."""
    client, account = customer(world, "orders:write", "orders:read", "invoices:read", "licenses:read")
    buyer = Buyer(world, client)
    preview = buyer.preview(
        lines=[{"sku": "professional", "quantity": 12}], buyer=NEW_YORK | {"email": "po@acme.example"}
    )
    ordered = buyer.send_order(preview, payment="invoice", po_number="PO-77")
    assert ordered.status_code == 201, ordered.text
    return client, account, ordered.json()


def transfer(account: str, minor: int, **changes: Any) -> dict[str, Any]:
    return {
        "account": account, "amount": {"amount": minor, "currency": "USD"}, "reference": "FED-1",
        "value_on": "2026-01-02",
    } | changes  # fmt: skip


def test_an_order_on_invoice_is_delivered_and_its_invoice_open(
    on_invoice: tuple[httpx.Client, str, dict[str, Any]],
) -> None:
    client, _, order = on_invoice
    assert (order["state"], order["payment"], order["payment_url"]) == ("completed", "invoice", None)
    invoice = client.get(f"/v1/invoices/{order['invoice_id']}").json()
    assert (invoice["state"], invoice["po_number"], invoice["amount_due"]) == ("open", "PO-77", order["total"])
    assert client.get(f"/v1/licenses/{order['license_id']}/file").status_code == 200


def test_the_vendor_records_wires_in_parts_and_what_is_over_is_credit(
    on_invoice: tuple[httpx.Client, str, dict[str, Any]], vendor: httpx.Client, world: World
) -> None:
    client, account, order = on_invoice
    total = order["total"]["amount"]
    first = vendor.post("/v1/payments", json=transfer(account, total - 1_000))
    assert first.status_code == 201, first.text
    assert first.json()["invoices"] == [
        {"invoice": order["invoice_id"], "amount": {"amount": total - 1_000, "currency": "USD"}}
    ]
    assert client.get(f"/v1/invoices/{order['invoice_id']}").json()["amount_due"]["amount"] == 1_000
    last = vendor.post("/v1/payments", json=transfer(account, 1_500, reference="FED-2"))
    assert last.json()["invoices"][0]["amount"]["amount"] == 1_000
    invoice = client.get(f"/v1/invoices/{order['invoice_id']}").json()
    assert (invoice["state"], invoice["amount_due"]["amount"]) == ("paid", 0)
    world.work()
    whole = client.get(f"/v1/orders/{order['id']}").json()["license_id"]
    assert whole != order["license_id"]
    assert [each["method"] for each in client.get("/v1/payments").json()["data"]] == ["wire", "wire"]


def test_what_is_wrong_with_a_transfer_is_named(
    on_invoice: tuple[httpx.Client, str, dict[str, Any]], vendor: httpx.Client
) -> None:
    client, account, _ = on_invoice
    assert vendor.post("/v1/payments", json=transfer(account, 100)).status_code == 201
    tries: dict[str, tuple[dict[str, Any], int, str | None]] = {
        "twice": (transfer(account, 100), 409, "reference"),
        "nobody": (transfer(NOBODY, 100, reference="a"), 404, None),
        "nothing": (transfer(account, 0, reference="a"), 422, "amount.amount"),
        "a fraction": (transfer(account, 100, reference="a") | {"amount": {"amount": 1.5, "currency": "USD"}}, 422,
                       "amount.amount"),
        "tomorrow": (transfer(account, 100, reference="a", value_on="2099-01-01"), 422, "value_on"),
        "no reference": (transfer(account, 100, reference=" "), 422, "reference"),
        "their invoice": (transfer(account, 100, reference="a", invoices=["inv_01ka8qj6x0c5q4m3t2r1p0n9mk"]), 422,
                          "invoices"),
        "a state of one's own": (transfer(account, 100, reference="a", state="paid"), 422, "state"),
    }  # fmt: skip
    found = {}
    for name, (body, _, _) in tries.items():
        answer = vendor.post("/v1/payments", json=body)
        found[name] = (answer.status_code, answer.json().get("param"))
    assert found == {name: (status, param) for name, (_, status, param) in tries.items()}
    assert client.post("/v1/payments", json=transfer(account, 100, reference="b")).status_code == 403


def test_an_order_on_invoice_needs_its_number_and_stays_within_the_limit(world: World) -> None:
    client, _ = customer(world, "orders:write")
    buyer = Buyer(world, client)
    wanted = {"lines": [{"sku": "professional", "quantity": 30}], "buyer": NEW_YORK | {"email": "po@acme.example"}}
    nameless = buyer.send_order(buyer.preview(**wanted), payment="invoice")
    assert (nameless.status_code, nameless.json()["param"]) == (422, "po_number")
    assert buyer.send_order(buyer.preview(**wanted), payment="invoice", po_number="PO-1").status_code == 201
    over = buyer.send_order(buyer.preview(**wanted), payment="invoice", po_number="PO-2")
    assert (over.status_code, over.json()["code"], over.json()["reason"]) == (409, "invoice_not_offered", "over_limit")


def test_an_open_invoice_is_paid_on_a_page_for_what_is_owed_or_with_the_card_that_is_kept(
    on_invoice: tuple[httpx.Client, str, dict[str, Any]], vendor: httpx.Client, world: World
) -> None:
    client, account, order = on_invoice
    total, door = order["total"]["amount"], f"/v1/invoices/{order['invoice_id']}/pay"
    assert vendor.post("/v1/payments", json=transfer(account, 1_000)).status_code == 201
    bare = client.post(door, json={"by": "saved_card"})
    assert (bare.status_code, bare.json()["code"]) == (409, "no_saved_card")
    paying = client.post(door).json()
    assert paying["amount"] == {"amount": total - 1_000, "currency": "USD"}
    assert world.browser().get(paying["page_url"].removeprefix(world.url)).status_code == 200
    shop.pay(world, paying["payment_url"])
    world.work()
    invoice = client.get(f"/v1/invoices/{order['invoice_id']}").json()
    assert (invoice["state"], invoice["amount_due"]["amount"]) == ("paid", 0)
    again = client.post(door)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_owed")
    reader, _ = customer(world, "invoices:read")
    assert reader.post(door).status_code in {403, 404}


def test_the_statement_agrees_with_the_invoice_and_belongs_to_its_account(
    on_invoice: tuple[httpx.Client, str, dict[str, Any]], vendor: httpx.Client, world: World
) -> None:
    client, account, order = on_invoice
    total, door = order["total"]["amount"], f"/v1/accounts/{account}/statement"
    vendor.post("/v1/payments", json=transfer(account, 1_000))
    for asker in (client, vendor):
        told = asker.get(door).json()
        assert [each["kind"] for each in told["movements"]] == ["invoice", "payment"]
        assert told["closing"]["balance"]["amount"] == told["open_items"][0]["left"]["amount"] == total - 1_000
        assert told["from"].endswith("-01-01")
    assert client.get(f"{door}/pdf").content.startswith(b"%PDF")
    assert len(client.get(f"{door}/csv").text.splitlines()) == 5
    assert client.get(door, params={"from": "x"}).json()["param"] == "from"
    other, _ = customer(world, "invoices:read")
    assert {other.get(f"{door}{kind}").status_code for kind in ("", "/pdf", "/csv")} == {404}
