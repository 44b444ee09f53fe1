"""What follows when a person decides a case: cleared orders go on where they stopped, confirmed parties get nothing.

Taken back, a decision gives back what it suspended. What ended meanwhile stays ended; money that moved stays there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, exists, func, select
from sqlmodel import col
from structlog import get_logger

from app.core import audit, jobs
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.events import Event
from app.flows import attesting, billing_run, dunning, held_orders, party_screening, purchase, unmatched
from app.flows.party_screening import StillInReview
from app.flows.ports import Ports
from app.invoices.models import Invoice, InvoiceState
from app.licenses.models import License, LicenseState
from app.orders.models import Order, OrderKind, OrderState
from app.screening import service as screening
from app.screening.models import CaseState, Decision, ScreeningCase
from app.subscriptions.models import Subscription, SubscriptionState
from app.workspaces.models import ProvisioningTask, TaskState, Workspace
from app.workspaces.reconciling import RING

log = get_logger()

HAND_OVER: Final = "receivables.hand_over"
_OVER = frozenset({SubscriptionState.CANCELED, SubscriptionState.EXPIRED})
_OPEN = (OrderState.HELD, OrderState.AWAITING_PAYMENT)
# Told to the account's own webhooks, so it says nothing of lists.
_FLAG = "a person has to decide what becomes of this account"


@dataclass(frozen=True, slots=True)
class Standing:
    """The orders of an account that a decision moves."""

    held: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reversal:
    """What overturning gives back: `subscriptions` to the billing run, of which `over` ended meanwhile and stay so, and
    full `licenses` that were paid for. What it does not: `orders` given up since, `payments` that were set aside. With
    `also_confirmed` cases of the same account everything waits for those.
    """

    also_confirmed: int
    subscriptions: int
    over: int
    licenses: int
    orders: int
    payments: int


def decide(ports: Ports, case_id: str, decision: Decision, *, by: str, reason: str) -> ScreeningCase:
    """Clear or confirm a case, or take that back. What follows is done by a job of its own, which survives a crash.

    Confirming flags every living subscription of the account for a person: none of them renews meanwhile. Overturning
    gives back what was suspended (see `Reversal`); reopening makes what is ordered from now on wait. Raises NotFound,
    CaseDecided.
    """
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        account_id = screening.get(tx, case_id, lock=True).account_id
        if decision is Decision.CONFIRM:
            _flag(tx, account_id, now)  # before the audit log, whose head is the last to be locked
        case = screening.decide(tx, case_id, decision, by=by, reason=reason, now=now)
        jobs.defer(tx, follow, case_id=case.id)
    return case


def _flag(tx: Tx, account_id: str, now: datetime) -> None:
    query = select(Subscription).where(
        col(Subscription.account_id) == account_id, col(Subscription.state).not_in(_OVER)
    )
    for subscription in tx.execute(query.order_by(col(Subscription.id)).with_for_update()).scalars():
        dunning.park(tx, subscription, _FLAG, now, by_screening=True)


@jobs.job("screening.follow", retry=jobs.Retry(attempts=8, first=5))
def follow(ports: Ports, *, case_id: str) -> None:
    """Let the orders and subscriptions of a cleared account go on, or give up the orders of a confirmed one; as the
    case stands by now, and a repeat finds nothing to do.
    """
    with ports.db.transaction() as tx:
        case = screening.get(tx, case_id)
        standing = _standing(tx, case.account_id)
        now = ports.clock.now()
        going = [each for each in standing.held if not party_screening.waits_for_more(tx, each, now)]
    match case.state:
        case CaseState.CONFIRMED:
            for order_id in standing.open:
                purchase.cancel(ports, order_id, by=case.decided_by, note="Refused after a review.")
        case CaseState.CLEARED:
            _go_on(ports, going, case.account_id, by=case.decided_by, about=case.id)


@jobs.job(attesting.FOLLOW, retry=jobs.Retry(attempts=8, first=5))
def attested(ports: Ports, *, account_id: str, by: str) -> None:
    """What waited for somebody to say who does not own the account goes on; a repeat finds nothing to do."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        held = _standing(tx, account_id).held
        going = [each for each in held if not party_screening.waits_for_more(tx, each, now)]
    _go_on(ports, going, account_id, by=by, about=account_id)


