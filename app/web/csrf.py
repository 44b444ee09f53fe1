"""Proof that a form was ours (S13): a token in every form that posts, and a look at where the browser says it is from.

The token is a keyed hash of a random cookie and of the session, so it also works before anybody has signed in,
a checkout included, and dies with the session. Doors that a mailed token opens, and that other programs post to
(one-click unsubscribe, RFC 8058), say so with `exempt`.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from fastapi import Request

from app.accounts.models import Audience
from app.core.errors import DomainError
from app.core.ids import new_secret
from app.core.security import same
from app.web import cookies
from app.web.deps import ports_of

FIELD: Final = "csrf_token"
COOKIE_SECONDS: Final = 30 * 86400
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Door = TypeVar("Door", bound=Callable[..., Any])
_exempt: Final[dict[Callable[..., Any], str]] = {}


class FormRefused(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "form-refused", "This form was not sent from our page"


def browser(request: Request) -> str:
    """The random value that tells this browser from others; a new one where it brought none.

    Pages are shown through `web/show.py`, which sets the cookie where `is_new` says so.
    """
    known = cookies.read_random(request, cookies.BROWSER)
    if known:
        return known
    if not hasattr(request.state, "new_browser"):
        request.state.new_browser = new_secret(24)
    made: str = request.state.new_browser
    return made


def is_new(request: Request) -> bool:
    return not cookies.read_random(request, cookies.BROWSER)


def token(request: Request) -> str:
    """The value of the hidden field `csrf_token` of every form on this page."""
    audience = Audience.STAFF if request.url.path.startswith("/console") else Audience.CUSTOMER
    session = cookies.read(request, cookies.SESSIONS[audience])
    return ports_of(request).secrets.fingerprint("csrf", f"{browser(request)}\n{audience}\n{session}")


def exempt(why: str) -> Callable[[Door], Door]:
    """Mark a door that has to take posts from elsewhere because a token in its own address proves the right to."""

    def mark(door: Door) -> Door:
        _exempt[door] = why
        return door

    return mark


def is_exempt(door: Callable[..., Any]) -> bool:
    return door in _exempt


async def protect(request: Request) -> None:
    """For every router of pages: refuse what changes something and was not sent by a form of ours.

    Raises FormRefused.
    """
    if request.method in _SAFE or is_exempt(request.scope["endpoint"]):
        return
    if not _came_from_here(request):
        raise FormRefused("Open the page on this site and send the form from there.")
    given = (await request.form()).get(FIELD)
    if is_new(request) or not isinstance(given, str) or not same(given, token(request)):
        raise FormRefused("The page was open for too long or cookies are off. Load it again, then send the form.")


def _came_from_here(request: Request) -> bool:
    """What the browser says about the sender; where it says nothing the token decides alone.

    A page with `Referrer-Policy: no-referrer` posts with `Origin: null`, so that value tells nothing by itself.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin", "null")
    if origin == "null":
        return True
    ours = urlsplit(ports_of(request).base_url)
    return origin == f"{ours.scheme}://{ours.netloc}" or urlsplit(origin).netloc == request.headers.get("host")
