"""The statement of an account in one currency: what was charged, paid and credited, and what is owed (R-ORD-2).

It is read from the books: every entry that touched what the account owes (1100), the credit it has with us (2400) or a
refund on its way to it (2300). So it agrees with the ledger by construction, and tests hold it against the documents.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import text

from app.core.db import Tx
from app.core.money import Money
from app.ledger.service import Code
from app.reports.formats import DANGEROUS
from app.reports.shape import Period


class Kind(StrEnum):
    """What a row tells. `MOVED` is between what is owed and what is held as credit: the balance stays."""

    INVOICE = "invoice"
    PAYMENT = "payment"
    CREDIT_NOTE = "credit_note"
    REFUND = "refund"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Balances:
    """`owed` on invoices, `credit` held for the customer, `returning` to them by refunds that are not confirmed."""

    owed: Money
    credit: Money
    returning: Money

    @property
    def balance(self) -> Money:
        """What the customer owes all in all; below zero we owe them."""
        return self.owed - self.credit - self.returning


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of the books. `amount` changes the balance, which is `balance` after it; `moved` changes no balance.

    `document` is the number of the invoice or credit note, `detail` the reference, card or invoice it is about.
    """

    booked_on: date
    kind: Kind
    document: str
    detail: str
    amount: Money
    moved: Money
    balance: Money


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An invoice that was not paid in full at the end of the period; `overdue_days` is 0 before it is due."""

    invoice_id: str
    number: str
    issued_on: date
    due_on: date
    total: Money
    left: Money
    overdue_days: int


AGES: Final = ((0, "not due"), (30, "1 to 30"), (60, "31 to 60"), (90, "61 to 90"))
OLDER: Final = "over 90"


@dataclass(frozen=True, slots=True)
class Statement:
    account_id: str
    currency: str
    period: Period
    opening: Balances
    closing: Balances
    movements: tuple[Movement, ...]
    open_items: tuple[OpenItem, ...]

    @property
    def ages(self) -> tuple[tuple[str, Money], ...]:
        """What is open by days overdue, in the order of their age."""
        sums = {name: Money.zero(self.currency) for name in (*(name for _, name in AGES), OLDER)}
        for item in self.open_items:
            name = next((name for most, name in AGES if item.overdue_days <= most), OLDER)
            sums[name] += item.left
        return tuple(sums.items())


_WATCHED: Final = [Code.RECEIVABLE.value, Code.CUSTOMER_CREDIT.value, Code.REFUNDS_PAYABLE.value]

_CURRENCIES: Final = text("""
  SELECT posting.currency FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE entry.account_id = :account AND posting.ledger_account = ANY(:watched)
  GROUP BY posting.currency ORDER BY max(entry.booked_on) DESC, posting.currency
""")

_OPENING: Final = text("""
  SELECT coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '1100'), 0),
    coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '2400'), 0),
    coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '2300'), 0)
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE entry.account_id = :account AND posting.currency = :currency AND entry.booked_on < :first
""")

_MOVEMENTS: Final = text("""
  SELECT entry.booked_on, entry.kind,
    coalesce(sum(posting.amount_minor) FILTER (WHERE posting.ledger_account = '1100'), 0) AS owed,
    coalesce(sum(posting.amount_minor) FILTER (WHERE posting.ledger_account = '2400'), 0) AS credit,
    coalesce(sum(posting.amount_minor) FILTER (WHERE posting.ledger_account = '2300'), 0) AS returning,
    coalesce(invoice.number, note.number, spent.number, refunded.number, '') AS document,
    coalesce(invoice.po_number, corrected.number, nullif(payment.method_label, ''), payment.provider_ref,
      refunded_with.method_label, '') AS detail
  FROM ledger_entry entry
  JOIN posting ON posting.entry_id = entry.id
  LEFT JOIN invoice ON invoice.account_id = :account AND entry.source = 'invoice:' || invoice.id
  LEFT JOIN invoice spent ON spent.account_id = :account AND entry.source = 'credit_spent:' || spent.id
  LEFT JOIN payment ON payment.account_id = :account AND entry.source = 'payment:' || payment.id
  LEFT JOIN credit_note note ON note.account_id = :account AND entry.source = 'credit_note:' || note.id
  LEFT JOIN invoice corrected ON corrected.id = note.invoice_id
  LEFT JOIN refund ON refund.account_id = :account
    AND entry.source IN ('refund:' || refund.id, 'refund_failed:' || refund.id)
  LEFT JOIN invoice refunded ON refunded.id = refund.invoice_id
  LEFT JOIN payment refunded_with ON refunded_with.id = refund.payment_id
  WHERE entry.account_id = :account AND posting.currency = :currency AND posting.ledger_account = ANY(:watched)
    AND entry.booked_on BETWEEN :first AND :last
  GROUP BY entry.id, invoice.id, spent.id, payment.id, note.id, corrected.id, refund.id, refunded.id, refunded_with.id
  ORDER BY entry.booked_on, entry.recorded_at, entry.id COLLATE "C"
