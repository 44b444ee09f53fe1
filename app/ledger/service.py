"""Writing entries: postings first, then the entry row that seals them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.ledger.models import LedgerEntry, Posting


class Code(StrEnum):
    """Accounts of the chart that code posts to; the chart itself is data."""

    BANK = "1000"
    RECEIVABLE = "1100"
    CLEARING = "1200"
    DEFERRED = "2100"
    DEFERRED_LONG = "2110"
    TAX = "2200"
    CREDIT = "2400"


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: debit positive, credit negative; `dimension` is a jurisdiction or provider."""

    code: Code
    amount: Money
    dimension: str = ""


def book(
    tx: Tx, *, source: str, kind: str, account_id: str, legal_entity_id: str, booked_on: date, memo: str,
    legs: Sequence[Leg], now: datetime,
) -> LedgerEntry:  # fmt: skip
    """Record one fact, once (`source` is unique). The database refuses legs that do not balance."""
    entry_id = new_id("led")
    tx.add_all(
        Posting(
            entry_id=entry_id, ledger_account=leg.code, dimension=leg.dimension, amount_minor=leg.amount.minor,
            currency=leg.amount.currency,
        )
        for leg in legs
        if leg.amount
    )  # fmt: skip
    tx.flush()
    entry = LedgerEntry(
        id=entry_id, source=source, kind=kind, account_id=account_id, legal_entity_id=legal_entity_id,
        booked_on=booked_on, recorded_at=now, memo=memo,
    )  # fmt: skip
    tx.add(entry)
    tx.flush()
    return entry
