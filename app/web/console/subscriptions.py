"""Subscriptions: the list, and one with its terms, reminders and papers.

Changes are the customer's to make; what waits for the next term staff withdraw where the customer asks for it.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog.models import Plan
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import DomainError, NotFound
from app.core.money import Money
from app.dunning.models import DunningItem
from app.flows import seat_change, true_up
from app.invoices.models import Invoice
from app.licenses import service as licenses
from app.licenses import usage
from app.orders.models import Order, OrderKind
from app.orders.service import lines as lines_of
from app.subscriptions import scheduled, service
from app.subscriptions.models import RenewalReminder, ScheduledChange, Subscription, SubscriptionState
from app.web import auth
from app.web.console import cells, lists
from app.web.console.render import Note, Reader, back, can, form_for, page, reason, refused
from app.web.console.views import Action, Cell, DetailView, ListView, Related
from app.web.deps import Tx, Wired
from app.web.views import Fact, Form, Link
from app.workspaces import service as workspaces

router = APIRouter()
Writer = Annotated[SignedInStaff, Depends(auth.staff(May.SUBSCRIPTIONS_WRITE))]


@router.get("/console/subscriptions")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Subscription, col(Account.name)).join(Account, col(Account.id) == col(Subscription.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Subscription.id) == wanted.q, col(Subscription.account_id) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
                col(Subscription.contact_email).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(SubscriptionState, wanted.state):
        query = query.where(col(Subscription.state) == state)
    found = lists.window(tx, query, col(Subscription.id), wanted, "subscriptions")
    plans = cells.plan_names(tx)
    rows = []
    for each, name in found.rows:
        _, *rest = cells.subscription_row(each, plans)
        rows.append((cells.named("subscriptions", each.id, name), *rest))
    view = ListView(
        kind="subscriptions", columns=("Subscription", "Plan", "State", "Ends"), rows=tuple(rows),
        form=wanted.form, states=lists.options(SubscriptionState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/subscriptions/{subscription_id}")
def one(request: Request, tx: Tx, who: Reader, subscription_id: str) -> Response:
    return _show(request, tx, who, subscription_id, Form(), 200)


@router.post("/console/subscriptions/{subscription_id}/changes/{change_id}/withdraw")
def withdraw_change(
    request: Request, ports: Wired, who: Writer, subscription_id: str, change_id: str, note: Note = ""
) -> Response:  # fmt: skip
    """Take back what waits for the next term; the account's people hear of it by mail."""
    ids.require_form("sub", subscription_id)
    ids.require_form("chg", change_id)
    try:
        seat_change.withdraw(ports, subscription_id, change_id, by=who.staff_id, reason=reason(note))
    except NotFound:
        raise
    except DomainError as exc:
        form = refused("withdraw", {"note": note}, exc.detail, exc.param)
        with ports.db.session() as tx:
            return _show(request, tx, who, subscription_id, form, exc.status)
    return back(f"/console/subscriptions/{subscription_id}", "change-withdrawn")


