"""Which invitations are to be mailed now: one mail and one reminder each, never after an answer (R-NPS-1)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.surveys import policies
from app.surveys.models import SurveyInvitation, SurveyOptOut
from app.surveys.service import Suppressed

_due_at = col(SurveyInvitation.email_due_at)
_emailed_at = col(SurveyInvitation.emailed_at)
_reminder_due_at = col(SurveyInvitation.reminder_due_at)


class Step(StrEnum):
    INVITATION = "invitation"
    REMINDER = "reminder"


def _unanswered() -> ColumnElement[bool]:
    return and_(
        col(SurveyInvitation.answered_at).is_(None),
        col(SurveyInvitation.suppressed_reason).is_(None),
        col(SurveyInvitation.person_email).is_not(None),
    )


def due(tx: Tx, now: datetime) -> Sequence[tuple[str, str]]:
    """Invitations with a mail to send now, as (id, whom: one key per person), the longest waiting first.

    A link that died meanwhile is not mailed: after a long downtime only what still makes sense goes out.
    """
    query = (
        select(col(SurveyInvitation.id), func.coalesce(col(SurveyInvitation.person_hash), col(SurveyInvitation.id)))
        .where(
            _unanswered(),
            col(SurveyInvitation.expires_at) > now,
            or_(
                and_(_emailed_at.is_(None), _due_at <= now),
                and_(col(SurveyInvitation.reminded_at).is_(None), _reminder_due_at <= now),
            ),
        )
        .order_by(func.coalesce(_reminder_due_at, _due_at), col(SurveyInvitation.id))
    )
    return [(row[0], row[1]) for row in tx.execute(query)]


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The next instant after `after` at which `due` can find something new: where a walk of the clock has to stop."""
    alive = and_(_unanswered(), col(SurveyInvitation.expires_at) > after)
    first_mail = tx.execute(select(func.min(_due_at)).where(alive, _emailed_at.is_(None), _due_at > after)).scalar()
    first_reminder = tx.execute(
        select(func.min(_reminder_due_at)).where(
            alive, col(SurveyInvitation.reminded_at).is_(None), _reminder_due_at > after
        )
    ).scalar()
    return min((each for each in (first_mail, first_reminder) if each is not None), default=None)


def decide(tx: Tx, invitation_id: str, now: datetime) -> tuple[SurveyInvitation, Step] | None:
    """What to send to this person at this moment, looked at again just before sending; None if nothing.

    Who opted out, or got another survey's mail since, is suppressed here. Jobs of one person run one after the
    other (flows/survey.py), so two invitations of that person cannot both pass.
    """
    invitation = tx.get(SurveyInvitation, invitation_id, with_for_update=True, populate_existing=True)
    if (
        invitation is None
        or invitation.answered_at is not None
        or invitation.suppressed_reason is not None
        or invitation.person_email is None
        or invitation.expires_at <= now
    ):
        return None
    if invitation.emailed_at is not None:
        due_at = invitation.reminder_due_at if invitation.reminded_at is None else None
        return (invitation, Step.REMINDER) if due_at is not None and due_at <= now else None
    if invitation.email_due_at is None or invitation.email_due_at > now:
        return None
    if invitation.person_hash is not None and tx.get(SurveyOptOut, invitation.person_hash) is not None:
        invitation.suppressed_reason = Suppressed.OPTED_OUT
        return None
    if _mailed_recently(tx, invitation, now):
        invitation.suppressed_reason = Suppressed.ASKED_RECENTLY
        return None
    return invitation, Step.INVITATION


def _mailed_recently(tx: Tx, invitation: SurveyInvitation, now: datetime) -> bool:
    quiet_since = now - timedelta(days=policy.get(tx, policies.QUIET_DAYS, now))
    other = tx.execute(
        select(col(SurveyInvitation.id))
        .where(
            col(SurveyInvitation.person_hash) == invitation.person_hash,
            col(SurveyInvitation.id) != invitation.id,
            _emailed_at > quiet_since,
        )
        .limit(1)
    ).first()
    return other is not None


def record(tx: Tx, invitation_id: str, step: Step, now: datetime) -> None:
    """The mail went out. A reminder is planned only if the link still lives on that day."""
    invitation = tx.get_one(SurveyInvitation, invitation_id, with_for_update=True, populate_existing=True)
    if step is Step.REMINDER:
        invitation.reminded_at = now
        return
    invitation.emailed_at = now
    reminder = now + timedelta(days=policy.get(tx, policies.REMINDER_AFTER_DAYS, now))
    invitation.reminder_due_at = reminder if reminder < invitation.expires_at else None
