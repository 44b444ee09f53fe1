"""What a change of a subscription needs to be begun and to be carried out, and how what it brought is taken back."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.catalog import service as catalog
from app.catalog.pricing import PriceModel
from app.core import events
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money
from app.flows import crediting, invoicing, own_credit, taken_back
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.credit_notes import Settlement
from app.invoices.models import CreditReason, Invoice, InvoiceState
from app.orders import service as orders
from app.orders.changes import Change, LineChange, TakenBack, line_changes
from app.orders.errors import ChangeRefused
from app.orders.models import OfferSource, Order, OrderKind, PayBy, Preview
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from app.subscriptions.service import LineBought, Step


def list_day(tx: Tx, now: datetime) -> date:
    """The day whose list prices are asked: the seller's."""
    return local_date(now, accounts.seller(tx).time_zone)


def require_changeable(tx: Tx, held: Subscription, now: datetime) -> None:
    """A change can be begun now at all. Raises ChangeRefused with its `reason`.

    What is owed comes first: who has not paid for the seats they have is not sold more of them (R-SUB-7).
    """
    if held.state is not SubscriptionState.ACTIVE:
        raise ChangeRefused(f"It is {str(held.state).replace('_', ' ')}; it is changed again once it is paid and "
                            "runs.", reason="state", state=str(held.state))  # fmt: skip
    if local_date(now, held.time_zone) >= held.billed_to:
        raise ChangeRefused("Its term is over; renew it first.", reason="ended")
    unpaid = tx.execute(
        select(Invoice).where(col(Invoice.subscription_id) == held.id, col(Invoice.state) == InvoiceState.OPEN)
        .order_by(col(Invoice.id)).limit(1)
    ).scalar_one_or_none()  # fmt: skip
    if unpaid is not None:
        raise ChangeRefused(f"Pay invoice {unpaid.number} first.", reason="unpaid_invoice", invoice=unpaid.id)
    require_no_renewal(tx, held)


def require_no_renewal(tx: Tx, held: Subscription) -> None:
    """Nobody is in the middle of buying the next term as it is. Raises ChangeRefused."""
    waits = orders.renewal_of_term(tx, held.id, held.ends_on)
    if waits is not None:
        raise ChangeRefused("Its renewal waits for payment: pay or cancel that first.", reason="renewal_under_way",
                            order=waits.id)  # fmt: skip


def require_turn(tx: Tx, held: Subscription, preview: Preview) -> None:
    """No other change waits for its payment. Raises ChangeRefused with its order and the offer, which still holds."""
    waits = orders.expansion_under_way(tx, held.id)
    if waits is not None:
        raise ChangeRefused("Another change of it waits for its payment: pay or cancel that one first.",
                            reason="order_under_way", order=waits.id, preview=preview.id)  # fmt: skip


def fits(tx: Tx, offer: Preview) -> bool:
    """Whether a change that was accepted is still about what is held: nothing came between (R-SUB-7)."""
    held = subscriptions.lock(tx, offer.subscription_id or "")
    change = Change.from_json(offer.change or {})
    if held.state is not SubscriptionState.ACTIVE or orders.renewal_of_term(tx, held.id, held.ends_on) is not None:
        return False
    seats = {line.plan_id: line.quantity for line in subscriptions.lines(tx, held.id)}
    if not set(change.ends) <= set(seats):
        return False
    last = [each for each in line_changes(offer.lines, offer.currency) if each[1].period.end == held.billed_to]
    if not last or any(seats.get(plan_id) != each.before for plan_id, each in last):
        return False
    waiting = {order.id for order in orders.carried(tx, held.id)}
    carried = {line["change"]["carried_from"] for line in offer.lines if line["change"]["carried_from"]}
    return carried <= waiting and all(_left(tx, each) for each in change.taken_back)


def _left(tx: Tx, taken: TakenBack) -> bool:
    invoice = invoices.lock(tx, taken.invoice_id)
    if invoice.state not in {InvoiceState.OPEN, InvoiceState.PAID}:
        return False
    basis = credit_notes.basis(tx, invoice)
    return any(line.line_id == taken.line_id and basis.left_net(line) >= taken.net for line in basis.lines)


def carry_out(tx: Tx, order: Order, offer: Preview, now: datetime) -> Subscription:
    """The subscription as the order changes it; its term stays as it is. The caller holds the order's lock."""
    held = subscriptions.lock(tx, order.subscription_id or "")
    change = Change.from_json(order.change or {})
    before = {line.sku: line.quantity for line in subscriptions.lines(tx, held.id)}
    plan_id = held.plan_id
    if plan_id in change.ends:
        plan_id = offer.lines[0]["plan_id"]
    subscriptions.change(tx, held, steps=_steps(offer, held), ends=change.ends, plan_id=plan_id)
    after = {line.sku: line.quantity for line in subscriptions.lines(tx, held.id)}
    events.append(
        tx, "subscription.changed", held.id, now=now, account_id=held.account_id, order=order.id, before=before,
        after=after, seats=after[catalog.plans_by_id(tx, [plan_id])[plan_id].sku], ends_on=held.ends_on.isoformat(),
    )  # fmt: skip
    return held


