"""The TEST pay page: what a buyer sees instead of a bank. Works without JavaScript; GET changes nothing."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.adapters.sandbox import sessions
from app.adapters.sandbox.answers import Refused
from app.adapters.sandbox.cards import DECLINES, TEST_CARDS, BadCard, read_card
from app.adapters.sandbox.models import SessionStatus
from app.adapters.sandbox.provider_core import Provider
from app.adapters.sandbox.sessions import Step, View
from app.adapters.sandbox.setups import SetupView
from app.adapters.sandbox.views import ClosedView, ConfirmView, MagicCard, PayView
from app.adapters.stripe.amounts import from_stripe
from app.core.clock import transport_now
from app.core.security import Secrets, same

Render = Callable[[Any], str]  # a view model of views.py to HTML

_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
Text = Annotated[str, Form(max_length=200)]
CARDS: Final = tuple(MagicCard(number=card.spaced, effect=card.effect) for card in TEST_CARDS)


class PayPage:
    """The pages of one installation: how they are rendered and how their forms are told from forged ones."""

    def __init__(self, provider: Provider, render: Render, secrets: Secrets, merchant: str, home: str) -> None:
        self.provider, self.render, self._secrets = provider, render, secrets
        self.merchant, self._home = merchant, home

    def show(self, view: View) -> Response:
        """The page as the session stands now."""
        if view.status is not SessionStatus.OPEN:
            return self._closed(view)
        if view.asks:
            return RedirectResponse(f"{self._path(view)}/confirm", 303)
        return self.form(view, 200, error=sentence(view.failure))

    def form(self, view: View, status: int, *, error: str = "", errors: dict[str, str] | None = None) -> Response:
        """The card form. What was typed is never shown again: it may have been a real card."""
        page = PayView(
            merchant=self.merchant,
            description=view.description,
            total=_total(view),
            action=self._path(view),
            csrf_token=self.token(view.id),
            cancel_href=view.cancel_url,
            cards=CARDS,
            card="" if errors else "4242 4242 4242 4242",
            error=error,
            errors=errors or {},
            consent=view.consent,
        )
        return self.answer(page, status, view)

    def question(self, view: View) -> Response:
        """The bank's question, where there is one."""
        if view.status is not SessionStatus.OPEN or not view.asks:
            return self.show(view) if view.status is not SessionStatus.OPEN else self._back(view)
        page = ConfirmView(
            merchant=self.merchant,
            total=_total(view),
            card=view.card,
            action=f"{self._path(view)}/confirm",
            csrf_token=self.token(view.id),
        )
        return self.answer(page, 200, view)

    def after(self, session_id: str, step: Step) -> Response:
        """Where the buyer goes after a form was sent."""
        view = sessions.view(self.provider, session_id)
        match step:
            case Step.PAID:
                return RedirectResponse(view.success_url, 303)
            case Step.ASKS:
                return RedirectResponse(f"{self._path(view)}/confirm", 303)
            case Step.DECLINED:
                return self.form(view, 402, error=sentence(view.failure))
            case Step.EXPIRED:
                return self._closed(view)

    def unknown(self) -> Response:
        page = ClosedView(
            merchant=self.merchant,
            state="unknown",
            reason="The address is incomplete, or the test data was cleared.",
            back_href=self._home,
        )
        return self.answer(page, 404, None)

    def token(self, session_id: str) -> str:
        return self._secrets.fingerprint("sandbox-pay-form", session_id)

    def genuine(self, session_id: str, token: str) -> bool:
        return same(self.token(session_id), token)

    def _closed(self, view: View) -> Response:
        paid = view.status is SessionStatus.COMPLETE
        page = ClosedView(
            merchant=self.merchant,
            total=_total(view),
            state="paid" if paid else "expired",
            reason="Once is enough: nothing more is charged." if paid else "Its time is over, or it was called back.",
            back_href=view.success_url if paid else view.cancel_url,
        )
        return self.answer(page, 200 if paid else 410, view)

    def _back(self, view: View) -> Response:
        return RedirectResponse(self._path(view), 303)

    def _path(self, view: View) -> str:
        return f"/sandbox/pay/{view.id}"

    def answer(self, page: object, status: int, view: View | SetupView | None) -> Response:
        """A page with its policy. Browsers apply form-action to the redirect after the form as well."""
        targets = {_origin(view.success_url), _origin(view.cancel_url)} if view else set()
        policy = " ".join([_CSP, *sorted(targets)])
        return HTMLResponse(self.render(page), status, {"content-security-policy": policy})


def _pages(request: Request) -> PayPage:
    pages: PayPage = request.app.state.pages
    return pages


Pages = Annotated[PayPage, Depends(_pages)]
doors = APIRouter(prefix="/pay", default_response_class=HTMLResponse)


@doors.get("/{session_id}")
def look(pages: Pages, session_id: str) -> Response:
    try:
        return pages.show(sessions.view(pages.provider, session_id))
    except Refused:
        return pages.unknown()


@doors.post("/{session_id}")
def pay(
    pages: Pages,
    session_id: str,
    card: Text = "",
    expires: Text = "",
    cvc: Text = "",
    save: Text = "",
    csrf_token: Text = "",
) -> Response:
    try:
        view = sessions.view(pages.provider, session_id)
    except Refused:
        return pages.unknown()
    if not pages.genuine(session_id, csrf_token):
        return pages.form(view, 403, error="This form did not come from this page. Nothing was paid; try again.")
    try:
        entered = read_card(card, expires, cvc, transport_now())
    except BadCard as bad:
        return pages.form(view, 422, errors=bad.errors)
    return pages.after(session_id, sessions.submit(pages.provider, session_id, entered, keep=save == "yes"))


@doors.get("/{session_id}/confirm")
def ask(pages: Pages, session_id: str) -> Response:
    try:
        return pages.question(sessions.view(pages.provider, session_id))
    except Refused:
        return pages.unknown()


@doors.post("/{session_id}/confirm")
def answer(pages: Pages, session_id: str, answer: Text = "", csrf_token: Text = "") -> Response:
    try:
        view = sessions.view(pages.provider, session_id)
    except Refused:
        return pages.unknown()
    if not pages.genuine(session_id, csrf_token) or answer not in {"approve", "refuse"}:
        return pages.question(view)
    return pages.after(session_id, sessions.confirm(pages.provider, session_id, approve=answer == "approve"))


def sentence(failure: str | None) -> str:
    return DECLINES[failure].message if failure else ""


def _total(view: View) -> str:
    return str(from_stripe(view.amount, view.currency))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
