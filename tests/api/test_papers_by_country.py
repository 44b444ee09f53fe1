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
from app.catalog.models import Interval
from app.core.i18n import format_date
from app.core.money import Money
from app.documents import countries
from app.flows import issued_papers, state_currency
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.state_currency import NoExchangeRate
from app.invoices.models import Invoice
from app.tax import exchange_rates
from app.tax.exchange_rates import Rate
from tests import shop
from tests.documents.reading import left_in
from tests.world import FULL, World

# What one euro is; the day before the sales.
RATES: Final = {
    "USD": "1.25", "GBP": "0.85", "CHF": "0.95", "SEK": "11.1", "AUD": "1.7", "SGD": "1.5", "INR": "100", "NOK": "11.5",
    "ISK": "140", "NZD": "1.9", "JPY": "160", "KRW": "1600",
}  # fmt: skip
REGISTERED: Final = {
    "AU": "51824753556", "CA": "123456789RT0001", "CA-QC": "1234567890TQ0001", "CA-BC": "PST-1234-5678",
    "CA-MB": "123456-7", "CA-SK": "7654321", "IN": "9917USA29001OSB", "SG": "M90312345A", "JP": "T1234567890123",
    "NZ": "123-456-789", "NO": "VOEC 2012345", "IS": "123456", "KR": "123-80-12345", "US-NY": "NY-11-2233445",
}  # fmt: skip
LONDON: Final = {"country": "GB", "city": "London", "postcode": "EC1A 1BB", "line1": "1 Example Street"}
ZURICH: Final = {"country": "CH", "city": "Zürich", "postcode": "8001", "line1": "Bahnhofstrasse 1"}
VADUZ: Final = {"country": "LI", "city": "Vaduz", "postcode": "9490", "line1": "Städtle 1"}
OSLO: Final = {"country": "NO", "city": "Oslo", "postcode": "0154", "line1": "Karl Johans gate 1"}
REYKJAVIK: Final = {"country": "IS", "city": "Reykjavík", "postcode": "101", "line1": "Laugavegur 1"}
AUCKLAND: Final = {"country": "NZ", "city": "Auckland", "postcode": "1010", "line1": "1 Queen Street"}
SEOUL: Final = {"country": "KR", "city": "Seoul", "postcode": "04524", "line1": "1 Sejong-daero"}
VANCOUVER: Final = {"country": "CA", "region": "BC", "city": "Vancouver", "postcode": "V6B 1A1", "line1": "1 Main St"}
REGINA: Final = {"country": "CA", "region": "SK", "city": "Regina", "postcode": "S4P 3Y2", "line1": "1 Albert St"}
WINNIPEG: Final = {"country": "CA", "region": "MB", "city": "Winnipeg", "postcode": "R3C 0A5", "line1": "1 Main St"}
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

