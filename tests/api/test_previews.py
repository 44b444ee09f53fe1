"""What a program is told before it buys, and how it is told that an input will not do."""

from typing import Any

import httpx

from tests.api.buying import BERLIN, EU_VAT, NEW_YORK, Buyer
from tests.world import World

US_PER_YEAR = 12_000


def test_a_preview_adds_up_and_says_why_the_tax_is_what_it_is(buyer: Buyer) -> None:
    preview = buyer.preview()
    net, tax, total = (preview[name]["amount"] for name in ("net", "tax", "total"))
    assert (net, total) == (25 * US_PER_YEAR, net + tax)
    assert preview["discount"] == {"amount": 0, "currency": "USD"}
    assert tax == sum(part["amount"]["amount"] for part in preview["tax"]["components"])
    assert preview["tax"]["components"][0]["jurisdiction"] == "US-NY"
    assert preview["tax"]["treatment"] == "standard"
    assert "New York" in preview["tax"]["reason"]
    assert preview["route"] == "automatic"
    assert preview["reasons"][0]["figure"] == {"amount": 500_000, "currency": "USD"}
    assert preview["lines"][0]["unit"] == {"amount": US_PER_YEAR, "currency": "USD"}


def test_a_confirmed_number_shifts_the_tax_to_a_german_business(buyer: Buyer) -> None:
    preview = buyer.preview(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    assert preview["tax"] == preview["tax"] | {"amount": 0, "treatment": "reverse_charge", "components": []}
    assert "Art. 196" in preview["tax"]["note"]
    assert preview["tax_ids"] == [EU_VAT | {"status": "valid"}]


def test_term_is_another_name_for_interval_and_an_estimate_needs_a_country_only(buyer: Buyer) -> None:
    wanted = buyer.wanted(buyer={"country": "us", "region": "NY", "postcode": "10001"}, term="month")
    del wanted["interval"]
    answer = buyer.client.post("/v1/previews", json=wanted)
    assert answer.status_code == 201, answer.text
    assert answer.json()["interval"] == "month"
    assert answer.json()["lines"][0]["unit"]["amount"] == 1_200


def test_a_deal_at_the_threshold_is_told_to_go_through_sales_with_every_reason(buyer: Buyer) -> None:
    preview = buyer.preview(lines=[{"sku": "enterprise-advanced", "quantity": 50}])
    assert preview["route"] == "sales"
    assert {reason["code"] for reason in preview["reasons"]} == {"sales_only_plan", "at_or_above_threshold"}


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("an unknown country", {"buyer": NEW_YORK | {"country": "XX"}}, "buyer.country", "invalid"),
    ("a country in words", {"buyer": NEW_YORK | {"country": "Germany"}}, "buyer.country", "invalid"),
    ("no buyer", {"buyer": None}, "buyer", "invalid"),
    ("a malformed tax id", {"buyer": BERLIN, "currency": "EUR", "tax_ids": [{"type": "eu_vat", "value": "DE12"}]},
     "tax_ids.0.value", "invalid"),
    ("a tax id of no type", {"tax_ids": [EU_VAT, {"type": "qq_vat", "value": "123"}], "buyer": BERLIN,
                             "currency": "EUR"}, "tax_ids.1.value", "invalid"),
    ("too few seats", {"lines": [{"sku": "professional", "quantity": 10}]}, "lines.0.quantity", "seats_out_of_range"),
    ("no seats", {"lines": [{"sku": "professional", "quantity": 0}]}, "lines.0.quantity", "seats_out_of_range"),
    ("negative seats", {"lines": [{"sku": "professional", "quantity": -25}]}, "lines.0.quantity",
     "seats_out_of_range"),
    ("absurdly many seats", {"lines": [{"sku": "professional", "quantity": 10**30}]}, "lines.0.quantity",
     "seats_out_of_range"),
    ("seats as text", {"lines": [{"sku": "professional", "quantity": "25"}]}, "lines.0.quantity", "invalid"),
    ("seats with a fraction", {"lines": [{"sku": "professional", "quantity": 25.5}]}, "lines.0.quantity", "invalid"),
    ("a yes for seats", {"lines": [{"sku": "professional", "quantity": True}]}, "lines.0.quantity", "invalid"),
    ("a plan nobody sells", {"lines": [{"sku": "professional", "quantity": 25}, {"sku": "gold", "quantity": 1}]},
     "lines.1.sku", "unknown_plan"),
    ("no lines", {"lines": []}, "lines", "invalid"),
    ("a line that is no line", {"lines": ["professional"]}, "lines.0", "invalid"),
    ("a currency we do not sell in", {"currency": "JPY"}, "currency", "no_price"),
    ("a currency in lower case", {"currency": "usd"}, "currency", "invalid"),
    ("an interval nobody knows", {"interval": "week"}, "interval", "invalid"),
    ("an address that is no e-mail", {"buyer": NEW_YORK | {"email": "grace"}}, "buyer.email", "invalid"),
    ("a line break in a name", {"buyer": NEW_YORK | {"name": "Grace\r\nBcc: x"}}, "buyer.name", "invalid"),
    ("a zero byte", {"buyer": NEW_YORK | {"city": "New\0York"}}, "buyer.city", "invalid"),
    ("a price of the buyer's own", {"lines": [{"sku": "professional", "quantity": 25, "unit": 1}]}, "lines.0.unit",
     "invalid"),
    ("a total of the buyer's own", {"total": {"amount": 1, "currency": "USD"}}, "total", "invalid"),
]  # fmt: skip


