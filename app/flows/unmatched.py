"""Money that fits no open order (paid twice, or another amount): in sight until a person has dealt with it.

What to do about it happens at the provider, where the money is; here it is written down who did what and why.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col
from structlog import get_logger

from app.core import audit, events
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.events import Event
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Order
from app.payments.provider import PaymentReport

log = get_logger()

FOUND: Final = "payment.unmatched"
RESOLVED: Final = "payment.resolved"


class NothingUnmatched(DomainError):
    slug, title = "nothing-unmatched", "No payment of this order waits for a person"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """`why` is `paid_twice`, `wrong_amount`, `changed_meanwhile` for a change of what is not there any more,
    `credit_gone` where the credit that pays the rest was spent otherwise, `too_late` for a year of a term that ended
    without it, or `not_deliverable` where export rules forbid by now what it was for.
    """

    order_id: str
    account_id: str | None
    why: str
    since: datetime


def waiting(tx: Tx, order_id: str | None = None) -> list[Unmatched]:
    """Orders with such a payment that nobody has dealt with, oldest first; of one order where it is named."""
    about = select(Event).where(col(Event.type).in_([FOUND, RESOLVED]))
    if order_id is not None:
        about = about.where(col(Event.object_id) == order_id)
    newest_first = about.order_by(col(Event.object_id), col(Event.sequence).desc())
    last = tx.execute(newest_first.ext(distinct_on(col(Event.object_id))))
    found = [
        Unmatched(each.object_id, each.account_id, str(each.data["why"]), each.occurred_at)
        for each in last.scalars()
        if each.type == FOUND
    ]
    return sorted(found, key=lambda each: each.since)


def set_aside(tx: Tx, order: Order, report: PaymentReport, why: str, now: datetime) -> str:
    """Money that fits nothing open is kept in sight for finance, never booked as something it is not."""
    amount = report.amount
    details = {"amount": amount.minor, "currency": amount.currency, "charge": report.charge_ref, "why": why}
    audit.record(tx, order.account_id, actor="provider", action=FOUND, subject=order.id, now=now, details=details)
    events.append(tx, FOUND, order.id, now=now, account_id=order.account_id, why=why)
    log.error(FOUND, order=order.id, why=why)
    return why


def resolve(ports: Ports, order_id: str, *, by: str, note: str) -> None:
    """Write down that the money was given back or otherwise dealt with. Raises NotFound, NothingUnmatched."""
    with ports.db.transaction() as tx:
        order = orders.lock(tx, order_id)
        if not waiting(tx, order_id):
            raise NothingUnmatched("There is none, or somebody was quicker.")
        now = ports.clock.now()
        audit.record(tx, order.account_id, actor=by, action=RESOLVED, subject=order.id, now=now, details={"note": note})
        events.append(tx, RESOLVED, order.id, now=now, account_id=order.account_id)
