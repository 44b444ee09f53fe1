"""What it would cost, taxed, with its route: stored, so that what is charged equals what was shown (R-PRO-7).

Prices are read, the buyer's tax number is checked with its registry (outside any transaction), tax is
determined, the route decided, and the whole is kept for a day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from app.accounts import service as accounts
from app.accounts.models import BuyerType
from app.accounts.service import BuyerDetails
from app.catalog import coupons
from app.catalog import service as catalog
from app.catalog.models import Coupon, CouponDuration, Interval, Plan, PlanKind
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money, total
from app.flows import asking_tax, change_pricing, confirming, own_credit, printable
from app.flows.change_pricing import SMALLEST_CHARGE, Priced, Target
from app.flows.market import Market, Tables
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.orders import routing
from app.orders import service as orders
from app.orders.changes import Change
from app.orders.errors import ConsumersNotServed, SeatsOutOfRange
from app.orders.models import OfferSource, OrderKind, Preview
from app.orders.service import PricedLine
from app.quotes.discounts import Discount
from app.screening import destinations
from app.subscriptions import service as subscriptions
from app.subscriptions.models import YEAR_MONTHS, Billing, Subscription
from app.tax import certificates, locating
from app.tax import request as taxing
from app.tax import service as tax
from app.tax.determination import Determination, Treatment
from app.tax.models import TaxDetermination

PREVIEW_HOURS: Final = policy.declare(
    policy.Policy("preview_hours", 24, policy.whole_number(minimum=1), "How long a shown price holds.")
)


def price(ports: Ports, wanted: PreviewRequest, *, agreed: Sequence[PricedLine] | None = None) -> Preview:
    """Price, tax and route a request and keep the answer; at prices that were `agreed` before, where there are any.

    Raises UnknownPlan, NoPrice, SeatsOutOfRange, CouponRefused, ConsumersNotServed, DestinationRefused, Invalid
    (naming the field). What needs a person is not refused: the route says so.
    """
    if wanted.kind is OrderKind.PURCHASE and wanted.source is OfferSource.LIST:
        printable.require_buyer(wanted.buyer)
    now = ports.clock.now()
    tax_ids = confirming.confirmed(ports, wanted, now)
    credit_of = None if wanted.source is OfferSource.QUOTE else wanted.account_id
    return asking_tax.answered(
        ports, lambda tx: keep(tx, compute(tx, wanted, tax_ids, now, agreed=agreed, credit_of=credit_of), now)
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """What a request costs at this moment, before it is kept."""

    wanted: PreviewRequest
    account_id: str | None
    legal_entity_id: str
    tax_ids: tuple[TaxIdGiven, ...]
    lines: tuple[PricedLine, ...]
    discount: dict[str, Any] | None  # the coupon and its worth
    question: taxing.Request
    answer: Determination
    routing: routing.Routing
    priced: Priced
    change: Change | None = None
    revision: int = 0  # of the subscription it rests on
    credit: Money | None = None  # what the account's own credit pays, if it is ordered by card

    @property
    def total(self) -> Money:
        return total([line.net for line in self.lines], self.wanted.currency) + self.answer.tax

    def equals(self, preview: Preview) -> bool:
        """Whether a stored preview still says the same to the minor unit, with the same route."""
        return (
            [line.to_json() for line in self.lines] == preview.lines
            and self.discount == preview.discount
            and (self.change.to_json() if self.change else None) == preview.change
            and self.revision == preview.inputs.get("revision", 0)
            and self.answer.tax.minor == preview.tax_minor
            and self.routing.route is preview.route
        )


Pricing = Callable[[Sequence[Plan], date], Priced]


def compute(
    tx: Tx, wanted: PreviewRequest, tax_ids: Sequence[TaxIdGiven], now: datetime, *,
    agreed: Sequence[PricedLine] | None = None, credit_of: str | None = None,
) -> Offer:  # fmt: skip
    """Price, tax and route a request whose tax numbers were checked. Raises like `price`, and TaxUnasked.

    `agreed` are lines at prices that were agreed before, instead of today's list. `credit_of` is the account whose
    credit pays: only where it is known that it is its people who ask, lest an address shows a stranger what is there.
    """
    offer = _computed(tx, wanted, tax_ids, now, agreed)
    if credit_of is None:
        return offer
    return replace(offer, credit=own_credit.pays(tx, credit_of, offer.total, offer.change, now))


def _computed(
    tx: Tx, wanted: PreviewRequest, tax_ids: Sequence[TaxIdGiven], now: datetime, agreed: Sequence[PricedLine] | None
) -> Offer:
    # A buyer who is not signed in counts towards the account their address may buy for (R-THR-2).
    account_id = wanted.account_id or accounts.account_id_for_buyer(tx, wanted.buyer.email)
    market = Tables(tx, now)
    if wanted.subscription_id is None:
        return offer_of(market, wanted, tax_ids, account_id, now, agreed=agreed)
    held = subscriptions.get(tx, wanted.subscription_id)
    on = wanted.change_on or local_date(now, held.time_zone)

    def change(plans: Sequence[Plan], today: date) -> Priced:
        targets = [Target(plan, line.quantity, line.discount) for plan, line in zip(plans, wanted.lines, strict=True)]
        quoted = wanted.source is OfferSource.QUOTE
        return change_pricing.price(tx, held, targets, on=on, list_day=today, quoted=quoted)

    def with_what_waits(plans: Sequence[Plan], today: date) -> Priced:
        return _with_carried(tx, held, whole_term(market, wanted, plans, today, agreed))

    expands = wanted.kind is OrderKind.EXPANSION
    offer = offer_of(market, wanted, tax_ids, account_id, now, pricing=change if expands else with_what_waits)
    if expands:
        settled = offer.priced.settled(on, offer.total, policy.get(tx, SMALLEST_CHARGE, now))
        offer = replace(offer, change=settled)
    return replace(offer, revision=held.revision)


def _with_carried(tx: Tx, held: Subscription, priced: Priced) -> Priced:
    """With the charges of earlier changes that were too small to be made (R-PRO-8)."""
    carried = change_pricing.carried_lines(tx, held.id)
    if not carried:
        return priced
    plans = catalog.plans_by_id(tx, [line.plan_id for line in carried])
    return replace(
        priced, lines=(*priced.lines, *carried), plans=(*priced.plans, *(plans[line.plan_id] for line in carried))
    )


def offer_of(
    market: Market, wanted: PreviewRequest, tax_ids: Sequence[TaxIdGiven], account_id: str | None, now: datetime, *,
    agreed: Sequence[PricedLine] | None = None, pricing: Pricing | None = None,
) -> Offer:  # fmt: skip
    """What a request costs in a market: pure, but for what the market is asked. Raises like `price`.

    It is priced as a whole term, unless `pricing` does otherwise.
    """
    entity = market.entity
    today = local_date(now, entity.time_zone)
    if wanted.buyer.type is BuyerType.CONSUMER and not entity.sells_to_consumers:
        raise ConsumersNotServed("We sell to businesses; give the company you buy for.", param="company")
    rule = destinations.require_allowed(place_of(wanted.buyer), today)
    plans = [market.plan(line.sku) for line in wanted.lines]
    priced = pricing(plans, today) if pricing is not None else whole_term(market, wanted, plans, today, agreed)
    question = _tax_question(market, wanted, tax_ids, priced.plans, priced.lines, now)
    answer = market.taxed(question)
    lines = tuple(replace(line, tax=taxed.tax) for line, taxed in zip(priced.lines, answer.lines, strict=True))
    route = _route(market, wanted, account_id, plans, priced, answer, rule)
    kept = coupons.terms(priced.coupon, wanted.currency) if priced.coupon is not None else None
    return Offer(wanted, account_id, entity.id, tuple(tax_ids), lines, kept, question, answer, route, priced)


def place_of(buyer: BuyerDetails) -> destinations.Place:
    return destinations.Place(buyer.country, buyer.postcode, buyer.region, buyer.city)


def whole_term(
    market: Market, wanted: PreviewRequest, plans: Sequence[Plan], today: date, agreed: Sequence[PricedLine] | None
) -> Priced:
    """The lines of a term, or of its first year where it is billed yearly, with the discount of their coupon."""
    coupon = market.coupon(wanted, today)
    full = _price_lines(market, wanted, plans, today) if agreed is None else agreed
    lines = tuple(_discounted(full, coupon, wanted.currency))
    none = Money.zero(wanted.currency)
    return Priced(
        lines=lines, plans=tuple(plans), coupon=coupon, ends=(), taken_back=(), credit_net=none, credit=none,
        unsold=None, committed=_committed(wanted, full, lines, coupon),
    )  # fmt: skip


def keep(tx: Tx, offer: Offer, now: datetime, *, until: datetime | None = None) -> Preview:
    """Store an offer, for as long as the policy says where `until` does not."""
    lives = timedelta(hours=policy.get(tx, PREVIEW_HOURS, now)) if until is None else until - now
    determination, kept = rows_of(offer, lives, now)
    preview = Preview(**kept)
    tx.add(TaxDetermination(**determination))
    tx.flush()
    tx.add(preview)
    tx.flush()
    return preview


def rows_of(offer: Offer, lives: timedelta, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """An offer as it is kept: the determination of its tax, and the preview."""
    determination = tax.row_of(offer.answer, taxing.to_json(offer.question), now)
    return determination, orders.preview_row(
        kind=offer.wanted.kind, inputs=_inputs(offer.wanted, offer.tax_ids, offer.revision), lines=offer.lines,
        currency=offer.wanted.currency, tax=offer.answer.tax, legal_entity_id=offer.legal_entity_id,
        determination_id=determination["id"], routing=offer.routing, lives=lives, now=now,
        account_id=offer.account_id, subscription_id=offer.wanted.subscription_id, discount=offer.discount,
        source=offer.wanted.source, committed=offer.priced.committed, change=offer.change,
        credit=offer.credit,
    )  # fmt: skip


def _price_lines(
    market: Market, wanted: PreviewRequest, plans: Sequence[Plan], today: date
) -> list[PricedLine]:  # fmt: skip
    if not plans or plans[0].kind is not PlanKind.PLAN:
        raise Invalid("The first line is the plan; add-ons follow it.", param="lines")
    if len({plan.sku for plan in plans}) != len(plans):
        raise Invalid("Each plan or add-on is listed once.", param="lines")
    lines = []
    for index, (asked, plan) in enumerate(zip(wanted.lines, plans, strict=True)):
        if index and (plan.kind is not PlanKind.ADD_ON or plans[0].sku not in plan.add_on_for):
            raise Invalid(f"{plan.name} cannot be added to {plans[0].name}.", param=f"lines.{index}.sku")
        quoted = wanted.source is OfferSource.QUOTE
        if asked.quantity < plan.min_seats or (asked.quantity > plan.max_seats and not quoted):
            raise SeatsOutOfRange(
                f"{plan.name} is sold for {plan.min_seats} to {plan.max_seats} seats.",
                param=f"lines.{index}.quantity", min=plan.min_seats, max=plan.max_seats,
            )  # fmt: skip
        row = market.price(plan, wanted.currency, wanted.interval, today)
        model = row.pricing
        full = model.amount(asked.quantity).times(wanted.intervals)
        off = asked.discount.off(full) if asked.discount and quoted else Money.zero(row.currency)
        lines.append(PricedLine(
            plan_id=plan.id, price_id=row.id, sku=plan.sku, description=plan.name, quantity=asked.quantity,
            unit=model.shown_unit(asked.quantity), net=full - off, tax=Money.zero(row.currency),
            pricing=model.to_json(), intervals=wanted.intervals, discount=off,
        ))  # fmt: skip
    return lines


def _discounted(lines: Sequence[PricedLine], coupon: Coupon | None, currency: str) -> list[PricedLine]:
    """The discount split over the lines it is for, by largest remainder (R-MON-3); tax comes after it."""
    if coupon is None:
        return list(lines)
    nets = [line.net if coupons.covers(coupon, line.sku) else Money.zero(currency) for line in lines]
    parts = coupons.discount_of(coupon, currency).shares(nets, currency)
    left = [
        replace(line, net=line.net - part, discount=part if line.discount is None else line.discount + part)
        for line, part in zip(lines, parts, strict=True)
    ]
    if not any(line.net for line in left):
        raise coupons.CouponRefused(
            "nothing_left", f"The code {coupon.code} leaves nothing to pay; ask our team, which can give it to you."
        )
    return left


def _committed(
    wanted: PreviewRequest, full: Sequence[PricedLine], first: Sequence[PricedLine], coupon: Coupon | None
) -> Money | None:
    """What all bills of the term come to before tax, each with the coupon if that still runs when it is due."""
    if wanted.bills == 1:
        return None
    sums = [sum(line.net.minor for line in first)]
    for year in range(1, wanted.bills):
        goes_on = coupon is not None and coupon.duration is not CouponDuration.ONCE
        runs = coupon is not None and goes_on and (coupon.months is None or year * YEAR_MONTHS < coupon.months)
        sums.append(sum(line.net.minor for line in _discounted(full, coupon if runs else None, wanted.currency)))
    return Money(sum(sums), wanted.currency)


def _tax_question(
    market: Market, wanted: PreviewRequest, tax_ids: Sequence[TaxIdGiven], plans: Sequence[Plan],
    lines: Sequence[PricedLine], now: datetime,
) -> taxing.Request:  # fmt: skip
    buyer, on = wanted.buyer, local_date(now, accounts.time_zone_of(wanted.buyer.country))
    asked = taxing.Buyer(
        country=buyer.country, region=buyer.region or None, postcode=buyer.postcode or None,
        city=buyer.city or None, type="business" if buyer.type is BuyerType.BUSINESS else "consumer",
        street=(buyer.line1 or None) if market.is_computed_elsewhere(buyer.country) else None,
        tax_ids=tuple(
            taxing.TaxId(each.type, each.value, each.status, each.check, each.checked_at, each.reference)
            for each in tax_ids
        ),
    )  # fmt: skip
    # An address that nobody signed in for shows nothing of what its account holds.
    held = market.certificates(wanted.account_id) if wanted.account_id and not wanted.stranger else ()
    return taxing.Request(
        seller=market.seller, buyer=replace(asked, exemptions=certificates.for_engine(held, asked, on)),
        lines=tuple(taxing.Line(plan.tax_code, line.net.minor) for plan, line in zip(plans, lines, strict=True)),
        currency=wanted.currency, date=on,
        evidence=locating.for_engine(wanted.seen) if asked.type == "consumer" else (),
    )  # fmt: skip


def _route(
    market: Market, wanted: PreviewRequest, account_id: str | None, plans: Sequence[Plan], priced: Priced,
    answer: Determination, rule: destinations.Rule | None,
) -> routing.Routing:  # fmt: skip
    special = market.agreement(account_id) if account_id else None
    # Renewals are measured alone (R-THR-2), a further year with the term that it is of.
    alone = wanted.kind in {OrderKind.RENEWAL, OrderKind.INSTALMENT}
    return routing.decide(
        routing.Facts(
            kind=wanted.kind, net=priced.commitment, thresholds=market.thresholds,
            spent=market.spent(account_id) if account_id and not alone else (),
            sales_only=next((plan.name for plan in plans if plan.sales_only), None),
            retired=next((plan.name for plan in plans if plan.retired_at is not None), priced.unsold),
            agreement=special.title if special else None,
            agreed_renewal=special is not None and special.renews_by_itself, quoted=wanted.source is OfferSource.QUOTE,
            tax_unclear=answer.reason if answer.treatment is Treatment.NEEDS_REVIEW else None,
            export_hold=rule.source if rule is not None else None, stranger=wanted.account_id is None,
        )
    )  # fmt: skip


def _inputs(wanted: PreviewRequest, tax_ids: Sequence[TaxIdGiven], revision: int) -> dict[str, Any]:
    buyer = wanted.buyer
    plain: dict[str, Any] = {
        "lines": [_line_input(line) for line in wanted.lines],
        "interval": str(wanted.interval),
        "term_months": wanted.months,
        "billing": str(wanted.billing),
        "coupon": coupons.normal(wanted.coupon),
        "currency": wanted.currency,
        "po_number": wanted.po_number,
        "buyer": {
            "email": buyer.email, "name": buyer.name, "company": buyer.company, "type": str(buyer.type),
            "country": buyer.country, "region": buyer.region, "postcode": buyer.postcode, "city": buyer.city,
            "line1": buyer.line1, "line2": buyer.line2, "locale": buyer.locale,
        },
        "tax_ids": [each.to_json() for each in tax_ids],
    }  # fmt: skip
    if revision:
        plain["revision"] = revision
    if wanted.account_id is None or wanted.stranger:
        plain["stranger"] = True
    if wanted.seen:
        plain["seen"] = [[each.kind, each.country] for each in wanted.seen]
    return plain


def agreed_lines(preview: Preview) -> list[PricedLine]:
    """The lines of a stored offer, before its coupon and tax; what sales took off stays on them."""
    zero, currency = Money.zero(preview.currency), preview.currency
    by_coupon = preview.discount is not None
    return [
        PricedLine(
            **{name: line[name] for name in ("plan_id", "price_id", "sku", "description", "quantity", "pricing")},
            unit=Money(line["unit_minor"], currency),
            net=Money(line["net_minor"] + (line["discount_minor"] if by_coupon else 0), currency), tax=zero,
            intervals=line["intervals"], discount=zero if by_coupon else Money(line["discount_minor"], currency),
        )
        for line in preview.lines
    ]  # fmt: skip


def _line_input(line: LineRequest) -> dict[str, Any]:
    plain: dict[str, Any] = {"sku": line.sku, "quantity": line.quantity}
    return plain | {"discount": line.discount.to_json()} if line.discount else plain


def asked_again(preview: Preview, *, by: str | None) -> PreviewRequest:
    """The request a stored preview answered, as if the account `by` asked it: who orders decides what counts, not who
    looked at the price.
    """
    request = request_of(preview)
    return replace(request, stranger=by is None or by != request.account_id)


def request_of(preview: Preview) -> PreviewRequest:
    """The request a stored preview answered, with its tax numbers as they were confirmed."""
    inputs = preview.inputs
    buyer = dict(inputs["buyer"])
    return PreviewRequest(
        lines=tuple(
            LineRequest(line["sku"], line["quantity"], Discount.from_json(line.get("discount")))
            for line in inputs["lines"]
        ),
        interval=Interval(inputs["interval"]), currency=inputs["currency"], po_number=inputs["po_number"],
        buyer=BuyerDetails(**(buyer | {"type": BuyerType(buyer["type"])})),
        tax_ids=tuple(TaxIdGiven(**each) for each in inputs["tax_ids"]),
        kind=preview.kind, account_id=preview.account_id, subscription_id=preview.subscription_id,
        term_months=inputs.get("term_months"), coupon=inputs.get("coupon", ""), source=preview.source,
        change_on=date.fromisoformat(preview.change["on"]) if preview.change else None,
        billing=Billing(inputs.get("billing", Billing.PREPAID)), stranger=bool(inputs.get("stranger")),
        seen=tuple(taxing.Evidence(*each) for each in inputs.get("seen", ())),
    )  # fmt: skip
