"""Kept cards over the API: listed, chosen, removed, and entered on the provider's page."""

import httpx
import pytest

from tests import paying
from tests.api.buying import Bought, Buyer, make_key
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


def test_a_program_leads_a_customer_to_another_card(
    bought: Bought, buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    (old,) = vendor.get("/v1/payment_methods").json()["data"]
    assert (old["label"], old["default"], old["state"]) == ("Visa •••• 4242", True, "active")
    asked = vendor.post("/v1/card_setups", json={"account_id": bought.account})
    assert asked.status_code == 201, asked.text
    setup = asked.json()
    assert (setup["state"], setup["payment_method_id"]) == ("pending", None)
    paying.pay(world.browser(), setup["url"], "5555 5555 5555 4444")
    buyer.world.work()
    done = vendor.get(f"/v1/card_setups/{setup['id']}").json()
    assert (done["state"], done["url"]) == ("succeeded", None)
    new = vendor.get(f"/v1/payment_methods/{done['payment_method_id']}").json()
    assert (new["label"], new["exp_year"], new["exp_month"], new["default"]) == ("Mastercard •••• 4444", 2034, 12, True)
    back = vendor.post(f"/v1/payment_methods/{old['id']}/default").json()
    assert back["default"] is True
    gone = vendor.delete(f"/v1/payment_methods/{old['id']}").json()
    assert (gone["default"], gone["removed_at"] is not None) == (False, True)
    assert [each["id"] for each in vendor.get("/v1/payment_methods").json()["data"]] == [new["id"]]
    assert vendor.get(f"/v1/payment_methods/{new['id']}").json()["default"] is True
    assert vendor.post(f"/v1/payment_methods/{old['id']}/default").status_code == 404


def test_a_key_of_an_account_reaches_its_own_cards_only(bought: Bought, world: World) -> None:
    reading = world.api(make_key(world, account_id=bought.account, scopes=("accounts:read",)))
    (card,) = reading.get("/v1/payment_methods").json()["data"]
    assert reading.delete(f"/v1/payment_methods/{card['id']}").status_code == 403
    own = world.api(make_key(world, account_id=bought.account))
    refused = own.post("/v1/card_setups", json={"account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk"})
    assert (refused.status_code, refused.json()["param"]) == (404, "account_id")
