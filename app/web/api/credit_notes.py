"""Credit notes: what corrects an invoice, read and fetched as PDF; the vendor issues them."""

from datetime import date
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.core import paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotAllowed, NotFound
from app.documents.electronic_shapes import Syntax
from app.flows import crediting, refund
from app.flows.crediting import SettlementDoesNotFit
from app.flows.electronic import NoElectronicForm
from app.flows.refund import Asked, SecondPersonNeeded
from app.flows.state_currency import NoExchangeRate
from app.flows.ways_back import NotRefundable
from app.invoices import credit_notes as service
from app.invoices import service as invoices
from app.invoices.errors import CreditTooLarge, NotCreditable, NothingToCredit
from app.invoices.models import CreditNote, CreditReason, Invoice
from app.web import issued
from app.web.api.access import KEYED, OfAccount, find, key_with, vendor_with, visible
from app.web.api.shapes import ID, In, JsonRoute, Limit, MoneyOut, Note, PageOut, TaxPartOut, cursor, percent
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/credit_notes", tags=["credit_notes"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]
Writer = Annotated[ApiKey, vendor_with("invoices:write")]
OfInvoice = Annotated[str | None, Query(pattern=f"^inv_{ID}$", description="Only what corrects this invoice.")]
Language = Annotated[str, Query(max_length=35, description="Of a copy, such as `de`; the buyer's own otherwise.")]
_PDF: dict[int | str, dict[str, Any]] = problems(*KEYED, NotFound, Invalid, NoExchangeRate) | {
    200: {"description": "The document as PDF/A-3", "content": {"application/pdf": {}}}
}
_XML: dict[int | str, dict[str, Any]] = problems(*KEYED, NotFound, NoElectronicForm, NoExchangeRate) | {
    200: {"description": "The document under EN 16931", "content": {"application/xml": {}}}
}


class Destination(StrEnum):
    """Where the money goes: back over the provider, to the customer's credit, or off an open invoice."""

    REFUND = "refund"
    CREDIT = "credit"
    INVOICE = "invoice"


class LineIn(In):
    """So much of a line's net, in minor units; lines count from 1, as on the invoice."""

    line: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    net: Annotated[int, Field(strict=True, ge=1, le=10**15)]


class CreditIn(In):
    """What to give back: `lines`, or an `amount` with tax in minor units, or neither for all that is left."""

    invoice_id: str
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=500)] | None = None
    amount: Annotated[int, Field(strict=True, ge=1, le=10**15)] | None = None
    reason: CreditReason = CreditReason.CORRECTION
    revoke_license: bool | None = Field(
        default=None, description="Left out: a full refund revokes the license, a partial one does not."
    )
    note: Note = ""

    @model_validator(mode="after")
    def one_of_them(self) -> Self:
        if self.lines is not None and self.amount is not None:
            raise ValueError("give either `lines` or `amount`")
        return self

    def nets(self, tx: Unit, invoice: Invoice) -> dict[int, int] | None:
        """By the line's own id. Raises Invalid for a line that the invoice has not, or that is named twice."""
        if self.lines is None:
            return None
        ids = {line.position: line.id for line in invoices.lines(tx, invoice.id)}
        nets: dict[int, int] = {}
        for index, each in enumerate(self.lines):
            line_id = ids.get(each.line)
            if line_id is None or line_id in nets:
                raise Invalid(f"Name each of the invoice's {len(ids)} lines once.", param=f"lines.{index}.line")
            nets[line_id] = each.net
        return nets


class CreditNoteIn(CreditIn):
    model_config = ConfigDict(json_schema_extra={"example": {
        "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "lines": [{"line": 1, "net": 12000}],
        "reason": "goodwill", "destination": "credit",
    }})  # fmt: skip

    destination: Destination


class CreditedLineOut(BaseModel):
    """`line` is the invoice's; `net` is its net × numerator ÷ denominator by `rule`."""

    line: int
    description: str
    net: MoneyOut
    tax: MoneyOut
    period_from: date
    period_to: date
    numerator: int
    denominator: int
    rule: str


