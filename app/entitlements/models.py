from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table


class Entitlement(Table, table=True):
    """`key` holds `value` (a flag, a count or a limit) for `[starts_at, ends_at)`; an order grants it once from an
    instant on. Of what subscription, the order knows.
    """

    __tablename__ = "entitlement"
    __table_args__ = (
        # One key for both: the account is the order's, and each of many rows is looked up once.
        ForeignKeyConstraint(
            ["order_id", "account_id"], ["order.id", "order.account_id"], name="fk_entitlement_order_id"
        ),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    )

    order_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_type=INSTANT, primary_key=True)
    account_id: str = Field(index=True)
    value: Any = Field(sa_type=JSONB)
    ends_at: datetime = Field(sa_type=INSTANT)
