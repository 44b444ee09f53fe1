"""Advancing the sandbox's clock: set, tick, wait for the jobs, and on to the next stop."""

from datetime import datetime
from http import HTTPStatus
from time import monotonic, sleep
from typing import Final

from app.adapters.sandbox import clock
from app.core import jobs
from app.core.errors import DomainError, Invalid
from app.flows import tick
from app.flows.ports import Ports

_PATIENCE_SECONDS: Final = 60


class NobodyWorks(DomainError):
    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "nobody-works", "Jobs are waiting and no worker takes them"


def advance(ports: Ports, to: datetime) -> int:
    """Walk to `to` and return the number of stops. Raises Invalid for a target too far, NobodyWorks."""
    if to - ports.clock.now() > tick.LONGEST_WALK:
        raise Invalid("Walk at most ten years at a time.", param="to")

    def settle() -> None:
        give_up = monotonic() + _PATIENCE_SECONDS
        while jobs.waiting(ports.db).due:
            if monotonic() > give_up:
                raise NobodyWorks("Start one with `blp worker`; the clock stopped where it is.")
            sleep(0.02)

    return tick.walk(ports, to, set_clock=lambda at: clock.set_to(ports.db, at), settle=settle)
