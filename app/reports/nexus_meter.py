"""How near each registration threshold is: what was sold into a place within its months, less what was credited.

Sums come from two queries whatever the number of places and documents. Amounts in other currencies are converted by the
reference rate of the day of the document; where none of the week before is known they are shown apart and not counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import RowMapping, text

from app.accounts.models import LegalEntity, SellerRegistration
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money, exponent, round_half_away
from app.tax import nexus_data
from app.tax.dataset import load
from app.tax.nexus_data import EU_DISTANCE, Place, Threshold
from app.tax.rates import Grade

YEAR: Final = timedelta(days=365)
RATE_DAYS: Final = 7  # a rate of the week before is good: the ECB publishes none at weekends and on holidays
WHOLE: Final = 100


@dataclass(frozen=True, slots=True)
class Sums:
    """What counts within one stretch of time: whole documents, money in the threshold's currency."""

    minor: Fraction = Fraction(0)
    documents: int = 0
    unconverted: Mapping[str, int] = field(default_factory=dict)  # minor units by currency


@dataclass(frozen=True, slots=True)
class Meter:
    """`percent` of the threshold, of whichever of amount and transactions counts; 100 and more: it is reached."""

    jurisdiction: str
    name: str
    registered: bool
    threshold: Threshold
    sales: Money
    transactions: int
    percent: int
    since: date  # the first day of the months that counted most
    until: date
    unconverted: tuple[Money, ...]

    @property
    def grade(self) -> Grade:
        return self.threshold.validity.grade

    def to_json(self) -> dict[str, Any]:
        """Money as minor units beside its currency."""
        return {
            "jurisdiction": self.jurisdiction, "name": self.name, "registered": self.registered,
            "currency": self.sales.currency, "sales": self.sales.minor, "transactions": self.transactions,
            "threshold": self.threshold.amount.minor, "threshold_transactions": self.threshold.transactions,
            "both": self.threshold.both, "percent": self.percent, "from": self.since.isoformat(),
            "to": self.until.isoformat(), "counts": self.threshold.counts, "grade": self.grade,
            "unconverted": [{"amount": each.minor, "currency": each.currency} for each in self.unconverted],
        }  # fmt: skip


