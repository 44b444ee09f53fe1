"""`/survey/{token}`: one question. Opening the link is kept as evidence only; a post stores the answer (R-NPS-2).

The token proves the right to answer and to opt out, so these posts need no form token. Every survey mail leads to
`/survey/{token}/opt-out` twice: as a link, which opens the page with the button, and in List-Unsubscribe, where mail
programs post by themselves (RFC 8058, ADR 0032).
"""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.flows.ports import Ports
from app.surveys import service, wordings
from app.surveys.models import AnswerSource, SurveyInvitation
from app.surveys.service import Suppressed
from app.web import csrf, show
from app.web.deps import Now, Tx, Wired
from app.web.portal.entry_views import SurveyView
from app.web.portal.render import Form, Posted, see_other
from app.web.views import SurveyForm

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf.protect)])
_BY_TOKEN = "the token in the address proves the right"  # noqa: S105 -- a reason, not a secret
_ABOUT = {"purchase": "About your purchase", "renewal": "About your renewal", "expansion": "About your new seats"}


@router.get("/survey/{token}")
def survey(request: Request, ports: Wired, tx: Tx, now: Now, token: str, score: str = "", done: str = "") -> Response:
    """The question, with the score of the mail's link chosen; nothing is counted yet."""
    invitation = service.by_token(tx, ports.secrets, token)
    chosen = score_of(score)
    if request.method == "GET" and not done:
        agent = request.headers.get("user-agent", "")
        service.record_fetch(tx, invitation, score=chosen, user_agent=agent, now=now)
    return show.portal(request, _view(tx, ports, invitation, token, now >= invitation.expires_at, chosen))


@router.post("/survey/{token}")
@csrf.exempt(_BY_TOKEN)
def answer(request: Request, ports: Wired, tx: Tx, now: Now, token: str, form: Form) -> Response:
    """Store the answer; a changed one takes its place until the link dies."""
    invitation = service.by_token(tx, ports.secrets, token)
    try:
        store(tx, invitation, form, AnswerSource.EMAIL, now)
    except Invalid as refused:
        view = _view(tx, ports, invitation, token, False, score_of(form.text("score")), refused.detail)
        return show.portal(request, view, status=refused.status)
    return see_other(f"/survey/{token}?done=1")


@router.get("/survey/{token}/opt-out")
def leaving(request: Request, ports: Wired, tx: Tx, token: str) -> Response:
    """The button that ends it, or that it is ended; a link that has died still leads here."""
    invitation = service.by_token(tx, ports.secrets, token)
    out = _is_out(tx, ports, invitation)
    view = SurveyView(
        state="opted_out" if out else "leaving", opt_out_href="" if out else request.url.path,
        about=_ABOUT[invitation.kind.value],
    )  # fmt: skip
    return show.portal(request, view)


@router.post("/survey/{token}/opt-out")
@csrf.exempt(_BY_TOKEN)
def opt_out(ports: Wired, tx: Tx, now: Now, token: str, form: Form) -> Response:
    """Ask this person no more, from the page's button or from a mail program's (List-Unsubscribe=One-Click)."""
    service.opt_out(tx, service.by_token(tx, ports.secrets, token), now)
    if form.text("List-Unsubscribe") == "One-Click":  # a redirect would be a failure to the program (RFC 8058, 3.2)
        return PlainTextResponse("You will not be asked again.\n")
    return see_other(f"/survey/{token}/opt-out")


def score_of(text: str) -> int | None:
    """A score as an address or a form carries it; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 10 else None


def store(tx: Unit, invitation: SurveyInvitation, form: Posted, source: AnswerSource, now: datetime) -> None:
    """Raises Invalid without a score or with too long a comment, SurveyClosed, TooManyAnswers."""
    score = score_of(form.text("score"))
    if score is None:
        raise Invalid("Choose a number from 0 to 10.", param="score")
    comment = form.prose("comment", 4 * service.MAX_COMMENT)
    service.answer(tx, invitation, score=score, comment=comment, source=source, now=now)


def question(ports: Ports, invitation: SurveyInvitation) -> str:
    return wordings.current(invitation.kind).question % {"vendor": ports.vendor_name}


def _is_out(tx: Unit, ports: Ports, invitation: SurveyInvitation) -> bool:
    return invitation.suppressed_reason == Suppressed.OPTED_OUT or (
        invitation.person_email is not None and service.has_opted_out(tx, ports.secrets, invitation.person_email)
    )


def _view(
    tx: Unit, ports: Ports, invitation: SurveyInvitation, token: str, closed: bool, chosen: int | None,
    error: str = "",
) -> SurveyView:  # fmt: skip
    given = service.latest(tx, invitation)
    out = _is_out(tx, ports, invitation)
    state: Literal["open", "answered", "expired", "opted_out"] = "open"
    if given is not None and not error:
        state = "answered"
    elif closed:
        state = "expired"
    elif out:
        state = "opted_out"
    score = chosen if chosen is not None else given.score if given else None
    path = f"/survey/{token}"
    form = SurveyForm(
        action=path, question=question(ports, invitation), invitation_id=invitation.id,
        score="" if score is None else str(score), comment=given.comment if given else "", error=error,
    )  # fmt: skip
    return SurveyView(
        state=state, about=_ABOUT[invitation.kind.value], survey=None if closed or state == "opted_out" else form,
        opt_out_href="" if out else f"{path}/opt-out",
    )  # fmt: skip
