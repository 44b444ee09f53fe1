"""Whether the books are what they claim to be: the invariants, checked from the rows up.

The database refuses most of what is looked for here. This finds what got past it: a repair by hand, a restored
backup, a bug in a flow. Invariants I1 to I3 and I7 of docs/adr/0006-ledger.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from app.core import audit
from app.core.db import Database, Tx, driver_connection
from app.reports import money_checks
from app.reports.shape import snapshot

AT_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is stable, `subject` the row to look at, `detail` what is wrong with it, amounts in minor units."""

    check: str
    subject: str
    detail: str


# Each query yields (subject, detail) of what is wrong, and nothing where all is well.
_ENTRIES: Final = """
SELECT posting.entry_id, format('sums to %%s %%s', sum(posting.amount_minor), posting.currency) AS detail
FROM posting GROUP BY posting.entry_id, posting.currency HAVING sum(posting.amount_minor) <> 0
UNION ALL
SELECT entry.id, format('has %%s postings', count(posting.id))
FROM ledger_entry entry LEFT JOIN posting ON posting.entry_id = entry.id GROUP BY entry.id HAVING count(posting.id) < 2
UNION ALL
SELECT DISTINCT posting.entry_id, 'has postings but no seal'
FROM posting WHERE NOT EXISTS (SELECT FROM ledger_entry WHERE id = posting.entry_id)
"""

_TRIAL_BALANCE: Final = """
SELECT currency, format('debits and credits differ by %%s', sum(amount_minor)) AS detail
FROM posting GROUP BY currency HAVING sum(amount_minor) <> 0
"""

_INVOICE_SUMS: Final = """
SELECT coalesce(invoice.number, invoice.id), format(
  'net %%s and tax %%s, but its lines say %%s and %%s, its taxes %%s', invoice.net_minor, invoice.tax_minor,
  lines.net, lines.tax, taxes.tax) AS detail
FROM invoice
CROSS JOIN LATERAL (
  SELECT coalesce(sum(net_minor), 0) AS net, coalesce(sum(tax_minor), 0) AS tax
  FROM invoice_line WHERE invoice_id = invoice.id
) lines
CROSS JOIN LATERAL (SELECT coalesce(sum(tax_minor), 0) AS tax FROM invoice_tax WHERE invoice_id = invoice.id) taxes
WHERE (invoice.net_minor, invoice.tax_minor, invoice.tax_minor) <> (lines.net, lines.tax, taxes.tax)
  OR invoice.total_minor <> invoice.net_minor + invoice.tax_minor
"""

_NUMBERS: Final = """
SELECT number, CASE
  WHEN sequence = previous THEN format('repeats number %%s of series %%s', sequence, series)
  WHEN sequence <> previous + 1 THEN format('follows %%s in series %%s: a gap', previous, series)
  WHEN issued_on < previous_day THEN format('is dated %%s, the number before it %%s', issued_on, previous_day)
  ELSE format('does not spell number %%s of series %%s', sequence, series) END AS detail
FROM (
  SELECT number, series, sequence, issued_on,
    lag(sequence, 1, 0) OVER series AS previous, lag(issued_on) OVER series AS previous_day
  FROM (
    SELECT legal_entity_id, number, series, sequence, issued_on FROM invoice
    UNION ALL SELECT legal_entity_id, number, series, sequence, issued_on FROM credit_note
  ) document WHERE number IS NOT NULL
  WINDOW series AS (PARTITION BY legal_entity_id, series ORDER BY sequence)
) numbered
WHERE sequence <> previous + 1 OR issued_on < previous_day
  OR number <> series || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0')
UNION ALL
SELECT number, 'is the number of several documents'
FROM (SELECT number FROM invoice UNION ALL SELECT number FROM credit_note) document
WHERE number IS NOT NULL GROUP BY number HAVING count(*) > 1
UNION ALL
SELECT counter.series, format('would give out %%s next, after %%s', counter.next_number, coalesce(used.last, 0))
FROM invoice_counter counter
LEFT JOIN (
  SELECT legal_entity_id, series, max(sequence) AS last FROM (
    SELECT legal_entity_id, series, sequence FROM invoice
    UNION ALL SELECT legal_entity_id, series, sequence FROM credit_note
  ) document GROUP BY 1, 2
) used
  ON used.legal_entity_id = counter.legal_entity_id AND used.series = counter.series
WHERE counter.next_number <> coalesce(used.last, 0) + 1
"""

