"""`/invoices/{token}`: an open invoice behind its link, to be read and paid. The token in the address opens it.

Whoever holds the link may pay with a card of their own, signed in or not. The card that is kept for the account is
charged only for somebody who is signed in to it and may.
"""

from datetime import date

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import DomainError, NotAllowed, NotFound
from app.core.money import Money
from app.flows import paying_invoices
from app.flows.paying_invoices import CardDeclined, NoSavedCard, NothingOwed
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditNote, Invoice, InvoiceState
from app.payments import credit
from app.payments import service as payments
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.payments.models import AttemptState, Payment
from app.web import csrf, issued, receipts, show
from app.web.auth import CustomerIfAny
from app.web.deps import Wired
from app.web.portal import asking
from app.web.portal.invoice_views import PayInvoiceView
from app.web.portal.render import see_other
from app.web.views import Fact, Link, MoneyRow

router = APIRouter(include_in_schema=False, prefix="/invoices/{token}", dependencies=[Depends(csrf.protect)])


@router.get("")
def look(request: Request, ports: Wired, who: CustomerIfAny, token: str) -> Response:
    """What was invoiced, what came in, what is still owed, and the ways to pay it."""
    return _page(request, ports, who, token)


@router.post("/pay")
@csrf.exempt("the token in the address proves the right")
def pay(request: Request, ports: Wired, who: CustomerIfAny, token: str) -> Response:
    """On to the provider's page; where nothing is owed any more, back to the page that says so."""
    with ports.db.transaction() as tx:
        invoice_id = paying_invoices.behind(tx, ports, token).id
    try:
        paying = paying_invoices.lead_to_page(ports, invoice_id)
    except NothingOwed:
        return see_other(f"/invoices/{token}")
    except (PaymentUnavailable, PaymentRefused) as refused:
        return _page(request, ports, who, token, refused)
    return see_other(paying.payment_url or f"/invoices/{token}")


@router.post("/card")
def pay_with_card(request: Request, ports: Wired, who: CustomerIfAny, token: str) -> Response:
    """Charge the card that is kept for the account. Raises NotAllowed for whoever may not."""
    with ports.db.transaction() as tx:
        invoice = paying_invoices.behind(tx, ports, token)
    if not _may_charge(invoice, who):
        raise NotAllowed("Sign in as somebody who pays for this account, or pay with a card of your own.")
    try:
        paying_invoices.charge_saved_card(ports, invoice.id)
    except NothingOwed:
        return see_other(f"/invoices/{token}")
    except (CardDeclined, NoSavedCard, PaymentUnavailable) as refused:
        return _page(request, ports, who, token, refused)
    return see_other(f"/invoices/{token}")


@router.post("/refresh")
@csrf.exempt("the token in the address proves the right, and asking moves no money")
def refresh(ports: Wired, token: str) -> Response:
    """Ask the provider whether the money came, then show the invoice."""
    with ports.db.transaction() as tx:
        attempt = payments.latest_attempt_on(tx, paying_invoices.behind(tx, ports, token).id)
    asking.settle(ports, attempt)
    return see_other(f"/invoices/{token}")


@router.get("/pdf")
def pdf(request: Request, ports: Wired, token: str) -> Response:
    """The invoice on paper."""
    with ports.db.transaction() as tx:
        return issued.pdf(request, tx, ports, paying_invoices.behind(tx, ports, token))


@router.get("/credit_notes/{credit_note_id}/pdf")
def credit_note_pdf(request: Request, ports: Wired, token: str, credit_note_id: str) -> Response:
    """A credit note to this invoice on paper. Raises NotFound for one to another."""
    with ports.db.transaction() as tx:
        note = _note(tx, paying_invoices.behind(tx, ports, token), credit_note_id)
        return issued.pdf(request, tx, ports, note)


@router.get("/payments/{payment_id}/pdf")
def receipt(ports: Wired, token: str, payment_id: str) -> Response:
    """The receipt of a payment that went into this invoice. Raises NotFound for any other."""
    with ports.db.transaction() as tx:
        invoice = paying_invoices.behind(tx, ports, token)
        if payment_id not in {part.payment_id for part in invoices.payments(tx, invoice.id)}:
            raise NotFound("There is no such payment of this invoice.")
        return receipts.pdf(tx, ports, tx.get_one(Payment, payment_id))


