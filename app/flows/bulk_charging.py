"""Between the two halves of a billing run: each charge is asked for by a job of its own, and a successful answer is
kept for the run that completes orders (ADR 0036). What did not succeed goes on as on the single path.
"""

from typing import Final

from sqlalchemy import select
from sqlmodel import col
from structlog import get_logger

from app.core import jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.dunning import service as dunning
from app.flows import billing_run, bulk_ordering, purchase, saved_card
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState
from app.payments import answers
from app.payments import service as payments
from app.payments.models import AttemptState, PaymentAttempt
from app.payments.provider import Outcome, PaymentReport, SavedMethod
from app.subscriptions.models import Subscription

log = get_logger()

KEPT: Final = "kept"
_OPEN: Final = frozenset({AttemptState.UNKNOWN, AttemptState.PENDING})


@jobs.job(bulk_ordering.CHARGE, retry=jobs.Retry(attempts=6, first=30))
def charge(ports: Ports, *, order_id: str) -> None:
    """Charge the saved card for one ordered term, once however often this runs."""
    with ports.db.transaction() as tx:
        order, parked = _order(tx, order_id)
        if answers.of_order(tx, order_id) is not None:
            return  # an event told it already
        asked = None if parked else _asked(tx, order)
    try:
        if asked is not None and _keep(ports, saved_card.charge_or_find(ports, *asked)):
            return
        if order.subscription_id is not None and order.term_starts_on is not None:
            billing_run.renew_term(ports, order.subscription_id, order.term_starts_on.isoformat())
    except billing_run.PASSING:
        raise
    except Exception as broken:
        log.exception("billing_run.parked", subscription=order.subscription_id)
        with ports.db.transaction() as tx:
            billing_run.park(tx, order.subscription_id or "", broken, ports.clock.now())


def _order(tx: Tx, order_id: str) -> tuple[Order, bool]:
    """The order, and whether its subscription was parked since: then nobody is charged, as on the single path."""
    query = (
        select(Order, col(Subscription.parked_at))
        .join(Subscription, col(Subscription.id) == col(Order.subscription_id))
        .where(col(Order.id) == order_id)
    )
    order, parked_at = tx.execute(query).one()
    return order, parked_at is not None


def _asked(tx: Tx, order: Order) -> tuple[PaymentAttempt, SavedMethod] | None:
    """What the provider is asked; None where the single path has to look: it was answered, or is another's by now."""
    known = dunning.charge_of(tx, order.id, None)
    attempt = payments.lock_attempt(tx, known.attempt_id) if known is not None else None
    card = payments.saved_method_of(tx, attempt) if attempt is not None else None
    if attempt is None or card is None or not awaited(tx, order, attempt) or attempt.provider_ref is not None:
        return None
    return attempt, card


def awaited(tx: Tx, order: Order, attempt: PaymentAttempt) -> bool:
    """Whether this is the charge of a renewal by itself that its order waits for."""
    if order.kind is not OrderKind.RENEWAL or order.state is not OrderState.AWAITING_PAYMENT:
        return False
    known = dunning.charge_of(tx, order.id, None)
    return known is not None and known.attempt_id == attempt.id and attempt.state in _OPEN


def _keep(ports: Ports, report: PaymentReport | None) -> bool:
    """Whether the order is paid and its completion is on the way; anything else is recorded as on the single path."""
    if report is None:
        return False
    with ports.db.transaction() as tx:
        return take_report(tx, ports, report) == KEPT


def keep(tx: Tx, report: PaymentReport) -> bool:
    """Keep the answer to a renewal's own charge and have its order completed; False for any other report."""
    if report.outcome is not Outcome.SUCCEEDED:
        return False
    attempt = payments.lock_attempt(tx, report.attempt_id)
    if attempt is None:
        return False
    order = orders.lock(tx, attempt.order_id)
    if not awaited(tx, order, attempt) or order.credit_minor or report.amount != order.due:
        return False
    if dunning.collects(tx, order.id):
        return False
    answers.keep(tx, order.id, report, transport_now())
    jobs.defer(tx, billing_run.COMPLETE_PAID, once=f"{billing_run.COMPLETE_PAID}:0")
    return True


def take_report(tx: Tx, ports: Ports, report: PaymentReport) -> str:
    """What an event of the provider leads to: `kept` for the run that completes orders, or done at once."""
    now = ports.clock.now()  # before any lock
    return KEPT if keep(tx, report) else purchase.apply_report(tx, ports, report, now=now)
