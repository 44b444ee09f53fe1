"""Terms, codes and explanations as programs meet them."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.buying import BERLIN, EU_VAT, Buyer, make_key
from tests.catalog.selling import TIERS, sell, with_coupon, with_model
from tests.world import World


def test_a_yearly_plan_can_be_prepaid_for_years(buyer: Buyer) -> None:
    one, three = buyer.preview(), buyer.preview(term_years=3)
    assert (one["term_months"], three["term_months"]) == (12, 36)
    assert three["net"]["amount"] == 3 * one["net"]["amount"]
    assert three["lines"][0]["intervals"] == 3
    assert three["route"] == "sales", "9,000.00 over the whole term"


def test_a_term_billed_yearly_asks_for_a_year_and_is_measured_as_a_whole(buyer: Buyer, vendor: httpx.Client) -> None:
    one, three = buyer.preview(), buyer.preview(term_years=3, billing="yearly")
    assert (three["total"], three["net"], three["lines"][0]["intervals"]) == (one["total"], one["net"], 1)
    assert three["committed"]["amount"] == 3 * one["net"]["amount"]
    assert (one["billing"], one["committed"], three["billing"]) == ("prepaid", None, "yearly")
    assert three["route"] == "sales", "9,000.00 over the whole term"
    small = {"lines": [{"sku": "professional", "quantity": 11}], "term_years": 2, "billing": "yearly"}
    full, off = buyer.preview(**small), buyer.preview(**small, coupon="welcome10")
    assert off["committed"]["amount"] == full["committed"]["amount"] - off["discount"]["amount"], "off the first year"
    order = buyer.buy(**small).order
    term = vendor.get(f"/v1/subscriptions/{order['subscription_id']}").json()["term"]
    assert (term["months"], term["billing"]) == (24, "yearly")
    assert term["starts_on"] < term["billed_to"] < term["ends_on"]
    invoice = vendor.get(f"/v1/invoices/{order['invoice_id']}").json()
    assert (invoice["supply_from"], invoice["supply_to"]) == (term["starts_on"], term["billed_to"])


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"billing": "yearly"}, "invalid", "billing"),
        ({"billing": "yearly", "term_years": 1}, "invalid", "billing"),
        ({"billing": "monthly", "term_years": 2}, "invalid", "billing"),
        ({"term_years": 4}, "invalid", "term_years"),
        ({"term_years": 0}, "invalid", "term_years"),
        ({"term_years": "3"}, "invalid", "term_years"),
        ({"term_years": True}, "invalid", "term_years"),
        ({"term_years": 2, "interval": "month"}, "invalid", None),
        ({"coupon": "NOSUCH"}, "coupon_refused", "coupon"),
        ({"coupon": 10}, "invalid", "coupon"),
        ({"coupon": "A" * 41}, "invalid", "coupon"),
    ],
)
def test_a_term_or_code_that_will_not_do_is_named(
    buyer: Buyer, changes: dict[str, Any], code: str, param: str | None
) -> None:
    answer = buyer.client.post("/v1/previews", json=buyer.wanted(**changes))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert param is None or problem["param"] == param


def test_a_refused_code_carries_its_reason(buyer: Buyer, world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("EUROS", amounts={"EUR": "50.00"}))
    problem = buyer.client.post("/v1/previews", json=buyer.wanted(coupon="euros")).json()
    assert (problem["reason"], problem["param"]) == ("other_currency", "coupon")
    assert "in EUR, not in USD" in problem["detail"]


def test_a_discount_is_the_same_figure_from_preview_to_invoice(buyer: Buyer, vendor: httpx.Client) -> None:
    preview = buyer.preview(coupon="welcome10")
    assert preview["discount"] == {"amount": 30_000, "currency": "USD"}
    assert preview["coupon"] == {
        "code": "WELCOME10", "name": "Ten percent off the first term", "words": "10 % off, on this order",
    }  # fmt: skip
    order = buyer.send_order(preview).json()
    buyer.pay(order)
    done = vendor.get(f"/v1/orders/{order['id']}").json()
    invoice = vendor.get(f"/v1/invoices/{done['invoice_id']}").json()
    for document in (order, done, invoice):
        assert document["discount"] == preview["discount"]
        assert document["lines"][0]["discount"] == preview["discount"]
        assert document["net"] == preview["net"]
        assert document["total"] == preview["total"]


def test_an_invoice_explains_every_amount_and_replays_it(
    buyer: Buyer, vendor: httpx.Client, world: World, tmp_path: Path
) -> None:
    sell(world, tmp_path, with_model(model="graduated", tiers=TIERS))
    bought = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR", coupon="WELCOME10",
                       lines=[{"sku": "professional", "quantity": 30}])  # fmt: skip
    told = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}/explain").json()
    assert told["replays"] is True
    (line,) = told["lines"]
    assert line["model"] == "graduated"
    assert [(step["words"], step["count"], step["amount"]["amount"]) for step in line["steps"]] == [
        ("seats 1 to 20", 20, 220_000), ("seats 21 to 30", 10, 90_000), ("the tier's fee", 1, 2_500),
    ]  # fmt: skip
    assert (line["before_discount"]["amount"], line["discount"]["amount"], line["net"]["amount"]) == (
        312_500, 31_250, 281_250
    )  # fmt: skip
    assert line["sentences"][-1] == "Less the discount of 312.50 EUR: 2,812.50 EUR."
    assert told["discount"]["replays"] is True
    assert told["treatment"] == "reverse_charge"
    assert told["sentence"] == "2,812.50 EUR net + 0.00 EUR tax = 2,812.50 EUR."


def test_an_explanation_is_closed_to_others(buyer: Buyer, world: World) -> None:
    mine, other = buyer.buy(), buyer.buy(buyer=BERLIN, currency="EUR", tax_ids=[EU_VAT])
    key = world.api(make_key(world, account_id=other.account))
    assert key.get(f"/v1/invoices/{mine.order['invoice_id']}/explain").status_code == 404
    assert key.get(f"/v1/invoices/{other.order['invoice_id']}/explain").status_code == 200


def test_plans_tell_their_price_models(buyer: Buyer, world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model(model="volume", tiers=TIERS))
    plans = buyer.client.get("/v1/plans?currency=EUR").json()["data"]
    price = next(
        each for plan in plans if plan["sku"] == "professional" for each in plan["prices"] if each["interval"] == "year"
    )
    assert (price["model"], price["unit"]["amount"]) == ("volume", 11_000)
    assert [(tier["up_to"], tier["unit"]["amount"], tier["flat"]["amount"]) for tier in price["tiers"]] == [
        (20, 11_000, 0), (50, 9_000, 2_500), (None, 7_000, 0),
    ]  # fmt: skip
