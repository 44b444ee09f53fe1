"""Ordering on invoice through the pages."""

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Role
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders.models import Order, OrderState, PayBy
from tests import shop
from tests.flows.on_invoice import invoice_of, open_account, order_on_invoice, wire
from tests.portal.buyers import ADA, CHECKOUT, pay, signed_in, visitor
from tests.world import World

SMALL = "/checkout?sku=professional&seats=12&interval=year&currency=EUR"


def test_a_signed_in_buyer_orders_on_invoice_and_holds_the_license_at_once(world: World) -> None:
    ada = signed_in(world, shop.buy(world, seats=11))
    ada.open(SMALL)
    page = ada.send("/checkout", "Show the total", "accept")
    assert "On invoice, due in 30 days" in page.text
    page = ada.send("/checkout", "Order for 1,570.80 EUR", payment="invoice", po_number="PO-4711")
    assert "Ordered, and ready to use" in page.text
    assert "On invoice, due on" in page.text
    assert next(link for link in page.links if link.startswith("/invoices/")), "the way to pay is on the page"
    assert ada.browser.get(f"{page.url}/license").status_code == 200
    with world.db.transaction() as tx:
        order = tx.execute(select(Order).where(col(Order.pay_by) == PayBy.INVOICE)).scalar_one()
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
    assert (order.state, order.po_number, invoice.state) == (OrderState.COMPLETED, "PO-4711", InvoiceState.OPEN)
    assert "1,570.80 EUR" in ada.open("/account/invoices?state=open").text


def test_an_order_on_invoice_without_its_number_comes_back_with_the_field_named(world: World) -> None:
    ada = signed_in(world, shop.buy(world, seats=11))
    ada.open(SMALL)
    ada.send("/checkout", "Show the total", "accept")
    page = ada.send("/checkout", "Order for ", payment="invoice")
    assert ada.status == 422
    assert "Give the number of your purchase order" in page.text
    assert page.form("/checkout").value("payment") == "invoice", "the choice is kept"


def test_a_stranger_is_offered_the_card_only_and_cannot_ask_for_more(world: World) -> None:
    bo = visitor(world)
    bo.open(CHECKOUT)
    page = bo.send("/checkout", "Show the total", "accept", **ADA)
    assert "On invoice" not in page.text
    form = page.form("/checkout").values() | {"payment": ["invoice"], "po_number": ["PO-1"], "intent": ["place"]}
    refused = bo.post(f"{world.url}/checkout", form)
    assert bo.status == 409
    assert "Sign in to order on invoice" in refused.text


def test_a_frozen_account_is_told_to_pay_by_card(world: World) -> None:
    order = shop.buy(world, seats=11)
    with world.db.transaction() as tx:
        accounts.freeze_credit(tx, order.account_id, "In dispute.", by="stf_1", now=world.ports.clock.now())
    ada = signed_in(world, order)
    ada.open(SMALL)
    page = ada.send("/checkout", "Show the total", "accept")
    assert "On invoice is not offered: Orders on invoice are stopped for this account" in page.text
    assert "In dispute" not in page.text


def test_whoever_gets_the_link_reads_the_invoice_and_pays_what_is_owed_without_signing_in(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    wire(world, account, 60_000)
    ada = signed_in(world, order)
    page = ada.open("/account/invoices")
    link = next(each for each in page.links if each.startswith("/invoices/"))
    accountant = visitor(world)
    page = accountant.open(link)
    assert "Still owed 720.00 EUR" in page.text
    assert accountant.browser.get(f"{link}/pdf").content.startswith(b"%PDF")
    assert accountant.browser.get(f"{link}/credit_notes/cn_01ka8qj6x0c5q4m3t2r1p0n9mk/pdf").status_code == 404
    assert accountant.browser.get("/invoices/inv_x.y").status_code == 404
    accountant.send("/pay", "Pay 720.00 EUR by card")
    pay(accountant)
    world.work()
    assert "This invoice is paid" in accountant.open(link).text
    assert invoice_of(world, order).state is InvoiceState.PAID


def test_the_kept_card_is_offered_to_those_who_pay_for_the_account_and_to_nobody_else(world: World) -> None:
    bought = shop.buy(world, seats=11)
    order = order_on_invoice(world, bought.account_id)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
    assert invoice
    for role in (Role.VIEWER, Role.BILLING):
        who = signed_in(world, order, role)
        link = next(each for each in who.open("/account/invoices?state=open").links if each.startswith("/invoices/"))
        page = who.open(link)
        if role is Role.VIEWER:
            assert "with Visa" not in page.text
            token = page.form("/pay").value("csrf_token")
            who.post(f"{world.url}{link}/card", {"csrf_token": [token]})
            assert who.status == 403
            assert invoice_of(world, order).state is InvoiceState.OPEN
        else:
            page = who.send("/card", "Pay 1,320.00 EUR with Visa")
            assert "This invoice is paid" in page.text
    assert invoice_of(world, order).state is InvoiceState.PAID


def test_the_statement_tells_what_happened_and_can_be_taken_along(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    wire(world, account, 60_000)
    ada = signed_in(world, order, Role.VIEWER)
    page = ada.open("/account/statement")
    number = invoice_of(world, order).number
    for words in ("720.00 EUR are owed.", f"Invoice {number}", "SEPA-1", "Open invoices", "not due yet"):
        assert words in page.text, words
    pdf, csv = (next(each for each in page.links if f"/statement/{kind}?" in each) for kind in ("pdf", "csv"))
    assert ada.browser.get(pdf).content.startswith(b"%PDF")
    assert ada.browser.get(csv).text.startswith("date,kind,document")
    page = ada.open("/account/statement?from=2026-13-01")
    assert ada.status == 422
    assert "is not a date" in page.text
