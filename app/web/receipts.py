"""Receipts of payments as downloads."""

from starlette.responses import Response

from app.core.db import Tx
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows.ports import Ports
from app.flows.receipts import receipt_document
from app.payments.models import Payment


def pdf(tx: Tx, ports: Ports, payment: Payment, *, inline: bool = False) -> Response:
    """`receipt-pay_01….pdf`."""
    document, locale = receipt_document(tx, ports, payment)
    how = "inline" if inline else "attachment"
    headers = {"Content-Disposition": f'{how}; filename="receipt-{payment.id}.pdf"'}
    return Response(render_pdf(DocumentKind.RECEIPT, document, locale), media_type="application/pdf", headers=headers)