# What an invoice must have put into the books, against what is there.
_INVOICE_ENTRIES: Final = """
WITH expected AS (
  SELECT id, '1100' AS account, '' AS dimension, currency, total_minor::numeric AS minor FROM invoice
    WHERE state <> 'draft'
  UNION ALL SELECT id, '2100', '', currency, -net_minor FROM invoice WHERE state <> 'draft'
  UNION ALL SELECT invoice.id, '2200', tax.jurisdiction, invoice.currency, -sum(tax.tax_minor)
    FROM invoice JOIN invoice_tax tax ON tax.invoice_id = invoice.id WHERE invoice.state <> 'draft'
    GROUP BY invoice.id, tax.jurisdiction, invoice.currency
), booked AS (
  SELECT invoice.id, CASE posting.ledger_account WHEN '2110' THEN '2100' ELSE posting.ledger_account END AS account,
    posting.dimension, posting.currency, sum(posting.amount_minor) AS minor
  FROM invoice JOIN ledger_entry entry ON entry.source = 'invoice:' || invoice.id
  JOIN posting ON posting.entry_id = entry.id GROUP BY 1, 2, 3, 4
)
SELECT invoice.number, format('%%s %%s should be booked with %%s %%s and is with %%s', each.account, each.dimension,
  coalesce(each.expected, 0), each.currency, coalesce(each.booked, 0)) AS detail
FROM (
  SELECT id, account, dimension, currency, expected.minor AS expected, booked.minor AS booked
  FROM expected FULL JOIN booked USING (id, account, dimension, currency)
) each JOIN invoice ON invoice.id = each.id
WHERE coalesce(each.expected, 0) <> coalesce(each.booked, 0)
UNION ALL
SELECT invoice.number, 'is booked on another day, for another account or by another seller'
FROM invoice JOIN ledger_entry entry ON entry.source = 'invoice:' || invoice.id
WHERE (entry.booked_on, entry.account_id, entry.legal_entity_id)
  IS DISTINCT FROM (invoice.issued_on, invoice.account_id, invoice.legal_entity_id)
UNION ALL
SELECT source, 'has an entry but does not exist' FROM ledger_entry
WHERE source LIKE 'invoice:%%' AND NOT EXISTS (
  SELECT FROM invoice WHERE id = substr(source, length('invoice:') + 1) AND state <> 'draft'
)
"""

_PAYMENT_ENTRIES: Final = """
SELECT payment.id, format('%%s %%s arrived, %%s went to cash and %%s off the receivable', payment.amount_minor,
  payment.currency, coalesce(sum(posting.amount_minor) FILTER (WHERE posting.ledger_account IN ('1000', '1200')), 0),
  coalesce(-sum(posting.amount_minor) FILTER (WHERE posting.ledger_account IN ('1100', '2400')), 0)) AS detail
FROM payment
LEFT JOIN ledger_entry entry ON entry.source = 'payment:' || payment.id
LEFT JOIN posting ON posting.entry_id = entry.id AND posting.currency = payment.currency
  AND posting.ledger_account IN ('1000', '1200', '1100', '2400')
GROUP BY payment.id
HAVING coalesce(sum(posting.amount_minor) FILTER (WHERE posting.ledger_account IN ('1000', '1200')), 0)
    <> payment.amount_minor
  OR coalesce(-sum(posting.amount_minor) FILTER (WHERE posting.ledger_account IN ('1100', '2400')), 0)
    <> payment.amount_minor
UNION ALL
SELECT payment.id, 'is put into invoices for another sum than it took off the receivable'
FROM payment
LEFT JOIN (SELECT payment_id, sum(amount_minor) AS minor FROM invoice_payment GROUP BY 1) part
  ON part.payment_id = payment.id
LEFT JOIN (
  SELECT entry.source, -sum(posting.amount_minor) AS minor
  FROM ledger_entry entry JOIN posting ON posting.entry_id = entry.id AND posting.ledger_account = '1100'
  WHERE entry.source LIKE 'payment:%%' GROUP BY 1
) booked ON booked.source = 'payment:' || payment.id
WHERE coalesce(part.minor, 0) <> coalesce(booked.minor, 0)
UNION ALL
SELECT source, 'has an entry but does not exist' FROM ledger_entry
WHERE source LIKE 'payment:%%' AND NOT EXISTS (
  SELECT FROM payment WHERE id = substr(source, length('payment:') + 1)
)
"""

