"""`/`: what there is and what it costs, worked out by GET so that it needs no script."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.catalog import service as catalog
from app.catalog.models import Family, Interval, Plan, PlanKind, Price
from app.catalog.pricing import PriceKind, PriceModel
from app.core import policy
from app.core.clock import local_date
from app.core.money import Money
from app.flows.notify import ANSWER_DAYS
from app.orders import routing
from app.orders.models import OrderKind, Route
from app.web import show
from app.web.auth import CustomerIfAny
from app.web.deps import Now, Tx
from app.web.portal import figures
from app.web.portal.figures import counted
from app.web.portal.views import PlanCard, PricingView
from app.web.views import Choice, Form, Option

DELIVERIES: Final = {
    Family.SELF_MANAGED: "Self-managed: you run it on your own servers, with a license file.",
    Family.CLOUD: "Cloud: we run a workspace of your own.",
}
_FAMILIES: Final = {Family.SELF_MANAGED: "Self-managed", Family.CLOUD: "Cloud"}
_INTERVALS: Final = {Interval.YEAR: "Yearly", Interval.MONTH: "Monthly"}
_USUAL_CURRENCY: Final = "USD"
_MOST_SEATS: Final = 10_000_000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the visitor looks at."""

    family: Family
    interval: Interval
    currency: str
    seats: int

    def query(self) -> str:
        chosen = {
            "family": self.family.value, "interval": self.interval.value, "currency": self.currency,
            "seats": self.seats,
        }  # fmt: skip
        return f"/?{urlencode(chosen)}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Plans on sale with the prices of the day, and the threshold that decides how they are bought."""

    plans: tuple[Plan, ...]
    prices: dict[tuple[str, str, Interval], Price]
    thresholds: Mapping[str, int]

    def price(self, plan: Plan, chosen: Choices) -> PriceModel | None:
        row = self.prices.get((plan.id, chosen.currency, chosen.interval))
        return row.pricing if row else None

    def other_interval(self, plan: Plan, chosen: Choices) -> Interval | None:
        """An interval in which a plan that lacks the chosen one is sold."""
        return next((each for each in Interval if (plan.id, chosen.currency, each) in self.prices), None)


