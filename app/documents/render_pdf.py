"""The one way to a PDF: facts in, bytes out."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache
from importlib.metadata import version
from pathlib import Path

from app.core.i18n import CATALOGS, written_in
from app.documents import factur_x
from app.documents.certificate_sheet import certificate_sheet
from app.documents.electronic_shapes import Syntax
from app.documents.en16931 import electronic_xml
from app.documents.invoice_sheet import invoice_sheet
from app.documents.press import TEMPLATES, press
from app.documents.quote_sheet import quote_sheet
from app.documents.receipt_shapes import ReceiptDocument
from app.documents.receipt_sheet import receipt_sheet
from app.documents.shapes import Attachment, CertificateDocument, DocumentKind, InvoiceDocument, QuoteDocument
from app.documents.statement_shapes import StatementDocument
from app.documents.statement_sheet import statement_sheet
from app.documents.wording import missing_sentence

Document = InvoiceDocument | CertificateDocument | QuoteDocument | StatementDocument | ReceiptDocument


def render_pdf(
    kind: DocumentKind, data: Document, locale: str, *, font_dir: Path | None = None
) -> bytes:  # fmt: skip
    """A PDF/A-3b and PDF/UA-1 in the language of `locale`, English where there is no translation (ADR 0010).

    An invoice or credit note that EN 16931 can express is a Factur-X of that level.
    The same arguments give the same bytes. A character that no font has is printed as a box and named in the
    notes; `font_dir` adds an operator's fonts (Chinese, Japanese, Korean, emoji) to the ones inside typst.
    Raises TypeError where `data` is not what `kind` needs, InconsistentDocument for a credit note that does not
    say what it credits.
    """
    tag = str(written_in(locale))
    if kind is DocumentKind.CERTIFICATE and isinstance(data, CertificateDocument):
        sheet = certificate_sheet(data, tag)
        signed = Attachment("acceptance.json", data.signed_text, "application/json", "source", "What was signed")
        return press("certificate", font_dir).print(sheet, (signed,), data.accepted_at, missing_sentence(tag))
    if kind is DocumentKind.QUOTE and isinstance(data, QuoteDocument):
        issued_at = datetime.combine(data.issued_on, time(12), UTC)
        return press("quote", font_dir).print(quote_sheet(data, tag), (), issued_at, missing_sentence(tag))
    if kind is DocumentKind.STATEMENT and isinstance(data, StatementDocument):
        at = datetime.combine(data.last, time(12), UTC)
        return press("statement", font_dir).print(statement_sheet(data, tag), (), at, missing_sentence(tag))
    if kind is DocumentKind.RECEIPT and isinstance(data, ReceiptDocument):
        at = datetime.combine(data.payment.paid_on, time(12), UTC)
        return press("receipt", font_dir).print(receipt_sheet(data, tag), (), at, missing_sentence(tag))
    if kind in {DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE} and isinstance(data, InvoiceDocument):
        return draw_invoice(kind, data, locale, font_dir=font_dir).pdf
    raise TypeError(f"{kind} cannot be drawn from {type(data).__name__}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A document on paper, and the CII file inside of it, which says the same to a program (ADR 0044)."""

    pdf: bytes
    xml: bytes | None


def draw_invoice(kind: DocumentKind, document: InvoiceDocument, locale: str, *, font_dir: Path | None = None) -> Drawn:
    """An invoice or credit note as `render_pdf` draws it, with its EN 16931 XML where there is one."""
    tag = str(written_in(locale))
    issued_at = datetime.combine(document.issued_on, time(12), UTC)
    sheet, files = invoice_sheet(kind, document, tag), document.attachments
    if document.electronic is None:
        return Drawn(press("invoice", font_dir).print(sheet, files, issued_at, missing_sentence(tag)), None)
    xml = electronic_xml(kind, document, Syntax.CII, tag)
    files = (*files, factur_x.attachment(xml))
    printed = press("invoice", font_dir).print(sheet, files, issued_at, missing_sentence(tag))
    return Drawn(factur_x.declared(printed), xml)


@cache
def template_version() -> str:
    """Names what draws: it changes with every template, sheet and translation here, and with typst itself."""
    digest = hashlib.sha256(version("typst").encode())
    for folder, pattern in ((TEMPLATES, "*.typ"), (TEMPLATES.parent, "*.py"), (CATALOGS, "*/messages.po")):
        for path in sorted(folder.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"documents-{digest.hexdigest()[:16]}"
