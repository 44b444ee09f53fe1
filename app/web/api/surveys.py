"""Surveys: the hook for outside systems, the link without a key, and the figures (R-NPS)."""

from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import ids, paging
from app.core.errors import Invalid, NotAllowed
from app.surveys import figures as reports
from app.surveys import service
from app.surveys.errors import InvitationDiffers, SurveyClosed, SurveyNotFound, TooManyAnswers
from app.surveys.models import AnswerSource, SurveyInvitation, SurveyKind, SurveyResponse
from app.surveys.nps import Standing
from app.web.deps import NotSignedIn, Now, ScopeMissing, Tx, Wired, requires
from app.web.idempotent import IdempotentRoute
from app.web.problems import problems

router = APIRouter(prefix="/v1/surveys", tags=["surveys"], route_class=IdempotentRoute)

Writer = Annotated[ApiKey, Depends(requires("surveys:write"))]
Reader = Annotated[ApiKey, Depends(requires("surveys:read"))]
Line = StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")
# A segment groups answers and says nothing about a person, so an address in it is a mistake.
SegmentKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SegmentText = Annotated[str, StringConstraints(max_length=80, pattern=r"^[^\x00-\x1f\x7f@]*$")]
_EARLIEST, _LATEST = date(2000, 1, 1), date(2200, 1, 1)
_LONGEST_SPAN = timedelta(days=3700)


class InvitationIn(BaseModel):
    """`(source, external_ref)` names the purchase in your system: the same pair again answers with the same invitation.

    Without `email` nothing is mailed: show the `url` yourself. A mail also needs the person's `country`, because
    some countries ask for consent first.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "kind": "purchase", "external_ref": "SO-1001", "source": "erp", "email": "ada@example.org",
        "name": "Ada Example", "country": "DE", "locale": "en", "segment": {"plan": "professional"},
    }})  # fmt: skip

    kind: SurveyKind
    external_ref: Annotated[str, Line, Field(min_length=1, max_length=200)]
    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")] = "api"
    email: Annotated[str, StringConstraints(pattern=r"^[^\s@<>\x00-\x1f\x7f]+@[^\s@<>\x00-\x1f\x7f]+$"),
                     Field(max_length=254)] | None = None  # fmt: skip
    name: Annotated[str, Line, Field(max_length=120)] = ""
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    locale: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{2,8})*$"), Field(max_length=35)
    ] = "en"
    segment: Annotated[dict[SegmentKey, SegmentText | bool | int], Field(max_length=20)] = {}

    @field_validator("source")
    @classmethod
    def not_ours(cls, value: str) -> str:
        if value == service.OURS:
            raise ValueError("choose another name; this one is for orders made here")
        return value


class AnswerOut(BaseModel):
    score: int
    comment: str
    version: int
    source: AnswerSource
    answered_at: datetime

    @classmethod
    def of(cls, row: SurveyResponse) -> Self:
        return cls(
            score=row.score, comment=row.comment, version=row.version, source=row.source, answered_at=row.answered_at
        )


class InvitationOut(BaseModel):
    """`answer` is the one that counts; keys of an account do not see it, because it was given to the vendor."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "svy_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "purchase", "source": "blp",
        "external_ref": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "segment": {"plan": "professional"}, "wording_id": "recommend-1",
        "suppressed_reason": None, "test": False, "created_at": "2026-11-22T09:00:00Z",
        "email_due_at": "2026-11-25T09:00:00Z", "emailed_at": None, "reminded_at": None,
        "expires_at": "2026-12-22T09:00:00Z", "answered_at": None, "answer": None,
    }})  # fmt: skip

    id: str
    kind: SurveyKind
    source: str
    external_ref: str
    account_id: str | None
    order_id: str | None
    segment: dict[str, Any]
    wording_id: str
    suppressed_reason: str | None
    test: bool
    created_at: datetime
    email_due_at: datetime | None
    emailed_at: datetime | None
    reminded_at: datetime | None
    expires_at: datetime
    answered_at: datetime | None
    answer: AnswerOut | None = None

    @classmethod
    def of(cls, row: SurveyInvitation, answer: SurveyResponse | None = None, **more: Any) -> Self:
        facts = row.model_dump(include=set(cls.model_fields))
        return cls(**facts, answer=AnswerOut.of(answer) if answer else None, **more)


class InvitationOpened(InvitationOut):
    """`url` is the person's own way to answer: give it to nobody else. `token` is its last part."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "svy_01ka8qj6x0c5q4m3t2r1p0n9mk", "kind": "purchase", "source": "blp",
        "external_ref": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "segment": {"plan": "professional"}, "wording_id": "recommend-1",
        "suppressed_reason": None, "test": False, "created_at": "2026-11-22T09:00:00Z",
        "email_due_at": "2026-11-25T09:00:00Z", "emailed_at": None, "reminded_at": None,
        "expires_at": "2026-12-22T09:00:00Z", "answered_at": None, "answer": None,
        "url": "https://billing.example.com/survey/eyJ…", "token": "eyJ…",
    }})  # fmt: skip

    url: str
    token: str


class InvitationList(BaseModel):
    data: list[InvitationOut]
    has_more: bool


class AnswerIn(BaseModel):
    """`score` from 0, not at all likely, to 10, extremely likely to recommend."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "score": 9, "comment": "Faster than our procurement.",
    }})  # fmt: skip

    score: int = Field(ge=0, le=10, strict=True)
    comment: str = Field(default="", max_length=service.MAX_COMMENT)


