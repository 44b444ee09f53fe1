"""Invoices: the list, and one with its postings and its PDF. Finalized documents never change (R-INV-1)."""

from fastapi import APIRouter, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import papers
from app.invoices import credit_notes, service
from app.invoices.models import Invoice, InvoiceState
from app.orders.models import Order
from app.payments import refunds
from app.payments.models import DisputeState, Payment
from app.tax import service as tax
from app.web.console import cells, lists, orders
from app.web.console.render import Reader, can, money, page
from app.web.console.views import Cell, ConsoleInvoiceView, ListView, Related
from app.web.deps import Tx, Wired
from app.web.views import Fact, Link

router = APIRouter()


@router.get("/console/invoices")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Invoice, col(Account.name)).join(Account, col(Account.id) == col(Invoice.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Invoice.number).icontains(wanted.q, autoescape=True), col(Invoice.id) == wanted.q,
                col(Invoice.account_id) == wanted.q, col(Invoice.po_number) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(InvoiceState, wanted.state):
        query = query.where(col(Invoice.state) == state)
    found = lists.window(tx, query, col(Invoice.id), wanted, "invoices")
    rows = []
    for each, name in found.rows:
        first, *rest = cells.invoice_row(each)
        rows.append((first, Cell(text=name, href=f"/console/accounts/{each.account_id}"), *rest))
    view = ListView(
        kind="invoices", columns=("Invoice", "Account", "State", "Issued", "Total"), rows=tuple(rows),
        form=wanted.form, states=lists.options(InvoiceState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/invoices/{invoice_id}")
def one(request: Request, tx: Tx, who: Reader, invoice_id: str) -> Response:
    found = service.get(tx, ids.require_form("inv", invoice_id))
    account = tx.get_one(Account, found.account_id)
    determination = tax.stored(tx, found.tax_determination_id)
    lines = [(line.description, line.quantity, line.unit_minor, line.net_minor) for line in service.lines(tx, found.id)]
    view = ConsoleInvoiceView(
        number=found.number or "Draft", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        rows=orders.rows_of(lines, determination, found.currency), total=money(found.total_minor, found.currency),
        open_amount=str(owed) if (owed := service.owed(tx, found)) else "",
        treatment=orders.in_words(determination), facts=_facts(found),
        documents=_documents(found, who), postings=cells.postings(tx, _sources(tx, found)),
        related=_related(tx, found),
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/invoices/{invoice_id}/pdf")
def pdf(ports: Wired, tx: Tx, _who: Reader, invoice_id: str) -> Response:
    """The document the buyer has, drawn from its frozen copy."""
    found = service.get(tx, ids.require_form("inv", invoice_id))
    if found.number is None:
        raise NotFound("A draft has no document yet.")
    drawn = render_pdf(DocumentKind.INVOICE, papers.invoice_document(tx, ports, found), papers.locale_of(found))
    name = f'inline; filename="{found.number}.pdf"'
    return Response(drawn, media_type="application/pdf", headers={"Content-Disposition": name})


def _facts(found: Invoice) -> tuple[Fact, ...]:
    buyer = found.buyer
    facts = [
        Fact(name="Seller", value=str(found.seller["name"])),
        Fact(name="Buyer", value=f"{buyer['company'] or buyer['name']}, {buyer['country']}"),
        Fact(name="Issued", value=str(found.issued_on or "not yet")),
        Fact(name="Due", value=str(found.due_on or "not yet")),
        Fact(name="Supply", value=f"{found.supply_from} to {found.supply_to}, that day not included"),
        Fact(name="Order", value=found.order_id, href=f"/console/orders/{found.order_id}", mono=True),
    ]
    if found.po_number:
        facts.append(Fact(name="PO number", value=found.po_number))
    if found.paid_at is not None:
        facts.append(Fact(name="Paid", value=f"{found.paid_at:%Y-%m-%d %H:%M} UTC"))
    facts.append(Fact(name="Id", value=found.id, mono=True))
    return tuple(facts)


def _documents(found: Invoice, who: SignedInStaff) -> tuple[Link, ...]:
    """The paper, and the way to give its money back."""
    if found.number is None:
        return ()
    links = [Link(label="PDF", href=f"/console/invoices/{found.id}/pdf")]
    if found.state is InvoiceState.PAID and can(who, May.REFUNDS_WRITE):
        links.append(Link(label="Give money back", href=f"/console/invoices/{found.id}/refund"))
    return tuple(links)


def _sources(tx: Session, found: Invoice) -> list[str]:
    """What of this invoice the books know: itself, its payments, credit spent on it, notes, refunds, disputes."""
    payments = _paid(tx, found)
    disputes = [each for payment in payments for each in refunds.disputes_of(tx, payment.id)]
    return [
        f"invoice:{found.id}", f"credit_spent:{found.id}", *(f"payment:{each.id}" for each in payments),
        *(f"credit_note:{each.id}" for each in credit_notes.of_invoice(tx, found.id)),
        *(f"{kind}:{each.id}" for each in refunds.of_invoice(tx, found.id) for kind in ("refund", "refund_failed")),
        *(f"dispute_{state.value}:{each.id}" for each in disputes for state in DisputeState),
    ]  # fmt: skip


def _related(tx: Session, found: Invoice) -> tuple[Related, ...]:
    payments = _paid(tx, found)
    tables = [
        _payments(tx, found), cells.credit_notes(credit_notes.of_invoice(tx, found.id)),
        cells.refunds(refunds.of_invoice(tx, found.id)),
        cells.disputes([each for payment in payments for each in refunds.disputes_of(tx, payment.id)]),
    ]  # fmt: skip
    return tuple(each for each in tables if each.rows)


def _paid(tx: Session, found: Invoice) -> list[Payment]:
    order = tx.get_one(Order, found.order_id)
    query = select(Payment).where(col(Payment.order_id) == order.id).order_by(col(Payment.id))
    return list(tx.execute(query).scalars())


def _payments(tx: Session, found: Invoice) -> Related:
    rows = tuple(
        (
            Cell(text=each.id, mono=True), Cell(text=each.method_label or str(each.method)),
            Cell(text=each.provider, note=each.provider_ref), lists.day(each.received_at),
            cells.amount(each.amount_minor, each.currency),
        )
        for each in _paid(tx, found)
    )  # fmt: skip
    return Related(title="Payments", columns=("Payment", "By", "Provider", "Received", "Amount"), rows=rows)
