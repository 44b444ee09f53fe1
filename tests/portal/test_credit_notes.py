"""A customer finds credit notes among the invoices, and what is left of them as credit."""

from app.flows import crediting, refund
from app.flows.refund import Asked
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditReason
from tests import shop
from tests.portal.buyers import signed_in
from tests.world import World


def test_credit_notes_stand_with_their_invoice_and_are_downloaded(world: World) -> None:
    order = shop.buy(world, seats=11, interval="month", vat=None)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
    assert invoice
    crediting.keep(world.ports, invoice.id, nets=None, total=1_190, reason=CreditReason.GOODWILL, by="stf_1",
                   off_the_invoice=False)  # fmt: skip
    refund.request(world.ports, Asked(invoice.id, total=100), by="stf_1")
    ada = signed_in(world, order)
    page = ada.open("/account/invoices")
    for words in ("ACME-CN-000001", "ACME-CN-000002", "Credit note", "11.90 EUR kept as your credit",
                  "1.00 EUR refunded", "You have 11.90 EUR of credit", "-11.90 EUR"):  # fmt: skip
        assert words in page.text, words
    link = next(each for each in page.links if "/credit_notes/" in each)
    pdf = ada.browser.get(link)
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.headers["content-disposition"] == 'attachment; filename="ACME-CN-000002.pdf"'
    xml = ada.browser.get(link.replace("/pdf", "/xml"), params={"syntax": "ubl"})
    assert xml.headers["content-disposition"] == 'attachment; filename="ACME-CN-000002-ubl.xml"'
    assert link.replace("/pdf", "/xml") in page.links


def test_the_credit_note_of_somebody_else_does_not_exist(world: World) -> None:
    order, other = shop.buy(world), shop.buy(world, email="eve@other.example", company="Other")
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, other.id)
    assert invoice
    crediting.keep(world.ports, invoice.id, nets=None, total=100, reason=CreditReason.GOODWILL, by="stf_1",
                   off_the_invoice=False)  # fmt: skip
    with world.db.transaction() as tx:
        (note,) = credit_notes.of_invoice(tx, invoice.id)
    ada = signed_in(world, order)
    foreign = ada.browser.get(f"/account/invoices/credit_notes/{note.id}/pdf")
    missing = ada.browser.get("/account/invoices/credit_notes/cn_01ka8qj6x0c5q4m3t2r1p0n9mk/pdf")
    assert (foreign.status_code, missing.status_code) == (404, 404)
