"""The tax of each state of the United States by component: what is owed to whom of a combined rate."""

from typing import Final

from app.reports.shape import Column, Kind, Report

_SQL: Final = """
SELECT entity.code AS entity, left(tax.jurisdiction, 5) AS state, tax.jurisdiction, tax.name,
  trim_scale(tax.rate)::text AS rate, tax.currency, sum(tax.taxable_minor)::bigint AS taxable,
  sum(tax.tax_minor)::bigint AS tax, count(DISTINCT tax.document) AS documents, tax.rate AS sort_rate
FROM (
  SELECT invoice.legal_entity_id, invoice.id AS document, invoice.currency, invoice.issued_on,
    invoice.finalized_at AS recorded_at, tax.jurisdiction, tax.name, tax.rate, tax.taxable_minor, tax.tax_minor
  FROM invoice JOIN invoice_tax tax ON tax.invoice_id = invoice.id WHERE invoice.state NOT IN ('draft', 'void')
  UNION ALL
  SELECT note.legal_entity_id, note.id, note.currency, note.issued_on, note.issued_at, tax.jurisdiction, tax.name,
    tax.rate, -tax.taxable_minor, -tax.tax_minor
  FROM credit_note note JOIN credit_note_tax tax ON tax.credit_note_id = note.id
) tax
JOIN entity ON entity.id = tax.legal_entity_id
WHERE tax.jurisdiction LIKE 'US-%%' AND tax.issued_on BETWEEN %(first)s AND %(last)s AND tax.recorded_at < entity.cut
GROUP BY entity.code, tax.jurisdiction, tax.name, tax.rate, tax.currency
"""

REPORT: Final = Report(
    name="us_tax_components",
    title="United States by component",
    about="Sales tax of the documents issued, less credit notes, by state, component, rate and currency.",
    columns=(
        Column("entity", Kind.TEXT, "Code of the legal entity that owes the tax"),
        Column("state", Kind.CODE, "US-NY"),
        Column("jurisdiction", Kind.CODE, "The state, or a city that collects its own"),
        Column("name", Kind.TEXT, "What the tax is called on documents"),
        Column("rate", Kind.CODE, "Percent, as a decimal"),
        Column("currency", Kind.CODE, "ISO 4217"),
        Column("taxable", Kind.MONEY, "What the rate was applied to"),
        Column("tax", Kind.MONEY, "As rounded on each document"),
        Column("documents", Kind.COUNT, "How many documents bear it"),
    ),
    sql=_SQL,
    order_by='o.entity COLLATE "C", o.jurisdiction COLLATE "C", o.name COLLATE "C", o.sort_rate, o.currency',
)
