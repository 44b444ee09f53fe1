"""Ordering over the API: what is charged is what was shown, or nothing is ordered."""

from datetime import date, timedelta
from typing import Any

import httpx
from sqlalchemy import func, select
from sqlmodel import col

from app.adapters.sandbox import switches
from app.adapters.sandbox.clock import set_to
from app.adapters.sandbox.models import Fault
from app.agreements.models import Acceptance
from app.catalog.models import Plan, Price
from app.core.ids import new_id
from app.orders.models import Order
from tests.api.buying import NEW_YORK, Buyer, make_key
from tests.world import World


def orders_in(world: World) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(Order)).scalar_one()


def raise_price(world: World) -> None:
    """A dearer price for a year of Professional, from today on."""
    today = world.ports.clock.now().date()
    with world.db.transaction() as tx:
        price = tx.execute(
            select(Price).join(Plan, col(Plan.id) == col(Price.plan_id)).where(
                col(Plan.sku) == "professional", col(Price.currency) == "USD", col(Price.interval) == "year"
            )
        ).scalar_one()  # fmt: skip
        # The seller's day may still be yesterday.
        price.valid_to = from_on = today - timedelta(days=1)
        tx.flush()
        tx.add(Price(
            id=new_id("prc"), plan_id=price.plan_id, currency="USD", interval=price.interval, unit_minor=13_000,
            valid_from=from_on,
        ))  # fmt: skip
    assert isinstance(from_on, date)


def test_a_purchase_without_a_key_leads_to_payment_and_then_to_a_license(buyer: Buyer, vendor: httpx.Client) -> None:
    preview = buyer.preview()
    ordered = buyer.send_order(preview, po_number="PO-4711")
    assert ordered.status_code == 201, ordered.text
    order = ordered.json()
    assert order["state"] == "awaiting_payment"
    assert order["payment_url"].startswith(f"{buyer.world.url}/sandbox/pay/")
    assert order["url"].startswith(f"{buyer.world.url}/orders/{order['id']}.")
    assert order["total"] == preview["total"]
    assert order["account_id"] is None  # whether this address has bought before is nobody's business

    assert vendor.get(f"/v1/orders/{order['id']}").json()["payment_url"] == order["payment_url"]
    buyer.pay(order)
    paid = vendor.get(f"/v1/orders/{order['id']}").json()
    assert (paid["state"], paid["payment_url"], paid["po_number"]) == ("completed", None, "PO-4711")
    assert vendor.get(f"/v1/invoices/{paid['invoice_id']}").json()["total"] == preview["total"]
    assert vendor.get(f"/v1/licenses/{paid['license_id']}").json()["seats"] == 25
    payment = vendor.get("/v1/payments").json()["data"][0]
    assert (payment["amount"], payment["method_label"]) == (preview["total"], "Visa •••• 4242")
    assert vendor.get(f"/v1/payments/{payment['id']}").json() == payment


