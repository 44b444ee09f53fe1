"""Workspaces: what a customer or product asks for, and how far it is (R-PRV-1)."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.accounts.models import ApiKey
from app.core import ids
from app.core.errors import NotAllowed, NotFound
from app.core.states import MoveRefused
from app.flows import provisioning
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.web.deps import NotSignedIn, Now, ScopeMissing, Tx, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems
from app.workspaces import planning, service, steps
from app.workspaces.errors import DeletionPending, HostnameTaken, NothingToRetry, NoWorkspaceIncluded, WorkspaceExists
from app.workspaces.models import Desired, TaskKind, Workspace, WorkspaceState

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"], route_class=IdempotentRoute)

Reader = Annotated[ApiKey, Depends(requires("workspaces:read"))]
Writer = Annotated[ApiKey, Depends(requires("workspaces:write"))]
_ANYONE = (NotSignedIn, ScopeMissing)

_ID = "[0-9a-hjkmnp-tv-z]{26}"
Cursor = Annotated[str | None, Query(pattern=f"^wsp_{_ID}$", description="The id of the last one you have.")]
Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]


class WorkspaceIn(BaseModel):
    """Plan, seats and license come from the subscription."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "hostname": "beispiel", "region": "eu",
        "admin_email": "ada@example.de",
    }})  # fmt: skip

    subscription_id: str = Field(pattern=f"^sub_{_ID}$")
    hostname: str | None = Field(None, max_length=100, description="By default made from the account's name.")
    region: Label | None = Field(None, description="By default the first one on offer.")
    admin_email: str | None = Field(
        None,
        max_length=254,
        pattern=r"^[!-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
        description="Who is told when it is ready; by default the subscription's contact.",
    )


