"""The return of a one-stop shop: VAT of each member state of consumption by quarter, in euro (R-TAX, Art. 369a ff.).

Amounts are converted at the ECB's rate of the last day of the quarter or, where none was published then, of the next
day of publication (Art. 369h Directive 2006/112/EC); of a correction at the rate of the quarter that it corrects. They
are rounded once, for each state and rate.
"""

from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final

import psycopg
from psycopg import sql

from app.core.errors import DomainError, Invalid
from app.core.money import EXPONENTS
from app.reports.shape import ENTITY, Column, Kind, Report, Scope

# Where a document's tax is of a member state in which the seller is neither established nor registered, it is declared
# through the shop. A rate is the operator's before the ECB's, and known by the date of knowledge.
_LINES: Final = """
  SELECT entity.code AS entity, line.kind, line.quarter, line.corrects, left(line.jurisdiction, 2) AS state, line.rate,
    line.currency, line.document, line.taxable_minor, line.tax_minor, used.rate AS euro, entity.cut,
    (coalesce(line.corrects, line.quarter) + interval '3 months' - interval '1 day')::date AS rate_on,
    coalesce(odd.places, 2) AS exponent
  FROM (
    SELECT invoice.legal_entity_id, 'sale' AS kind, date_trunc('quarter', invoice.issued_on)::date AS quarter,
      NULL::date AS corrects, invoice.issued_on, invoice.finalized_at AS recorded_at, invoice.id AS document,
      invoice.currency, tax.jurisdiction, tax.rate, tax.taxable_minor, tax.tax_minor
    FROM invoice JOIN invoice_tax tax ON tax.invoice_id = invoice.id WHERE invoice.state NOT IN ('draft', 'void')
    UNION ALL
    SELECT note.legal_entity_id,
      CASE WHEN date_trunc('quarter', credited.issued_on) < date_trunc('quarter', note.issued_on)
        THEN 'correction' ELSE 'sale' END,
      date_trunc('quarter', note.issued_on)::date,
      CASE WHEN date_trunc('quarter', credited.issued_on) < date_trunc('quarter', note.issued_on)
        THEN date_trunc('quarter', credited.issued_on)::date END,
      note.issued_on, note.issued_at, note.id, note.currency, tax.jurisdiction, tax.rate, -tax.taxable_minor,
      -tax.tax_minor
    FROM credit_note note JOIN credit_note_tax tax ON tax.credit_note_id = note.id
    JOIN invoice credited ON credited.id = note.invoice_id
  ) line
  LEFT JOIN (VALUES ODD_PLACES) odd (currency, places) ON odd.currency = line.currency
  JOIN entity ON entity.id = line.legal_entity_id
  JOIN legal_entity seller ON seller.id = line.legal_entity_id
  LEFT JOIN LATERAL (
    SELECT CASE WHEN line.currency = 'EUR' THEN 1 ELSE (
      SELECT known.rate FROM exchange_rate known
      WHERE known.currency = line.currency AND known.recorded_at < entity.cut
        AND known.rate_on >= (coalesce(line.corrects, line.quarter) + interval '3 months' - interval '1 day')::date
        AND known.rate_on < (coalesce(line.corrects, line.quarter) + interval '3 months' + interval '6 days')::date
      ORDER BY known.rate_on, (known.source = 'operator') DESC, known.id DESC LIMIT 1
    ) END AS rate
  ) used ON true
  WHERE line.issued_on BETWEEN %(first)s AND %(last)s AND line.recorded_at < entity.cut
    AND left(line.jurisdiction, 2) IN ('AT', 'BE', 'BG', 'HR', 'CY', 'CZ', 'DK', 'EE', 'FI', 'FR', 'DE', 'GR', 'HU',
      'IE', 'IT', 'LV', 'LT', 'LU', 'MT', 'NL', 'PL', 'PT', 'RO', 'SK', 'SI', 'ES', 'SE')
    AND left(line.jurisdiction, 2) <> seller.country
    AND NOT seller.established @> to_jsonb(left(line.jurisdiction, 2))
    AND NOT EXISTS (
      SELECT FROM seller_registration own
      WHERE own.legal_entity_id = line.legal_entity_id AND own.jurisdiction = left(line.jurisdiction, 2)
        AND (own.valid_from IS NULL OR own.valid_from <= line.issued_on)
        AND (own.valid_to IS NULL OR own.valid_to >= line.issued_on)
    )
""".replace("ODD_PLACES", ", ".join(f"('{currency}', {places})" for currency, places in EXPONENTS.items()))
_SQL: Final = (
    """
SELECT each.entity, to_char(each.quarter, 'YYYY-"Q"Q') AS quarter, each.kind,
  to_char(each.corrects, 'YYYY-"Q"Q') AS corrects, each.state AS member_state, trim_scale(each.rate)::text AS rate,
  'EUR' AS currency,
  round(sum(each.taxable_minor * (10::numeric ^ (2 - each.exponent)) / each.euro))::bigint AS taxable,
  round(sum(each.tax_minor * (10::numeric ^ (2 - each.exponent)) / each.euro))::bigint AS tax,
  count(DISTINCT each.document) AS documents,
  string_agg(DISTINCT each.currency || ' ' || trim_scale(each.euro)::text, '; ')
    FILTER (WHERE each.currency <> 'EUR') AS exchange_rates,
  each.rate AS sort_rate
FROM ("""
    + _LINES
    + """) each
GROUP BY each.entity, each.quarter, each.kind, each.corrects, each.state, each.rate
"""
)