class AnswerTaken(AnswerOut):
    """Send another answer until `editable_until`; the latest counts."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "score": 9, "comment": "Faster than our procurement.", "version": 1, "source": "email",
        "answered_at": "2026-11-22T09:00:00Z", "editable_until": "2026-12-22T09:00:00Z",
    }})  # fmt: skip

    editable_until: datetime


@router.post(
    "/invitations", status_code=201, response_model=InvitationOpened,
    responses={200: {"model": InvitationOpened, "description": "This purchase was known already"},
               **problems(NotSignedIn, ScopeMissing, NotAllowed, InvitationDiffers)},
)  # fmt: skip
def open_invitation(body: InvitationIn, response: Response, ports: Wired, tx: Tx, now: Now, key: Writer) -> Any:
    """Ask about a purchase, renewal or expansion that happened in another system."""
    if key.account_id is not None:
        raise NotAllowed("Surveys are sent in the vendor's name; use a key of the vendor.")
    if service.find(tx, ports.secrets, body.source, body.external_ref) is not None:
        response.status_code = HTTPStatus.OK
    invitation = service.invite(
        tx, ports.secrets, kind=body.kind, order_id=None, account_id=None, email=body.email, person_name=body.name,
        segment=body.segment, locale=body.locale, country=body.country, test=ports.test_mode, now=now,
        source=body.source, external_ref=body.external_ref,
    )  # fmt: skip
    token = service.token_of(ports.secrets, invitation)
    return InvitationOpened.of(
        invitation, service.latest(tx, invitation), url=ports.link(f"/survey/{token}"), token=token
    )


@router.get("/invitations", responses=problems(NotSignedIn, ScopeMissing))
def list_invitations(
    tx: Tx,
    key: Reader,
    limit: Annotated[int, Query(ge=1, le=paging.MAX_LIMIT)] = 20,
    starting_after: str | None = None,
    kind: SurveyKind | None = None,
    answered: bool | None = None,
    suppressed: bool | None = None,
) -> InvitationList:
    """Newest first. Suppressed ones are listed too, with their reason."""
    query = select(SurveyInvitation)
    if key.account_id is not None:
        query = query.where(col(SurveyInvitation.account_id) == key.account_id)
    if kind is not None:
        query = query.where(col(SurveyInvitation.kind) == kind)
    if answered is not None:
        query = query.where(col(SurveyInvitation.answered_at).is_not(None) == answered)
    if suppressed is not None:
        query = query.where(col(SurveyInvitation.suppressed_reason).is_not(None) == suppressed)
    after = ids.require_form("srv", starting_after) if starting_after is not None else None
    page = paging.page(tx, query, col(SurveyInvitation.id), limit=limit, starting_after=after)
    answers = _answers(tx, key, page.data)
    return InvitationList(
        data=[InvitationOut.of(each, answers.get(each.id)) for each in page.data], has_more=page.has_more
    )


@router.get("/invitations/{invitation_id}", responses=problems(NotSignedIn, ScopeMissing, SurveyNotFound))
def read_invitation(invitation_id: str, tx: Tx, key: Reader) -> InvitationOut:
    """One invitation."""
    found = tx.get(SurveyInvitation, ids.require_form("srv", invitation_id))
    if found is None or key.account_id not in {None, found.account_id}:
        raise SurveyNotFound("There is no such invitation.", param="invitation_id")
    return InvitationOut.of(found, _answers(tx, key, [found]).get(found.id))


def _answers(tx: Tx, key: ApiKey, invitations: Any) -> dict[str, SurveyResponse]:
    if key.account_id is not None:
        return {}
    rows = tx.execute(
        select(SurveyResponse).where(
            col(SurveyResponse.invitation_id).in_([each.id for each in invitations]),
            col(SurveyResponse.latest).is_(True),
        )
    ).scalars()
    return {each.invitation_id: each for each in rows}


@router.post(
    "/links/{token}/answers", status_code=201, responses=problems(SurveyNotFound, SurveyClosed, TooManyAnswers)
)
def answer(token: str, body: AnswerIn, ports: Wired, tx: Tx, now: Now) -> AnswerTaken:
    """Answer, or change the answer. The link's token is the credential; no API key is needed."""
    invitation = service.by_token(tx, ports.secrets, token)
    given = service.answer(tx, invitation, score=body.score, comment=body.comment, source=AnswerSource.API, now=now)
    return AnswerTaken(**AnswerOut.of(given).model_dump(), editable_until=invitation.expires_at)


