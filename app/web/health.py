"""Whether this process lives, whether it can serve, and its figures."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from app.core import jobs, migrate
from app.web.deps import Wired

router = APIRouter(include_in_schema=False)


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
    return JSONResponse({"status": "ok", "jobs_due": waiting.due, "jobs_failed": waiting.failed})


@router.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
