from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, personal


class TaxDetermination(Table, table=True):
    """One answer of the engine, kept as it was given; a trigger refuses every change."""

    __tablename__ = "tax_determination"

    id: str = Field(primary_key=True)
    treatment: str = Field(index=True)
    result: dict[str, Any] = Field(sa_type=JSONB)
    request: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    inputs_hash: str
    data_version: str
    determined_at: datetime = Field(sa_type=INSTANT)


class TaxIdCheck(Table, table=True):
    """What a registry answered about a number, and when: the evidence for a reverse charge."""

    __tablename__ = "tax_id_check"

    id: str = Field(primary_key=True)
    type: str
    value: str = Field(index=True, sa_column_kwargs=personal("contact"))
    status: str
    reference: str | None = None
    reply_hash: str
    checked_at: datetime = Field(sa_type=INSTANT)
