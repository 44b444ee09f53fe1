"""The list of work for provisioners: claim with a lease, heartbeat, report, complete or fail (R-PRV-2).

Only for keys of the vendor: a task carries a customer's license and address.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from app.accounts.models import ApiKey
from app.core import ids
from app.core.clock import transport_now
from app.core.errors import NotAllowed, NotFound
from app.flows import provisioning
from app.web.deps import NotSignedIn, Now, ScopeMissing, Tx, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems
from app.workspaces import tasks
from app.workspaces.errors import LeaseLost, TaskFinished
from app.workspaces.models import ProvisioningTask, TaskKind, TaskState

router = APIRouter(prefix="/v1/provisioning/tasks", tags=["provisioning"], route_class=IdempotentRoute)


def provisioner(key: Annotated[ApiKey, Depends(requires("provisioning:work"))]) -> ApiKey:
    if key.account_id is not None:
        raise NotAllowed("Provisioning is done with a key of the vendor; this one belongs to an account.")
    return key


Provisioner = Annotated[ApiKey, Depends(provisioner)]
_REFUSALS = (NotSignedIn, ScopeMissing, NotAllowed)
_HELD = (*_REFUSALS, NotFound, LeaseLost, TaskFinished)


def _address(url: str) -> str:
    """It becomes a link in mails and pages: nothing but a plain web address."""
    try:
        parts = urlsplit(url)
        local = parts.hostname in {"127.0.0.1", "localhost"}
        fits = bool(parts.hostname) and "@" not in parts.netloc
    except ValueError as exc:
        raise ValueError("must be an address such as https://acme.cloud.example.com") from exc
    if not fits or parts.scheme not in ({"https", "http"} if local else {"https"}):
        raise ValueError("must be an address such as https://acme.cloud.example.com")
    return url


Sentence = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Fence = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="As the claim gave it.")]
Lease = Annotated[StrictInt, Field(ge=1, le=2**31 - 1, description="Real seconds; the policy has an upper limit.")]
Address = Annotated[str, Field(max_length=2000, pattern=r"^[!-~]+$"), AfterValidator(_address)]
Region = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]
Cursor = Annotated[str | None, Query(pattern="^tsk_[0-9a-hjkmnp-tv-z]{26}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _example(**values: Any) -> ConfigDict:
    """Pydantic adds it to what the class it is in has from `Strict`."""
    return ConfigDict(json_schema_extra={"example": values})


_TASK: Final = {
    "id": "tsk_01ka8qj6x0c5q4m3t2r1p0n9mk", "workspace_id": "wsp_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "create",
    "state": "claimed", "fence": 1, "attempt": 1, "claimed_by": "key_01ka8qj6x0c5q4m3t2r1p0n9mk", "lease_seconds": 120,
    "lease_until": "2026-11-22T09:02:00Z", "not_before": None, "progress": 40, "message": "Preparing the database",
    "failure_reason": None, "created_at": "2026-11-22T09:00:00Z", "finished_at": None,
}  # fmt: skip


class ClaimIn(Strict):
    """Everything is optional: without `kinds` or `regions` any task is taken."""

    model_config = _example(kinds=["create", "update"], regions=["eu"], lease_seconds=120)

    kinds: list[TaskKind] = Field(default=[], max_length=10)
    regions: list[Region] = Field(default=[], max_length=100)
    lease_seconds: Lease | None = None


class HeartbeatIn(Strict):
    model_config = _example(fence=1)

    fence: Fence
    lease_seconds: Lease | None = Field(None, description="To change the length of the lease from now on.")


class ProgressIn(Strict):
    model_config = _example(fence=1, progress=40, message="Preparing the database")

    fence: Fence
    progress: StrictInt = Field(ge=0, le=100, description="Percent; never less than before within one claim.")
    message: Sentence = Field("", description="A sentence that the waiting customer reads.")


class CompleteIn(Strict):
    model_config = _example(fence=1, url="https://beispiel.cloud.vendor.example", version="10.5.1")

    fence: Fence
    url: Address | None = Field(None, description="Where the workspace answers; needed for a creation.")
    version: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$", description="What now runs.")


class FailIn(Strict):
    model_config = _example(fence=1, reason="The region is full.", retryable=True)

    fence: Fence
    reason: Sentence = Field(min_length=1, description="A sentence that the customer may read.")
    retryable: StrictBool = Field(description="Whether another attempt may succeed without anybody's help.")


class Payload(BaseModel):
    """What there should be. `license_file` is the text to install as it is."""

    account_id: str
    subscription_id: str
    hostname: str
    region: str
    size: str
    version: str
    sku: str
    seats: int
    admin_email: str
    license_file: str | None
    url: str


class TaskOut(BaseModel):
    """`lease_until`, `not_before` are real time; the other instants are business time."""

    model_config = _example(**_TASK)

    id: str
    workspace_id: str
    kind: TaskKind
    state: TaskState
    fence: int
    attempt: int = Field(description="How often it has been claimed, this time included.")
    claimed_by: str | None = Field(description="The API key of the last claim.")
    lease_seconds: int | None
    lease_until: datetime | None
    not_before: datetime | None
    progress: int
    message: str
    failure_reason: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: ProvisioningTask) -> Self:
        given = {name: getattr(row, name) for name in TaskOut.model_fields if name != "attempt"}
        return cls(**given, attempt=row.attempts)


class ClaimedOut(TaskOut):
    model_config = _example(**_TASK, payload={
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "hostname": "beispiel", "region": "eu", "size": "standard", "version": "stable", "sku": "cloud-professional",
        "seats": 25, "admin_email": "ada@example.de", "license_file": "eyJpZCI6…", "url": "",
    })  # fmt: skip

    payload: Payload

    @classmethod
    def of(cls, row: ProvisioningTask) -> Self:
        return cls(**TaskOut.of(row).model_dump(), payload=Payload(**row.payload))


class TaskList(BaseModel):
    data: list[TaskOut]
    has_more: bool


@router.post(
    "/claim",
    response_model=ClaimedOut,
    responses={204: {"description": "There is nothing to do."}, **problems(*_REFUSALS)},
)
def claim(tx: Tx, now: Now, key: Provisioner, body: ClaimIn | None = None) -> ClaimedOut | Response:
    """Take the oldest task that waits. It is yours until `lease_until`; any report in time extends the lease."""
    wanted = body or ClaimIn()
    task = tasks.claim(
        tx, worker=key.id, kinds=wanted.kinds, regions=wanted.regions, lease_seconds=wanted.lease_seconds, now=now,
        real_now=transport_now(),
    )  # fmt: skip
    return Response(status_code=204) if task is None else ClaimedOut.of(task)


@router.get("", responses=problems(*_REFUSALS))
def list_tasks(
    tx: Tx, _: Provisioner, state: TaskState | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20,
    starting_after: Cursor = None,
) -> TaskList:  # fmt: skip
    """Newest first, without what they carry: for the people who run the provisioners."""
    found = tasks.listed(tx, state=state, limit=limit, starting_after=starting_after)
    return TaskList(data=[TaskOut.of(each) for each in found.data], has_more=found.has_more)


@router.post("/{task_id}/heartbeat", responses=problems(*_HELD))
def heartbeat(task_id: str, body: HeartbeatIn, tx: Tx, now: Now, key: Provisioner) -> TaskOut:
    """Still working: extends the lease."""
    return TaskOut.of(tasks.heartbeat(
        tx, ids.require_form("tsk", task_id), worker=key.id, fence=body.fence, lease_seconds=body.lease_seconds,
        now=now, real_now=transport_now(),
    ))  # fmt: skip


@router.post("/{task_id}/progress", responses=problems(*_HELD))
def progress(task_id: str, body: ProgressIn, tx: Tx, now: Now, key: Provisioner) -> TaskOut:
    """How far it is, in the customer's words; extends the lease."""
    return TaskOut.of(tasks.report_progress(
        tx, ids.require_form("tsk", task_id), worker=key.id, fence=body.fence, percent=body.progress,
        message=body.message, now=now, real_now=transport_now(),
    ))  # fmt: skip


@router.post("/{task_id}/complete", responses=problems(*_HELD))
def complete(task_id: str, body: CompleteIn, tx: Tx, now: Now, key: Provisioner) -> TaskOut:
    """It is done. Saying so again with the same fence changes nothing."""
    return TaskOut.of(provisioning.complete(
        tx, ids.require_form("tsk", task_id), worker=key.id, fence=body.fence, url=body.url, version=body.version,
        now=now, real_now=transport_now(),
    ))  # fmt: skip


@router.post("/{task_id}/fail", responses=problems(*_HELD))
def fail(task_id: str, body: FailIn, tx: Tx, now: Now, key: Provisioner) -> TaskOut:
    """It could not be done and nothing half made is left. Saying so again with the same fence changes nothing."""
    return TaskOut.of(tasks.fail(
        tx, ids.require_form("tsk", task_id), worker=key.id, fence=body.fence, reason=body.reason,
        retryable=body.retryable, now=now, real_now=transport_now(),
    ))  # fmt: skip
