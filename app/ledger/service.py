"""Writing entries: postings first, then the entry row that seals them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.ledger.models import LedgerEntry, Posting


class Code(StrEnum):
    """Accounts of the chart that code posts to; the chart itself is data."""

    BANK = "1000"
    RECEIVABLE = "1100"
    CLEARING = "1200"
    DISPUTES_HELD = "1220"
    DEFERRED = "2100"
    DEFERRED_LONG = "2110"
    TAX = "2200"
    REFUNDS_PAYABLE = "2300"
    CUSTOMER_CREDIT = "2400"
    SUBSCRIPTIONS = "4000"
    CREDITS = "4900"  # against revenue
    DISPUTE_LOSSES = "4910"
    PROCESSOR_FEES = "6100"
    DISPUTE_FEES = "6110"


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: debit positive, credit negative; `dimension` is a jurisdiction or provider."""

    code: Code
    amount: Money
    dimension: str = ""


def rows(
    *, source: str, kind: str, account_id: str, legal_entity_id: str, booked_on: date, memo: str, legs: Sequence[Leg],
    now: datetime,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    """An entry and its postings."""
    entry = {
        "id": new_id("led"), "source": source, "kind": kind, "account_id": account_id,
        "legal_entity_id": legal_entity_id, "booked_on": booked_on, "recorded_at": now, "memo": memo,
    }  # fmt: skip
    postings = [
        {"entry_id": entry["id"], "ledger_account": leg.code.value, "dimension": leg.dimension,
         "amount_minor": leg.amount.minor, "currency": leg.amount.currency}
        for leg in legs
        if leg.amount
    ]  # fmt: skip
    return entry, postings


def book(
    tx: Tx, *, source: str, kind: str, account_id: str, legal_entity_id: str, booked_on: date, memo: str,
    legs: Sequence[Leg], now: datetime,
) -> LedgerEntry:  # fmt: skip
    """Record one fact, once (`source` is unique). The database refuses legs that do not balance."""
    sealed, postings = rows(source=source, kind=kind, account_id=account_id, legal_entity_id=legal_entity_id,
                            booked_on=booked_on, memo=memo, legs=legs, now=now)  # fmt: skip
    tx.add_all(Posting(**row) for row in postings)
    tx.flush()
    entry = LedgerEntry(**sealed)
    tx.add(entry)
    tx.flush()
    return entry
