"""What a running workspace may do now, asked for once or waited for (R-PRV-3, ADR 0059)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from app.accounts.models import ApiKey
from app.core import ids
from app.core.errors import NotFound
from app.flows import workspace_entitlements
from app.flows.ports import Ports
from app.flows.workspace_entitlements import Held
from app.licenses.formats.enforcement import Step
from app.licenses.formats.findings import Severity
from app.licenses.models import LicenseState
from app.web.api.access import KEYED, key_with
from app.web.api.shapes import JsonRoute
from app.web.deps import ScopeMissing, Wired
from app.web.problems import problems
from app.web.waiters import TooManyWaiters, Waiters
from app.workspaces.models import Desired, WorkspaceState

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"], route_class=JsonRoute)

Reader = Annotated[ApiKey, key_with("workspaces:read")]
LONGEST_WAIT: Final = 30
# How soon an asker that hung up is noticed; nobody is asked for that.
_LOOK_SECONDS: Final = 1.0


class HeldFindingOut(BaseModel):
    code: str
    severity: Severity
    detail: str
    remedy: str


class HeldLicenseOut(BaseModel):
    """`key` is the id inside the file; it goes on working until `works_until`, after the term and its grace."""

    id: str
    key: str
    sku: str
    seats: int
    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    works_until: datetime


class WorkspaceEntitlementsOut(BaseModel):
    """`valid`, `code` and `findings` are those of a validation; `step` is the hardest step of the ladder by now.

    `license_file` is the text to install as it is; null where there is none, or none that still counts.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "workspace_id": "wsp_01ka8qj6x0c5q4m3t2r1p0n9mk", "desired": "running", "state": "stable", "valid": True,
        "code": "valid", "findings": [], "step": None,
        "license": {"id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd",
                    "sku": "cloud-professional", "seats": 25, "state": "active", "starts_at": "2026-11-22T09:00:00Z",
                    "expires_at": "2027-11-22T05:00:00Z", "works_until": "2027-12-02T05:00:00Z"},
        "entitlements": {"users": 25, "ldap": True}, "license_file": "eyJpZCI6…",
    }})  # fmt: skip

    workspace_id: str
    desired: Desired
    state: WorkspaceState
    valid: bool
    code: str
    findings: list[HeldFindingOut]
    step: Step | None
    license: HeldLicenseOut | None
    entitlements: dict[str, Any]
    license_file: str | None

    @classmethod
    def of(cls, held: Held) -> Self:
        row, said = held.license, held.decision
        return cls(
            workspace_id=held.workspace.id, desired=held.workspace.desired, state=held.workspace.state,
            valid=said.valid, code=said.code,
            findings=[HeldFindingOut(code=each.code, severity=each.severity, detail=each.detail, remedy=each.remedy)
                      for each in said.findings],
            step=held.step,
            license=None if row is None else HeldLicenseOut(
                id=row.id, key=row.file_id, sku=row.sku, seats=row.seats, state=row.state, starts_at=row.starts_at,
                expires_at=row.expires_at, works_until=row.expires_at + timedelta(days=row.grace_days),
            ),
            entitlements=dict(row.entitlements) if row is not None else {},
            license_file=row.file_text if row is not None and said.valid else None,
        )  # fmt: skip


@router.get("/{workspace_id}/entitlements", response_model=WorkspaceEntitlementsOut, responses=problems(
    *KEYED, NotFound, TooManyWaiters
) | {304: {"description": "Nothing changed since the answer with the ETag of If-None-Match"}})  # fmt: skip
async def read_workspace_entitlements(
    request: Request, workspace_id: str, key: Reader, ports: Wired,
    wait: Annotated[int, Query(
        ge=0, le=LONGEST_WAIT, description="With If-None-Match: wait up to so many seconds for another answer."
    )] = 0,
) -> Response:  # fmt: skip
    """What the workspace may do now, with its license file; the key needs the scope `licenses:read` too.

    Send the `ETag` of your last answer as `If-None-Match`, and `wait`: a change of the license, the seats or what is
    wanted of the workspace is answered the moment it happens, else 304 comes when the wait is over. Ask again at once.
    """
    if not key.allows("licenses:read"):
        raise ScopeMissing("The answer carries the license file, so it needs the scope licenses:read as well.")
    ids.require_form("wsp", workspace_id)
    subscription_id, answer = await run_in_threadpool(_read, ports, workspace_id, key)
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if answer.headers["etag"] in known and wait:
        waiters: Waiters = request.app.state.waiters
        with waiters.waiting(key.id, (f"workspace:{workspace_id}", f"subscription:{subscription_id}")) as woken:
            # The last look is when the time is over: a term may have ended without anybody changing anything.
            async for _ in _looks(request, woken, wait):
                _, answer = await run_in_threadpool(_read, ports, workspace_id, key)
                if answer.headers["etag"] not in known:
                    break
    if answer.headers["etag"] in known:
        return Response(status_code=304, headers={name: answer.headers[name] for name in ("etag", "cache-control")})
    return answer


def _read(ports: Ports, workspace_id: str, key: ApiKey) -> tuple[str, Response]:
    """In a unit of work that is over when this returns: nobody waits with a connection in hand."""
    with ports.db.session() as tx:
        held = workspace_entitlements.held(tx, workspace_id, key.account_id, ports.clock.now())
        said = WorkspaceEntitlementsOut.of(held)
    answer = JSONResponse(said.model_dump(mode="json"), headers={"cache-control": "private, no-cache"})
    answer.headers["etag"] = f'"{sha256(bytes(answer.body)).hexdigest()}"'
    return held.workspace.subscription_id, answer


async def _looks(request: Request, woken: asyncio.Event, seconds: float) -> AsyncIterator[None]:
    """When to look: once because a change may have come before we listened, at each change, and at the end."""
    until = monotonic() + seconds
    yield
    while (left := until - monotonic()) > 0:
        try:
            async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                await woken.wait()
        except TimeoutError:
            if await request.is_disconnected():
                return
            continue
        woken.clear()
        yield
    yield
