"""The customer's own credit on an order by card: applied first, so that the card is charged the rest (ADR 0040).

An offer says what credit would pay of it. The order that it becomes holds just that, until it is completed, which
spends it on the invoice, or comes to nothing, which lets it go. A charge that is declined does neither: the order still
waits to be paid.
"""

from datetime import datetime
from typing import Any

from app.core import policy
from app.core.db import Tx
from app.core.money import Money
from app.flows import crediting
from app.flows.change_pricing import SMALLEST_CHARGE
from app.invoices.models import Invoice
from app.orders.changes import Change
from app.orders.models import Order
from app.payments import credit
from app.payments.errors import CreditOverdrawn


def pays(tx: Tx, account_id: str, total: Money, change: Change | None, now: datetime) -> Money:
    """What of the account's credit pays a total now; of a change what the plan that ends does not pay already.

    A charge that is carried to the next invoice is paid with that (R-PRO-8).
    """
    rest = total if change is None else total - Money(change.credit, total.currency)
    if rest.minor <= 0 or (change is not None and not change.due):
        return Money.zero(total.currency)
    least = policy.get(tx, SMALLEST_CHARGE, now).get(total.currency, 0)
    return credit.usable(rest, credit.available(tx, account_id, total.currency), least)


def of_stored(tx: Tx, account_id: str, total: Money, change: dict[str, Any] | None, now: datetime) -> Money:
    """The same for an offer as it is kept."""
    return pays(tx, account_id, total, Change.from_json(change) if change is not None else None, now)


def hold(tx: Tx, order: Order, now: datetime) -> None:
    """Keep what a new order by card counts on; one that nothing is left to be paid of spends it at once instead.

    Raises CreditOverdrawn where somebody was quicker.
    """
    if order.credit_minor:
        credit.hold(tx, order.account_id, Money(order.credit_minor, order.currency), order_id=order.id, now=now)


def is_there(tx: Tx, order: Order) -> bool:
    """Whether the credit that an order counts on still is there: held, or after it came to nothing not spent since."""
    if not order.credit_minor or credit.held_for(tx, order.id) is not None:
        return True
    return credit.available(tx, order.account_id, order.currency).minor >= order.credit_minor


def spend(tx: Tx, order: Order, invoice: Invoice, now: datetime, *, given: Money | None = None) -> None:
    """Pay the order's new invoice with its credit, and with what a plan that ends has `given` back.

    Raises CreditOverdrawn where it is not there any more.
    """
    wanted = Money(order.credit_minor, order.currency) + (given or Money.zero(order.currency))
    if not wanted:
        return
    spent = crediting.pay_from_credit(tx, invoice, actor="billing", now=now, at_most=wanted)
    if spent.minor < order.credit_minor:
        raise CreditOverdrawn(f"There are {spent} of credit.", left=spent.minor)
