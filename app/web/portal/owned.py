"""The one way a customer's page reads rows: through the account that is signed in (ADR 0019).

A row of another account is answered like one that does not exist.
"""

from typing import Any, TypeVar

from sqlalchemy import select
from sqlmodel import SQLModel, col

from app.accounts.sessions import SignedInCustomer
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import has_form

T = TypeVar("T", bound=SQLModel)


def _column(kind: type[SQLModel], name: str) -> Any:
    return col(getattr(kind, name))


def one(tx: Tx, who: SignedInCustomer, kind: type[T], prefix: str, row_id: str) -> T:
    """The row under this id, if it is the account's. Raises NotFound otherwise."""
    query = select(kind).where(_column(kind, "id") == row_id, _column(kind, "account_id") == who.account_id)
    row = tx.execute(query).scalar_one_or_none() if has_form(prefix, row_id) else None
    if row is None:
        raise NotFound("It does not exist, or it belongs to another account.")
    return row


def all_of(tx: Tx, who: SignedInCustomer, kind: type[T], *where: Any, limit: int = 500) -> list[T]:
    """The account's rows, newest first."""
    query = select(kind).where(_column(kind, "account_id") == who.account_id, *where)
    return list(tx.execute(query.order_by(_column(kind, "id").desc()).limit(limit)).scalars())
