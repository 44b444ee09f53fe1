"""Lists: `limit` and `starting_after`, newest first, stable under inserts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Select

from app.core.db import Tx

T = TypeVar("T")
MAX_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    data: Sequence[T]
    has_more: bool


def page(tx: Tx, query: Select[T], id_column: Any, *, limit: int, starting_after: str | None) -> Page[T]:
    """One page of rows ordered by id descending; ids sort by creation, so the cursor is the last id seen."""
    limit = max(1, min(limit, MAX_LIMIT))
    if starting_after is not None:
        query = query.where(id_column < starting_after)
    rows = list(tx.execute(query.order_by(id_column.desc()).limit(limit + 1)).scalars())
    return Page(rows[:limit], has_more=len(rows) > limit)
