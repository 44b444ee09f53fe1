"""What `verify_books` asks of credit, of money that went back, and of what providers keep."""

from typing import Final

CUSTOMER_CREDIT: Final = """
WITH ledger AS (
  SELECT entry.account_id AS buyer, posting.currency, -sum(posting.amount_minor) AS minor
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE posting.ledger_account = '2400' GROUP BY 1, 2
), kept AS (
  SELECT account_id AS buyer, currency, sum(amount_minor) AS minor FROM customer_credit GROUP BY 1, 2
)
SELECT buyer, format('has %%s %%s of credit by the ledger and %%s by its entries', coalesce(ledger.minor, 0), currency,
  coalesce(kept.minor, 0)) AS detail
FROM ledger FULL JOIN kept USING (buyer, currency)
WHERE coalesce(ledger.minor, 0) <> coalesce(kept.minor, 0) OR coalesce(kept.minor, 0) < 0
UNION ALL
SELECT hold.account_id, format('has %%s %%s of credit held of %%s', sum(hold.amount_minor), hold.currency,
  coalesce(kept.minor, 0))
FROM credit_hold hold LEFT JOIN kept ON kept.buyer = hold.account_id AND kept.currency = hold.currency
GROUP BY hold.account_id, hold.currency, kept.minor HAVING sum(hold.amount_minor) > coalesce(kept.minor, 0)
UNION ALL
SELECT placed.id, format('is %%s and holds %%s %%s of credit, of which it counts on %%s', placed.state,
  coalesce(hold.amount_minor, 0), placed.currency, placed.credit_minor)
FROM "order" placed LEFT JOIN credit_hold hold ON hold.order_id = placed.id
WHERE coalesce(hold.amount_minor, 0) <> CASE WHEN placed.state IN ('awaiting_payment', 'held')
  THEN placed.credit_minor ELSE 0 END
UNION ALL
SELECT placed.id, format('counts on %%s %%s of credit, and its invoice was paid with %%s', placed.credit_minor,
  placed.currency, coalesce(-spent.amount_minor, 0))
FROM "order" placed JOIN invoice ON invoice.order_id = placed.id AND invoice.replaces IS NULL
LEFT JOIN customer_credit spent ON spent.source = 'invoice:' || invoice.id
WHERE placed.state = 'completed' AND coalesce(-spent.amount_minor, 0) < placed.credit_minor
"""

PROVIDER_FEES: Final = """
SELECT fee.id, format('is %%s %%s and booked with %%s', fee.amount_minor, fee.currency,
  coalesce(sum(posting.amount_minor), 0)) AS detail
FROM provider_fee fee
LEFT JOIN ledger_entry entry ON entry.source = 'provider_fee:' || fee.id
LEFT JOIN posting ON posting.entry_id = entry.id AND posting.currency = fee.currency
  AND posting.ledger_account = CASE WHEN fee.dispute_id IS NULL THEN '6100' ELSE '6110' END
GROUP BY fee.id HAVING coalesce(sum(posting.amount_minor), 0) <> fee.amount_minor
UNION ALL
SELECT source, 'has an entry but does not exist' FROM ledger_entry
WHERE source LIKE 'provider_fee:%%' AND NOT EXISTS (
  SELECT FROM provider_fee WHERE id = substr(source, length('provider_fee:') + 1)
)
UNION ALL
SELECT fee.id, 'is of another account or provider than its payment'
FROM provider_fee fee JOIN payment ON payment.id = fee.payment_id
WHERE (fee.account_id, fee.provider) <> (payment.account_id, payment.provider)
"""

MONEY_RETURNED: Final = """
SELECT refund.id, format('is %%s %%s %%s and its entries say %%s payable and %%s clearing', refund.state,
  refund.amount_minor, refund.currency, booked.payable, booked.clearing) AS detail
FROM refund
CROSS JOIN LATERAL (
  SELECT coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '2300'), 0) AS payable,
    coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '1200'), 0) AS clearing
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE entry.source IN ('refund:' || refund.id, 'refund_failed:' || refund.id)
) booked
WHERE (booked.payable, booked.clearing) <> CASE refund.state
  WHEN 'succeeded' THEN ROW(refund.amount_minor::numeric, -refund.amount_minor::numeric)
  WHEN 'failed' THEN ROW(refund.amount_minor::numeric, 0::numeric) ELSE ROW(0::numeric, 0::numeric) END
UNION ALL
SELECT dispute.id, format('is %%s with %%s %%s held', dispute.state, booked.held, dispute.currency)
FROM dispute
CROSS JOIN LATERAL (
  SELECT coalesce(sum(amount_minor) FILTER (WHERE ledger_account = '1220'), 0) AS held
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE entry.source IN ('dispute_opened:' || dispute.id, 'dispute_won:' || dispute.id, 'dispute_lost:' || dispute.id)
) booked
WHERE booked.held <> CASE WHEN dispute.state IN ('won', 'lost') THEN 0 ELSE dispute.amount_minor END
UNION ALL
SELECT payment.id, format('has %%s of %%s refunded', sum(refund.amount_minor), payment.amount_minor)
FROM payment JOIN refund ON refund.payment_id = payment.id AND refund.state IN ('pending', 'succeeded')
GROUP BY payment.id HAVING sum(refund.amount_minor) > payment.amount_minor
"""
