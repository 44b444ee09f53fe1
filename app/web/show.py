"""From a view model to the answer of a door: the frame, the token of its forms, the browser's cookie."""

import json
from functools import cache
from typing import TypeVar

from fastapi import Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.accounts.sessions import SignedInCustomer, SignedInStaff
from app.core.errors import DomainError
from app.web import cookies, csrf, pages
from app.web.auth import Person
from app.web.console.views import ConsoleShell
from app.web.deps import ports_of
from app.web.views import ErrorView, Flash, Page, Shell


@cache
def _environment() -> Environment:
    return pages.environment()


def portal(
    request: Request, page: Page, *, who: SignedInCustomer | Person | None = None, account: str = "", status: int = 200,
    flashes: tuple[Flash, ...] = (),
) -> HTMLResponse:  # fmt: skip
    """A customer's page; `who` is signed in, `account` the name of the organization they act for."""
    ports = ports_of(request)
    shell = Shell(
        vendor=ports.vendor_name, csrf_token=csrf.token(request), person=who.email if who else "", account=account,
        sandbox=ports.test_mode, flashes=flashes,
    )  # fmt: skip
    return answer(request, page, shell, status)


def console(
    request: Request, page: Page, *, who: SignedInStaff | None = None, status: int = 200,
    flashes: tuple[Flash, ...] = (),
) -> HTMLResponse:  # fmt: skip
    """A page of the console; `who` is signed in with a second factor."""
    ports = ports_of(request)
    shell = ConsoleShell(
        vendor=ports.vendor_name, csrf_token=csrf.token(request), person=who.email if who else "",
        role=who.role.value if who else "", sandbox=ports.test_mode, flashes=flashes,
    )  # fmt: skip
    return answer(request, page, shell, status)


def problem(request: Request, answer: JSONResponse) -> HTMLResponse:
    """The page that tells a person what a problem tells a program (web/problems.py)."""
    told = json.loads(bytes(answer.body))
    page = ErrorView(
        status=told["status"], title=told["title"], detail=told["detail"], code=told["code"],
        request_id=told["request_id"] or "",
    )  # fmt: skip
    shown = portal(request, page, status=answer.status_code)
    if "retry-after" in answer.headers:
        shown.headers["Retry-After"] = answer.headers["retry-after"]
    return shown


Answer = TypeVar("Answer", bound=Response)


def later(shown: Answer, refused: DomainError) -> Answer:
    """A page that shows a refusal; one that will pass says when the next try is worth making."""
    if "retry_after" in refused.extra:
        shown.headers["Retry-After"] = str(refused.extra["retry_after"])
    return shown


def answer(request: Request, page: Page, shell: Shell, status: int = 200) -> HTMLResponse:
    """A page in a frame; the browser gets its cookie where it has none."""
    response = HTMLResponse(pages.render(_environment(), page, shell), status)
    if csrf.is_new(request):
        cookies.put(request, response, cookies.BROWSER, csrf.browser(request), seconds=csrf.COOKIE_SECONDS)
    return response
