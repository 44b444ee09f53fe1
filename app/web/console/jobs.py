"""The queue: how deep it is, what was given up and why, and the way to try again."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import audit, job_watch
from app.core import jobs as queue
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.web import auth
from app.web.console.operations_views import FailedJob, JobsView, QueueRow
from app.web.console.render import Reader, back, can, page
from app.web.console.tasks import waited
from app.web.deps import Now, Tx

router = APIRouter()
Keeper = Annotated[SignedInStaff, Depends(auth.staff(May.JOBS_WRITE))]
_MOST: Final = 100


@router.get("/console/jobs")
def board(request: Request, tx: Tx, who: Reader) -> Response:
    writes = can(who, May.JOBS_WRITE)
    view = JobsView(
        queues=_queues(tx), failed=_failed(tx, writes=writes),
        workers=job_watch.workers(tx, alive_seconds=queue.STALLED_AFTER_SECONDS),
        retry_all_href="/console/jobs/retry" if writes else "",
    )  # fmt: skip
    return page(request, tx, view, who)


@router.post("/console/jobs/retry")
def retry_all(tx: Tx, now: Now, who: Keeper) -> Response:
    """Every failed job goes back to the queue, except those whose work is already waiting there."""
    names = []
    for job_id in job_watch.failed_ids(tx):
        try:
            names.append(job_watch.retry(tx, job_id))
        except (job_watch.SameJobWaits, NotFound):  # the one is done by its twin, the other by somebody quicker
            continue
    if names:
        counted = {name: names.count(name) for name in sorted(set(names))}
        audit.record(tx, audit.SYSTEM, actor=who.staff_id, action="jobs.retried", subject="queue", now=now,
                     details=counted)  # fmt: skip
    return back("/console/jobs", "jobs-retried")


@router.post("/console/jobs/{job_id}/retry")
def retry(tx: Tx, now: Now, who: Keeper, job_id: int) -> Response:
    name = job_watch.retry(tx, job_id)
    audit.record(tx, audit.SYSTEM, actor=who.staff_id, action="job.retried", subject=str(job_id), now=now,
                 details={"job": name})  # fmt: skip
    return back("/console/jobs", "job-retried")


def _queues(tx: Session) -> tuple[QueueRow, ...]:
    """What is on the queue, and every job that repeats whether it is or not."""
    depths = {each.name: each for each in job_watch.depths(tx)}
    good, now = job_watch.last_good_runs(tx), transport_now()
    repeating = {name for name, each in queue.registered().items() if each.every is not None}
    rows = []
    for name in sorted(depths.keys() | repeating):
        depth = depths.get(name)
        rows.append(QueueRow(
            name=name, waiting=depth.waiting if depth else 0, later=depth.later if depth else 0,
            running=depth.running if depth else 0, failed=depth.failed if depth else 0,
            oldest=waited(now - depth.oldest) if depth and depth.oldest else "", last_good=good.get(name),
        ))  # fmt: skip
    return tuple(rows)


def _failed(tx: Session, *, writes: bool) -> tuple[FailedJob, ...]:
    return tuple(
        FailedJob(
            job_id=each.job_id, name=each.name,
            argument=_arguments(each),
            attempts=each.attempts, failed_at=each.failed_at, trace=each.trace,
            error=each.error or "Its worker stopped before it could say why.",
            retry_href=f"/console/jobs/{each.job_id}/retry" if writes else "",
        )
        for each in job_watch.failed(tx, _MOST)
    )  # fmt: skip


def _arguments(failed: job_watch.Failed) -> str:
    """What it was about: ids, without the queue's own timestamp of a repeating job."""
    given = [str(value) for name, value in failed.arguments.items() if name != "timestamp"]
    return ", ".join(given) or "no argument"
