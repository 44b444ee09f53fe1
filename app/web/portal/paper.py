"""Documents as downloads: drawn after the transaction, because drawing takes longer than reading."""

from starlette.responses import Response

from app.documents.render_pdf import render_pdf
from app.documents.shapes import CertificateDocument, DocumentKind
from app.web.portal.license_files import download


def certificate_pdf(document: CertificateDocument, locale: str) -> Response:
    pdf = render_pdf(DocumentKind.CERTIFICATE, document, locale)
    return download(pdf, f"{document.number}.pdf", "application/pdf")
