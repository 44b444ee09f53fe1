"""Changing a subscription over the API: shown, charged as shown, scheduled, withdrawn, refused."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.adapters.sandbox.clock import set_to
from tests.api.buying import Bought, Buyer, make_key
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


def acceptance(preview: dict[str, Any]) -> dict[str, Any]:
    return {"terms": preview["terms"]["id"], "authority": True}


def test_a_change_is_shown_charged_exactly_so_and_explained(bought: Bought, world: World) -> None:
    key = world.api(make_key(world, account_id=bought.account))
    base = f"/v1/subscriptions/{bought.order['subscription_id']}"
    set_to(world.db, world.ports.clock.now() + timedelta(days=73))
    shown = key.post(f"{base}/changes/preview", json={"seats": 30, "add_ons": ["premier-support"]})
    assert shown.status_code == 201, shown.text
    offer = shown.json()
    seats, support = offer["lines"]
    assert (offer["effective"], offer["carried"], offer["credit"]["amount"]) == ("now", False, 0)
    assert (seats["quantity"], seats["change"]["before"], seats["change"]["after"]) == (5, 25, 30)
    assert (support["quantity"], support["change"]["before"]) == (30, None)
    days, year = seats["change"]["numerator"], seats["change"]["denominator"]
    assert seats["net"]["amount"] == round(5 * 12_000 * days / year)
    assert offer["due"] == offer["total"]
    assert offer["next_term"]["net"]["amount"] == 30 * (12_000 + 3_000)
    without = key.post(f"{base}/changes", json={"preview": offer["id"]})
    assert (without.status_code, without.json()["param"]) == (422, "acceptance")

    done = key.post(f"{base}/changes", json={"preview": offer["id"], "acceptance": acceptance(offer)})
    assert done.status_code == 201, done.text
    world.work()
    order = key.get(f"/v1/orders/{done.json()['order']['id']}").json()
    assert (order["state"], order["kind"], order["total"]["amount"]) == ("completed", "expansion",
                                                                        offer["total"]["amount"])  # fmt: skip
    held = key.get(base).json()
    assert [(line["sku"], line["quantity"]) for line in held["lines"]] == [("professional", 30),
                                                                          ("premier-support", 30)]  # fmt: skip
    told = key.get(f"/v1/invoices/{order['invoice_id']}/explain").json()
    assert told["replays"] is True
    assert [(line["numerator"], line["denominator"]) for line in told["lines"]] == [(days, year)] * 2
    again = key.post(f"{base}/changes", json={"preview": offer["id"], "acceptance": acceptance(offer)})
    assert again.json()["order"]["id"] == order["id"]


def test_less_waits_is_listed_and_withdrawn(bought: Bought, vendor: httpx.Client) -> None:
    base = f"/v1/subscriptions/{bought.order['subscription_id']}"
    offer = vendor.post(f"{base}/changes/preview", json={"seats": 12}).json()
    assert (offer["effective"], offer["total"]["amount"], offer["tax"]["amount"]) == ("at_renewal", 0, 0)
    assert offer["next_term"]["net"]["amount"] == 12 * 12_000
    done = vendor.post(f"{base}/changes", json={"preview": offer["id"]}).json()["scheduled"]
    held = vendor.get(base).json()
    assert (held["lines"][0]["quantity"], held["scheduled_change"]) == (25, done)
    assert (done["seats"], done["plan"], done["on"]) == (12, None, held["term"]["ends_on"])
    assert vendor.get(f"{base}/changes").json() == {"data": [done], "has_more": False}
    back = vendor.post(f"{base}/changes/{done['id']}/withdraw")
    assert (back.status_code, back.json()["state"]) == (200, "withdrawn")
    assert vendor.get(base).json()["scheduled_change"] is None
    twice = vendor.post(f"{base}/changes/{done['id']}/withdraw")
    assert (twice.status_code, twice.json()["code"]) == (409, "state_move_refused")


def test_refusals_name_the_reason_and_bring_the_new_offer(bought: Bought, vendor: httpx.Client, world: World) -> None:
    base = f"/v1/subscriptions/{bought.order['subscription_id']}"
    first, second = (vendor.post(f"{base}/changes/preview", json={"seats": 26}).json() for _ in range(2))
    other = vendor.post(f"{base}/changes/preview", json={"seats": 27}).json()
    assert vendor.post(f"{base}/changes", json={"preview": first["id"],
                                                "acceptance": acceptance(first)}).status_code == 201  # fmt: skip
    world.work()
    late = vendor.post(f"{base}/changes", json={"preview": other["id"], "acceptance": acceptance(other)})
    assert (late.status_code, late.json()["code"]) == (409, "preview_changed")
    assert late.json()["preview"].startswith("prv_")
    same = vendor.post(f"{base}/changes", json={"preview": second["id"], "acceptance": acceptance(second)})
    assert (same.status_code, same.json()["code"]) == (409, "preview_changed")
    for body, status, code, param in (
        ({}, 422, "validation_failed", None),
        ({"seats": 26}, 409, "change_refused", "seats"),
        ({"plan": "nonsense"}, 422, "unknown_plan", "plan"),
        ({"plan": "premier-support"}, 422, "invalid", "plan"),
        ({"seats": 9_000}, 422, "seats_out_of_range", "seats"),
        ({"seats": 20, "plan": "enterprise"}, 409, "change_refused", "seats"),
    ):
        refused = vendor.post(f"{base}/changes/preview", json=body)
        assert (refused.status_code, refused.json().get("param")) == (status, param) or code == "validation_failed"
        if code != "validation_failed":
            assert refused.json()["code"] == code
    direct = vendor.post("/v1/orders", json={"preview": other["id"], "acceptance": acceptance(other)})
    assert direct.status_code in {404, 422}
    large = vendor.post(f"{base}/changes/preview", json={"seats": 60}).json()
    assert (large["route"], large["reasons"][0]["code"]) == ("sales", "rolling_total")
    sales = vendor.post(f"{base}/changes", json={"preview": large["id"], "acceptance": acceptance(large)})
    assert (sales.status_code, sales.json()["code"]) == (409, "needs_quote")
    asked = vendor.post("/v1/quotes", json={"preview": large["id"]})
    assert asked.status_code == 201, asked.text