def _go_on(ports: Ports, order_ids: Sequence[str], account_id: str, *, by: str, about: str) -> None:
    for order_id in order_ids:
        _release(ports, order_id, by=by, about=about)
    with ports.db.transaction() as tx:
        if not screening.refused(tx, account_id):
            _give_back(tx, account_id, by, ports.clock.now())


def _give_back(tx: Tx, account_id: str, by: str, now: datetime) -> None:
    """What was suspended: the billing run, full licenses in place of bridges that were paid, work on workspaces."""
    for subscription in tx.execute(_parked(account_id).with_for_update()).scalars():
        billing_run.let_go(tx, subscription, by=by, note="Review finished.", now=now)
    for invoice_id in _withheld(tx, account_id):
        jobs.defer(tx, HAND_OVER, invoice_id=invoice_id)
    tasks = select(col(ProvisioningTask.id)).join(Workspace, col(Workspace.id) == col(ProvisioningTask.workspace_id))
    waiting = tasks.where(col(Workspace.account_id) == account_id, col(ProvisioningTask.state) == TaskState.QUEUED)
    for task_id in tx.execute(waiting.limit(1)).scalars():
        jobs.defer(tx, RING, task_id=task_id)


def _parked(account_id: str) -> Select[Subscription]:
    """What waits because of screening alone, without those whose own order is still held: they would be parked again
    within a minute.
    """
    held = exists().where(
        col(Order.subscription_id) == col(Subscription.id), col(Order.state) == OrderState.HELD,
        col(Order.kind).in_([OrderKind.RENEWAL, OrderKind.INSTALMENT]),
    )  # fmt: skip
    query = select(Subscription).where(
        col(Subscription.account_id) == account_id, col(Subscription.parked_by_screening), ~held
    )
    return query.order_by(col(Subscription.id))


def _withheld(tx: Tx, account_id: str) -> list[str]:
    """Paid invoices whose order still has its bridge, because nothing could be delivered when the money came."""
    query = (
        select(col(Invoice.id))
        .join(License, col(License.order_id) == col(Invoice.order_id))
        .where(
            col(Invoice.account_id) == account_id, col(Invoice.state) == InvoiceState.PAID, col(License.bridge),
            col(License.state) == LicenseState.ACTIVE,
        )
    )  # fmt: skip
    return list(tx.execute(query.order_by(col(Invoice.id))).scalars())


def reversal_of(tx: Tx, case: ScreeningCase) -> Reversal:
    """What overturning a confirmed case gives back now, and what it does not."""
    others = [
        each
        for each in screening.standing_of(tx, case.account_id)
        if each.state is CaseState.CONFIRMED and each.id != case.id
    ]
    since = case.decided_at
    given_up = select(func.count()).where(
        col(Event.account_id) == case.account_id, col(Event.type) == "order.canceled", col(Event.occurred_at) >= since
    )
    over = select(func.count()).where(
        col(Subscription.account_id) == case.account_id, col(Subscription.parked_by_screening),
        col(Subscription.state).in_(_OVER),
    )  # fmt: skip
    return Reversal(
        also_confirmed=len(others),
        subscriptions=len(tx.execute(_parked(case.account_id)).scalars().all()),
        over=tx.execute(over).scalar_one(),
        licenses=len(_withheld(tx, case.account_id)),
        orders=tx.execute(given_up).scalar_one(),
        payments=sum(
            each.account_id == case.account_id and each.why == "not_deliverable" for each in unmatched.waiting(tx)
        ),
    )


def _release(ports: Ports, order_id: str, *, by: str, about: str) -> None:
    """As a person would. An order with another name in question waits on; what is refused otherwise (another price by
    now) stays held and says why in the vendor's audit log.
    """
    try:
        held_orders.recheck(ports, order_id, by=by, note="Review finished.")
    except StillInReview:
        log.info("screening.order_waits_on", order=order_id)
    except DomainError as refused:
        log.warning("screening.order_stays_held", order=order_id, why=refused.code)
        with ports.db.transaction() as tx:
            audit.record(
                tx, audit.SYSTEM, actor=by, action="screening.order_stays_held", subject=order_id,
                now=ports.clock.now(), details={"about": about, "why": refused.detail},
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
