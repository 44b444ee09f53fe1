"""The TEST page on which a card is entered to be kept; nothing is charged. GET changes nothing, no script is needed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.adapters.sandbox import setups
from app.adapters.sandbox.answers import Refused
from app.adapters.sandbox.cards import BadCard, read_card
from app.adapters.sandbox.models import SessionStatus
from app.adapters.sandbox.pay_page import CARDS, PayPage, Text, sentence
from app.adapters.sandbox.provider_core import Provider
from app.adapters.sandbox.sessions import Step
from app.adapters.sandbox.setups import SetupView
from app.adapters.sandbox.views import ClosedView, ConfirmView, SetupPageView
from app.core.clock import transport_now


@dataclass(frozen=True, slots=True)
class SetupPages:
    """`frame` renders, and tells its forms from forged ones."""

    frame: PayPage

    @property
    def provider(self) -> Provider:
        return self.frame.provider

    def show(self, view: SetupView) -> Response:
        """The page as the session stands now."""
        if view.status is not SessionStatus.OPEN:
            return self._closed(view)
        if view.asks:
            return RedirectResponse(f"{_path(view)}/confirm", 303)
        return self.form(view, 200, error=sentence(view.failure))

    def form(self, view: SetupView, status: int, *, error: str = "", errors: dict[str, str] | None = None) -> Response:
        """The card form. What was typed is never shown again: it may have been a real card."""
        page = SetupPageView(
            merchant=self.frame.merchant, action=_path(view), csrf_token=self.frame.token(view.id),
            cancel_href=view.cancel_url, cards=CARDS, consent=view.consent,
            card="" if errors else "4242 4242 4242 4242", error=error, errors=errors or {},
        )  # fmt: skip
        return self.frame.answer(page, status, view)

    def question(self, view: SetupView) -> Response:
        """The bank's question, where there is one."""
        if view.status is not SessionStatus.OPEN or not view.asks:
            return RedirectResponse(_path(view), 303)
        page = ConfirmView(
            merchant=self.frame.merchant, card=view.card, action=f"{_path(view)}/confirm",
            csrf_token=self.frame.token(view.id),
        )  # fmt: skip
        return self.frame.answer(page, 200, view)

    def after(self, session_id: str, step: Step) -> Response:
        """Where the owner goes after a form was sent."""
        view = setups.view(self.provider, session_id)
        match step:
            case Step.PAID:
                return RedirectResponse(view.success_url, 303)
            case Step.ASKS:
                return RedirectResponse(f"{_path(view)}/confirm", 303)
            case Step.DECLINED:
                return self.form(view, 402, error=sentence(view.failure))
            case Step.EXPIRED:
                return self._closed(view)

    def _closed(self, view: SetupView) -> Response:
        kept = view.status is SessionStatus.COMPLETE
        page = ClosedView(
            merchant=self.frame.merchant,
            state="kept" if kept else "expired",
            reason="Once is enough: it is kept." if kept else "Its time is over, or it was called back.",
            back_href=view.success_url if kept else view.cancel_url,
        )
        return self.frame.answer(page, 200 if kept else 410, view)


def _path(view: SetupView) -> str:
    return f"/sandbox/setup/{view.id}"


def _pages(request: Request) -> SetupPages:
    frame: PayPage = request.app.state.pages
    return SetupPages(frame)


Pages = Annotated[SetupPages, Depends(_pages)]
doors = APIRouter(prefix="/setup", default_response_class=HTMLResponse)


@doors.get("/{session_id}")
def look(pages: Pages, session_id: str) -> Response:
    try:
        return pages.show(setups.view(pages.provider, session_id))
    except Refused:
        return pages.frame.unknown()


@doors.post("/{session_id}")
def enter(
    pages: Pages, session_id: str, card: Text = "", expires: Text = "", cvc: Text = "", csrf_token: Text = ""
) -> Response:
    try:
        view = setups.view(pages.provider, session_id)
    except Refused:
        return pages.frame.unknown()
    if not pages.frame.genuine(session_id, csrf_token):
        return pages.form(view, 403, error="This form did not come from this page. Nothing was kept; try again.")
    try:
        entered = read_card(card, expires, cvc, transport_now())
    except BadCard as bad:
        return pages.form(view, 422, errors=bad.errors)
    return pages.after(session_id, setups.submit(pages.provider, session_id, entered))


@doors.get("/{session_id}/confirm")
def ask(pages: Pages, session_id: str) -> Response:
    try:
        return pages.question(setups.view(pages.provider, session_id))
    except Refused:
        return pages.frame.unknown()


@doors.post("/{session_id}/confirm")
def answer(pages: Pages, session_id: str, answer: Text = "", csrf_token: Text = "") -> Response:
    try:
        view = setups.view(pages.provider, session_id)
    except Refused:
        return pages.frame.unknown()
    if not pages.frame.genuine(session_id, csrf_token) or answer not in {"approve", "refuse"}:
        return pages.question(view)
    return pages.after(session_id, setups.confirm(pages.provider, session_id, approve=answer == "approve"))
