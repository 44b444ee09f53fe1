from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, text_enum
from app.core.states import declare_moves


class WorkspaceState(StrEnum):
    REQUESTED = "requested"
    CREATING = "creating"
    STABLE = "stable"
    UPDATING = "updating"
    HIBERNATING = "hibernating"
    HIBERNATED = "hibernated"
    WAKING = "waking"
    DELETE_PENDING = "delete_pending"
    DELETING = "deleting"
    DELETED = "deleted"
    CREATION_FAILED = "creation_failed"
    UPDATE_FAILED = "update_failed"
    DELETION_FAILED = "deletion_failed"


W = WorkspaceState
# R-PRV-1; readable over the API at /v1/workspaces/transitions.
MOVES: Final = declare_moves(
    "workspace",
    {
        (W.REQUESTED, W.CREATING), (W.REQUESTED, W.DELETED),
        (W.CREATING, W.STABLE), (W.CREATING, W.CREATION_FAILED), (W.CREATING, W.REQUESTED),
        (W.CREATION_FAILED, W.REQUESTED), (W.CREATION_FAILED, W.DELETED),
        (W.STABLE, W.UPDATING), (W.UPDATING, W.STABLE), (W.UPDATING, W.UPDATE_FAILED),
        (W.UPDATE_FAILED, W.UPDATING), (W.UPDATE_FAILED, W.STABLE),
        (W.STABLE, W.HIBERNATING), (W.HIBERNATING, W.HIBERNATED), (W.HIBERNATING, W.STABLE),
        (W.HIBERNATED, W.WAKING), (W.WAKING, W.STABLE), (W.WAKING, W.HIBERNATED),
        (W.STABLE, W.DELETE_PENDING), (W.HIBERNATED, W.DELETE_PENDING), (W.UPDATE_FAILED, W.DELETE_PENDING),
        (W.DELETE_PENDING, W.STABLE), (W.DELETE_PENDING, W.HIBERNATED), (W.DELETE_PENDING, W.DELETING),
        (W.DELETING, W.DELETED), (W.DELETING, W.DELETION_FAILED), (W.DELETION_FAILED, W.DELETING),
    }
)  # fmt: skip


class Desired(StrEnum):
    RUNNING = "running"
    HIBERNATED = "hibernated"
    DELETED = "deleted"


class TaskKind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    HIBERNATE = "hibernate"
    WAKE = "wake"
    DELETE = "delete"


class TaskState(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"  # no longer wanted before anyone began it


class Workspace(Table, table=True):
    """What the customer wants (`desired` and the configuration) and what there is (`state`).

    `generation` counts the changes of the configuration, `applied_generation` is the one that runs: while it lags
    behind, an update is due. A deleted workspace keeps its hostname, so that nobody else can pose under it.
    """

    __tablename__ = "workspace"
    __table_args__ = (
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_is_percent"),
        CheckConstraint("seats > 0", name="seats_positive"),
        CheckConstraint("applied_generation BETWEEN 0 AND generation", name="applies_what_was_wanted"),
        CheckConstraint("state <> 'delete_pending' OR delete_at IS NOT NULL", name="deletion_is_dated"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    subscription_id: str = Field(foreign_key="subscription.id", unique=True)
    hostname: str = Field(unique=True, sa_column_kwargs=personal("name"))  # the company's name is in it
    desired: Desired = Field(sa_type=text_enum(Desired, name="desired"))
    state: WorkspaceState = Field(sa_type=text_enum(WorkspaceState, name="workspace_state"), index=True)
    sku: str
    seats: int
    region: str
    size: str = "standard"
    version: str = "stable"  # what is wanted: a release, or a channel that the provisioner resolves
    running_version: str = ""  # what the provisioner says it installed
    admin_email: str = Field(sa_column_kwargs=personal("contact"))
    license_file: str | None = Field(default=None, sa_column_kwargs=personal("contact"))
    generation: int = 1
    applied_generation: int = 0
    delete_at: datetime | None = Field(default=None, sa_type=INSTANT)  # business time
    progress: int = 0
    message: str = ""
    url: str = Field(default="", sa_column_kwargs=personal("name"))
    failure_reason: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class ProvisioningTask(Table, table=True):
    """Work that a provisioner claims with a lease. `fence` grows with each claim, so a lost lease is refused.

    `lease_until` and `not_before` are real time; `created_at` and `finished_at` are business time.
    """

    __tablename__ = "provisioning_task"
    __table_args__ = (
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_is_percent"),
        CheckConstraint("(state = 'claimed') = (lease_until IS NOT NULL)", name="claimed_has_lease"),
        CheckConstraint("NOT offered OR state = 'claimed'", name="offered_is_leased"),
        # One piece of work per workspace at a time.
        Index(
            "uq_provisioning_task_open", "workspace_id", unique=True,
            postgresql_where=text("state IN ('queued', 'claimed')"),
        ),
        # Looking for work reads the open tasks only, oldest first, however many are done.
        Index("ix_provisioning_task_waiting", "id", postgresql_where=text("state IN ('queued', 'claimed')")),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id", index=True)
    kind: TaskKind = Field(sa_type=text_enum(TaskKind, name="task_kind"))
    state: TaskState = Field(sa_type=text_enum(TaskState, name="task_state"), index=True)
    payload: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    generation: int  # of the configuration in `payload`
    fence: int = 0
    claimed_by: str | None = None  # the API key that holds or held the lease
    # Sent to a provisioner that has not said yet that it takes it; nothing has begun.
    offered: bool = False
    lease_seconds: int | None = None
    lease_until: datetime | None = Field(default=None, sa_type=INSTANT)
    not_before: datetime | None = Field(default=None, sa_type=INSTANT)
    attempts: int = 0
    progress: int = 0
    message: str = ""
    failure_reason: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    finished_at: datetime | None = Field(default=None, sa_type=INSTANT)


class BillingHold(Table, table=True):
    """A workspace that sleeps because its subscription lapsed; paying brings it back, `delete_at` ends the waiting."""

    __tablename__ = "billing_hold"

    subscription_id: str = Field(primary_key=True, foreign_key="subscription.id")
    workspace_id: str = Field(foreign_key="workspace.id", unique=True)
    # What the customer had wanted before, to be wanted again once they have paid.
    was_running: bool
    since: datetime = Field(sa_type=INSTANT)
    delete_at: datetime = Field(sa_type=INSTANT, index=True)
    deletion_asked_at: datetime | None = Field(default=None, sa_type=INSTANT)
