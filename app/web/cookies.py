"""The cookies we set: what they are called, and how they are kept from everybody else (S12)."""

import re
from typing import Final

from fastapi import Request
from starlette.responses import Response

from app.accounts.models import Audience
from app.web.deps import ports_of

# Customers and staff sign in apart, so a browser can hold a session of each and neither opens the other's doors.
SESSIONS: Final = {Audience.CUSTOMER: "blp_session", Audience.STAFF: "blp_staff_session"}
BROWSER: Final = "blp_browser"
NEXT: Final = "blp_next"
_VALUE: Final = re.compile(r"[\w-]{20,64}", re.ASCII)


def full_name(request: Request, name: str) -> str:
    """Over https with the prefix that makes browsers refuse the name to any other host or path."""
    return f"__Host-{name}" if _https(request) else name


def _https(request: Request) -> bool:
    return ports_of(request).base_url.startswith("https://")


def read(request: Request, name: str) -> str:
    return request.cookies.get(full_name(request, name), "")


def read_random(request: Request, name: str) -> str:
    """The value of a cookie that holds one of our random values; empty for anything else."""
    value = read(request, name)
    return value if _VALUE.fullmatch(value) else ""


def put(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Without `seconds` it goes when the browser closes."""
    response.set_cookie(
        full_name(request, name), value, max_age=seconds, path="/", httponly=True, samesite="lax",
        secure=_https(request),
    )  # fmt: skip


def drop(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(
        full_name(request, name), path="/", httponly=True, samesite="lax", secure=_https(request)
    )  # fmt: skip
