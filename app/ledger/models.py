"""Postings are written before their entry, and the entry row is the seal (ADR 0006).

`posting.entry_id` is a deferred foreign key: postings without an entry cannot be committed. A trigger on
the entry requires at least two postings that sum to zero per currency; others refuse any later posting to
a sealed entry, postings of another transaction than the entry's, and every update or delete.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, minor_field, row_id


class LedgerAccount(Table, table=True):
    """The chart of accounts, seeded by migration."""

    __tablename__ = "ledger_account"

    code: str = Field(primary_key=True)
    name: str
    kind: str


class LedgerEntry(Table, table=True):
    """The seal over a set of postings that record one fact."""

    __tablename__ = "ledger_entry"

    id: str = Field(primary_key=True)
    source: str = Field(unique=True)  # the fact, such as `invoice:inv_…`: recorded once
    kind: str
    account_id: str = Field(foreign_key="account.id", index=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    booked_on: date = Field(index=True)
    recorded_at: datetime = Field(sa_type=INSTANT)
    memo: str
    # The transaction that sealed it, set by the seal: no posting of another transaction can be committed to it.
    sealed_in: int | None = Field(default=None, nullable=False, sa_type=BigInteger)


class Posting(Table, table=True):
    """Debits are positive, credits negative, in minor units."""

    __tablename__ = "posting"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        ForeignKeyConstraint(["entry_id"], ["ledger_entry.id"], deferrable=True, initially="DEFERRED"),
        Index("ix_posting_ledger_account_currency", "ledger_account", "currency"),
    )

    id: int | None = row_id()
    entry_id: str = Field(index=True)
    ledger_account: str = Field(foreign_key="ledger_account.code")
    dimension: str = ""  # the tax jurisdiction, the payment provider
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