_PAID: Final = """
SELECT invoice.number, format('is %%s at a total of %%s with %%s paid and %%s credited', invoice.state,
  invoice.total_minor, settled.paid, settled.credited) AS detail
FROM invoice
CROSS JOIN LATERAL (
  SELECT (
    SELECT coalesce(sum(amount_minor), 0) FROM invoice_payment WHERE invoice_payment.invoice_id = invoice.id
  ) AS paid, (
    SELECT coalesce(sum(to_invoice_minor), 0) FROM credit_note WHERE credit_note.invoice_id = invoice.id
  ) + (
    SELECT coalesce(-sum(amount_minor), 0) FROM customer_credit WHERE source = 'invoice:' || invoice.id
  ) AS credited
) settled
WHERE invoice.state <> 'draft' AND (
  (invoice.state = 'paid') <> (settled.paid + settled.credited >= invoice.total_minor)
  OR settled.paid + settled.credited > invoice.total_minor
)
UNION ALL
SELECT payment.id, 'is in another currency or of another account than its invoice'
FROM invoice_payment part JOIN payment ON payment.id = part.payment_id JOIN invoice ON invoice.id = part.invoice_id
WHERE (invoice.currency, invoice.account_id) <> (payment.currency, payment.account_id)
"""

_CASH: Final = """
WITH ledger AS (
  SELECT posting.currency, sum(posting.amount_minor) AS minor
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE entry.source LIKE 'payment:%%' AND posting.ledger_account IN ('1000', '1200') GROUP BY 1
), received AS (SELECT currency, sum(amount_minor) AS minor FROM payment GROUP BY 1),
settled AS (
  SELECT currency, sum(minor) AS minor FROM (
    SELECT invoice.currency, part.amount_minor AS minor
    FROM invoice_payment part JOIN invoice ON invoice.id = part.invoice_id WHERE invoice.state <> 'draft'
    UNION ALL
    SELECT posting.currency, -posting.amount_minor
    FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
    WHERE entry.source LIKE 'payment:%%' AND posting.ledger_account = '2400'
  ) each GROUP BY 1
)
SELECT currency, format('cash in the ledger %%s, payments %%s, on invoices and in credit %%s',
  coalesce(ledger.minor, 0), coalesce(received.minor, 0), coalesce(settled.minor, 0)) AS detail
FROM ledger FULL JOIN received USING (currency) FULL JOIN settled USING (currency)
WHERE coalesce(ledger.minor, 0) <> coalesce(received.minor, 0)
  OR coalesce(received.minor, 0) <> coalesce(settled.minor, 0)
"""

_RECEIVABLE: Final = """
WITH ledger AS (
  SELECT entry.legal_entity_id AS seller, entry.account_id AS buyer, posting.currency,
    sum(posting.amount_minor) AS minor
  FROM posting JOIN ledger_entry entry ON entry.id = posting.entry_id
  WHERE posting.ledger_account = '1100' GROUP BY 1, 2, 3
), documents AS (
  SELECT seller, buyer, currency, sum(minor) AS minor FROM (
    SELECT legal_entity_id AS seller, account_id AS buyer, currency, total_minor AS minor
    FROM invoice WHERE state IN ('open', 'paid')
    UNION ALL
    SELECT entry.legal_entity_id, payment.account_id, payment.currency, -part.amount_minor
    FROM invoice_payment part JOIN payment ON payment.id = part.payment_id
    JOIN ledger_entry entry ON entry.source = 'payment:' || payment.id
    UNION ALL
    SELECT legal_entity_id, account_id, currency, -to_invoice_minor FROM credit_note
    UNION ALL
    SELECT invoice.legal_entity_id, spent.account_id, spent.currency, spent.amount_minor
    FROM customer_credit spent JOIN invoice ON spent.source = 'invoice:' || invoice.id
  ) each GROUP BY 1, 2, 3
)
SELECT buyer, format('owes %%s %%s by the ledger and %%s by its documents', coalesce(ledger.minor, 0), currency,
  coalesce(documents.minor, 0)) AS detail
FROM ledger FULL JOIN documents USING (seller, buyer, currency)
WHERE coalesce(ledger.minor, 0) <> coalesce(documents.minor, 0)
"""

