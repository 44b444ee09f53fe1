"""Invoices and certificates as paper: read back from the PDF, from a real purchase."""

import io
from base64 import b64decode
from decimal import Decimal

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pypdf import PdfReader
from sqlalchemy import select

from app.accounts.models import LegalEntity, SellerRegistration
from app.agreements import service as agreements
from app.core import keys
from app.core.signing import Purpose, load_public_keys, verify
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind, PaymentMethod
from app.flows import papers
from app.invoices import service as invoices
from tests.api.buying import BERLIN, EU_VAT, NEW_YORK, Bought, Buyer
from tests.documents.reading import left_in, text_of
from tests.world import World


def paper(vendor: httpx.Client, bought: Bought) -> str:
    answer = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}/pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    number = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}").json()["number"]
    assert answer.headers["content-disposition"] == f'attachment; filename="{number}.pdf"'
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_an_american_invoice_says_what_was_bought_taxed_and_paid(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    preview = buyer.preview()
    order = buyer.send_order(preview, po_number="PO-4711").json()
    buyer.pay(order)
    bought = Bought(vendor.get(f"/v1/orders/{order['id']}").json())
    said = paper(vendor, bought)
    for words in (
        "Acme Collaboration, Inc.", "530 Lytton Avenue", "Palo Alto, CA 94301", "Example, Inc.", "Attn. Grace Example",
        "350 Fifth Avenue", "New York, NY 10001", "Professional", "25", "$3,000.00", "8.875%", "PO-4711",
        "New York City sales tax", "4.5%", "$3,266.25", "by card ending in 4242",
    ):  # fmt: skip
        assert words in said, (words, said)
    assert "GB123456727" not in said  # the seller's British number has no business here
    assert "Routing" not in said  # nothing is owed, so nobody is told where to send it
    with world.db.transaction() as tx:
        document = papers.invoice_document(tx, world.ports, invoices.get(tx, bought.order["invoice_id"]))
    assert document.lines[0].tax_rates == (Decimal(4), Decimal("4.5"), Decimal("0.375"))
    assert [(each.method, each.card_last4) for each in document.payments] == [(PaymentMethod.CARD, "4242")]
    assert (document.amount_due.minor, document.pay_url) == (0, None)


def test_a_reverse_charge_names_the_recipient_where_the_seller_has_no_number_in_the_union(
    buyer: Buyer, vendor: httpx.Client
) -> None:
    bought = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    said = paper(vendor, bought)
    assert said.count("Reverse charge") == 1
    assert "(Art. 44, 196 Directive 2006/112/EC). Recipient: DE136695976." in said
    assert "EU372012345" not in said  # a one-stop-shop number is for consumers
    assert "10115 Berlin" in said


def test_a_reverse_charge_between_two_numbers_of_the_union_names_both_and_says_it_once(
    buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    with world.db.transaction() as tx:
        entity = tx.execute(select(LegalEntity)).scalar_one()
        tx.add(SellerRegistration(legal_entity_id=entity.id, jurisdiction="IE", scheme="standard", number="IE6388047V"))
    bought = buyer.buy(buyer=BERLIN, tax_ids=[EU_VAT], currency="EUR")
    with world.db.transaction() as tx:
        document = papers.invoice_document(tx, world.ports, invoices.get(tx, bought.order["invoice_id"]))
    assert document.reverse_charge is not None
    assert (document.reverse_charge.seller_tax_id, document.reverse_charge.buyer_tax_id) == (
        "IE6388047V", "DE136695976"
    )  # fmt: skip
    assert document.tax_notes == ()
    said = paper(vendor, bought)
    assert said.count("Reverse charge") == 1
    assert "IE6388047V" in said


def test_a_british_sale_carries_the_british_number_and_rate(buyer: Buyer, vendor: httpx.Client) -> None:
    london = NEW_YORK | {
        "country": "GB", "region": "", "city": "London", "postcode": "EC1A 1BB", "line1": "1 Example Street"
    }  # fmt: skip
    said = paper(vendor, buyer.buy(buyer=london))
    assert "GB123456727" in said
    assert "20%" in said
    assert "London EC1A 1BB" in said


def test_a_german_buyer_reads_german(buyer: Buyer, vendor: httpx.Client) -> None:
    bought = buyer.buy(buyer=BERLIN | {"locale": "de"}, tax_ids=[EU_VAT], currency="EUR")
    said = paper(vendor, bought)
    assert "Rechnung" in said
    assert "Deutschland" in said
    assert "Steuerschuldnerschaft des Leistungsempfängers (Art. 44, 196 Richtlinie 2006/112/EG)." in said
    assert left_in(said) == []
    copy = vendor.get(f"/v1/invoices/{bought.order['invoice_id']}/pdf", params={"language": "en"})
    assert "Germany" in text_of(copy.content)
    assert "Deutschland" not in text_of(copy.content)


def test_a_german_copy_says_again_in_german_what_was_said_in_english(buyer: Buyer, vendor: httpx.Client) -> None:
    oslo = {"country": "NO", "city": "Oslo", "postcode": "0154", "region": "", "line1": "Karl Johans gate 1"}
    number = {"type": "no_vat", "value": "974760673MVA"}
    bought = buyer.buy(buyer=BERLIN | oslo, tax_ids=[number], currency="EUR")
    url = f"/v1/invoices/{bought.order['invoice_id']}/pdf"
    copy = text_of(vendor.get(url, params={"language": "de"}).content)
    assert "Norwegen" in copy
    assert left_in(copy) == []


def test_the_same_invoice_is_the_same_bytes(buyer: Buyer, vendor: httpx.Client) -> None:
    url = f"/v1/invoices/{buyer.buy().order['invoice_id']}/pdf"
    assert vendor.get(url).content == vendor.get(url).content


def test_a_certificate_carries_evidence_that_verifies_with_the_published_key(buyer: Buyer, world: World) -> None:
    order = buyer.order()
    with world.db.transaction() as tx:
        acceptance = agreements.of_order(tx, order["id"])
        assert acceptance is not None
        document = papers.acceptance_certificate(tx, world.ports, acceptance, "en")
        published = {key.kid: key.public_pem for key in keys.published(tx)}
    public = load_public_keys(published[document.kid].encode())[0]
    assert isinstance(public, Ed25519PublicKey)
    signature = b64decode(document.signature)
    assert verify(Purpose.ACCEPTANCE_CERTIFICATE, document.signed_text.encode(), signature, public)
    pdf = PdfReader(io.BytesIO(render_pdf(DocumentKind.CERTIFICATE, document, "en")))
    assert pdf.attachments["acceptance.json"] == [document.signed_text.encode()]
    said = " ".join(" ".join(page.extract_text() for page in pdf.pages).split())
    assert "Grace Example" in said
    assert order["id"] in said


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ({"line1": "1-2-3 Chiyoda", "city": "Tokyo", "postcode": "100-0001", "country": "JP"},
         ("1-2-3 Chiyoda", "Tokyo", "100-0001", "Japan")),
        ({"line1": "Rue 1", "line2": "Bât. B", "city": "Paris", "postcode": "75001", "country": "FR"},
         ("Rue 1", "Bât. B", "75001 Paris", "France")),
        ({"line1": "1 Main St", "city": "Toronto", "region": "ON", "postcode": "M5V 2T6", "country": "CA"},
         ("1 Main St", "Toronto, ON M5V 2T6", "Canada")),
        ({"line1": "Via 1", "city": "Roma", "region": "RM", "postcode": "00100", "country": "IT"},
         ("Via 1", "00100 Roma", "RM", "Italy")),
    ],
)  # fmt: skip
def test_addresses_follow_the_postal_order_of_their_country(address: dict[str, str], lines: tuple[str, ...]) -> None:
    assert papers.address_lines(address, "en") == lines
