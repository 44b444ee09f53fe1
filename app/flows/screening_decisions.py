"""What follows when a person decides a case: cleared orders go on where they stopped, confirmed parties get nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col
from structlog import get_logger

from app.core import audit, jobs
from app.core.db import Tx
from app.core.errors import DomainError
from app.flows import dunning, held_orders, party_screening, purchase
from app.flows.party_screening import StillInReview
from app.flows.ports import Ports
from app.orders.models import Order, OrderState
from app.screening import service as screening
from app.screening.models import CaseState, ScreeningCase
from app.screening.service import Decision
from app.subscriptions.models import Subscription, SubscriptionState

log = get_logger()

_OVER = frozenset({SubscriptionState.CANCELED, SubscriptionState.EXPIRED})
_OPEN = (OrderState.HELD, OrderState.AWAITING_PAYMENT)
# Told to the account's own webhooks, so it says nothing of lists.
_FLAG = "a person has to decide what becomes of this account"


@dataclass(frozen=True, slots=True)
class Standing:
    """The orders of an account that a decision moves."""

    held: tuple[str, ...]
    open: tuple[str, ...]


def decide(ports: Ports, case_id: str, decision: Decision, *, by: str, reason: str) -> ScreeningCase:
    """Clear or confirm a case. Its orders follow in a job of their own, which survives a crash.

    Confirming flags every living subscription of the account for a person: none of them renews meanwhile. Raises
    NotFound, CaseDecided.
    """
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        account_id = screening.get(tx, case_id, lock=True).account_id
        if decision == "confirm":
            _flag(tx, account_id, now)  # before the audit log, whose head is the last to be locked
        case = screening.decide(tx, case_id, decision, by=by, reason=reason, now=now)
        jobs.defer(tx, follow, case_id=case.id)
    return case


def _flag(tx: Tx, account_id: str, now: datetime) -> None:
    query = select(Subscription).where(
        col(Subscription.account_id) == account_id, col(Subscription.state).not_in(_OVER)
    )
    for subscription in tx.execute(query.order_by(col(Subscription.id)).with_for_update()).scalars():
        dunning.park(tx, subscription, _FLAG, now)


@jobs.job("screening.follow", retry=jobs.Retry(attempts=8, first=5))
def follow(ports: Ports, *, case_id: str) -> None:
    """Let the orders of a cleared account go on, or give up those of a confirmed one; a repeat finds nothing to do."""
    with ports.db.transaction() as tx:
        case = screening.get(tx, case_id)
        standing = _standing(tx, case.account_id)
        now = ports.clock.now()
        going = [each for each in standing.held if not party_screening.waits_for_more(tx, each, now)]
    if case.state is CaseState.CONFIRMED:
        for order_id in standing.open:
            purchase.cancel(ports, order_id, by=case.decided_by, note="Refused after a review.")
    else:
        for order_id in going:
            _release(ports, order_id, case)


def _release(ports: Ports, order_id: str, case: ScreeningCase) -> None:
    """As a person would. An order with another name in question waits on; what is refused otherwise (another price by
    now) stays held and says why in the vendor's audit log.
    """
    try:
        held_orders.recheck(ports, order_id, by=case.decided_by, note="Review finished.")
    except StillInReview:
        log.info("screening.order_waits_on", order=order_id)
    except DomainError as refused:
        log.warning("screening.order_stays_held", order=order_id, why=refused.code)
        with ports.db.transaction() as tx:
            audit.record(
                tx, audit.SYSTEM, actor=case.decided_by, action="screening.order_stays_held", subject=order_id,
                now=ports.clock.now(), details={"case": case.id, "why": refused.detail},
            )  # fmt: skip


def _standing(tx: Tx, account_id: str) -> Standing:
    query = select(col(Order.id), col(Order.state)).where(
        col(Order.account_id) == account_id, col(Order.state).in_(_OPEN)
    )
    found = list(tx.execute(query.order_by(col(Order.id))))
    return Standing(
        held=tuple(order_id for order_id, state in found if state is OrderState.HELD),
        open=tuple(order_id for order_id, _ in found),
    )
