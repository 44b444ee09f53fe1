"""What a quote asks for and when: terms billed yearly, and changes that give back the rest of an earlier plan."""

import io
from datetime import timedelta
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import select
from sqlmodel import col

from app.core.errors import Invalid
from app.core.money import Money
from app.flows import quoting, seat_change
from app.flows.preview_request import LineRequest
from app.flows.quoting import Basis
from app.flows.seat_change import Wanted
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders import service as orders
from app.orders.models import Order, OrderKind
from app.payments.models import Payment
from app.quotes.discounts import Discount
from app.quotes.errors import SignatureNeeded
from app.quotes.models import PaymentTerms, Quote
from app.reports import verify_books
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Billing, Subscription
from tests import changing, shop
from tests.api.buying import make_key
from tests.flows.ending import walk
from tests.quotes.offering import (
    SCAN,
    accept,
    draft_for,
    fresh,
    limits,
    link,
    mails,
    offer_of,
    requested,
    sent,
    staff,
)
from tests.quotes.test_pages import form_of, visitor
from tests.signing_in import staff_browser
from tests.world import World

YEARLY: dict[str, Any] = {"term_months": 36, "billing": Billing.YEARLY}


def pdf_of(world: World, quote: Quote) -> str:
    answer = world.browser().get(f"{link(world, quote)}/pdf")
    assert answer.status_code == 200
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages).split())


def held_by(world: World, order_id: str) -> Subscription:
    world.work()
    with world.db.transaction() as tx:
        return subscriptions.get(tx, orders.get(tx, order_id).subscription_id or "")


def invoices_of(world: World, held: Subscription) -> list[Invoice]:
    with world.db.transaction() as tx:
        query = select(Invoice).where(col(Invoice.subscription_id) == held.id)
        return list(tx.execute(query.order_by(col(Invoice.supply_from), col(Invoice.id))).scalars())


def to_day(world: World, held: Subscription) -> None:
    """To the day after the next year begins."""
    now = world.ports.clock.now()
    walk(world, now + (held.billed_to - now.date()) + timedelta(days=1))


def as_vendor(world: World, path: str) -> dict[str, Any]:
    return dict(world.api(make_key(world, account_id=None)).get(path).json())


def test_staff_offer_a_term_billed_yearly_and_every_year_is_charged_as_the_quote_says(world: World) -> None:
    limits(world, EUR=10_000_000)
    asked = requested(world)
    browser, _ = staff_browser(world)
    here = f"/console/quotes/{asked.id}"
    values = form_of(browser, f"{here}/edit", "/edit")
    values |= {"term": ["3years-yearly"], "off_1": ["10"], "by_1": ["percent"], "intent": ["place"]}
    figures = browser.post(f"/console/quotes/figures?quote={asked.id}", data=values)
    assert "Asked for in each of 3 years. Before tax the term comes to 29,700.00 EUR." in figures.text
    assert browser.post(f"{here}/edit", data=values).headers["location"] == f"{here}?done=quote-drafted"
    assert form_of(browser, f"{here}/edit", "/edit")["term"] == ["3years-yearly"]
    browser.post(f"{here}/send", data=form_of(browser, here, "/send"))
    quote, offer = fresh(world, asked), offer_of(world, asked)
    assert (offer.net_minor, offer.committed_minor) == (990_000, 2_970_000)

    pages = [browser.get(here).text, visitor(world).open(link(world, quote)).text]
    for text in pages:
        assert all(
            each in text for each in ("On acceptance", "At the start of year 3", "9,900.00 EUR", "29,700.00 EUR")
        )
    paper = pdf_of(world, quote)
    for words in ("billed yearly", "What is due when", "At the start of year 2", "The whole term 29,700.00"):
        assert words in paper, words
    told = as_vendor(world, f"/v1/quotes/{quote.id}")
    assert (told["billing"], told["term_months"], told["committed"]["amount"]) == ("yearly", 36, 2_970_000)
    assert [each["total"]["amount"] for each in told["payments"]] == [offer.total_minor] * 3
    assert "in each of 3 years" in mails(world, "ada@example.de")[0]["text"]

    started = accept(world, quote)
    shop.pay(world, started.payment_url or "")
    held = held_by(world, started.order_id)
    assert (held.billing, held.term_months, held.billed_to < held.ends_on) == (Billing.YEARLY, 36, True)
    to_day(world, held)
    held = held_by(world, started.order_id)
    to_day(world, held)
    bills = invoices_of(world, held)
    assert [(each.net_minor, each.state) for each in bills] == [(990_000, InvoiceState.PAID)] * 3
    with world.db.transaction() as tx:
        (line,) = subscriptions.lines(tx, held.id)
        assert (line.net_minor, line.arr_minor, line.quoted_minor) == (990_000, 990_000, 110_000)
        year = orders.lines(tx, bills[-1].order_id)[0]
        assert (year.net_minor, year.discount_minor, year.unit_minor) == (990_000, 110_000, 11_000)
    assert verify_books.verify(world.db) == []


