"""The tax of a document in the currency of the state that gets it (Art. 230 Directive 2006/112/EC; R-TAX-6).

The rate is the last one known when the paper is drawn, of the day of issue or before it; it is kept with the paper and
never looked up again, so that copies and credit notes state the same (ADR 0049).
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.money import Money, exponent
from app.documents import countries
from app.documents.shapes import OPERATOR, TaxInStateCurrency
from app.tax.exchange_rates import BASE
from app.tax.models import ExchangeRate

# As many digits as are printed: the amount is the tax times the printed rate, so that a reader can check it.
_DIGITS: Final = Context(prec=6, rounding=ROUND_HALF_UP)

OLDEST_RATE_DAYS: Final = policy.declare(
    policy.Policy(
        "oldest_exchange_rate_days", 7, policy.whole_number(minimum=1),
        "An exchange rate may be so many days older than the document whose tax is stated with it.",
    )
)  # fmt: skip


class NoExchangeRate(DomainError):
    """The paper waits until the rate is known: it is never guessed, and the law wants it on the paper."""

    status, slug, title = HTTPStatus.CONFLICT, "no-exchange-rate", "The document waits for an exchange rate"


def wanted(taxes: Iterable[tuple[str, int]], currency: str, on: date) -> str | None:
    """The other currency that this tax is to be stated in, by (jurisdiction, minor units); None where there is none.

    Tax of two states has no one currency; each of our sales is taxed in one.
    """
    found = {countries.load().tax_currency(place, on) for place, minor in taxes if minor}
    there = found.pop() if len(found) == 1 else None
    return there if there != currency else None


def stated(tx: Tx, tax: Money, there: str, on: date, now: datetime) -> TaxInStateCurrency:
    """The tax in the currency `there`, at the last rate known of the day of issue. Raises NoExchangeRate."""
    oldest = on - timedelta(days=policy.get(tx, OLDEST_RATE_DAYS, now))
    mine, theirs = (_of_euro(tx, each, oldest, on) for each in (tax.currency, there))
    rate = _DIGITS.divide(theirs[0], mine[0])
    source = OPERATOR if OPERATOR in {mine[2], theirs[2]} else "ECB"
    return TaxInStateCurrency(_converted(tax, rate, there), rate, min(mine[1], theirs[1]), source)


def again(tax: Money, there: TaxInStateCurrency) -> TaxInStateCurrency:
    """Another amount at a rate that was stated before: of a credit note, at that of its invoice."""
    return TaxInStateCurrency(_converted(tax, there.rate, there.amount.currency), there.rate, there.rate_date,
                              there.source)  # fmt: skip


def _converted(tax: Money, rate: Decimal, there: str) -> Money:
    return Money(1, there).times((tax.major() * rate).scaleb(exponent(there)))


def _of_euro(tx: Tx, currency: str, oldest: date, on: date) -> tuple[Decimal, date, str]:
    """What one euro was in this currency, of which day, by whom. The operator's word comes before the ECB's."""
    if currency == BASE:
        return Decimal(1), on, "ECB"
    query = (
        select(ExchangeRate)
        .where(col(ExchangeRate.currency) == currency, col(ExchangeRate.rate_on).between(oldest, on))
        .order_by(
            col(ExchangeRate.rate_on).desc(), (col(ExchangeRate.source) == OPERATOR).desc(),
            col(ExchangeRate.id).desc(),
        )
        .limit(1)
    )  # fmt: skip
    found = tx.execute(query).scalar_one_or_none()
    if found is None:
        raise NoExchangeRate(
            f"No rate of {currency} is known from {oldest} to {on}: import the ECB's file with `blp tax import-rates`,"
            " or set the rate with `blp tax set-rate`. The document is drawn within the hour then."
        )
    return found.rate, found.rate_on, OPERATOR if found.source == OPERATOR else "ECB"


def to_json(there: TaxInStateCurrency) -> dict[str, Any]:
    """As it is kept with the paper; the rate as a decimal string."""
    return {
        "currency": there.amount.currency, "minor": there.amount.minor, "rate": f"{there.rate:f}",
        "rate_on": there.rate_date.isoformat(), "source": there.source,
    }  # fmt: skip


def from_json(kept: dict[str, Any]) -> TaxInStateCurrency:
    return TaxInStateCurrency(
        Money(kept["minor"], kept["currency"]), Decimal(kept["rate"]), date.fromisoformat(kept["rate_on"]),
        kept["source"],
    )  # fmt: skip
