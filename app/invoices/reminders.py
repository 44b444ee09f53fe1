"""Reminders of open invoices as rows with a due date, written when the invoice is; who is told what is a flow's."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.clock import start_of
from app.core.db import Tx
from app.core.ids import new_id
from app.invoices.models import Invoice, InvoiceReminder


def _days(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(type(each) is int and -60 <= each <= 120 for each in value):
        raise ValueError("must list whole days after the invoice is due, negative for before it, such as [-7, 0, 7]")
    return sorted(set(value))


DAYS: Final = policy.declare(
    policy.Policy(
        "invoice_reminder_days", [-7, 0, 7, 14, 30], _days,
        "When people are reminded of an open invoice: days after it is due, negative before it.",
    )
)  # fmt: skip
# Mails go out in the morning where the customer is.
_HOUR: Final = timedelta(hours=9)


def schedule(tx: Tx, invoice: Invoice, time_zone: str, now: datetime) -> None:
    """One row for each day of the ladder that is still to come."""
    due_on = invoice.due_on
    if due_on is None:
        raise ValueError(f"{invoice.id} is a draft")
    at = [(days, _morning(due_on + timedelta(days=days), time_zone)) for days in policy.get(tx, DAYS, now)]
    tx.add_all(
        InvoiceReminder(id=new_id("rem"), invoice_id=invoice.id, days_late=days, due_at=due_at)
        for days, due_at in at
        if due_at > now
    )
    tx.flush()


def announce(tx: Tx, invoice: Invoice, time_zone: str, now: datetime) -> None:
    """Write about an invoice at once, as no receipt tells of it, and later as scheduled.

    Raises ValueError for a draft.
    """
    if invoice.due_on is None or invoice.issued_on is None:
        raise ValueError(f"{invoice.id} is a draft")
    if not of_invoice(tx, invoice.id):
        schedule(tx, invoice, time_zone, now)
    days = (invoice.issued_on - invoice.due_on).days
    if days not in {each.days_late for each in of_invoice(tx, invoice.id)}:
        tx.add(InvoiceReminder(id=new_id("rem"), invoice_id=invoice.id, days_late=days, due_at=now))
    tx.flush()


def _morning(day: date, time_zone: str) -> datetime:
    return start_of(day, time_zone) + _HOUR


def of_invoice(tx: Tx, invoice_id: str) -> list[InvoiceReminder]:
    query = select(InvoiceReminder).where(col(InvoiceReminder.invoice_id) == invoice_id)
    return list(tx.execute(query.order_by(col(InvoiceReminder.days_late))).scalars())


def to_come(tx: Tx, invoice_id: str) -> Sequence[InvoiceReminder]:
    """Those that were neither sent nor skipped."""
    return [each for each in of_invoice(tx, invoice_id) if each.sent_at is None and each.skipped_reason is None]


def put_off(tx: Tx, invoice_id: str, by: timedelta) -> int:
    """Send what is to come so much later. Returns how many there are."""
    rows = to_come(tx, invoice_id)
    for row in rows:
        row.due_at += by
    tx.flush()
    return len(rows)
