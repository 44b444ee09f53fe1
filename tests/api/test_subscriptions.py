"""Subscriptions over the API: what comes next, and the renewal that equals its preview."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.adapters.sandbox.clock import set_to
from app.core.clock import start_of
from app.flows import tick
from tests.api.buying import NEW_YORK, Bought, Buyer
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


def subscription(vendor: httpx.Client, bought: Bought) -> dict[str, Any]:
    return dict(vendor.get(f"/v1/subscriptions/{bought.order['subscription_id']}").json())


def move_to(world: World, day: date) -> None:
    set_to(world.db, start_of(day, "America/New_York") + timedelta(hours=12))


def acceptance(preview: dict[str, Any]) -> dict[str, Any]:
    return {"terms": preview["terms"]["id"], "authority": True}


def test_a_subscription_tells_its_lines_its_term_and_its_next_step(bought: Bought, vendor: httpx.Client) -> None:
    shown = subscription(vendor, bought)
    ends_on = date.fromisoformat(shown["term"]["ends_on"])
    assert (shown["state"], shown["term"]["months"]) == ("active", 12)
    assert shown["lines"][0]["arr"] == {"amount": 300_000, "currency": "USD"}
    opens_on = (ends_on - timedelta(days=90)).isoformat()
    assert shown["next_step"] == {
        "code": "renewal_opens", "on": opens_on, "sentence": f"Renewal opens on {opens_on}."
    }  # fmt: skip
    assert [each["id"] for each in vendor.get("/v1/subscriptions?state=active").json()["data"]] == [shown["id"]]
    assert vendor.get("/v1/subscriptions?state=expired").json() == {"data": [], "has_more": False}


def test_a_renewal_charges_what_was_shown_and_follows_the_old_term(
    bought: Bought, vendor: httpx.Client, world: World
) -> None:
    before = subscription(vendor, bought)
    url = f"/v1/subscriptions/{before['id']}/renewals"
    early = vendor.post(f"{url}/preview")
    assert (early.status_code, early.json()["code"]) == (409, "renewal_not_open")

    ends_on = date.fromisoformat(before["term"]["ends_on"])
    move_to(world, ends_on - timedelta(days=30))
    assert subscription(vendor, bought)["next_step"]["code"] == "renew"
    few = vendor.post(f"{url}/preview", json={"seats": 3})
    assert (few.status_code, few.json()["param"]) == (422, "seats")
    preview = vendor.post(f"{url}/preview", json={"seats": 30})
    assert preview.status_code == 201, preview.text
    offer = preview.json()
    assert (offer["kind"], offer["starts_on"]) == ("renewal", before["term"]["ends_on"])
    assert (offer["lines"][0]["quantity"], offer["saved_card"]) == (30, "Visa •••• 4242")

    ordered = vendor.post(url, json={"preview": offer["id"], "acceptance": acceptance(offer)})
    assert ordered.status_code == 201, ordered.text
    assert (ordered.json()["state"], ordered.json()["total"]) == ("completed", offer["total"])
    after = subscription(vendor, bought)
    assert after["term"]["starts_on"] == before["term"]["ends_on"]
    assert after["lines"][0]["quantity"] == 30
    again = vendor.post(url, json={"preview": offer["id"], "acceptance": acceptance(offer)})
    assert again.json()["id"] == ordered.json()["id"]
    licenses = vendor.get("/v1/licenses").json()["data"]
    assert [(each["state"], each["seats"]) for each in licenses] == [("active", 30), ("superseded", 25)]
    assert licenses[1]["superseded_by"] == licenses[0]["id"]


def test_a_renewal_is_ordered_for_its_own_subscription_only(
    bought: Bought, buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    before = subscription(vendor, bought)
    other = buyer.buy(buyer=NEW_YORK | {"email": "other@example.com"}).order["subscription_id"]
    move_to(world, date.fromisoformat(before["term"]["ends_on"]) - timedelta(days=5))
    offer = vendor.post(f"/v1/subscriptions/{before['id']}/renewals/preview").json()
    order = {"preview": offer["id"], "acceptance": acceptance(offer)}
    crossed = vendor.post(f"/v1/subscriptions/{other}/renewals", json=order)
    assert (crossed.status_code, crossed.json()["param"]) == (404, "preview")
    at_the_wrong_door = buyer.send_order(offer)
    assert (at_the_wrong_door.status_code, at_the_wrong_door.json()["param"]) == (422, "preview")
    purchase = buyer.preview()
    not_a_renewal = vendor.post(
        f"/v1/subscriptions/{before['id']}/renewals",
        json={"preview": purchase["id"], "acceptance": acceptance(purchase)},
    )
    assert not_a_renewal.status_code == 404
    assert vendor.get("/v1/orders?state=awaiting_payment").json()["data"] == []


def test_the_next_step_follows_the_calendar_to_the_end(bought: Bought, vendor: httpx.Client, world: World) -> None:
    ends_on = date.fromisoformat(subscription(vendor, bought)["term"]["ends_on"])
    found = []
    for days in (1, 12):
        move_to(world, ends_on + timedelta(days=days))
        tick.tick(world.ports)
        world.work()
        shown = subscription(vendor, bought)
        found.append((shown["state"], shown["next_step"]["code"], shown["next_step"]["on"]))
    assert found == [
        ("lapsed", "renew", (ends_on + timedelta(days=10)).isoformat()),
        ("expired", "renew", None),
    ]


def test_a_monthly_subscription_says_that_it_renews_itself(buyer: Buyer, vendor: httpx.Client) -> None:
    shown = subscription(vendor, buyer.buy(interval="month"))
    assert (shown["next_step"]["code"], shown["next_step"]["on"]) == ("renews_itself", shown["term"]["ends_on"])


def test_not_renewing_is_said_taken_back_and_automatic_renewal_switched(bought: Bought, vendor: httpx.Client) -> None:
    path = f"/v1/subscriptions/{bought.order['subscription_id']}"
    stopped = vendor.post(f"{path}/cancel", json={"reason": "We moved on."}).json()
    assert (stopped["state"], stopped["next_step"]["code"]) == ("active", "ends")
    assert stopped["not_renewing_since"] is not None
    again = vendor.post(f"{path}/resume").json()
    assert (again["not_renewing_since"], again["next_step"]["code"]) == (None, "renewal_opens")
    on = vendor.patch(path, json={"auto_renew": True}).json()
    assert (on["auto_renew"], on["next_step"]["code"]) == (True, "renews_itself")
    assert vendor.patch(path, json={"auto_renew": "yes"}).status_code == 422
