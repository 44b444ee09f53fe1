"""Electronic invoices as downloads."""

from starlette.responses import Response

from app.documents.electronic_shapes import Syntax
from app.documents.shapes import DocumentKind, InvoiceDocument
from app.flows import electronic


def xml_file(kind: DocumentKind, document: InvoiceDocument, syntax: Syntax) -> Response:
    """`ACME-000001-ubl.xml`, to be saved. Raises NoElectronicForm where EN 16931 cannot express the document."""
    made = electronic.file_of(kind, document, syntax)
    name = f'attachment; filename="{document.number}-{syntax.value}.xml"'
    return Response(made, media_type="application/xml", headers={"Content-Disposition": name})
