"""Issuing credit notes: numbered and final at once, in a series of their own (R-INV-2, R-INV-4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.invoices import crediting, numbering
from app.invoices import service as invoices
from app.invoices.crediting import Basis, Charged, Credit, Given, Levied
from app.invoices.errors import NotCreditable
from app.invoices.models import (
    CreditNote,
    CreditNoteLine,
    CreditNoteTax,
    CreditReason,
    Invoice,
    InvoiceLine,
    InvoiceState,
)


@dataclass(frozen=True, slots=True)
class Part:
    """Net to give back of one line of the invoice.

    What it is given back for, if that can be said (R-PRO-4): `numerator` of `denominator` days by `rule`, from
    `period_from` up to `period_to`. By default the line's own period, and the share of its net.
    """

    line_id: int
    net: Money
    period_from: date | None = None
    period_to: date | None = None
    numerator: int | None = None
    denominator: int | None = None
    rule: str = "amount"
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where the money goes; the three make the note's total."""

    refund: Money
    balance: Money
    invoice: Money

    @classmethod
    def split(cls, *, refund: Money, balance: Money) -> "Settlement":
        return cls(refund, balance, Money.zero(refund.currency))

    @classmethod
    def to_refund(cls, amount: Money) -> "Settlement":
        none = Money.zero(amount.currency)
        return cls(amount, none, none)

    @classmethod
    def to_balance(cls, amount: Money) -> "Settlement":
        none = Money.zero(amount.currency)
        return cls(none, amount, none)

    @classmethod
    def to_invoice(cls, amount: Money) -> "Settlement":
        none = Money.zero(amount.currency)
        return cls(none, none, amount)


def basis(tx: Tx, invoice: Invoice) -> Basis:
    """The invoice with what was credited of it. Raises NotCreditable for a draft, a void one, or one below zero."""
    if invoice.state in {InvoiceState.DRAFT, InvoiceState.VOID}:
        raise NotCreditable(f"Invoice {invoice.number or invoice.id} is {invoice.state}.")
    lines = [Charged(_id(line.id), line.net_minor, line.tax_minor) for line in invoices.lines(tx, invoice.id)]
    if any(min(line.net, line.tax) < 0 for line in lines):
        raise NotCreditable(f"Invoice {invoice.number} has lines below zero; correct it by hand with finance.")
    components = [
        Levied(_id(each.id), each.rate, each.taxable_minor, each.tax_minor) for each in invoices.taxes(tx, invoice.id)
    ]
    given: dict[int, Given] = {}
    for line in _given_lines(tx, invoice.id):
        known = given.get(line.invoice_line_id) or Given(0, (0,) * len(components))
        parts = tuple(a + b for a, b in zip(known.parts, line.tax_parts, strict=True))
        given[line.invoice_line_id] = Given(known.net + line.net_minor, parts)
    return Basis(lines, components, given)


def work_out(tx: Tx, invoice: Invoice, parts: Sequence[Part]) -> Credit:
    """What a credit note over these parts would give back. Raises Invalid, CreditTooLarge, NothingToCredit."""
    found = basis(tx, invoice)
    known = {line.line_id for line in found.lines}
    nets: dict[int, int] = {}
    for part in parts:
        if part.line_id not in known or part.net.currency != invoice.currency:
            raise Invalid(f"Name lines of this invoice, in {invoice.currency}.", param="lines")
        nets[part.line_id] = nets.get(part.line_id, 0) + part.net.minor
    return crediting.of_lines(found, nets)


