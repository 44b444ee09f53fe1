"""The papers of invoices and credit notes as downloads: as they are kept, known by their hash (ADR 0049)."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.documents.electronic_shapes import Syntax
from app.flows import issued_papers
from app.flows.ports import Ports
from app.invoices.models import CreditNote, Invoice


def pdf(
    request: Request, tx: Tx, ports: Ports, document: Invoice | CreditNote, language: str = "", *, inline: bool = False
) -> Response:  # fmt: skip
    """The paper as it was issued; in another `language` a copy that is marked as one.

    Raises NotFound for a draft, Invalid for a language we cannot write in.
    """
    found, name = None, f"{document.number}.pdf"
    if language:
        found = issued_papers.in_language(tx, ports, document, language)
    if found is not None:
        tag, name = sha256_hex(found), f"{document.number}-{language}.pdf"
    else:
        kept = issued_papers.paper(tx, ports, document)
        found, tag = kept.pdf, kept.sha256
    return _file(request, found, tag, name, "application/pdf", inline=inline)


def xml(
    request: Request, tx: Tx, ports: Ports, document: Invoice | CreditNote, syntax: Syntax
) -> Response:  # fmt: skip
    """`ACME-000001-ubl.xml`, to be saved. Raises NotFound for a draft, NoElectronicForm where EN 16931 has none."""
    made = issued_papers.xml(tx, ports, document, syntax)
    return _file(request, made, sha256_hex(made), f"{document.number}-{syntax.value}.xml", "application/xml")


def _file(
    request: Request, content: bytes, tag: str, name: str, media_type: str, *, inline: bool = False
) -> Response:  # fmt: skip
    etag = f'"{tag}"'
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    how = "inline" if inline else "attachment"
    headers = {"Content-Disposition": f'{how}; filename="{name}"', "ETag": etag}
    return Response(content, media_type=media_type, headers=headers)