def test_the_whole_term_is_signed_for_and_its_invoices_keep_the_agreed_days_and_number(world: World) -> None:
    limits(world, EUR=1_000_000)  # a year is below, the term is not
    invoice: dict[str, Any] = {"payment": PaymentTerms.INVOICE, "net_days": 45}
    quote = sent(world, **YEARLY, **invoice)
    page = visitor(world).open(link(world, quote)).text
    assert all(each in page for each in ("This one needs a signature", "Within 45 days of acceptance"))
    assert "Within 45 days of the start of year 2" in pdf_of(world, quote)
    with pytest.raises(SignatureNeeded, match=r"29,700\.00 EUR"):
        accept(world, quote, po_number="PO-7")
    started = accept(world, quote, po_number="PO-7", paper=SCAN)
    held = held_by(world, started.order_id)
    to_day(world, held)
    first, second = invoices_of(world, held)
    for each in (first, second):
        assert each.issued_on
        assert each.due_on
        assert (each.due_on - each.issued_on).days == 45
        assert (each.state, each.net_minor) == (InvoiceState.OPEN, 990_000)
    with world.db.transaction() as tx:
        year = orders.get(tx, second.order_id)
        assert (year.kind, year.po_number) == (OrderKind.INSTALMENT, "PO-7")


def test_a_term_of_one_year_is_not_billed_yearly(world: World) -> None:
    asked = requested(world)
    with pytest.raises(Invalid, match="two or three years"):
        quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, billing=Billing.YEARLY), by=staff(world))
    client = world.api(make_key(world, account_id=None))
    path = f"/v1/quotes/{asked.id}"
    patched = client.patch(path, json={"term_years": 2, "billing": "yearly", "contact_name": "Ada"})
    assert patched.status_code == 200, patched.text
    assert [each["year"] for each in patched.json()["payments"]] == [1, 2]
    monthly = client.patch(path, json={"interval": "month"}).json()
    assert (monthly["billing"], monthly["term_months"], monthly["payments"]) == ("prepaid", 1, [])


def test_seats_added_by_quote_keep_their_discount_in_the_years_to_come(world: World) -> None:
    limits(world, EUR=100_000_000)
    started = accept(world, sent(world, **YEARLY))
    shop.pay(world, started.payment_url or "")
    held = held_by(world, started.order_id)
    offered = seat_change.preview(world.ports, held.id, Wanted(seats=200))
    asked = quoting.request(world.ports, offered.id, account_id=held.account_id)
    with world.db.transaction() as tx:
        draft = quoting.draft_of(tx, asked, world.ports.clock.now())
    more = draft.changed({"lines": (LineRequest("professional", 200, Discount(points=1500)),)})
    by = staff(world)
    quote = quoting.send(world.ports, quoting.save(world.ports, Basis(quote_id=asked.id), more, by=by).id, by=by)
    offer = offer_of(world, quote)
    assert offer.committed_minor == 3 * 935_000, "on the first day, with the two years to come"
    again = accept(world, quote)
    if again.payment_url:
        shop.pay(world, again.payment_url)
    held = held_by(world, started.order_id)
    with world.db.transaction() as tx:
        (line,) = subscriptions.lines(tx, held.id)
        assert (line.quantity, line.net_minor, line.arr_minor) == (200, 1_925_000, 1_925_000)
    to_day(world, held)
    assert invoices_of(world, held)[-1].net_minor == 990_000 + 935_000


def test_a_change_by_quote_shows_its_credit_and_asks_for_what_its_order_charges(world: World) -> None:
    limits(world, EUR=100_000_000)
    bought = shop.buy(world, seats=40)
    held = changing.subscription(world, bought)
    changing.pass_days(world, 65)
    offered = seat_change.preview(world.ports, held.id, Wanted(seats=200, plan="enterprise"))
    assert offered.change
    asked = quoting.request(world.ports, offered.id, account_id=held.account_id)
    with world.db.transaction() as tx:
        draft = quoting.draft_of(tx, asked, world.ports.clock.now())
    by = staff(world)
    quote = quoting.send(world.ports, quoting.save(world.ports, Basis(quote_id=asked.id), draft, by=by).id, by=by)
    offer = offer_of(world, quote)
    assert offer.change
    due, credit = Money(offer.change["due"], "EUR"), Money(offer.change["credit"], "EUR")
    assert due + credit == Money(offer.total_minor, "EUR")
    assert credit

    browser, _ = staff_browser(world)
    customer = visitor(world).open(link(world, quote)).text
    for text in (customer, browser.get(f"/console/quotes/{quote.id}").text):
        assert all(f"{each}" in text for each in (due, -credit, due + credit))
    assert f"Accept for {due}" in customer
    paper, plain = pdf_of(world, quote), f"{due}".removesuffix(" EUR")
    days = offer.lines[0]["change"]["numerator"]
    for wanted in ("Credit for the rest of the earlier plan", f"To pay (EUR) €{plain}", "To the end of the present one",
                   f"for {days} of 365 days"):  # fmt: skip
        assert wanted in paper, wanted
    told = as_vendor(world, f"/v1/quotes/{quote.id}")
    assert (told["due"]["amount"], told["credit"]["amount"], told["payments"]) == (due.minor, credit.minor, [])
    assert plain in mails(world, "ada@example.de")[0]["text"]

    started = accept(world, quote)
    if started.payment_url:
        shop.pay(world, started.payment_url)
    world.work()
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
        assert order.due == due
        invoice = invoices.of_order(tx, order.id)
        assert invoice
        assert (invoice.state, invoice.total_minor) == (InvoiceState.PAID, offer.total_minor)
        paid = tx.execute(select(Payment).order_by(col(Payment.id).desc()).limit(1)).scalar_one()
        assert paid.amount_minor == due.minor
    assert verify_books.verify(world.db) == []
