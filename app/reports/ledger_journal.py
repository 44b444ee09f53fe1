"""The books themselves: every posting of every entry."""

from typing import Final

from app.reports.shape import Column, Kind, Report

_SQL: Final = """
SELECT
  entry.id AS entry_id, entry.booked_on AS date, to_char(entry.booked_on, 'YYYY-MM') AS period, entry.kind, entry.memo,
  posting.ledger_account AS account, ledger_account.name AS account_name, posting.dimension,
  greatest(posting.amount_minor, 0) AS debit, greatest(-posting.amount_minor, 0) AS credit, posting.currency,
  entry.source, entry.account_id AS customer_account_id, entity.code AS entity, posting.id AS posting_id
FROM ledger_entry entry
JOIN entity ON entity.id = entry.legal_entity_id
JOIN posting ON posting.entry_id = entry.id
JOIN ledger_account ON ledger_account.code = posting.ledger_account
WHERE entry.booked_on BETWEEN %(first)s AND %(last)s AND entry.recorded_at < entity.cut
"""

REPORT: Final = Report(
    name="ledger_journal",
    title="Ledger journal",
    about="One row per posting; debits and credits of an entry are equal in each currency.",
    columns=(
        Column("entry_id", Kind.CODE, "The entry; import it as the external id, since it never changes"),
        Column("date", Kind.DATE, "The accounting date, in the seller's time zone"),
        Column("period", Kind.CODE, "Its month"),
        Column("kind", Kind.CODE, "What sort of fact: invoice, payment"),
        Column("memo", Kind.TEXT, "In words"),
        Column("account", Kind.CODE, "Code in the chart of accounts"),
        Column("account_name", Kind.TEXT, "Its name"),
        Column("dimension", Kind.TEXT, "The jurisdiction of a tax, the provider of a clearing account"),
        Column("debit", Kind.MONEY, "0 for a credit"),
        Column("credit", Kind.MONEY, "0 for a debit"),
        Column("currency", Kind.CODE, "ISO 4217"),
        Column("source", Kind.CODE, "The fact that was booked, once"),
        Column("customer_account_id", Kind.CODE, "The customer it is about"),
        Column("entity", Kind.TEXT, "Code of the legal entity whose books these are"),
    ),
    sql=_SQL,
    order_by='o.date, o.entry_id COLLATE "C", o.posting_id',
)
