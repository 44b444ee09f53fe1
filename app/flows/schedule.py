"""What repeats in real time, and the tick that finds what has come due in business time (ADR 0015)."""

from app.core import idempotency, job_watch, jobs
from app.core.clock import transport_now
from app.flows import (  # noqa: F401 -- importing the flows registers their jobs and declares their policies
    bulk_charging,
    bulk_completion,
    bulk_ordering,
    canary,
    compromise,
    deliver,
    dunning_mails,
    inviting,
    issued_papers,
    money_mails,
    notify,
    provider_events,
    provisioning,
    quote_papers,
    rescreening,
    screening_decisions,
    sign_in,
    silent_servers,
    survey,
    tick,
)
from app.flows.ports import Ports


@jobs.job("schedule.retry_stalled", every="* * * * *", retry=jobs.Retry(attempts=1))
def retry_stalled(ports: Ports) -> None:
    """Jobs whose worker died go back to the queue."""
    jobs.retry_stalled(jobs.build_app(ports.db, ports))


@jobs.job("schedule.forget_old", every="17 3 * * *", retry=jobs.Retry(attempts=3))
def forget_old(ports: Ports) -> None:
    idempotency.forget_old(ports.db, transport_now())
    job_watch.forget_old(ports.db, transport_now())
    jobs.forget_done(jobs.build_app(ports.db, ports))
