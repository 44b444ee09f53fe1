"""What can be asked of a workspace. Each function that changes one locks it first."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.core import audit, policy
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id
from app.core.paging import Page, page
from app.core.states import MoveRefused
from app.workspaces import hostnames, steps
from app.workspaces.errors import DeletionPending, HostnameTaken, NothingToRetry, WorkspaceExists
from app.workspaces.models import Desired, ProvisioningTask, TaskKind, TaskState, Workspace, WorkspaceState
from app.workspaces.reconciling import enqueue, lock, move, reconcile, tell

_SHORT_NAMES: Final = "must be a list of different lower-case names, the first being the default"


def _names(value: Any) -> list[str]:
    """A policy's list of names."""
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        raise ValueError(_SHORT_NAMES)
    if not all(isinstance(each, str) and each == each.strip().lower() and 0 < len(each) <= 40 for each in value):
        raise ValueError(_SHORT_NAMES)
    return value


REGIONS: Final = policy.declare(
    policy.Policy("workspaces.regions", ["eu", "us"], _names, "Where workspaces can run; the first is the default.")
)
SIZES: Final = policy.declare(
    policy.Policy("workspaces.sizes", ["standard", "large"], _names, "How big workspaces can be; the first by default.")
)


def request(
    tx: Tx, *, account_id: str, subscription_id: str, hostname: str, sku: str, seats: int, region: str,
    admin_email: str, license_file_text: str | None, now: datetime, strict: bool = False, numbered: bool = True,
) -> Workspace:  # fmt: skip
    """The workspace of a subscription, made if there is none, with the task that creates it.

    `hostname` is a wish (`hostnames.from_company` makes one): where it is taken, a number is put behind it, or without
    `numbered` HostnameTaken is raised. Two who ask for one name at once get different ones, because the second waits
    for the first one's insert. Asking again for the same subscription changes nothing; with `strict` it raises
    WorkspaceExists.
    Raises Invalid for a hostname that cannot be used at all.
    """
    label = hostnames.require_usable(hostname)
    values = {
        "account_id": account_id, "subscription_id": subscription_id, "desired": Desired.RUNNING,
        "state": WorkspaceState.REQUESTED, "sku": sku, "seats": seats, "region": region,
        "size": policy.get(tx, SIZES, now)[0], "version": "stable", "running_version": "",
        "admin_email": admin_email, "license_file": license_file_text, "generation": 1, "applied_generation": 0,
        "progress": 0, "message": "", "url": "", "created_at": now, "updated_at": now,
    }  # fmt: skip
    for candidate in hostnames.alternatives(label, _taken(tx, label) if numbered else frozenset()):
        made = tx.execute(
            insert(Workspace)
            .values(id=new_id("wsp"), hostname=candidate, **values)
            .on_conflict_do_nothing()
            .returning(col(Workspace.id))
        ).scalar()
        if made is not None:
            return _begin(tx, lock(tx, made), now)
        if (existing := of_subscription(tx, subscription_id)) is not None:
            if strict:
                raise WorkspaceExists("A subscription has one workspace; this one is it.", workspace_id=existing.id)
            return existing
        if not numbered:
            raise HostnameTaken(f"{label} is taken or was; choose another name.", param="hostname")
    raise AssertionError("there is always another number")


def _taken(tx: Tx, label: str) -> frozenset[str]:
    """Names like `label` that are known to be gone, to save trying each; the insert decides."""
    name = col(Workspace.hostname)
    return frozenset(tx.execute(select(name).where(or_(name == label, name.startswith(f"{label}-")))).scalars())


def _begin(tx: Tx, workspace: Workspace, now: datetime) -> Workspace:
    tell(tx, workspace, "workspace.requested", now=now, sku=workspace.sku, seats=workspace.seats,
         region=workspace.region)  # fmt: skip
    reconcile(tx, workspace, now)
    return workspace


