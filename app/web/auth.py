"""Who is asking on a page: dependencies that let a role through, or lead to the sign-in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import sessions
from app.accounts.models import Audience, WebSession
from app.accounts.permissions import Permission, StaffPermission, may
from app.accounts.sessions import SignedInCustomer, SignedInStaff
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import NotAllowed
from app.web import cookies
from app.web.deps import client_ip, ports_of

HOME: Final = {Audience.CUSTOMER: "/account", Audience.STAFF: "/console"}
SIGN_IN: Final = {Audience.CUSTOMER: "/sign-in", Audience.STAFF: "/console/sign-in"}
CHOOSE_ACCOUNT: Final = "/sign-in/account"
SECOND_FACTOR: Final = "/console/second-factor"
# Where a sign-in may lead on to (S35): pages that are shown by GET.
_ONWARD: Final = {
    Audience.CUSTOMER: ("/account", "/checkout", "/orders", "/q", "/renew", "/subscribe/renew"),
    Audience.STAFF: ("/console",),
}
_PLAIN_PATH: Final = re.compile(r"/[\w./~%-]*(\?[\w./~%&=+:,-]*)?", re.ASCII)


class SignInNeeded(Exception):
    """Nobody, or not enough, is known about who asks; `to` is where that is mended."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


def install(app: FastAPI) -> None:
    """Answer SignInNeeded with 303."""

    def lead_on(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, SignInNeeded)
        return RedirectResponse(exc.to, 303)

    app.add_exception_handler(SignInNeeded, lead_on)


def onward(path: str, audience: Audience) -> str:
    """`path` if a sign-in may lead there, else the audience's start page (S35)."""
    bare = path.partition("?")[0]
    fits = _PLAIN_PATH.fullmatch(path) and "//" not in bare and ".." not in bare
    listed = any(bare == root or bare.startswith(f"{root}/") for root in _ONWARD[audience])
    return path if fits and listed else HOME[audience]


def _then(request: Request, to: str, audience: Audience) -> str:
    """`to`, remembering the page that was asked for; what was posted is not sent again by itself."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or onward(asked, audience) != asked:
        return to
    return f"{to}?{urlencode({'next': asked})}"


def caller(request: Request) -> sessions.Caller:
    return sessions.Caller(client_ip(request), request.headers.get("user-agent", ""))


def _session(request: Request, tx: Tx, audience: Audience, now: datetime) -> WebSession | None:
    presented = cookies.read(request, cookies.SESSIONS[audience])
    return sessions.find(tx, ports_of(request).secrets, presented, audience=audience, now=now)


def session_id(request: Request, audience: Audience) -> str | None:
    """The live session of this browser, whatever is still missing in it."""
    with ports_of(request).db.session() as tx:
        session = _session(request, tx, audience, transport_now())
        return session.id if session is not None else None


def customer_if_any(request: Request) -> SignedInCustomer | None:
    """Who is signed in, for pages that are open to everybody."""
    if not cookies.read(request, cookies.SESSIONS[Audience.CUSTOMER]):
        return None
    with ports_of(request).db.session() as tx:
        session = _session(request, tx, Audience.CUSTOMER, transport_now())
        return sessions.customer_of(tx, session) if session is not None else None


def customer(permission: Permission) -> Callable[[Request], SignedInCustomer]:
    """A dependency: a signed-in person of an account whose role carries `permission`.

    Strangers are led to the sign-in, whoever has several accounts to the choice. Raises NotAllowed for other roles.
    """

    def who(request: Request) -> SignedInCustomer:
        with ports_of(request).db.session() as tx:
            session = _session(request, tx, Audience.CUSTOMER, transport_now())
            person = sessions.customer_of(tx, session) if session is not None else None
        if session is not None and session.account_id is None:
            raise SignInNeeded(_then(request, CHOOSE_ACCOUNT, Audience.CUSTOMER))
        if person is None:
            raise SignInNeeded(_then(request, SIGN_IN[Audience.CUSTOMER], Audience.CUSTOMER))
        if not may(person.role, permission):
            raise NotAllowed(f"Your role in this account is {person.role.value}; ask an owner.")
        return person

    return who


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who came by mail to the portal, whether an account is chosen yet or not."""

    session_id: str
    email: str
    account_id: str | None


def person_signed_in(request: Request) -> Person:
    """A dependency: a signed-in customer, for the choice of an account."""
    with ports_of(request).db.session() as tx:
        session = _session(request, tx, Audience.CUSTOMER, transport_now())
        if session is None:
            raise SignInNeeded(SIGN_IN[Audience.CUSTOMER])
        return Person(session.id, session.email, session.account_id)


@dataclass(frozen=True, slots=True)
class HalfSignedIn:
    """A staff member who came by mail; nothing is open to them but the second factor."""

    session_id: str
    staff_id: str
    email: str
    enrolled: bool


def half_signed_in(request: Request) -> HalfSignedIn:
    """A dependency: a staff member with or without a second factor shown."""
    with ports_of(request).db.session() as tx:
        session = _session(request, tx, Audience.STAFF, transport_now())
        person = sessions.staff_behind(tx, session) if session is not None else None
        if session is None or person is None:
            raise SignInNeeded(SIGN_IN[Audience.STAFF])
        return HalfSignedIn(session.id, person.id, person.email, person.totp_sealed is not None)


def staff(permission: StaffPermission, *, fresh: bool = False) -> Callable[[Request], SignedInStaff]:
    """A dependency: a staff member with a second factor whose role carries `permission`.

    With `fresh`, for refunds, keys, roles: the second factor was shown within the last hour (S8), else it is asked
    again. Put it on the page with the form too, so that nobody fills one in vain. Raises NotAllowed.
    """

    def who(request: Request) -> SignedInStaff:
        now = transport_now()
        with ports_of(request).db.session() as tx:
            session = _session(request, tx, Audience.STAFF, now)
            person = sessions.staff_of(tx, session) if session is not None else None
            present = session is not None and sessions.staff_behind(tx, session) is not None
        if not present:
            raise SignInNeeded(_then(request, SIGN_IN[Audience.STAFF], Audience.STAFF))
        if person is None:
            raise SignInNeeded(_then(request, SECOND_FACTOR, Audience.STAFF))
        request.state.staff = person  # a refusal is shown in their console (console/render.py)
        if not may(person.role, permission):
            raise NotAllowed(f"Your role is {person.role.value}, and this needs {permission.value}.")
        if fresh and not person.is_fresh(now):
            raise SignInNeeded(_then(request, SECOND_FACTOR, Audience.STAFF))
        return person

    return who


CustomerIfAny = Annotated[SignedInCustomer | None, Depends(customer_if_any)]
PersonSignedIn = Annotated[Person, Depends(person_signed_in)]
HalfWay = Annotated[HalfSignedIn, Depends(half_signed_in)]
