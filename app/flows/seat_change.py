"""Changing a running subscription: seats, add-ons and a higher plan now, less of them with the next term (R-PRO-6).

`preview` prices a wish and keeps the answer for a day. `commit` carries out exactly that, or refuses with a new
preview: what goes up is ordered and charged like any purchase, what goes down is written down for the renewal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.agreements.service import Evidence
from app.catalog import service as catalog
from app.catalog.errors import NoPrice
from app.catalog.models import Interval, Plan, PlanKind
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.money import Money
from app.flows import asking_tax, change_pricing, changing, purchase, renewal
from app.flows import preview as previews
from app.flows.change_pricing import Diff, Target
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.purchase import Placing, Started
from app.flows.scheduled_changes import Became, tell
from app.orders import service as orders
from app.orders.changes import AT_RENEWAL, Change
from app.orders.errors import ChangeRefused, PreviewChanged, PreviewExpired, SeatsOutOfRange
from app.orders.models import Order, OrderKind, OrderState, PayBy, Preview, Route
from app.orders.routing import Reason, Routing
from app.payments import service as payments
from app.payments.models import AttemptState
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, Subscription
from app.subscriptions.scheduled import LineNext, Wish

_FREE: Final = "no_charge"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wishes; None stays as it is. `add_ons` are the skus of all of them, as they shall be."""

    seats: int | None = None
    plan: str | None = None
    add_ons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ordering:
    """How what goes up is ordered. `by` is who acts, as the audit log names them."""

    terms_id: str
    evidence: Evidence
    by: str
    pay_by: PayBy = PayBy.CARD
    po_number: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """Either the order that was begun, or the change that waits for the next term."""

    started: Started | None = None
    scheduled: ScheduledChange | None = None


