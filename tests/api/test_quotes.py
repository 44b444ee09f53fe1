"""Quotes over the API: answered, sent, accepted, declined, by those who may (INTERFACES, quotes)."""

import base64
from datetime import date
from io import BytesIO
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from app.core import policy
from tests.api.buying import Buyer, make_key
from tests.world import World

SCAN = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


def asked(buyer: Buyer, seats: int = 100) -> dict[str, Any]:
    preview = buyer.preview(lines=[{"sku": "professional", "quantity": seats}])
    return dict(buyer.client.post("/v1/quotes", json={"preview": preview["id"], "note": "By Friday."}).json())


def own(buyer: Buyer, vendor: httpx.Client, quote: dict[str, Any]) -> httpx.Client:
    """A key of the account that asked."""
    account = vendor.get(f"/v1/quotes/{quote['id']}").json()["account_id"]
    return buyer.world.api(make_key(buyer.world, account_id=account))


def sent(buyer: Buyer, vendor: httpx.Client, **changes: Any) -> dict[str, Any]:
    quote = asked(buyer)
    answer = vendor.patch(f"/v1/quotes/{quote['id']}", json=changes or {"message": "Gladly."})
    assert answer.status_code == 200, answer.text
    answer = vendor.post(f"/v1/quotes/{quote['id']}/send")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def yes(quote: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "terms": quote["terms"], "person_name": "Eva Boss", "person_email": "eva@example.com", "authority": True,
    } | more  # fmt: skip


