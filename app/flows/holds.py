"""Workspaces that billing put to sleep (R-PRV-3): remembered, so that a person's own wish is never undone.

Some days later the deletion is announced, with the days of grace that every deletion has. Paying takes all of it back.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlmodel import col

from app.core import events, policy
from app.core.db import Tx
from app.core.states import MoveRefused
from app.flows.ports import Ports
from app.subscriptions.models import Subscription
from app.workspaces import service as workspaces
from app.workspaces.models import BillingHold, Desired

DELETE_AFTER_DAYS: Final = policy.declare(
    policy.Policy(
        "lapsed_workspace_days", 30, policy.whole_number(minimum=1),
        "Days that the workspace of a lapsed subscription sleeps before its deletion is announced.",
    )
)  # fmt: skip
ACTOR: Final = "billing"


def put_to_sleep(tx: Tx, subscription: Subscription, now: datetime) -> None:
    """Hibernate the workspace and remember that it was billing who did; a second call changes nothing."""
    found = workspaces.of_subscription(tx, subscription.id)
    if found is None or tx.get(BillingHold, subscription.id) is not None or found.desired is Desired.DELETED:
        return
    workspace = workspaces.for_change(tx, found.id, None)
    days = policy.get(tx, DELETE_AFTER_DAYS, now)
    tx.add(BillingHold(
        subscription_id=subscription.id, workspace_id=workspace.id,
        was_running=workspace.desired is Desired.RUNNING, since=now, delete_at=now + timedelta(days=days),
    ))  # fmt: skip
    tx.flush()
    workspaces.want(tx, workspace, Desired.HIBERNATED, actor=ACTOR, now=now)


def bring_back(tx: Tx, subscription: Subscription, now: datetime) -> None:
    """It is paid for again: what billing put to sleep wakes, and an announced deletion is taken back if it can be."""
    hold = tx.get(BillingHold, subscription.id)
    if hold is None:
        return
    workspace = workspaces.for_change(tx, hold.workspace_id, None)
    if workspace.desired is Desired.DELETED:
        try:
            workspaces.cancel_deletion(tx, workspace, actor=ACTOR, now=now)
        except MoveRefused:
            # Paid too late: the provisioner has begun to delete. Staff see it, the customer gets a new one from them.
            events.append(tx, "workspace.paid_too_late", workspace.id, now=now, account_id=workspace.account_id)
            return
    if hold.was_running:
        workspaces.want(tx, workspace, Desired.RUNNING, actor=ACTOR, now=now)
    tx.delete(hold)
    tx.flush()


def announce_deletions(ports: Ports, limit: int = 200) -> int:
    """Announce the deletion of workspaces that slept long enough; returns how many. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        query = (
            select(BillingHold)
            .where(col(BillingHold.delete_at) <= now, col(BillingHold.deletion_asked_at).is_(None))
            .order_by(col(BillingHold.delete_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        due = list(tx.execute(query).scalars())
        for hold in due:
            workspace = workspaces.for_change(tx, hold.workspace_id, None)
            workspaces.want(tx, workspace, Desired.DELETED, actor=ACTOR, now=now)
            hold.deletion_asked_at = now
    return len(due)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(BillingHold.delete_at))).where(
        col(BillingHold.deletion_asked_at).is_(None), col(BillingHold.delete_at) > after
    )
    return tx.execute(query).scalar()
