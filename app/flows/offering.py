"""Tasks offered to provisioners that listen: lease it, send it, record the answer (R-PRV-2, ADR 0059).

The lease stands before the task leaves, so that a report may come before the answer does. Whoever does not take it
loses the lease, and the fence keeps it from meddling later; the task then waits to be claimed, and is offered again.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from app.core import jobs
from app.core.clock import transport_now
from app.flows.ports import Ports
from app.workspaces import reconciling, tasks
from app.workspaces.models import ProvisioningTask, TaskState, Workspace

log = structlog.get_logger()

# 5 s, 10 s, 20 s, … then every 10 min: ten tries over half an hour.
RETRY: Final = jobs.Retry(attempts=10, first=5, factor=2, cap=600)
TAKEN: Final = 202
_HEARD: Final = range(200, 300)


@jobs.job("provisioning.offer", retry=jobs.Retry(attempts=3, first=30))
def offer(ports: Ports, task_id: str, attempt: int) -> None:
    """Offer number `attempt`, from 0. One that fails is no failed job: it puts the next one on the queue itself."""
    listening = ports.provisioners.listening
    if listening is None:
        return
    with ports.db.transaction() as tx:
        task = tx.get_one(ProvisioningTask, task_id)
        key_id = listening.key_for(tx.get_one(Workspace, task.workspace_id).region)
        sent = None if key_id is None else tasks.offer(
            tx, task_id, worker=key_id, now=ports.clock.now(), real_now=transport_now()
        )  # fmt: skip
    if sent is None or key_id is None:
        return
    reply = listening.push(key_id, _body(sent), message_id=f"{task_id}-{sent.fence}", at=transport_now())
    with ports.db.transaction() as tx:
        taken = reply.status == TAKEN
        in_hand = tasks.settle_offer(tx, task_id, fence=sent.fence, taken=taken, now=ports.clock.now())
        # Heard but not taken, as by a 204: it comes and claims by itself.
        wait = None if in_hand or reply.status in _HEARD else RETRY.wait_after(attempt + 1)
        if wait is not None:
            again_at = transport_now() + timedelta(seconds=wait)
            jobs.defer(tx, offer, at=again_at, task_id=task_id, attempt=attempt + 1)
    log.info(
        "provisioning.offered", task=task_id, attempt=attempt + 1, status=reply.status, error=reply.error, taken=in_hand
    )


@jobs.job("provisioning.offer_abandoned", every="* * * * *", retry=jobs.Retry(attempts=1))
def offer_abandoned(ports: Ports) -> None:
    """A lease that ran out rings no bell."""
    if ports.provisioners.listening is None:
        return
    with ports.db.transaction() as tx:
        for task_id in tasks.abandoned(tx, transport_now()):
            jobs.defer(tx, reconciling.RING, once=f"ring:{task_id}", task_id=task_id)


def _body(task: ProvisioningTask) -> bytes:
    """As a claim answers."""
    said: dict[str, Any] = {
        "id": task.id, "workspace_id": task.workspace_id, "kind": task.kind, "state": TaskState.CLAIMED,
        "fence": task.fence, "attempt": task.attempts + 1, "claimed_by": task.claimed_by,
        "lease_seconds": task.lease_seconds, "lease_until": _instant(task.lease_until),
        "not_before": _instant(task.not_before), "progress": task.progress, "message": task.message,
        "failure_reason": task.failure_reason, "created_at": _instant(task.created_at),
        "finished_at": _instant(task.finished_at), "payload": task.payload,
    }  # fmt: skip
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
