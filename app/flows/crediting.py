"""Giving money back on paper and in the books: credit notes, what they leave owed, and credit that pays invoices.

A credit note takes its net out of deferred revenue and its tax out of the tax payable, and the same amount goes to
the buyer (refunds payable), to their credit with us, or off what the invoice still asks for (R-FIN-1). Everything
here runs inside the caller's transaction, on locked invoices.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from app.accounts.models import LegalEntity
from app.core import audit, events, jobs
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.events import Happened
from app.core.money import Money
from app.flows import drawing, provider_books
from app.flows.ports import Ports
from app.invoices import credit_notes, crediting
from app.invoices import service as invoices
from app.invoices.credit_notes import Part, Settlement
from app.invoices.crediting import Credit
from app.invoices.errors import NotCreditable
from app.invoices.models import CreditNote, CreditReason, Invoice, InvoiceState
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders.models import Order, PayBy
from app.payments import credit
from app.payments import service as payments
from app.payments.models import AttemptState, CreditKind

_OWES: Final = frozenset({InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE})


class SettlementDoesNotFit(DomainError):
    """The money would go where it cannot: off an invoice that asks for less, or back to who never paid it."""

    slug, title = "settlement-does-not-fit", "The money cannot go there"


def issue(
    tx: Tx, invoice: Invoice, given: Credit, *, reason: CreditReason, settlement: Settlement, actor: str,
    now: datetime, parts: Sequence[Part] = (), told: bool = True,
) -> CreditNote:  # fmt: skip
    """The note with its number, its postings, and the customer's credit. `invoice` is locked by the caller, who tells
    the customer where `told` is False.

    `given` comes from `credit_notes.work_out` (lines), or `crediting.of_total` / `of_rest` over
    `credit_notes.basis`. Raises SettlementDoesNotFit, NotCreditable.
    """
    _require_fit(tx, invoice, given, settlement)
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    today = local_date(now, entity.time_zone)
    note = credit_notes.issue(
        tx, invoice, given, reason=reason, settlement=settlement, issued_on=today, now=now, parts=parts
    )
    _book(tx, note, now)
    if settlement.balance:
        credit.give(
            tx, note.account_id, settlement.balance, kind=CreditKind.CREDIT_NOTE, source=f"credit_note:{note.id}",
            now=now,
        )  # fmt: skip
    total = {"amount": note.total_minor, "currency": note.currency}
    events.append(tx, "credit_note.issued", note.id, now=now, account_id=note.account_id, number=note.number,
                  invoice=invoice.id, reason=str(reason), total=total)  # fmt: skip
    audit.record(tx, note.account_id, actor=actor, action="credit_note.issued", subject=note.id, now=now,
                 details={"invoice": invoice.number, "number": note.number, "total": total})  # fmt: skip
    if settlement.invoice:
        settle(tx, invoice, now)
    drawing.later(tx, note)
    provider_books.intend_reversal(tx, invoice, note)
    if told and not settlement.refund:  # of a refund people hear when the money leaves
        jobs.defer(tx, "notify.credit_note", credit_note_id=note.id)
    return note


def worked_out(
    tx: Tx, invoice: Invoice, nets: Mapping[int, int] | None, total: int | None
) -> tuple[Credit, bool]:  # fmt: skip
    """What a note over these nets by line, or over `total` with tax, or over all that is left would give back, and
    whether nothing is left then. Raises CreditTooLarge, NothingToCredit, NotCreditable, Invalid.
    """
    basis = credit_notes.basis(tx, invoice)
    if nets is not None:
        given = credit_notes.work_out(tx, invoice, _parts(invoice, nets))
    elif total is not None:
        given = crediting.of_total(basis, total)
    else:
        given = crediting.of_rest(basis)
    return given, given.total == basis.left


def keep(
    ports: Ports, invoice_id: str, *, nets: Mapping[int, int] | None, total: int | None, reason: CreditReason,
    off_the_invoice: bool, by: str,
) -> CreditNote:  # fmt: skip
    """A credit note without a refund: the money becomes the customer's credit, or comes off what the invoice asks."""
    with ports.db.transaction() as tx:
        invoice = invoices.lock(tx, invoice_id)
        given, _ = worked_out(tx, invoice, nets, total)
        amount = Money(given.total, invoice.currency)
        settlement = Settlement.to_invoice(amount) if off_the_invoice else Settlement.to_balance(amount)
        return issue(tx, invoice, given, reason=reason, settlement=settlement, actor=by, now=ports.clock.now(),
                     parts=_parts(invoice, nets or {}))  # fmt: skip


def _parts(invoice: Invoice, nets: Mapping[int, int]) -> list[Part]:
    return [Part(line, Money(net, invoice.currency)) for line, net in nets.items()]


