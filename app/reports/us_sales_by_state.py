"""What was sold into each state of the United States: the figures of a sales tax return."""

from typing import Final

from app.reports.shape import Column, Kind, Report

# Each line under its own treatment; a document of lines that were not determined one by one, under its headline. What a
# credit note gives back is taken from where the line of its invoice stood.
_SQL: Final = """
SELECT entity.code AS entity, left(line.jurisdiction, 5) AS state, line.currency,
  sum(line.net)::bigint AS gross,
  coalesce(sum(line.net) FILTER (WHERE line.treatment IN ('standard', 'reduced')), 0)::bigint AS taxed,
  coalesce(sum(line.net) FILTER (WHERE line.treatment IN ('product_exempt', 'zero_rated')), 0)::bigint
    AS product_exempt,
  coalesce(sum(line.net) FILTER (WHERE line.treatment = 'customer_exempt'), 0)::bigint AS customer_exempt,
  coalesce(sum(line.net) FILTER (WHERE line.treatment = 'not_collecting'), 0)::bigint AS not_collecting,
  coalesce(sum(line.net) FILTER (WHERE line.treatment NOT IN ('standard', 'reduced', 'product_exempt', 'zero_rated',
    'customer_exempt', 'not_collecting')), 0)::bigint AS other,
  sum(line.tax)::bigint AS tax, count(DISTINCT line.document) AS documents
FROM (
  SELECT invoice.legal_entity_id, invoice.id AS document, invoice.currency, invoice.issued_on,
    invoice.finalized_at AS recorded_at, part.net_minor AS net, part.tax_minor AS tax,
    given.result->>'jurisdiction' AS jurisdiction,
    coalesce(given.result->'lines'->part.place->>'treatment', given.treatment) AS treatment
  FROM invoice
  JOIN tax_determination given ON given.id = invoice.tax_determination_id
  JOIN (
    SELECT invoice_id, net_minor, tax_minor,
      (row_number() OVER (PARTITION BY invoice_id ORDER BY position))::int - 1 AS place
    FROM invoice_line
  ) part ON part.invoice_id = invoice.id
  WHERE invoice.state NOT IN ('draft', 'void')
  UNION ALL
  SELECT note.legal_entity_id, note.id, note.currency, note.issued_on, note.issued_at, -back.net_minor,
    -back.tax_minor, given.result->>'jurisdiction',
    coalesce(given.result->'lines'->part.place->>'treatment', given.treatment)
  FROM credit_note note
  JOIN tax_determination given ON given.id = note.tax_determination_id
  JOIN credit_note_line back ON back.credit_note_id = note.id
  JOIN (
    SELECT id, (row_number() OVER (PARTITION BY invoice_id ORDER BY position))::int - 1 AS place FROM invoice_line
  ) part ON part.id = back.invoice_line_id
) line
JOIN entity ON entity.id = line.legal_entity_id
WHERE line.jurisdiction LIKE 'US%%' AND line.issued_on BETWEEN %(first)s AND %(last)s
  AND line.recorded_at < entity.cut
GROUP BY entity.code, left(line.jurisdiction, 5), line.currency
"""

REPORT: Final = Report(
    name="us_sales_by_state",
    title="United States by state",
    about="Sales of the documents issued, less credit notes, by state of supply and currency: taxed, exempt by reason,"
    " without a registration, and the tax. us_tax_components has the tax by component.",
    columns=(
        Column("entity", Kind.TEXT, "Code of the legal entity that sold"),
        Column("state", Kind.CODE, "US-NY; US where the state was not stated"),
        Column("currency", Kind.CODE, "ISO 4217"),
        Column("gross", Kind.MONEY, "Every sale, before tax"),
        Column("taxed", Kind.MONEY, "Lines that bear tax, also where only a part of the price does"),
        Column("product_exempt", Kind.MONEY, "Lines that the state does not tax"),
        Column("customer_exempt", Kind.MONEY, "Lines that a certificate of the buyer relieves"),
        Column("not_collecting", Kind.MONEY, "Lines sold without a registration in the state"),
        Column("other", Kind.MONEY, "Lines of any other treatment"),
        Column("tax", Kind.MONEY, "State and local, as rounded on each document"),
        Column("documents", Kind.COUNT, "Invoices and credit notes"),
    ),
    sql=_SQL,
    order_by='o.entity COLLATE "C", o.state COLLATE "C", o.currency',
)