def _show(
    request: Request, tx: Session, who: SignedInStaff, subscription_id: str, form: Form, status: int
) -> Response:  # fmt: skip
    found = service.get(tx, ids.require_form("sub", subscription_id))
    account = tx.get_one(Account, found.account_id)
    plans = cells.plan_names(tx)
    view = DetailView(
        kind="subscriptions", id=found.id, title=f"{plans[found.plan_id]} of {account.name}", state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        facts=(*_waiting(tx, found), *_facts(found)),
        related=(
            _lines(tx, found),
            _terms(tx, found),
            *_changes(tx, found),
            cells.licenses(licenses.of_subscription(tx, found.id), plans),
            cells.invoices(_invoices(tx, found.id)),
            *_workspace(tx, found.id),
            *_used(tx, found),
            _reminders(tx, found),
            *_collected(tx, found.id),
        ),
        actions=_actions(tx, found, who, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _used(tx: Session, found: Subscription) -> tuple[Related, ...]:
    """What was reported of its use; nothing where nothing was."""
    seats = true_up.standing(tx, found).seats
    rows = tuple(
        (
            Cell(text=f"{each.period_from} to {each.period_to - timedelta(days=1)}"),
            Cell(text=f"{each.active_users:,} of {seats:,}", number=True),
            Cell(text=each.attested_by or str(each.source).capitalize()),
            Cell(text=f"{max(each.active_users - seats, 0):,}", number=True),
        )
        for each in usage.history(tx, found.id)
    )  # fmt: skip
    return (Related(title="Usage", columns=("Period", "People", "Said by", "Missing now"), rows=rows),) if rows else ()


def _waiting(tx: Session, found: Subscription) -> tuple[Fact, ...]:
    row = scheduled.scheduled(tx, found.id)
    return (Fact(name=f"From {found.ends_on}", value=_wish(tx, row)),) if row is not None else ()


def _billed(found: Subscription) -> str:
    years = found.term_months // 12
    words = f"by the {found.interval}" if years < 2 else f"for {years} years in advance"
    if found.billed_until is not None:
        words = f"yearly for {years} years, so far to {found.billed_until}, that day not included"
    if found.coupon_id is None:
        return words
    until = f"to terms that begin before {found.coupon_until}" if found.coupon_until else "to every term"
    return f"{words}; a coupon applies {until}"


def _facts(found: Subscription) -> tuple[Fact, ...]:
    parked = found.parked_at
    return (
        *((Fact(name="Parked", value=f"{parked:%Y-%m-%d}: {found.parked_reason}"),) if parked is not None else ()),
        Fact(name="Renews", value=_going_on(found)),
        Fact(name="Term", value=f"{found.starts_on} to {found.ends_on}, that day not included"),
        Fact(name="Billed", value=_billed(found)),
        Fact(name="Customer since", value=str(found.first_starts_on)),
        Fact(name="Grace", value=f"{found.grace_days} days"),
        Fact(name="Contact", value=f"{found.contact_name}, {found.contact_email}"),
        Fact(name="Time zone", value=found.time_zone),
        Fact(name="Begun by", value=found.order_id, href=f"/console/orders/{found.order_id}", mono=True),
    )


def _going_on(found: Subscription) -> str:
    if found.not_renewing_at is not None:
        said = f": {found.not_renewing_reason}" if found.not_renewing_reason else ""
        return f"Not renewing, said on {found.not_renewing_at:%Y-%m-%d}{said}"
    return "by itself, with the saved card" if found.auto_renew else "by hand"


def _actions(tx: Session, found: Subscription, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    if not can(who, May.SUBSCRIPTIONS_WRITE):
        return ()
    here, actions, waiting = f"/console/subscriptions/{found.id}", [], scheduled.scheduled(tx, found.id)
    if found.parked_at is not None:
        actions.append(Action(
            name="release", title="Bill it again", button="Bill it again", procedure="parked-subscription",
            href=f"{here}/release", tone="primary", form=form_for("release", form),
            hint="The billing run takes it up within a minute. Say what you found and did.",
        ))  # fmt: skip
    if waiting is not None:
        actions.append(Action(
            name="withdraw", title="Withdraw the scheduled change", button="Withdraw it",
            procedure="withdraw-scheduled-change", href=f"{here}/changes/{waiting.id}/withdraw",
            form=form_for("withdraw", form),
            hint="Who asked for it, and why. The next term then begins as this one ends; they hear of it by mail.",
        ))  # fmt: skip
    return tuple(actions)


def _collected(tx: Session, subscription_id: str) -> tuple[Related, ...]:
    query = select(DunningItem).where(col(DunningItem.subscription_id) == subscription_id)
    rows = tuple(
        (
            Cell(text=each.run_id, href=f"/console/dunning/{each.run_id}", mono=True), lists.day(each.added_at),
            Cell(text=str(each.state).replace("_", " ")), cells.amount(each.amount_minor, each.currency),
        )
        for each in tx.execute(query.order_by(col(DunningItem.added_at).desc())).scalars()
    )  # fmt: skip
    if not rows:
        return ()
    return (Related(title="Collections", columns=("Collection", "Since", "Became", "Amount"), rows=rows),)


def _lines(tx: Session, found: Subscription) -> Related:
    rows = tuple(
        (
            Cell(text=line.description), Cell(text=str(line.quantity), number=True),
            cells.amount(line.unit_minor, found.currency), cells.amount(line.net_minor, found.currency),
            cells.amount(line.arr_minor, found.currency),
        )
        for line in service.lines(tx, found.id)
    )  # fmt: skip
    return Related(title="What it holds", columns=("Plan", "Seats", "Each", "A term", "A year"), rows=rows)


def _terms(tx: Session, found: Subscription) -> Related:
    rows = tuple(
        (
            Cell(day=term.starts_on), Cell(day=term.ends_on), Cell(text=str(term.kind).capitalize()),
            Cell(text=term.order_id, href=f"/console/orders/{term.order_id}", mono=True),
        )
        for term in reversed(service.terms(tx, found.id))
    )  # fmt: skip
    return Related(title="Terms", columns=("From", "To, not included", "By", "Order"), rows=rows)


def _changes(tx: Session, found: Subscription) -> tuple[Related, ...]:
    """What was added within a term, what waits for its payment, and what waits for the next term."""
    query = select(Order).where(col(Order.subscription_id) == found.id, col(Order.kind) == OrderKind.EXPANSION)
    ordered = [
        (
            order.created_at,
            (
                Cell(text=order.id, href=f"/console/orders/{order.id}", mono=True),
                Cell(text=", ".join(f"{line.description}: {line.quantity:,} more" for line in lines_of(tx, order.id))),
                Cell(state=str(order.state)), cells.amount(order.total_minor, order.currency),
                lists.day(order.created_at),
            ),
        )
        for order in tx.execute(query).scalars()
    ]  # fmt: skip
    wished = [
        (
            row.requested_at,
            (
                Cell(text=row.id, mono=True), Cell(text=f"Next term: {_wish(tx, row)}"), Cell(state=str(row.state)),
                Cell(text=f"by {row.closed_by or row.requested_by}"), lists.day(row.requested_at),
            ),
        )
        for row in scheduled.all_of(tx, found.id)
    ]  # fmt: skip
    rows = tuple(cells_ for _, cells_ in sorted([*ordered, *wished], key=lambda each: each[0], reverse=True))
    columns = ("Change", "What", "State", "Total, or by whom", "Asked for")
    return (Related(title="Changes", columns=columns, rows=rows),) if rows else ()


def _wish(tx: Session, row: ScheduledChange) -> str:
    parts = [tx.get_one(Plan, row.plan_id).name] if row.plan_id else []
    parts += [f"{row.seats:,} seats"] if row.seats else []
    return ", ".join([*parts, *(f"without {sku}" for sku in row.dropped)])


def _reminders(tx: Session, found: Subscription) -> Related:
    query = select(RenewalReminder).where(
        col(RenewalReminder.subscription_id) == found.id, col(RenewalReminder.ends_on) == found.ends_on
    )
    rows = tuple(
        (
            Cell(day=each.due_at.date()), Cell(text=_when(each.days_before)),
            Cell(text=_became(each)),
        )
        for each in tx.execute(query.order_by(col(RenewalReminder.due_at))).scalars()
    )  # fmt: skip
    return Related(title="Reminders of this term", columns=("Due", "When", "What became of it"), rows=rows)


def _became(reminder: RenewalReminder) -> str:
    if reminder.skipped_reason:
        return f"not sent: {reminder.skipped_reason.replace('_', ' ')}"
    return f"sent {reminder.sent_at:%Y-%m-%d}" if reminder.sent_at else "to be sent"


def _when(days_before: int) -> str:
    if days_before == 0:
        return "on the day"
    days = f"{abs(days_before)} {'day' if abs(days_before) == 1 else 'days'}"
    return f"{days} before" if days_before > 0 else f"{days} after"


def _invoices(tx: Session, subscription_id: str) -> list[Invoice]:
    query = select(Invoice).where(col(Invoice.subscription_id) == subscription_id)
    return list(tx.execute(query.order_by(col(Invoice.id).desc())).scalars())


def _workspace(tx: Session, subscription_id: str) -> tuple[Related, ...]:
    found = workspaces.of_subscription(tx, subscription_id)
    return (cells.workspaces([found]),) if found is not None else ()


def annual(tx: Session, account_id: str) -> dict[str, Money]:
    """Recurring revenue a year of an account by currency, from what runs now."""
    running = (SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)
    query = select(Subscription).where(
        col(Subscription.account_id) == account_id, col(Subscription.state).in_(running)
    )  # fmt: skip
    sums: dict[str, Money] = {}
    for each in tx.execute(query).scalars():
        for line in service.lines(tx, each.id):
            sums[each.currency] = sums.get(each.currency, Money.zero(each.currency)) + Money(
                line.arr_minor, each.currency
            )
    return sums
