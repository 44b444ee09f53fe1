"""Servers that try the product (R-LIC-9)."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, text_enum
from app.core.states import declare_moves


class TrialState(StrEnum):
    STARTED = "started"
    EXPIRED = "expired"
    CONVERTED = "converted"


TRIAL_MOVES: Final = declare_moves(
    "trial",
    {
        (TrialState.STARTED, TrialState.EXPIRED), (TrialState.STARTED, TrialState.CONVERTED),
        (TrialState.EXPIRED, TrialState.CONVERTED),  # bought after it ended
    },
)  # fmt: skip


class TrialDoor(StrEnum):
    """How somebody came to it."""

    SERVER = "server"
    PORTAL = "portal"
    STAFF = "staff"


class Trial(Table, table=True):
    """A server that tries the product (R-LIC-9). `order_id` is the order that names it, or that ended it.

    What was typed is kept here: it changes no account. A second trial of a server is given by a person, with a reason.
    """

    __tablename__ = "trial"
    __table_args__ = (
        CheckConstraint("users > 0", name="users_positive"),
        CheckConstraint("ends_at > started_at", name="ends_after_start"),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country_is_iso"),
        CheckConstraint("server_id ~ '^[A-Za-z0-9_.:-]{1,64}$'", name="server_id_form"),
        CheckConstraint("(state = 'started') = (ended_at IS NULL)", name="ended_has_instant"),
        CheckConstraint("state <> 'converted' OR order_id IS NOT NULL", name="converted_by_an_order"),
        CheckConstraint("(door = 'staff') = (given_by <> '' AND reason <> '')", name="given_with_a_reason"),
        Index("uq_trial_server_ever", "server_id", unique=True, postgresql_where=text("door <> 'staff'")),
        Index("uq_trial_server_live", "server_id", unique=True, postgresql_where=text("state = 'started'")),
        Index("ix_trial_to_end", "ends_at", postgresql_where=text("state = 'started'")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    license_id: str = Field(foreign_key="license.id", unique=True)
    order_id: str | None = Field(default=None, foreign_key="order.id", index=True)
    terms_id: str = Field(foreign_key="terms_version.id")
    server_id: str
    state: TrialState = Field(sa_type=text_enum(TrialState, name="trial_state"))
    door: TrialDoor = Field(sa_type=text_enum(TrialDoor, name="trial_door"))
    email: str = Field(index=True, sa_column_kwargs=personal("contact"))
    email_domain: str = Field(index=True, sa_column_kwargs=personal("contact"))
    person_name: str = Field(sa_column_kwargs=personal("name"))
    company: str = Field(sa_column_kwargs=personal("name"))
    country: str
    locale: str
    users: int  # as many as the license has
    users_asked: int
    site_name: str = Field(default="", sa_column_kwargs=personal("free_text"))
    site_url: str = Field(default="", sa_column_kwargs=personal("network"))
    server_version: str = ""
    wants_mail: bool = False  # news beside what a trial needs
    ip: str = Field(default="", sa_column_kwargs=personal("network"))
    given_by: str = ""
    reason: str = Field(default="", sa_column_kwargs=personal("free_text"))
    started_at: datetime = Field(sa_type=INSTANT)
    ends_at: datetime = Field(sa_type=INSTANT)
    ended_at: datetime | None = Field(default=None, sa_type=INSTANT)
