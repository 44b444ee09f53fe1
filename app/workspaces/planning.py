"""What would happen if something were wanted of a workspace: the rules of `reconciling`, walked on paper (R-PRV-1).

Every step is taken to succeed. Nothing is locked and nothing written.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.workspaces import service, steps
from app.workspaces.models import Desired, ProvisioningTask, TaskKind, TaskState, Workspace, WorkspaceState
from app.workspaces.reconciling import DELETION_DAYS

_BRINGS_UP_TO_DATE: Final = frozenset({TaskKind.CREATE, TaskKind.UPDATE, TaskKind.WAKE})


@dataclass(frozen=True, slots=True)
class Planned:
    """One step: `kind` is the task that runs, None where no provisioner is needed; `states` are passed in this order.

    `not_before` is business time, where the step has to wait for its day. `in_hand`: a provisioner is at it already.
    """

    kind: TaskKind | None
    states: tuple[WorkspaceState, ...]
    not_before: datetime | None = None
    in_hand: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`needs_person`: it stops short of what is wanted, because something failed that only a person can go on with."""

    desired: Desired
    steps: tuple[Planned, ...]
    ends_in: WorkspaceState
    needs_person: bool


@dataclass(slots=True)
class _Paper:
    state: WorkspaceState
    desired: Desired
    behind: bool
    delete_at: datetime | None


_REACHED: Final = {
    Desired.RUNNING: WorkspaceState.STABLE, Desired.HIBERNATED: WorkspaceState.HIBERNATED,
    Desired.DELETED: WorkspaceState.DELETED,
}  # fmt: skip


def plan(
    tx: Tx, workspace: Workspace, *, desired: Desired | None = None, size: str | None = None,
    version: str | None = None, now: datetime,
) -> Plan:  # fmt: skip
    """The steps from here to what is asked; what is not given stays as it is wanted now.

    Raises what asking for it would: DeletionPending, and Invalid for a size that is not offered.
    """
    wanted = desired or workspace.desired
    service.require_open_to(workspace, wanted)
    service.require_size(tx, size, now)
    changed = any(
        value is not None and value != held for value, held in ((size, workspace.size), (version, workspace.version))
    )
    generation = workspace.generation + changed
    paper = _Paper(workspace.state, wanted, workspace.applied_generation < generation, workspace.delete_at)
    deletion = now + timedelta(days=policy.get(tx, DELETION_DAYS, now))
    planned = []
    if (task := _in_hand(tx, workspace.id)) is not None:
        planned.append(_run(paper, task.kind, in_hand=True))
        paper.behind = task.generation < generation
    while (step := _next(paper, deletion)) is not None:
        planned.append(step)
    reached = paper.state is _REACHED[wanted] and not (paper.behind and wanted is Desired.RUNNING)
    return Plan(wanted, tuple(planned), paper.state, not reached)


def _in_hand(tx: Tx, workspace_id: str) -> ProvisioningTask | None:
    """The task that was begun, which no other wish stops."""
    task = tx.execute(
        select(ProvisioningTask).where(
            col(ProvisioningTask.workspace_id) == workspace_id,
            col(ProvisioningTask.state).in_((TaskState.QUEUED, TaskState.CLAIMED)),
        )
    ).scalar_one_or_none()
    return task if task is not None and (task.state is TaskState.CLAIMED or task.attempts) else None


def _next(paper: _Paper, deletion: datetime) -> Planned | None:
    after = steps.without_task(paper.state, paper.desired)
    if after is not None:
        paper.state = after
        if after is WorkspaceState.DELETE_PENDING:
            paper.delete_at = deletion
        return Planned(None, (after,))
    kind = steps.next_kind(paper.state, paper.desired, behind=paper.behind, deletion_due=True)
    return None if kind is None else _run(paper, kind)


def _run(paper: _Paper, kind: TaskKind, *, in_hand: bool = False) -> Planned:
    step = steps.STEPS[kind]
    passed = (step.done,) if paper.state is step.working else (step.working, step.done)
    not_before = paper.delete_at if kind is TaskKind.DELETE and not in_hand else None
    paper.state = step.done
    if kind in _BRINGS_UP_TO_DATE:
        paper.behind = False
    return Planned(kind, passed, not_before, in_hand)
