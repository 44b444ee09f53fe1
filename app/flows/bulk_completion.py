"""The second half of a billing run for many (ADR 0036): the orders whose charge is known to have succeeded are
completed, some hundreds in one transaction, with the rules of `completion`.

Numbers are the last thing to be taken: until the commit nobody else gets one of the series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from structlog import get_logger

from app.core import bulk, jobs
from app.core.db import Tx
from app.flows import billing_run, paid_facts, purchase, renewed_rows
from app.flows.ports import Ports
from app.orders.models import Order
from app.payments import answers
from app.payments.models import PaymentAttempt
from app.payments.provider import PaymentReport

log = get_logger()

CHUNK: Final = 500  # the invoice counter is held for the last part of it, well below a second


@dataclass(slots=True)
class Done:
    """What became of paid orders: `completed`, on the `single` path, or `parked`."""

    completed: int = 0
    single: int = 0
    parked: int = 0


@jobs.job(billing_run.COMPLETE_PAID, retry=jobs.Retry(attempts=6, first=30))
def complete_paid(ports: Ports) -> None:
    """Complete every paid order. Any number of these may run at once: they share the work."""
    while (done := complete_chunk(ports)) is not None:
        log.info("billing_run.completed", completed=done.completed, single=done.single, parked=done.parked)


def complete_chunk(ports: Ports, *, size: int = CHUNK) -> Done | None:
    """Complete the orders of the oldest answers; None where there are none.

    A failure is bisected down to the one order it is about; its subscription is parked with the reason, and taken up
    again by its release.
    """
    with ports.db.transaction() as tx:
        found = answers.oldest(tx, size)
    if not found:
        return None
    run = _Run(ports)
    bulk.bisected(found, run.complete, run.park)
    return run.done


class _Run:
    """One chunk, which may take several transactions."""

    def __init__(self, ports: Ports) -> None:
        self.ports, self.done = ports, Done()

    def complete(self, attempt_ids: Sequence[str]) -> None:
        """All or none of these; those that somebody else is at are left to them."""
        now = self.ports.clock.now()
        with bulk.uncollected(), self.ports.db.transaction() as tx:
            found = paid_facts.lock(tx, self.ports, attempt_ids, now)
            answers.forget(tx, [*found.over, *(each.attempt.id for each in found.plain)])
            if found.plain:
                renewed_rows.write(tx, self.ports, found.plain, now)
            alone = found.single
            if len(alone) == 1 and not found.plain:
                self._singly(tx, alone[0], now)
        self.done.completed += len(found.plain)
        if alone and (found.plain or len(alone) > 1):
            for report in alone:
                bulk.bisected([report.attempt_id], self.complete, self.park)

    def _singly(self, tx: Tx, report: PaymentReport, now: datetime) -> None:
        """What is not plain, as on the single path."""
        answers.forget(tx, [report.attempt_id])
        purchase.apply_report(tx, self.ports, report, now=now)
        self.done.single += 1

    def park(self, attempt_id: str, broken: Exception) -> None:
        """The one that the database or the rules refuse. The provider is asked again once somebody has looked."""
        log.error("billing_run.parked", attempt=attempt_id, exc_info=broken)
        with self.ports.db.transaction() as tx:
            answers.forget(tx, [attempt_id])
            order = tx.get_one(Order, tx.get_one(PaymentAttempt, attempt_id).order_id)
            billing_run.park(tx, order.subscription_id or "", broken, self.ports.clock.now())
        self.done.parked += 1
