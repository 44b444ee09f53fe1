"""Numbers of quotes, `Q-YYYY-NNNNN`: from a counter whose row is locked until the draft is committed (R-ORD-3)."""

from sqlalchemy import text

from app.core.db import Tx

_NEXT = text(
    "INSERT INTO quote_counter AS counter (year, next_number) VALUES (:year, 2)"
    " ON CONFLICT (year) DO UPDATE SET next_number = counter.next_number + 1 RETURNING next_number - 1"
)


def next_number(tx: Tx, year: int) -> str:
    """The next number of a year; a draft that is rolled back gives it back."""
    return f"Q-{year}-{int(tx.execute(_NEXT, {'year': year}).scalar_one()):05d}"
