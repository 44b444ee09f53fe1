"""Invoices: the list, and one with its postings and its PDF. Finalized documents never change (R-INV-1)."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import Invalid, NotFound
from app.core.money import Money
from app.documents.electronic_shapes import Syntax
from app.flows import electronic, explain_invoice, invoice_reminders, late_confirmation, receivables
from app.flows.receivables import Transfer
from app.invoices import credit_notes, reminders, service
from app.invoices.models import Invoice, InvoicePayment, InvoiceState
from app.payments import refunds
from app.payments.models import DisputeState, Method, Payment
from app.reports import tax_evidence
from app.subscriptions.proration import Share
from app.subscriptions.replay import Replayed
from app.tax import records
from app.tax import service as tax
from app.web import auth, issued, receipts
from app.web.console import cells, documents, lists, orders
from app.web.console.render import Note, Reader, attempt, can, form_for, money, page, reason
from app.web.console.views import (
    Action,
    Cell,
    ConsoleExplainView,
    ConsoleInvoiceView,
    Input,
    Related,
)
from app.web.deps import Tx, Wired
from app.web.explained import told_view
from app.web.views import Fact, Form, Link, Option

router = APIRouter()
Bookkeeper = Annotated[SignedInStaff, Depends(auth.staff(May.REPORTS_READ))]
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Text = Annotated[str, FormField()]


@router.get("/console/invoices")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    view = documents.listed(
        tx, wanted, Invoice, kind="invoices", columns=cells.INVOICE_COLUMNS, row=cells.invoice_row,
        states=InvoiceState, state=col(Invoice.state), exact=(col(Invoice.po_number),),
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


@router.post("/console/invoices/{invoice_id}/put_off")
def put_off(
    request: Request, ports: Wired, who: Cashier, invoice_id: str, note: Note = "", days: Text = ""
) -> Response:  # fmt: skip
    """Leave the customer alone about this invoice for some days."""
    ids.require_form("inv", invoice_id)

    def deed() -> None:
        if not days.isdecimal() or len(days) > 4:
            raise Invalid("Write the days as a whole number, such as 7.", param="days")
        invoice_reminders.put_off(ports, invoice_id, days=int(days), reason=reason(note), by=who.staff_id)

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, invoice_id, form, status)

    here = f"/console/invoices/{invoice_id}"
    return attempt(ports, "put_off", {"note": note, "days": days}, deed, again, to=here, done="reminders-put-off")


@router.post("/console/invoices/{invoice_id}/replace")
def replace(request: Request, ports: Wired, who: Cashier, invoice_id: str, note: Note = "") -> Response:
    """Credit it in full and issue it again as the rules decide with its tax number confirmed (ADR 0046)."""
    ids.require_form("inv", invoice_id)

    def deed() -> None:
        late_confirmation.correct(ports, invoice_id, by=who.staff_id, note=reason(note))

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, invoice_id, form, status)

    here = f"/console/invoices/{invoice_id}"
    return attempt(ports, "replace", {"note": note}, deed, again, to=here, done="invoice-replaced")


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
        (
            line.description,
            Replayed.of(line, found.currency, Share(line.numerator, line.denominator, line.rule)).equation(),
            line.net_minor + line.discount_minor,
        )
        for line in stored
    ]
    given = sum(line.discount_minor for line in stored)
    due = service.owed(tx, found)
    view = ConsoleInvoiceView(
        number=found.number or "Draft", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        rows=orders.rows_of(lines, determination, found.currency, found.discount, given),
        total=money(found.total_minor, found.currency), open_amount=str(due) if due else "",
        treatment=orders.in_words(determination),
        facts=(*_facts(found), *_in_place_of(tx, found), *_provider_books(tx, found)),
        documents=_documents(tx, found, who),
        postings=cells.postings(tx, _sources(tx, found)), related=_related(tx, found),
        actions=_actions(tx, found, who, form, due), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _actions(tx: Session, found: Invoice, who: SignedInStaff, form: Form, due: Money) -> tuple[Action, ...]:
    if not can(who, May.PAYMENTS_WRITE):
        return ()
    return (*(_collecting(tx, found, form, due) if due else ()), *_replacing(tx, found, form))


def _replacing(tx: Session, found: Invoice, form: Form) -> tuple[Action, ...]:
    """Only where a number was confirmed since that changes its tax."""
    try:
        back = late_confirmation.outlook(tx, found).given_back
    except late_confirmation.NotCorrectable:
        return ()
    return (
        Action(
            name="replace",
            title="Issue it again without the tax",
            button="Credit it and issue it again",
            href=f"/console/invoices/{found.id}/replace",
            procedure="tax-numbers",
            form=form_for("replace", form),
            hint=f"Its tax number was confirmed since: {back} of tax become credit, or are not asked for.",
        ),
    )


def _collecting(tx: Session, found: Invoice, form: Form, due: Money) -> tuple[Action, ...]:
    typed = form_for("payment", form)
    prefilled = typed if typed.values else Form(values={"amount": str(due.major()), "ground": "wire"})
    later = Action(
        name="put_off", title="Put the reminders off", button="Put them off",
        href=f"/console/invoices/{found.id}/put_off", procedure="invoice-reminders", form=form_for("put_off", form),
        inputs=(Input(name="days", label="Days", hint="All that are to come move by as many."),),
        hint="What the customer said, and when the money is to come.",
    )  # fmt: skip
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
        *((later,) if reminders.to_come(tx, found.id) else ()),
    )  # fmt: skip


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


@router.get("/console/invoices/{invoice_id}/evidence")
def evidence(tx: Tx, _who: Bookkeeper, invoice_id: str) -> Response:
    """Why it bears this tax, in one file for an auditor."""
    found = service.get(tx, ids.require_form("inv", invoice_id))
    headers = {"Content-Disposition": f'attachment; filename="{tax_evidence.file_name(found)}"'}
    return Response(tax_evidence.write(tx, found), media_type="application/json", headers=headers)


@router.get("/console/invoices/{invoice_id}/pdf")
def pdf(
    request: Request, ports: Wired, tx: Tx, _who: Reader, invoice_id: str, language: str = ""
) -> Response:  # fmt: skip
    """The document the buyer has, or a copy in another language."""
    found = service.get(tx, ids.require_form("inv", invoice_id))
    return issued.pdf(request, tx, ports, found, language, inline=True)


@router.get("/console/invoices/{invoice_id}/xml")
def xml(
    request: Request, ports: Wired, tx: Tx, _who: Reader, invoice_id: str, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The same for the buyer's software (EN 16931)."""
    return issued.xml(request, tx, ports, service.get(tx, ids.require_form("inv", invoice_id)), syntax)


