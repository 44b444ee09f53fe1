"""A held order, looked at by a person (R-THR-3, R-TAX-3).

The buyer accepted exact figures, so releasing never changes one: everything is computed again, and only where it
comes out the same does the order go on to payment. What was unclear about tax has to be clear by now; a hold
because of the destination is decided by the person, whose reason is kept.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from app.accounts import service as accounts
from app.core import audit, events, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.money import Money
from app.flows import billing_run, completion, ordering, party_screening, trade_credit
from app.flows import preview as previews
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import OfferSource, Order, OrderKind, OrderState, PayBy, Preview, Route
from app.quotes import service as quotes
from app.subscriptions import service as subscriptions
from app.subscriptions.models import SubscriptionState
from app.tax import service as tax
from app.tax.determination import Treatment

DAYS_TO_PAY: Final = policy.declare(
    policy.Policy(
        "released_order_days", 7, policy.whole_number(minimum=1),
        "Days a buyer has to pay an order that a person released.",
    )
)  # fmt: skip


class NotHeld(DomainError):
    slug, title = "not-held", "This order is not held"


class TaxStillUnclear(DomainError):
    slug, title = "tax-still-unclear", "The tax of this order is still not known"


class GoesToSales(DomainError):
    slug, title = "goes-to-sales", "This order would go through sales now"


class FiguresChanged(DomainError):
    """The buyer agreed to other figures; only they can agree to the new ones."""

    status, slug, title = HTTPStatus.CONFLICT, "figures-changed", "The order would cost something else now"


def recheck(ports: Ports, order_id: str, *, by: str, note: str) -> Order:
    """Compute a held order again and let it go on: to payment, which the buyer is asked for by mail, or to its invoice.

    `by` is the staff member who takes the decision, `note` their reason. Raises NotFound, NotHeld, TaxStillUnclear,
    FiguresChanged, GoesToSales, InvoiceNotOffered, StillInReview, and what `preview.price` refuses, such as a
    destination that is forbidden by now.
    """
    with ports.db.transaction() as tx:
        accepted = tx.get_one(Preview, _held(orders.get(tx, order_id)).preview_id)
    party_screening.require_clear(ports, order_id)
    # The price of a quote is honoured, so nothing is computed again; what the person decides is the destination. A
    # further year of it is taxed at the tax of its day, at the agreed price.
    instalment = accepted.kind is OrderKind.INSTALMENT
    quoted = accepted.source is OfferSource.QUOTE and not instalment
    agreed = previews.agreed_lines(accepted) if instalment else None
    fresh = accepted if quoted else previews.price(ports, previews.request_of(accepted), agreed=agreed)
    with ports.db.transaction() as tx:
        order = _held(orders.lock(tx, order_id))
        _require_same(tx, order, accepted, fresh)
        now = ports.clock.now()
        before = order.tax_determination_id
        # The figures are those that were accepted; the reason for the tax is the one that is known now.
        order.tax_determination_id = fresh.tax_determination_id
        orders.move(order, OrderState.AWAITING_PAYMENT)
        goes_on = _take_up(tx, order, by=by, now=now)
        details = {
            "note": note, "held_for": " ".join(each["code"] for each in order.reasons), "tax_before": before,
            "tax_now": order.tax_determination_id, "checked": fresh.id,
        }  # fmt: skip
        audit.record(tx, order.account_id, actor=by, action="order.released", subject=order.id, now=now,
                     details=details)  # fmt: skip
        events.append(tx, "order.released", order.id, now=now, account_id=order.account_id)
        if order.pay_by is PayBy.INVOICE:
            quote = quotes.of_order(tx, order.id)
            # What a quote or a term says about payment was agreed, whatever the account's limit.
            if quote is None and order.kind is not OrderKind.INSTALMENT:
                _require_credit(tx, order, now)
            ordering.fulfil_on_invoice(tx, ports, order, now, net_days=quote.net_days if quote else None)
        elif not order.due:  # paid for by credit, or a change that is too small to be charged
            completion.complete_without_payment(tx, ports, order, now)
        elif not goes_on:
            order.expires_at = now + timedelta(days=policy.get(tx, DAYS_TO_PAY, now))
            jobs.defer(tx, "notify.order_released", order_id=order.id)
    return order


def _take_up(tx: Tx, order: Order, *, by: str, now: datetime) -> bool:
    """The subscription that was parked because this order of it was screened goes on; whether the billing run charges
    the order then, so that nobody else has to be asked for the money.
    """
    if order.kind not in {OrderKind.RENEWAL, OrderKind.INSTALMENT} or order.subscription_id is None:
        return False
    subscription = subscriptions.lock(tx, order.subscription_id)
    if not subscription.parked_by_screening:
        return False
    billing_run.let_go(tx, subscription, by=by, note="Review finished.", now=now)
    if order.kind is OrderKind.INSTALMENT:
        return True
    return subscription.renews_itself and subscription.state is SubscriptionState.ACTIVE


def _require_credit(tx: Tx, order: Order, now: datetime) -> None:
    account, amount = accounts.get(tx, order.account_id), Money(order.total_minor, order.currency)
    trade_credit.require(tx, account, amount, today=local_date(now, accounts.seller(tx).time_zone), now=now)


def _held(order: Order) -> Order:
    if order.state is not OrderState.HELD:
        raise NotHeld(f"It is {str(order.state).replace('_', ' ')}; somebody may have been quicker.")
    return order


def _require_same(tx: Tx, order: Order, accepted: Preview, fresh: Preview) -> None:
    found = tax.stored(tx, fresh.tax_determination_id)
    if found.treatment is Treatment.NEEDS_REVIEW:
        raise TaxStillUnclear(
            f"{found.reason} Add what is missing (a registration, an override, the buyer's number) and release it "
            "again, or cancel it and tell the buyer."
        )
    if fresh.route is Route.SALES and fresh.source is OfferSource.LIST:
        sentences = " ".join(each["sentence"] for each in fresh.reasons)
        raise GoesToSales(f"{sentences} Cancel it and make the buyer an offer.")
    if fresh.lines != accepted.lines or fresh.total_minor != order.total_minor:
        then, now = Money(order.total_minor, order.currency), Money(fresh.total_minor, fresh.currency)
        raise FiguresChanged(
            f"The buyer accepted {then} and it would be {now}. Cancel it and ask them to order again; the new figures "
            "are then theirs to accept."
        )
