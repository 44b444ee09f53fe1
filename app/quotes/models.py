from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal, text_enum


class QuoteState(StrEnum):
    REQUESTED = "requested"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class Quote(Table, table=True):
    """A request that staff answer. Its preview is kept for the figures that were shown."""

    __tablename__ = "quote"
    __table_args__ = (UniqueConstraint("preview_id"),)

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    preview_id: str = Field(foreign_key="preview.id")
    state: QuoteState = Field(sa_type=text_enum(QuoteState, name="quote_state"), index=True)
    reasons: list[dict[str, Any]] = Field(sa_type=JSONB)
    contact_name: str = Field(sa_column_kwargs=personal("name"))
    contact_email: str = Field(sa_column_kwargs=personal("contact"))
    note: str = Field(default="", sa_column_kwargs=personal("free_text"))
    closed_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    created_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)
