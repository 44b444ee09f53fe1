"""What is being collected: what goes out tomorrow and this week, every run, pausing one, and what is parked."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids, policy
from app.core.db import Tx as Session
from app.core.errors import DomainError, Invalid
from app.dunning import service
from app.dunning.ladder import LONGEST_PAUSE_DAYS
from app.dunning.models import AutomaticCharge, DunningRun, DunningStep, Outcome, Owed, RunState
from app.flows import billing_run, dunning, invoice_reminders
from app.flows.invoice_reminders import Ahead
from app.flows.ports import Ports
from app.payments import declines
from app.payments.models import PaymentAttempt
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from app.web import auth
from app.web.console import cells, lists
from app.web.console.collecting_views import DunningRunView, DunningView
from app.web.console.render import Note, Reader, back, can, page, reason, refused
from app.web.console.views import Cell, Related
from app.web.deps import Now, Tx, Wired
from app.web.views import Fact, Link, Step
from app.web.views import Form as FormView

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.PAYMENTS_WRITE))]
Releaser = Annotated[SignedInStaff, Depends(auth.staff(May.SUBSCRIPTIONS_WRITE))]
_MOST: Final = 200
_AHEAD_DAYS: Final = 7
_WORDS: Final = {
    Outcome.PAID: "paid", Outcome.DECLINED: "declined", Outcome.NEEDS_CARD: "not tried: another card is needed",
    Outcome.SKIPPED: "not needed any more",
}  # fmt: skip


@router.get("/console/dunning")
def board(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    week = _steps_until(tx, now + timedelta(days=_AHEAD_DAYS))
    ahead = invoice_reminders.ahead(tx, now + timedelta(days=_AHEAD_DAYS))
    view = DunningView(
        run=_run(billing_run.progress(tx, now)),
        tomorrow=sum(step.due_at <= now + timedelta(days=1) for step, _, _ in week),
        week=Related(
            title="What goes out in the next 7 days", columns=("Customer", "When", "What", "If it fails"),
            rows=tuple(_step_row(step, run, name) for step, run, name in week),
        ),
        reminders_tomorrow=sum(each.at <= now + timedelta(days=1) for each in ahead),
        reminders=Related(
            title="Reminders of open invoices in the next 7 days",
            columns=("Customer", "When", "Days overdue", "Invoice", "Owed"), rows=tuple(map(_reminder_row, ahead)),
        ),
        open_runs=_runs(tx, "Being collected", now, is_open=True), parked=_parked(tx),
        closed=_runs(tx, "Ended lately", now, is_open=False),
    )  # fmt: skip
    return page(request, tx, view, who)


def _run(progress: billing_run.Progress) -> tuple[Fact, ...]:
    return (
        Fact(name="Due and not ordered yet", value=f"{progress.due:,}"),
        Fact(name="Waiting for the provider", value=f"{progress.charging:,}"),
        Fact(name="Paid and not completed yet", value=f"{progress.paid:,}"),
        Fact(name="Parked", value=f"{progress.parked:,}"),
        Fact(name="Renewed since this time yesterday", value=f"{progress.done:,}"),
    )


def _steps_until(tx: Session, until: datetime) -> list[tuple[DunningStep, DunningRun, str]]:
    query = (
        select(DunningStep, DunningRun, col(Account.name))
        .join(DunningRun, col(DunningRun.id) == col(DunningStep.run_id))
        .join(Account, col(Account.id) == col(DunningRun.account_id))
        .where(
            col(DunningRun.state) == RunState.OPEN, col(DunningStep.done_at).is_(None), col(DunningStep.due_at) <= until
        )
        .order_by(col(DunningStep.due_at))
        .limit(_MOST)
    )
    return [(step, run, str(name)) for step, run, name in tx.execute(query)]


def _step_row(step: DunningStep, run: DunningRun, company: str) -> cells.Row:
    tries = "no try: another card is needed" if run.needs_card else "the saved card is tried"
    fails = "it ends, with a mail" if step.last else "a mail" if step.mails else "nothing"
    return (
        cells.named("dunning", run.id, company), Cell(text=f"{step.due_at:%Y-%m-%d %H:%M} UTC"), Cell(text=tries),
        Cell(text=fails),
    )  # fmt: skip


def _reminder_row(each: Ahead) -> cells.Row:
    return (
        cells.named("invoices", each.invoice.id, each.company), Cell(text=f"{each.at:%Y-%m-%d %H:%M} UTC"),
        Cell(text=str(each.days_late), number=True), Cell(text=each.invoice.number or ""),
        Cell(text=str(each.owed), number=True),
    )  # fmt: skip


def _runs(tx: Session, title: str, now: datetime, *, is_open: bool) -> Related:
    query = select(DunningRun, col(Account.name)).join(Account, col(Account.id) == col(DunningRun.account_id))
    if is_open:
        query = query.where(col(DunningRun.state) == RunState.OPEN).order_by(col(DunningRun.id))
    else:
        query = query.where(col(DunningRun.state) != RunState.OPEN).order_by(col(DunningRun.closed_at).desc())
    rows = []
    for run, name in tx.execute(query.limit(_MOST if is_open else 20)):
        found = dunning.standing_of(tx, run.id, Owed.OWED if is_open else Owed.PAID)
        paused = run.paused_until is not None and run.paused_until > now
        rows.append((
            cells.named("dunning", run.id, name), Cell(state="suspended" if paused else str(run.state)),
            Cell(text=str(found.total), number=True), Cell(text=declines.in_words(run.failure_code)),
            lists.day(found.next_try_at), lists.day(found.last_try_at),
        ))  # fmt: skip
    columns = ("Customer", "State", "Owed" if is_open else "Paid", "Why", "Next try", "Last try")
    return Related(title=title, columns=columns, rows=tuple(rows))


def _parked(tx: Session) -> Related:
    query = (
        select(Subscription, col(Account.name))
        .join(Account, col(Account.id) == col(Subscription.account_id))
        .where(col(Subscription.parked_at).is_not(None))
        .order_by(col(Subscription.parked_at))
        .limit(_MOST)
    )
    rows = tuple(
        (cells.named("subscriptions", held.id, name), lists.day(held.parked_at), Cell(text=held.parked_reason or ""))
        for held, name in tx.execute(query)
    )  # fmt: skip
    return Related(title="Parked by the billing run", columns=("Customer", "Since", "Why"), rows=rows)


@router.get("/console/dunning/{run_id}")
def one(request: Request, tx: Tx, now: Now, who: Reader, run_id: str) -> Response:
    return _show(request, tx, who, ids.require_form("dun", run_id), now, FormView(), 200)


@router.post("/console/dunning/{run_id}/pause")
def pause(
    request: Request, ports: Wired, now: Now, who: Keeper, run_id: str, note: Note = "",
    days: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Put every step off; the license is bridged for as long."""
    ids.require_form("dun", run_id)
    try:
        if not days.isdecimal() or len(days) > 4:
            raise Invalid("Write the days as a whole number, such as 7.", param="days")
        dunning.pause(ports, run_id, days=int(days), reason=reason(note), by=who.staff_id)
    except DomainError as exc:
        form = refused("pause", {"note": note, "days": days}, exc.detail, exc.param)
        return _again(request, ports, who, run_id, now, form, exc)
    return back(f"/console/dunning/{run_id}", "dunning-paused")