# Net is 3,000.00 USD (2,400.00 EUR): the words of the tax that the paper must have, beside those that all have.
WANTED: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "DE": ({}, ("VAT ID EU372012345", "19% 3,000.00 570.00", "Tax in EUR €456.00 at 1 USD = 0.8 EUR (ECB,")),
    "SE": (STOCKHOLM, ("VAT ID EU372012345", "25% 3,000.00 750.00", "Tax in SEK", "6,660.00", "1 USD = 8.88 SEK")),
    "GB": (LONDON, ("VAT no. GB123456727", "20% 3,000.00 600.00", "Tax in GBP £408.00 at 1 USD = 0.68 GBP (ECB,")),
    "CH": (ZURICH, ("UID/VAT no. CHE-123.456.788 MWST", "8.1% 3,000.00 243.00", "Tax in CHF", "184.68")),
    "LI": (VADUZ, ("UID/VAT no. CHE-123.456.788 MWST", "8.1% 3,000.00 243.00", "Tax in CHF", "184.68")),
    "NO": (OSLO, ("VAT no. VOEC 2012345", "25% 3,000.00 750.00", "Tax in NOK", "6,900.00")),
    "IS": (REYKJAVIK, ("VAT no. 123456", "24% 3,000.00 720.00", "Tax in ISK", "80,640")),
    "CA": (MONTREAL, ("GST/HST 123456789RT0001", "GST 5% 3,000.00 150.00")),
    "CA-QC": (MONTREAL, ("QST 1234567890TQ0001", "QST 9.975% 3,000.00 299.25")),
    "CA-BC": (VANCOUVER, ("PST PST-1234-5678", "PST 7% 3,000.00 210.00", "GST 5% 3,000.00 150.00")),
    "CA-SK": (REGINA, ("PST 7654321", "PST 6% 3,000.00 180.00", "GST 5% 3,000.00 150.00")),
    "CA-MB": (WINNIPEG, ("PST 123456-7", "GST 5% 3,000.00 150.00")),
    "AU": (SYDNEY, ("Tax invoice", "ABN 51824753556", "10% 3,000.00 300.00", "Tax in AUD", "408.00")),
    "NZ": (AUCKLAND, ("Tax invoice", "GST 123-456-789", "15% 3,000.00 450.00", "Tax in NZD", "684.00")),
    "JP": (TOKYO, ("Registration no. T1234567890123", "Reverse charge")),
    "IN": (MUMBAI, ("Tax invoice", "GSTIN 9917USA29001OSB", "18% 3,000.00 540.00", "Tax in INR", "43,200.00")),
    "SG": (SINGAPORE, ("Tax invoice", "GST M90312345A", "9% 3,000.00 270.00", "Tax in SGD", "324.00")),
    "KR": (SEOUL, ("BRN 123-80-12345", "10% 3,000.00 300.00", "Tax in KRW", "384,000")),
    "US": (NEW_YORK, ("Sales tax permit NY-11-2233445", "4% 3,000.00 120.00",
                      "New York City sales tax 4.5% 3,000.00 135.00", "0.375% 3,000.00 11.25")),
}  # fmt: skip
# Where the rules know the tax as VAT, the file for programs says the same (BT-6, BT-111).
ELECTRONIC: Final = frozenset("DE SE GB CH LI NO IS KR".split())
TITLED: Final = frozenset({"AU", "NZ", "IN", "SG"})


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


def registered(world: World) -> None:
    with world.db.transaction() as tx:
        entity = tx.execute(select(LegalEntity)).scalar_one()
        have = {each.jurisdiction: each for each in tx.execute(select(SellerRegistration)).scalars()}
        for place, number in REGISTERED.items():
            if place in have:
                have[place].number = number
            else:
                tx.add(SellerRegistration(legal_entity_id=entity.id, jurisdiction=place, scheme="standard",
                                          number=number))  # fmt: skip


def test_no_row_of_the_places_goes_unread() -> None:
    assert set(countries.load().places) - {"EU"} == set(WANTED) - {"DE", "SE"}


def test_each_place_has_what_its_law_wants_on_paper(world: World) -> None:
    """Everywhere: both parties, number and day, supply, quantity, unit price, net by rate, total (Art. 226)."""
    today = world.ports.clock.now().date()
    known_rates(world, today - timedelta(days=2))
    registered(world)
    for place, (where, words) in list(WANTED.items())[:: 1 if FULL else 3]:
        given = {"region": "", "email": f"{place}@example.org", "company": f"{place} Ltd"} | where
        pdf = paper_of(world, shop.buy(world, vat=None, currency="USD", **given).id)
        said, invoice = shown(pdf), newest(world)
        span = " – ".join(
            format_date(day, "en") for day in (invoice.supply_from, invoice.supply_to - timedelta(days=1))
        )
        street, city = str(invoice.buyer["line1"]), str(invoice.buyer["city"])
        always = ("Acme Collaboration, Inc.", "530 Lytton Avenue", f"{place} Ltd", street, city, str(invoice.number),
                  f"Issued {format_date(today, 'en')}", f"Supply {span}", "25 120.00", "Net $3,000.00",
                  "Total (USD)")  # fmt: skip
        for each in (*always, *words):
            assert " ".join(each.split()) in said, (place, each, said)
        assert ("Tax invoice" in said) is (place in TITLED), place
        assert "Tax in USD" not in said
        currency = countries.load().tax_currency(place, today)
        assert (f"Tax in {currency}" in said) is (currency is not None and invoice.tax_minor > 0), place
        check_file(pdf, place, currency, invoice)


