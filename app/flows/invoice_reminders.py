"""Reminders of open invoices: sent once each, the latest only after a pause of ours, none while a collection is paused.

A customer whose collection staff paused (`dunning`) is left alone altogether; what came due meanwhile is sent when the
pause is over, as after a pause of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account, LegalEntity
from app.core import audit, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError, Invalid
from app.core.money import Money
from app.documents.mail_shapes import MailName
from app.documents.money_mails import InvoiceReminder as ReminderMail
from app.dunning.ladder import LONGEST_PAUSE_DAYS
from app.dunning.models import DunningRun, RunState
from app.flows import notify, papers, paying_invoices
from app.flows.ports import Ports
from app.invoices import reminders
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceReminder, InvoiceState
from app.licenses import service as licenses
from app.licenses.models import LicenseState
from app.orders import service as orders

_STALE: Final = "a later reminder was due as well"
_AT_ONCE: Final = 500


class NoReminders(DomainError):
    slug, title = "no-reminders", "No reminder of this invoice is to come"


# When a reminder is really due: not while the collection of its account in its currency is paused.
_DUE: Final = func.greatest(col(InvoiceReminder.due_at), DunningRun.__table__.c.paused_until)  # type: ignore[attr-defined]  # SQLModel adds it


def _waiting(*columns: Any) -> Select[Any]:
    """Reminders of open invoices that were neither sent nor skipped, with the pause that covers them."""
    return (
        select(*columns)
        .join(Invoice, col(Invoice.id) == col(InvoiceReminder.invoice_id))
        .outerjoin(
            DunningRun,
            (col(DunningRun.account_id) == col(Invoice.account_id))
            & (col(DunningRun.currency) == col(Invoice.currency))
            & (col(DunningRun.state) == RunState.OPEN),
        )
        .where(
            col(Invoice.state) == InvoiceState.OPEN, col(InvoiceReminder.sent_at).is_(None),
            col(InvoiceReminder.skipped_reason).is_(None),
        )
    )  # fmt: skip


def send_due(ports: Ports) -> int:
    """Put what is due on the queue, one for an invoice. For `tick`."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        query = _waiting(InvoiceReminder).where(now >= _DUE).limit(_AT_ONCE)
        query = query.order_by(col(InvoiceReminder.invoice_id), col(InvoiceReminder.days_late))
        waiting: dict[str, InvoiceReminder] = {}
        for row in tx.execute(query.with_for_update(of=InvoiceReminder, skip_locked=True)).scalars():
            if (earlier := waiting.get(row.invoice_id)) is not None:
                earlier.skipped_reason = _STALE
            waiting[row.invoice_id] = row
        for row in waiting.values():
            row.sent_at = now
            jobs.defer(tx, send, reminder_id=row.id)
    return len(waiting)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    found: datetime | None = tx.execute(_waiting(func.min(_DUE)).where(after < _DUE)).scalar()
    return found


@jobs.job("invoices.remind", retry=jobs.Retry(attempts=10, first=10))
def send(ports: Ports, *, reminder_id: str) -> None:
    """The mail with what is owed and the way to pay it; none where it was paid between the tick and now."""
    with ports.db.transaction() as tx:
        row = tx.get_one(InvoiceReminder, reminder_id)
        invoice = invoices.get(tx, row.invoice_id)
        owed, order = invoices.owed(tx, invoice), orders.get(tx, invoice.order_id)
        if invoice.state is not InvoiceState.OPEN or not owed or invoice.due_on is None:
            return
        today = local_date(ports.clock.now(), accounts.get(tx, invoice.account_id).time_zone)
        data = ReminderMail(
            vendor=notify.vendor(ports, tx.get_one(LegalEntity, invoice.legal_entity_id)), person_name=order.buyer_name,
            number=invoice.number or "", owed=owed, total=Money(invoice.total_minor, invoice.currency),
            due_on=invoice.due_on, days_late=(today - invoice.due_on).days, po_number=invoice.po_number,
            works_until=_works_until(tx, invoice, ports.clock.now()),
            pay_url=ports.link(paying_invoices.link(ports, invoice.id)),
        )  # fmt: skip
        locale = papers.locale_of(invoice)
    notify.send(ports, MailName.INVOICE_REMINDER, data, to=order.buyer_email, locale=locale,
                message_id=f"invoice-{reminder_id}")  # fmt: skip


def _works_until(tx: Tx, invoice: Invoice, now: datetime) -> date | None:
    """The last day of the bridge to the full license."""
    bridge = licenses.of_order(tx, invoice.order_id)
    if bridge is None or not bridge.bridge or bridge.state is not LicenseState.ACTIVE or bridge.expires_at <= now:
        return None
    return local_date(bridge.expires_at, accounts.get(tx, invoice.account_id).time_zone) - timedelta(days=1)


def put_off(ports: Ports, invoice_id: str, *, days: int, reason: str, by: str) -> None:
    """Staff leave a customer alone about one invoice for a time. Raises Invalid, NoReminders, NotFound."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        longest = policy.get(tx, LONGEST_PAUSE_DAYS, now)
        if not 1 <= days <= longest:
            raise Invalid(f"A whole number of days, 1 to {longest}.", param="days")
        invoice = invoices.lock(tx, invoice_id)
        if invoice.state is not InvoiceState.OPEN or not reminders.put_off(tx, invoice.id, timedelta(days=days)):
            raise NoReminders("Every one was sent, or the invoice is not open any more.")
        audit.record(tx, invoice.account_id, actor=by, action="invoice.reminders_put_off", subject=invoice.id, now=now,
                     details={"days": days, "reason": reason})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ahead:
    """A mail that will go out unless the invoice is paid before."""

    invoice: Invoice
    company: str
    days_late: int
    at: datetime
    owed: Money


def ahead(tx: Tx, until: datetime, limit: int = 200) -> Sequence[Ahead]:
    """What goes out until an instant, in its order; of several that are overdue for one invoice the last."""
    found: dict[tuple[str, datetime], Ahead] = {}
    query = _waiting(InvoiceReminder, Invoice, col(Account.name), _DUE).where(until >= _DUE)
    query = query.join(Account, col(Account.id) == col(Invoice.account_id))
    for row, invoice, name, at in tx.execute(query.order_by(_DUE, col(InvoiceReminder.days_late)).limit(limit)):
        found[invoice.id, at] = Ahead(invoice, str(name), row.days_late, at, invoices.owed(tx, invoice))
    return list(found.values())
