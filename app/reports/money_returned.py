"""Money that went back: refunds as they were sent or failed, and disputes as they were opened and ended."""

from typing import Final

from app.reports.shape import Column, Kind, Report

# One row per entry of the books, so that a refund that failed afterwards is seen twice, with both signs.
_SQL: Final = """
SELECT
  entry.source AS sort_source, fact.id, fact.kind, entry.booked_on AS booked_date, entry.account_id,
  fact.payment_id, invoice.number AS invoice_number, note.number AS credit_note_number, fact.provider,
  fact.provider_ref, fact.reason, fact.sign * fact.amount_minor AS amount, fact.currency
FROM (
  SELECT 'refund:' || id AS source, id, 'refund' AS kind, payment_id, credit_note_id, provider, provider_ref, reason,
    -1 AS sign, amount_minor, currency FROM refund
  UNION ALL
  SELECT 'refund_failed:' || id, id, 'refund_failed', payment_id, credit_note_id, provider, provider_ref,
    failure_code, 1, amount_minor, currency FROM refund
  WHERE EXISTS (SELECT FROM ledger_entry WHERE source = 'refund:' || refund.id)
  UNION ALL
  SELECT 'dispute_opened:' || id, id, 'dispute_opened', payment_id, NULL, provider, provider_ref, reason, -1,
    amount_minor, currency FROM dispute
  UNION ALL
  SELECT 'dispute_won:' || id, id, 'dispute_won', payment_id, NULL, provider, provider_ref, reason, 1, amount_minor,
    currency FROM dispute
  UNION ALL
  SELECT 'dispute_lost:' || id, id, 'dispute_lost', payment_id, NULL, provider, provider_ref, reason, 0, amount_minor,
    currency FROM dispute
) fact
JOIN ledger_entry entry ON entry.source = fact.source
JOIN entity ON entity.id = entry.legal_entity_id
JOIN payment ON payment.id = fact.payment_id
LEFT JOIN invoice ON invoice.order_id = payment.order_id AND invoice.replaces IS NULL
  AND invoice.finalized_at < entity.cut
LEFT JOIN credit_note note ON note.id = fact.credit_note_id
WHERE entry.booked_on BETWEEN %(first)s AND %(last)s AND entry.recorded_at < entity.cut
"""

REPORT: Final = Report(
    name="money_returned",
    title="Money returned",
    about="Refunds and disputes by the day they were booked: what left the provider below zero, what came back above.",
    columns=(
        Column("id", Kind.CODE, "Our refund or dispute"),
        Column("kind", Kind.CODE, "refund, refund_failed, dispute_opened, dispute_won or dispute_lost"),
        Column("booked_date", Kind.DATE, "The accounting date, in the seller's time zone"),
        Column("account_id", Kind.CODE, "The customer's account"),
        Column("payment_id", Kind.CODE, "The payment it is about"),
        Column("invoice_number", Kind.TEXT, "The invoice that was paid with it"),
        Column("credit_note_number", Kind.TEXT, "The credit note of a refund"),
        Column("provider", Kind.TEXT, "Who sent or held it"),
        Column("provider_ref", Kind.TEXT, "The provider's id"),
        Column("reason", Kind.TEXT, "Why, or why it failed"),
        Column("amount", Kind.MONEY, "What moved at the provider; a lost dispute moved when it was opened"),
        Column("currency", Kind.CODE, "ISO 4217"),
    ),
    sql=_SQL,
    order_by='o.booked_date, o.sort_source COLLATE "C"',
)
