"""Charges that were too small to be made, where no further invoice takes them up (R-PRO-8).

A charge below the provider's least waits for the next invoice of its subscription. Once that has ended there is none:
then what waits is invoiced if it is worth it, with a link to pay, at the tax that was determined for it; what is less
is given up, once, with an entry in the books and an audit row.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.core import audit, events, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.money import Money, total
from app.flows import crediting, invoicing, trade_credit
from app.flows.change_pricing import SMALLEST_CHARGE
from app.flows.ports import Ports
from app.flows.scheduled_changes import OVER
from app.invoices import reminders
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders import service as orders
from app.orders.models import CarriedEnd, EndOfCarried, Order, Preview
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from app.subscriptions.periods import Period

SMALLEST_LAST_INVOICE: Final = policy.declare(
    policy.Policy(
        "smallest_last_invoice", {}, policy.minor_by_currency,
        "From what on the small charges left when a subscription ends are invoiced; less is written off. A currency"
        " without a figure has that of smallest_charge.",
    )
)  # fmt: skip


def enqueue_due(ports: Ports) -> int:
    """Put ended subscriptions with charges that wait for nothing on the queue. For `tick`."""
    with ports.db.transaction() as tx:
        found = orders.left_behind(tx, OVER)
        for held, account in found:
            jobs.defer(tx, settle_later, lock=account, once=f"rest:{held}", subscription_id=held)
    return len(found)


@jobs.job("small_rests.settle", retry=jobs.Retry(attempts=6, first=30))
def settle_later(ports: Ports, *, subscription_id: str) -> None:
    """End what is left of one subscription."""
    settle(ports, subscription_id)


def settle(ports: Ports, subscription_id: str) -> None:
    """Invoice what is left of one subscription, or write it off; nothing where it was renewed meanwhile."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        held = subscriptions.lock(tx, subscription_id)
        if held.state not in OVER or orders.renewal_of_term(tx, held.id, held.ends_on) is not None:
            return
        small = [orders.lock(tx, each.id) for each in orders.carried(tx, held.id)]
        whole = total([Money(each.total_minor, each.currency) for each in small], held.currency)
        worth_it = whole.minor >= _least(tx, held.currency, now)
        for order in small:
            if worth_it:
                _invoice(tx, held, order, now)
            else:
                _write_off(tx, order, now)


def _least(tx: Tx, currency: str, now: datetime) -> int:
    own: Mapping[str, int] = policy.get(tx, SMALLEST_LAST_INVOICE, now)
    return own.get(currency, policy.get(tx, SMALLEST_CHARGE, now).get(currency, 0))


def _invoice(tx: Tx, held: Subscription, order: Order, now: datetime) -> None:
    """An open invoice of the order as it was agreed; credit pays it first, and a mail with a link asks for the rest."""
    net_days, entity = policy.get(tx, trade_credit.NET_DAYS, now), tx.get_one(LegalEntity, order.legal_entity_id)
    supply = invoicing.Supply(
        order, tx.get_one(Preview, order.preview_id), entity, orders.lines(tx, order.id), held.id,
        Period(held.starts_on, held.ends_on),
    )  # fmt: skip
    _end(tx, order, EndOfCarried.INVOICED, now)
    invoice = invoicing.issue(tx, supply, net_days=net_days, now=now)
    reminders.announce(tx, invoice, accounts.get(tx, order.account_id).time_zone, now)
    crediting.pay_from_credit(tx, invoice, actor="billing", now=now)
    details = {"invoice": invoice.number, "total": order.total_minor, "currency": order.currency}
    audit.record(tx, order.account_id, actor="billing", action="order.rest_invoiced", subject=order.id, now=now,
                 details=details)  # fmt: skip


def _write_off(tx: Tx, order: Order, now: datetime) -> None:
    """It was delivered and is not asked for: revenue that is given away at once. Without an invoice no tax arises."""
    net, entity = Money(order.net_minor, order.currency), tx.get_one(LegalEntity, order.legal_entity_id)
    _end(tx, order, EndOfCarried.WRITTEN_OFF, now)
    ledger.book(
        tx, source=f"written_off:{order.id}", kind="write_off", account_id=order.account_id,
        legal_entity_id=entity.id, booked_on=local_date(now, entity.time_zone),
        memo=f"Too small to be invoiced: {order.id}", legs=[Leg(Code.CREDITS, net), Leg(Code.SUBSCRIPTIONS, -net)],
        now=now,
    )  # fmt: skip
    details = {"net": order.net_minor, "currency": order.currency}
    events.append(tx, "order.written_off", order.id, now=now, account_id=order.account_id, **details)
    audit.record(tx, order.account_id, actor="billing", action="order.written_off", subject=order.id, now=now,
                 details=details)  # fmt: skip


def _end(tx: Tx, order: Order, became: EndOfCarried, now: datetime) -> None:
    tx.add(CarriedEnd(order_id=order.id, became=became, ended_at=now))
    tx.flush()
