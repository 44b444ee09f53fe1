"""Refusals as RFC 9457 problems, in one place. Pages get the same facts as a page (web/pages.py)."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg.errors import DeadlockDetected, SerializationFailure
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from structlog.contextvars import get_contextvars

from app.core.errors import DomainError, Invalid, NotFound

MEDIA_TYPE = "application/problem+json"
# The database undid one of two transactions that waited for each other: no bug, and the next try goes through.
_COLLISIONS: Final = (DeadlockDetected, SerializationFailure)
# What the framework says in two words only.
_SAID: Final = {
    404: "Nothing answers at this address; check that it is complete.",
    405: "Go back and use the page's own links and buttons, or see /openapi.json for the methods of an address.",
}


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `param` names the input to change; quote `request_id` when you ask for help."""

    model_config = ConfigDict(extra="allow", json_schema_extra={
        "example": {
            "type": "/problems/invalid", "title": "An input cannot be used as it is", "status": 422, "code": "invalid",
            "detail": "quantity must be at least 11.", "param": "lines.0.quantity", "request_id": "req_01ka…",
        }
    })  # fmt: skip

    type: str
    title: str
    status: int
    code: str
    detail: str
    param: str | None = None
    request_id: str | None = None


def problems(*kinds: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a door: its own refusals, and those every door can give."""
    by_status: dict[int, list[str]] = {400: ["malformed JSON"], 413: ["body too large"], 422: ["an input is invalid"]}
    for kind in kinds:
        by_status.setdefault(int(kind.status), []).append(kind.title)
    return {
        status: {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": "; ".join(sorted(set(titles)))}
        for status, titles in sorted(by_status.items())
    }


def problem(request: Request, *, status: int, slug: str, title: str, detail: str, **extra: object) -> JSONResponse:
    body = {
        "type": f"/problems/{slug}", "title": title, "status": int(status), "code": slug.replace("-", "_"),
        "detail": detail, "instance": request.url.path, "request_id": get_contextvars().get("request_id"), **extra,
    }  # fmt: skip
    wait = extra.get("retry_after") or ("5" if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    headers = {"Retry-After": str(wait)} if wait is not None else None
    return JSONResponse(body, int(status), media_type=MEDIA_TYPE, headers=headers)


def of(request: Request, exc: DomainError) -> JSONResponse:
    extra = {key: value for key, value in {"param": exc.param, **exc.extra}.items() if value is not None}
    return problem(request, status=exc.status, slug=exc.slug, title=exc.title, detail=exc.detail, **extra)


def _sentence(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in {"body", "query", "path", "header"})
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def of_validation(request: Request, exc: RequestValidationError) -> JSONResponse:
    """Malformed JSON is a 400; a well-formed body with unusable values is a 422 naming each of them."""
    errors = exc.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return problem(
            request, status=HTTPStatus.BAD_REQUEST, slug="malformed-json", title="The body is not JSON",
            detail="Send one JSON value in UTF-8; it broke off or has a stray character.",
        )  # fmt: skip
    listed = [
        {"param": ".".join(str(part) for part in error["loc"][1:]), "detail": _sentence(error)} for error in errors
    ]
    first = listed[0]["param"] or str(errors[0]["loc"][0])
    return problem(
        request, status=Invalid.status, slug=Invalid.slug, title=Invalid.title,
        detail="; ".join(each["detail"] for each in listed), param=first, errors=listed,
    )  # fmt: skip


def of_http(request: Request, exc: HTTPException) -> JSONResponse:
    titles = {404: NotFound.title, 405: "This address does not take that method", 413: "The body is too large"}
    bare = str(exc.detail) == HTTPStatus(exc.status_code).phrase
    detail = _SAID.get(exc.status_code, str(exc.detail)) if bare else str(exc.detail)
    slug = HTTPStatus(exc.status_code).phrase.lower().replace(" ", "-")
    title = titles.get(exc.status_code, HTTPStatus(exc.status_code).phrase)
    return problem(request, status=exc.status_code, slug=slug, title=title, detail=detail)


def rendered(request: Request, exc: Exception) -> JSONResponse | None:
    """The problem an expected refusal becomes; None for a bug."""
    if isinstance(exc, DomainError):
        return of(request, exc)
    if isinstance(exc, RequestValidationError):
        return of_validation(request, exc)
    return of_http(request, exc) if isinstance(exc, HTTPException) else None


def wants_page(request: Request) -> bool:
    """Whether a person is looking: a page answers a page's address, JSON the API's."""
    path = request.url.path
    for_programs = ("/v1/", "/inbound/", "/api/", "/sandbox/stripe/")
    return not path.startswith(for_programs) and "text/html" in request.headers.get("accept", "")


def install(app: FastAPI, page_for: Callable[[Request, JSONResponse], Response] | None = None) -> None:
    """Register the handlers. `page_for` turns a problem into the page that tells a person the same."""

    async def refusal(request: Request, exc: Exception) -> Response:
        answer = rendered(request, exc) or problem(
            request, status=HTTPStatus.INTERNAL_SERVER_ERROR, slug="internal", title="Something broke on our side",
            detail="It was recorded. Try again; if it stays, send us the request id.",
        )  # fmt: skip
        return page_for(request, answer) if page_for is not None and wants_page(request) else answer

    async def collision(request: Request, exc: Exception) -> Response:
        if not isinstance(exc, OperationalError) or not isinstance(exc.orig, _COLLISIONS):
            raise exc
        answer = problem(
            request, status=HTTPStatus.SERVICE_UNAVAILABLE, slug="collided", title="Somebody was quicker",
            detail="Two changes of the same thing met, and nothing of yours was done. Try again.",
        )  # fmt: skip
        return page_for(request, answer) if page_for is not None and wants_page(request) else answer

    for kind in (DomainError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, refusal)
    app.add_exception_handler(OperationalError, collision)
