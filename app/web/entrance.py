"""The doors of an e-mailed sign-in, the same for customers and staff: ask, then come back with link or code (S1).

Asking answers alike for every address. Looking at a link changes nothing; the button on it, pressed in the browser
that asked, signs in. What differs between the two audiences is an `Entrance`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.accounts.errors import TooManyTries
from app.accounts.models import Audience
from app.accounts.sign_in import LIVES, Standing
from app.core.clock import transport_now
from app.core.errors import Invalid
from app.flows import sign_in
from app.flows.ports import Ports
from app.web import auth, cookies, csrf, show
from app.web.deps import Wired, client_ip, ports_of
from app.web.views import Form as FormView
from app.web.views import Page

NEXT_SECONDS: Final = int(LIVES.total_seconds())
_MINUTES: Final = NEXT_SECONDS // 60

Text = Annotated[str, Form()]


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """One audience's pages. The callables make view models; `show` turns one into the answer.

    `asking(form, next)`, `checking(email, challenge, minutes, form)`, `landed(standing, token, email)`.
    `after(entered)` is where a new session still has to go first; empty when it is complete.
    """

    audience: Audience
    show: Callable[[Request, Page, int], Response]
    asking: Callable[[FormView, str], Page]
    checking: Callable[[str, str, int, FormView], Page]
    landed: Callable[[Standing, str, str], Page]
    after: Callable[[sign_in.Entered], str]

    @property
    def path(self) -> str:
        return auth.SIGN_IN[self.audience]


def doors(entrance: Entrance) -> APIRouter:
    """The router of an entrance; routes of its own with fixed addresses must be added before it is included."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])
    _add_asking(router, entrance)
    _add_checking(router, entrance)
    _add_landing(router, entrance)
    return router


def _add_asking(router: APIRouter, entrance: Entrance) -> None:
    @router.get(entrance.path)
    def asking(request: Request, next: str = "") -> Response:  # noqa: A002 -- the name in the address
        return entrance.show(request, entrance.asking(FormView(), next), 200)

    @router.post(entrance.path)
    def ask(request: Request, ports: Wired, email: Text = "", next: Text = "") -> Response:  # noqa: A002 -- as above
        try:
            challenge = sign_in.ask(
                ports, audience=entrance.audience, email=email, browser=csrf.browser(request), ip=client_ip(request),
                now=transport_now(),
            )  # fmt: skip
        except Invalid as refused:
            form = FormView(values={"email": email}, errors={"email": refused.detail})
            return entrance.show(request, entrance.asking(form, next), refused.status)
        except TooManyTries as refused:
            form = FormView(values={"email": email}, errors={"": refused.detail})
            return show.later(entrance.show(request, entrance.asking(form, next), refused.status), refused)
        answer = RedirectResponse(f"{entrance.path}/check?{urlencode({'challenge': challenge})}", 303)
        cookies.put(request, answer, cookies.NEXT, auth.onward(next, entrance.audience), seconds=NEXT_SECONDS)
        return answer


def _add_checking(router: APIRouter, entrance: Entrance) -> None:
    def page(request: Request, email: str, challenge: str, form: FormView, status: int = 200) -> Response:
        return entrance.show(request, entrance.checking(email, challenge, _MINUTES, form), status)

    @router.get(f"{entrance.path}/check")
    def checking(request: Request, challenge: str = "") -> Response:
        email = _asked_for(request, entrance, challenge)
        return page(request, email, challenge, FormView()) if email else RedirectResponse(entrance.path, 303)

    @router.post(f"{entrance.path}/check")
    def check(request: Request, ports: Wired, challenge: Text = "", code: Text = "") -> Response:
        email = _asked_for(request, entrance, challenge)
        if email is None:
            return entrance.show(request, entrance.landed(Standing.EXPIRED, "", ""), 410)
        try:
            entered = sign_in.enter_by_code(
                ports, audience=entrance.audience, challenge=challenge, code=code, browser=csrf.browser(request),
                caller=auth.caller(request), now=transport_now(),
            )  # fmt: skip
        except TooManyTries as refused:
            form = FormView(errors={"code": refused.detail})
            return show.later(page(request, email, challenge, form, refused.status), refused)
        if isinstance(entered, sign_in.Entered):
            return _enter(request, entrance, entered)
        if entered.standing is not Standing.READY:
            return entrance.show(request, entrance.landed(entered.standing, "", ""), 410)
        left = "one try is" if entered.tries_left == 1 else f"{entered.tries_left} tries are"
        sentence = f"That is not the code from the newest mail; {left} left."
        return page(request, email, challenge, FormView(errors={"code": sentence}), 422)


def _asked_for(request: Request, entrance: Entrance, challenge: str) -> str | None:
    return sign_in.asked_for(
        ports_of(request), audience=entrance.audience, challenge=challenge, browser=csrf.browser(request)
    )


def _add_landing(router: APIRouter, entrance: Entrance) -> None:
    @router.post(f"{entrance.path}/link")
    def press(request: Request, ports: Wired, token: Text = "") -> Response:
        entered = sign_in.enter_by_link(
            ports, audience=entrance.audience, token=token, browser=csrf.browser(request),
            caller=auth.caller(request), now=transport_now(),
        )  # fmt: skip
        if isinstance(entered, sign_in.Refused):
            return entrance.show(request, entrance.landed(entered.standing, "", ""), 410)
        return _enter(request, entrance, entered)

    @router.get(f"{entrance.path}/{{token}}")
    def land(request: Request, ports: Wired, token: str) -> Response:
        standing, email = sign_in.look(
            ports, audience=entrance.audience, token=token, browser=csrf.browser(request), now=transport_now()
        )
        status = 200 if standing in {Standing.READY, Standing.ELSEWHERE} else 410
        return entrance.show(request, entrance.landed(standing, token, email), status)


def _enter(request: Request, entrance: Entrance, entered: sign_in.Entered) -> Response:
    """Set the new session and end the one this browser had, so that no value known before is worth anything (S12)."""
    _end(request, ports_of(request), entrance.audience)
    missing = entrance.after(entered)
    answer = RedirectResponse(missing or remembered(request, entrance.audience), 303)
    cookies.put(request, answer, cookies.SESSIONS[entrance.audience], entered.token)
    if not missing:
        cookies.drop(request, answer, cookies.NEXT)
    return answer


def remembered(request: Request, audience: Audience) -> str:
    """The page that was asked for before the sign-in, checked again."""
    return auth.onward(cookies.read(request, cookies.NEXT), audience)


def sign_out(request: Request, ports: Ports, audience: Audience, *, to: str) -> Response:
    """End the session on our side, forget it in the browser, and go to `to`."""
    _end(request, ports, audience)
    answer = RedirectResponse(to, 303)
    cookies.drop(request, answer, cookies.SESSIONS[audience])
    return answer


def _end(request: Request, ports: Ports, audience: Audience) -> None:
    former = auth.session_id(request, audience)
    if former is not None:
        sign_in.sign_out(ports, former, transport_now())
