"""Invoices: the list, and one with its postings and its PDF. Finalized documents never change (R-INV-1)."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import Invalid, NotFound
from app.core.money import Money
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import explain_invoice, papers, receivables
from app.flows.receivables import Transfer
from app.invoices import service
from app.invoices.models import Invoice, InvoicePayment, InvoiceState
from app.ledger.models import LedgerAccount, LedgerEntry, Posting
from app.payments.models import Method, Payment
from app.tax import service as tax
from app.web import auth
from app.web.console import cells, lists, orders
from app.web.console.render import Note, Reader, attempt, can, form_for, money, page, reason
from app.web.console.views import (
    Action,
    Cell,
    ConsoleExplainView,
    ConsoleInvoiceView,
    Input,
    ListView,
    Related,
)
from app.web.deps import Tx, Wired
from app.web.explained import told_view
from app.web.views import Fact, Form, Link, Option

router = APIRouter()
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Text = Annotated[str, FormField()]


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
    return _show(request, tx, who, invoice_id, Form(), 200)


@router.post("/console/invoices/{invoice_id}/payment")
def record_payment(
    request: Request, ports: Wired, who: Cashier, invoice_id: str, note: Note = "", amount: Text = "",
    reference: Text = "", value_on: Text = "", ground: Text = "",
) -> Response:  # fmt: skip
    """Money that came for this invoice by wire or cheque; what is over becomes the customer's credit."""
    ids.require_form("inv", invoice_id)

    def deed() -> None:
        with ports.db.transaction() as tx:
            found = service.get(tx, invoice_id)
        receivables.record(ports, Transfer(
            account_id=found.account_id, amount=_amount(amount, found.currency), method=_method(ground),
            reference=reference, value_on=_day(value_on), invoice_ids=(found.id,), note=reason(note),
        ), by=who.staff_id)  # fmt: skip

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, invoice_id, form, status)

    typed = {"note": note, "amount": amount, "reference": reference, "value_on": value_on, "ground": ground}
    here = f"/console/invoices/{invoice_id}"
    return attempt(ports, "payment", typed, deed, again, to=here, done="payment-recorded")


def _amount(text: str, currency: str) -> Money:
    try:
        return Money.from_major(text.strip().replace(",", ""), currency)
    except ValueError as exc:
        raise Invalid(f"Write the amount in {currency} with a point, such as 1,250.00.", param="amount") from exc


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as exc:
        raise Invalid("Give the day the money arrived, such as 2026-11-30.", param="value_on") from exc


def _method(text: str) -> Method:
    if text not in {Method.WIRE, Method.CHEQUE}:
        raise Invalid("Choose how the money came.", param="ground")
    return Method(text)


def _show(request: Request, tx: Session, who: SignedInStaff, invoice_id: str, form: Form, status: int) -> Response:
    found = service.get(tx, ids.require_form("inv", invoice_id))
    account = tx.get_one(Account, found.account_id)
    determination = tax.stored(tx, found.tax_determination_id)
    stored = service.lines(tx, found.id)
    lines = [
        (line.description, line.quantity, line.unit_minor, line.net_minor + line.discount_minor) for line in stored
    ]
    given = sum(line.discount_minor for line in stored)
    paid = _paid(tx, found)
    due = service.amount_due(tx, found)
    view = ConsoleInvoiceView(
        number=found.number or "Draft", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        rows=orders.rows_of(lines, determination, found.currency, found.discount, given),
        total=money(found.total_minor, found.currency), open_amount=str(due) if due else "",
        treatment=orders.in_words(determination), facts=_facts(found), documents=_documents(found),
        postings=_postings(tx, found, paid), related=(_payments(paid, found.currency),) if paid else (),
        actions=_actions(found, who, form, due), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _actions(found: Invoice, who: SignedInStaff, form: Form, due: Money) -> tuple[Action, ...]:
    if not due or not can(who, May.PAYMENTS_WRITE):
        return ()
    typed = form_for("payment", form)
    prefilled = typed if typed.values else Form(values={"amount": str(due.major()), "ground": "wire"})
    return (
        Action(
            name="payment", title="Record a payment", button="Record the payment", tone="primary",
            href=f"/console/invoices/{found.id}/payment", procedure="record-payment", form=prefilled,
            inputs=(
                Input(name="amount", label=f"Amount in {found.currency}", hint="As the bank shows it, in part if so."),
                Input(name="reference", label="Reference", hint="The bank's own; each can be recorded once."),
                Input(name="value_on", label="Arrived on", type="date"),
            ),
            options=(Option(value="wire", label="By wire"), Option(value="cheque", label="By cheque")),
            asked="How it came", hint="Who told you, and where the statement is kept.",
        ),
    )  # fmt: skip


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


def _postings(tx: Session, found: Invoice, paid: Sequence[tuple[InvoicePayment, Payment]]) -> Related:
    """The entry of the invoice and those of its payments, as the books hold them."""
    paid_by = [f"payment:{each.id}" for _, each in paid]
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


def _paid(tx: Session, found: Invoice) -> list[tuple[InvoicePayment, Payment]]:
    query = (
        select(InvoicePayment, Payment)
        .join(Payment, col(Payment.id) == col(InvoicePayment.payment_id))
        .where(col(InvoicePayment.invoice_id) == found.id)
        .order_by(col(InvoicePayment.id))
    )
    return [(part, payment) for part, payment in tx.execute(query)]


def _payments(paid: Sequence[tuple[InvoicePayment, Payment]], currency: str) -> Related:
    rows = tuple(
        (
            Cell(text=each.id, mono=True), Cell(text=each.method_label or str(each.method)),
            Cell(text=each.provider, note=each.provider_ref), lists.day(each.received_at),
            cells.amount(part.amount_minor, currency),
        )
        for part, each in paid
    )  # fmt: skip
    return Related(title="Payments", columns=("Payment", "By", "Provider", "Received", "Amount"), rows=rows)