def get(tx: Tx, workspace_id: str, account_id: str | None) -> Workspace:
    """The workspace, to be read; `account_id` None sees every account's. Raises NotFound."""
    workspace = tx.execute(_visible(account_id).where(col(Workspace.id) == workspace_id)).scalar_one_or_none()
    if workspace is None:
        raise NotFound("There is no such workspace.")
    return workspace


def for_change(tx: Tx, workspace_id: str, account_id: str | None) -> Workspace:
    """The same, locked. Raises NotFound."""
    return lock(tx, get(tx, workspace_id, account_id).id)


def of_subscription(tx: Tx, subscription_id: str) -> Workspace | None:
    query = select(Workspace).where(col(Workspace.subscription_id) == subscription_id)
    return tx.execute(query).scalar_one_or_none()


def listed(
    tx: Tx, account_id: str | None, *, state: WorkspaceState | None = None, limit: int, starting_after: str | None
) -> Page[Workspace]:
    """Workspaces, newest first; `account_id` None sees every account's."""
    query = _visible(account_id)
    if state is not None:
        query = query.where(col(Workspace.state) == state)
    return page(tx, query, col(Workspace.id), limit=limit, starting_after=starting_after)


def _visible(account_id: str | None) -> Select[Workspace]:
    query = select(Workspace)
    return query if account_id is None else query.where(col(Workspace.account_id) == account_id)


def want(tx: Tx, workspace: Workspace, desired: Desired, *, actor: str, now: datetime) -> None:
    """Say what the workspace should be; the steps towards it follow by themselves.

    Wanting what is wanted already tries a failed step once more. Raises DeletionPending while it is going to be
    deleted: that is taken back with `cancel_deletion`, not by the way.
    """
    require_open_to(workspace, desired)
    if workspace.desired is not desired:
        _record(tx, workspace, "workspace.wanted", actor, now, {"before": workspace.desired, "after": desired})
        workspace.desired, workspace.updated_at = desired, now
        if workspace.state not in steps.FAILED:
            workspace.failure_reason = None  # it was about the wish that is given up
    reconcile(tx, workspace, now)


def require_open_to(workspace: Workspace, desired: Desired) -> None:
    """Raises DeletionPending where another wish has to wait until the deletion is taken back."""
    if workspace.desired is Desired.DELETED and desired is not Desired.DELETED:
        raise DeletionPending(
            "Take the deletion back first (POST …/cancel_deletion), as long as its state is delete_pending.",
            param="desired", state=str(workspace.state),
        )  # fmt: skip


def push_change(
    tx: Tx, workspace: Workspace, *, now: datetime, seats: int | None = None, sku: str | None = None,
    license_file_text: str | None = None, size: str | None = None, version: str | None = None,
) -> None:  # fmt: skip
    """Bring a license, seats, a plan, a size or a version to the workspace (R-PRV-3); None leaves a thing as it is.

    A running one gets an update task; a busy one as soon as it is free; a hibernated one when it wakes. What is the
    case already makes no work. Raises Invalid for a size that is not offered.
    """
    require_size(tx, size, now)
    wanted = {"seats": seats, "sku": sku, "license_file": license_file_text, "size": size, "version": version}
    changed = {name: value for name, value in wanted.items() if value is not None and value != getattr(workspace, name)}
    if not changed or workspace.state is WorkspaceState.DELETED:
        return
    for name, value in changed.items():
        setattr(workspace, name, value)
    workspace.generation += 1
    workspace.updated_at = now
    tell(tx, workspace, "workspace.change_wanted", now=now, changed=" ".join(sorted(changed)))
    reconcile(tx, workspace, now)


def require_size(tx: Tx, size: str | None, now: datetime) -> None:
    if size is not None and size not in (sizes := policy.get(tx, SIZES, now)):
        raise Invalid(f"Choose one of {', '.join(sizes)}.", param="size")


