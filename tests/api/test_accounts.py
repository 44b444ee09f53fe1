"""Accounts over the API, and the sandbox's clock."""

from datetime import datetime, timedelta

import httpx
import pytest

from tests.api.buying import BERLIN, EU_VAT, Bought, Buyer, make_key
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")


def test_a_purchase_opens_an_account_with_its_people_numbers_and_entitlements(
    bought: Bought, vendor: httpx.Client
) -> None:
    url = f"/v1/accounts/{bought.account}"
    account = vendor.get(url).json()
    assert (account["name"], account["time_zone"]) == ("Example GmbH", "Europe/Berlin")
    assert [(each["email"], each["role"]) for each in vendor.get(f"{url}/members").json()["data"]] == [
        ("ada@example.org", "owner")
    ]
    assert [(each["value"], each["status"]) for each in vendor.get(f"{url}/tax_ids").json()["data"]] == [
        ("DE136695976", "valid")
    ]
    held = {each["key"]: each["value"] for each in vendor.get(f"{url}/entitlements").json()["data"]}
    assert (held["users"], held["ldap"], held["cluster"]) == (25, True, False)
    assert vendor.get(f"{url}/entitlements", params={"at": "2020-01-01T00:00:00Z"}).json()["data"] == []
    for at in ("2020-01-01T00:00:00", "soon"):
        refused = vendor.get(f"{url}/entitlements", params={"at": at})
        assert (refused.status_code, refused.json()["param"]) == (422, "at")
    assert [each["id"] for each in vendor.get("/v1/accounts?email=ada@example.org").json()["data"]] == [bought.account]


def test_a_customer_changes_the_address_but_not_the_country_and_invoices_stay(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    own = world.api(make_key(world, account_id=bought.account, scopes=("accounts:write",)))
    url = f"/v1/accounts/{bought.account}"
    changed = own.patch(url, json={"city": "Potsdam", "postcode": "14467", "locale": "de"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["city"], changed.json()["line1"]) == ("Potsdam", "Invalidenstr. 1")
    for body, param in (({"country": "FR"}, "country"), ({"time_zone": "Mars/Base"}, "time_zone"),
                        ({"name": ""}, "name"), ({"id": "acc_1"}, "id"), ({}, "body")):  # fmt: skip
        refused = own.patch(url, json=body)
        assert (refused.status_code, refused.json()["param"]) == (422, param)
    pdf = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}/pdf")
    assert b"Potsdam" not in pdf.content


def test_the_vendor_walks_the_sandbox_clock_forward_and_what_is_due_happens(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    before = vendor.get("/v1/sandbox/clock").json()
    ends = vendor.get(f"/v1/subscriptions/{bought.order['subscription_id']}").json()["term"]["ends_on"]
    moved = vendor.post("/v1/sandbox/clock", json={"to": f"{ends}T12:00:00+00:00"})
    assert moved.status_code == 200, moved.text
    assert moved.json()["stops"] >= 5  # the reminders on the way
    assert datetime.fromisoformat(moved.json()["now"]) - datetime.fromisoformat(before["now"]) > timedelta(days=360)
    mails = world.browser().get("/sandbox/mail.json?to=ada@example.org&limit=50").json()
    assert len([each for each in mails if "/renew/" in each["text"]]) >= 5
    assert vendor.get(f"/v1/subscriptions/{bought.order['subscription_id']}").json()["state"] == "lapsed"
    back = vendor.post("/v1/sandbox/clock", json={"to": before["now"]}).json()
    assert back["stops"] == 0


def test_the_clock_is_moved_by_the_vendor_only_and_not_out_of_this_world(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    own = world.api(make_key(world, account_id=bought.account))
    assert own.get("/v1/sandbox/clock").status_code == 200
    refused = own.post("/v1/sandbox/clock", json={"advance_days": 1})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    for body, param in (({"to": "9999-01-01T00:00:00Z"}, "to"), ({"to": "2030-01-01T00:00:00"}, "to"), ({}, "body"),
                        ({"advance_days": 0}, "advance_days"), ({"advance_days": 99999}, "advance_days")):  # fmt: skip
        answer = vendor.post("/v1/sandbox/clock", json=body)
        assert (answer.status_code, answer.json()["param"]) == (422, param), body


def test_a_payment_is_played_through_the_providers_own_control(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    order = buyer.order()
    ref = order["payment_url"].rpartition("/")[2]
    with httpx.Client(base_url=world.url, headers=vendor.headers, follow_redirects=True, trust_env=False) as client:
        paid = client.post(f"/v1/sandbox/payments/{ref}", json={"action": "succeed"})
    assert (paid.status_code, paid.json()["intent"]["status"]) == (200, "succeeded")
    world.work()
    assert vendor.get(f"/v1/orders/{order['id']}").json()["state"] == "completed"
