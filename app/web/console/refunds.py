"""Refunds: looked at before they are begun, let go by a second person above the limit, and listed."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import RedirectResponse, Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.flows import refund
from app.flows.consequences import OnLicense, OnWorkspace
from app.flows.ports import Ports
from app.flows.refund import Asked, Outlook
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditReason, Invoice
from app.payments import refunds as service
from app.payments.models import Refund, RefundState
from app.web import auth
from app.web.console import cells, lists
from app.web.console.refund_views import RefundOutlook, RefundView
from app.web.console.render import Note, Reader, actor_name, back, can, form_for, page, reason, refused
from app.web.console.views import Action, Cell, DetailView, ListView
from app.web.deps import Tx, Wired
from app.web.views import Fact, Link, MoneyRow, Option
from app.web.views import Form as FormView

router = APIRouter()
Cashier = Annotated[SignedInStaff, Depends(auth.staff(May.REFUNDS_WRITE, fresh=True))]
Typed = Annotated[str, Form()]

GROUNDS: Final = {
    CreditReason.CANCELLATION: "Cancellation", CreditReason.GOODWILL: "Goodwill",
    CreditReason.CORRECTION: "Correction of the invoice",
}  # fmt: skip
_LICENSE: Final = {"revoke": "Revoke it", "keep": "Leave it as it is"}


@router.get("/console/refunds")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Refund, col(Account.name), col(Invoice.number)).join(
        Account, col(Account.id) == col(Refund.account_id)
    )
    query = query.join(Invoice, col(Invoice.id) == col(Refund.invoice_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Refund.id) == wanted.q, col(Refund.provider_ref) == wanted.q, col(Refund.account_id) == wanted.q,
                col(Invoice.number).icontains(wanted.q, autoescape=True),
                col(Account.name).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(RefundState, wanted.state):
        query = query.where(col(Refund.state) == state)
    found = lists.window(tx, query, col(Refund.id), wanted, "refunds")
    rows = tuple(
        (
            cells.named("refunds", each.id, name), Cell(state=str(each.state)),
            Cell(text=number, href=f"/console/invoices/{each.invoice_id}"), lists.day(each.created_at),
            cells.amount(each.amount_minor, each.currency),
        )
        for each, name, number in found.rows
    )  # fmt: skip
    view = ListView(
        kind="refunds", columns=("Refund", "State", "Invoice", "Asked for", "Amount"), rows=rows, form=wanted.form,
        states=lists.options(RefundState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/refunds/{refund_id}")
def one(request: Request, tx: Tx, who: Reader, refund_id: str) -> Response:
    return _show(request, tx, who, refund_id, FormView(), 200)


@router.post("/console/refunds/{refund_id}/approve")
def approve(request: Request, ports: Wired, who: Cashier, refund_id: str, note: Note = "") -> Response:
    """Let a refund go that somebody else asked for."""
    ids.require_form("ref", refund_id)
    try:
        reason(note)
        refund.approve(ports, refund_id, by=who.staff_id)
    except DomainError as exc:
        return _again(request, who, refund_id, refused("approve", {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/refunds/{refund_id}", "refund-begun")


@router.post("/console/refunds/{refund_id}/reject")
def reject(request: Request, ports: Wired, who: Cashier, refund_id: str, note: Note = "") -> Response:
    """Say no to a refund that somebody else asked for."""
    ids.require_form("ref", refund_id)
    try:
        refund.reject(ports, refund_id, by=who.staff_id, note=reason(note))
    except DomainError as exc:
        return _again(request, who, refund_id, refused("reject", {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/refunds/{refund_id}", "refund-rejected")


@router.get("/console/invoices/{invoice_id}/refund")
def look(
    request: Request, tx: Tx, ports: Wired, who: Cashier, invoice_id: str, amount: str = "", access: str = "",
    ground: str = "",
) -> Response:  # fmt: skip
    """The form, and once a ground is chosen what it would do. Changes nothing."""
    form = FormView(values={"amount": amount, "access": access, "ground": ground})
    return _form(request, tx, ports, who, invoice_id, form, 200)


@router.post("/console/invoices/{invoice_id}/refund")
def begin(
    request: Request, ports: Wired, who: Cashier, invoice_id: str, amount: Typed = "", access: Typed = "",
    ground: Typed = "", seen: Typed = "", note: Note = "",
) -> Response:  # fmt: skip
    """Begin it, or ask a second person, exactly as it was shown."""
    typed = {"amount": amount, "access": access, "ground": ground, "note": note}
    ids.require_form("inv", invoice_id)
    try:
        with ports.db.session() as tx:
            asked = _asked(tx, invoice_id, FormView(values=typed), reason(note))
            if str(refund.outlook(tx, ports, asked).amount) != seen:
                raise Invalid("The figures are different now; look at them again.")
        made = refund.request(ports, asked, by=who.staff_id)
    except DomainError as exc:
        form = FormView(values=typed, errors={exc.param if exc.param in typed else "": exc.detail})
        with ports.db.session() as tx:
            return _form(request, tx, ports, who, invoice_id, form, exc.status)
    done = "refund-asked" if made.state is RefundState.REQUESTED else "refund-begun"
    return RedirectResponse(f"/console/refunds/{made.id}?done={done}", 303)


def _asked(tx: Session, invoice_id: str, form: FormView, note: str = "") -> Asked:
    """What the form asks for. Raises Invalid."""
    invoice = invoices.get(tx, ids.require_form("inv", invoice_id))
    total = None
    if form.value("amount").strip():
        try:
            total = Money.from_major(form.value("amount").strip().replace(",", ""), invoice.currency).minor
        except ValueError as exc:
            raise Invalid(f"Write an amount in {invoice.currency}, such as 119.00.", param="amount") from exc
    if form.value("ground") not in set(GROUNDS):
        raise Invalid("Choose the ground.", param="ground")
    chosen = {"revoke": True, "keep": False}.get(form.value("access"))
    return Asked(invoice.id, None, total, CreditReason(form.value("ground")), chosen, note)


def _form(
    request: Request, tx: Session, ports: Ports, who: SignedInStaff, invoice_id: str, form: FormView, status: int
) -> Response:
    invoice = invoices.get(tx, ids.require_form("inv", invoice_id))
    account = tx.get_one(Account, invoice.account_id)
    seen = None
    if form.value("ground"):
        try:
            seen = _shown(tx, refund.outlook(tx, ports, _asked(tx, invoice_id, form)))
        except DomainError as exc:
            status = max(status, int(exc.status))
            errors = form.errors or {exc.param if exc.param in {"amount", "ground"} else "": exc.detail}
            form = FormView(values=form.values, errors=errors)
    credited = credit_notes.credited(tx, invoice)
    view = RefundView(
        invoice=Link(label=invoice.number or "Draft", href=f"/console/invoices/{invoice.id}"),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), state=str(invoice.state),
        facts=(
            Fact(name="Total", value=str(Money(invoice.total_minor, invoice.currency))),
            Fact(name="Given back already", value=str(credited)),
            Fact(name="Left", value=str(Money(invoice.total_minor, invoice.currency) - credited)),
        ),
        choices=tuple(Option(value=value, label=label) for value, label in _LICENSE.items()),
        grounds=tuple(Option(value=value.value, label=label) for value, label in GROUNDS.items()),
        here=f"/console/invoices/{invoice.id}/refund", outlook=seen, form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _shown(tx: Session, seen: Outlook) -> RefundOutlook:
    currency = seen.amount.currency
    sentences = [f"It goes back to {seen.payment.method_label or 'the payment'}, and a credit note is issued."]
    if seen.to_credit:
        sentences.append(f"{seen.to_credit} were paid from the customer's credit and are their credit again.")
    names = cells.plan_names(tx)
    if seen.effects.on_license is OnLicense.REVOKE:
        sentences += [
            f"The license for {names[each.plan_id]}, {each.seats} seats, is revoked."
            for each in cells.licenses_by_id(tx, seen.effects.licenses)
        ]
    if not seen.effects.licenses:
        sentences.append("The license stays as it is.")
    if seen.effects.on_workspace is OnWorkspace.HIBERNATE:
        sentences.append("The workspace is put to sleep; its data stays.")
    if seen.effects.ends_subscription:
        sentences.append("The subscription is canceled.")
    second = ""
    if seen.second_person:
        above = f"above {seen.limit}" if seen.limit else f"of any amount in {currency}"
        second = f"A refund {above} needs a second person: it is sent once somebody else has let it go."
    return RefundOutlook(
        rows=(
            MoneyRow(label="Net", amount=str(Money(seen.given.net, currency))),
            MoneyRow(label="Tax of then", amount=str(Money(seen.given.tax, currency)), kind="tax"),
        ),
        total=str(seen.amount), effects=tuple(sentences), second_person=second,
    )  # fmt: skip


def _again(request: Request, who: SignedInStaff, refund_id: str, form: FormView, exc: DomainError) -> Response:
    with request.app.state.ports.db.session() as tx:
        return _show(request, tx, who, refund_id, form, exc.status)


def _show(request: Request, tx: Session, who: SignedInStaff, refund_id: str, form: FormView, status: int) -> Response:
    found = service.get(tx, ids.require_form("ref", refund_id))
    account, invoice = tx.get_one(Account, found.account_id), tx.get_one(Invoice, found.invoice_id)
    view = DetailView(
        kind="refunds", id=found.id, title=f"{Money(found.amount_minor, found.currency)} to {account.name}",
        state=str(found.state), account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        facts=_facts(tx, found, invoice), related=(), actions=_actions(found, who, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(tx: Session, found: Refund, invoice: Invoice) -> tuple[Fact, ...]:
    facts = [
        Fact(name="Invoice", value=invoice.number or "", href=f"/console/invoices/{invoice.id}"),
        Fact(name="Asked for by", value=f"{actor_name(tx, found.requested_by)}, {found.created_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name="The license", value="is revoked once it is sent" if found.revoke else "stays as it is"),
    ]
    if found.decided_by:
        facts.append(Fact(name="Decided by", value=actor_name(tx, found.decided_by)))
    if found.note:
        facts.append(Fact(name="Reason", value=found.note))
    if found.credit_note_id:
        note = credit_notes.get(tx, found.credit_note_id)
        facts.append(Fact(name="Credit note", value=note.number, href=f"/console/credit_notes/{note.id}"))
    if found.provider_ref:
        facts.append(Fact(name=f"At {found.provider}", value=found.provider_ref, mono=True))
    if found.failure_code:
        facts.append(Fact(name="Failed with", value=f"{found.failure_code}; the money is kept as customer credit"))
    return tuple(facts)


def _actions(found: Refund, who: SignedInStaff, form: FormView) -> tuple[Action, ...]:
    if found.state is not RefundState.REQUESTED or not can(who, May.REFUNDS_WRITE):
        return ()
    if found.requested_by == who.staff_id:
        return ()
    here = f"/console/refunds/{found.id}"
    return (
        Action(
            name="approve", title="Let it go", button="Send the refund", href=f"{here}/approve", procedure="refund",
            tone="danger", form=form_for("approve", form), hint="What you checked. The money goes at once.",
        ),
        Action(
            name="reject", title="Say no", button="Reject the refund", href=f"{here}/reject", procedure="refund",
            form=form_for("reject", form), hint="Why; whoever asked for it reads it in the audit log.",
        ),
    )  # fmt: skip
