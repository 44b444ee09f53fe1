"""The worker process: runs jobs, and the schedule that wakes the business every minute."""

import asyncio
import gc

from app.adapters.sandbox import provisioner  # noqa: F401 -- the sandbox's own jobs; they rest where it is not wired
from app.core import jobs
from app.flows import schedule  # noqa: F401 -- importing the flows registers their jobs
from app.flows.ports import Ports


def run(ports: Ports, *, concurrency: int = 4) -> None:
    """Work until SIGINT or SIGTERM."""
    gc.freeze()  # what was imported never dies; looking through it again and again took a seventh of a billing run
    asyncio.run(jobs.work(jobs.build_app(ports.db, ports), concurrency=concurrency))
