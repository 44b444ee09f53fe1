"""Files that every page needs, cached for ever under addresses that change with their content; and robots.txt."""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.accounts import service as accounts
from app.core.clock import transport_now
from app.web import pages
from app.web.deps import Tx, Wired

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_SHORTLY: Final = "public, max-age=300"
# What only a link's holder or a signed-in person should see has no place in an index.
_ROBOTS: Final = "User-agent: *\nAllow: /$\nAllow: /terms\nAllow: /verify$\nAllow: /static/\nDisallow: /\n"
_CONTACT_HOLDS: Final = timedelta(days=180)

router = APIRouter(include_in_schema=False)


class HashedFiles(StaticFiles):
    """Static files: for ever with the right `?v=`, for minutes without."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        asked = scope.get("query_string", b"").decode("latin-1")
        fits = answer.status_code in {200, 304} and asked and pages.static_url(path).endswith(f"?{asked}")
        answer.headers["Cache-Control"] = _FOR_EVER if fits else _SHORTLY
        return answer


def files() -> Any:
    return HashedFiles(directory=pages.STATIC)


@router.get("/robots.txt")
def robots() -> Response:
    """What search engines may keep."""
    return PlainTextResponse(_ROBOTS, headers={"Cache-Control": _SHORTLY})


@router.get("/.well-known/security.txt")
def security(tx: Tx, ports: Wired) -> Response:
    """Whom to tell about a weakness (RFC 9116)."""
    expires = (transport_now() + _CONTACT_HOLDS).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = (
        f"Contact: mailto:{accounts.seller(tx).email}",
        f"Expires: {expires}",
        "Preferred-Languages: en, de",
        f"Canonical: {ports.link('/.well-known/security.txt')}",
    )
    return PlainTextResponse("\n".join(lines) + "\n")
