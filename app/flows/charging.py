"""A charge nobody pressed a button for: intended, asked for, recorded, and never twice for the same purpose.

The purpose is the renewal itself, or one step of a dunning ladder. Its attempt is written down first and tied to the
purpose by the table of automatic charges, so a worker that starts over asks about that attempt instead of making
another.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from app.core import policy
from app.core.clock import transport_now
from app.core.db import Tx
from app.dunning import service as dunning
from app.dunning.ladder import CHARGES_A_DAY
from app.dunning.models import AutomaticCharge
from app.dunning.service import Failure
from app.flows import purchase
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Order, OrderState
from app.payments import declines
from app.payments import service as payments
from app.payments.errors import PaymentUnavailable
from app.payments.models import AttemptState, PaymentAttempt

_DAY: Final = timedelta(days=1)
_OPEN: Final = frozenset({AttemptState.UNKNOWN, AttemptState.PENDING})


class Became(StrEnum):
    PAID = "paid"
    DECLINED = "declined"
    NEEDS_CARD = "needs_card"  # nothing was asked for: there is no card, or only the one that is dead
    TOO_OFTEN = "too_often"  # the bound of a day is reached
    CLOSED = "closed"  # the order is not to be paid now: held, canceled, expired


@dataclass(frozen=True, slots=True)
class Charged:
    became: Became
    failure: Failure | None = None


def charge(ports: Ports, order_id: str, *, step_id: str | None, dead_card: str | None = None) -> Charged:
    """Charge the account's saved card for an order, once for this step, or once for the renewal without one.

    `dead_card` is a card that is not asked again. Raises PaymentUnavailable while the outcome is not known: call again.
    """
    _close_what_is_open(ports, order_id)
    with ports.db.transaction() as tx:
        found = _intend(tx, ports, order_id, step_id, dead_card)
    if isinstance(found, Charged):
        return found
    if found.state in _OPEN:
        purchase.settle(ports, found.id)
    with ports.db.transaction() as tx:
        return _result(orders.get(tx, order_id), payments.lock_attempt(tx, found.id))


def _close_what_is_open(ports: Ports, order_id: str) -> None:
    """A page the buyer may be at, or a charge without an answer: settled before another way to pay is opened."""
    with ports.db.transaction() as tx:
        latest = payments.latest_attempt(tx, order_id)
        awaited = orders.get(tx, order_id).state is OrderState.AWAITING_PAYMENT
    if latest is None or not awaited or latest.state not in _OPEN:
        return
    if latest.saved_method_ref is None and latest.provider_ref is None:
        return  # nobody was asked yet
    if latest.saved_method_ref is None and latest.provider_ref is not None:
        ports.payments.expire_checkout(latest.provider_ref)
    purchase.settle(ports, latest.id)


def _intend(
    tx: Tx, ports: Ports, order_id: str, step_id: str | None, dead_card: str | None
) -> PaymentAttempt | Charged:
    order = orders.lock(tx, order_id)
    known = dunning.charge_of(tx, order.id, step_id)
    if known is not None:
        return tx.get_one(PaymentAttempt, known.attempt_id)
    if order.state is not OrderState.AWAITING_PAYMENT:
        return Charged(Became.PAID if order.state is OrderState.COMPLETED else Became.CLOSED)
    now, subscription_id = ports.clock.now(), order.subscription_id or ""
    card = payments.saved_method(tx, order.account_id, ports.payments.name)
    if card is None:
        return Charged(Became.NEEDS_CARD, Failure(declines.NO_CARD, needs_card=True, method_ref=None))
    if card.method_ref == dead_card:
        return Charged(Became.NEEDS_CARD)
    if dunning.charges_since(tx, subscription_id, now - _DAY) >= policy.get(tx, CHARGES_A_DAY, now):
        return Charged(Became.TOO_OFTEN)
    attempt = payments.latest_attempt(tx, order.id)
    if attempt is None or attempt.state is not AttemptState.UNKNOWN or attempt.saved_method_ref or attempt.provider_ref:
        attempt = payments.intend(
            tx, order_id=order.id, account_id=order.account_id, amount=order.due,
            provider=ports.payments.name, now=transport_now(),
        )  # fmt: skip
    attempt.saved_method_ref = card.method_ref
    # From here on only an answer ends it: an order that expired meanwhile would make room for a second charge.
    order.expires_at = None
    tx.add(AutomaticCharge(**dunning.charge_row(subscription_id, order.id, step_id, attempt.id, now)))
    tx.flush()
    return attempt


def _result(order: Order, attempt: PaymentAttempt | None) -> Charged:
    if order.state is OrderState.COMPLETED:
        return Charged(Became.PAID)
    if attempt is None or attempt.state in _OPEN:
        raise PaymentUnavailable("The payment provider has not said what became of the charge. Try again shortly.")
    if attempt.state is AttemptState.SUCCEEDED:
        return Charged(Became.CLOSED)  # money that fits no open order: set aside for a person
    code = attempt.failure_code or "declined"
    return Charged(Became.DECLINED, Failure(code, declines.is_hard(code), attempt.saved_method_ref))
