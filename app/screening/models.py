"""Lists of parties that nobody may sell to, who is like one of them, and what a person decided about it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, row_id, text_enum


class CaseState(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"  # another party than the listed one, or one that may be sold to
    CONFIRMED = "confirmed"  # the listed party: nothing is sold or delivered to it


class CheckOutcome(StrEnum):
    CLEAR = "clear"  # nothing alike; which is no clearance
    REVIEW = "review"
    BLOCKED = "blocked"


class Decision(StrEnum):
    """What a person says about a case; the last two take an earlier one back."""

    CLEAR = "clear"
    CONFIRM = "confirm"
    OVERTURN = "overturn"  # confirmed, and somebody else after all
    REOPEN = "reopen"  # cleared, and in doubt again


class Role(StrEnum):
    COMPANY = "company"
    PERSON = "person"


class ScreeningVersion(Table, table=True):
    """One import of a list. Its id counts up over all lists: what is newer than a version has a higher one."""

    __tablename__ = "screening_version"
    __table_args__ = (
        CheckConstraint("list_code ~ '^[a-z][a-z0-9_]{1,19}$'", name="list_is_a_code"),
        CheckConstraint("entries > 0 AND added >= 0 AND changed >= 0 AND removed >= 0", name="counts_not_negative"),
        Index("ix_screening_version_list_code", "list_code", "id"),
    )

    id: int | None = row_id()
    list_code: str
    version: str  # as the operator calls it, else the day of the import
    sha256: str  # of the file
    entries: int
    added: int
    changed: int
    removed: int
    imported_by: str
    imported_at: datetime = Field(sa_type=INSTANT)


class ScreeningEntry(Table, table=True):
    """A listed party as its list has it now; `version_id` is the import that brought it like this."""

    __tablename__ = "screening_entry"
    __table_args__ = (
        UniqueConstraint("list_code", "entry_key"),
        CheckConstraint("name <> ''", name="name_given"),
        Index("ix_screening_entry_version_id", "version_id"),
    )

    id: int | None = row_id()
    list_code: str
    entry_key: str  # what the list knows it by, with its source
    source: str
    entity_number: str
    type: str
    programs: list[str] = Field(sa_type=JSONB)
    name: str
    alt_names: list[str] = Field(sa_type=JSONB)
    countries: list[str] = Field(sa_type=JSONB)
    starts_on: date | None = None
    ends_on: date | None = None
    url: str
    content_hash: str
    version_id: int = Field(sa_type=BigInteger, foreign_key="screening_version.id")
    removed_in: int | None = Field(default=None, sa_type=BigInteger, foreign_key="screening_version.id")


class ScreeningName(Table, table=True):
    """A name of a party that is listed now, as `names.normalized` has it."""

    __tablename__ = "screening_name"
    __table_args__ = (
        UniqueConstraint("entry_id", "normalized"),
        CheckConstraint("normalized <> ''", name="name_given"),
        Index(
            "ix_screening_name_alike", "normalized", postgresql_using="gin",
            postgresql_ops={"normalized": "gin_trgm_ops"},
        ),
        Index("ix_screening_name_version_id", "version_id"),
    )  # fmt: skip

    id: int | None = row_id()
    entry_id: int = Field(sa_type=BigInteger, foreign_key="screening_entry.id")
    normalized: str
    version_id: int = Field(sa_type=BigInteger, foreign_key="screening_version.id")


class ScreeningCheck(Table, table=True):
    """What was asked and found: names, versions of every list, hits with their scores. Never changed; kept long."""

    __tablename__ = "screening_check"
    __table_args__ = (Index("ix_screening_check_checked_at", "checked_at"),)

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    preview_id: str | None = Field(default=None, foreign_key="preview.id", index=True)  # of the order it was about
    names: list[dict[str, Any]] = Field(sa_type=JSONB, sa_column_kwargs=personal("name"))
    versions: dict[str, int] = Field(sa_type=JSONB)
    hits: list[dict[str, Any]] = Field(sa_type=JSONB, sa_column_kwargs=personal("name"))
    outcome: CheckOutcome = Field(sa_type=text_enum(CheckOutcome, name="check_outcome"))
    checked_by: str  # order, rescreen, trial
    checked_at: datetime = Field(sa_type=INSTANT)


class ScreeningCase(Table, table=True):
    """A name of an account that is like a listed one. Decided once for this name and this content of the entry."""

    __tablename__ = "screening_case"
    __table_args__ = (
        UniqueConstraint("account_id", "entry_id", "entry_hash", "normalized"),
        CheckConstraint("score BETWEEN 0 AND 100", name="score_is_percent"),
        CheckConstraint(
            "(state = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by = '')"
            " AND (decided_by = '') = (reason = '')",
            name="decision_has_person_and_reason",
        ),
        Index("ix_screening_case_open", "opened_at", postgresql_where=text("state = 'open'")),
        Index("ix_screening_case_stands", "account_id", postgresql_where=text("state <> 'cleared'")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id")
    role: Role = Field(sa_type=text_enum(Role, name="screened_role"))
    party_name: str = Field(sa_column_kwargs=personal("name"))
    normalized: str = Field(sa_column_kwargs=personal("name"))
    country: str
    entry_id: int = Field(sa_type=BigInteger, foreign_key="screening_entry.id")
    entry_hash: str
    entry: dict[str, Any] = Field(sa_type=JSONB)  # the entry as it was
    version_id: int = Field(sa_type=BigInteger, foreign_key="screening_version.id")
    score: int
    exact: bool  # the same name in a country of the entry: the order is refused, not held
    state: CaseState = Field(sa_type=text_enum(CaseState, name="state"))
    opened_at: datetime = Field(sa_type=INSTANT)
    due_at: datetime = Field(sa_type=INSTANT)
    decided_at: datetime | None = Field(default=None, sa_type=INSTANT)
    decided_by: str = ""
    reason: str = Field(default="", sa_column_kwargs=personal("free_text"))


class ScreeningDecision(Table, table=True):
    """Everything that was ever decided about a case; the case itself has what holds now. Never changed."""

    __tablename__ = "screening_decision"
    __table_args__ = (CheckConstraint("decided_by <> '' AND reason <> ''", name="has_person_and_reason"),)

    id: int | None = row_id()
    case_id: str = Field(foreign_key="screening_case.id", index=True)
    decision: Decision = Field(sa_type=text_enum(Decision, name="decision"))
    decided_by: str
    reason: str = Field(sa_column_kwargs=personal("free_text"))
    decided_at: datetime = Field(sa_type=INSTANT)


class ScreeningStanding(Table, table=True):
    """Up to which version the names of an account were compared, and which names: a rescreen goes on from here."""

    __tablename__ = "screening_standing"

    account_id: str = Field(primary_key=True, foreign_key="account.id")
    version_id: int = Field(sa_type=BigInteger, foreign_key="screening_version.id", index=True)
    names_hash: str
    screened_at: datetime = Field(sa_type=INSTANT)


class OwnershipAttestation(Table, table=True):
    """That a business said who does not own it: the exact text, who, when and from where. Never changed."""

    __tablename__ = "ownership_attestation"
    __table_args__ = (
        CheckConstraint("text <> '' AND person_name <> '' AND recorded_by <> ''", name="says_what_and_who"),
        CheckConstraint("text_sha256 = encode(sha256(convert_to(text, 'UTF8')), 'hex')", name="hash_is_true"),
        CheckConstraint("order_id IS NOT NULL OR note <> ''", name="with_an_order_or_a_note"),
        Index("ix_ownership_attestation_latest", "account_id", "attested_at"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id")
    order_id: str | None = Field(default=None, foreign_key="order.id", index=True)
    text: str
    text_version: str
    text_sha256: str
    person_name: str = Field(sa_column_kwargs=personal("name"))
    person_email: str = Field(sa_column_kwargs=personal("contact"))
    company: str = Field(sa_column_kwargs=personal("name"))
    ip: str = Field(sa_column_kwargs=personal("network"))
    user_agent: str = Field(sa_column_kwargs=personal("network"))
    recorded_by: str  # buyer, or the id of a member of staff who has it in writing
    note: str = Field(default="", sa_column_kwargs=personal("free_text"))
    attested_at: datetime = Field(sa_type=INSTANT)