def parse_seats(text: str) -> int | None:
    """A count of seats as people write it, or None."""
    digits = text.strip().replace(",", "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 8:
        return None
    return int(digits) if 1 <= int(digits) <= _MOST_SEATS else None


@router.get("/")
def pricing(
    request: Request, tx: Tx, now: Now, who: CustomerIfAny, family: str = "", interval: str = "", currency: str = "",
    seats: str = "",
) -> Response:  # fmt: skip
    """Plans of one family at the chosen interval, currency and seats."""
    today = local_date(now, accounts.seller(tx).time_zone)
    shelf = Shelf(
        tuple(plan for plan in catalog.plans_on_sale(tx) if plan.kind is PlanKind.PLAN),
        {(row.plan_id, row.currency, row.interval): row for row in catalog.prices_on(tx, today)},
        policy.get(tx, routing.THRESHOLD, now),
    )
    currencies = sorted({code for _, code, _ in shelf.prices}, key=lambda code: (code != _USUAL_CURRENCY, code))
    chosen = Choices(
        family=Family(family) if family in set(Family) else Family.SELF_MANAGED,
        interval=Interval(interval) if interval in set(Interval) else Interval.YEAR,
        currency=currency if currency in currencies else (currencies or [_USUAL_CURRENCY])[0],
        seats=parse_seats(seats) or 0,
    )
    plans = [plan for plan in shelf.plans if plan.family is chosen.family]
    least = min((plan.min_seats for plan in plans), default=1)
    errors = {"seats": "Write the seats as a whole number, such as 25."} if seats and not chosen.seats else {}
    chosen = replace(chosen, seats=chosen.seats or least)
    cards = [_card(shelf, plan, chosen) for plan in plans]
    first = next((index for index, card in enumerate(cards) if card.route != "sales"), None)
    limit = shelf.thresholds.get(chosen.currency)
    view = PricingView(
        plans=tuple(replace(card, recommended=index == first) for index, card in enumerate(cards)),
        deliveries=_switch(chosen, ((label, replace(chosen, family=key)) for key, label in _FAMILIES.items())),
        intervals=_switch(chosen, ((label, replace(chosen, interval=key)) for key, label in _INTERVALS.items())),
        currencies=_switch(chosen, ((code, replace(chosen, currency=code)) for code in currencies)),
        form=Form(values={"seats": seats if errors else str(chosen.seats)}, errors=errors),
        kept=tuple(Option(value=name, label=str(getattr(chosen, name))) for name in ("family", "interval", "currency")),
        min_seats=least,
        threshold=str(Money(limit, chosen.currency)) if limit else "the automatic limit",
        quote_turnaround=counted(policy.get(tx, ANSWER_DAYS, now), "day", "days"),
    )
    return show.portal(request, view, who=who)


def _switch(chosen: Choices, sides: Iterable[tuple[str, Choices]]) -> tuple[Choice, ...]:
    return tuple(Choice(label=label, href=side.query(), current=side == chosen) for label, side in sides)


def automatic_up_to(plan: Plan, model: PriceModel, thresholds: Mapping[str, int]) -> int | None:
    """The most seats with which a plan stays strictly below the threshold (R-THR-1); None if even the fewest do not."""
    limit = thresholds.get(model.currency)
    if limit is None or plan.sales_only:
        return None
    # More seats of one tier never cost less; the next tier of a volume price may begin lower.
    ends = sorted({plan.max_seats, *(end for end in model.bounds() if plan.min_seats <= end < plan.max_seats)})
    for first, last in reversed(list(zip((plan.min_seats, *(end + 1 for end in ends)), ends, strict=False))):
        below = bisect_left(range(first, last + 1), limit, key=lambda seats: model.amount(seats).minor)
        if below:
            return first + below - 1
    return None


def _card(shelf: Shelf, plan: Plan, chosen: Choices) -> PlanCard:
    model = shelf.price(plan, chosen)
    if model is None:
        return _not_so(shelf, plan, chosen)
    seats = min(max(chosen.seats, plan.min_seats), plan.max_seats)
    net = model.amount(seats)
    one_price = model.kind is PriceKind.PER_UNIT and not model.base_minor
    line = figures.unsaved(model, seats, 1)
    decided = routing.decide(
        routing.Facts(
            kind=OrderKind.PURCHASE, net=net, thresholds=shelf.thresholds,
            sales_only=plan.name if plan.sales_only else None,
        )
    )  # fmt: skip
    route = "automatic" if decided.route is Route.AUTOMATIC else "quote"
    per = chosen.interval.value
    return PlanCard(
        sku=plan.sku, name=plan.name, tagline=plan.tagline, price=model.words(),
        price_unit=f"per seat and {per}" if one_price else f"per {per}",
        equation=f"{counted(seats, 'seat', 'seats')} × {model.words()}" if one_price
        else figures.how(line, model.currency, per), total=str(net), total_unit=f"a {per}",
        route="sales" if plan.sales_only else route,  # type: ignore[arg-type]  # one of the three words
        automatic_up_to=automatic_up_to(plan, model, shelf.thresholds), href=_checkout(plan, chosen, seats),
        features=tuple(plan.bullets), note=_note(plan, chosen.seats), trial_days=plan.trial_days,
        trial_href=f"/trial?{urlencode({'sku': plan.sku})}"
        if plan.trial_days and plan.family is Family.SELF_MANAGED else "",
    )  # fmt: skip


def _note(plan: Plan, wanted: int) -> str:
    if wanted < plan.min_seats:
        return f"Sold from {plan.min_seats:,} seats; the total is for these."
    if wanted > plan.max_seats:
        return f"Sold up to {plan.max_seats:,} seats on one order; ask us about more."
    return "Sold by people; the same form sends the request." if plan.sales_only else ""


def _not_so(shelf: Shelf, plan: Plan, chosen: Choices) -> PlanCard:
    """A plan without a price at this interval and currency leads to the one at which it is sold."""
    other = shelf.other_interval(plan, chosen)
    sold = f"Sold by the {other.value} in {chosen.currency}." if other else f"Not sold in {chosen.currency}."
    there = replace(chosen, interval=other) if other else replace(chosen, currency=_USUAL_CURRENCY)
    seats = max(chosen.seats, plan.min_seats)
    return PlanCard(
        sku=plan.sku, name=plan.name, tagline=plan.tagline, price="", price_unit="", equation=sold, total="",
        total_unit="", route="sales", automatic_up_to=None, href=_checkout(plan, there, seats),
        features=tuple(plan.bullets),
    )  # fmt: skip


def _checkout(plan: Plan, chosen: Choices, seats: int) -> str:
    query = {"sku": plan.sku, "seats": seats, "interval": chosen.interval.value, "currency": chosen.currency}
    return f"/checkout?{urlencode(query)}"
