"""The list of work that outside provisioners claim, with leases and fences (R-PRV-2, ADR 0017).

Two kinds of time: `now` is business time and dates facts; `real_now` is real time and decides leases and waits.
Every report carries the fence of its claim. A lease that ran out is lost, whether or not another has claimed since:
a provisioner that was cut off for so long cannot know.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, or_, select
from sqlmodel import col

from app.core import jobs, policy
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.paging import Page, page
from app.screening.models import CaseState, ScreeningCase
from app.workspaces.errors import LeaseLost, TaskFinished
from app.workspaces.models import Desired, ProvisioningTask, TaskKind, TaskState, Workspace
from app.workspaces.reconciling import RING, forget, lock, move, payload_of, reconcile
from app.workspaces.steps import STEPS

LEASE_SECONDS: Final = policy.declare(
    policy.Policy(
        "provisioning.lease_seconds", 60, policy.whole_number(minimum=1),
        "How long a provisioner may stay silent when it asks for no lease of its own, in seconds.",
    )
)  # fmt: skip
LONGEST_LEASE_SECONDS: Final = policy.declare(
    policy.Policy(
        "provisioning.longest_lease_seconds", 900, policy.whole_number(minimum=1),
        "The longest lease a provisioner may ask for, in seconds: so long can a dead one go unnoticed.",
    )
)  # fmt: skip
ATTEMPTS: Final = policy.declare(
    policy.Policy(
        "provisioning.attempts", 5, policy.whole_number(minimum=1),
        "How often a task is claimed before it has failed for good.",
    )
)  # fmt: skip
_PUTS_AWAY: Final = (TaskKind.HIBERNATE, TaskKind.DELETE)
RETRY_SECONDS: Final = policy.declare(
    policy.Policy(
        "provisioning.retry_seconds", 15, policy.whole_number(),
        "The wait before the second attempt, in seconds; it doubles with each further one.",
    )
)  # fmt: skip


def claim(
    tx: Tx, *, worker: str, kinds: Collection[TaskKind] = (), regions: Collection[str] = (),
    lease_seconds: int | None = None, now: datetime, real_now: datetime,
) -> ProvisioningTask | None:  # fmt: skip
    """The oldest task that waits, or whose lease ran out, leased to `worker`; None when there is nothing to do.

    Without `kinds` or `regions` all are taken. Any number may claim at once: rows in another's hands are skipped,
    never waited for. Raises Invalid for a lease longer than the policy allows.
    """
    seconds = _lease(tx, lease_seconds, now)
    most = policy.get(tx, ATTEMPTS, now)
    while (found := _claimable(tx, kinds, regions, real_now)) is not None:
        task, workspace = found
        if task.state is TaskState.QUEUED or task.attempts < most:
            return _hand_out(tx, task, workspace, worker, seconds, now, real_now)
        # A task that kills whoever takes it must not go round for ever.
        _give_up(tx, task, workspace, f"No report came before the lease ran out, {task.attempts} times.", now)
        tx.flush()
    return None


def _lease(tx: Tx, asked: int | None, now: datetime) -> int:
    longest = policy.get(tx, LONGEST_LEASE_SECONDS, now)
    if asked is None:
        return min(policy.get(tx, LEASE_SECONDS, now), longest)
    if not 1 <= asked <= longest:
        raise Invalid(f"Ask for 1 to {longest} seconds and send heartbeats in between.", param="lease_seconds")
    return asked


def _claimable(
    tx: Tx, kinds: Collection[TaskKind], regions: Collection[str], real_now: datetime, task_id: str | None = None
) -> tuple[ProvisioningTask, Workspace] | None:
    task = ProvisioningTask
    waits = and_(
        col(task.state) == TaskState.QUEUED, or_(col(task.not_before).is_(None), col(task.not_before) <= real_now)
    )
    query = (
        select(task, Workspace)
        .join(Workspace, col(Workspace.id) == col(task.workspace_id))
        .where(or_(waits, and_(col(task.state) == TaskState.CLAIMED, col(task.lease_until) <= real_now)))
        .order_by(col(task.id))  # ids sort by creation
        .limit(1)
        # Both rows at once and without waiting: whoever holds the workspace is about to take its task.
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    # Nothing more is opened or changed for a party that nothing may be delivered to; putting away goes on.
    refused = select(col(ScreeningCase.id)).where(
        col(ScreeningCase.account_id) == col(Workspace.account_id), col(ScreeningCase.state) == CaseState.CONFIRMED
    )
    query = query.where(or_(col(task.kind).in_(_PUTS_AWAY), ~refused.exists()))
    if task_id is not None:
        query = query.where(col(task.id) == task_id)
    if kinds:
        query = query.where(col(task.kind).in_(kinds))
    if regions:
        query = query.where(col(Workspace.region).in_(regions))
    row = tx.execute(query).first()
    return None if row is None else (row[0], row[1])


def _hand_out(
    tx: Tx, task: ProvisioningTask, workspace: Workspace, worker: str, seconds: int, now: datetime, real_now: datetime
) -> ProvisioningTask:
    _lease_to(task, workspace, worker, seconds, real_now)
    return _begin(tx, task, workspace, now)


def _lease_to(task: ProvisioningTask, workspace: Workspace, worker: str, seconds: int, real_now: datetime) -> None:
    task.state, task.claimed_by, task.lease_seconds = TaskState.CLAIMED, worker, seconds
    task.lease_until, task.not_before = real_now + timedelta(seconds=seconds), None
    task.fence += 1
    task.progress, task.message = 0, ""
    # Whatever changed since the task was listed goes with it.
    task.generation, task.payload = workspace.generation, payload_of(workspace)


def _begin(tx: Tx, task: ProvisioningTask, workspace: Workspace, now: datetime) -> ProvisioningTask:
    task.offered = False
    task.attempts += 1
    workspace.progress, workspace.message, workspace.updated_at = 0, "", now
    working = STEPS[task.kind].working
    if workspace.state is not working:
        move(tx, workspace, working, f"workspace.{working}", now=now, task=task.id)
    return task


def offer(tx: Tx, task_id: str, *, worker: str, now: datetime, real_now: datetime) -> ProvisioningTask | None:
    """Lease this task to a provisioner that listens, before it is told; None where it cannot be claimed any more.

    Nothing has begun until it takes the task or reports on it: an offer that fails leaves no try and no event behind.
    """
    found = _claimable(tx, (), (), real_now, task_id)
    if found is None:
        return None
    task, workspace = found
    if task.state is TaskState.CLAIMED and task.attempts >= policy.get(tx, ATTEMPTS, now):
        _give_up(tx, task, workspace, f"No report came before the lease ran out, {task.attempts} times.", now)
        return None
    _lease_to(task, workspace, worker, _lease(tx, None, now), real_now)
    task.offered = True
    return task


def settle_offer(tx: Tx, task_id: str, *, fence: int, taken: bool, now: datetime) -> bool:
    """What became of an offer; returns whether the task is in hand now.

    One that was not taken waits to be claimed by anybody. A report that came in the meantime says more than a lost
    answer: the task stays with whoever sent it.
    """
    # The workspace first, as every report does.
    workspace = lock(tx, tx.get_one(ProvisioningTask, task_id).workspace_id)
    task = tx.get_one(ProvisioningTask, task_id, with_for_update=True, populate_existing=True)
    if task.fence != fence or not task.offered:
        return task.state is not TaskState.QUEUED
    if taken:
        _begin(tx, task, workspace, now)
        return True
    task.state, task.offered, task.lease_until = TaskState.QUEUED, False, None
    reconcile(tx, workspace, now)
    return False


def abandoned(tx: Tx, real_now: datetime, *, limit: int = 200) -> list[str]:
    """Tasks whose lease ran out and that nobody has claimed since."""
    lost = and_(col(ProvisioningTask.state) == TaskState.CLAIMED, col(ProvisioningTask.lease_until) <= real_now)
    return list(tx.execute(select(col(ProvisioningTask.id)).where(lost).limit(limit)).scalars())


def heartbeat(
    tx: Tx, task_id: str, *, worker: str, fence: int, lease_seconds: int | None = None, now: datetime,
    real_now: datetime,
) -> ProvisioningTask:  # fmt: skip
    """Extend the lease from this moment on. Raises NotFound, LeaseLost, TaskFinished."""
    task, _ = _held(tx, task_id, worker, fence, now, real_now)
    if lease_seconds is not None:
        task.lease_seconds = _lease(tx, lease_seconds, now)
    return _extend(task, real_now)


def report_progress(
    tx: Tx, task_id: str, *, worker: str, fence: int, percent: int, message: str, now: datetime, real_now: datetime
) -> ProvisioningTask:
    """What the customer sees while waiting; extends the lease too.

    `percent` is 0 to 100 and never goes back within a claim; `message` is a sentence for the customer.
    Raises NotFound, LeaseLost, TaskFinished, and Invalid for a percentage below the last.
    """
    task, workspace = _held(tx, task_id, worker, fence, now, real_now)
    if percent < task.progress:
        raise Invalid(f"{task.progress} percent were reported already; send that or more.", param="progress")
    task.progress, task.message = percent, message
    workspace.progress, workspace.message, workspace.updated_at = percent, message, now
    return _extend(task, real_now)


def complete(
    tx: Tx, task_id: str, *, worker: str, fence: int, url: str | None = None, version: str | None = None,
    now: datetime, real_now: datetime,
) -> tuple[ProvisioningTask, bool]:  # fmt: skip
    """The work is done: `url` is where the workspace answers (needed for a creation), `version` what runs there.

    Returns the task, and whether this call completed it: the same claim may say so again.
    Raises NotFound, LeaseLost, TaskFinished (it failed), and Invalid where a creation has no `url`.
    """
    task, workspace = _held(tx, task_id, worker, fence, now, real_now, repeats=TaskState.DONE)
    if task.state is TaskState.DONE:
        return task, False
    if task.kind is TaskKind.CREATE and not url:
        raise Invalid("Say where the new workspace answers.", param="url")
    task.progress, task.failure_reason = 100, None
    _close(task, TaskState.DONE, now)
    workspace.progress, workspace.message, workspace.failure_reason = 100, "", None
    workspace.url = url or workspace.url
    workspace.running_version = version or workspace.running_version
    if task.kind in {TaskKind.CREATE, TaskKind.UPDATE, TaskKind.WAKE}:
        workspace.applied_generation = task.generation
    if task.kind is TaskKind.DELETE:
        forget(workspace)
    step = STEPS[task.kind]
    move(tx, workspace, step.done, step.happened, now=now, task=task.id, url=workspace.url)
    reconcile(tx, workspace, now)
    return task, True


def fail(
    tx: Tx, task_id: str, *, worker: str, fence: int, reason: str, retryable: bool, now: datetime, real_now: datetime
) -> ProvisioningTask:
    """The work could not be done, and what was half made is cleaned up; `reason` is a sentence for the customer.

    A retryable failure waits and is tried again up to the policy's number of attempts; the last one, and one that is
    not retryable, has failed for good and says so on the workspace. The same claim may report its failure again.
    Raises NotFound, LeaseLost, TaskFinished (it is done).
    """
    task, workspace = _held(tx, task_id, worker, fence, now, real_now, repeats=TaskState.FAILED)
    if task.state is not TaskState.CLAIMED:
        return task
    if not retryable or task.attempts >= policy.get(tx, ATTEMPTS, now):
        _give_up(tx, task, workspace, reason, now)
        return task
    wait = policy.get(tx, RETRY_SECONDS, now) * 2 ** (task.attempts - 1)
    task.state, task.lease_until, task.failure_reason = TaskState.QUEUED, None, reason
    task.not_before = real_now + timedelta(seconds=wait)
    workspace.message = ""
    move(tx, workspace, STEPS[task.kind].again, "workspace.retry_scheduled", now=now,
         task=task.id, reason=reason, attempt=task.attempts)  # fmt: skip
    jobs.defer(tx, RING, at=task.not_before, task_id=task.id)
    # A wish that changed meanwhile changes what the next attempt is given.
    reconcile(tx, workspace, now)
    return task


def _give_up(tx: Tx, task: ProvisioningTask, workspace: Workspace, reason: str, now: datetime) -> None:
    task.failure_reason = reason
    _close(task, TaskState.FAILED, now)
    workspace.failure_reason, workspace.message = reason, ""
    move(tx, workspace, STEPS[task.kind].failed, "workspace.failed", now=now,
         task=task.id, kind=str(task.kind), reason=reason, attempts=task.attempts)  # fmt: skip
    # The same step at once would only fail again; another wish or configuration is worth a try.
    if workspace.desired is Desired.DELETED or workspace.generation > task.generation:
        reconcile(tx, workspace, now)


def _close(task: ProvisioningTask, state: TaskState, now: datetime) -> None:
    """A finished task keeps what was asked for, but not the license: the workspace has the newest."""
    task.state, task.lease_until, task.finished_at = state, None, now
    task.payload = {**task.payload, "license_file": None}


def _extend(task: ProvisioningTask, real_now: datetime) -> ProvisioningTask:
    task.lease_until = real_now + timedelta(seconds=task.lease_seconds or 1)
    return task


def _held(
    tx: Tx,
    task_id: str,
    worker: str,
    fence: int,
    now: datetime,
    real_now: datetime,
    *,
    repeats: TaskState | None = None,
) -> tuple[ProvisioningTask, Workspace]:
    """Task and workspace, locked, if `worker` still holds this claim; `repeats` is the end it may report again."""
    workspace_id = tx.execute(
        select(col(ProvisioningTask.workspace_id)).where(col(ProvisioningTask.id) == task_id)
    ).scalar_one_or_none()
    if workspace_id is None:
        raise NotFound("There is no such task.")
    workspace = lock(tx, workspace_id)
    task = tx.execute(
        select(ProvisioningTask)
        .where(col(ProvisioningTask.id) == task_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()
    if task.fence != fence or task.claimed_by != worker:
        raise LeaseLost("Another claim holds this task. Stop working on it and claim again.", fence=task.fence)
    match task.state:
        case TaskState.CLAIMED if task.lease_until is not None and task.lease_until > real_now:
            if task.offered:  # the report is faster than the answer to the offer
                _begin(tx, task, workspace, now)
            return task, workspace
        case TaskState.CLAIMED:
            raise LeaseLost("The lease ran out before this report. Stop working on it and claim again.", fence=fence)
        case TaskState.QUEUED if repeats is not TaskState.FAILED:
            raise LeaseLost("This claim reported a failure; the task waits to be claimed again.", fence=fence)
        case TaskState.DONE | TaskState.FAILED if repeats is not task.state:
            raise TaskFinished(f"This task is {task.state}.", state=str(task.state))
        case _:
            return task, workspace


def listed(tx: Tx, *, state: TaskState | None, limit: int, starting_after: str | None) -> Page[ProvisioningTask]:
    """Tasks, newest first, for the people who run the provisioners."""
    query: Any = select(ProvisioningTask)
    if state is not None:
        query = query.where(col(ProvisioningTask.state) == state)
    return page(tx, query, col(ProvisioningTask.id), limit=limit, starting_after=starting_after)
