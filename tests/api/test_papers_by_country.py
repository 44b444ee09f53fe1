"""What real sales say on paper where their tax is due (tax study section 7), read back from the kept PDF."""

import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import facturx  # type: ignore[import-untyped]  # the package carries no types
import httpx
import pytest
from pypdf import PdfReader
from sqlalchemy import select, text
from sqlmodel import col

from app.accounts.models import LegalEntity, SellerRegistration
from app.core.money import Money
from app.flows import issued_papers, state_currency
from app.flows.state_currency import NoExchangeRate
from app.invoices.models import Invoice
from app.tax import exchange_rates
from app.tax.exchange_rates import Rate
from tests import shop
from tests.world import World

# What one euro is; the day before the sales.
RATES: Final = {"USD": "1.25", "GBP": "0.85", "CHF": "0.95", "SEK": "11.1", "AUD": "1.7", "SGD": "1.5", "INR": "100"}
REGISTERED: Final = (("AU", "51824753556"), ("CA", "123456789RT0001"), ("CA-QC", "1234567890TQ0001"),
                     ("IN", "9917USA29001OSB"), ("SG", "M90312345A"), ("JP", "T1234567890123"))  # fmt: skip
LONDON: Final = {"country": "GB", "city": "London", "postcode": "EC1A 1BB", "line1": "1 Example Street"}
ZURICH: Final = {"country": "CH", "city": "Zürich", "postcode": "8001", "line1": "Bahnhofstrasse 1"}
MONTREAL: Final = {"country": "CA", "region": "QC", "city": "Montréal", "postcode": "H2Y 1C6", "line1": "1 rue"}
SYDNEY: Final = {"country": "AU", "region": "NSW", "city": "Sydney", "postcode": "2000", "line1": "1 George St"}
TOKYO: Final = {"country": "JP", "city": "Tokyo", "postcode": "100-0001", "line1": "1-1 Chiyoda"}
MUMBAI: Final = {"country": "IN", "region": "MH", "city": "Mumbai", "postcode": "400001", "line1": "1 Fort"}
SINGAPORE: Final = {"country": "SG", "city": "Singapore", "postcode": "018956", "line1": "1 Marina"}
STOCKHOLM: Final = {"country": "SE", "city": "Stockholm", "postcode": "111 20", "line1": "Gatan 1"}
NEW_YORK: Final = {
    "country": "US",
    "region": "NY",
    "city": "New York",
    "postcode": "10001",
    "line1": "350 Fifth Avenue",
}

# Net is 3,000.00 USD (2,750.00 EUR): the words that the paper must have.
WANTED: Final[tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...]] = (
    ("Germany", {}, ("VAT ID EU372012345", "19%", "Tax in EUR €456.00 at 1 USD = 0.8 EUR (ECB,")),
    ("Sweden", STOCKHOLM, ("VAT ID EU372012345", "25%", "Tax in SEK", "6,660.00", "1 USD = 8.88 SEK")),
    ("Britain", LONDON, ("VAT no. GB123456727", "20%", "Tax in GBP £408.00 at 1 USD = 0.68 GBP (ECB,")),
    ("Switzerland", ZURICH, ("UID/VAT no. CHE-123.456.788 MWST", "8.1%", "Tax in CHF", "184.68")),
    ("Canada", MONTREAL, ("GST/HST 123456789RT0001", "QST 1234567890TQ0001", "GST 5%", "QST 9.975%")),
    ("Australia", SYDNEY, ("Tax invoice", "ABN 51824753556", "10%", "Tax in AUD", "408.00")),
    ("Japan", TOKYO, ("Registration no. T1234567890123", "Reverse charge")),
    ("India", MUMBAI, ("Tax invoice", "GSTIN 9917USA29001OSB", "18%", "Tax in INR")),
    ("Singapore", SINGAPORE, ("Tax invoice", "GST M90312345A", "9%", "Tax in SGD")),
    ("New York", NEW_YORK,
     ("4% 3,000.00 120.00", "New York City sales tax 4.5% 3,000.00 135.00", "0.375% 3,000.00 11.25")),
)  # fmt: skip


def known_rates(world: World, on: date) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        exchange_rates.store(tx, [Rate(on, *each) for each in sorted((k, Decimal(v)) for k, v in RATES.items())],
                             by="test", now=now)  # fmt: skip


def paper_of(world: World, order_id: str) -> bytes:
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order_id)).scalar_one()
        return issued_papers.paper(tx, world.ports, invoice).pdf


def shown(pdf: bytes) -> str:
    said = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())
    return said.replace("\u00a0", " ")


