"""What payment providers kept, by the day it was booked."""

from typing import Final

from app.reports.shape import Column, Kind, Report

_SQL: Final = """
SELECT
  fee.id,
  CASE WHEN fee.refund_id IS NOT NULL THEN 'refund' WHEN fee.dispute_id IS NOT NULL THEN 'dispute'
    ELSE 'payment' END AS about,
  entry.booked_on AS booked_date, fee.account_id, fee.payment_id,
  coalesce(fee.refund_id, fee.dispute_id) AS returned_id, fee.provider, fee.provider_ref,
  payment.currency AS paid_currency, fee.amount_minor AS fee, fee.currency
FROM provider_fee fee
JOIN ledger_entry entry ON entry.source = 'provider_fee:' || fee.id
JOIN entity ON entity.id = entry.legal_entity_id
JOIN payment ON payment.id = fee.payment_id
WHERE entry.booked_on BETWEEN %(first)s AND %(last)s AND entry.recorded_at < entity.cut
"""

REPORT: Final = Report(
    name="provider_fees",
    title="Provider fees",
    about="One row per fee of a payment provider, by the day it was booked; below zero where a fee was given back.",
    columns=(
        Column("id", Kind.CODE, "Our record of the fee"),
        Column("about", Kind.CODE, "payment, refund or dispute"),
        Column("booked_date", Kind.DATE, "The accounting date, in the seller's time zone"),
        Column("account_id", Kind.CODE, "The customer's account"),
        Column("payment_id", Kind.CODE, "The payment it is about"),
        Column("returned_id", Kind.CODE, "The refund or dispute it is about; empty for the payment itself"),
        Column("provider", Kind.TEXT, "Who kept it"),
        Column("provider_ref", Kind.TEXT, "The provider's balance transaction"),
        Column("paid_currency", Kind.CODE, "ISO 4217, of the payment"),
        Column("fee", Kind.MONEY, "What was kept"),
        Column("currency", Kind.CODE, "ISO 4217, in which the provider settles"),
    ),
    sql=_SQL,
    order_by='o.booked_date, o.id COLLATE "C"',
)