_CREDIT_NOTES: Final = """
WITH expected AS (
  SELECT id, '2100' AS account, '' AS dimension, currency, net_minor AS minor FROM credit_note WHERE net_minor <> 0
  UNION ALL
  SELECT note.id, '2200', tax.jurisdiction, note.currency, sum(tax.tax_minor)
  FROM credit_note note JOIN credit_note_tax tax ON tax.credit_note_id = note.id
  GROUP BY note.id, tax.jurisdiction HAVING sum(tax.tax_minor) <> 0
  UNION ALL SELECT id, '2300', '', currency, -to_refund_minor FROM credit_note WHERE to_refund_minor <> 0
  UNION ALL SELECT id, '2400', '', currency, -to_balance_minor FROM credit_note WHERE to_balance_minor <> 0
  UNION ALL SELECT id, '1100', '', currency, -to_invoice_minor FROM credit_note WHERE to_invoice_minor <> 0
), booked AS (
  SELECT note.id, posting.ledger_account AS account, posting.dimension, posting.currency,
    sum(posting.amount_minor) AS minor
  FROM credit_note note JOIN ledger_entry entry ON entry.source = 'credit_note:' || note.id
  JOIN posting ON posting.entry_id = entry.id GROUP BY 1, 2, 3, 4
)
SELECT note.number, format('%%s %%s should be booked with %%s %%s and is with %%s', each.account, each.dimension,
  coalesce(each.expected, 0), each.currency, coalesce(each.booked, 0)) AS detail
FROM (
  SELECT id, account, dimension, currency, expected.minor AS expected, booked.minor AS booked
  FROM expected FULL JOIN booked USING (id, account, dimension, currency)
) each JOIN credit_note note ON note.id = each.id
WHERE coalesce(each.expected, 0) <> coalesce(each.booked, 0)
UNION ALL
SELECT invoice.number, format('line %%s is credited with %%s and %%s tax of %%s and %%s', line.position, given.net,
  given.tax, line.net_minor, line.tax_minor)
FROM invoice_line line JOIN invoice ON invoice.id = line.invoice_id
JOIN (
  SELECT invoice_line_id, sum(net_minor) AS net, sum(tax_minor) AS tax FROM credit_note_line GROUP BY 1
) given ON given.invoice_line_id = line.id
WHERE given.net > line.net_minor OR given.tax > line.tax_minor
UNION ALL
SELECT invoice.number, format('%%s of tax %%s is credited of %%s', given.tax, tax.jurisdiction, tax.tax_minor)
FROM invoice_tax tax JOIN invoice ON invoice.id = tax.invoice_id
JOIN (SELECT invoice_tax_id, sum(tax_minor) AS tax FROM credit_note_tax GROUP BY 1) given
  ON given.invoice_tax_id = tax.id
WHERE given.tax > tax.tax_minor
UNION ALL
SELECT note.number, 'is not the sum of its lines and taxes'
FROM credit_note note
CROSS JOIN LATERAL (
  SELECT coalesce(sum(net_minor), 0) AS net, coalesce(sum(tax_minor), 0) AS tax
  FROM credit_note_line WHERE credit_note_id = note.id
) given
WHERE (note.net_minor, note.tax_minor) <> (given.net, given.tax)
  OR note.tax_minor <> (SELECT coalesce(sum(tax_minor), 0) FROM credit_note_tax WHERE credit_note_id = note.id)
"""