# A document counts where its sale was placed. Of a certificate's reasons only resale takes a sale out of `retail`.
_DOCUMENTS: Final = """
WITH document AS (
  SELECT invoice.id, invoice.issued_on, invoice.currency, invoice.net_minor, 1 AS counted, invoice.tax_determination_id
  FROM invoice
  WHERE invoice.legal_entity_id = :entity AND invoice.state NOT IN ('draft', 'void') AND invoice.issued_on >= :since
    AND invoice.issued_on <= :until
  UNION ALL
  SELECT note.id, note.issued_on, note.currency, -note.net_minor, 0, note.tax_determination_id
  FROM credit_note note
  WHERE note.legal_entity_id = :entity AND note.issued_on >= :since AND note.issued_on <= :until
), placed AS (
  SELECT document.*, given.treatment, given.result->>'jurisdiction' AS jurisdiction,
    split_part(given.result->>'jurisdiction', '-', 1) AS country,
    given.request->'buyer'->>'country' AS buyer_country,
    given.request->'buyer'->>'type' = 'consumer'
      OR NOT jsonb_path_exists(given.request, '$.buyer.tax_ids[*] ? (@.status == "valid")') AS consumer,
    jsonb_path_exists(given.request, '$.buyer.exemptions[*] ? (@.reason like_regex "resale" flag "i")') AS resale
  FROM document JOIN tax_determination given ON given.id = document.tax_determination_id
), counted AS (
  SELECT CASE WHEN country = 'US' THEN left(jurisdiction, 5) ELSE jurisdiction END AS place, country,
    buyer_country, issued_on,
    currency, net_minor, counted, consumer, treatment,
    treatment <> 'customer_exempt' OR NOT resale AS retail,
    treatment NOT IN ('product_exempt', 'customer_exempt') AS taxable
  FROM placed
)
SELECT place, country, buyer_country, (issued_on < :this_year) AS before, (issued_on > :rolling) AS recent,
  currency, issued_on,
  sum(net_minor) AS gross, sum(counted) AS documents,
  coalesce(sum(net_minor) FILTER (WHERE retail), 0) AS retail,
  coalesce(sum(counted) FILTER (WHERE retail), 0) AS retail_documents,
  coalesce(sum(net_minor) FILTER (WHERE taxable), 0) AS taxable,
  coalesce(sum(counted) FILTER (WHERE taxable), 0) AS taxable_documents,
  coalesce(sum(net_minor) FILTER (WHERE consumer), 0) AS consumers,
  coalesce(sum(counted) FILTER (WHERE consumer), 0) AS consumers_documents,
  coalesce(sum(net_minor) FILTER (WHERE treatment <> 'reverse_charge'), 0) AS cross_border
FROM counted GROUP BY place, country, buyer_country, currency, issued_on
"""
# The operator's rate of a day before the ECB's, the latest day of the week before each document's.
_RATES: Final = """
SELECT DISTINCT ON (currency, rate_on) currency, rate_on, rate FROM exchange_rate
WHERE rate_on BETWEEN :since AND :until ORDER BY currency, rate_on, (source = 'operator') DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class _Rates:
    """Euro rates by currency and day."""

    known: Mapping[tuple[str, date], Decimal]

    def on(self, currency: str, day: date) -> Decimal | None:
        if currency == "EUR":
            return Decimal(1)
        days = (day - timedelta(days=back) for back in range(RATE_DAYS + 1))
        return next((self.known[currency, each] for each in days if (currency, each) in self.known), None)

    def convert(self, minor: int, currency: str, to: str, day: date) -> Fraction | None:
        """Minor units of `to`, not rounded; None where a rate is missing."""
        if currency == to:
            return Fraction(minor)
        have, want = self.on(currency, day), self.on(to, day)
        if have is None or want is None:
            return None
        scale = Fraction(10) ** (exponent(to) - exponent(currency))
        return Fraction(minor) * Fraction(want) / Fraction(have) * scale


def read(tx: Tx, entity: LegalEntity, registrations: Iterable[SellerRegistration], now: datetime) -> list[Meter]:
    """The meter of every place with a threshold, the nearest first; `registrations` are those of the entity.

    Places of one percentage are in the order of their codes.
    """
    today = local_date(now, entity.time_zone)
    this_year = today.replace(month=1, day=1)
    since = this_year.replace(year=today.year - 1)
    asked = {
        "entity": entity.id, "since": since, "until": today, "this_year": this_year, "rolling": today - YEAR,
    }  # fmt: skip
    rows = tx.execute(text(_DOCUMENTS), asked).mappings().all()
    week = {"since": since - timedelta(days=RATE_DAYS), "until": today}
    rates = _Rates({(row.currency, row.rate_on): row.rate for row in tx.execute(text(_RATES), week)})
    held = {each.jurisdiction for each in registrations if _in_force(each, today)}
    places = [*nexus_data.load().values(), *([EU_DISTANCE] if _watches_the_union(entity) else [])]
    found = []
    for place in places:
        threshold = place.on(today)
        if threshold is not None:
            mine = [row for row in rows if _belongs(row, place, entity.country)]
            found.append(_meter(place, threshold, mine, rates, (since, this_year, today), _registered(place, held)))
    return sorted(found, key=lambda each: (-each.percent, each.jurisdiction))


def _in_force(registration: SellerRegistration, today: date) -> bool:
    first, last = registration.valid_from, registration.valid_to
    return (first is None or first <= today) and (last is None or today <= last)


def _watches_the_union(entity: LegalEntity) -> bool:
    """A seller of one member state who has not chosen the one-stop shop counts its sales across borders."""
    return entity.country in load().places.members and entity.oss != "union"


def _registered(place: Place, held: set[str]) -> bool:
    areas = load().world[place.jurisdiction].registered_in if place.jurisdiction in load().world else ()
    return not held.isdisjoint({place.jurisdiction, *areas})


def _belongs(row: RowMapping, place: Place, home: str) -> bool:
    if place is EU_DISTANCE:  # while Art. 59c spares a seller the buyer's tax, the sale is placed at home
        return row["buyer_country"] in load().places.members and row["buyer_country"] != home
    if place.jurisdiction == "CA":
        return bool(row["country"] == "CA")
    return bool(row["place"] == place.jurisdiction)


def _meter(
    place: Place, threshold: Threshold, rows: Sequence[RowMapping], rates: _Rates, days: tuple[date, date, date],
    registered: bool,
) -> Meter:  # fmt: skip
    """Of the stretches that count, the one that comes nearest."""
    since, this_year, today = days
    if threshold.period == "rolling":
        stretches = [(today - YEAR + timedelta(days=1), today, [row for row in rows if row["recent"]])]
    else:
        stretches = [
            (this_year, today, [row for row in rows if not row["before"]]),
            (since, this_year - timedelta(days=1), [row for row in rows if row["before"]]),
        ]
    measured = [(first, last, _sums(threshold, chosen, rates)) for first, last, chosen in stretches]
    first, last, best = max(measured, key=lambda each: _percent(threshold, each[2]))
    return Meter(
        place.jurisdiction, place.name, registered, threshold,
        Money(round_half_away(best.minor), threshold.amount.currency), best.documents, _percent(threshold, best),
        first, last, tuple(Money(minor, currency) for currency, minor in sorted(best.unconverted.items())),
    )  # fmt: skip


def _sums(threshold: Threshold, rows: Sequence[RowMapping], rates: _Rates) -> Sums:
    column = "gross" if threshold.counts == "all" else threshold.counts
    counter = "documents" if column in {"gross", "cross_border"} else f"{column}_documents"
    minor, documents, left = Fraction(0), 0, dict[str, int]()
    for row in rows:
        documents += row[counter]
        amount = int(row[column])
        converted = rates.convert(amount, row["currency"], threshold.amount.currency, row["issued_on"])
        if converted is None:
            left[row["currency"]] = left.get(row["currency"], 0) + amount
        else:
            minor += converted
    return Sums(minor, documents, {currency: amount for currency, amount in left.items() if amount})


def _percent(threshold: Threshold, sums: Sums) -> int:
    """Rounded down, so that 100 is never shown before it is reached."""
    sold = sums.minor > 0 or any(amount > 0 for amount in sums.unconverted.values())
    if not threshold.amount.minor:
        return WHOLE if sold else 0
    by_amount = int(max(sums.minor, Fraction(0)) * WHOLE // threshold.amount.minor)
    if threshold.transactions is None:
        return by_amount
    by_count = sums.documents * WHOLE // threshold.transactions
    return min(by_amount, by_count) if threshold.both else max(by_amount, by_count)
