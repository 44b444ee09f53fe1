"""Whether this process lives, whether it can serve, and its figures."""

import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from app.core import jobs, migrate
from app.core.keys import KeyPurpose
from app.flows import canary
from app.flows.ports import Ports
from app.web.deps import Wired

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
_FAILING = Gauge("blp_signing_canary_failing", "1 where what is signed does not verify, or was not tried", ["purpose"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(ports: Wired) -> JSONResponse:
    """The database answers and its schema is the one this version was written for."""
    try:
        current = migrate.is_current(ports.db)
    except SQLAlchemyError:
        return JSONResponse({"status": "database unreachable"}, 503)
    if not current:
        return JSONResponse({"status": "schema is not current: run `blp migrate`"}, 503)
    waiting = jobs.waiting(ports.db)
    # A canary that fails is told and takes no process away: the others would sign just as badly.
    return JSONResponse({
        "status": "ok", "jobs_due": waiting.due, "jobs_failed": waiting.failed, "canaries_failing": _canaries(ports)
    })  # fmt: skip


def _canaries(ports: Ports) -> list[str]:
    with ports.db.session() as tx:
        failing = canary.faults(tx)
    for purpose in KeyPurpose:
        _FAILING.labels(purpose.value).set(purpose.value in failing)
    return sorted(failing)


@router.get("/metrics")
def metrics(ports: Wired) -> Response:
    try:
        _canaries(ports)
    except SQLAlchemyError:  # the other figures are the more wanted then
        log.warning("metrics.database_away")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
