"""Every numbered document, with what was paid on it as far as was known."""

from typing import Final

from app.reports.shape import Column, Kind, Report

# A series is given its place among all series once, so that a million rows sort by two integers.
_SQL: Final = """
SELECT
  i.number, 'invoice' AS type, i.issued_on AS issue_date, i.due_on AS due_date,
  i.buyer->>'company' AS customer, i.account_id, i.buyer->>'country' AS buyer_country,
  (SELECT string_agg(given.tax_id->>'value', ' ' ORDER BY given.position)
   FROM jsonb_array_elements(i.buyer->'tax_ids') WITH ORDINALITY AS given(tax_id, position)) AS buyer_tax_id,
  i.po_number, i.currency, i.net_minor AS net, 0 AS discount, i.tax_minor AS tax, i.total_minor AS total,
  coalesce(paid.minor, 0) AS paid, 0 AS credited,
  CASE WHEN i.state = 'void' THEN 0 ELSE i.total_minor - coalesce(paid.minor, 0) END AS open,
  CASE WHEN i.state IN ('void', 'uncollectible') THEN i.state WHEN i.paid_at < entity.cut THEN 'paid' ELSE 'open' END
    AS status,
  entity.code AS entity, i.supply_from, i.supply_to - 1 AS supply_to, tax_determination.treatment, i.order_id, i.test,
  series.place, i.sequence
FROM invoice i
JOIN entity ON entity.id = i.legal_entity_id
JOIN tax_determination ON tax_determination.id = i.tax_determination_id
LEFT JOIN (
  SELECT counter.legal_entity_id, counter.series,
    row_number() OVER (ORDER BY seller.code COLLATE "C", counter.series COLLATE "C") AS place
  FROM invoice_counter counter JOIN legal_entity seller ON seller.id = counter.legal_entity_id
) series ON series.legal_entity_id = i.legal_entity_id AND series.series = i.series
LEFT JOIN (
  SELECT document.id AS invoice_id, sum(part.amount_minor)::bigint AS minor
  FROM invoice document
  JOIN entity ON entity.id = document.legal_entity_id
  JOIN invoice_payment part ON part.invoice_id = document.id
  LEFT JOIN ledger_entry entry ON entry.source = 'payment:' || part.payment_id
  WHERE document.issued_on BETWEEN %(first)s AND %(last)s
    AND coalesce(entry.recorded_at, part.allocated_at) < entity.cut
  GROUP BY document.id
) paid ON paid.invoice_id = i.id
WHERE i.issued_on BETWEEN %(first)s AND %(last)s AND i.finalized_at < entity.cut
"""

REPORT: Final = Report(
    name="invoice_register",
    title="Invoice register",
    about="One row per numbered document, by date of issue.",
    columns=(
        Column("number", Kind.TEXT, "As printed; 1 to n without a gap in each series"),
        Column("type", Kind.CODE, "invoice"),
        Column("issue_date", Kind.DATE, "The accounting date, in the seller's time zone"),
        Column("due_date", Kind.DATE, "The last day to pay"),
        Column("customer", Kind.TEXT, "The company as printed on the document"),
        Column("account_id", Kind.CODE, "The customer's account"),
        Column("buyer_country", Kind.CODE, "ISO 3166, as printed"),
        Column("buyer_tax_id", Kind.TEXT, "As printed; several stand beside each other"),
        Column("po_number", Kind.TEXT, "The buyer's purchase order"),
        Column("currency", Kind.CODE, "ISO 4217, of every amount in the row"),
        Column("net", Kind.MONEY, "After discount, before tax"),
        Column("discount", Kind.MONEY, "Already taken off the net"),
        Column("tax", Kind.MONEY, "All jurisdictions"),
        Column("total", Kind.MONEY, "Net and tax"),
        Column("paid", Kind.MONEY, "Payments recorded by the date of knowledge"),
        Column("credited", Kind.MONEY, "Credit notes recorded by the date of knowledge"),
        Column("open", Kind.MONEY, "What was still owed at the date of knowledge"),
        Column("status", Kind.CODE, "open, paid, void or uncollectible"),
        Column("entity", Kind.TEXT, "Code of the legal entity that sold"),
        Column("supply_from", Kind.DATE, "First day of the supply"),
        Column("supply_to", Kind.DATE, "Last day of the supply, included"),
        Column("treatment", Kind.CODE, "How the tax rules treated the sale"),
        Column("order_id", Kind.CODE, "The order behind the document"),
        Column("test", Kind.FLAG, "Whether the document is of a sandbox"),
    ),
    sql=_SQL,
    order_by="o.place, o.sequence",
)