@router.post("/links/{token}/opt_out", status_code=204, responses=problems(SurveyNotFound))
def opt_out(token: str, ports: Wired, tx: Tx, now: Now) -> None:
    """Send this person no more surveys; for a page of your own that asks. Mails lead to `/survey/{token}/opt-out`."""
    service.opt_out(tx, service.by_token(tx, ports.secrets, token), now)


class IntervalOut(BaseModel):
    low: float
    high: float


class ScoreOut(BaseModel):
    """`nps` is null without answers. `trustworthy` is false below ten: show the three counts rather than the figure."""

    nps: float | None
    n: int
    margin: float | None
    interval: IntervalOut | None
    promoters: int
    passives: int
    detractors: int
    trustworthy: bool

    @classmethod
    def of(cls, standing: Standing, **more: Any) -> Self:
        score, margin, interval = standing.score, standing.margin, standing.interval
        return cls(
            nps=None if score is None else float(score),
            n=standing.n,
            margin=None if margin is None else float(margin),
            interval=None if interval is None else IntervalOut(low=float(interval.low), high=float(interval.high)),
            promoters=standing.promoters, passives=standing.passives, detractors=standing.detractors,
            trustworthy=standing.trustworthy, **more,
        )  # fmt: skip


class SegmentOut(ScoreOut):
    value: str
    invited: int
    response_rate: float | None


class NpsOut(ScoreOut):
    """Points from -100 to 100 with a 95 % interval, for `[from, to)` in UTC.

    `change` says up or down only where it is more than chance. `unconfirmed_openings` and `scanner_fetches` are
    links that were opened; they are never part of the score.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "nps": 52.0, "n": 64, "margin": 17.2, "interval": {"low": 34.8, "high": 69.2}, "promoters": 40, "passives": 17,
        "detractors": 7, "trustworthy": True, "from": "2026-08-25", "to": "2026-11-22", "invited": 210, "answered": 64,
        "response_rate": 0.305, "suppressed": 12, "suppressed_by_reason": {"asked_lately": 12},
        "unconfirmed_openings": 9, "scanner_fetches": 31, "wordings": ["recommend-1"], "previous": {"nps": 47.0,
        "n": 58, "margin": 18.4, "interval": {"low": 28.6, "high": 65.4}, "promoters": 35, "passives": 15,
        "detractors": 8, "trustworthy": True}, "change": "5 points up, within what chance explains", "segments": [],
        "hidden_segments": 0, "hidden_answers": 0,
    }})  # fmt: skip

    since: date = Field(serialization_alias="from")
    until: date = Field(serialization_alias="to")
    invited: int
    answered: int
    response_rate: float | None
    suppressed: int
    suppressed_by_reason: dict[str, int]
    unconfirmed_openings: int
    scanner_fetches: int
    wordings: list[str]
    previous: ScoreOut
    change: str
    segments: list[SegmentOut]
    hidden_segments: int
    hidden_answers: int


@router.get("/nps", responses=problems(NotSignedIn, ScopeMissing, NotAllowed))
def nps(
    ports: Wired,
    tx: Tx,
    now: Now,
    key: Reader,
    since: Annotated[date | None, Query(alias="from", ge=_EARLIEST, le=_LATEST)] = None,
    until: Annotated[date | None, Query(alias="to", ge=_EARLIEST, le=_LATEST)] = None,
    segment: Annotated[SegmentKey | None, Query()] = None,
) -> NpsOut:
    """The score of the answers given from `from` until before `to`; by default of the last 90 days.

    `segment` groups them by `kind`, `source`, `wording` or a key of the segment, such as `plan`; groups of fewer
    than five answers are counted in `hidden_segments`.
    """
    if key.account_id is not None:
        raise NotAllowed("The score is the vendor's own figure; use a key of the vendor.")
    last = until or now.date() + timedelta(days=1)
    first = since or last - timedelta(days=90)
    if not timedelta(0) < last - first <= _LONGEST_SPAN:
        raise Invalid("`from` must be before `to`, and at most ten years earlier.", param="from")
    found = reports.figures(
        tx, since=_midnight(first), until=_midnight(last), segment=segment, include_test=ports.test_mode
    )
    return NpsOut.of(
        found.standing, since=first, until=last, invited=found.invited, answered=found.answered,
        response_rate=_float(found.response_rate), suppressed=sum(found.suppressed.values()),
        suppressed_by_reason=dict(found.suppressed), unconfirmed_openings=found.openings.unconfirmed,
        scanner_fetches=found.openings.scanner_fetches, wordings=list(found.wordings),
        previous=ScoreOut.of(found.before), change=found.change.value,
        segments=[
            SegmentOut.of(
                each.standing, value=each.value, invited=each.invited, response_rate=_float(each.response_rate)
            )
            for each in found.segments
        ],
        hidden_segments=found.hidden_segments, hidden_answers=found.hidden_answers,
    )  # fmt: skip


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