def _steps(offer: Preview, held: Subscription, *, back: bool = False) -> list[Step]:
    """What the offer's lines do to the stretch that was paid last."""
    steps = []
    for line, (plan_id, each) in zip(
        [line for line in offer.lines if not line["change"]["carried_from"]], line_changes(offer.lines, offer.currency),
        strict=True,
    ):  # fmt: skip
        if each.period.end != held.billed_to:
            continue
        steps.append(Step(
            LineBought(
                plan_id=plan_id, price_id=line["price_id"], sku=line["sku"], description=line["description"],
                quantity=each.after - (each.before or 0), unit=Money(line["unit_minor"], offer.currency),
                net=each.term, pricing=line["pricing"], intervals=line["intervals"],
                quoted=_taken_off(line, each) if offer.source is OfferSource.QUOTE else 0,
            ),
            ends=back,
        ))  # fmt: skip
    return steps


def _taken_off(line: Mapping[str, Any], each: LineChange) -> int:
    """What sales takes off the whole stretch: what it would cost at the price of the line, less what it adds."""
    model = PriceModel.from_json(line["pricing"])
    before = model.amount(each.before).minor if each.before is not None else 0
    return max((model.amount(each.after).minor - before) * int(line["intervals"]) - each.term.minor, 0)


def give_back_rest(tx: Tx, order: Order, *, actor: str, now: datetime) -> Money:
    """The credit notes for the rest of the plan that ends, at the tax of then; the money is the customer's credit."""
    change = Change.from_json(order.change or {})
    given = Money.zero(order.currency)
    for invoice_id in dict.fromkeys(each.invoice_id for each in change.taken_back):
        invoice = invoices.lock(tx, invoice_id)
        parts = [
            taken_back.credit_part(each, invoice.currency)
            for each in change.taken_back
            if each.invoice_id == invoice_id
        ]
        credit = credit_notes.work_out(tx, invoice, parts)
        amount = Money(credit.total, invoice.currency)
        crediting.issue(tx, invoice, credit, reason=CreditReason.PLAN_CHANGE, settlement=Settlement.to_balance(amount),
                        actor=actor, now=now, parts=parts)  # fmt: skip
        given += amount
    return given


def invoice_of(tx: Tx, supply: invoicing.Supply, *, net_days: int, actor: str, now: datetime) -> Invoice | None:
    """What the old plan gives back, then the invoice, which that and customer credit pay; None where the charge is
    carried on.

    Credit notes take their numbers first, then invoices, as everywhere (ADR 0026).
    """
    order = supply.order
    change = Change.from_json(order.change or {})
    if not change.invoiced:
        return None
    given = give_back_rest(tx, order, actor=actor, now=now)
    invoice = invoicing.issue(tx, supply, net_days=net_days, now=now)
    if order.pay_by is PayBy.INVOICE:
        crediting.pay_from_credit(tx, invoice, actor=actor, now=now)
    else:
        own_credit.spend(tx, order, invoice, now, given=given)
    return invoice


def bill_carried(tx: Tx, order: Order, offer: Preview) -> None:
    """Charges that were carried on are on this order's invoice now."""
    for line in offer.lines:
        source = (line.get("change") or {}).get("carried_from")
        if source is not None:
            orders.lock(tx, source).carried_to = order.id
    tx.flush()


def take_back(tx: Tx, order: Order, now: datetime) -> Subscription | None:
    """Take back what a refunded change brought, in the term it was for; None where that is over, or nothing is left.

    A higher plan is not taken back: its lower one was given back when it ended, so nothing would be left to go on with.
    """
    offer = tx.get_one(Preview, order.preview_id)
    held = subscriptions.lock(tx, order.subscription_id or "")
    steps = _steps(offer, held, back=True)
    if not steps or held.state is not SubscriptionState.ACTIVE:
        return None
    before = {line.sku: line.quantity for line in subscriptions.lines(tx, held.id)}
    subscriptions.change(tx, held, steps=steps, ends=(), plan_id=held.plan_id)
    after = {line.sku: line.quantity for line in subscriptions.lines(tx, held.id)}
    events.append(
        tx, "subscription.changed", held.id, now=now, account_id=held.account_id, order=order.id, before=before,
        after=after, ends_on=held.ends_on.isoformat(), refunded=True,
    )  # fmt: skip
    return held


def can_take_back(order: Order) -> bool:
    """Whether a refund of this order takes seats or add-ons back and leaves the rest running."""
    return order.kind is OrderKind.EXPANSION and not Change.from_json(order.change or {}).ends