class RatesMissing(DomainError):
    """The return would have a gap."""

    status: ClassVar[HTTPStatus] = HTTPStatus.CONFLICT
    slug: ClassVar[str] = "exchange-rates-missing"
    title: ClassVar[str] = "An exchange rate is missing"


def _require(connection: psycopg.Connection[Any], scope: Scope) -> None:
    """Whole quarters, and a rate for every currency in them. Raises Invalid, RatesMissing."""
    first, after = scope.period.first, scope.period.last + timedelta(days=1)
    for day, param in ((first, "from"), (after, "to")):
        if (day.month - 1) % 3 or day.day != 1:
            raise Invalid("A return is of whole quarters, such as 2027-01-01 to 2027-03-31.", param=param)
    query = sql.SQL(
        "WITH entity AS ({}) SELECT DISTINCT each.currency, each.rate_on FROM ({}) each WHERE each.euro IS NULL"
        " ORDER BY each.rate_on, each.currency"
    ).format(sql.SQL(ENTITY), sql.SQL(_LINES))
    missing: list[tuple[str, date]] = connection.execute(query, scope.params).fetchall()
    if missing:
        named = ", ".join(f"{currency} on {day}" for currency, day in missing)
        raise RatesMissing(
            f"No rate is known of {named}, nor of the days after: import the ECB's file with `blp tax import-rates`,"
            " or set it with `blp tax set-rate`."
        )


REPORT: Final = Report(
    name="oss_return",
    title="EU one-stop shop",
    about="Taxable amount and VAT of each member state of consumption by rate and quarter, in euro; credit notes for"
    " earlier quarters as corrections of these. For whole quarters.",
    columns=(
        Column("entity", Kind.TEXT, "Code of the legal entity that declares"),
        Column("quarter", Kind.CODE, "The quarter of the return"),
        Column("kind", Kind.CODE, "sale, or correction of an earlier quarter"),
        Column("corrects", Kind.CODE, "The quarter that a correction is of"),
        Column("member_state", Kind.CODE, "Where it is consumed; a territory under its state"),
        Column("rate", Kind.CODE, "Percent, as a decimal"),
        Column("currency", Kind.CODE, "EUR"),
        Column("taxable", Kind.MONEY, "What the rate was applied to, in euro"),
        Column("tax", Kind.MONEY, "VAT in euro"),
        Column("documents", Kind.COUNT, "How many documents it is of"),
        Column("exchange_rates", Kind.CODE, "What one euro was worth in the other currencies of the row"),
    ),
    sql=_SQL,
    order_by='o.entity COLLATE "C", o.quarter, o.kind DESC, o.corrects, o.member_state, o.sort_rate',
    require=_require,
)
