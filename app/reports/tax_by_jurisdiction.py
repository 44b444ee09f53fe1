"""What was charged for whom: the figures of tax returns."""

from typing import Final

from app.reports.shape import Column, Kind, Report

_SQL: Final = """
SELECT
  entity.code AS entity, tax.jurisdiction, tax.name, trim_scale(tax.rate)::text AS rate, invoice.currency,
  sum(tax.taxable_minor)::bigint AS taxable, sum(tax.tax_minor)::bigint AS tax,
  count(DISTINCT invoice.id) AS documents, tax.rate AS sort_rate
FROM invoice
JOIN entity ON entity.id = invoice.legal_entity_id
JOIN invoice_tax tax ON tax.invoice_id = invoice.id
WHERE invoice.issued_on BETWEEN %(first)s AND %(last)s AND invoice.finalized_at < entity.cut
  AND invoice.state <> 'void'
GROUP BY entity.code, tax.jurisdiction, tax.name, tax.rate, invoice.currency
"""

REPORT: Final = Report(
    name="tax_by_jurisdiction",
    title="Tax by jurisdiction",
    about="Taxable amount and tax of the documents issued, by jurisdiction, tax, rate and currency; void ones are out.",
    columns=(
        Column("entity", Kind.TEXT, "Code of the legal entity that owes the tax"),
        Column("jurisdiction", Kind.CODE, "DE, US-NY, CA-QC, US-IL-CHICAGO"),
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
