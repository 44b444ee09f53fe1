"""The sandbox's own receiver of webhooks: /sandbox/hooks/{name} keeps what arrives, so that it can be looked at."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import func, select
from sqlmodel import col
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.adapters.sandbox.deps import Db
from app.adapters.sandbox.models import SandboxHook
from app.core.clock import transport_now
from app.core.db import Database

doors = APIRouter(prefix="/hooks")


def _keep(database: Database, name: str, headers: dict[str, str], body: str, fail: int) -> int:
    """The status to answer: the first `fail` deliveries under a name are kept and refused."""
    earlier = select(func.count()).select_from(SandboxHook).where(col(SandboxHook.name) == name)
    with database.transaction() as tx:
        refused = tx.execute(earlier).scalar_one() < fail
        tx.add(SandboxHook(name=name, headers=headers, body=body, received_at=transport_now()))
    return 500 if refused else 204


@doors.post("/{name}")
async def receive(
    request: Request, database: Db, name: str, fail: Annotated[int, Query(ge=0, le=1000)] = 0
) -> Response:
    """Keep a delivery and answer 204; `?fail=2` answers 500 to the first two, to see a sender try again."""
    body = (await request.body()).decode(errors="replace")
    return Response(status_code=await run_in_threadpool(_keep, database, name, dict(request.headers), body, fail))


@doors.get("/{name}")
def received(database: Db, name: str) -> list[dict[str, object]]:
    """Everything that arrived under a name, oldest first."""
    query = select(SandboxHook).where(col(SandboxHook.name) == name).order_by(col(SandboxHook.id))
    with database.transaction() as tx:
        return [{"headers": each.headers, "body": each.body} for each in tx.execute(query).scalars()]