class CreditNoteOut(BaseModel):
    """A legal document that never changes; amounts are positive. Its tax is at the rates of the invoice."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "cn_01ka8qj6x0c5q4m3t2r1p0n9mk", "number": "ACME-CN-000001", "reason": "goodwill",
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "issued_on": "2026-11-22", "lines": [], "taxes": [], "net": {"amount": 12000, "currency": "USD"},
        "tax": {"amount": 0, "currency": "USD"}, "total": {"amount": 12000, "currency": "USD"},
        "to_refund": {"amount": 0, "currency": "USD"}, "to_credit": {"amount": 12000, "currency": "USD"},
        "to_invoice": {"amount": 0, "currency": "USD"}, "notes": [], "test": True,
    }})  # fmt: skip

    id: str
    number: str
    reason: CreditReason
    account_id: str
    invoice_id: str
    issued_on: date
    lines: list[CreditedLineOut]
    taxes: list[TaxPartOut]
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    to_refund: MoneyOut
    to_credit: MoneyOut
    to_invoice: MoneyOut
    notes: list[str]
    test: bool

    @classmethod
    def of(cls, tx: Unit, row: CreditNote) -> Self:
        def money(minor: int) -> MoneyOut:
            return MoneyOut.minor(minor, row.currency)

        positions = {line.id: line.position for line in invoices.lines(tx, row.invoice_id)}
        of_line = "description period_from period_to numerator denominator rule"
        same = "id number reason account_id invoice_id issued_on notes test"
        return cls(
            **{name: getattr(row, name) for name in same.split()},
            lines=[
                CreditedLineOut(
                    line=positions[line.invoice_line_id], net=money(line.net_minor), tax=money(line.tax_minor),
                    **{name: getattr(line, name) for name in of_line.split()},
                )
                for line in service.lines(tx, row.id)
            ],
            taxes=[
                TaxPartOut(jurisdiction=tax.jurisdiction, name=tax.name, rate=percent(tax.rate),
                           taxable=money(tax.taxable_minor), amount=money(tax.tax_minor))
                for tax in service.taxes(tx, row.id)
            ],
            net=money(row.net_minor), tax=money(row.tax_minor), total=money(row.total_minor),
            to_refund=money(row.to_refund_minor), to_credit=money(row.to_balance_minor),
            to_invoice=money(row.to_invoice_minor),
        )  # fmt: skip


class CreditNoteList(PageOut[CreditNoteOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_credit_notes(
    tx: Tx, key: Reader, invoice_id: OfInvoice = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("cn")] = None,
) -> CreditNoteList:  # fmt: skip
    """Newest first."""
    query = visible(select(CreditNote), col(CreditNote.account_id), key, account_id)
    if invoice_id is not None:
        query = query.where(col(CreditNote.invoice_id) == invoice_id)
    found = paging.page(tx, query, col(CreditNote.id), limit=limit, starting_after=starting_after)
    return CreditNoteList(data=[CreditNoteOut.of(tx, row) for row in found.data], has_more=found.has_more)


@router.post("", status_code=HTTPStatus.CREATED, responses=problems(
    *KEYED, NotAllowed, NotFound, Invalid, CreditTooLarge, NothingToCredit, NotCreditable, NotRefundable,
    SettlementDoesNotFit, SecondPersonNeeded,
))  # fmt: skip
def create_credit_note(body: CreditNoteIn, ports: Wired, key: Writer) -> CreditNoteOut:
    """Give a part or all of an invoice back, at the tax of then and never more than was charged.

    With the destination `refund` the money is sent back over the provider; above the vendor's limit that needs a
    second person, and is asked for under /v1/refunds instead.
    """
    with ports.db.transaction() as tx:
        invoice = find(tx, Invoice, "inv", body.invoice_id, key)
        nets = body.nets(tx, invoice)
    if body.destination is Destination.REFUND:
        asked = Asked(invoice.id, nets, body.amount, body.reason, body.revoke_license, body.note)
        note_id = refund.request(ports, asked, by=key.id, alone=True).credit_note_id or ""
    else:
        note_id = crediting.keep(
            ports, invoice.id, nets=nets, total=body.amount, reason=body.reason, by=key.id,
            off_the_invoice=body.destination is Destination.INVOICE,
        ).id  # fmt: skip
    with ports.db.transaction() as tx:
        return CreditNoteOut.of(tx, service.get(tx, note_id))


@router.get("/{credit_note_id}", responses=problems(*KEYED, NotFound))
def get_credit_note(credit_note_id: str, tx: Tx, key: Reader) -> CreditNoteOut:
    """One credit note with its lines and its tax by jurisdiction."""
    return CreditNoteOut.of(tx, find(tx, CreditNote, "cn", credit_note_id, key))


@router.get(
    "/{credit_note_id}/pdf",
    response_class=Response,
    responses=_PDF,
)
def get_credit_note_pdf(
    request: Request, credit_note_id: str, tx: Tx, ports: Wired, key: Reader, language: Language = ""
) -> Response:  # fmt: skip
    """The credit note on paper as it was issued, in the buyer's language: always the same bytes, of which `ETag` is the
    SHA-256. In another language a copy, marked as one.
    """
    return issued.pdf(request, tx, ports, find(tx, CreditNote, "cn", credit_note_id, key), language)


@router.get(
    "/{credit_note_id}/xml",
    response_class=Response,
    responses=_XML,
)
def get_credit_note_xml(
    request: Request, credit_note_id: str, tx: Tx, ports: Wired, key: Reader, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The credit note under EN 16931, as CII (what is inside the PDF) or UBL; refused where that cannot say it."""
    return issued.xml(request, tx, ports, find(tx, CreditNote, "cn", credit_note_id, key), syntax)
