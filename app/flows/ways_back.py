"""Where the money of a refund goes: back over the provider that took it, and to the credit that paid the rest."""

from app.core.db import Tx
from app.core.errors import DomainError
from app.core.money import Money
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.payments import credit, refunds
from app.payments.models import Payment


class NotRefundable(DomainError):
    """No payment of this invoice can be sent back over the provider."""

    slug, title = "not-refundable", "This cannot be refunded"


def find(tx: Tx, ports: Ports, invoice: Invoice, total: Money) -> tuple[Payment, Money, Money]:
    """The payment to send it back from, what of it, and what returns to the credit that paid a part of the invoice.

    Raises NotRefundable.
    """
    # What paid an invoice that this one replaced went on, as credit, to pay this one (ADR 0046).
    into = [
        tx.get_one(Payment, each.payment_id)
        for document in invoices.with_replaced(tx, invoice)
        for each in invoices.payments(tx, document)
    ]
    paid = [each for each in into if each.provider == ports.payments.name]
    if not paid:
        raise NotRefundable(
            f"Nothing of this invoice was paid over {ports.payments.name}; give it as customer credit, or by wire."
        )
    left = {each.id: refunds.left_of(tx, each) for each in paid}
    most = max(paid, key=lambda each: left[each.id].minor)
    enough = next((each for each in paid if total <= left[each.id]), most)
    amount = min(total, left[enough.id], key=lambda each: each.minor)
    to_credit = total - amount
    if not amount or to_credit > _own_credit_in(tx, invoice):
        raise NotRefundable(f"Of the payment {left[most.id]} are left to send back.", left=left[most.id].minor)
    if refunds.is_contested(tx, enough.id):
        raise NotRefundable("The payment is disputed: its money is not ours to send while that runs.")
    return enough, amount, to_credit


def _own_credit_in(tx: Tx, invoice: Invoice) -> Money:
    """What customer credit paid of an invoice and did not return yet."""
    returned = sum(note.to_balance_minor for note in credit_notes.of_invoice(tx, invoice.id))
    spent = credit.spent_on(tx, f"invoice:{invoice.id}", invoice.currency)
    return Money(max(spent.minor - returned, 0), invoice.currency)
