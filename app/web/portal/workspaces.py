"""`/account/workspaces`: provisioned installations and how far they are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import Permission, may
from app.accounts.sessions import SignedInCustomer
from app.catalog import service as catalog
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.ids import require_form
from app.web import csrf, show
from app.web.auth import customer
from app.web.deps import Now, Tx
from app.web.portal import owned
from app.web.portal.account_views import WorkspaceRow, WorkspacesView, WorkspaceView
from app.web.portal.render import account_page, see_other
from app.web.portal.workspace_progress import progress_of
from app.web.views import Fact, Link
from app.workspaces import service as workspaces
from app.workspaces import steps
from app.workspaces.models import Desired, Workspace

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.WORKSPACES_READ))]
Writer = Annotated[SignedInCustomer, Depends(customer(Permission.WORKSPACES_WRITE))]
router = APIRouter(include_in_schema=False, prefix="/account/workspaces", dependencies=[Depends(csrf.protect)])


@router.get("")
def listed(request: Request, tx: Tx, who: Reader) -> Response:
    """The account's workspaces, newest first."""
    rows = tuple(
        WorkspaceRow(
            name=each.hostname, state=each.state.value, url=each.url, region=each.region.upper(),
            version=each.running_version or each.version, href=f"/account/workspaces/{each.id}",
        )
        for each in owned.all_of(tx, who, Workspace)
    )  # fmt: skip
    return account_page(request, tx, WorkspacesView(workspaces=rows), who)


@router.get("/{workspace_id}")
def one(request: Request, tx: Tx, who: Reader, workspace_id: str, said: str = "") -> Response:
    """One workspace; the page follows by itself while somebody works on it."""
    found = owned.one(tx, who, Workspace, "wsp", workspace_id)
    return account_page(request, tx, _view(tx, who, found), who, said=said)


@router.get("/{workspace_id}/progress")
def progress(request: Request, tx: Tx, who: Reader, workspace_id: str) -> Response:
    """The steps as a fragment; once the work is done the page loads itself anew."""
    found = owned.one(tx, who, Workspace, "wsp", workspace_id)
    path = f"/account/workspaces/{found.id}/progress"
    view = progress_of(found, poll_href=path)
    return show.portal(request, progress_of(found, poll_href=path, reload=not view.poll_href), who=who)


@router.post("/{workspace_id}/keep")
def keep(tx: Tx, now: Now, who: Writer, workspace_id: str) -> Response:
    """Take a deletion back as long as it has not begun."""
    found = workspaces.for_change(tx, require_form("wsp", workspace_id), who.account_id)
    workspaces.cancel_deletion(tx, found, actor=who.member_id, now=now)
    return see_other(f"/account/workspaces/{found.id}?said=deletion_taken_back")


@router.post("/{workspace_id}/retry")
def retry(tx: Tx, now: Now, who: Writer, workspace_id: str) -> Response:
    """Try again what failed."""
    found = workspaces.for_change(tx, require_form("wsp", workspace_id), who.account_id)
    workspaces.retry(tx, found, actor=who.member_id, now=now)
    return see_other(f"/account/workspaces/{found.id}?said=retried")


def _view(tx: Unit, who: SignedInCustomer, found: Workspace) -> WorkspaceView:
    path = f"/account/workspaces/{found.id}"
    actions = []
    if may(who.role, Permission.WORKSPACES_WRITE):
        if found.desired is Desired.DELETED and found.state not in steps.BEYOND_RECALL:
            actions.append(Link(label="Keep it", href=f"{path}/keep"))
        if found.failure_reason is not None and found.state in steps.FAILED:
            actions.append(Link(label="Try again", href=f"{path}/retry"))
    return WorkspaceView(
        name=found.hostname, state=found.state.value, url=found.url,
        progress=progress_of(found, poll_href=f"{path}/progress"), facts=_facts(tx, found), history=(),
        problem=found.failure_reason or "", delete_on=local_date(found.delete_at, "UTC") if found.delete_at else None,
        actions=tuple(actions),
    )  # fmt: skip


def _facts(tx: Unit, found: Workspace) -> tuple[Fact, ...]:
    plan = catalog.plan_by_sku(tx, found.sku)
    return (
        Fact(name="Plan", value=f"{plan.name}, {found.seats:,} seats"),
        Fact(name="Address", value=found.url, href=found.url) if found.url else Fact(name="Name", value=found.hostname),
        Fact(name="Region", value=found.region.upper()),
        Fact(name="Size", value=found.size.capitalize()),
        Fact(name="Version", value=found.running_version or found.version),
        Fact(name="Administrator", value=found.admin_email),
        Fact(
            name="Subscription", value=found.subscription_id, mono=True,
            href=f"/account/subscriptions/{found.subscription_id}",
        ),
    )  # fmt: skip
