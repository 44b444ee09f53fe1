"""Workspaces: the list, and one with the work done on it; what failed can be tried again, a deletion taken back."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import audit, ids
from app.core.db import Tx as Session
from app.flows.ports import Ports
from app.web import auth
from app.web.console import cells, lists
from app.web.console.render import Note, Reader, attempt, can, form_for, page, reason
from app.web.console.views import Action, Cell, DetailView, ListView, Related
from app.web.deps import Now, Tx, Wired
from app.web.views import Fact, Form, Link
from app.workspaces import planning, service
from app.workspaces.errors import DeletionPending
from app.workspaces.models import Desired, ProvisioningTask, Workspace, WorkspaceState

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.WORKSPACES_WRITE))]


@router.get("/console/workspaces")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Workspace, col(Account.name)).join(Account, col(Account.id) == col(Workspace.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Workspace.id) == wanted.q, col(Workspace.account_id) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
                col(Workspace.hostname).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(WorkspaceState, wanted.state):
        query = query.where(col(Workspace.state) == state)
    found = lists.window(tx, query, col(Workspace.id), wanted, "workspaces")
    rows = []
    for each, name in found.rows:
        _, address, state_cell = cells.workspace_row(each)
        rows.append((
            cells.named("workspaces", each.id, name), address, state_cell,
            Cell(text=each.region), lists.day(each.created_at),
        ))  # fmt: skip
    view = ListView(
        kind="workspaces", columns=("Workspace", "Address", "State", "Region", "Made"), rows=tuple(rows),
        form=wanted.form, states=lists.options(WorkspaceState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/workspaces/{workspace_id}")
def one(request: Request, tx: Tx, now: Now, who: Reader, workspace_id: str) -> Response:
    return _show(request, tx, now, who, workspace_id, Form(), 200)


@router.post("/console/workspaces/{workspace_id}/retry")
def retry(request: Request, ports: Wired, now: Now, who: Keeper, workspace_id: str, note: Note = "") -> Response:
    """Try again what failed for good."""

    def act(tx: Session, workspace: Workspace) -> None:
        service.retry(tx, workspace, actor=who.staff_id, now=now)

    return _act(request, ports, now, who, workspace_id, "retry", note, act, "workspace-retried")


@router.post("/console/workspaces/{workspace_id}/keep")
def keep(request: Request, ports: Wired, now: Now, who: Keeper, workspace_id: str, note: Note = "") -> Response:
    """Take a deletion back that has not begun."""

    def act(tx: Session, workspace: Workspace) -> None:
        service.cancel_deletion(tx, workspace, actor=who.staff_id, now=now)

    return _act(request, ports, now, who, workspace_id, "keep", note, act, "deletion-canceled")


def _act(
    request: Request, ports: Ports, now: Now, who: SignedInStaff, workspace_id: str, name: str, note: str,
    act: Callable[[Session, Workspace], None], done: str,
) -> Response:  # fmt: skip
    """Do it and write down why, which is not part of the act itself."""
    ids.require_form("wsp", workspace_id)

    def deed() -> None:
        with ports.db.session() as tx:
            workspace = service.for_change(tx, workspace_id, None)
            act(tx, workspace)
            audit.record(tx, workspace.account_id, actor=who.staff_id, action="workspace.noted", subject=workspace.id,
                         now=now, details={"note": reason(note)})  # fmt: skip

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, now, who, workspace_id, form, status)

    return attempt(
        ports, name, {"note": note}, deed, again, to=f"/console/workspaces/{workspace_id}", done=done
    )  # fmt: skip


def _show(
    request: Request, tx: Session, now: datetime, who: SignedInStaff, workspace_id: str, form: Form, status: int
) -> Response:
    found = service.get(tx, ids.require_form("wsp", workspace_id), None)
    account = tx.get_one(Account, found.account_id)
    view = DetailView(
        kind="workspaces", id=found.id, title=found.hostname, state=str(found.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"), facts=_facts(found),
        related=(_plans(tx, found, now), _tasks(tx, found.id)), actions=_actions(found, who, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(found: Workspace) -> tuple[Fact, ...]:
    facts = [
        Fact(name="Address", value=found.url or "not yet"),
        Fact(name="Wanted", value=str(found.desired).capitalize()),
        Fact(name="Plan", value=f"{found.sku}, {found.seats} seats"),
        Fact(name="Where", value=f"{found.region}, {found.size}"),
        Fact(name="Version", value=found.running_version or f"{found.version} (wanted)"),
        Fact(name="Administrator", value=found.admin_email),
        Fact(name="Configuration", value=f"{found.applied_generation} of {found.generation} applied"),
        Fact(name="Subscription", value=found.subscription_id, href=f"/console/subscriptions/{found.subscription_id}",
             mono=True),
    ]  # fmt: skip
    if found.delete_at is not None:
        facts.append(Fact(name="To be deleted", value=f"{found.delete_at:%Y-%m-%d %H:%M} UTC"))
    if found.failure_reason:
        facts.append(Fact(name="What failed", value=found.failure_reason))
    return tuple(facts)


def _plans(tx: Session, found: Workspace, now: datetime) -> Related:
    """What each wish would set off, and what is still to come of the present one."""
    rows = []
    for desired in Desired:
        try:
            plan = planning.plan(tx, found, desired=desired, now=now)
        except DeletionPending:
            continue
        said = "; then ".join(_step(each) for each in plan.steps) or "nothing is to be done"
        said = said[:1].upper() + said[1:]
        if plan.needs_person:
            said += ". It stops there until somebody tries again"
        rows.append((
            Cell(text=str(desired).capitalize(), note="wanted now" if desired is found.desired else ""),
            Cell(text=said), Cell(state=str(plan.ends_in)),
        ))  # fmt: skip
    return Related(title="What would happen", columns=("If it should be", "Step by step", "Ends in"), rows=tuple(rows))


def _step(step: planning.Planned) -> str:
    states = ", then ".join(str(each).replace("_", " ") for each in step.states)
    if step.kind is None:
        return states
    when = f" on {step.not_before:%Y-%m-%d %H:%M} UTC" if step.not_before else ""
    return f"{step.kind}{' (in hand)' if step.in_hand else ''}{when}: {states}"


def _tasks(tx: Session, workspace_id: str) -> Related:
    query = select(ProvisioningTask).where(col(ProvisioningTask.workspace_id) == workspace_id)
    rows = tuple(
        (
            Cell(text=str(each.kind).capitalize(), note=each.failure_reason or each.message),
            Cell(state=str(each.state)), Cell(text=f"{each.progress} %", number=True),
            Cell(text=str(each.attempts), number=True), lists.day(each.created_at),
        )
        for each in tx.execute(query.order_by(col(ProvisioningTask.id).desc()).limit(50)).scalars()
    )  # fmt: skip
    return Related(title="Work on it", columns=("Task", "State", "Progress", "Tries", "Asked for"), rows=rows)


def _actions(found: Workspace, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    if not can(who, May.WORKSPACES_WRITE):
        return ()
    actions = []
    if found.failure_reason:
        actions.append(
            Action(
                name="retry", title="Try again", button="Try again", procedure="provisioning",
                href=f"/console/workspaces/{found.id}/retry", form=form_for("retry", form),
                hint="What was done about the reason it failed. Goes into the audit log.",
            )
        )  # fmt: skip
    if found.desired is Desired.DELETED and found.state is WorkspaceState.DELETE_PENDING:
        actions.append(
            Action(
                name="keep", title="Keep it after all", button="Take the deletion back", procedure="provisioning",
                href=f"/console/workspaces/{found.id}/keep", form=form_for("keep", form),
                hint="Who asked for it. Goes into the audit log.",
            )
        )  # fmt: skip
    return tuple(actions)