@router.post("/console/dunning/{run_id}/resume")
def resume(request: Request, ports: Wired, now: Now, who: Keeper, run_id: str, note: Note = "") -> Response:
    """Take the rest of a pause back."""
    ids.require_form("dun", run_id)
    try:
        dunning.resume(ports, run_id, reason=reason(note), by=who.staff_id)
    except DomainError as exc:
        return _again(request, ports, who, run_id, now, refused("resume", {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/dunning/{run_id}", "dunning-resumed")


def _again(
    request: Request, ports: Ports, who: SignedInStaff, run_id: str, now: datetime, form: FormView, exc: DomainError
) -> Response:  # fmt: skip
    with ports.db.session() as tx:
        return _show(request, tx, who, run_id, now, form, exc.status)


@router.post("/console/subscriptions/{subscription_id}/release")
def release(ports: Wired, who: Releaser, subscription_id: str, note: Note = "") -> Response:
    """The billing run takes a parked subscription up again."""
    ids.require_form("sub", subscription_id)
    with ports.db.transaction() as tx:
        subscriptions.get(tx, subscription_id)
    billing_run.release(ports, subscription_id, by=who.staff_id, note=reason(note))
    return back(f"/console/subscriptions/{subscription_id}", "subscription-released")


def _show(
    request: Request, tx: Session, who: SignedInStaff, run_id: str, now: datetime, form: FormView, status: int
) -> Response:  # fmt: skip
    run = service.get(tx, run_id)
    account = tx.get_one(Account, run.account_id)
    here, writes = f"/console/dunning/{run.id}", can(who, May.PAYMENTS_WRITE) and run.state is RunState.OPEN
    paused = run.paused_until is not None and run.paused_until > now
    view = DunningRunView(
        run_id=run.id, title=f"{run.currency} of {account.name}", state="suspended" if paused else str(run.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(run, paused=paused),
        owed=_items(tx, run.id), steps=tuple(_step(each) for each in service.steps(tx, run.id)),
        charges=_charges(tx, run.id), pause_href=f"{here}/pause" if writes and not paused else "",
        resume_href=f"{here}/resume" if writes and paused else "",
        longest_days=policy.get(tx, LONGEST_PAUSE_DAYS, now), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(run: DunningRun, *, paused: bool) -> tuple[Fact, ...]:
    facts = [
        Fact(name="Since", value=f"{run.opened_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name="Why", value=declines.in_words(run.failure_code)),
        Fact(name="Card", value="Another one is needed; this one is not tried again." if run.needs_card
             else "The saved card is tried on the days below."),
    ]  # fmt: skip
    if paused:
        facts.append(Fact(name="Paused", value=f"until {run.paused_until:%Y-%m-%d}: {run.pause_reason}"))
    if run.closed_at is not None:
        facts.append(Fact(name="Ended", value=f"{run.closed_at:%Y-%m-%d %H:%M} UTC"))
    return tuple(facts)


def _items(tx: Session, run_id: str) -> Related:
    rows = tuple(
        (
            Cell(text=each.subscription_id, href=f"/console/subscriptions/{each.subscription_id}", mono=True),
            Cell(text=each.order_id, href=f"/console/orders/{each.order_id}", mono=True), Cell(day=each.old_end_on),
            Cell(text=str(each.state).replace("_", " ")), cells.amount(each.amount_minor, each.currency),
        )
        for each in service.items(tx, run_id)
    )  # fmt: skip
    return Related(title="What it collects", columns=("Subscription", "Order", "Covered until", "State", "Amount"),
                   rows=rows)  # fmt: skip


def _step(step: DunningStep) -> Step:
    label = "Last try" if step.last else "Try"
    if step.done_at is None or step.outcome is None:
        detail = "a mail follows if it fails" if step.mails else ""
        return Step(label=f"{label} on {step.due_at:%Y-%m-%d}", state="todo", detail=detail)
    state: Literal["failed", "done"] = "failed" if step.outcome is Outcome.DECLINED else "done"
    return Step(label=f"{label} on {step.due_at:%Y-%m-%d}", state=state, detail=_WORDS[step.outcome],
                at=f"{step.done_at:%Y-%m-%d}")  # fmt: skip


def _charges(tx: Session, run_id: str) -> Related:
    orders_of_run = [each.order_id for each in service.items(tx, run_id)]
    query = (
        select(AutomaticCharge, PaymentAttempt)
        .join(PaymentAttempt, col(PaymentAttempt.id) == col(AutomaticCharge.attempt_id))
        .where(col(AutomaticCharge.order_id).in_(orders_of_run))
        .order_by(col(AutomaticCharge.id))
    )
    rows = tuple(
        (
            Cell(text=attempt.id, mono=True), lists.day(charge.asked_at), Cell(state=str(attempt.state)),
            Cell(text=declines.in_words(attempt.failure_code) if attempt.failure_code else ""),
            cells.amount(attempt.amount_minor, attempt.currency),
        )
        for charge, attempt in tx.execute(query)
    )  # fmt: skip
    return Related(title="What was asked of the provider", columns=("Attempt", "On", "State", "Said", "Amount"),
                   rows=rows)  # fmt: skip
