"""Terms of several years that are billed yearly: each further year at its start, as it was agreed (R-PRO-1).

The year is an order of its own, at the prices of the subscription, taxed at the tax of its day. The saved card is
charged for it, or an account that ordered on invoice gets an open one. The license goes to the end of the year that is
paid; a year that cannot be collected ends the term (ADR 0039).
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from app.accounts import service as accounts
from app.catalog.pricing import PriceModel
from app.core import audit, events, jobs
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import (
    asking_tax,
    attesting,
    billing_run,
    charging,
    completion,
    confirming,
    ordering,
    own_credit,
    party_screening,
    renewal,
)
from app.flows import preview as previews
from app.flows.charging import Became
from app.flows.ports import Ports
from app.flows.preview_request import PreviewRequest
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState, PayBy, Preview, Route
from app.orders.service import PricedLine
from app.quotes import service as quotes
from app.screening.models import CheckOutcome
from app.subscriptions import service as subscriptions
from app.subscriptions.models import YEAR_MONTHS, Billing, Subscription, SubscriptionLine, SubscriptionState


def enqueue_due(ports: Ports) -> int:
    """Put the years that begin on the queue, each with what is wrong with it apart. For `tick`."""
    now = ports.clock.now()
    count = 0
    with ports.db.transaction() as tx:
        for subscription in subscriptions.to_bill(tx, now.date() + timedelta(days=1)):
            if start_of(subscription.billed_to, subscription.time_zone) <= now:
                count += billing_run.apart(tx, subscription, now, _defer)
    return count


def _defer(tx: Tx, subscription: Subscription, _now: datetime) -> None:
    jobs.defer(
        tx, bill_automatically, lock=subscription.account_id, once=f"bill:{subscription.id}",
        subscription_id=subscription.id, starts_on=subscription.billed_to.isoformat(),
    )  # fmt: skip


@jobs.job("instalments.bill", retry=jobs.Retry(attempts=6, first=30))
def bill_automatically(ports: Ports, *, subscription_id: str, starts_on: str) -> None:
    """Bill one year of a term."""
    year = date.fromisoformat(starts_on)
    billing_run.guarded(ports, subscription_id, lambda: bill_year(ports, subscription_id, year))


def bill_year(ports: Ports, subscription_id: str, starts_on: date) -> None:
    """Order the year and charge for it, unless that was done. Raises what pricing and paying raise."""
    with ports.db.transaction() as tx:
        held = subscriptions.get(tx, subscription_id)
        if not _wants(held, starts_on):
            return
        under_way = orders.instalment_of(tx, held.id, starts_on)
        asked = _wanted(tx, held)
    order = under_way or _order(ports, asked, held, starts_on)
    if order is None:
        return
    charged = charging.charge(ports, order.id, step_id=None)
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        order = orders.lock(tx, order.id)
        subscription = subscriptions.lock(tx, subscription_id)
        if charged.became is not Became.PAID and _wants(subscription, starts_on):
            billing_run.not_paid(tx, ports, order, subscription, charged, now)
        elif charged.became is Became.PAID and _is_due(subscription, now):
            _defer(tx, subscription, now)  # the run was away for more than a year


def _wants(held: Subscription, starts_on: date) -> bool:
    """Whether this year still is to be billed: neither billed nor parked since the job was deferred."""
    more = held.billed_until is not None and held.billed_until < held.ends_on
    return more and held.billed_to == starts_on and held.state is SubscriptionState.ACTIVE and held.parked_at is None


def _is_due(held: Subscription, now: datetime) -> bool:
    return _wants(held, held.billed_to) and start_of(held.billed_to, held.time_zone) <= now


def _wanted(tx: Tx, held: Subscription) -> PreviewRequest:
    """One year of what the subscription has, for the buyer as last seen; of a quoted term as the quote says."""
    began = orders.get(tx, _order_of_term(tx, held))
    return replace(
        renewal.wanted(tx, held, None), kind=OrderKind.INSTALMENT, term_months=YEAR_MONTHS, billing=Billing.PREPAID,
        source=tx.get_one(Preview, began.preview_id).source,
    )  # fmt: skip


def _order(ports: Ports, asked: PreviewRequest, held: Subscription, starts_on: date) -> Order | None:
    """The order of the year at the agreed prices; the buyer's tax numbers are asked about as for any sale."""
    now = ports.clock.now()
    tax_ids = confirming.confirmed(ports, asked, now)

    def story(tx: Tx) -> Order | None:
        subscription = subscriptions.lock(tx, held.id)
        known = orders.instalment_of(tx, subscription.id, starts_on)
        if known is not None or not _wants(subscription, starts_on):
            return known
        agreed = [_priced(line, subscription.currency) for line in _plan_first(tx, subscription)]
        began = orders.get(tx, _order_of_term(tx, subscription))
        credit_of = subscription.account_id if began.pay_by is PayBy.CARD else None
        offer = previews.compute(tx, asked, tax_ids, now, agreed=agreed, credit_of=credit_of)
        preview = previews.keep(tx, offer, now)
        asking_tax.require_answer(tx, preview)
        # The term was agreed, so a year of it is never refused outright: a person looks first.
        account = accounts.get(tx, subscription.account_id)
        screened = party_screening.of_order(tx, account, preview, now, test=ports.test_mode)
        held_back = (
            preview.route is Route.REVIEW or screened.outcome is not CheckOutcome.CLEAR
            or attesting.missing(tx, account, now)
        )  # fmt: skip
        order = orders.place(
            tx, preview, account_id=subscription.account_id,
            state=OrderState.HELD if held_back else OrderState.AWAITING_PAYMENT, expires_at=None,
            po_number=began.po_number, pay_by=began.pay_by, test=ports.test_mode, term_starts_on=starts_on, now=now,
            credit=offer.credit,
        )  # fmt: skip
        if held_back or order.due:
            own_credit.hold(tx, order, now)
        _tell(tx, order, starts_on, now)
        if not held_back and order.pay_by is PayBy.INVOICE:
            quote = quotes.of_order(tx, began.id)
            ordering.fulfil_on_invoice(tx, ports, order, now, net_days=quote.net_days if quote else None)
        elif not held_back and order.due:
            ordering.intend(tx, ports, order)
        elif not held_back:
            completion.complete_without_payment(tx, ports, order, now)
        return order

    return asking_tax.answered(ports, story)