# A business there gives its number and is not charged: what its German paper calls the number, and says.
RELIEVED: Final = (
    (LONDON, "gb_vat", "GB980780684", "MwSt-Nr. GB980780684", "Der Kunde schuldet die britische Mehrwertsteuer"),
    (OSLO, "no_vat", "974760673MVA", "MwSt-Nr. 974760673MVA", "Der Kunde schuldet die norwegische Mehrwertsteuer"),
    (REYKJAVIK, "is_vat", "00621", "MwSt-Nr. 00621", "Der Kunde schuldet die isländische Mehrwertsteuer"),
    (SYDNEY, "au_abn", "51824753556", "ABN 51824753556", "hat das erklärt (GST Act Div. 84)"),
    (AUCKLAND, "nz_gst", "49091850", "GST 49091850", "Fernleistung an einen für GST Registrierten"),
    (SINGAPORE, "sg_gst", "M90312345A", "GST M90312345A", "führt sie ab, wo er sie schuldet"),
    (MUMBAI, "in_gst", "27AAPFU0939F1ZV", "GSTIN 27AAPFU0939F1ZV", "IGST Act s. 5(3)"),
    (SEOUL, "kr_brn", "1238012345", "BRN 1238012345", "führt die koreanische Mehrwertsteuer ab"),
)  # fmt: skip


def test_a_business_that_is_relieved_reads_why_with_both_numbers_on_paper_and_in_the_file(world: World) -> None:
    registered(world)
    for where, kind, value, called, why in RELIEVED:
        place = str(where["country"])
        who = shop.buyer(
            **({"region": "", "company": f"{place} Ltd", "locale": "de", "email": f"{place}@x.example"} | where)
        )
        wanted = PreviewRequest(
            lines=(LineRequest("professional", 25),), interval=Interval.YEAR, currency="USD", buyer=who,
            tax_ids=(TaxIdGiven(kind, value),),
        )  # fmt: skip
        started = shop.order(world, previews.price(world.ports, wanted))
        assert started.payment_url is not None
        shop.pay(world, started.payment_url)
        world.work()
        pdf = paper_of(world, started.order_id)
        said = shown(pdf)
        for each in (called, why, f"Steuernummer des Kunden: {value}."):
            assert each in said, (place, each, said)
        assert left_in(said) == [], place
        _, xml = facturx.get_facturx_xml_from_pdf(pdf, check_xsd=True)
        assert why in xml.decode(), place


def check_file(pdf: bytes, place: str, currency: str | None, invoice: Invoice) -> None:
    """Seller's number, supply, and tax in the currency of the state, as the paper has them."""
    if place not in ELECTRONIC:
        inside = PdfReader(io.BytesIO(pdf)).attachments
        assert bool(inside) is (invoice.tax_minor == 0), f"{place}: a tax that EN 16931 has no category for"
        return
    _, xml = facturx.get_facturx_xml_from_pdf(pdf, check_xsd=True)
    said = xml.decode()
    last = invoice.supply_to - timedelta(days=1)
    for wanted in (
        "<ram:SpecifiedTaxRegistration>", f">{invoice.supply_from:%Y%m%d}<", f">{last:%Y%m%d}<", f">{place} Ltd<",
        f"<ram:TaxCurrencyCode>{currency}<", f'<ram:TaxTotalAmount currencyID="{currency}">',
    ):  # fmt: skip
        assert wanted in said, (place, wanted, said)


def newest(world: World) -> Invoice:
    with world.db.transaction() as tx:
        return tx.execute(select(Invoice).order_by(col(Invoice.id).desc()).limit(1)).scalar_one()


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