def test_the_click_is_kept_as_evidence(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    acceptance = buyer.acceptance(preview) | {"person": "Grace Example"}
    order = buyer.send_order(preview, acceptance=acceptance, headers={"User-Agent": "procurement/1.0"}).json()
    with world.db.transaction() as tx:
        kept = tx.execute(select(Acceptance).where(col(Acceptance.order_id) == order["id"])).scalar_one()
    assert (kept.person_name, kept.ip, kept.user_agent) == ("Grace Example", "127.0.0.1", "procurement/1.0")
    assert kept.terms_id == preview["terms"]["id"]


def test_the_same_preview_twice_is_one_order(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    first, second = buyer.send_order(preview).json(), buyer.send_order(preview).json()
    assert (first["id"], first["payment_url"]) == (second["id"], second["payment_url"])
    assert orders_in(world) == 1


def test_an_expired_preview_is_refused(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    set_to(world.db, world.ports.clock.now() + timedelta(hours=25))
    refused = buyer.send_order(preview)
    assert (refused.status_code, refused.json()["code"]) == (410, "preview_expired")
    assert orders_in(world) == 0


def test_a_changed_price_refuses_with_a_new_preview_that_can_be_ordered(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    raise_price(world)
    refused = buyer.send_order(preview)
    assert (refused.status_code, refused.json()["code"]) == (409, "preview_changed")
    assert orders_in(world) == 0
    fresh = preview | {"id": refused.json()["preview"]}
    ordered = buyer.send_order(fresh)
    assert ordered.status_code == 201, ordered.text
    assert ordered.json()["net"] == {"amount": 25 * 13_000, "currency": "USD"}


def test_what_was_not_agreed_is_not_ordered(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    good = buyer.acceptance(preview)
    tries: dict[str, tuple[dict[str, Any], int, str]] = {
        "no authority": ({"acceptance": good | {"authority": False}}, 422, "acceptance.authority"),
        "authority as text": ({"acceptance": good | {"authority": "true"}}, 422, "acceptance.authority"),
        "no acceptance": ({"acceptance": None}, 422, "acceptance"),
        "other terms": ({"acceptance": good | {"terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk"}}, 409, "acceptance.terms"),
        "somebody else": ({"acceptance": good | {"person": "Mallory"}}, 422, "acceptance.person"),
        "by invoice": ({"payment": "invoice"}, 409, "payment"),
        "by barter": ({"payment": "wheat"}, 422, "payment"),
        "a state of one's own": ({"state": "completed"}, 422, "state"),
        "another preview": ({"preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk"}, 404, "preview"),
        "no preview's id": ({"preview": preview["terms"]["id"]}, 422, "preview"),
    }  # fmt: skip
    found = {}
    for name, (changes, _, _) in tries.items():
        answer = buyer.send_order(preview, **changes)
        found[name] = (answer.status_code, answer.json().get("param"))
    assert found == {name: (status, param) for name, (_, status, param) in tries.items()}
    assert orders_in(world) == 0


def test_an_estimate_without_an_address_cannot_be_ordered(buyer: Buyer) -> None:
    preview = buyer.preview(buyer=NEW_YORK | {"line1": ""})
    refused = buyer.send_order(preview)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert refused.json()["param"] == "buyer.line1"
    assert "street" in refused.json()["detail"]


def test_a_deal_for_sales_becomes_a_quote_instead(buyer: Buyer, vendor: httpx.Client) -> None:
    preview = buyer.preview(lines=[{"sku": "professional", "quantity": 100}])
    refused = buyer.send_order(preview)
    assert (refused.status_code, refused.json()["code"]) == (409, "needs_quote")

    asked = buyer.client.post("/v1/quotes", json={"preview": preview["id"], "note": "By Friday, please."})
    assert asked.status_code == 201, asked.text
    quote = asked.json()
    assert (quote["state"], quote["account_id"]) == ("requested", None)
    assert quote["url"].startswith(f"{buyer.world.url}/q/")
    again = buyer.client.post("/v1/quotes", json={"preview": preview["id"]}).json()
    assert again["id"] == quote["id"]

    seen = vendor.get(f"/v1/quotes/{quote['id']}").json()
    assert seen["note"] == "By Friday, please."
    own = buyer.world.api(make_key(buyer.world, account_id=seen["account_id"]))
    assert own.post(f"/v1/quotes/{quote['id']}/decline", json={"reason": "no"}).status_code == 403
    withdrawn = own.post(f"/v1/quotes/{quote['id']}/withdraw", json={"reason": "Bought elsewhere."})
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    late = vendor.post(f"/v1/quotes/{quote['id']}/decline", json={"reason": "Too late."})
    assert (late.status_code, late.json()["code"]) == (409, "state_move_refused")
    assert [each["id"] for each in vendor.get("/v1/quotes?state=withdrawn").json()["data"]] == [quote["id"]]


def test_an_order_survives_a_payment_provider_that_is_down(buyer: Buyer, world: World) -> None:
    preview = buyer.preview()
    headers = {"Idempotency-Key": "order-in-a-storm"}
    switches.flip(world.db, fault=Fault.DOWN)
    refused = buyer.send_order(preview, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "payment_unavailable")
    assert refused.headers["retry-after"]
    assert orders_in(world) == 1
    switches.reset(world.db)
    ordered = buyer.send_order(preview, headers=headers)  # a 503 is not kept, so the same key runs again
    assert ordered.status_code == 201, ordered.text
    assert ordered.json()["payment_url"]
    assert orders_in(world) == 1


def test_an_unpaid_order_can_be_given_up_and_a_paid_one_cannot(buyer: Buyer, vendor: httpx.Client) -> None:
    order = buyer.order()
    canceled = vendor.post(f"/v1/orders/{order['id']}/cancel")
    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    again = vendor.post(f"/v1/orders/{order['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "state_move_refused")
    bought = buyer.buy(buyer=NEW_YORK | {"email": "other@example.com"})
    paid = vendor.post(f"/v1/orders/{bought.order['id']}/cancel")
    assert (paid.status_code, paid.json()["code"]) == (409, "order_closed")


def test_a_preview_is_ordered_for_the_account_it_was_routed_for(buyer: Buyer, world: World) -> None:
    """Else the rolling threshold could be walked around with a preview that counts towards somebody else."""
    bought = buyer.buy()
    own = Buyer(world, world.api(make_key(world, account_id=bought.account)))
    foreign = buyer.preview(buyer=NEW_YORK | {"email": "new@example.com"})
    assert own.send_order(foreign).status_code == 404
    mine = own.preview(buyer=NEW_YORK | {"email": "new@example.com"}, lines=[{"sku": "professional", "quantity": 11}])
    assert buyer.send_order(mine).status_code == 404
    ordered = own.send_order(mine)
    assert (ordered.status_code, ordered.json()["account_id"]) == (201, bought.account)
    # 3,000 were spent before, so 2,000 more reach the limit of 5,000.
    assert own.preview(lines=[{"sku": "professional", "quantity": 17}])["route"] == "sales"


def test_lists_go_page_by_page_from_the_newest(buyer: Buyer, vendor: httpx.Client) -> None:
    made = [buyer.order(buyer=NEW_YORK | {"email": f"b{n}@example.com"})["id"] for n in range(3)]
    first = vendor.get("/v1/orders?limit=2").json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == ([made[2], made[1]], True)
    second = vendor.get("/v1/orders", params={"limit": 2, "starting_after": made[1]}).json()
    assert ([each["id"] for each in second["data"]], second["has_more"]) == ([made[0]], False)
    for params in ({"limit": 0}, {"limit": 101}, {"starting_after": "ord_1"}, {"state": "done"}):
        refused = vendor.get("/v1/orders", params=params)
        assert (refused.status_code, refused.json()["param"]) == (422, next(iter(params)))
