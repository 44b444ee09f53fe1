"""Credit notes: the list, and one with its lines, its postings and its PDF."""

from fastapi import APIRouter, Request
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.core import ids
from app.core.db import Tx as Session
from app.core.money import Money
from app.documents.electronic_shapes import Syntax
from app.flows import electronic
from app.invoices import credit_notes as service
from app.invoices.models import CreditNote, CreditReason, Invoice
from app.web import issued
from app.web.console import cells, documents, lists
from app.web.console.render import Reader, page
from app.web.console.views import Cell, DetailView, Related
from app.web.deps import Tx, Wired
from app.web.views import Fact, Link

router = APIRouter()


@router.get("/console/credit_notes")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    view = documents.listed(
        tx, wanted, CreditNote, kind="credit_notes", columns=cells.CREDIT_NOTE_COLUMNS, row=cells.credit_note_row,
        states=CreditReason, state=col(CreditNote.reason), exact=(col(CreditNote.invoice_id),),
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/credit_notes/{credit_note_id}")
def one(request: Request, tx: Tx, who: Reader, credit_note_id: str) -> Response:
    note = service.get(tx, ids.require_form("cn", credit_note_id))
    account, invoice = tx.get_one(Account, note.account_id), tx.get_one(Invoice, note.invoice_id)
    lines = tuple(
        (
            Cell(text=line.description, note=f"{line.numerator}/{line.denominator} by {line.rule}"),
            Cell(day=line.period_from), cells.amount(line.net_minor, note.currency),
            cells.amount(line.tax_minor, note.currency),
        )
        for line in service.lines(tx, note.id)
    )  # fmt: skip
    taxes = tuple(
        (
            Cell(text=f"{tax.name} {tax.jurisdiction}"), Cell(text=f"{tax.rate.normalize():f} %", number=True),
            cells.amount(tax.taxable_minor, note.currency), cells.amount(tax.tax_minor, note.currency),
        )
        for tax in service.taxes(tx, note.id)
    )  # fmt: skip
    view = DetailView(
        kind="credit_notes", id=note.id, title=note.number, state=str(note.reason),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        facts=(
            Fact(name="Invoice", value=invoice.number or "", href=f"/console/invoices/{invoice.id}"),
            Fact(name="Issued", value=str(note.issued_on)), *_ways(note),
            *_documents(tx, note),
        ),
        related=(
            Related(title="Lines", columns=("Line", "From", "Net", "Tax"), rows=lines),
            Related(title="Tax", columns=("Tax", "Rate", "Taxable", "Amount"), rows=taxes),
            cells.postings(tx, [f"credit_note:{note.id}"]),
        ),
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/credit_notes/{credit_note_id}/pdf")
def pdf(
    request: Request, ports: Wired, tx: Tx, _who: Reader, credit_note_id: str, language: str = ""
) -> Response:  # fmt: skip
    """The document the buyer has, or a copy in another language."""
    note = service.get(tx, ids.require_form("cn", credit_note_id))
    return issued.pdf(request, tx, ports, note, language, inline=True)


@router.get("/console/credit_notes/{credit_note_id}/xml")
def xml(
    request: Request, ports: Wired, tx: Tx, _who: Reader, credit_note_id: str, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The same for the buyer's software (EN 16931)."""
    return issued.xml(request, tx, ports, service.get(tx, ids.require_form("cn", credit_note_id)), syntax)


def _documents(tx: Session, note: CreditNote) -> list[Fact]:
    path = f"/console/credit_notes/{note.id}"
    found = [Fact(name="Document", value="PDF", href=f"{path}/pdf")]
    if electronic.may_have_one(each.name for each in service.taxes(tx, note.id)):
        found.append(Fact(name="Electronic (CII)", value="XML", href=f"{path}/xml"))
        found.append(Fact(name="Electronic (UBL)", value="XML", href=f"{path}/xml?syntax=ubl"))
    return found


def _ways(note: CreditNote) -> list[Fact]:
    ways = (("Sent back", note.to_refund_minor), ("Kept as customer credit", note.to_balance_minor),
            ("Taken off the invoice", note.to_invoice_minor))  # fmt: skip
    return [Fact(name=name, value=str(Money(minor, note.currency))) for name, minor in ways if minor]
