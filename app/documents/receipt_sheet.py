"""The receipt of a payment in words and formatted figures, ready to be laid out by `pdf/receipt.typ`."""

from typing import Any

from app.core.i18n import Translator, format_amount, format_date, format_money, translate
from app.documents.receipt_shapes import ReceiptDocument
from app.documents.shapes import PaymentMethod, PaymentView
from app.documents.wording import frame, party_block


def receipt_sheet(document: ReceiptDocument, locale: str) -> dict[str, Any]:
    """Strings only, in reading order."""
    _ = translate(locale)
    payment, currency = document.payment, document.payment.amount.currency
    outer = frame(
        _("Receipt"),
        document.number,
        document.seller.name,
        locale=locale,
        country=document.buyer.country,
        test_mode=document.test_mode,
    )
    notes = [
        {"title": "", "text": _("This receipt confirms a payment. It is no invoice and gives no right to deduct tax.")}
    ]
    if document.test_mode:
        notes.append({"title": _("Test"), "text": _("This document was made in test mode. No money was received.")})
    return outer | {
        "footer": list(document.legal_footer),
        "seller": party_block(_("Received by"), document.seller, _),
        "buyer": party_block(_("Received from"), document.buyer, _),
        "headline": format_money(payment.amount, locale),
        "state": _("Received on %(date)s", date=format_date(payment.paid_on, locale)),
        "facts": [
            (name, value)
            for name, value in (
                (_("Received"), format_date(payment.paid_on, locale)),
                (_("Means of payment"), _means(payment, _)),
                (_("Reference"), payment.reference),
            )
            if value
        ],
        "columns": [
            _("Invoice"),
            _("Issued"),
            _("Total (%(currency)s)", currency=currency),
            _("Paid with this (%(currency)s)", currency=currency),
        ],
        "lines": [
            [
                each.number,
                format_date(each.issued_on, locale),
                format_amount(each.total, locale),
                format_amount(each.applied, locale),
            ]
            for each in document.invoices
        ],
        "credited": [_("Kept as your credit"), format_amount(document.credited, locale)] if document.credited else [],
        "whole": [_("Received"), format_amount(payment.amount, locale)],
        "notes_title": _("Notes"),
        "notes": notes,
    }


def _means(payment: PaymentView, _: Translator) -> str:
    if payment.method is PaymentMethod.CARD and payment.card_last4:
        return _("Card ending in %(last4)s", last4=payment.card_last4)
    names = {
        PaymentMethod.CARD: _("Card"),
        PaymentMethod.WIRE: _("Bank transfer"),
        PaymentMethod.CHEQUE: _("Cheque"),
        PaymentMethod.DIRECT_DEBIT: _("Direct debit"),
    }
    return names.get(payment.method, "")
