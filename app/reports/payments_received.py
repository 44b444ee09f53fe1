"""Money that arrived, and what it paid."""

from typing import Final

from app.reports.shape import Column, Kind, Report

# A payment whose entry is missing is still listed: verify-books reports it, an export never hides money.
_SQL: Final = """
SELECT * FROM (
  SELECT
    payment.id, payment.provider, payment.provider_ref,
    coalesce(entry.booked_on, (payment.received_at AT TIME ZONE entity.time_zone)::date) AS received_date,
    payment.account_id, payment.order_id, paid.numbers AS invoice_number, payment.method,
    payment.method_label AS label, payment.amount_minor AS gross,
    coalesce(kept.minor, 0) AS fee, payment.amount_minor - coalesce(kept.minor, 0) AS net,
    payment.amount_minor - coalesce(paid.minor, 0) AS over, payment.currency
  FROM payment
  LEFT JOIN "order" ON "order".id = payment.order_id
  LEFT JOIN ledger_entry entry ON entry.source = 'payment:' || payment.id
  JOIN entity ON entity.id = coalesce(
    entry.legal_entity_id, "order".legal_entity_id, (SELECT id FROM legal_entity ORDER BY code COLLATE "C" LIMIT 1))
  LEFT JOIN LATERAL (
    SELECT string_agg(invoice.number, ' ' ORDER BY part.id) AS numbers, sum(part.amount_minor)::bigint AS minor
    FROM invoice_payment part JOIN invoice ON invoice.id = part.invoice_id
    WHERE part.payment_id = payment.id AND invoice.finalized_at < entity.cut
  ) paid ON true
  LEFT JOIN LATERAL (
    SELECT sum(fee.amount_minor)::bigint AS minor FROM provider_fee fee
    WHERE fee.payment_id = payment.id AND fee.refund_id IS NULL AND fee.dispute_id IS NULL
      AND fee.currency = payment.currency AND fee.recorded_at < entity.cut
  ) kept ON true
  WHERE coalesce(entry.recorded_at, payment.received_at) < entity.cut
) received
WHERE received_date BETWEEN %(first)s AND %(last)s
"""

REPORT: Final = Report(
    name="payments_received",
    title="Payments received",
    about="One row per payment, by the day it was booked.",
    columns=(
        Column("id", Kind.CODE, "Our payment"),
        Column("provider", Kind.TEXT, "Who collected it"),
        Column("provider_ref", Kind.TEXT, "The provider's id of the charge"),
        Column("received_date", Kind.DATE, "The accounting date, in the seller's time zone"),
        Column("account_id", Kind.CODE, "The customer's account"),
        Column("order_id", Kind.CODE, "The order that was paid; empty for a transfer"),
        Column("invoice_number", Kind.TEXT, "The invoice it paid; several stand beside each other"),
        Column("method", Kind.CODE, "card, wire or cheque"),
        Column("label", Kind.TEXT, "Brand and last digits of a card"),
        Column("gross", Kind.MONEY, "Before the provider's fee"),
        Column("fee", Kind.MONEY, "What the provider kept in this currency, as far as known; see provider_fees"),
        Column("net", Kind.MONEY, "What was left of it"),
        Column("over", Kind.MONEY, "What was more than was owed, and became the customer's credit"),
        Column("currency", Kind.CODE, "ISO 4217"),
    ),
    sql=_SQL,
    order_by='o.received_date, o.id COLLATE "C"',
)
