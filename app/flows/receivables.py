"""Money that comes without a provider: wires and cheques that staff see, matched to invoices (R-ORD-2).

What a payment does not cover stays open; what is over becomes the customer's credit. An order whose invoice is
paid in full gets the full license in place of its bridge, by a job that exists exactly if the payment commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from app.accounts import service as accounts
from app.core import audit, events, jobs
from app.core.clock import local_date, start_of
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import completion, invoicing
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.licenses import service as licenses
from app.orders import service as orders
from app.payments import service as payments
from app.payments.models import Method, Payment

_LONGEST_REFERENCE: Final = 140  # of a SEPA remittance


@dataclass(frozen=True, slots=True)
class Transfer:
    """A payment as the bank statement shows it. `invoice_ids` is empty to pay what is due first."""

    account_id: str
    amount: Money
    method: Method
    reference: str
    value_on: date
    invoice_ids: tuple[str, ...] = ()
    note: str = ""  # goes into the audit log


def record(ports: Ports, transfer: Transfer, *, by: str) -> Payment:
    """Book a transfer, pay invoices with it, and hand over what was waiting for the money.

    Raises Invalid (naming the field), AlreadyRecorded, NotFound for an unknown account or invoice.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        account = accounts.lock(tx, transfer.account_id)
        entity = accounts.seller(tx)
        _check(transfer, today=local_date(now, entity.time_zone))
        into = _spread(tx, transfer)
        payment = payments.record_transfer(
            tx, account_id=account.id, amount=transfer.amount, method=transfer.method,
            reference=transfer.reference.strip(), received_at=start_of(transfer.value_on, entity.time_zone), by=by,
        )  # fmt: skip
        legal_entity = into[0][0].legal_entity_id if into else entity.id
        invoicing.receive(tx, payment, into, legal_entity_id=legal_entity, booked_on=local_date(now, entity.time_zone),
                          now=now)  # fmt: skip
        _tell(tx, payment, into, by=by, note=transfer.note, now=now)
    return payment


@jobs.job("receivables.hand_over", retry=jobs.Retry(attempts=12, first=2, factor=3, cap=3600))
def hand_over(ports: Ports, *, invoice_id: str) -> None:
    """The full license in place of the bridge, now that the invoice is paid. Again, it finds no bridge."""
    with ports.db.transaction() as tx:
        invoice = invoices.get(tx, invoice_id)
        # One that was issued again was not paid but credited, and its successor asks for the money (ADR 0046).
        if invoice.state is InvoiceState.PAID and invoices.replacing(tx, invoice.id) is None:
            bridge = licenses.of_order(tx, invoice.order_id)
            full = completion.replace_bridge(tx, ports, orders.lock(tx, invoice.order_id), ports.clock.now())
            replaced = bridge.id if bridge is not None and full is not None else None
            if replaced is not None or invoice.replaces is None:
                jobs.defer(tx, "notify.invoice_paid", invoice_id=invoice.id, bridge_id=replaced)


def _check(transfer: Transfer, *, today: date) -> None:
    if transfer.method not in {Method.WIRE, Method.CHEQUE}:
        raise Invalid("A card payment is reported by its provider; record a wire or a cheque.", param="method")
    if not transfer.amount.minor > 0:
        raise Invalid("Give the amount that arrived, above zero.", param="amount")
    if not 0 < len(transfer.reference.strip()) <= _LONGEST_REFERENCE:
        raise Invalid(f"Give the bank's reference, at most {_LONGEST_REFERENCE} characters; it keeps a payment from "
                      "being recorded twice.", param="reference")  # fmt: skip
    if transfer.value_on > today:
        raise Invalid("The day the money arrived is not over yet.", param="value_on")


def _spread(tx: Tx, transfer: Transfer) -> list[tuple[Invoice, Money]]:
    """Which part goes into which invoice: those that were named, or all that are open, the one due first first."""
    open_now = invoices.lock_open(tx, transfer.account_id, transfer.amount.currency)
    if transfer.invoice_ids:
        by_id = {invoice.id: invoice for invoice in open_now}
        strangers = [each for each in transfer.invoice_ids if each not in by_id]
        if strangers:
            raise Invalid(f"{', '.join(strangers)}: not an open invoice of this account in "
                          f"{transfer.amount.currency}.", param="invoices")  # fmt: skip
        open_now = [by_id[each] for each in dict.fromkeys(transfer.invoice_ids)]
        if len({invoice.legal_entity_id for invoice in open_now}) > 1:
            raise Invalid("These invoices are of different sellers; record a payment for each.", param="invoices")
    left, into = transfer.amount, []
    for invoice in open_now:
        if invoice.legal_entity_id != open_now[0].legal_entity_id:
            continue  # another seller's money
        part = min(left, invoices.owed(tx, invoice))
        if part:
            into.append((invoice, part))
            left -= part
    return into


def _tell(
    tx: Tx, payment: Payment, into: Sequence[tuple[Invoice, Money]], *, by: str, note: str, now: datetime
) -> None:  # fmt: skip
    amount = {"amount": payment.amount_minor, "currency": payment.currency}
    parts = [{"invoice": invoice.id, "amount": part.minor} for invoice, part in into]
    events.append(tx, "payment.received", payment.id, now=now, account_id=payment.account_id, total=amount,
                  method=str(payment.method), invoices=parts)  # fmt: skip
    audit.record(tx, payment.account_id, actor=by, action="payment.recorded", subject=payment.id, now=now,
                 details={**amount, "reference": payment.provider_ref, "invoices": parts, "note": note})  # fmt: skip