class WorkspacePatch(BaseModel):
    """Only what is given changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"desired": "hibernated"}})

    desired: Desired | None = None
    size: Label | None = Field(None, description="Only with a key of the vendor.")
    version: Label | None = Field(None, description="A release, or a channel such as stable. Only the vendor.")

    @model_validator(mode="after")
    def something_given(self) -> Self:
        if self.desired is None and self.size is None and self.version is None:
            raise ValueError("give at least one of desired, size and version")
        return self


class WorkspaceOut(BaseModel):
    """`desired` is what is wanted, `state` what there is; `progress` is percent of the task in hand."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "wsp_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "hostname": "beispiel", "desired": "running",
        "state": "creating", "sku": "cloud-professional", "seats": 25, "region": "eu", "size": "standard",
        "version": "stable", "running_version": "", "up_to_date": False, "admin_email": "ada@example.de",
        "progress": 40, "message": "Preparing the database", "url": "", "failure_reason": None, "delete_at": None,
        "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:01:00Z",
    }})  # fmt: skip

    id: str
    account_id: str
    subscription_id: str
    hostname: str
    desired: Desired
    state: WorkspaceState
    sku: str
    seats: int
    region: str
    size: str
    version: str = Field(description="The wanted release or channel.")
    running_version: str = Field(description="The release that runs; empty before there is one.")
    up_to_date: bool = Field(description="Whether the newest license, seats, size and version have arrived.")
    admin_email: str
    progress: int
    message: str
    url: str
    failure_reason: str | None
    delete_at: datetime | None = Field(description="When a pending deletion is carried out, in business time.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Workspace) -> Self:
        given = {name: getattr(row, name) for name in cls.model_fields if name != "up_to_date"}
        return cls(**given, up_to_date=row.applied_generation == row.generation)


class WorkspaceList(BaseModel):
    data: list[WorkspaceOut]
    has_more: bool


class PlanStepOut(BaseModel):
    """`task` is what a provisioner would be given, null where none is needed; `states` are passed in this order."""

    task: TaskKind | None
    states: list[WorkspaceState]
    not_before: datetime | None = Field(description="Business time; null for at once.")
    in_hand: bool = Field(description="A provisioner is at it already, whatever is wanted now.")


class WorkspacePlanOut(BaseModel):
    """If all goes well. `needs_person` where it stops short, because something failed that is to be retried first."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "workspace_id": "wsp_01ka8qj6x0c5q4m3t2r1p0n9mk", "desired": "hibernated", "state": "stable",
        "steps": [{"task": "hibernate", "states": ["hibernating", "hibernated"], "not_before": None,
                   "in_hand": False}],
        "ends_in": "hibernated", "needs_person": False,
    }})  # fmt: skip

    workspace_id: str
    desired: Desired
    state: WorkspaceState
    steps: list[PlanStepOut]
    ends_in: WorkspaceState
    needs_person: bool


class TransitionOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "from": "stable", "to": "hibernating", "when": "A provisioner took the task to hibernate it.",
    }})  # fmt: skip

    before: WorkspaceState = Field(serialization_alias="from")
    after: WorkspaceState = Field(serialization_alias="to")
    when: str


class TransitionList(BaseModel):
    data: list[TransitionOut]


@router.post("", status_code=201, responses=problems(
    *_ANYONE, NotFound, NoWorkspaceIncluded, WorkspaceExists, HostnameTaken, DestinationRefused, PartyRefused
))  # fmt: skip
def open_workspace(body: WorkspaceIn, tx: Tx, now: Now, key: Writer) -> WorkspaceOut:
    """Ask for the workspace of a subscription that has none. Purchases of cloud plans ask by themselves.

    A key of an account opens the one its cloud plan includes; a key of the vendor may open one for any living
    subscription. It is ready when `state` is `stable`; the events `workspace.ready` and `workspace.failed` tell.
    """
    return WorkspaceOut.of(
        provisioning.open_for_subscription(
            tx, subscription_id=body.subscription_id, account_id=key.account_id, hostname=body.hostname,
            region=body.region, admin_email=body.admin_email, now=now,
        )
    )  # fmt: skip


@router.get("", responses=problems(*_ANYONE))
def list_workspaces(
    tx: Tx, key: Reader, state: WorkspaceState | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20,
    starting_after: Cursor = None,
) -> WorkspaceList:  # fmt: skip
    """Newest first; a key of an account sees its own."""
    found = service.listed(tx, key.account_id, state=state, limit=limit, starting_after=starting_after)
    return WorkspaceList(data=[WorkspaceOut.of(each) for each in found.data], has_more=found.has_more)


@router.get("/transitions", responses=problems(*_ANYONE))
def list_transitions(_: Reader) -> TransitionList:
    """Every move between states that there is, and what causes it. Anything else is refused by the database."""
    return TransitionList(
        data=[TransitionOut(before=each.before, after=each.after, when=each.when) for each in steps.transitions()]
    )


@router.get("/{workspace_id}", responses=problems(*_ANYONE, NotFound))
def read_workspace(workspace_id: str, tx: Tx, key: Reader) -> WorkspaceOut:
    """One workspace."""
    return WorkspaceOut.of(service.get(tx, ids.require_form("wsp", workspace_id), key.account_id))


@router.get("/{workspace_id}/plan", responses=problems(*_ANYONE, NotFound, NotAllowed, DeletionPending))
def plan_workspace(
    workspace_id: str, tx: Tx, now: Now, key: Reader, desired: Desired | None = None,
    size: Annotated[Label | None, Query(description="Only with a key of the vendor.")] = None,
    version: Annotated[Label | None, Query(description="Only with a key of the vendor.")] = None,
) -> WorkspacePlanOut:  # fmt: skip
    """Which tasks a change would set off and which states would pass. Nothing is changed.

    What is left out stays as it is wanted now; without any parameter it is what is still to come.
    """
    workspace = service.get(tx, ids.require_form("wsp", workspace_id), key.account_id)
    _require_vendor_for(key, size, version)
    found = planning.plan(tx, workspace, desired=desired, size=size, version=version, now=now)
    return WorkspacePlanOut(
        workspace_id=workspace.id, desired=found.desired, state=workspace.state, ends_in=found.ends_in,
        needs_person=found.needs_person,
        steps=[PlanStepOut(task=each.kind, states=list(each.states), not_before=each.not_before, in_hand=each.in_hand)
               for each in found.steps],
    )  # fmt: skip


def _require_vendor_for(key: ApiKey, size: str | None, version: str | None) -> None:
    if key.account_id is not None and (size is not None or version is not None):
        raise NotAllowed("Size and version are set by the vendor; ask us.", param="size" if size else "version")


@router.patch("/{workspace_id}", responses=problems(*_ANYONE, NotFound, NotAllowed, DeletionPending))
def change_workspace(workspace_id: str, body: WorkspacePatch, tx: Tx, now: Now, key: Writer) -> WorkspaceOut:
    """Say what it should be: running, hibernated or deleted. It gets there by itself.

    A deletion is carried out some days later (`delete_at`) and can be taken back until then.
    """
    workspace = service.for_change(tx, ids.require_form("wsp", workspace_id), key.account_id)
    _require_vendor_for(key, body.size, body.version)
    if body.size is not None or body.version is not None:
        service.push_change(tx, workspace, size=body.size, version=body.version, now=now)
    if body.desired is not None:
        service.want(tx, workspace, body.desired, actor=key.id, now=now)
    return WorkspaceOut.of(workspace)


@router.post("/{workspace_id}/cancel_deletion", responses=problems(*_ANYONE, NotFound, MoveRefused))
def cancel_deletion(workspace_id: str, tx: Tx, now: Now, key: Writer) -> WorkspaceOut:
    """Take a deletion back that has not begun."""
    workspace = service.for_change(tx, ids.require_form("wsp", workspace_id), key.account_id)
    service.cancel_deletion(tx, workspace, actor=key.id, now=now)
    return WorkspaceOut.of(workspace)


@router.post("/{workspace_id}/retry", responses=problems(*_ANYONE, NotFound, NothingToRetry))
def retry(workspace_id: str, tx: Tx, now: Now, key: Writer) -> WorkspaceOut:
    """Try again what has failed for good, once its reason is out of the way."""
    workspace = service.for_change(tx, ids.require_form("wsp", workspace_id), key.account_id)
    service.retry(tx, workspace, actor=key.id, now=now)
    return WorkspaceOut.of(workspace)
