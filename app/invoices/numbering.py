"""Gapless numbers (R-INV-2): the counter row is locked by the transaction that finalizes, and rolls back with it."""

from datetime import date

from sqlalchemy import text

from app.core.db import Tx

# A sequence would leave a gap on every rollback; max()+1 would hand one number out twice.
_NEXT = text(
    "INSERT INTO invoice_counter AS counter (legal_entity_id, series, next_number)"
    " VALUES (:entity, :series, 1 + CAST(:count AS integer))"
    " ON CONFLICT (legal_entity_id, series) DO UPDATE SET next_number = counter.next_number + CAST(:count AS integer)"
    " RETURNING next_number - CAST(:count AS integer)"
)


def next_sequence(tx: Tx, legal_entity_id: str, series: str, *, count: int = 1) -> int:
    """The next number of a series, the first of `count`; others wait until this transaction ends, so take it late."""
    return int(tx.execute(_NEXT, {"entity": legal_entity_id, "series": series, "count": count}).scalar_one())


_DATE_OF = text(
    "SELECT issued_on FROM invoice WHERE legal_entity_id = :entity AND series = :series AND sequence = :sequence"
    " UNION ALL SELECT issued_on FROM credit_note"
    " WHERE legal_entity_id = :entity AND series = :series AND sequence = :sequence"
)


def date_of(tx: Tx, legal_entity_id: str, series: str, sequence: int) -> date | None:
    """The day on which a number was issued; None before the first."""
    found = {"entity": legal_entity_id, "series": series, "sequence": sequence}
    issued_on: date | None = tx.execute(_DATE_OF, found).scalar()
    return issued_on


def of_credit_notes(series: str) -> str:
    """The series of the credit notes beside a series of invoices (R-INV-2)."""
    return f"{series}-CN"


def shown(series: str, sequence: int) -> str:
    """As printed: `ACME-000042`."""
    return f"{series}-{sequence:06d}"
