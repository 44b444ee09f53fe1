"""The survey: score with its interval, how the answers fall, who was asked and who was not, and in their words."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import func, select
from sqlmodel import col
from starlette.responses import Response

from app.core.db import Tx as Session
from app.core.errors import Invalid
from app.surveys import figures as reading
from app.surveys import wordings
from app.surveys.figures import Figures
from app.surveys.models import SurveyInvitation, SurveyKind, SurveyResponse
from app.surveys.service import Suppressed
from app.web.console.operations_views import Comment, NpsView, Segment
from app.web.console.render import Reader, page
from app.web.deps import Now, Tx, Wired
from app.web.views import Bar, Choice, Fact, Form, Option

router = APIRouter()
_SPANS: Final = ((30, "30 days"), (90, "90 days"), (365, "A year"))
_GROUPS: Final = (
    ("kind", "Occasion"), ("plan", "Plan"), ("interval", "Billed by"), ("seats", "Seats"), ("country", "Country"),
    ("route", "Route"), ("wording", "Wording"), ("source", "Source"),
)  # fmt: skip
_WHY: Final = {
    Suppressed.OPTED_OUT: "Does not want to be asked",
    Suppressed.ASKED_RECENTLY: "Was asked a short while ago",
    Suppressed.COUNTRY_OFF: "Their country is switched off",
    Suppressed.COUNTRY_UNKNOWN: "Their country is not known",
}
_COMMENTS: Final = 50


@router.get("/console/survey")
def standing(
    request: Request, ports: Wired, tx: Tx, now: Now, who: Reader, first: Annotated[str, Query(alias="from")] = "",
    last: Annotated[str, Query(alias="to")] = "", segment: str = "kind",
) -> Response:  # fmt: skip
    """Of the answers first given from `from` to `to`, both included; of the last 90 days where they are not given."""
    today = now.date()
    group = segment if segment in dict(_GROUPS) else "kind"
    typed = {"from": first, "to": last, "segment": group}
    try:
        begins, ends = _span(first, last, today)
        errors: dict[str, str] = {}
    except Invalid as exc:
        begins, ends, errors = today - timedelta(days=89), today, {exc.param or "": exc.detail}
    since, until = _midnight(begins), _midnight(ends + timedelta(days=1))
    found = reading.figures(tx, since=since, until=until, segment=group, include_test=ports.test_mode)
    values = typed if errors else {"from": str(begins), "to": str(ends), "segment": group}
    view = _view(
        found, Form(values=values, errors=errors), today, (begins, ends), ports.vendor_name,
        scores=_scores(tx, since, until, test=ports.test_mode),
        comments=_comments(tx, since, until, test=ports.test_mode),
    )  # fmt: skip
    return page(request, tx, view, who, status=422 if errors else 200)


def _span(first: str, last: str, today: date) -> tuple[date, date]:
    ends = _day(last, "to") if last else today
    begins = _day(first, "from") if first else ends - timedelta(days=89)
    if begins > ends:
        raise Invalid("It ends before it begins.", param="to")
    return begins, ends


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise Invalid("This is not a date such as 2026-11-30.", param=name) from exc


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _view(
    found: Figures, form: Form, today: date, span: tuple[date, date], vendor: str, *, scores: dict[int, int],
    comments: tuple[Comment, ...],
) -> NpsView:  # fmt: skip
    standing, interval = found.standing, found.standing.interval
    group = form.value("segment")
    return NpsView(
        periods=_periods(today, span, group), score=_whole(standing.score),
        low=_whole(interval.low if interval else None) or 0, high=_whole(interval.high if interval else None) or 0,
        answers=standing.n, invited=found.invited,
        response_rate=f"{found.response_rate} %" if found.response_rate is not None else "none",
        suppressed=sum(found.suppressed.values()),
        suppressed_why=tuple(
            Fact(name=_WHY.get(Suppressed(why), why), value=str(count)) for why, count in found.suppressed.items()
        ),
        unconfirmed=found.openings.unconfirmed,
        distribution=tuple(
            Bar(label=str(score), value=scores.get(score, 0), text=str(scores.get(score, 0))) for score in range(11)
        ),
        segments=tuple(
            Segment(
                name=(each.value or "Not given").replace("_", " ").capitalize(), answers=each.standing.n,
                score=_whole(each.standing.score) or 0,
                rate=f"{each.response_rate} %" if each.response_rate is not None else "",
            )
            for each in found.segments
        ),
        comments=comments, wording=_wording(found, vendor), form=form,
        groups=tuple(Option(value=value, label=label) for value, label in _GROUPS),
        hidden=_hidden(found),
    )  # fmt: skip


def _periods(today: date, span: tuple[date, date], group: str) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            label=label, href=f"/console/survey?from={first}&to={today}&segment={group}", current=span == (first, today)
        )
        for first, label in ((today - timedelta(days=days - 1), label) for days, label in _SPANS)
    )


def _whole(score: Decimal | None) -> int | None:
    """Points without decimals: the interval is wider than any of them."""
    return None if score is None else int(score.quantize(Decimal(1), ROUND_HALF_UP))


def _wording(found: Figures, vendor: str) -> str:
    known = {wording.id: wording.question for wording in (wordings.current(kind) for kind in SurveyKind)}
    said = [f"“{known[id_] % {'vendor': vendor}}” ({id_})" if id_ in known else id_ for id_ in found.wordings]
    return " ".join(["Asked was:", *said]) if said else ""


def _hidden(found: Figures) -> str:
    if not found.hidden_segments:
        return ""
    groups = "1 group" if found.hidden_segments == 1 else f"{found.hidden_segments} groups"
    return f"{groups} with fewer than five answers each, {found.hidden_answers} in all, are not shown."


def _answers(query: Any, since: datetime, until: datetime, *, test: bool) -> Any:
    """The latest version of every answer that was first given in the span, as `reading.figures` counts them."""
    query = query.join(SurveyInvitation, col(SurveyInvitation.id) == col(SurveyResponse.invitation_id)).where(
        col(SurveyResponse.latest).is_(True), col(SurveyInvitation.answered_at) >= since,
        col(SurveyInvitation.answered_at) < until,
    )  # fmt: skip
    return query if test else query.where(col(SurveyInvitation.test).is_(False))


def _scores(tx: Session, since: datetime, until: datetime, *, test: bool) -> dict[int, int]:
    query = _answers(
        select(col(SurveyResponse.score), func.count()).select_from(SurveyResponse), since, until, test=test
    )
    return {score: count for score, count in tx.execute(query.group_by(col(SurveyResponse.score)))}  # noqa: C416 -- a Row is not a pair to mypy


def _comments(tx: Session, since: datetime, until: datetime, *, test: bool) -> tuple[Comment, ...]:
    query = _answers(select(SurveyResponse, SurveyInvitation).select_from(SurveyResponse), since, until, test=test)
    newest = query.where(col(SurveyResponse.comment) != "").order_by(col(SurveyResponse.id).desc()).limit(_COMMENTS)
    return tuple(
        Comment(
            score=response.score, text=response.comment, on=response.answered_at.date(),
            segment=f"{str(asked.kind).capitalize()}, {asked.segment.get('plan', 'plan not given')}",
        )
        for response, asked in tx.execute(newest)
    )  # fmt: skip
