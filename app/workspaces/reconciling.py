"""Bringing what there is closer to what is wanted. The caller has locked the workspace (`lock`).

Nothing remembers what to do next: after every change and every finished task the next step is found afresh from
the wish, the state and the configuration that runs, so no change is lost that came while a provisioner was busy.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import events, jobs, policy
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.states import require_move
from app.workspaces import steps
from app.workspaces.models import ProvisioningTask, TaskKind, TaskState, Workspace, WorkspaceState

# Deferred with each task that can be claimed; the flow that knows the provisioners registers it under this name.
RING: Final = "provisioning.ring"

DELETION_DAYS: Final = policy.declare(
    policy.Policy(
        "workspaces.deletion_days",
        14,
        policy.whole_number(),
        "Days between asking for the deletion of a workspace and carrying it out; until then it can be taken back.",
    )
)

_OPEN: Final = (TaskState.QUEUED, TaskState.CLAIMED)


def lock(tx: Tx, workspace_id: str) -> Workspace:
    """The workspace, locked and fresh. Always lock it before its task. Raises NotFound."""
    workspace = tx.execute(
        select(Workspace)
        .where(col(Workspace.id) == workspace_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if workspace is None:
        raise NotFound("There is no such workspace.")
    return workspace


def move(
    tx: Tx, workspace: Workspace, after: WorkspaceState, event: str, *, now: datetime, **data: str | int | None
) -> None:
    """Change the state and say so; `data` goes into the event. Raises MoveRefused."""
    before = workspace.state
    if before is not after:
        require_move("workspace", before, after)
    workspace.state, workspace.updated_at = after, now
    tell(tx, workspace, event, now=now, old_state=str(before), **data)


def tell(tx: Tx, workspace: Workspace, event: str, *, now: datetime, **data: str | int | None) -> None:
    """Append an event of this workspace, ordered among its events (R-PRV-4)."""
    tx.flush()
    events.append(
        tx, event, workspace.id, now=now, account_id=workspace.account_id,
        hostname=workspace.hostname, state=str(workspace.state), desired=str(workspace.desired), **data,
    )  # fmt: skip


def open_task(tx: Tx, workspace_id: str) -> ProvisioningTask | None:
    """The one task that waits or is being worked on, locked and fresh."""
    return tx.execute(
        select(ProvisioningTask)
        .where(col(ProvisioningTask.workspace_id) == workspace_id, col(ProvisioningTask.state).in_(_OPEN))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def reconcile(tx: Tx, workspace: Workspace, now: datetime) -> ProvisioningTask | None:
    """Take the next step towards what is wanted; returns the task it waits for, if any.

    A task that nobody has begun is withdrawn when it is no longer wanted; one that was begun is left to finish.
    """
    task = open_task(tx, workspace.id)
    if task is not None:
        if task.state is TaskState.CLAIMED or task.attempts or _next(workspace, now) is task.kind:
            return task
        task.state, task.finished_at = TaskState.CANCELED, now
        tx.flush()  # makes room under the index that allows one open task
    _move_without_task(tx, workspace, now)
    kind = _next(workspace, now)
    return None if kind is None else enqueue(tx, workspace, kind, now)


def enqueue(tx: Tx, workspace: Workspace, kind: TaskKind, now: datetime) -> ProvisioningTask:
    """Put work for provisioners on the list and ring for them."""
    task = ProvisioningTask(
        id=new_id("tsk"), workspace_id=workspace.id, kind=kind, state=TaskState.QUEUED, created_at=now,
        payload=payload_of(workspace), generation=workspace.generation,
    )  # fmt: skip
    tx.add(task)
    jobs.defer(tx, RING, task_id=task.id)
    return task


def _next(workspace: Workspace, now: datetime) -> TaskKind | None:
    return steps.next_kind(
        workspace.state,
        workspace.desired,
        behind=workspace.applied_generation < workspace.generation,
        deletion_due=workspace.delete_at is not None and workspace.delete_at <= now,
    )


def _move_without_task(tx: Tx, workspace: Workspace, now: datetime) -> None:
    """The steps that need no provisioner."""
    after = steps.without_task(workspace.state, workspace.desired)
    if after is WorkspaceState.DELETED:
        forget(workspace)
        move(tx, workspace, after, "workspace.deleted", now=now)
    elif after is WorkspaceState.DELETE_PENDING:
        workspace.delete_at = now + timedelta(days=policy.get(tx, DELETION_DAYS, now))
        move(tx, workspace, after, "workspace.deletion_scheduled", now=now, delete_at=workspace.delete_at.isoformat())
    elif after is not None:
        move(tx, workspace, after, "workspace.update_put_off", now=now)


def forget(workspace: Workspace) -> None:
    """What a deleted workspace need not keep."""
    workspace.license_file, workspace.url, workspace.running_version, workspace.delete_at = None, "", "", None


def payload_of(workspace: Workspace) -> dict[str, Any]:
    """All that a provisioner needs to do any task; `license_file` is the text to install, as it is, or null."""
    return {
        "account_id": workspace.account_id,
        "subscription_id": workspace.subscription_id,
        "hostname": workspace.hostname,
        "region": workspace.region,
        "size": workspace.size,
        "version": workspace.version,
        "sku": workspace.sku,
        "seats": workspace.seats,
        "admin_email": workspace.admin_email,
        "license_file": workspace.license_file,
        "url": workspace.url,
    }