def cancel_deletion(tx: Tx, workspace: Workspace, *, actor: str, now: datetime) -> None:
    """Back to what it was before; changes that came meanwhile follow.

    Works until a provisioner has begun to delete. Raises MoveRefused after that, and where no deletion is wanted.
    """
    state = workspace.state
    if workspace.desired is not Desired.DELETED or state in steps.BEYOND_RECALL:
        raise MoveRefused(
            f"Only a deletion that has not begun can be taken back; this workspace is {state}.", state=str(state)
        )
    _record(tx, workspace, "workspace.deletion_canceled", actor, now, {})
    asleep = state is WorkspaceState.HIBERNATING or _last_done(tx, workspace.id) is TaskKind.HIBERNATE
    workspace.desired = Desired.HIBERNATED if asleep and state is not WorkspaceState.WAKING else Desired.RUNNING
    workspace.delete_at = None
    if state is WorkspaceState.DELETE_PENDING:
        state = WorkspaceState.HIBERNATED if asleep else WorkspaceState.STABLE
    move(tx, workspace, state, "workspace.deletion_canceled", now=now)
    reconcile(tx, workspace, now)


def _last_done(tx: Tx, workspace_id: str) -> TaskKind | None:
    """The last task that put it to sleep, woke it or made it."""
    kinds = (TaskKind.CREATE, TaskKind.WAKE, TaskKind.HIBERNATE)
    return tx.execute(
        select(col(ProvisioningTask.kind))
        .where(
            col(ProvisioningTask.workspace_id) == workspace_id,
            col(ProvisioningTask.state) == TaskState.DONE,
            col(ProvisioningTask.kind).in_(kinds),
        )
        .order_by(col(ProvisioningTask.id).desc())
        .limit(1)
    ).scalar()


def retry(tx: Tx, workspace: Workspace, *, actor: str, now: datetime) -> None:
    """Try again what failed for good, with as many attempts as a new task has. Raises NothingToRetry."""
    if workspace.state is WorkspaceState.CREATION_FAILED and workspace.desired is not Desired.DELETED:
        move(tx, workspace, WorkspaceState.REQUESTED, "workspace.requested", now=now)
    elif workspace.failure_reason is None or workspace.state in steps.WORKING:
        raise NothingToRetry("Its last task did not fail, or it is being tried again already.")
    task = reconcile(tx, workspace, now)
    if task is None and workspace.state is WorkspaceState.DELETION_FAILED:
        task = enqueue(tx, workspace, TaskKind.DELETE, now)
    if task is None:
        raise NothingToRetry("It is what it should be.")
    workspace.failure_reason = None
    _record(tx, workspace, "workspace.retried", actor, now, {"task": task.id, "kind": task.kind})


def begin_due_deletions(tx: Tx, now: datetime, *, limit: int = 200) -> int:
    """Put the deletions whose day has come on the provisioners' list; returns how many."""
    due = tx.execute(
        select(Workspace)
        .where(
            col(Workspace.state) == WorkspaceState.DELETE_PENDING,
            col(Workspace.delete_at) <= now,
            ~select(col(ProvisioningTask.id))
            .where(
                col(ProvisioningTask.workspace_id) == col(Workspace.id),
                col(ProvisioningTask.state).in_((TaskState.QUEUED, TaskState.CLAIMED)),
            )
            .exists(),
        )
        .order_by(col(Workspace.delete_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).scalars()
    return sum(reconcile(tx, workspace, now) is not None for workspace in list(due))


def next_deletion_at(tx: Tx) -> datetime | None:
    """When the next pending deletion is due, for a clock that walks from one due instant to the next."""
    pending = col(Workspace.state) == WorkspaceState.DELETE_PENDING
    return tx.execute(select(func.min(col(Workspace.delete_at))).where(pending)).scalar()


def _record(tx: Tx, workspace: Workspace, action: str, actor: str, now: datetime, details: dict[str, str]) -> None:
    audit.record(tx, workspace.account_id, actor=actor, action=action, subject=workspace.id, now=now,
                 details={name: str(value) for name, value in details.items()})  # fmt: skip
