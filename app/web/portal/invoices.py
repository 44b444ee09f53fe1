"""`/account/invoices`: every invoice, to be filtered, read and downloaded."""

from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from sqlalchemy import extract, func, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.permissions import Permission
from app.accounts.sessions import SignedInCustomer
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.core.ids import has_form
from app.core.money import Money
from app.core.paging import page
from app.documents.electronic_shapes import Syntax
from app.flows import electronic, explain_invoice, paying_invoices
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditNote, Invoice, InvoiceState
from app.payments import credit
from app.payments.models import Payment
from app.web import csrf, issued, receipts
from app.web.auth import customer
from app.web.deps import Tx, Wired
from app.web.explained import told_view
from app.web.portal import owned
from app.web.portal.account_views import ExplainView, InvoiceRow, InvoicesView
from app.web.portal.render import account_page
from app.web.views import Form as FormView
from app.web.views import Option, Pages

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.INVOICES_READ))]
router = APIRouter(include_in_schema=False, prefix="/account/invoices", dependencies=[Depends(csrf.protect)])
_AT_ONCE: Final = 25
_STATES: Final = {
    InvoiceState.OPEN: "Open", InvoiceState.PAID: "Paid", InvoiceState.VOID: "Void",
    InvoiceState.UNCOLLECTIBLE: "Uncollectible",
}  # fmt: skip


@router.get("")
def listed(
    request: Request, tx: Tx, ports: Wired, who: Reader, state: str = "", year: str = "", after: str = ""
) -> Response:
    """Newest first; drafts are not the customer's yet."""
    query = select(Invoice).where(col(Invoice.account_id) == who.account_id, col(Invoice.number).is_not(None))
    chosen = {"state": state if state in set(_STATES) else "", "year": year if _is_year(year) else ""}
    if chosen["state"]:
        query = query.where(col(Invoice.state) == chosen["state"])
    if chosen["year"]:
        query = query.where(extract("year", col(Invoice.issued_on)) == int(chosen["year"]))
    cursor = after if has_form("inv", after) else None
    found = page(tx, query, col(Invoice.id), limit=_AT_ONCE, starting_after=cursor)
    kept = {name: value for name, value in chosen.items() if value}
    older = urlencode({**kept, "after": found.data[-1].id}) if found.has_more else ""
    view = InvoicesView(
        invoices=tuple(row for each in found.data for row in _rows(tx, ports, each)),
        credit=" and ".join(str(each) for each in credit.balances(tx, who.account_id)),
        states=tuple(Option(value=key.value, label=label) for key, label in _STATES.items()),
        years=_years(tx, who), form=FormView(values=chosen), open_total=_open_total(tx, who),
        pages=Pages(
            newer=f"/account/invoices?{urlencode(kept)}" if cursor else "",
            older=f"/account/invoices?{older}" if older else "",
        ),
    )  # fmt: skip
    return account_page(request, tx, view, who)


@router.get("/credit_notes/{credit_note_id}/pdf")
def credit_note_pdf(
    request: Request, tx: Tx, ports: Wired, who: Reader, credit_note_id: str, language: str = ""
) -> Response:  # fmt: skip
    """The credit note on paper, in the language of its invoice, or a copy in another."""
    return issued.pdf(request, tx, ports, owned.one(tx, who, CreditNote, "cn", credit_note_id), language)


@router.get("/{invoice_id}/pdf")
def pdf(request: Request, tx: Tx, ports: Wired, who: Reader, invoice_id: str, language: str = "") -> Response:
    """The invoice on paper, in the language it was bought in, or a copy in another."""
    return issued.pdf(request, tx, ports, owned.one(tx, who, Invoice, "inv", invoice_id), language)


