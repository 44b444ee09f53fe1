"""What has come due in business time is found here and put to work (ADR 0015).

In production a job calls `tick` every minute of real time. A sandbox advances its clock by walking: from one
due instant to the next, a tick at each, and on only when the jobs of this one are done, so that a year of
reminders, renewals and surveys happens in its order.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from app.agreements import contracts
from app.core import jobs
from app.core.clock import FixedClock
from app.dunning import service as dunning_rows
from app.flows import (
    billing_run,
    contract_reminders,
    dunning,
    exemptions,
    holds,
    instalments,
    invoice_reminders,
    merging,
    nexus_alerts,
    openings,
    provisioning,
    purchase,
    quoting,
    releasing,
    reminders,
    renewal,
    small_rests,
    survey,
    tax_id_checks,
    trial,
)
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses import trials
from app.orders import service as orders
from app.quotes import service as quotes
from app.subscriptions import service as subscriptions
from app.tax import certificates
from app.workspaces import service as workspaces

LONGEST_WALK: Final = timedelta(days=3660)


@jobs.job("schedule.tick", every="* * * * *", retry=jobs.Retry(attempts=1))
def tick_now(ports: Ports) -> None:
    tick(ports)


def tick(ports: Ports) -> int:
    """Find what is due and defer it; returns how much was found. Safe to call at any time and from many places.

    All of it is asked about one instant, read once.
    """
    ports = replace(ports, clock=FixedClock(ports.clock.now()))
    return (
        purchase.expire_overdue(ports)
        + openings.enqueue_due(ports)
        + renewal.send_due_reminders(ports)
        + billing_run.enqueue_due(ports)
        + instalments.enqueue_due(ports)
        + small_rests.enqueue_due(ports)
        + dunning.enqueue_due(ports)
        + invoice_reminders.send_due(ports)
        + holds.announce_deletions(ports)
        + survey.enqueue_due(ports)
        + provisioning.delete_due(ports)
        + quoting.expire_due(ports)
        + contract_reminders.remind_due(ports)
        + exemptions.tell_due(ports)
        + releasing.release_due(ports)
        + tax_id_checks.enqueue_due(ports)
        + nexus_alerts.read_due(ports)
        + trial.expire_due(ports)
        + merging.enqueue_due(ports)
    )


def next_due(ports: Ports, after: datetime) -> datetime | None:
    """The first instant after `after` at which something is due, as things stand now."""
    with ports.db.transaction() as tx:
        found = (
            orders.next_expiry(tx, after), reminders.next_due(tx, after), subscriptions.next_end(tx, after),
            survey.next_due(tx, after), workspaces.next_deletion_at(tx), dunning_rows.next_due(tx, after),
            holds.next_due(tx, after), openings.next_due(tx, after), quotes.next_expiry(tx, after),
            contracts.next_due(tx, after), licenses.next_release(tx, after), invoice_reminders.next_due(tx, after),
            tax_id_checks.next_due(tx, after), certificates.next_due(tx, after), trials.next_end(tx, after),
            merging.next_due(tx, after),
        )  # fmt: skip
    return min((at for at in found if at is not None and at > after), default=None)


def walk(ports: Ports, to: datetime, *, set_clock: Callable[[datetime], None], settle: Callable[[], None]) -> int:
    """Move business time forward to `to`, stopping wherever something is due; `settle` waits for the queue.

    Returns the number of stops. A target in the past moves nothing.
    """
    stops = 0
    while (now := ports.clock.now()) < to:
        due = next_due(ports, now)
        set_clock(to if due is None else min(due, to))
        stops += 1
        if tick(ports):
            settle()
    return stops