def issue(
    tx: Tx, invoice: Invoice, given: Credit, *, reason: CreditReason, settlement: Settlement, issued_on: date,
    now: datetime, parts: Sequence[Part] = (),
) -> CreditNote:  # fmt: skip
    """Number and store the note. The caller holds the invoice's lock (`invoices.lock`) and books it in the same
    transaction; `parts` explain the lines of `given`.

    Takes the number last: others wait on the series' counter until this transaction ends. Whoever issues a credit
    note and an invoice in one transaction issues the note first.
    """
    explained = {part.line_id: part for part in parts}
    charged = {_id(line.id): line for line in invoices.lines(tx, invoice.id)}
    note_id = new_id("cn")
    lines = [
        _line(note_id, position, each, charged[each.line_id], explained.get(each.line_id), invoice.currency)
        for position, each in enumerate(given.lines, start=1)
    ]
    tx.add_all(lines)
    levied = {_id(each.id): each for each in invoices.taxes(tx, invoice.id)}
    tx.add_all(
        CreditNoteTax(
            credit_note_id=note_id, position=position, invoice_tax_id=each.tax_id,
            jurisdiction=levied[each.tax_id].jurisdiction, name=levied[each.tax_id].name,
            rate=levied[each.tax_id].rate, taxable_minor=each.taxable, tax_minor=each.tax,
        )
        for position, each in enumerate(given.components, start=1)
    )  # fmt: skip
    tx.flush()
    series = numbering.of_credit_notes(invoice.series)
    sequence = numbering.next_sequence(tx, invoice.legal_entity_id, series)
    before = numbering.date_of(tx, invoice.legal_entity_id, series, sequence - 1)
    note = CreditNote(
        id=note_id, account_id=invoice.account_id, legal_entity_id=invoice.legal_entity_id, invoice_id=invoice.id,
        series=series, sequence=sequence, number=numbering.shown(series, sequence), reason=reason,
        currency=invoice.currency, net_minor=given.net, tax_minor=given.tax, total_minor=given.total,
        to_refund_minor=settlement.refund.minor, to_balance_minor=settlement.balance.minor,
        to_invoice_minor=settlement.invoice.minor, issued_on=max(issued_on, before or issued_on),
        supply_from=min(line.period_from for line in lines), supply_to=max(line.period_to for line in lines),
        seller=invoice.seller, buyer=invoice.buyer, notes=invoice.notes, po_number=invoice.po_number,
        tax_determination_id=invoice.tax_determination_id, test=invoice.test, issued_at=now,
    )  # fmt: skip
    tx.add(note)
    tx.flush()
    return note


def _line(
    note_id: str, position: int, given: crediting.LineCredit, charged: InvoiceLine, part: Part | None, currency: str
) -> CreditNoteLine:
    said = part or Part(given.line_id, Money(given.net, currency))
    return CreditNoteLine(
        credit_note_id=note_id, position=position, invoice_line_id=given.line_id,
        description=said.description or charged.description, net_minor=given.net, tax_minor=given.tax,
        tax_parts=list(given.parts), period_from=said.period_from or charged.period_from,
        period_to=said.period_to or charged.period_to,
        numerator=given.net if said.numerator is None else said.numerator,
        denominator=max(charged.net_minor, 1) if said.denominator is None else said.denominator, rule=said.rule,
    )  # fmt: skip


def get(tx: Tx, note_id: str) -> CreditNote:
    note = tx.get(CreditNote, note_id)
    if note is None:
        raise NotFound("There is no such credit note.")
    return note


def of_invoice(tx: Tx, invoice_id: str) -> list[CreditNote]:
    """Oldest first."""
    query = select(CreditNote).where(col(CreditNote.invoice_id) == invoice_id).order_by(col(CreditNote.id))
    return list(tx.execute(query).scalars())


def credited(tx: Tx, invoice: Invoice) -> Money:
    """What was given back of an invoice, tax included."""
    query = select(func.coalesce(func.sum(col(CreditNote.total_minor)), 0))
    return Money(int(tx.execute(query.where(col(CreditNote.invoice_id) == invoice.id)).scalar_one()), invoice.currency)


def credited_elsewhere(tx: Tx, invoice: Invoice) -> Money:
    """What of the money paid on an invoice was given back, to the buyer or as their credit."""
    given = func.sum(col(CreditNote.to_refund_minor) + col(CreditNote.to_balance_minor))
    query = select(func.coalesce(given, 0)).where(col(CreditNote.invoice_id) == invoice.id)
    return Money(int(tx.execute(query).scalar_one()), invoice.currency)


def lines(tx: Tx, note_id: str) -> list[CreditNoteLine]:
    query = select(CreditNoteLine).where(col(CreditNoteLine.credit_note_id) == note_id)
    return list(tx.execute(query.order_by(col(CreditNoteLine.position))).scalars())


def taxes(tx: Tx, note_id: str) -> list[CreditNoteTax]:
    query = select(CreditNoteTax).where(col(CreditNoteTax.credit_note_id) == note_id)
    return list(tx.execute(query.order_by(col(CreditNoteTax.position))).scalars())


def _given_lines(tx: Tx, invoice_id: str) -> list[CreditNoteLine]:
    query = select(CreditNoteLine).join(CreditNote, col(CreditNote.id) == col(CreditNoteLine.credit_note_id))
    return list(tx.execute(query.where(col(CreditNote.invoice_id) == invoice_id)).scalars())


def _id(row_id: int | None) -> int:
    """A stored row's id."""
    if row_id is None:
        raise ValueError("this row is not stored yet")
    return row_id
