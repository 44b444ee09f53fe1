"""What customers are told about money that came or comes back: each mail once, with its paper behind a link."""

from dataclasses import dataclass
from typing import Any

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.catalog.models import Family, Plan
from app.core import jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money
from app.documents.mail_shapes import MailName
from app.documents.money_mails import CreditNoteIssued, InvoicePaid, RefundKept, RefundSent
from app.flows import notify, papers, paying_invoices
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditNote
from app.licenses.models import License
from app.orders import service as orders
from app.payments import refunds
from app.payments.models import Payment


@dataclass(frozen=True, slots=True)
class _Letter:
    """Whom to write to, in which language, and what every such mail says."""

    to: str
    locale: str
    said: dict[str, Any]


@jobs.job("notify.invoice_paid", retry=jobs.Retry(attempts=10, first=5))
def invoice_paid(ports: Ports, *, invoice_id: str, bridge_id: str | None) -> None:
    """That an open invoice is paid, and where the full license is, if a bridge gave way to one."""
    with ports.db.transaction() as tx:
        invoice = invoices.get(tx, invoice_id)
        order = orders.get(tx, invoice.order_id)
        bridge = tx.get_one(License, bridge_id) if bridge_id is not None else None
        in_hand = bridge is not None and tx.get_one(Plan, bridge.plan_id).family is not Family.CLOUD
        zone = accounts.get(tx, invoice.account_id).time_zone
        data = InvoicePaid(
            vendor=notify.vendor(ports, tx.get_one(LegalEntity, invoice.legal_entity_id)), person_name=order.buyer_name,
            number=invoice.number or "", total=Money(invoice.total_minor, invoice.currency),
            invoice_url=f"{ports.link(paying_invoices.link(ports, invoice.id))}/pdf",
            license_url=f"{notify.order_page(ports, order)}/license" if in_hand else None,
            bridge_until=local_date(bridge.expires_at, zone) if bridge is not None and in_hand else None,
        )  # fmt: skip
        locale = papers.locale_of(invoice)
    notify.send(ports, MailName.INVOICE_PAID, data, to=order.buyer_email, locale=locale,
                message_id=f"invoice-paid-{invoice.id}")  # fmt: skip


@jobs.job("notify.credit_note", retry=jobs.Retry(attempts=10, first=5))
def credit_note(ports: Ports, *, credit_note_id: str) -> None:
    """That something was credited, and whether it is kept or comes off the invoice."""
    with ports.db.transaction() as tx:
        note = credit_notes.get(tx, credit_note_id)
        letter = _letter(tx, ports, note)
        data = CreditNoteIssued(
            **letter.said, total=Money(note.total_minor, note.currency),
            kept=Money(note.to_balance_minor, note.currency), off=Money(note.to_invoice_minor, note.currency),
            left=invoices.owed(tx, invoices.get(tx, note.invoice_id)),
        )  # fmt: skip
    notify.send(ports, MailName.CREDIT_NOTE_ISSUED, data, to=letter.to, locale=letter.locale,
                message_id=f"credit-{note.id}")  # fmt: skip


@jobs.job("notify.refund", retry=jobs.Retry(attempts=10, first=5))
def refund(ports: Ports, *, refund_id: str) -> None:
    """That the money left for the card."""
    with ports.db.transaction() as tx:
        row = refunds.get(tx, refund_id)
        letter = _letter(tx, ports, credit_notes.get(tx, row.credit_note_id or ""))
        label = tx.get_one(Payment, row.payment_id).method_label
        data = RefundSent(**letter.said, total=Money(row.amount_minor, row.currency),
                          card_last4=label[-4:] if label else None)  # fmt: skip
    notify.send(ports, MailName.REFUND_SENT, data, to=letter.to, locale=letter.locale, message_id=f"refund-{row.id}")


@jobs.job("notify.refund_kept", retry=jobs.Retry(attempts=10, first=5))
def refund_kept(ports: Ports, *, refund_id: str) -> None:
    """That it could not be sent and is credit."""
    with ports.db.transaction() as tx:
        row = refunds.get(tx, refund_id)
        letter = _letter(tx, ports, credit_notes.get(tx, row.credit_note_id or ""))
        data = RefundKept(**letter.said, total=Money(row.amount_minor, row.currency))
    notify.send(ports, MailName.REFUND_KEPT, data, to=letter.to, locale=letter.locale,
                message_id=f"refund-kept-{row.id}")  # fmt: skip


def _letter(tx: Tx, ports: Ports, note: CreditNote) -> _Letter:
    invoice = invoices.get(tx, note.invoice_id)
    order = orders.get(tx, invoice.order_id)
    page = ports.link(paying_invoices.link(ports, invoice.id))
    said = {
        "vendor": notify.vendor(ports, tx.get_one(LegalEntity, note.legal_entity_id)), "person_name": order.buyer_name,
        "number": note.number, "invoice_number": invoice.number or "",
        "credit_note_url": f"{page}/credit_notes/{note.id}/pdf",
    }  # fmt: skip
    return _Letter(order.buyer_email, papers.locale_of(note), said)