@router.get("/credit_notes/{credit_note_id}/xml")
def credit_note_xml(
    request: Request, tx: Tx, ports: Wired, who: Reader, credit_note_id: str, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The credit note for the buyer's software (EN 16931)."""
    return issued.xml(request, tx, ports, owned.one(tx, who, CreditNote, "cn", credit_note_id), syntax)


@router.get("/{invoice_id}/xml")
def xml(
    request: Request, tx: Tx, ports: Wired, who: Reader, invoice_id: str, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The invoice for the buyer's software (EN 16931)."""
    return issued.xml(request, tx, ports, owned.one(tx, who, Invoice, "inv", invoice_id), syntax)


@router.get("/payments/{payment_id}/pdf")
def receipt(tx: Tx, ports: Wired, who: Reader, payment_id: str) -> Response:
    """The receipt of a payment."""
    return receipts.pdf(tx, ports, owned.one(tx, who, Payment, "pay", payment_id))


@router.get("/{invoice_id}/explain")
def explained(request: Request, tx: Tx, who: Reader, invoice_id: str) -> Response:
    """How every amount came about, computed again from what the invoice stores."""
    found = owned.one(tx, who, Invoice, "inv", invoice_id)
    if found.number is None:
        raise NotFound("It does not exist, or it belongs to another account.")
    view = ExplainView(
        number=found.number,
        pdf_href=f"/account/invoices/{found.id}/pdf",
        told=told_view(explain_invoice.explain(tx, found)),
    )
    return account_page(request, tx, view, who)


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isdigit()


def _years(tx: Unit, who: SignedInCustomer) -> tuple[Option, ...]:
    query = select(func.min(col(Invoice.issued_on)), func.max(col(Invoice.issued_on)))
    row: Any = tx.execute(query.where(col(Invoice.account_id) == who.account_id)).one()
    first, last = row
    if not isinstance(first, date) or not isinstance(last, date):
        return ()
    return tuple(Option(value=str(year), label=str(year)) for year in range(last.year, first.year - 1, -1))


def _open_total(tx: Unit, who: SignedInCustomer) -> str:
    """What is owed, by currency."""
    owed: dict[str, Money] = {}
    for each in owned.all_of(tx, who, Invoice, col(Invoice.state) == InvoiceState.OPEN):
        owed[each.currency] = owed.get(each.currency, Money.zero(each.currency)) + invoices.owed(tx, each)
    return " and ".join(str(owed[currency]) for currency in sorted(owed) if owed[currency])


def _rows(tx: Unit, ports: Ports, each: Invoice) -> list[InvoiceRow]:
    """The credit notes of an invoice, newest first, and the invoice under them."""
    electronically = electronic.may_have_one(tax.name for tax in invoices.taxes(tx, each.id))
    notes = (_note_row(note, electronically) for note in reversed(credit_notes.of_invoice(tx, each.id)))
    return [*notes, _row(tx, ports, each, electronically)]


def _note_row(note: CreditNote, electronically: bool) -> InvoiceRow:
    ways = ((note.to_refund_minor, "refunded"), (note.to_balance_minor, "kept as your credit"),
            (note.to_invoice_minor, "taken off the invoice"))  # fmt: skip
    return InvoiceRow(
        number=note.number, kind="credit_note", issued=note.issued_on, due=None,
        about=", ".join(f"{Money(minor, note.currency)} {way}" for minor, way in ways if minor),
        total=str(Money(-note.total_minor, note.currency)), open_amount=str(Money.zero(note.currency)),
        state="credited", pdf_href=f"/account/invoices/credit_notes/{note.id}/pdf",
        xml_href=f"/account/invoices/credit_notes/{note.id}/xml" if electronically else "",
    )  # fmt: skip


def _row(tx: Unit, ports: Ports, each: Invoice, electronically: bool) -> InvoiceRow:
    lines = invoices.lines(tx, each.id)
    owed = invoices.owed(tx, each).minor if each.state is InvoiceState.OPEN else 0
    return InvoiceRow(
        number=each.number or "", kind="invoice", issued=each.issued_on or each.created_at.date(), due=each.due_on,
        about=", ".join(f"{line.description}, {line.quantity:,} seats" for line in lines),
        total=str(Money(each.total_minor, each.currency)), open_amount=str(Money(owed, each.currency)),
        state=each.state.value, pdf_href=f"/account/invoices/{each.id}/pdf",
        xml_href=f"/account/invoices/{each.id}/xml" if electronically else "",
        pay_href=paying_invoices.link(ports, each.id) if owed else "",
        explain_href=f"/account/invoices/{each.id}/explain",
        receipt_hrefs=tuple(
            f"/account/invoices/payments/{part.payment_id}/pdf" for part in invoices.payments(tx, each.id)
        ),
    )  # fmt: skip
