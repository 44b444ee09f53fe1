"""Customers come in: by mail, then, if they belong to several, for one of their accounts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import members
from app.accounts.models import Audience
from app.accounts.sign_in import Standing
from app.core.clock import transport_now
from app.core.errors import NotFound
from app.flows import sign_in
from app.web import auth, cookies, csrf, entrance, show
from app.web.deps import Tx, Wired
from app.web.portal.entry_views import SignInCheckView, SignInLinkView, SignInView
from app.web.portal.sign_in_views import ChooseAccountView, ElsewhereView
from app.web.views import Form as FormView
from app.web.views import Option, Page


def _show(request: Request, page: Page, status: int) -> Response:
    return show.portal(request, page, status=status)


def _landed(standing: Standing, token: str, email: str) -> Page:
    match standing:
        case Standing.ELSEWHERE:
            return ElsewhereView()
        case Standing.READY:
            return SignInLinkView(state="ready", token=token, email=email)
        case Standing.USED:
            return SignInLinkView(state="used")
        case Standing.EXPIRED:
            return SignInLinkView(state="expired")


_ENTRANCE = entrance.Entrance(
    audience=Audience.CUSTOMER,
    show=_show,
    asking=lambda form, after: SignInView(form=form, next=after),
    checking=lambda email, challenge, minutes, form: SignInCheckView(
        email=email, challenge=challenge, minutes=minutes, form=form
    ),
    landed=_landed,
    after=lambda entered: auth.CHOOSE_ACCOUNT if entered.must_choose_account else "",
)

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])


@router.get(auth.CHOOSE_ACCOUNT)
def choosing(request: Request, tx: Tx, who: auth.PersonSignedIn, next: str = "") -> Response:  # noqa: A002 -- as asked
    """The accounts of whoever is signed in; also the way to change over."""
    answer = _choices(request, tx, who, FormView(), 200)
    if next:
        cookies.put(request, answer, cookies.NEXT, auth.onward(next, Audience.CUSTOMER), seconds=entrance.NEXT_SECONDS)
    return answer


def _choices(request: Request, tx: Tx, who: auth.Person, form: FormView, status: int) -> Response:
    accounts = tuple(
        Option(value=each.account_id, label=each.account_name) for each in members.of_person(tx, who.email)
    )
    page = ChooseAccountView(accounts=accounts, current=who.account_id or "", form=form)
    return show.portal(request, page, who=who, status=status)


@router.post(auth.CHOOSE_ACCOUNT)
def choose(
    request: Request, ports: Wired, tx: Tx, who: auth.PersonSignedIn, account_id: Annotated[str, Form()] = ""
) -> Response:
    """Act for one account; the session gets a new value, since its rights change (S12)."""
    try:
        token = sign_in.choose_account(ports, who.session_id, account_id, transport_now())
    except NotFound as refused:
        return _choices(request, tx, who, FormView(errors={"account_id": refused.detail}), refused.status)
    answer = RedirectResponse(entrance.remembered(request, Audience.CUSTOMER), 303)
    cookies.put(request, answer, cookies.SESSIONS[Audience.CUSTOMER], token)
    cookies.drop(request, answer, cookies.NEXT)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, ports: Wired) -> Response:
    """End the session on our side and in the browser."""
    return entrance.sign_out(request, ports, Audience.CUSTOMER, to="/")


router.include_router(entrance.doors(_ENTRANCE))
