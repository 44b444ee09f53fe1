"""Invoices: the list, and one with its postings and its PDF. Finalized documents never change (R-INV-1)."""

from fastapi import APIRouter, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import explain_invoice, papers
from app.invoices import service
from app.invoices.models import Invoice, InvoiceState
from app.ledger.models import LedgerAccount, LedgerEntry, Posting
from app.orders.models import Order
from app.payments.models import Payment
from app.tax import service as tax
from app.web.console import cells, lists, orders
from app.web.console.render import Reader, money, page
from app.web.console.views import Cell, ConsoleExplainView, ConsoleInvoiceView, ListView, Related
from app.web.deps import Tx, Wired
from app.web.explained import told_view
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
    stored = service.lines(tx, found.id)
    lines = [
        (line.description, line.quantity, line.unit_minor, line.net_minor + line.discount_minor) for line in stored
    ]
    given = sum(line.discount_minor for line in stored)
    paid = found.state is InvoiceState.PAID
    view = ConsoleInvoiceView(
        number=found.number or "Draft", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        rows=orders.rows_of(lines, determination, found.currency, found.discount, given),
        total=money(found.total_minor, found.currency),
        open_amount=money(found.total_minor, found.currency) if found.state is InvoiceState.OPEN else "",
        treatment=orders.in_words(determination), facts=_facts(found),
        documents=_documents(found),
        postings=_postings(tx, found), related=(_payments(tx, found),) if paid else (),
    )  # fmt: skip
    return page(request, tx, view, who)


def _documents(found: Invoice) -> tuple[Link, ...]:
    if not found.number:
        return ()
    path = f"/console/invoices/{found.id}"
    return (Link(label="PDF", href=f"{path}/pdf"), Link(label="Explain these amounts", href=f"{path}/explain"))


@router.get("/console/invoices/{invoice_id}/explain")
def explained(request: Request, tx: Tx, who: Reader, invoice_id: str) -> Response:
    """Every amount of an invoice, computed again from what its lines store."""
    found = service.get(tx, ids.require_form("inv", invoice_id))
    if found.number is None:
        raise NotFound("A draft can still change; it is explained once it is final.")
    told = explain_invoice.explain(tx, found)
    view = ConsoleExplainView(
        number=found.number, href=f"/console/invoices/{found.id}", told=told_view(told),
        data_version=told.data_version,
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


def _postings(tx: Session, found: Invoice) -> Related:
    """The entry of the invoice and that of its payment, as the books hold them."""
    paid_by = [f"payment:{each.id}" for each in _paid(tx, found)]
    query = (
        select(LedgerEntry, Posting, col(LedgerAccount.name))
        .join(Posting, col(Posting.entry_id) == col(LedgerEntry.id))
        .join(LedgerAccount, col(LedgerAccount.code) == col(Posting.ledger_account))
        .where(col(LedgerEntry.source).in_([f"invoice:{found.id}", *paid_by]))
        .order_by(col(LedgerEntry.id), col(Posting.id))
    )
    rows = tuple(
        (
            Cell(text=f"{posting.ledger_account} {name}", note=posting.dimension), Cell(text=entry.memo),
            Cell(day=entry.booked_on), Cell(text=money(max(posting.amount_minor, 0), posting.currency) if
                                            posting.amount_minor > 0 else "", number=True),
            Cell(text=money(-posting.amount_minor, posting.currency) if posting.amount_minor < 0 else "", number=True),
        )
        for entry, posting, name in tx.execute(query)
    )  # fmt: skip
    return Related(title="Postings", columns=("Account", "Entry", "Booked", "Debit", "Credit"), rows=rows)


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
