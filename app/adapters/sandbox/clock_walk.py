"""Advancing the sandbox's clock: set, tick, let the jobs finish, and on to the next stop."""

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
_STOPPED: Final = "The clock stopped where it is; look at the failed jobs in the console, then go on."


class StillBusy(DomainError):
    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "still-busy", "Jobs of this stop are not done yet"


def advance(ports: Ports, to: datetime) -> int:
    """Walk to `to` and return the number of stops.

    The jobs of each stop are worked off here, beside any worker, so that it goes on without one; then those
    that a worker has in hand are waited for. Raises Invalid for a target too far, StillBusy.
    """
    if to - ports.clock.now() > tick.LONGEST_WALK:
        raise Invalid("Walk at most ten years at a time.", param="to")
    with jobs.Drain(jobs.build_app(ports.db, ports)) as drain:

        def settle() -> None:
            give_up = monotonic() + _PATIENCE_SECONDS
            while jobs.waiting(ports.db).due:
                drain()
                if monotonic() > give_up:
                    raise StillBusy(
                        "The clock stopped where it is; look at the failed jobs in the console, then go on."
                    )
                sleep(0.02)

        return tick.walk(ports, to, set_clock=lambda at: clock.set_to(ports.db, at), settle=settle)
