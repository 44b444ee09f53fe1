"""The receipt of a payment: what came in, how, and which invoices it paid.

Drawn whenever it is asked for, from rows that never change: a receipt is proof of payment and no tax document.
"""

from typing import Any

from app.accounts import service as accounts
from app.accounts.models import Account, LegalEntity
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money, total
from app.documents.receipt_shapes import PaidInvoice, ReceiptDocument
from app.documents.shapes import Party, PaymentMethod, PaymentView
from app.flows import invoicing, papers
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.payments.models import Payment


def receipt_document(tx: Tx, ports: Ports, payment: Payment) -> tuple[ReceiptDocument, str]:
    """What the receipt says, ready for `render_pdf`, and the language it is for.

    Seller and buyer are those of the first invoice that it paid; of money that paid none, those of today.
    """
    paid = [
        (tx.get_one(Invoice, part.invoice_id), Money(part.amount_minor, payment.currency))
        for part in invoices.of_payment(tx, payment.id)
    ]
    amount = Money(payment.amount_minor, payment.currency)
    first = paid[0][0] if paid else None
    entity = tx.get_one(LegalEntity, first.legal_entity_id) if first is not None else accounts.seller(tx)
    seller = first.seller if first is not None else invoicing.seller_snapshot(tx, entity)
    buyer, locale = _buyer(tx, payment, first)
    last4 = payment.method_label[-4:]
    document = ReceiptDocument(
        number=payment.id,
        payment=PaymentView(
            paid_on=local_date(payment.received_at, entity.time_zone), amount=amount,
            method=PaymentMethod(payment.method.value), card_last4=last4 if last4.isdigit() else None,
            reference=payment.provider_ref,
        ),
        seller=papers.party(seller, (), locale), buyer=buyer,
        invoices=tuple(
            PaidInvoice(each.number or each.id, each.issued_on or each.created_at.date(),
                        Money(each.total_minor, each.currency), applied)
            for each, applied in paid
        ),
        credited=amount - total([applied for _, applied in paid], payment.currency),
        legal_footer=papers.footer(seller, locale), test_mode=first.test if first is not None else ports.test_mode,
    )  # fmt: skip
    return document, locale


def _buyer(tx: Tx, payment: Payment, first: Invoice | None) -> tuple[Party, str]:
    if first is not None:
        locale = papers.locale_of(first)
        return papers.buyer_party(first, locale), locale
    account = tx.get_one(Account, payment.account_id)
    names = ("name", "line1", "line2", "city", "region", "postcode", "country", "email")
    known: dict[str, Any] = {name: getattr(account, name) for name in names}
    return papers.party(known, (), account.locale), account.locale