def preview(ports: Ports, subscription_id: str, wanted: Wanted) -> Preview:
    """Price a wish as of now and keep the answer, whatever its route.

    Raises NotFound, ChangeRefused, SeatsOutOfRange, UnknownPlan, NoPrice, Invalid.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, subscription_id)
        changing.require_changeable(tx, held, now)
        lines = targets(tx, held, wanted)
        diff = _difference(tx, held, lines, now)
        if diff.down:
            return _keep_wish(tx, held, lines, diff, now)
        asked = _request(tx, held, lines)
    return previews.price(ports, asked)


def targets(tx: Tx, held: Subscription, wanted: Wanted) -> list[LineNext]:
    """The wished lines, the plan first: an add-on that is held for every seat follows the seats (as renewals do).

    Raises UnknownPlan, Invalid for an add-on in the place of a plan, ChangeRefused for one that does not go with it.
    """
    lines = {line.plan_id: line for line in subscriptions.lines(tx, held.id)}
    main = lines[held.plan_id]
    plan = catalog.plan_by_sku(tx, wanted.plan) if wanted.plan else tx.get_one(Plan, held.plan_id)
    if plan.kind is not PlanKind.PLAN:
        raise Invalid(f"{plan.name} is an add-on; name it among the add-ons.", param="plan")
    seats = wanted.seats or main.quantity
    known = {line.sku: line for line in lines.values() if line.plan_id != held.plan_id}
    skus = list(known) if wanted.add_ons is None else list(dict.fromkeys(wanted.add_ons))
    if wanted.add_ons is None and plan.id != held.plan_id:
        skus = [sku for sku in skus if plan.sku in catalog.plan_by_sku(tx, sku).add_on_for]
    add_ons = []
    for sku in skus:
        line = known.get(sku)
        follows = line is None or line.quantity == main.quantity
        add_ons.append(LineNext(sku, seats if line is None or follows else line.quantity))
        if catalog.plan_by_sku(tx, sku).kind is not PlanKind.ADD_ON:
            raise Invalid(f"{sku} is a plan; name it as the plan.", param="add_ons")
    return [LineNext(plan.sku, seats), *add_ons]


def _difference(tx: Tx, held: Subscription, lines: Sequence[LineNext], now: datetime) -> Diff:
    asked = [Target(catalog.plan_by_sku(tx, line.sku), line.quantity) for line in lines]
    return change_pricing.difference(tx, held, asked, changing.list_day(tx, now))


def _request(tx: Tx, held: Subscription, lines: Sequence[LineNext]) -> PreviewRequest:
    """The wish as something to be priced, for the buyer of the last order."""
    last = renewal.wanted(tx, held, None)
    return replace(last, lines=tuple(LineRequest(line.sku, line.quantity) for line in lines), kind=OrderKind.EXPANSION)


def _keep_wish(tx: Tx, held: Subscription, lines: Sequence[LineNext], diff: Diff, now: datetime) -> Preview:
    """What goes down costs nothing and waits: kept as an offer of nothing, so that it is agreed to like any other.

    What waits already stays beside it: fewer seats do not drop a lower plan.
    """
    wish = _with_what_waits(tx, held, diff.wish)
    _require_sold(tx, held, _after(tx, held, wish), now)
    if held.not_renewing_at is not None:
        raise ChangeRefused("It ends with this term; there is no next one.", reason="not_renewing")
    last = tx.get_one(Preview, _last_order(tx, held).preview_id)
    change = Change(AT_RENEWAL, local_date(now, held.time_zone), wish=wish.to_json(), invoiced=False)
    route = Routing(Route.AUTOMATIC, (Reason(_FREE, f"It begins with the term from {held.ends_on} on."),))
    inputs = last.inputs | {
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in lines], "revision": held.revision,
    }  # fmt: skip
    kept = Preview(**orders.preview_row(
        kind=OrderKind.EXPANSION, inputs=inputs, lines=[], currency=held.currency,
        tax=Money.zero(held.currency), legal_entity_id=held.legal_entity_id, determination_id=last.tax_determination_id,
        routing=route, lives=timedelta(hours=policy.get(tx, previews.PREVIEW_HOURS, now)), now=now,
        account_id=held.account_id, subscription_id=held.id, change=change,
    ))  # fmt: skip
    tx.add(kept)
    tx.flush()
    return kept


def _with_what_waits(tx: Tx, held: Subscription, wish: Wish) -> Wish:
    waiting = scheduled.scheduled(tx, held.id)
    if waiting is None:
        return wish
    dropped = tuple(sorted({*waiting.dropped, *wish.dropped}))
    return Wish(wish.plan_id or waiting.plan_id, wish.seats or waiting.seats, dropped)


def _after(tx: Tx, held: Subscription, wish: Wish, lines: Sequence[LineNext] = ()) -> list[LineNext]:
    """The next term with a wish: from what is held, or from `lines`, which will be held by then."""
    own = sorted(subscriptions.lines(tx, held.id), key=lambda line: line.plan_id != held.plan_id)
    now = lines or [LineNext(line.sku, line.quantity) for line in own]
    return scheduled.with_wish(now, wish, tx.get_one(Plan, wish.plan_id).sku if wish.plan_id else None)


def _wish_of(offer: Preview) -> Wish:
    kept = Change.from_json(offer.change or {}).wish
    return Wish(kept["plan_id"], kept["seats"], tuple(kept["dropped"]))


def _require_sold(tx: Tx, held: Subscription, lines: Sequence[LineNext], now: datetime) -> None:
    """Fewer seats, or another plan, have to be on sale. Raises SeatsOutOfRange, NoPrice, ChangeRefused."""
    day = changing.list_day(tx, now)
    for line in lines:
        plan = catalog.plan_by_sku(tx, line.sku)
        if not plan.min_seats <= line.quantity <= plan.max_seats:
            raise SeatsOutOfRange(f"{plan.name} is sold for {plan.min_seats} to {plan.max_seats} seats.",
                                  param="seats", min=plan.min_seats, max=plan.max_seats)  # fmt: skip
        if plan.id != held.plan_id and (plan.retired_at is not None or plan.sales_only):
            raise ChangeRefused(f"{plan.name} is not sold here; ask our team.", reason="state", param="plan")
        catalog.price_on(tx, plan, held.currency, Interval(held.interval), day)


def _last_order(tx: Tx, held: Subscription) -> Order:
    query = select(Order).where(col(Order.subscription_id) == held.id, col(Order.state) == OrderState.COMPLETED)
    return tx.execute(query.order_by(col(Order.completed_at).desc()).limit(1)).scalar_one()


def next_term(ports: Ports, offer: Preview) -> previews.Offer | None:
    """What the next term would cost at today's prices once the offer is carried out; None where it ends, or needs a
    price that there is not. Nothing is kept.
    """
    now = ports.clock.now()

    def story(tx: Tx) -> previews.Offer | None:
        held = subscriptions.get(tx, offer.subscription_id or "")
        if held.not_renewing_at is not None:
            return None
        if Change.from_json(offer.change or {}).effective == AT_RENEWAL:
            lines = _after(tx, held, _wish_of(offer))
        else:
            going_up = [LineNext(each["sku"], each["quantity"]) for each in offer.inputs["lines"]]
            lines = _after(tx, held, _with_what_waits(tx, held, Wish()), going_up)
        last = renewal.wanted(tx, held, None)
        asked = replace(last, lines=tuple(LineRequest(line.sku, line.quantity) for line in lines))
        checked = tuple(TaxIdGiven(**each) for each in offer.inputs["tax_ids"])  # as the registries have just said
        try:
            return previews.compute(tx, asked, checked, now)
        except (NoPrice, SeatsOutOfRange, Invalid):
            return None  # a person has to look at the renewal; it does not stand in the way of this change

    return asking_tax.answered(ports, story)


def commit(ports: Ports, preview_id: str, how: Ordering) -> Changed:
    """Carry out what a preview offers.

    Raises NotFound, PreviewExpired, PreviewChanged (with a new preview), ChangeRefused, and for what goes up what
    `purchase.start` raises. A second click gets the same order.
    """
    with ports.db.transaction() as tx:
        offer = orders.lock_preview(tx, preview_id)
        if offer.kind is not OrderKind.EXPANSION or offer.subscription_id is None or offer.change is None:
            raise NotFound("There is no such change of a subscription.", param="preview")
        known = orders.order_of_preview(tx, offer.id)
        effective = offer.change["effective"]
    if effective == AT_RENEWAL:
        return Changed(scheduled=_schedule(ports, offer, how.by))
    if known is None:
        _settle_what_runs(ports, offer.subscription_id)
    try:
        started = purchase.start(
            ports,
            Placing(offer.id, how.terms_id, how.evidence, account_id=offer.account_id, pay_by=how.pay_by,
                    po_number=how.po_number),
            open_page=False,
        )  # fmt: skip
    except ChangeRefused as refused:
        if refused.extra.get("reason") not in {"nothing_changes", "mixed"}:
            raise
        held = offer.subscription_id
        raise PreviewChanged(f"It was changed meanwhile. {refused.detail}", subscription=held) from None
    return Changed(started=renewal.charge_or_lead_on(ports, started))


def _settle_what_runs(ports: Ports, subscription_id: str) -> None:
    """Another change whose card is being charged: its answer comes first, so that the figures below are the new ones.

    One that waits at the pay page stands in the way; `purchase.start` says so.
    """
    with ports.db.transaction() as tx:
        order = orders.expansion_under_way(tx, subscription_id)
        attempt = payments.latest_attempt(tx, order.id) if order is not None else None
    open_ = attempt is not None and attempt.state in {AttemptState.UNKNOWN, AttemptState.PENDING}
    if attempt is not None and open_ and attempt.saved_method_ref is not None:
        purchase.settle(ports, attempt.id)


def _schedule(ports: Ports, offer: Preview, by: str) -> ScheduledChange:
    """Write a wish for the next term down, unless something has changed since it was looked at."""
    now = ports.clock.now()
    fresh: Preview | None = None
    with ports.db.transaction() as tx:
        held = subscriptions.lock(tx, offer.subscription_id or "")
        changing.require_changeable(tx, held, now)
        if offer.expires_at <= now:
            raise PreviewExpired("Offers are shown for a day; look at it again.", param="preview")
        if held.not_renewing_at is not None:
            raise ChangeRefused("It ends with this term; there is no next one.", reason="not_renewing")
        wish, waiting = _wish_of(offer), scheduled.scheduled(tx, held.id)
        if waiting is not None and Wish(waiting.plan_id, waiting.seats, tuple(waiting.dropped)) == wish:
            return waiting  # a second click
        if held.revision == offer.inputs["revision"]:
            _require_sold(tx, held, _after(tx, held, wish), now)
            row = scheduled.schedule(tx, held, wish, by=by, now=now)
            tell(tx, held, Became.SCHEDULED, row, by=by, now=now, replaces=waiting is not None)
            return row
        lines = [LineNext(each["sku"], each["quantity"]) for each in offer.inputs["lines"]]
        diff = _difference(tx, held, lines, now)
        fresh = _keep_wish(tx, held, lines, diff, now) if diff.down else None
    raise PreviewChanged("It was changed meanwhile; look at it again.", preview=fresh.id if fresh else None)


def withdraw(ports: Ports, subscription_id: str, change_id: str, *, by: str, reason: str = "") -> ScheduledChange:
    """Take back what is scheduled for the next term. Raises NotFound, MoveRefused, ChangeRefused while it is sold."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        held = subscriptions.lock(tx, subscription_id)
        changing.require_no_renewal(tx, held)
        row = scheduled.withdraw(tx, held, change_id, by=by, now=now)
        tell(tx, held, Became.WITHDRAWN, row, by=by, now=now, reason=reason)
    return row


def give_up(ports: Ports, subscription_id: str, *, by: str) -> None:
    """Cancel the change that waits for its payment; the subscription stays as it is (R-SUB-7). Raises ChangeRefused."""
    with ports.db.transaction() as tx:
        order = orders.expansion_under_way(tx, subscription_id)
    if order is None:
        raise ChangeRefused("No change of it waits for its payment; somebody was quicker.", reason="state")
    purchase.cancel(ports, order.id, by=by)