@router.get("/console/payments/{payment_id}/pdf")
def receipt(tx: Tx, ports: Wired, _who: Reader, payment_id: str) -> Response:
    """The receipt that the buyer can have of a payment."""
    found = tx.get(Payment, ids.require_form("pay", payment_id))
    if found is None:
        raise NotFound("There is no such payment.")
    return receipts.pdf(tx, ports, found, inline=True)


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


def _provider_books(tx: Session, found: Invoice) -> tuple[Fact, ...]:
    """Where the sale stands with the provider that computed its tax."""
    record = records.of_invoice(tx, found.id)
    if record is None:
        return ()
    said = f"recorded as {record.ref}" if record.ref else f"{record.state}: {record.detail or 'not there yet'}"
    return (Fact(name="Tax provider", value=f"{record.provider}, {said}"),)


def _in_place_of(tx: Session, found: Invoice) -> tuple[Fact, ...]:
    """The invoice before it, or the one that counts instead."""
    before = service.get(tx, found.replaces) if found.replaces is not None else None
    pairs = (("Replaces", before), ("Replaced by", service.replacing(tx, found.id)))
    return tuple(
        Fact(name=name, value=str(other.number), href=f"/console/invoices/{other.id}")
        for name, other in pairs
        if other is not None
    )


def _documents(tx: Session, found: Invoice, who: SignedInStaff) -> tuple[Link, ...]:
    """The paper, and the way to give its money back."""
    if found.number is None:
        return ()
    path = f"/console/invoices/{found.id}"
    links = [Link(label="PDF", href=f"{path}/pdf")]
    if electronic.may_have_one(each.name for each in service.taxes(tx, found.id)):
        links += [
            Link(label="XML (CII)", href=f"{path}/xml"), Link(label="XML (UBL)", href=f"{path}/xml?syntax=ubl")
        ]  # fmt: skip
    links.append(Link(label="Explain these amounts", href=f"{path}/explain"))
    if can(who, May.REPORTS_READ):
        links.append(Link(label="Tax evidence", href=f"{path}/evidence"))
    if found.state is InvoiceState.PAID and can(who, May.REFUNDS_WRITE):
        links.append(Link(label="Give money back", href=f"{path}/refund"))
    return tuple(links)


def _sources(tx: Session, found: Invoice) -> list[str]:
    """What of this invoice the books know: itself, its payments, credit spent on it, notes, refunds, disputes."""
    payments = [payment for _, payment in _paid(tx, found)]
    disputes = [each for payment in payments for each in refunds.disputes_of(tx, payment.id)]
    return [
        f"invoice:{found.id}", f"credit_spent:{found.id}", *(f"payment:{each.id}" for each in payments),
        *(f"credit_note:{each.id}" for each in credit_notes.of_invoice(tx, found.id)),
        *(f"{kind}:{each.id}" for each in refunds.of_invoice(tx, found.id) for kind in ("refund", "refund_failed")),
        *(f"dispute_{state.value}:{each.id}" for each in disputes for state in DisputeState),
    ]  # fmt: skip


def _related(tx: Session, found: Invoice) -> tuple[Related, ...]:
    paid = _paid(tx, found)
    tables = [
        _payments(paid, found.currency), cells.credit_notes(credit_notes.of_invoice(tx, found.id)),
        cells.refunds(refunds.of_invoice(tx, found.id)),
        cells.disputes([each for _, payment in paid for each in refunds.disputes_of(tx, payment.id)]),
    ]  # fmt: skip
    return tuple(each for each in tables if each.rows)


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
            Cell(text=each.id, mono=True, href=f"/console/payments/{each.id}/pdf"),
            Cell(text=each.method_label or str(each.method)),
            Cell(text=each.provider, note=each.provider_ref), lists.day(each.received_at),
            cells.amount(part.amount_minor, currency),
        )
        for part, each in paid
    )  # fmt: skip
    return Related(title="Payments", columns=("Payment", "By", "Provider", "Received", "Amount"), rows=rows)
