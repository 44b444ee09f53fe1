"""GET changes nothing: every GET of the API, and every table before and after."""

from base64 import b64encode

import httpx

from app.core.db import metadata
from tests import shop
from tests.api.buying import BERLIN, EU_VAT, Buyer
from tests.api.test_tax import OVERRIDE, recorded
from tests.world import World

# What a request itself leaves behind, whatever it asks: when a key was last used.
REQUEST_SIDE = {"api_key"}


def contents(world: World) -> dict[str, str]:
    """Each table's rows in one hash: an UPDATE shows as well as an INSERT."""
    names = [*sorted(set(metadata.tables) - REQUEST_SIDE), "procrastinate_jobs"]
    rows = "SELECT count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
    with world.db.reading() as connection:
        return {name: connection.exec_driver_sql(rows.format(f'"{name}"')).scalar_one() for name in names}


def test_no_get_of_the_api_changes_a_row(buyer: Buyer, vendor: httpx.Client, world: World) -> None:
    order = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR").order  # whose documents have every form
    ids = {
        "plan_id": vendor.get("/v1/plans").json()["data"][0]["id"], "order_id": order["id"],
        "subscription_id": order["subscription_id"], "invoice_id": order["invoice_id"],
        "license_id": order["license_id"], "account_id": order["account_id"],
        "payment_id": vendor.get("/v1/payments").json()["data"][0]["id"],
        "quote_id": buyer.client.post("/v1/quotes", json={"preview": buyer.preview()["id"]}).json()["id"],
        "workspace_id": vendor.post("/v1/workspaces", json={"subscription_id": order["subscription_id"]}).json()["id"],
        "key_id": vendor.get("/v1/api_keys").json()["data"][0]["id"],
        "payment_method_id": vendor.get("/v1/payment_methods").json()["data"][0]["id"],
        "card_setup_id": vendor.post("/v1/card_setups", json={"account_id": order["account_id"]}).json()["id"],
    }  # fmt: skip
    assert vendor.patch(f"/v1/quotes/{ids['quote_id']}", json={}).status_code == 200  # so that there is a paper
    invited = vendor.post("/v1/surveys/invitations", json={"kind": "purchase", "external_ref": "1"}).json()
    endpoint = vendor.post("/v1/webhook_endpoints", json={"url": f"{world.url}/sandbox/hooks/x"}).json()
    ids |= {"invitation_id": invited["id"], "token": invited["token"], "endpoint_id": endpoint["id"],
            "name": "invoice_register", "ending": "csv"}  # fmt: skip
    asked = {"invoice_id": order["invoice_id"], "amount": 100}
    refund = vendor.post("/v1/refunds", json=asked).json()
    world.work()
    charge = vendor.get(f"/v1/payments/{ids['payment_id']}").json()["provider_ref"]
    vendor.post(f"/sandbox/payments/{charge}", json={"action": "dispute"})
    world.work()
    ids["merged_id"] = buyer.merged(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    world.draw()
    certificate = vendor.post("/v1/exemption_certificates", json={
        "account_id": order["account_id"], "jurisdiction": "US-NY", "reason": "resale", "number": "1",
        "signed_on": "2026-01-01", "content": b64encode(b"%PDF-1.7 %%EOF").decode(),
    }).json()  # fmt: skip
    override = vendor.post("/v1/tax/overrides", json=OVERRIDE).json()
    ids |= {"certificate_id": certificate["id"], "override_id": override["id"], "record_id": recorded(world)}
    ids |= {"refund_id": refund["id"], "credit_note_id": refund["credit_note_id"],
            "dispute_id": vendor.get("/v1/disputes").json()["data"][0]["id"]}  # fmt: skip
    bound = vendor.post(f"/v1/licenses/{order['license_id']}/activations", json={"fingerprint": "f-1"})
    ids["activation_id"] = bound.json()["id"]
    paths = vendor.get("/openapi.json").json()["paths"]
    readable = [path for path, methods in paths.items() if "get" in methods]
    assert len(readable) > 20
    before = contents(world)
    for path in readable:
        query = {"from": "2026-01-01", "to": "2027-01-01"} if "/reports/" in path else {}
        answer = vendor.get(path.format(**ids), params=query)
        assert answer.status_code < 400, (path, answer.text)
    after = contents(world)
    # A machine file is signed when it is asked for: every signature is logged, and nothing else is left behind.
    assert after.pop("license_issuance") != before.pop("license_issuance")
    assert after == before


def test_lists_are_narrowed_to_an_account(world: World, buyer: Buyer) -> None:
    mine, theirs = buyer.buy(), shop.buy(world, email="eve@other.example", company="Other GmbH", vat=None)
    vendor = buyer.as_vendor()
    for what in ("orders", "subscriptions", "invoices", "licenses", "payments", "payment_methods"):
        found = vendor.get(f"/v1/{what}", params={"account_id": mine.account}).json()["data"]
        assert {each["account_id"] for each in found} == {mine.account}, what
    assert mine.account != theirs.account_id
    assert vendor.get("/v1/orders", params={"account_id": "sub_1"}).status_code == 422
    assert vendor.get("/v1/orders", params={"account_id": "acc_" + "0" * 26}).json()["data"] == []
