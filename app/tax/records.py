"""What belongs in a tax provider's books, and how far it got: one row for each invoice and credit note (ADR 0052)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import select
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.ids import new_id
from app.tax.models import RecordState, TaxCalculation, TaxDetermination, TaxRecord
from app.tax.provider import Recorded

_LONGEST: Final = 500


class RecordSettled(DomainError):
    slug: ClassVar[str] = "tax-record-settled"
    title: ClassVar[str] = "This document is in the provider's books already"


def calculation_of(tx: Tx, determination_id: str) -> TaxCalculation | None:
    """The provider's answer behind a determination; None for one of our own engine."""
    query = select(TaxCalculation).join(
        TaxDetermination, col(TaxDetermination.calculation_id) == col(TaxCalculation.id)
    ).where(col(TaxDetermination.id) == determination_id)  # fmt: skip
    return tx.execute(query).scalar_one_or_none()


def intend(
    tx: Tx, calculation_id: str, provider: str, *, reference: str, now: datetime, invoice_id: str | None = None,
    credit_note_id: str | None = None,
) -> TaxRecord:  # fmt: skip
    """That a document is to be put there under its number; exactly one of the two ids is given."""
    row = TaxRecord(
        id=new_id("trc"), provider=provider, calculation_id=calculation_id, invoice_id=invoice_id,
        credit_note_id=credit_note_id, reference=reference, state=RecordState.WAITING, created_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def of_invoice(tx: Tx, invoice_id: str) -> TaxRecord | None:
    return tx.execute(select(TaxRecord).where(col(TaxRecord.invoice_id) == invoice_id)).scalar_one_or_none()


def of_credit_notes(tx: Tx, note_ids: Sequence[str]) -> list[TaxRecord]:
    """In the order of the notes' numbers."""
    query = select(TaxRecord).where(col(TaxRecord.credit_note_id).in_(note_ids)).order_by(col(TaxRecord.id))
    return list(tx.execute(query).scalars())


def get(tx: Tx, record_id: str) -> TaxRecord:
    """Raises NotFound."""
    row = tx.get(TaxRecord, record_id)
    if row is None:
        raise NotFound("There is no such record.")
    return row


def lock(tx: Tx, record_id: str) -> TaxRecord:
    """Raises NotFound."""
    query = select(TaxRecord).where(col(TaxRecord.id) == record_id).with_for_update()
    row = tx.execute(query).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such record.")
    return row


def settle(row: TaxRecord, done: Recorded, now: datetime) -> None:
    """It is in the provider's books."""
    row.state, row.ref, row.recorded_at, row.code, row.detail = RecordState.RECORDED, done.ref, now, "", ""
    row.lines = {str(position): ref for position, ref in done.lines.items()}


def fail(row: TaxRecord, code: str, detail: str, *, spent: bool) -> None:
    """There was no answer, and the queue asks again; under another key where this one is `spent`."""
    row.spent_keys += spent
    row.code, row.detail = code, detail[:_LONGEST]


def refuse(row: TaxRecord, code: str, detail: str) -> None:
    """The answer is no, and stays so until a person has seen to it."""
    row.state, row.code, row.detail = RecordState.REFUSED, code, detail[:_LONGEST]


def require_open(row: TaxRecord) -> None:
    """Raises RecordSettled."""
    if row.state is RecordState.RECORDED:
        raise RecordSettled(f"It is there as {row.ref}.")


def reopen(row: TaxRecord) -> None:
    """Let a refused one be tried again, under another key: a refusal may be remembered for the one it came to.

    Raises RecordSettled.
    """
    require_open(row)
    row.spent_keys += row.state is RecordState.REFUSED
    row.state = RecordState.WAITING


def lines_of(row: TaxRecord) -> Mapping[int, str]:
    """The provider's ids of a sale's lines by position."""
    return {int(position): str(ref) for position, ref in row.lines.items()}


def unsettled(tx: Tx, *, before: datetime, limit: int = 100) -> list[TaxRecord]:
    """What was refused, and what has waited since before then, the oldest first."""
    query = select(TaxRecord).where(
        col(TaxRecord.state) != RecordState.RECORDED,
        (col(TaxRecord.state) == RecordState.REFUSED) | (col(TaxRecord.created_at) < before),
    )  # fmt: skip
    return list(tx.execute(query.order_by(col(TaxRecord.id)).limit(limit)).scalars())
