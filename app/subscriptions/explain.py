"""`blp explain price` and `blp explain periods`: one JSON request a line in, one JSON answer a line out."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from app.catalog.discounts import Discount
from app.catalog.pricing import MOST, TIERED, PriceKind, PriceModel, Tier
from app.core.json_lines import Fields, answer_lines
from app.core.money import Money
from app.subscriptions.periods import MONTHS, Period, periods
from app.subscriptions.proration import charge, share_of

_MOST_PERIODS: Final = 1200
# In some systems' database these name a file, not a place.
_NO_PLACES: Final = frozenset({"localtime", "posixrules", "Factory"})


def price_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """For each input line that is not blank: the JSON to print, and whether the line was malformed."""
    return answer_lines(lines, _price)


def period_lines(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """For each input line that is not blank: the JSON to print, and whether the line was malformed."""
    return answer_lines(lines, _periods)


def _price(given: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(given)
    fields.only("id", "model", "unit_amount", "tiers", "package_size", "base", "quantity", "currency", "period", "from",
                "discount")  # fmt: skip
    currency = fields.currency("currency")
    model = _model(fields, currency)
    span = fields.object("period")
    span.only("start", "end")
    share = share_of(Period(span.day("start"), span.day("end")), fields.optional_day("from"))
    price = model.amount(fields.whole("quantity", least=0, most=MOST))
    line = charge(price, share, _discount(fields, currency))
    return {
        "amount": line.amount.minor, "numerator": share.numerator, "denominator": share.denominator,
        "rule": share.rule,
    }  # fmt: skip


def _model(fields: Fields, currency: str) -> PriceModel:
    kind = PriceKind(fields.choice("model", [str(each) for each in PriceKind]))
    tiered = kind in TIERED
    if tiered and fields.has("unit_amount"):
        fields.refuse("unit_amount", "give the unit prices of this model in tiers")
    return PriceModel(
        kind, currency,
        unit_minor=None if tiered else fields.whole("unit_amount", least=0, most=MOST),
        tiers=tuple(_tier(entry) for entry in fields.objects("tiers")),
        package_size=fields.whole("package_size", least=1, most=MOST) if fields.has("package_size") else None,
        base_minor=fields.whole("base", 0, least=0, most=MOST),
    )  # fmt: skip


def _tier(entry: Fields) -> Tier:
    entry.only("up_to", "unit_amount", "flat_amount")
    return Tier(
        up_to=entry.whole("up_to", least=1, most=MOST) if entry.has("up_to") else None,
        unit_minor=entry.whole("unit_amount", least=0, most=MOST),
        flat_minor=entry.whole("flat_amount", 0, least=0, most=MOST),
    )


def _discount(fields: Fields, currency: str) -> Discount | None:
    if not fields.has("discount"):
        return None
    given = fields.object("discount")
    given.only("percent", "amount")
    percent = given.values.get("percent")
    if percent is not None and (isinstance(percent, bool) or not isinstance(percent, int | Decimal)):
        given.refuse("percent", "give a number: 25 is 25 %")
    amount = Money(given.whole("amount", least=0, most=MOST), currency) if given.has("amount") else None
    return Discount(None if percent is None else Decimal(percent), amount)


def _periods(given: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(given)
    fields.only("id", "start", "anchor_day", "interval", "count", "timezone")
    zone = fields.text("timezone")
    if zone not in _time_zones():
        fields.refuse("timezone", "give an IANA name such as America/New_York")
    made = periods(
        fields.day("start"), fields.choice("interval", tuple(MONTHS)),
        fields.whole("count", least=1, most=_MOST_PERIODS),
        fields.whole("anchor_day", least=1, most=31) if fields.has("anchor_day") else None,
    )  # fmt: skip
    return {"periods": [{"start": each.start.isoformat(), "end": each.end.isoformat()} for each in made]}


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_PLACES