# A term that was over by the time it was paid for has none, as no server would take the file: a term ends at midnight
# where the subscription is, and what a change brings ends with the days it was charged for.
_LICENSES: Final = """
SELECT "order".id, 'is completed without a license' AS detail
FROM "order"
LEFT JOIN subscription ON subscription.id = "order".subscription_id
LEFT JOIN subscription_term term ON term.order_id = "order".id
CROSS JOIN LATERAL (
  SELECT max((line.change->>'period_to')::date) AS ends_on FROM order_line line
  WHERE line.order_id = "order".id AND line.change->>'carried_from' IS NULL
) changed
WHERE "order".state = 'completed' AND NOT EXISTS (SELECT FROM license WHERE license.order_id = "order".id)
  AND coalesce(term.ends_on, changed.ends_on)::timestamp AT TIME ZONE subscription.time_zone > "order".completed_at
    IS NOT FALSE
UNION ALL
SELECT license.id, format('is active for an order that is %%s', "order".state)
FROM license JOIN "order" ON "order".id = license.order_id
WHERE license.state = 'active' AND "order".state <> 'completed'
"""

_ORDERS: Final = """
SELECT "order".id, 'is completed without a numbered invoice of its total' AS detail
FROM "order" WHERE state = 'completed' AND change->>'invoiced' IS DISTINCT FROM 'false' AND NOT EXISTS (
  SELECT FROM invoice WHERE invoice.order_id = "order".id AND invoice.state <> 'draft'
    AND (invoice.currency, invoice.net_minor, invoice.tax_minor)
      = ("order".currency, "order".net_minor, "order".tax_minor)
)
UNION ALL
SELECT small.id, 'is neither invoiced nor carried to an invoice that takes it up'
FROM "order" small WHERE small.change->>'invoiced' = 'false' AND small.carried_to IS NOT NULL AND NOT EXISTS (
  SELECT FROM invoice JOIN order_line taken ON taken.order_id = invoice.order_id
  WHERE invoice.order_id = small.carried_to AND taken.change->>'carried_from' = small.id
)
UNION ALL
SELECT small.id, format('is said to be %%s, and is not', ended.became)
FROM carried_end ended JOIN "order" small ON small.id = ended.order_id
WHERE small.carried_to IS NOT NULL OR CASE ended.became
  WHEN 'invoiced' THEN NOT EXISTS (
    SELECT FROM invoice WHERE invoice.order_id = small.id AND invoice.state <> 'draft'
      AND (invoice.currency, invoice.net_minor, invoice.tax_minor) = (small.currency, small.net_minor, small.tax_minor)
  )
  ELSE NOT EXISTS (SELECT FROM ledger_entry WHERE source = 'written_off:' || small.id) END
"""

CHECKS: Final[dict[str, LiteralString]] = {
    "entries_balance": _ENTRIES,
    "trial_balance": _TRIAL_BALANCE,
    "invoice_sums": _INVOICE_SUMS,
    "invoice_numbers": _NUMBERS,
    "invoice_entries": _INVOICE_ENTRIES,
    "payment_entries": _PAYMENT_ENTRIES,
    "invoices_paid": _PAID,
    "cash": _CASH,
    "receivable": _RECEIVABLE,
    "credit_notes": _CREDIT_NOTES,
    "customer_credit": money_checks.CUSTOMER_CREDIT,
    "money_returned": money_checks.MONEY_RETURNED,
    "provider_fees": money_checks.PROVIDER_FEES,
    "order_invoices": _ORDERS,
    "order_licenses": _LICENSES,
}


def verify(db: Database) -> list[Finding]:
    """Every check over one snapshot; empty means the books are good."""
    with snapshot(db) as tx:
        return findings(tx)


def findings(tx: Tx) -> list[Finding]:
    """What is wrong with the books as `tx` sees them, at most `AT_MOST` findings of each check."""
    found: list[Finding] = []
    for check, query in CHECKS.items():
        found += _rows(driver_connection(tx), check, query)
    broken = islice(audit.verify(tx), AT_MOST)
    return found + [Finding("audit_chain", f"{each.chain}/{each.sequence}", each.reason) for each in broken]


def _rows(connection: psycopg.Connection[Any], check: str, query: LiteralString) -> Iterator[Finding]:
    wrapped = sql.SQL("SELECT * FROM ({}) AS wrong (subject, detail) ORDER BY 1, 2 LIMIT %s").format(sql.SQL(query))
    rows = connection.execute(wrapped, (AT_MOST,))
    for subject, detail in rows:
        yield Finding(check, subject, detail)
