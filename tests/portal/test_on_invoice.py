"""Ordering on invoice through the pages."""

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.invoices.models import Invoice, InvoiceState
from app.orders.models import Order, OrderState, PayBy
from tests import shop
from tests.portal.buyers import ADA, CHECKOUT, signed_in, visitor
from tests.world import World

SMALL = "/checkout?sku=professional&seats=12&interval=year&currency=EUR"


def test_a_signed_in_buyer_orders_on_invoice_and_holds_the_license_at_once(world: World) -> None:
    ada = signed_in(world, shop.buy(world, seats=11))
    ada.open(SMALL)
    page = ada.send("/checkout", "Show the total", "accept")
    assert "On invoice, due in 30 days" in page.text
    page = ada.send("/checkout", "Order for 1,570.80 EUR", payment="invoice", po_number="PO-4711")
    assert "It is yours" in page.text
    assert "On invoice, due on" in page.text
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
