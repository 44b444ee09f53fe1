"""Whether money that arrived for an order can complete it: a payment may be late, and things move on meanwhile."""

from datetime import datetime

from app.core.db import Tx
from app.flows import changing, export_gate, own_credit
from app.orders.models import Order, OrderKind, OrderState, Preview
from app.payments.provider import PaymentReport
from app.subscriptions import service as subscriptions


def unfit(tx: Tx, order: Order, report: PaymentReport, now: datetime) -> str | None:
    """Why money cannot complete the order it was paid for, if it cannot."""
    if report.amount != order.due:
        return "wrong_amount"
    if order.state is OrderState.COMPLETED:
        return "paid_twice"
    return _gone(tx, order, now)


def _gone(tx: Tx, order: Order, now: datetime) -> str | None:
    """What the order rests on and is not there any more."""
    if not export_gate.fulfillable(tx, order, now):
        return "not_deliverable"
    if not own_credit.is_there(tx, order):
        return "credit_gone"
    if order.kind is OrderKind.EXPANSION:
        return None if changing.fits(tx, tx.get_one(Preview, order.preview_id)) else "changed_meanwhile"
    if order.kind is OrderKind.INSTALMENT:
        next_year = subscriptions.get(tx, order.subscription_id or "").billed_until
        return None if order.term_starts_on == next_year else "too_late"  # the subscription went on without that year
    return None