def _tell(tx: Tx, order: Order, starts_on: date, now: datetime) -> None:
    total = {"amount": order.total_minor, "currency": order.currency}
    events.append(tx, "order.placed", order.id, now=now, account_id=order.account_id, total=total,
                  route=str(order.route), reasons=[each["code"] for each in order.reasons])  # fmt: skip
    details = {"total": order.total_minor, "currency": order.currency, "year_from": str(starts_on)}
    audit.record(tx, order.account_id, actor="billing", action="order.placed", subject=order.id, now=now,
                 details=details)  # fmt: skip


def _order_of_term(tx: Tx, subscription: Subscription) -> str:
    return next(
        each.order_id for each in subscriptions.terms(tx, subscription.id) if each.starts_on == subscription.starts_on
    )


def _plan_first(tx: Tx, subscription: Subscription) -> list[SubscriptionLine]:
    lines = subscriptions.lines(tx, subscription.id)
    return sorted(lines, key=lambda line: line.plan_id != subscription.plan_id)


def _priced(line: SubscriptionLine, currency: str) -> PricedLine:
    """A year of a line at the price it was bought at, less what a quote took off, before any coupon.

    Raises Invalid for a line without a price.
    """
    if line.pricing is None:
        raise Invalid(f"The line {line.sku} has no price model to bill by; bill this year by hand.")
    model = PriceModel.from_json(line.pricing)
    full = model.amount(line.quantity)
    off = Money(min(line.quoted_minor, full.minor), currency)
    return PricedLine(
        plan_id=line.plan_id, price_id=line.price_id, sku=line.sku, description=line.description,
        quantity=line.quantity, unit=model.shown_unit(line.quantity), net=full - off, tax=Money.zero(currency),
        pricing=line.pricing, discount=off,
    )  # fmt: skip
