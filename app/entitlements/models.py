from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table


class Entitlement(Table, table=True):
    """`key` holds `value` (a flag, a count or a limit) for `[starts_at, ends_at)`."""

    __tablename__ = "entitlement"
    __table_args__ = (
        UniqueConstraint("order_id", "key", "starts_at"),
        # One key for both: the account is the order's, and each of many rows is looked up once.
        ForeignKeyConstraint(
            ["order_id", "account_id"], ["order.id", "order.account_id"], name="fk_entitlement_order_id"
        ),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(index=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    order_id: str
    key: str
    value: Any = Field(sa_type=JSONB)
    starts_at: datetime = Field(sa_type=INSTANT)
    ends_at: datetime = Field(sa_type=INSTANT)
