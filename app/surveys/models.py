from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, index_where_set, personal, row_id, text_enum


class SurveyKind(StrEnum):
    PURCHASE = "purchase"
    RENEWAL = "renewal"
    EXPANSION = "expansion"


class AnswerSource(StrEnum):
    CONFIRMATION_PAGE = "confirmation_page"
    EMAIL = "email"
    API = "api"


class SurveyInvitation(Table, table=True):
    """One per purchase, renewal and expansion, always; a suppressed one keeps its reason (R-NPS-1)."""

    __tablename__ = "survey_invitation"
    __table_args__ = (
        UniqueConstraint("source", "external_ref"),
        CheckConstraint("expires_at > created_at", name="expires_later"),
        index_where_set("survey_invitation", "email_due_at"),
        index_where_set("survey_invitation", "reminder_due_at"),
        index_where_set("survey_invitation", "answered_at"),
    )

    id: str = Field(primary_key=True)
    kind: SurveyKind = Field(sa_type=text_enum(SurveyKind, name="survey_kind"))
    source: str = "blp"  # or the name of the outside system that opened it
    external_ref: str  # our order id, or the outside system's own reference
    account_id: str | None = Field(default=None, foreign_key="account.id", index=True)
    order_id: str | None = Field(default=None, foreign_key="order.id")
    person_email: str | None = Field(default=None, sa_column_kwargs=personal("contact"))
    person_name: str = Field(default="", sa_column_kwargs=personal("name"))
    person_hash: str | None = Field(default=None, index=True)  # who, without saying who: for the 90 days rule
    wording_id: str
    segment: dict[str, Any] = Field(sa_type=JSONB)
    locale: str = "en"
    test: bool = False
    suppressed_reason: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    email_due_at: datetime | None = Field(default=None, sa_type=INSTANT)
    emailed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    reminder_due_at: datetime | None = Field(default=None, sa_type=INSTANT)
    reminded_at: datetime | None = Field(default=None, sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    answered_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SurveyResponse(Table, table=True):
    """An answer. It may be changed until the link dies; every version is kept and the latest counts."""

    __tablename__ = "survey_response"
    __table_args__ = (
        CheckConstraint("score BETWEEN 0 AND 10", name="score_range"),
        UniqueConstraint("invitation_id", "version"),
        Index("uq_survey_response_latest", "invitation_id", unique=True, postgresql_where=text("latest")),
    )

    id: int | None = row_id()
    invitation_id: str = Field(foreign_key="survey_invitation.id")
    version: int
    latest: bool
    score: int
    comment: str = Field(default="", sa_column_kwargs=personal("free_text"))
    wording_id: str
    source: AnswerSource = Field(sa_type=text_enum(AnswerSource, name="answer_source"))
    answered_at: datetime = Field(sa_type=INSTANT, index=True)


class SurveyFetch(Table, table=True):
    """A link that was opened: evidence about mail scanners, never an answer (R-NPS-2)."""

    __tablename__ = "survey_fetch"

    id: int | None = row_id()
    invitation_id: str = Field(foreign_key="survey_invitation.id", index=True)
    score: int | None = None
    user_agent: str = Field(default="", sa_column_kwargs=personal("network"))
    fetched_at: datetime = Field(sa_type=INSTANT)


class SurveyOptOut(Table, table=True):
    """A person who does not want to be asked, known by a keyed hash only."""

    __tablename__ = "survey_opt_out"

    person_hash: str = Field(primary_key=True)
    opted_out_at: datetime = Field(sa_type=INSTANT)