""")

# Payments count from the day they were booked, which is the day their entry stands under above.
_OPEN: Final = text("""
  SELECT * FROM (
    SELECT invoice.id, invoice.number, invoice.issued_on, invoice.due_on, invoice.total_minor, invoice.total_minor
      - coalesce((SELECT sum(part.amount_minor) FROM invoice_payment part
          JOIN ledger_entry entry ON entry.source = 'payment:' || part.payment_id
          WHERE part.invoice_id = invoice.id AND entry.booked_on <= :last), 0)
      - coalesce((SELECT sum(note.to_invoice_minor) FROM credit_note note
          WHERE note.invoice_id = invoice.id AND note.issued_on <= :last), 0)
      + coalesce((SELECT sum(spent.amount_minor) FROM customer_credit spent
          JOIN ledger_entry entry ON entry.source = 'credit_spent:' || invoice.id
          WHERE spent.source = 'invoice:' || invoice.id AND entry.booked_on <= :last), 0) AS left_minor
    FROM invoice
    WHERE invoice.account_id = :account AND invoice.currency = :currency AND invoice.issued_on <= :last
      AND invoice.state NOT IN ('draft', 'void')
  ) item
  WHERE left_minor <> 0 ORDER BY due_on, number
""")

_KINDS: Final = {
    "invoice": Kind.INVOICE, "payment": Kind.PAYMENT, "credit_note": Kind.CREDIT_NOTE, "refund": Kind.REFUND,
    "refund_failed": Kind.REFUND,
}  # fmt: skip


def currencies(tx: Tx, account_id: str) -> tuple[str, ...]:
    """Those in which something happened, the latest first."""
    return tuple(tx.execute(_CURRENCIES, {"account": account_id, "watched": _WATCHED}).scalars())


def compute(tx: Tx, account_id: str, currency: str, period: Period) -> Statement:
    """What happened on accounting dates within the period, and what was open at its end."""
    asked = {"account": account_id, "currency": currency, "first": period.first, "last": period.last,
             "watched": _WATCHED}  # fmt: skip
    opening = _balances(tx.execute(_OPENING, asked).one(), currency)
    held, movements = opening, []
    for row in tx.execute(_MOVEMENTS, asked):
        step = _balances((row.owed, row.credit, row.returning), currency)
        held = Balances(held.owed + step.owed, held.credit + step.credit, held.returning + step.returning)
        movements.append(_movement(row, step, held.balance))
    items = tuple(_item(row, currency, period.last) for row in tx.execute(_OPEN, asked))
    return Statement(account_id, currency, period, opening, held, tuple(movements), items)


def _balances(sums: Sequence[int], currency: str) -> Balances:
    """Debits are positive in the books, so what we owe stands there below zero."""
    owed, credit, returning = (int(minor) for minor in sums)
    return Balances(Money(owed, currency), Money(-credit, currency), Money(-returning, currency))


def _movement(row: Any, step: Balances, after: Money) -> Movement:
    kind = _KINDS.get(row.kind, Kind.MOVED) if step.balance else Kind.MOVED
    return Movement(
        booked_on=row.booked_on, kind=kind, document=row.document, detail=row.detail or "", amount=step.balance,
        moved=Money(0, after.currency) if step.balance else max(step.credit, -step.credit), balance=after,
    )  # fmt: skip


def _item(row: Any, currency: str, last: date) -> OpenItem:
    return OpenItem(
        invoice_id=row.id, number=row.number, issued_on=row.issued_on, due_on=row.due_on,
        total=Money(row.total_minor, currency), left=Money(int(row.left_minor), currency),
        overdue_days=max((last - row.due_on).days, 0),
    )  # fmt: skip


_HEAD: Final = ("date", "kind", "document", "detail", "charged", "credited", "balance", "currency")


def as_csv(statement: Statement) -> bytes:
    """One line for each movement between an opening and a closing balance; RFC 4180, UTF-8, formulas made text."""
    sink = io.StringIO()
    out = csv.writer(sink, lineterminator="\r\n")
    out.writerow(_HEAD)
    out.writerow((statement.period.first, "opening", "", "", "", "", statement.opening.balance.major(),
                  statement.currency))  # fmt: skip
    for each in statement.movements:
        charged, credited = charged_or_credited(each.amount)
        out.writerow((
            each.booked_on, each.kind, _text(each.document), _text(each.detail),
            charged.major() if charged else "", credited.major() if credited else "", each.balance.major(),
            statement.currency,
        ))  # fmt: skip
    out.writerow((statement.period.last, "closing", "", "", "", "", statement.closing.balance.major(),
                  statement.currency))  # fmt: skip
    return sink.getvalue().encode()


def charged_or_credited(amount: Money) -> tuple[Money | None, Money | None]:
    """An amount in one of the two columns of a statement, as a positive figure."""
    if amount.minor > 0:
        return amount, None
    return None, -amount if amount else None


def _text(cell: str) -> str:
    """S33: what a spreadsheet would run is made text, as in the other exports."""
    return f"'{cell}" if re.match(DANGEROUS, cell) else cell