def _note(tx: Unit, invoice: Invoice, credit_note_id: str) -> CreditNote:
    found = next((note for note in credit_notes.of_invoice(tx, invoice.id) if note.id == credit_note_id), None)
    if found is None:
        raise NotFound("There is no such credit note to this invoice.")
    return found


def _may_charge(invoice: Invoice, who: SignedInCustomer | None) -> bool:
    return who is not None and who.account_id == invoice.account_id and may(who.role, Permission.INVOICES_PAY)


def _page(
    request: Request, ports: Ports, who: SignedInCustomer | None, token: str, refused: DomainError | None = None
) -> Response:  # fmt: skip
    with ports.db.transaction() as tx:
        invoice = paying_invoices.behind(tx, ports, token)
        today = local_date(ports.clock.now(), accounts.get(tx, invoice.account_id).time_zone)
        view = _view(tx, ports, invoice, who, f"/invoices/{token}", refused.detail if refused else "", today)
    return show.portal(request, view, who=who, status=refused.status if refused else 200)


def _view(
    tx: Unit, ports: Ports, invoice: Invoice, who: SignedInCustomer | None, path: str, refusal: str, today: date
) -> PayInvoiceView:  # fmt: skip
    owed, attempt = invoices.owed(tx, invoice), payments.latest_attempt_on(tx, invoice.id)
    company = str(invoice.buyer.get("company") or invoice.buyer["name"])
    documents = (
        Link(label=f"Invoice {invoice.number} (PDF)", href=f"{path}/pdf"),
        *(Link(label=f"Credit note {note.number} (PDF)", href=f"{path}/credit_notes/{note.id}/pdf")
          for note in credit_notes.of_invoice(tx, invoice.id)),
        *(Link(label=f"Receipt of {Money(part.amount_minor, invoice.currency)} (PDF)",
               href=f"{path}/payments/{part.payment_id}/pdf")
          for part in invoices.payments(tx, invoice.id)),
    )  # fmt: skip
    rows, facts = _rows(tx, invoice), _facts(invoice)
    if invoice.state is not InvoiceState.OPEN:
        return PayInvoiceView(
            state="paid" if invoice.state is InvoiceState.PAID else "over", number=invoice.number or "",
            company=company, rows=rows, total=str(owed), documents=documents, facts=facts,
        )  # fmt: skip
    waits = attempt is not None and attempt.state is AttemptState.PENDING
    saved = payments.saved_method(tx, invoice.account_id, ports.payments.name) if _may_charge(invoice, who) else None
    return PayInvoiceView(
        state="waiting" if waits else "owed", number=invoice.number or "", company=company, rows=rows, total=str(owed),
        documents=documents, facts=facts, due=invoice.due_on,
        overdue_days=max((today - invoice.due_on).days, 0) if invoice.due_on else 0, pay_href=f"{path}/pay",
        card_href=f"{path}/card" if saved else "", card=saved.label if saved else "",
        refresh_href=f"{path}/refresh" if waits else "", transfer=str(invoice.seller.get("payment_details") or ""),
        refusal=refusal,
    )  # fmt: skip


def _facts(invoice: Invoice) -> tuple[Fact, ...]:
    po = (Fact(name="PO number", value=invoice.po_number),) if invoice.po_number else ()
    return (Fact(name="From", value=str(invoice.seller["name"])), *po)


def _rows(tx: Unit, invoice: Invoice) -> tuple[MoneyRow, ...]:
    """The total, and what came off it since."""
    currency = invoice.currency
    rows = [MoneyRow(label="Total with tax", amount=str(Money(invoice.total_minor, currency)))]
    for part in invoices.payments(tx, invoice.id):
        came = tx.get_one(Payment, part.payment_id)
        how = came.method_label or {"wire": "by bank transfer", "cheque": "by cheque"}.get(came.method.value, "by card")
        rows.append(MoneyRow(label="Paid", note=f"{came.received_at:%d %B %Y}, {how}",
                             amount=str(Money(-part.amount_minor, currency))))  # fmt: skip
    if spent := credit.spent_on(tx, f"invoice:{invoice.id}", currency):
        rows.append(MoneyRow(label="Paid from credit", amount=str(-spent)))
    if off := invoices.credited_against(tx, invoice.id):
        rows.append(MoneyRow(label="Taken off by credit notes", amount=str(Money(-off, currency))))
    return tuple(rows)