def test_every_bad_input_is_refused_and_named(buyer: Buyer) -> None:
    found = {}
    for name, changes, _, _ in BAD:
        answer = buyer.client.post("/v1/previews", json=buyer.wanted(**changes))
        assert answer.headers["content-type"] == "application/problem+json", name
        found[name] = (answer.status_code, answer.json().get("param"), answer.json()["code"])
    assert found == {name: (422, param, code) for name, _, param, code in BAD}


def test_consumers_and_forbidden_destinations_are_refused_with_their_reason(buyer: Buyer) -> None:
    consumer = buyer.client.post("/v1/previews", json=buyer.wanted(buyer=NEW_YORK | {"type": "consumer"}))
    assert (consumer.status_code, consumer.json()["code"]) == (422, "consumers_not_served")
    assert consumer.json()["param"] == "buyer.company"
    korea = buyer.client.post("/v1/previews", json=buyer.wanted(buyer=NEW_YORK | {"country": "KP", "region": ""}))
    assert (korea.status_code, korea.json()["param"]) == (451, "buyer.country")


RAW: dict[str, tuple[bytes, int, str]] = {
    "broken off": (b'{"lines": [', 400, "malformed_json"),
    "NaN": (b'{"lines": [{"sku": "professional", "quantity": NaN}]}', 400, "malformed_json"),
    "infinity": (b'{"quantity": -Infinity}', 400, "malformed_json"),
    "half a surrogate pair": (b'{"currency": "\\ud800"}', 400, "malformed_json"),
    "not UTF-8": (b'{"currency": "\xff"}', 400, "malformed_json"),
    "deep": (b"[" * 33 + b"]" * 33, 400, "malformed_json"),
    "very deep": (b"[" * 100_000 + b"]" * 100_000, 400, "malformed_json"),
    "an endless number": (b'{"currency": ' + b"9" * 5000 + b"}", 400, "malformed_json"),
    "deep inside a string": (b'{"currency": "' + b"[" * 500 + b'"}', 422, "invalid"),
    "nothing": (b"", 422, "invalid"),
    "a list": (b"[]", 422, "invalid"),
    "too large": (b'{"currency": "' + b"x" * (256 * 1024) + b'"}', 413, "body_too_large"),
}


def test_bodies_that_are_no_json_are_told_apart_from_values_that_will_not_do(buyer: Buyer) -> None:
    headers = {"Content-Type": "application/json"}
    found = {}
    for name, (body, _, _) in RAW.items():
        answer = buyer.client.post("/v1/previews", content=body, headers=headers)
        found[name] = (answer.status_code, answer.json()["code"])
    assert found == {name: (status, code) for name, (_, status, code) in RAW.items()}


def test_a_large_body_sent_in_pieces_is_refused_as_well(buyer: Buyer) -> None:
    pieces = (b"x" * 1024 for _ in range(300))
    answer = buyer.client.post("/v1/previews", content=pieces, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_form_is_no_json(buyer: Buyer) -> None:
    answer = buyer.client.post("/v1/previews", data={"currency": "USD"})
    assert answer.status_code == 422


def test_the_catalog_is_open_to_everybody(world: World, buyer: Buyer) -> None:
    client: httpx.Client = world.browser()
    plans = client.get("/v1/plans?currency=EUR").json()["data"]
    professional = next(plan for plan in plans if plan["sku"] == "professional")
    assert {price["unit"]["currency"] for price in professional["prices"]} == {"EUR"}
    assert client.get(f"/v1/plans/{professional['id']}").json()["min_seats"] == 11
    missing = client.get("/v1/plans/pln_01ka8qj6x0c5q4m3t2r1p0n9mk")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert client.get(f"/v1/plans/{buyer.preview()['id']}").status_code == 404
