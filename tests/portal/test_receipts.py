"""The receipt of a payment, from every door that may have it, and from no other."""

import io

from pypdf import PdfReader
from sqlalchemy import select
from sqlmodel import col

from app.flows import paying_invoices
from app.invoices.models import Invoice
from app.payments.models import Payment
from tests import shop
from tests.callers import vendor
from tests.portal.buyers import signed_in
from tests.world import World


def test_a_receipt_names_what_was_paid_and_belongs_to_its_account(world: World) -> None:
    order = shop.buy(world, locale="de")
    other = shop.buy(world, email="bea@example.com", company="Andere GmbH")
    with world.db.transaction() as tx:
        invoice, foreign = (
            tx.execute(select(Invoice).where(col(Invoice.order_id) == each.id)).scalar_one() for each in (order, other)
        )
        payment = tx.execute(select(Payment).where(col(Payment.order_id) == order.id)).scalar_one()
    api = vendor(world, "*").get(f"/v1/payments/{payment.id}/pdf")
    said = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(api.content)).pages).split())
    for words in ("Zahlungsbeleg", "Karte, Endziffern 4242", invoice.number or "", "Beispiel GmbH", "2.750,00"):
        assert words in said, (words, said)
    link = paying_invoices.link(world.ports, invoice.id)
    page = world.browser().get(link).text
    assert f"{link}/payments/{payment.id}/pdf" in page
    assert world.browser().get(f"{link}/payments/{payment.id}/pdf").content == api.content
    listed = signed_in(world, order).open("/account/invoices")
    assert f"/account/invoices/payments/{payment.id}/pdf" in listed.links
    wrong = paying_invoices.link(world.ports, foreign.id)
    assert world.browser().get(f"{wrong}/payments/{payment.id}/pdf").status_code == 404
