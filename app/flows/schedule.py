"""What repeats in real time, and the tick that finds what has come due in business time (ADR 0015)."""

import asyncio

from app.core import idempotency, job_watch, jobs
from app.core.clock import transport_now
from app.flows import (  # noqa: F401 -- importing the flows registers their jobs and declares their policies
    deliver,
    notify,
    provisioning,
    sign_in,
    survey,
    tick,
)
from app.flows.ports import Ports


@jobs.job("schedule.retry_stalled", every="* * * * *", retry=jobs.Retry(attempts=1))
def retry_stalled(ports: Ports) -> None:
    """Jobs whose worker died go back to the queue."""

    async def run() -> None:
        app = jobs.build_app(ports.db, ports)
        async with app.open_async():
            await jobs.retry_stalled(app)

    asyncio.run(run())


@jobs.job("schedule.forget_old_keys", every="17 3 * * *", retry=jobs.Retry(attempts=3))
def forget_old_keys(ports: Ports) -> None:
    idempotency.forget_old(ports.db, transport_now())
    job_watch.forget_old(ports.db, transport_now())
