"""The figures behind an NPS report: answers, who was asked, what kept others from being asked, what scanners did."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, String, cast, func, select
from sqlmodel import col

from app.core.db import Tx
from app.surveys.models import SurveyFetch, SurveyInvitation, SurveyResponse
from app.surveys.nps import FEWEST_IN_SEGMENT, Change, Standing, change, response_rate, standing
from app.surveys.scanners import Fetch, by_scanners

# Groups that are columns of their own; every other name is looked up in the invitation's segment.
_COLUMNS: Final[Mapping[str, Any]] = {
    "kind": cast(col(SurveyInvitation.kind), String),
    "source": col(SurveyInvitation.source),
    "wording": col(SurveyInvitation.wording_id),
}
NOT_GIVEN: Final = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """One group that is large enough to be shown; `value` is empty where an invitation did not say."""

    value: str
    standing: Standing
    invited: int
    response_rate: Decimal | None


@dataclass(frozen=True, slots=True)
class Openings:
    """Links that were opened without an answer, and openings that programs made: shown apart, never in the score."""

    unconfirmed: int
    scanner_fetches: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one span of time. `answered` counts the invitations of the span that were answered at any time since."""

    standing: Standing
    before: Standing  # the span of the same length before
    change: Change
    invited: int
    answered: int
    response_rate: Decimal | None
    suppressed: Mapping[str, int]
    openings: Openings
    wordings: Sequence[str]
    segments: Sequence[Segment]
    hidden_segments: int
    hidden_answers: int


def figures(
    tx: Tx, *, since: datetime, until: datetime, segment: str | None = None, include_test: bool = False
) -> Figures:
    """Everything for `[since, until)`. `segment` groups by `kind`, `source`, `wording` or a key of the segment.

    An answer belongs to the instant it was first given, with the score that counts now, so changing it later
    does not move it to another month. The response rate is over invitations of the span, suppressed ones too.
    """
    now_standing = standing(_scores(tx, since, until, include_test=include_test))
    before = standing(_scores(tx, since - (until - since), since, include_test=include_test))
    invited, answered = _asked(tx, since, until, include_test=include_test)
    segments = _segments(tx, since, until, segment, include_test=include_test) if segment else []
    shown = [each for each in segments if each.standing.n >= FEWEST_IN_SEGMENT]
    return Figures(
        standing=now_standing, before=before, change=change(before, now_standing), invited=invited, answered=answered,
        response_rate=response_rate(answered, invited),
        suppressed=_suppressed(tx, since, until, include_test=include_test),
        openings=_openings(tx, since, until, include_test=include_test),
        wordings=_wordings(tx, since, until, include_test=include_test),
        segments=shown, hidden_segments=len(segments) - len(shown),
        hidden_answers=sum(each.standing.n for each in segments) - sum(each.standing.n for each in shown),
    )  # fmt: skip


def _in_span(column: Any, since: datetime, until: datetime, *, include_test: bool) -> list[ColumnElement[bool]]:
    span = [col(column) >= since, col(column) < until]
    return span if include_test else [*span, col(SurveyInvitation.test).is_(False)]


def _answers_in(since: datetime, until: datetime, *, include_test: bool) -> list[ColumnElement[bool]]:
    return [
        col(SurveyResponse.invitation_id) == col(SurveyInvitation.id),
        col(SurveyResponse.latest).is_(True),
        *_in_span(SurveyInvitation.answered_at, since, until, include_test=include_test),
    ]


def _scores(tx: Tx, since: datetime, until: datetime, *, include_test: bool) -> dict[int, int]:
    query = (
        select(col(SurveyResponse.score), func.count())
        .where(*_answers_in(since, until, include_test=include_test))
        .group_by(col(SurveyResponse.score))
    )
    return {score: times for score, times in tx.execute(query)}  # noqa: C416 -- a Row is not a pair to mypy


def _wordings(tx: Tx, since: datetime, until: datetime, *, include_test: bool) -> list[str]:
    query = (
        select(col(SurveyResponse.wording_id)).where(*_answers_in(since, until, include_test=include_test)).distinct()
    )
    return sorted(tx.execute(query).scalars())


def _asked(tx: Tx, since: datetime, until: datetime, *, include_test: bool) -> tuple[int, int]:
    row = tx.execute(
        select(func.count(), func.count(col(SurveyInvitation.answered_at))).where(
            *_in_span(SurveyInvitation.created_at, since, until, include_test=include_test)
        )
    ).one()
    return row[0], row[1]


def _suppressed(tx: Tx, since: datetime, until: datetime, *, include_test: bool) -> dict[str, int]:
    reason = col(SurveyInvitation.suppressed_reason)
    query = (
        select(reason, func.count())
        .where(reason.is_not(None), *_in_span(SurveyInvitation.created_at, since, until, include_test=include_test))
        .group_by(reason)
        .order_by(reason)
    )
    return {str(name): times for name, times in tx.execute(query)}


def _segments(tx: Tx, since: datetime, until: datetime, name: str, *, include_test: bool) -> list[Segment]:
    value = func.coalesce(_COLUMNS.get(name, col(SurveyInvitation.segment)[name].astext), NOT_GIVEN)
    scores: dict[str, dict[int, int]] = defaultdict(dict)
    for group, score, times in tx.execute(
        select(value, col(SurveyResponse.score), func.count())
        .where(*_answers_in(since, until, include_test=include_test))
        .group_by(value, col(SurveyResponse.score))
    ):
        scores[group][score] = times
    asked = {
        group: (invited, answered)
        for group, invited, answered in tx.execute(
            select(value, func.count(), func.count(col(SurveyInvitation.answered_at)))
            .where(*_in_span(SurveyInvitation.created_at, since, until, include_test=include_test))
            .group_by(value)
        )
    }
    return [
        Segment(group, standing(given), asked.get(group, (0, 0))[0], _rate(asked.get(group)))
        for group, given in sorted(scores.items())
    ]


def _rate(asked: tuple[int, int] | None) -> Decimal | None:
    return response_rate(asked[1], asked[0]) if asked else None


def _openings(tx: Tx, since: datetime, until: datetime, *, include_test: bool) -> Openings:
    rows = tx.execute(
        select(SurveyFetch, SurveyInvitation)
        .where(
            col(SurveyFetch.invitation_id) == col(SurveyInvitation.id),
            *_in_span(SurveyInvitation.created_at, since, until, include_test=include_test),
        )
        .order_by(col(SurveyFetch.invitation_id), col(SurveyFetch.id))
        .execution_options(yield_per=1000)
    )
    fetches: dict[str, list[Fetch]] = defaultdict(list)
    invitations: dict[str, SurveyInvitation] = {}
    for fetch, invitation in rows:
        fetches[invitation.id].append(Fetch(fetch.score, fetch.user_agent, fetch.fetched_at))
        invitations[invitation.id] = invitation
    unconfirmed = scanned = 0
    for invitation_id, opened in fetches.items():
        invitation = invitations[invitation_id]
        mailed = [at for at in (invitation.emailed_at, invitation.reminded_at) if at is not None]
        flags = by_scanners(opened, mailed)
        scanned += sum(flags)
        unconfirmed += invitation.answered_at is None and not all(flags)
    return Openings(unconfirmed, scanned)
