"""Rows of tables that several pages show: a customer's orders, subscriptions, licenses and invoices."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import col

from app.catalog.models import Plan
from app.core.db import Tx
from app.core.money import Money
from app.invoices.models import CreditNote, Invoice
from app.ledger.models import LedgerAccount, LedgerEntry, Posting
from app.licenses.models import License
from app.orders.models import Order
from app.payments.models import Dispute, Refund
from app.subscriptions.models import Subscription
from app.web.console.lists import day
from app.web.console.views import Cell, Related
from app.workspaces.models import Workspace

Row = tuple[Cell, ...]


def plan_names(tx: Tx) -> dict[str, str]:
    return {plan_id: name for plan_id, name in tx.execute(select(col(Plan.id), col(Plan.name)))}  # noqa: C416 -- a Row is not a pair to mypy


def amount(minor: int, currency: str) -> Cell:
    return Cell(text=str(Money(minor, currency)), number=True)


def _first(kind: str, id_: str) -> Cell:
    return Cell(text=id_, href=f"/console/{kind}/{id_}", mono=True)


def named(kind: str, id_: str, account: str) -> Cell:
    """The first cell of a list across accounts: whose it is, and its id under the name."""
    return Cell(text=account, href=f"/console/{kind}/{id_}", note=id_)


ORDER_COLUMNS = ("Order", "State", "Route", "Placed", "Total")
SUBSCRIPTION_COLUMNS = ("Subscription", "Plan", "State", "Ends")
LICENSE_COLUMNS = ("License", "Plan", "Seats", "State", "Ends")
INVOICE_COLUMNS = ("Invoice", "State", "Issued", "Total")
CREDIT_NOTE_COLUMNS = ("Credit note", "Reason", "Issued", "Total")
WORKSPACE_COLUMNS = ("Workspace", "Address", "State")


def order_row(order: Order) -> Row:
    return (
        _first("orders", order.id), Cell(state=str(order.state)), Cell(state=str(order.route)), day(order.created_at),
        amount(order.total_minor, order.currency),
    )  # fmt: skip


def subscription_row(subscription: Subscription, plans: dict[str, str]) -> Row:
    return (
        _first("subscriptions", subscription.id), Cell(text=plans[subscription.plan_id]),
        Cell(state=str(subscription.state)), Cell(day=subscription.ends_on),
    )  # fmt: skip


def license_row(license_: License, plans: dict[str, str]) -> Row:
    return (
        _first("licenses", license_.id), Cell(text=plans[license_.plan_id]),
        Cell(text=str(license_.seats), number=True), Cell(state=str(license_.state)), day(license_.expires_at),
    )  # fmt: skip


def invoice_row(invoice: Invoice) -> Row:
    return (
        Cell(text=invoice.number or "Draft", href=f"/console/invoices/{invoice.id}"), Cell(state=str(invoice.state)),
        Cell(day=invoice.issued_on), amount(invoice.total_minor, invoice.currency),
    )  # fmt: skip


def credit_note_row(note: CreditNote) -> Row:
    return (
        Cell(text=note.number, href=f"/console/credit_notes/{note.id}"), Cell(state=str(note.reason)),
        Cell(day=note.issued_on), amount(note.total_minor, note.currency),
    )  # fmt: skip


def workspace_row(workspace: Workspace) -> Row:
    return (
        _first("workspaces", workspace.id), Cell(text=workspace.url or workspace.hostname),
        Cell(state=str(workspace.state)),
    )  # fmt: skip


def orders(rows: list[Order], all_href: str = "") -> Related:
    return Related(title="Orders", columns=ORDER_COLUMNS, rows=tuple(map(order_row, rows)), all_href=all_href)


def subscriptions(rows: list[Subscription], plans: dict[str, str], all_href: str = "") -> Related:
    shown = tuple(subscription_row(each, plans) for each in rows)
    return Related(title="Subscriptions", columns=SUBSCRIPTION_COLUMNS, rows=shown, all_href=all_href)


def licenses(rows: list[License], plans: dict[str, str], all_href: str = "", title: str = "Licenses") -> Related:
    shown = tuple(license_row(each, plans) for each in rows)
    return Related(title=title, columns=LICENSE_COLUMNS, rows=shown, all_href=all_href)


def invoices(rows: list[Invoice], all_href: str = "") -> Related:
    return Related(title="Invoices", columns=INVOICE_COLUMNS, rows=tuple(map(invoice_row, rows)), all_href=all_href)


def workspaces(rows: list[Workspace], all_href: str = "") -> Related:
    shown = tuple(map(workspace_row, rows))
    return Related(title="Workspaces", columns=WORKSPACE_COLUMNS, rows=shown, all_href=all_href)


def credit_notes(rows: Sequence[CreditNote]) -> Related:
    shown = tuple(map(credit_note_row, rows))
    return Related(title="Credit notes", columns=CREDIT_NOTE_COLUMNS, rows=shown)


def refunds(rows: Sequence[Refund]) -> Related:
    shown = tuple(
        (_first("refunds", each.id), Cell(state=str(each.state)), day(each.created_at),
         amount(each.amount_minor, each.currency))
        for each in rows
    )  # fmt: skip
    return Related(title="Refunds", columns=("Refund", "State", "Asked for", "Amount"), rows=shown)


def disputes(rows: Sequence[Dispute]) -> Related:
    shown = tuple(
        (_first("disputes", each.id), Cell(state=str(each.state)), day(each.opened_at),
         amount(each.amount_minor, each.currency))
        for each in rows
    )  # fmt: skip
    return Related(title="Disputes", columns=("Dispute", "State", "Opened", "Amount"), rows=shown)


def licenses_by_id(tx: Tx, ids: Sequence[str]) -> list[License]:
    return list(tx.execute(select(License).where(col(License.id).in_(ids)).order_by(col(License.id))).scalars())


def postings(tx: Tx, sources: Sequence[str]) -> Related:
    """The entries of these facts, as the books hold them."""
    query = (
        select(LedgerEntry, Posting, col(LedgerAccount.name))
        .join(Posting, col(Posting.entry_id) == col(LedgerEntry.id))
        .join(LedgerAccount, col(LedgerAccount.code) == col(Posting.ledger_account))
        .where(col(LedgerEntry.source).in_(sources))
        .order_by(col(LedgerEntry.id), col(Posting.id))
    )
    rows = tuple(
        (
            Cell(text=f"{posting.ledger_account} {name}", note=posting.dimension), Cell(text=entry.memo),
            Cell(day=entry.booked_on), _side(posting, 1), _side(posting, -1),
        )
        for entry, posting, name in tx.execute(query)
    )  # fmt: skip
    return Related(title="Postings", columns=("Account", "Entry", "Booked", "Debit", "Credit"), rows=rows)


def _side(posting: Posting, sign: int) -> Cell:
    minor = sign * posting.amount_minor
    return Cell(text=str(Money(minor, posting.currency)) if minor > 0 else "", number=True)
