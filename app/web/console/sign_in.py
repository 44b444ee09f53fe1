"""Staff come in: by mail, then always with a second factor, which the first sign-in sets up (S6)."""

from collections.abc import Callable
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import staff, totp
from app.accounts.errors import TooManyTries
from app.accounts.models import Audience
from app.core.clock import transport_now
from app.flows import sign_in
from app.flows.ports import Ports
from app.web import auth, cookies, csrf, entrance, show
from app.web.console.sign_in_views import ConsoleCheckView, ConsoleLinkView
from app.web.console.views import ConsoleSignInView, EnrolView, SecondFactorView
from app.web.deps import Wired, client_ip
from app.web.views import Form as FormView
from app.web.views import Page

Text = Annotated[str, Form()]
_ENROL = f"{auth.SECOND_FACTOR}/enrol"


def _show(request: Request, page: Page, status: int) -> Response:
    return show.console(request, page, status=status)


_ENTRANCE = entrance.Entrance(
    audience=Audience.STAFF,
    show=_show,
    asking=lambda form, after: ConsoleSignInView(form=form, next=after),
    checking=lambda email, challenge, minutes, form: ConsoleCheckView(
        email=email, challenge=challenge, minutes=minutes, form=form
    ),
    landed=lambda standing, token, email: ConsoleLinkView(state=standing.value, token=token, email=email),
    after=lambda _entered: auth.SECOND_FACTOR,
)

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@router.get(auth.SECOND_FACTOR)
def second_factor(request: Request, who: auth.HalfWay, next: str = "") -> Response:  # noqa: A002 -- name in the address
    """Asked at sign-in, and again before dangerous actions (S8)."""
    if not who.enrolled:
        return RedirectResponse(_ENROL, 303)
    return _show(request, SecondFactorView(next=next), 200)


@router.post(auth.SECOND_FACTOR)
def show_second_factor(
    request: Request, ports: Wired, who: auth.HalfWay, code: Text = "", next: Text = ""  # noqa: A002 -- name of the input
) -> Response:  # fmt: skip
    return _take_code(request, ports, who, code, next, lambda form: SecondFactorView(form=form, next=next), enrol=False)


@router.get(_ENROL)
def enrolling(request: Request, ports: Wired, who: auth.HalfWay) -> Response:
    """A secret to scan. It is derived, so showing it stores nothing."""
    if who.enrolled:
        return RedirectResponse(auth.SECOND_FACTOR, 303)
    return _show(request, _offer(ports, who, FormView()), 200)


@router.post(_ENROL)
def enrol(request: Request, ports: Wired, who: auth.HalfWay, code: Text = "") -> Response:
    if who.enrolled:
        return RedirectResponse(auth.SECOND_FACTOR, 303)
    return _take_code(request, ports, who, code, "", lambda form: _offer(ports, who, form), enrol=True)


def _offer(ports: Ports, who: auth.HalfSignedIn, form: FormView) -> EnrolView:
    secret = staff.pending_secret(ports.secrets, who.staff_id, who.session_id)
    address = totp.address(secret, person=who.email, vendor=ports.vendor_name)
    return EnrolView(qr=segno.make(address, error="m").svg_data_uri(border=2, scale=4), secret=secret, form=form)


def _take_code(
    request: Request, ports: Ports, who: auth.HalfSignedIn, code: str, then: str, page: Callable[[FormView], Page],
    *, enrol: bool,
) -> Response:  # fmt: skip
    """A right code gives the session a new value and the console; a wrong one the same page with a sentence."""
    try:
        token = sign_in.show_second_factor(
            ports, who.session_id, code=code, ip=client_ip(request), now=transport_now(), enrol=enrol
        )
    except TooManyTries as refused:
        return show.later(_show(request, page(FormView(errors={"code": refused.detail})), refused.status), refused)
    if token is None:
        sentence = "That is not the code shown now, or it was used already. Wait for the next one."
        return _show(request, page(FormView(errors={"code": sentence})), 422)
    to = auth.onward(then, Audience.STAFF) if then else entrance.remembered(request, Audience.STAFF)
    answer = RedirectResponse(to, 303)
    cookies.put(request, answer, cookies.SESSIONS[Audience.STAFF], token)
    cookies.drop(request, answer, cookies.NEXT)
    return answer


@router.post("/console/sign-out")
def sign_out(request: Request, ports: Wired) -> Response:
    """End the session on our side and in the browser."""
    return entrance.sign_out(request, ports, Audience.STAFF, to=auth.SIGN_IN[Audience.STAFF])


router.include_router(entrance.doors(_ENTRANCE))