def pay_from_credit(tx: Tx, invoice: Invoice, *, actor: str, now: datetime, at_most: Money | None = None) -> Money:
    """Spend the account's credit on an invoice that is open: as much as it asks for, as there is, as `at_most` says.

    Returns what was spent, zero where there is nothing to spend. One spending per invoice; `invoice` is locked by
    the caller, and paid afterwards if nothing is owed any more.
    """
    currency = invoice.currency
    credit.lock(tx, invoice.account_id, currency)
    limits = [invoices.owed(tx, invoice), credit.available(tx, invoice.account_id, currency)]
    amount = Money(min(each.minor for each in [*limits, *([at_most] if at_most else [])]), currency)
    if amount.minor <= 0:
        return Money.zero(currency)
    credit.spend(tx, invoice.account_id, amount, source=f"invoice:{invoice.id}", now=now)
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    ledger.book(
        tx, source=f"credit_spent:{invoice.id}", kind="credit_spent", account_id=invoice.account_id,
        legal_entity_id=invoice.legal_entity_id, booked_on=local_date(now, entity.time_zone),
        memo=f"Customer credit spent on {invoice.number}",
        legs=[Leg(Code.CUSTOMER_CREDIT, amount), Leg(Code.RECEIVABLE, -amount)], now=now,
    )  # fmt: skip
    audit.record(tx, invoice.account_id, actor=actor, action="credit.spent", subject=invoice.id, now=now,
                 details={"amount": amount.minor, "currency": currency})  # fmt: skip
    settle(tx, invoice, now)
    return amount


def settle(tx: Tx, invoice: Invoice, now: datetime) -> None:
    """Less is owed than before, by whatever means: a pay page that asks for the old amount is closed.

    Where nothing is owed any more the invoice is paid, and what waited for that is handed over.
    """
    later = tx.get_one(Order, invoice.order_id).pay_by is PayBy.INVOICE
    attempt = payments.latest_attempt_on(tx, invoice.id) if later else None
    if attempt is not None and attempt.state is AttemptState.PENDING and attempt.provider_ref:
        jobs.defer(tx, "payments.close_checkout", attempt_id=attempt.id)
    if invoices.owed(tx, invoice):
        return
    invoices.mark_paid(tx, invoice, now)
    if later:
        jobs.defer(tx, "receivables.hand_over", invoice_id=invoice.id)
    told = paid_event(invoice)
    events.append(tx, told.kind, invoice.id, now=now, account_id=invoice.account_id, **told.data)


def paid_event(invoice: Invoice) -> Happened:
    return Happened("invoice.paid", invoice.id, invoice.account_id, {
        "number": invoice.number, "total": {"amount": invoice.total_minor, "currency": invoice.currency},
    })  # fmt: skip


def _require_fit(tx: Tx, invoice: Invoice, given: Credit, settlement: Settlement) -> None:
    currency = invoice.currency
    if (settlement.refund + settlement.balance + settlement.invoice) != Money(given.total, currency):
        raise SettlementDoesNotFit("Refund, customer credit and invoice must make the total.", param="settlement")
    if invoice.state not in {InvoiceState.PAID, *_OWES}:
        raise NotCreditable(f"Invoice {invoice.number or invoice.id} is {invoice.state}.")
    owed = invoices.owed(tx, invoice)
    if owed < settlement.invoice:
        raise SettlementDoesNotFit(f"The invoice asks for {owed} only.", param="settlement", left=owed.minor)
    away = settlement.refund + settlement.balance
    paid = Money(invoice.total_minor - invoices.credited_against(tx, invoice.id), currency) - owed
    gone = credit_notes.credited_elsewhere(tx, invoice)
    if paid - gone < away:
        raise SettlementDoesNotFit(
            f"Of this invoice {paid - gone} were paid and not given back yet; take the rest off the invoice.",
            param="settlement", left=(paid - gone).minor,
        )  # fmt: skip


def _book(tx: Tx, note: CreditNote, now: datetime) -> None:
    """Deferred revenue and tax by jurisdiction, against where the money goes."""
    currency = note.currency
    taxes = [
        Leg(Code.TAX, Money(each.tax_minor, currency), each.jurisdiction) for each in credit_notes.taxes(tx, note.id)
    ]
    ledger.book(
        tx, source=f"credit_note:{note.id}", kind="credit_note", account_id=note.account_id,
        legal_entity_id=note.legal_entity_id, booked_on=note.issued_on, memo=f"Credit note {note.number}",
        legs=[
            Leg(Code.DEFERRED, Money(note.net_minor, currency)), *taxes,
            Leg(Code.REFUNDS_PAYABLE, Money(-note.to_refund_minor, currency)),
            Leg(Code.CUSTOMER_CREDIT, Money(-note.to_balance_minor, currency)),
            Leg(Code.RECEIVABLE, Money(-note.to_invoice_minor, currency)),
        ],
        now=now,
    )  # fmt: skip
