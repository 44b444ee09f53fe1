"""What has come due in business time is found here and put to work (ADR 0015).

In production a job calls `tick` every minute of real time. A sandbox advances its clock by walking: a day at
a time, a tick at each stop, and the next step only when the jobs of this one are done, so that a year of
reminders, renewals and surveys happens in its order.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from app.core import jobs
from app.flows import purchase, renewal, survey
from app.flows.ports import Ports

_STEP: Final = timedelta(days=1)
LONGEST_WALK: Final = timedelta(days=3660)


@jobs.job("schedule.tick", every="* * * * *", retry=jobs.Retry(attempts=1))
def tick_now(ports: Ports) -> None:
    tick(ports)


def tick(ports: Ports) -> int:
    """Find what is due and defer it; returns how much was found. Safe to call at any time and from many places."""
    return (
        purchase.expire_overdue(ports)
        + renewal.send_due_reminders(ports)
        + renewal.enqueue_due(ports)
        + survey.enqueue_due(ports)
    )


def walk(ports: Ports, to: datetime, *, set_clock: Callable[[datetime], None], settle: Callable[[], None]) -> int:
    """Move business time forward to `to`, tick by tick; `settle` returns when the queue is quiet.

    Returns the number of stops. A target in the past moves nothing.
    """
    stops = 0
    while (now := ports.clock.now()) < to:
        set_clock(min(now + _STEP, to))
        stops += 1
        if tick(ports):
            settle()
    return stops
