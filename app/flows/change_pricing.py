"""What a change of a running subscription costs: whole days of what was really prepaid, exact and replayable.

Seats go up at the price on the line, a new add-on and a higher plan at the list, each for the days that remain of the
stretch paid in advance (R-PRO-3, R-PRO-6). A plan that ends gives back what was charged for those days (R-PRO-5). All
of it is looked up and computed; nothing is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.catalog import coupons
from app.catalog import discounts as list_discounts
from app.catalog import service as catalog
from app.catalog.errors import NoPrice
from app.catalog.models import Coupon, Interval, Plan, Price
from app.catalog.pricing import PriceModel
from app.core import policy
from app.core.db import Tx
from app.core.money import Money

# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, read 2026-11-22; no figure, no minimum.
from app.flows.taken_back import rest_of
from app.invoices.models import Invoice
from app.orders import service as orders
from app.orders.changes import NOW, Change, LineChange, TakenBack
from app.orders.errors import ChangeRefused, SeatsOutOfRange
from app.orders.service import PricedLine
from app.quotes.discounts import Discount
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionLine
from app.subscriptions.periods import Period
from app.subscriptions.proration import Share, change, charge, share_of
from app.subscriptions.replay import model_of
from app.subscriptions.scheduled import Wish

SMALLEST_CHARGE: Final = policy.declare(
    policy.Policy(
        "smallest_charge",
        {"USD": 50, "EUR": 50, "GBP": 30, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250,
         "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200,
         "SEK": 300, "SGD": 50},
        policy.minor_by_currency,
        "What the payment provider charges at least; a smaller charge goes on the next invoice (R-PRO-8).",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A line as it shall be; `discount` is what sales takes off what it costs."""

    plan: Plan
    quantity: int
    discount: Discount | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days paid in advance, and the part of them that a change on a day is about."""

    period: Period
    share: Share

    @property
    def rest(self) -> Period:
        return Period(self.period.start if self.share.part == 1 else _back(self), self.period.end)


def _back(stretch: Stretch) -> date:
    return date.fromordinal(stretch.period.end.toordinal() - stretch.share.numerator)


@dataclass(frozen=True, slots=True)
class Diff:
    """How the wished lines differ from what is held. Up and down are never mixed."""

    up: bool
    down: bool
    new_plan: bool
    ends: tuple[str, ...]  # plan ids of lines that a higher plan ends
    wish: Wish  # the part that waits for the next term


@dataclass(frozen=True, slots=True)
class Priced:
    """`plans` goes with `lines`. `unsold` names a plan without a price in force in this currency."""

    lines: tuple[PricedLine, ...]
    plans: tuple[Plan, ...]
    coupon: Coupon | None
    ends: tuple[str, ...]
    taken_back: tuple[TakenBack, ...]
    credit_net: Money
    credit: Money
    unsold: str | None
    committed: Money | None = None  # before tax, with the years of the term that are billed later

    @property
    def commitment(self) -> Money:
        """What the order commits to before tax (R-THR-1); a higher plan adds what the lower one does not give back."""
        if self.committed is not None:
            return self.committed
        return max(sum((line.net for line in self.lines), -self.credit_net), Money.zero(self.credit_net.currency),
                   key=lambda each: each.minor)  # fmt: skip

    def settled(self, on: date, total: Money, smallest: Mapping[str, int]) -> Change:
        """The change with what is asked for: what the credit leaves, and never less than can be charged.

        A total below that is carried to the next invoice. A rest below it, after the credit for a higher plan, is
        charged at the least there is: what is over is the customer's credit.
        """
        least = smallest.get(total.currency, 0)
        rest = max(total.minor - self.credit.minor, 0)
        carried = not self.taken_back and total.minor < least
        due = 0 if carried or not rest else max(rest, least)
        return Change(
            effective=NOW, on=on, ends=self.ends, taken_back=self.taken_back, credit_net=self.credit_net.minor,
            credit=self.credit.minor, due=due, invoiced=bool(total) and not carried,
        )  # fmt: skip


def difference(tx: Tx, subscription: Subscription, targets: Sequence[Target], list_day: date) -> Diff:
    """Compare wished lines with held ones. Raises ChangeRefused (mixed, nothing_changes, add_on)."""
    held = {line.plan_id: line for line in subscriptions.lines(tx, subscription.id)}
    plan, main = targets[0], held[subscription.plan_id]
    wanted = {each.plan.id: each for each in targets}
    _require_fitting(targets)
    new_plan = plan.plan.id != main.plan_id
    higher = new_plan and _costs_more(tx, subscription, main, plan.plan, list_day)
    known = catalog.plans_by_id(tx, list(held))
    gone = [line for line in held.values() if line.plan_id != main.plan_id and line.plan_id not in wanted]
    # An add-on that the higher plan does not have ends with the plan it was for.
    ends_with_it = [line for line in gone if higher and plan.plan.sku not in known[line.plan_id].add_on_for]
    dropped = [line.sku for line in gone if line not in ends_with_it]
    moves = [plan.quantity - main.quantity]
    moves += [each.quantity - held[each.plan.id].quantity for each in targets[1:] if each.plan.id in held]
    added = any(each.plan.id not in held for each in targets[1:])
    up = higher or added or max(moves) > 0
    down = (new_plan and not higher) or bool(dropped) or min(moves) < 0
    if up and down:
        raise ChangeRefused(
            "More begins now and less begins with the next term: ask for the one, then for the other.", reason="mixed",
            param="seats",
        )  # fmt: skip
    if not up and not down:
        raise ChangeRefused("This is what the subscription has already.", reason="nothing_changes", param="seats")
    ends = ([main.plan_id] if higher else []) + [line.plan_id for line in ends_with_it]
    wish = Wish(
        plan.plan.id if new_plan and down else None, plan.quantity if moves[0] < 0 else None, tuple(sorted(dropped))
    )
    return Diff(up, down, new_plan, tuple(ends), wish)


def _require_fitting(targets: Sequence[Target]) -> None:
    plan, *add_ons = targets
    for each in add_ons:
        if plan.plan.sku not in each.plan.add_on_for:
            raise ChangeRefused(f"{each.plan.name} cannot be added to {plan.plan.name}.", reason="add_on",
                                param="add_ons")  # fmt: skip


def _costs_more(tx: Tx, held: Subscription, main: SubscriptionLine, plan: Plan, list_day: date) -> bool:
    """Whether another plan is a higher one: as many seats cost as much or more at its list price. Raises NoPrice."""
    model = catalog.price_on(tx, plan, held.currency, Interval(held.interval), list_day).pricing
    before = model_of(main.pricing, Money(main.unit_minor, held.currency)).amount(main.quantity)
    return model.amount(main.quantity) >= before


def price(
    tx: Tx, subscription: Subscription, targets: Sequence[Target], *, on: date, list_day: date, quoted: bool
) -> Priced:
    """What it costs to have `targets` from the day `on` on, in place of what is held.

    Raises ChangeRefused (also where something goes down: that costs nothing and waits), SeatsOutOfRange.
    """
    diff = difference(tx, subscription, targets, list_day)
    if diff.down:
        raise ChangeRefused("It begins with the next term and costs nothing now.", reason="mixed", param="seats")
    for each in targets:
        if each.quantity < each.plan.min_seats or (each.quantity > each.plan.max_seats and not quoted):
            raise SeatsOutOfRange(
                f"{each.plan.name} is sold for {each.plan.min_seats} to {each.plan.max_seats} seats.", param="seats",
                min=each.plan.min_seats, max=each.plan.max_seats,
            )  # fmt: skip
    pricing = _Pricing(tx, subscription, tuple(targets), diff, on, list_day, quoted)
    lines, unsold = pricing.lines()
    carried = carried_lines(tx, subscription.id)
    taken_back, credit_net, credit = rest_of(tx, subscription, diff.ends, on)
    by_id = {each.plan.id: each.plan for each in targets}
    by_id |= catalog.plans_by_id(tx, [line.plan_id for line in carried])
    every = (*lines, *carried)
    given = any(line.discount for line in lines)
    found = Priced(
        lines=every, plans=tuple(by_id[line.plan_id] for line in every), coupon=pricing.coupon(on) if given else None,
        ends=diff.ends, taken_back=taken_back, credit_net=credit_net, credit=credit, unsold=unsold,
    )  # fmt: skip
    return replace(found, committed=_committed(tx, subscription, found))


def _committed(tx: Tx, subscription: Subscription, found: Priced) -> Money | None:
    """With what the change adds to each year of the term that is billed later; None where none is."""
    to_come = subscription.ends_on.year - subscription.billed_to.year  # whole years: both are on the anchor
    if not to_come:
        return None
    ended = [line.net_minor for line in subscriptions.lines(tx, subscription.id) if line.plan_id in found.ends]
    adds = sum(line.change.term.minor for line in found.lines if line.change and line.change.carried_from is None)
    a_year = Money(max(adds - sum(ended), 0), subscription.currency)
    return found.commitment + a_year.times(to_come)


def stretches(tx: Tx, subscription: Subscription, on: date) -> list[Stretch]:
    """What is prepaid from a day on: the rest of the present term, and the next one where that is paid already.

    Raises ChangeRefused for a day after the end.
    """
    last = subscriptions.billed_period(subscription)
    if on >= last.end:
        raise ChangeRefused("Its term is over; renew it first.", reason="ended")
    if on >= last.start:
        return [Stretch(last, share_of(last, on))]
    running = [each for each in subscriptions.terms(tx, subscription.id) if each.starts_on <= on < each.ends_on]
    before = [Period(each.starts_on, each.ends_on) for each in running]
    return [*(Stretch(each, share_of(each, on)) for each in before), Stretch(last, share_of(last))]


@dataclass(frozen=True, slots=True)
class _Pricing:
    tx: Tx
    subscription: Subscription
    targets: tuple[Target, ...]
    diff: Diff
    on: date
    list_day: date
    quoted: bool

    def lines(self) -> tuple[list[PricedLine], str | None]:
        """The lines that cost something, stretch by stretch, and the name of a plan that is not sold any more."""
        held = {line.plan_id: line for line in subscriptions.lines(self.tx, self.subscription.id)}
        found: list[PricedLine] = []
        unsold = None
        for target in self.targets:
            line = held.get(target.plan.id)
            if line is not None and line.quantity == target.quantity:
                continue
            model, price_id, sold = self._model(target, line)
            unsold = unsold if sold else target.plan.name
            for stretch in stretches(self.tx, self.subscription, self.on):
                before = line.quantity if line is not None else None
                if before is not None and stretch.period.end != self.subscription.billed_to:
                    before = max(before, self._bought_for(stretch, target.plan.id))
                if before is None or target.quantity > before:
                    found.append(self._line(target, before, model, price_id, stretch, line))
        return found, unsold

    def _bought_for(self, stretch: Stretch, plan_id: str) -> int:
        """Seats of the present term where the next one, paid already, has fewer."""
        query = select(Invoice).where(
            col(Invoice.subscription_id) == self.subscription.id, col(Invoice.supply_to) == stretch.period.end
        )
        found = list(self.tx.execute(query).scalars())
        bought = [line for each in found for line in orders.lines(self.tx, each.order_id) if line.plan_id == plan_id]
        return max((line.change["after"] if line.change else line.quantity for line in bought), default=0)

    def _model(self, target: Target, line: SubscriptionLine | None) -> tuple[PriceModel, str, bool]:
        """The price on the line; the list price where that ended or the line is new."""
        held, currency = self.subscription, self.subscription.currency
        if line is not None:
            row = self.tx.get_one(Price, line.price_id)
            if row.valid_to is None or row.valid_to > self.list_day:
                return model_of(line.pricing, Money(line.unit_minor, currency)), line.price_id, True
        try:
            listed = catalog.price_on(self.tx, target.plan, currency, Interval(held.interval), self.list_day)
        except NoPrice:
            if line is None:
                raise
            return model_of(line.pricing, Money(line.unit_minor, currency)), line.price_id, False
        return listed.pricing, listed.id, True

    def _line(
        self, target: Target, before: int | None, model: PriceModel, price_id: str, stretch: Stretch,
        line: SubscriptionLine | None,
    ) -> PricedLine:  # fmt: skip
        intervals = line.intervals if line is not None else self._intervals()
        new = model.amount(target.quantity).times(intervals)
        old = model.amount(before).times(intervals) if before is not None else Money.zero(new.currency)
        new = max(new, old, key=lambda each: each.minor)  # a cheaper tier gives nothing back
        discount = self._discount(target, stretch, intervals)
        if before is None:
            made, whole = charge(new, stretch.share, discount), charge(new, share_of(stretch.period), discount)
        else:
            made = change(old, new, stretch.share, discount)
            whole = change(old, new, share_of(stretch.period), discount)
        if target.discount is not None and self.quoted:
            made = replace(made, discount=target.discount.off(made.amount))
            made = replace(made, amount=made.amount - made.discount)
            whole = replace(whole, amount=whole.amount - target.discount.off(whole.amount))
        return PricedLine(
            plan_id=target.plan.id, price_id=price_id, sku=target.plan.sku, description=target.plan.name,
            quantity=target.quantity - (before or 0), unit=model.shown_unit(target.quantity), net=made.amount,
            tax=Money.zero(new.currency), pricing=model.to_json(), intervals=intervals, discount=made.discount,
            change=LineChange(before, target.quantity, stretch.share, stretch.rest, whole.amount),
        )  # fmt: skip

    def _intervals(self) -> int:
        return next(
            line.intervals
            for line in subscriptions.lines(self.tx, self.subscription.id)
            if line.plan_id == self.subscription.plan_id
        )

    def coupon(self, day: date) -> Coupon | None:
        """The coupon that runs on a day, until it ends (R-PRO-6). What sales takes off stands on the lines."""
        running = None if self.quoted else subscriptions.running_coupon(self.subscription, day)
        return coupons.of_id(self.tx, running) if running is not None else None

    def _discount(self, target: Target, stretch: Stretch, intervals: int) -> list_discounts.Discount | None:
        """Of this line; a fixed amount is shared out over all lines as they shall be (R-MON-3)."""
        coupon = self.coupon(max(self.on, stretch.period.start))
        if coupon is None or not coupons.covers(coupon, target.plan.sku):
            return None
        currency = self.subscription.currency
        discount = coupons.discount_of(coupon, currency)
        if discount.percent is not None or not self.diff.ends:
            # Of more seats a fixed amount takes nothing: it was given on those that are held.
            return discount if discount.percent is not None else None
        held = {line.plan_id: line for line in subscriptions.lines(self.tx, self.subscription.id)}
        covered = [each for each in self.targets if coupons.covers(coupon, each.plan.sku)]
        wholes = [
            self._model(each, held.get(each.plan.id))[0].amount(each.quantity).times(intervals) for each in covered
        ]
        part = discount.shares(wholes, currency)[covered.index(target)]
        return list_discounts.Discount(amount=part)


def carried_lines(tx: Tx, subscription_id: str) -> tuple[PricedLine, ...]:
    """Charges that were too small to be made, as lines of the next invoice (R-PRO-8). Their tax is that of then."""
    found = []
    for order in orders.carried(tx, subscription_id):
        for line in orders.lines(tx, order.id):
            known = LineChange.from_json(line.change or {}, order.currency)
            if known.carried_from is not None:
                continue  # it was carried once already and belongs to the order it came from
            found.append(PricedLine(
                plan_id=line.plan_id, price_id=line.price_id, sku=line.sku, description=line.description,
                quantity=line.quantity, unit=Money(line.unit_minor, order.currency),
                net=Money(line.net_minor, order.currency), tax=Money.zero(order.currency), pricing=line.pricing,
                intervals=line.intervals, discount=Money(line.discount_minor, order.currency),
                change=replace(known, carried_from=order.id),
            ))  # fmt: skip
    return tuple(found)
