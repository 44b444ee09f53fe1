"""Credit notes and refunds over the API: what is asked for, what is refused, and what the paper says."""

import io
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from tests.api.buying import BERLIN, Bought, Buyer, make_key
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    """Eleven seats for a month in Berlin without a VAT number: 19 % German VAT."""
    lines = [{"sku": "professional", "quantity": 11}]
    return buyer.buy(lines=lines, interval="month", buyer=BERLIN | {"locale": "de"}, currency="EUR")


def send(client: httpx.Client, bought: Bought, **body: Any) -> httpx.Response:
    return client.post("/v1/credit_notes", json={"invoice_id": bought.order["invoice_id"]} | body)


def words(client: httpx.Client, note: dict[str, Any]) -> str:
    answer = client.get(f"/v1/credit_notes/{note['id']}/pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content == client.get(f"/v1/credit_notes/{note['id']}/pdf").content
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_a_line_is_credited_at_the_tax_of_then(vendor: httpx.Client, bought: Bought) -> None:
    answer = send(vendor, bought, lines=[{"line": 1, "net": 1_000}], destination="credit", reason="goodwill")
    assert answer.status_code == 201, answer.text
    note = answer.json()
    assert (note["net"]["amount"], note["tax"]["amount"], note["total"]["amount"]) == (1_000, 190, 1_190)
    assert (note["to_credit"]["amount"], note["number"]) == (1_190, "ACME-CN-000001")
    assert [(tax["jurisdiction"], tax["rate"], tax["amount"]["amount"]) for tax in note["taxes"]] == [("DE", "19", 190)]
    invoice = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}").json()
    assert (invoice["credited"]["amount"], invoice["amount_due"]["amount"]) == (1_190, 0)
    listed = vendor.get("/v1/credit_notes", params={"invoice_id": invoice["id"]}).json()["data"]
    assert listed == [note]


def test_the_paper_speaks_the_buyers_language_and_says_where_the_money_goes(
    vendor: httpx.Client, bought: Bought, buyer: Buyer
) -> None:
    note = send(vendor, bought, amount=1_190, destination="refund").json()
    said = words(vendor, note)
    number = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}").json()["number"]
    for each in ("Rechnungskorrektur", note["number"], f"Korrektur zu Rechnung {number}", "11,90", "1,90",
                 "Berichtigung der Rechnung", "Wir erstatten", "Example GmbH", "Deutschland", "19"):  # fmt: skip
        assert each in said, (each, said)
    english = buyer.buy(buyer=BERLIN | {"email": "x@example.org", "company": "Other GmbH"}, currency="EUR")
    said = words(vendor, send(vendor, english, amount=100, destination="credit").json())
    for each in ("Credit note", "Credited to invoice", "We keep €1.00 as your credit", "Correction of the invoice"):
        assert each in said, (each, said)


def test_what_cannot_be_credited_is_refused_with_the_remedy(vendor: httpx.Client, bought: Bought) -> None:
    too_much = send(vendor, bought, lines=[{"line": 1, "net": 10**9}], destination="credit")
    assert (too_much.status_code, too_much.json()["code"]) == (422, "credit_too_large")
    unknown = send(vendor, bought, lines=[{"line": 2, "net": 1}], destination="credit")
    assert (unknown.status_code, unknown.json()["param"]) == (422, "lines.0.line")
    both = send(vendor, bought, lines=[{"line": 1, "net": 1}], amount=1, destination="credit")
    assert both.status_code == 422
    paid = send(vendor, bought, amount=100, destination="invoice")
    assert (paid.status_code, paid.json()["code"]) == (409, "settlement_does_not_fit")


def test_a_customer_reads_but_does_not_write(vendor: httpx.Client, bought: Bought, world: World) -> None:
    note = send(vendor, bought, amount=100, destination="credit").json()
    owner = world.api(make_key(world, account_id=bought.account))
    assert owner.get(f"/v1/credit_notes/{note['id']}").json() == note
    assert send(owner, bought, amount=100, destination="credit").status_code == 403
    refused = owner.post("/v1/refunds", json={"invoice_id": bought.order["invoice_id"]})
    assert refused.status_code == 403


def test_a_refund_is_looked_at_asked_for_once_and_done(vendor: httpx.Client, bought: Bought, buyer: Buyer) -> None:
    body = {"invoice_id": bought.order["invoice_id"], "reason": "cancellation"}
    seen = vendor.post("/v1/refunds/preview", json=body).json()
    assert (seen["full"], seen["revoke_license"], seen["licenses"]) == (True, True, [bought.license])
    headers = {"Idempotency-Key": "once"}
    first, again = (vendor.post("/v1/refunds", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["amount"] == seen["amount"]
    buyer.world.work()
    done = vendor.get(f"/v1/refunds/{first.json()['id']}").json()
    assert (done["state"], done["provider_ref"].startswith("re_")) == ("succeeded", True)
    assert vendor.get(f"/v1/licenses/{bought.license}").json()["state"] == "revoked"
    nothing = vendor.post("/v1/refunds", json=body)
    assert (nothing.status_code, nothing.json()["code"]) == (422, "nothing_to_credit")


def test_above_the_limit_a_refund_waits_and_a_credit_note_is_refused(vendor: httpx.Client, buyer: Buyer) -> None:
    big = buyer.buy()
    waits = vendor.post("/v1/refunds", json={"invoice_id": big.order["invoice_id"]}).json()
    assert (waits["state"], waits["credit_note_id"]) == ("requested", None)
    refused = send(vendor, big, destination="refund")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_person_needed")
