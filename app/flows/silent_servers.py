"""Servers that fell silent give up their places, so that lists, counts and events are true (R-LIC-5).

Whoever needs a place does not wait for this: a full license releases its dead by itself.
"""

from app.core import jobs
from app.core.clock import transport_now
from app.flows.ports import Ports
from app.licenses import activating


@jobs.job("licenses.release_silent", every="* * * * *", retry=jobs.Retry(attempts=1))
def release_silent(ports: Ports) -> None:
    """One transaction for each subscription; a run takes 200, the next minute takes the rest."""
    with ports.db.transaction() as tx:
        waiting = activating.subscriptions_with_silent(tx, transport_now())
    for subscription_id, rules in waiting:
        with ports.db.transaction() as tx:
            activating.take_turn_and_release(
                tx, subscription_id, rules, now=ports.clock.now(), real_now=transport_now()
            )  # fmt: skip
