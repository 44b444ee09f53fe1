"""Electronic invoices of real purchases: valid where EN 16931 can say what was charged, refused in words elsewhere."""

import io
from typing import Any

import facturx  # type: ignore[import-untyped]  # the package carries no types
import httpx
from lxml import etree  # type: ignore[import-untyped]  # the package carries no types
from sqlalchemy import select

from app.accounts.models import LegalEntity, SellerRegistration
from app.documents.electronic_shapes import Syntax
from tests.api.buying import BERLIN, EU_VAT, NEW_YORK, Bought, Buyer
from tests.documents.schematron import broken_rules
from tests.world import FULL, World


def files(client: httpx.Client, path: str) -> dict[Syntax, bytes]:
    """Both syntaxes, valid by their schemas, and the CII one the same as in the PDF."""
    found = {}
    for syntax in Syntax:
        answer = client.get(f"{path}/xml", params={"syntax": syntax.value})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml"), answer.text
        assert answer.headers["content-disposition"].endswith(f'-{syntax.value}.xml"')
        assert facturx.xml_check_xsd(answer.content)
        found[syntax] = answer.content
    pdf = client.get(f"{path}/pdf").content
    assert pdf == client.get(f"{path}/pdf").content
    assert facturx.get_facturx_xml_from_pdf(pdf) == ("factur-x.xml", found[Syntax.CII])
    assert client.get(f"{path}/xml").content == found[Syntax.CII]
    return found


def said(made: bytes, tag: str) -> list[str]:
    """The texts of all elements of this name."""
    return [each.text for each in etree.parse(io.BytesIO(made)).iter(f"{{*}}{tag}") if each.text]


def invoice_of(bought: Bought) -> str:
    return f"/v1/invoices/{bought.order['invoice_id']}"


def test_european_invoices_and_credit_notes_are_valid_whoever_owes_the_tax(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    charged = buyer.buy(buyer=BERLIN, currency="EUR")
    standard = files(vendor, invoice_of(charged))
    note = vendor.post(
        "/v1/credit_notes",
        json={"invoice_id": charged.order["invoice_id"], "amount": 1_190, "destination": "credit"},
    ).json()  # fmt: skip
    credited = files(vendor, f"/v1/credit_notes/{note['id']}")
    hidden = BERLIN | {"email": "b@example.org", "company": "{{7*7}} #import <b>GmbH</b>"}
    outside = files(vendor, invoice_of(buyer.buy(buyer=hidden, tax_ids=[EU_VAT], currency="EUR")))
    with world.db.transaction() as tx:
        entity = tx.execute(select(LegalEntity)).scalar_one()
        tx.add(SellerRegistration(legal_entity_id=entity.id, jurisdiction="IE", scheme="standard", number="6388047V"))
    again = BERLIN | {"email": "c@example.org", "company": "Dritte GmbH"}
    bought = buyer.buy(buyer=again, tax_ids=[EU_VAT], currency="EUR")
    shifted = files(vendor, invoice_of(bought))
    assert set(said(standard[Syntax.CII], "CategoryCode")) == {"S"}
    assert "EU372012345" in said(standard[Syntax.CII], "ID")
    assert said(credited[Syntax.CII], "TypeCode")[0] == "381"
    assert vendor.get(invoice_of(charged)).json()["number"] in said(credited[Syntax.CII], "IssuerAssignedID")
    assert set(said(outside[Syntax.CII], "CategoryCode")) == {"O"}
    assert said(outside[Syntax.CII], "ExemptionReasonCode") == ["VATEX-EU-O"]
    assert hidden["company"] in said(outside[Syntax.CII], "Name")
    assert set(said(shifted[Syntax.CII], "CategoryCode")) == {"AE"}
    assert {"IE6388047V", "DE136695976"} <= set(said(shifted[Syntax.CII], "ID"))
    every = [
        (syntax, made)
        for found in (standard, credited, outside, shifted)
        for syntax, made in found.items()
        if FULL or syntax is Syntax.CII  # the rules of UBL take half a second to compile
    ]
    assert broken_rules(every) == [[]] * len(every)


def test_sales_tax_is_no_value_added_tax_and_the_answer_says_so(buyer: Buyer, vendor: httpx.Client) -> None:
    path = invoice_of(buyer.buy(buyer=NEW_YORK))
    refused = vendor.get(f"{path}/xml")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_electronic_form")
    assert "sales tax is not a value added tax" in refused.json()["detail"]
    assert vendor.get(f"{path}/xml", params={"syntax": "edifact"}).status_code == 422
    assert b"factur-x.xml" not in vendor.get(f"{path}/pdf").content


def test_a_name_of_a_megabyte_or_with_control_characters_never_gets_onto_an_invoice(buyer: Buyer) -> None:
    for name in ("x" * 1_000_000, "Ada\x00", "Ada\x1b[2J"):
        body: dict[str, Any] = buyer.wanted(buyer=BERLIN | {"company": name}, currency="EUR")
        assert buyer.client.post("/v1/previews", json=body).status_code in {413, 422}


def test_a_text_that_is_too_long_is_refused_by_the_name_of_its_field(buyer: Buyer) -> None:
    for field in ("name", "company", "line1", "line2", "city", "region", "postcode"):
        answer = buyer.client.post("/v1/previews", json=buyer.wanted(buyer=BERLIN | {field: "x" * 20_000}))
        assert (answer.status_code, answer.json()["param"]) == (422, f"buyer.{field}")


def test_no_order_of_a_state_without_vat_is_put_under_vat(buyer: Buyer, vendor: httpx.Client) -> None:
    """Where no tax is collected the document is outside of VAT; it says so and names nobody by a VAT number."""
    oregon = NEW_YORK | {"region": "OR", "postcode": "97201", "city": "Portland", "email": "or@example.com"}
    made = files(vendor, invoice_of(buyer.buy(buyer=oregon)))
    assert set(said(made[Syntax.CII], "CategoryCode")) == {"O"}
    assert b'schemeID="VA"' not in made[Syntax.CII]
