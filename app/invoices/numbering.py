"""Gapless numbers (R-INV-2): the counter row is locked by the transaction that finalizes, and rolls back with it."""

from sqlalchemy import text

from app.core.db import Tx

# A sequence would leave a gap on every rollback; max()+1 would hand one number out twice.
_NEXT = text(
    "INSERT INTO invoice_counter AS counter (legal_entity_id, series, next_number) VALUES (:entity, :series, 2)"
    " ON CONFLICT (legal_entity_id, series) DO UPDATE SET next_number = counter.next_number + 1"
    " RETURNING next_number - 1"
)


def next_sequence(tx: Tx, legal_entity_id: str, series: str) -> int:
    """The next number of a series; others wait until this transaction ends, so take it late."""
    return int(tx.execute(_NEXT, {"entity": legal_entity_id, "series": series}).scalar_one())


def shown(series: str, sequence: int) -> str:
    """As printed: `ACME-000042`."""
    return f"{series}-{sequence:06d}"