def test_a_request_is_answered_sent_accepted_and_paid(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = sent(buyer, vendor, message="Gladly.", internal_note="Be nice.")
    assert (quote["state"], quote["revision"], quote["number"][-3:]) == ("sent", 1, "-r1")
    assert (quote["payment"], quote["net_days"], quote["accept_by"]) == ("card", None, "click")
    (line,) = quote["lines"]
    assert line["list"] == line["net"] == {"amount": 1_200_000, "currency": "USD"}
    mine = own(buyer, vendor, quote)
    seen = mine.get(f"/v1/quotes/{quote['id']}").json()
    assert (seen["internal_note"], quote["internal_note"]) == (None, "Be nice.")
    accepted = mine.post(f"/v1/quotes/{quote['id']}/accept", json=yes(seen, po_number="PO-1"))
    assert accepted.status_code == 201, accepted.text
    order = accepted.json()
    assert (order["total"], order["po_number"], order["state"]) == (quote["total"], "PO-1", "awaiting_payment")
    again = mine.post(f"/v1/quotes/{quote['id']}/accept", json=yes(seen))
    assert (again.status_code, again.json()["code"], again.json()["state"]) == (409, "quote_closed", "accepted")
    buyer.pay(order)
    assert vendor.get(f"/v1/orders/{order['id']}").json()["state"] == "completed"
    assert vendor.get(f"/v1/quotes/{quote['id']}").json()["order_id"] == order["id"]


def test_what_was_agreed_on_invoice_is_delivered_at_once_and_due_after_the_days_of_the_quote(
    buyer: Buyer, vendor: httpx.Client
) -> None:
    quote = sent(buyer, vendor, payment="invoice", net_days=45)
    mine, door = own(buyer, vendor, quote), f"/v1/quotes/{quote['id']}/accept"
    nameless = mine.post(door, json=yes(quote))
    assert (nameless.status_code, nameless.json()["param"]) == (422, "po_number")
    order = mine.post(door, json=yes(quote, po_number="PO-1")).json()
    assert (order["state"], order["payment_url"]) == ("completed", None)
    invoice = mine.get(f"/v1/invoices/{order['invoice_id']}").json()
    assert invoice["state"] == "open"
    days = date.fromisoformat(invoice["due_on"]) - date.fromisoformat(invoice["issued_on"])
    assert days.days == 45


def test_the_same_key_twice_accepts_once_and_answers_the_same(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = sent(buyer, vendor)
    mine = own(buyer, vendor, quote)
    answers = [
        mine.post(f"/v1/quotes/{quote['id']}/accept", json=yes(quote), headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_programs_give_no_discount_without_a_persons_approval(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = asked(buyer)
    wanted = [{"sku": "professional", "quantity": 100, "discount_percent": "12.5"}]
    draft = vendor.patch(f"/v1/quotes/{quote['id']}", json={"lines": wanted}).json()
    (line,) = draft["lines"]
    assert (line["discount"]["amount"], line["discount_percent"], line["net"]["amount"]) == (150_000, "12.5", 1_050_000)
    refused = vendor.post(f"/v1/quotes/{quote['id']}/send")
    assert (refused.status_code, refused.json()["code"]) == (409, "discount_needs_approval")
    now = buyer.world.ports.clock.now()
    with buyer.world.db.transaction() as tx:
        policy.change(tx, "quote_discount_percent", {"api": 20}, valid_from=now, by="test", why="test", now=now)
    assert vendor.post(f"/v1/quotes/{quote['id']}/send").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"lines": [{"sku": "nothing", "quantity": 1}]}, 422, "sku"),
        ({"lines": [{"sku": "professional", "quantity": 5}]}, 422, "lines.0.quantity"),
        ({"lines": [{"sku": "professional", "quantity": 20, "discount_percent": "101"}]}, 422,
         "lines.0.discount_percent"),
        ({"lines": [{"sku": "professional", "quantity": 20, "discount_percent": "1", "discount_amount": 1}]}, 422,
         "lines.0.discount_amount"),
        ({"valid_until": "2001-01-01"}, 422, "valid_until"),
        ({"payment": "invoice"}, 422, "net_days"),
        ({"unit_amount": 1}, 422, "unit_amount"),
    ],
)  # fmt: skip
def test_what_cannot_be_offered_is_refused_at_its_field(
    buyer: Buyer, vendor: httpx.Client, body: dict[str, Any], status: int, param: str
) -> None:
    quote = asked(buyer)
    refused = vendor.patch(f"/v1/quotes/{quote['id']}", json=body)
    assert (refused.status_code in {status, 404}, refused.json()["param"]) == (True, param), refused.text
    assert vendor.get(f"/v1/quotes/{quote['id']}").json()["state"] == "requested"


def test_the_customer_sees_no_draft_and_writes_none(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = asked(buyer)
    mine = own(buyer, vendor, quote)
    vendor.patch(f"/v1/quotes/{quote['id']}", json={"message": "Not yet."})
    seen = mine.get(f"/v1/quotes/{quote['id']}").json()
    assert (seen["state"], seen["number"], seen["lines"], seen["message"]) == ("requested", None, [], "")
    assert [each["id"] for each in mine.get("/v1/quotes?state=requested").json()["data"]] == [quote["id"]]
    assert mine.get("/v1/quotes?state=draft").json()["data"] == []
    for door in ("send", "revise"):
        body = {"reason": "x"} if door == "revise" else None
        assert mine.post(f"/v1/quotes/{quote['id']}/{door}", json=body).status_code == 403
    assert mine.patch(f"/v1/quotes/{quote['id']}", json={}).status_code == 403
    vendor.post(f"/v1/quotes/{quote['id']}/send")
    revision = vendor.post(f"/v1/quotes/{quote['id']}/revise", json={"reason": "More seats."}).json()
    assert (revision["state"], revision["revision"]) == ("draft", 2)
    assert mine.get(f"/v1/quotes/{revision['id']}").status_code == 404
    assert mine.post(f"/v1/quotes/{revision['id']}/accept", json=yes(revision)).status_code == 404
    assert [each["state"] for each in mine.get("/v1/quotes").json()["data"]] == ["superseded"]


def test_an_offer_is_declined_by_the_customer_and_withdrawn_by_the_vendor(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = sent(buyer, vendor)
    mine = own(buyer, vendor, quote)
    assert vendor.post(f"/v1/quotes/{quote['id']}/decline", json={"reason": "x"}).status_code == 409
    assert mine.post(f"/v1/quotes/{quote['id']}/withdraw", json={"reason": "x"}).status_code == 409
    declined = mine.post(f"/v1/quotes/{quote['id']}/decline", json={"reason": "Too dear."}).json()
    assert (declined["state"], declined["closed_reason"]) == ("declined", "Too dear.")
    other = sent(buyer, vendor)
    assert vendor.post(f"/v1/quotes/{other['id']}/withdraw", json={"reason": "A slip."}).json()["state"] == "withdrawn"


def test_from_the_threshold_on_the_paper_comes_with_the_acceptance(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, "esignature_threshold", {"USD": 1}, valid_from=now, by="test", why="test", now=now)
    quote = sent(buyer, vendor)
    assert quote["accept_by"] == "signature"
    mine, door = own(buyer, vendor, quote), f"/v1/quotes/{quote['id']}/accept"
    missing = mine.post(door, json=yes(quote))
    assert (missing.status_code, missing.json()["code"]) == (422, "signature_needed")
    for content, code in (("%%%", "invalid"), (base64.b64encode(b"hello").decode(), "paper_refused")):
        refused = mine.post(door, json=yes(quote, paper={"content": content}))
        assert (refused.status_code, refused.json()["code"], refused.json()["param"]) == (422, code, "paper.content")
    paper = {"content": base64.b64encode(SCAN + b"0" * 400_000 + b"%%EOF").decode(), "name": "signed.pdf"}
    assert mine.post(door, json=yes(quote, paper=paper)).status_code == 201


def test_the_paper_says_what_the_json_says(buyer: Buyer, vendor: httpx.Client) -> None:
    quote = sent(buyer, vendor)
    drawn = own(buyer, vendor, quote).get(f"/v1/quotes/{quote['id']}/pdf")
    assert drawn.headers["content-type"] == "application/pdf"
    shown = " ".join(page.extract_text() for page in PdfReader(BytesIO(drawn.content)).pages)
    assert quote["number"] in shown
    assert "$12,000.00" in shown
    assert vendor.get(f"/v1/quotes/{asked(buyer)['id']}/pdf").status_code == 404