def test_each_place_has_what_its_law_wants_on_paper(world: World) -> None:
    today = world.ports.clock.now().date()
    known_rates(world, today - timedelta(days=2))
    with world.db.transaction() as tx:
        entity = tx.execute(select(LegalEntity)).scalar_one()
        tx.add_all(SellerRegistration(legal_entity_id=entity.id, jurisdiction=place, scheme="standard", number=number)
                   for place, number in REGISTERED)  # fmt: skip
    for name, where, words in WANTED:
        given = {"region": "", "email": f"{name.replace(' ', '')}@example.org", "company": f"{name} Ltd"} | where
        said = shown(paper_of(world, shop.buy(world, vat=None, currency="USD", **given).id))
        for each in words:
            assert each in said, (name, each, said)
        assert ("Tax invoice" in said) is (name in {"Australia", "India", "Singapore"}), name
        assert "Tax in USD" not in said


def test_the_amount_for_the_state_is_in_the_file_for_programs_and_the_same_in_a_credit_note(
    world: World, vendor: httpx.Client
) -> None:
    known_rates(world, world.ports.clock.now().date() - timedelta(days=1))
    order = shop.buy(world, vat=None, currency="USD", **LONDON)
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
    _, xml = facturx.get_facturx_xml_from_pdf(paper_of(world, order.id))
    assert b"<ram:TaxCurrencyCode>GBP</ram:TaxCurrencyCode>" in xml
    assert b'<ram:TaxTotalAmount currencyID="GBP">408.00</ram:TaxTotalAmount>' in xml
    assert facturx.xml_check_xsd(xml)
    # A rate that becomes known later changes neither the copy nor the note: both repeat what the invoice stated.
    with world.db.transaction() as tx:
        exchange_rates.override(tx, Rate(world.ports.clock.now().date(), "GBP", Decimal(2)), why="x", by="test",
                                now=world.ports.clock.now())  # fmt: skip
    copy = shown(vendor.get(f"/v1/invoices/{invoice.id}/pdf", params={"language": "de"}).content)
    assert "408,00" in copy
    note = vendor.post("/v1/credit_notes", json={"invoice_id": invoice.id, "amount": 120_00,
                                                 "destination": "credit"}).json()  # fmt: skip
    assert "£13.60 at 1 USD = 0.68 GBP" in shown(vendor.get(f"/v1/credit_notes/{note['id']}/pdf").content)


def test_without_a_rate_a_real_document_waits_and_a_test_document_goes_without(
    world: World, vendor: httpx.Client
) -> None:
    order = shop.buy(world, vat=None, currency="USD", **LONDON)
    assert "GBP" not in shown(paper_of(world, order.id))
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("DELETE FROM issued_document"))
        tx.execute(text("UPDATE invoice SET test = false"))
        invoice_id = tx.execute(select(col(Invoice.id)).where(col(Invoice.order_id) == order.id)).scalar_one()
    waits = vendor.get(f"/v1/invoices/{invoice_id}/pdf")
    assert (waits.status_code, waits.json()["code"]) == (409, "no_exchange_rate")
    assert "blp tax import-rates" in waits.json()["detail"]
    with pytest.raises(issued_papers.NotDrawn):
        issued_papers.catch_up.run(world.ports)
    known_rates(world, world.ports.clock.now().date())
    issued_papers.catch_up.run(world.ports)
    assert "£408.00" in shown(vendor.get(f"/v1/invoices/{invoice_id}/pdf").content)


def test_an_old_rate_is_no_rate_and_the_operators_word_comes_first(world: World) -> None:
    now = world.ports.clock.now()
    today = now.date()
    known_rates(world, today - timedelta(days=8))
    with world.db.transaction() as tx:
        with pytest.raises(NoExchangeRate):
            state_currency.stated(tx, Money(100_00, "USD"), "GBP", today, now)
        exchange_rates.override(tx, Rate(today, "USD", Decimal("1.1")), why="Bank", by="test", now=now)
        exchange_rates.override(tx, Rate(today, "JPY", Decimal(160)), why="Bank", by="test", now=now)
        found = state_currency.stated(tx, Money(100_01, "USD"), "JPY", today, now)
        assert (found.amount, str(found.rate), found.source) == (Money(14547, "JPY"), "145.455", "operator")
        into_euro = state_currency.stated(tx, Money(100_00, "USD"), "EUR", today, now)
        assert (into_euro.amount, str(into_euro.rate)) == (Money(90_91, "EUR"), "0.909091")
