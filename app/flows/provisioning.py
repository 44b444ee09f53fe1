"""From a subscription to a workspace that somebody can open.

The completion of an order for a cloud plan calls `provide` in its own transaction; the task it leaves is claimed by an
outside provisioner over HTTP; when that is done the customer is told.
"""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.catalog.models import Family, Plan
from app.core import jobs, policy
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.documents.mail_shapes import MailName, WorkspaceReady
from app.flows import export_gate, notify, offering
from app.flows.ports import Ports
from app.licenses.models import License, LicenseState
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from app.workspaces import hostnames, reconciling, tasks
from app.workspaces import service as workspaces
from app.workspaces.errors import NoWorkspaceIncluded
from app.workspaces.models import Desired, ProvisioningTask, TaskKind, Workspace, WorkspaceState

_ALIVE = frozenset({SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE})


def provide(tx: Tx, subscription: Subscription, license_: License, *, region: str | None, now: datetime) -> Workspace:
    """A workspace for a new subscription; for one that has its workspace, the new license, seats and plan reach it.

    For purchases, renewals and changes alike (R-PRV-3); repeating it changes nothing. `license_` is the one in force.
    """
    workspace = workspaces.of_subscription(tx, subscription.id)
    if workspace is not None:
        workspaces.push_change(
            tx, workspaces.for_change(tx, workspace.id, None), seats=license_.seats, sku=license_.sku,
            license_file_text=license_.file_text, now=now,
        )  # fmt: skip
        return workspace
    return workspaces.request(
        tx, account_id=subscription.account_id, subscription_id=subscription.id,
        hostname=hostnames.from_company(accounts.get(tx, subscription.account_id).name), sku=license_.sku,
        seats=license_.seats, region=region or policy.get(tx, workspaces.REGIONS, now)[0],
        admin_email=subscription.contact_email, license_file_text=license_.file_text, now=now,
    )  # fmt: skip


def open_for_subscription(
    tx: Tx, *, subscription_id: str, account_id: str | None, hostname: str | None, region: str | None,
    admin_email: str | None, now: datetime,
) -> Workspace:  # fmt: skip
    """The workspace that a subscription does not have yet.

    `account_id` is whose key asks: an account gets the workspace its cloud plan includes; the vendor (None) may give
    one to any living subscription. Plan, seats and license are the subscription's own, never the caller's word.
    Raises NotFound, NoWorkspaceIncluded, WorkspaceExists, HostnameTaken, DestinationRefused, PartyRefused, and Invalid
    for a hostname or region.
    """
    subscription = subscriptions.lock(tx, subscription_id)
    if account_id not in {None, subscription.account_id}:
        raise NotFound("There is no such subscription.", param="subscription_id")
    plan = tx.get_one(Plan, subscription.plan_id)
    if account_id is not None and plan.family is not Family.CLOUD:
        raise NoWorkspaceIncluded(f"{plan.name} is installed by yourselves; choose a cloud plan.")
    if subscription.state not in _ALIVE:
        raise NoWorkspaceIncluded(f"The subscription is {subscription.state}; renew it first.")
    export_gate.require_deliverable(tx, subscription.account_id, now)
    regions = policy.get(tx, workspaces.REGIONS, now)
    if region is not None and region not in regions:
        raise Invalid(f"Choose one of {', '.join(regions)}.", param="region")
    wish = hostname or hostnames.from_company(accounts.get(tx, subscription.account_id).name)
    return workspaces.request(
        tx, account_id=subscription.account_id, subscription_id=subscription.id, hostname=wish, sku=plan.sku,
        seats=_seats(tx, subscription), region=region or regions[0],
        admin_email=admin_email or subscription.contact_email, license_file_text=_license_file(tx, subscription.id),
        now=now, strict=True, numbered=hostname is None,
    )  # fmt: skip


def _seats(tx: Tx, subscription: Subscription) -> int:
    lines = subscriptions.lines(tx, subscription.id)
    return next(line.quantity for line in lines if line.plan_id == subscription.plan_id)


def _license_file(tx: Tx, subscription_id: str) -> str | None:
    return tx.execute(
        select(col(License.file_text))
        .where(col(License.subscription_id) == subscription_id, col(License.state) == LicenseState.ACTIVE)
        .order_by(col(License.id).desc())
        .limit(1)
    ).scalar()


def complete(
    tx: Tx, task_id: str, *, worker: str, fence: int, url: str | None, version: str | None, now: datetime,
    real_now: datetime,
) -> ProvisioningTask:  # fmt: skip
    """A provisioner is done; the person who waits for a new workspace is written to. Refusals as `tasks.complete`."""
    task, first = tasks.complete(
        tx, task_id, worker=worker, fence=fence, url=url, version=version, now=now, real_now=real_now
    )
    if first and task.kind is TaskKind.CREATE:
        jobs.defer(tx, tell_ready, workspace_id=task.workspace_id)
    return task


@jobs.job(reconciling.RING, retry=jobs.Retry(attempts=5))
def ring(ports: Ports, task_id: str) -> None:
    """Tell the provisioners that work waits. They also come by themselves, so nothing hangs on it."""
    ports.provisioners.ring()
    offering.offer.run(ports, task_id=task_id, attempt=0)


@jobs.job("provisioning.tell_ready", retry=jobs.Retry(attempts=10, first=5))
def tell_ready(ports: Ports, workspace_id: str) -> None:
    """One mail to the workspace's administrator; a repeat has the same message id."""
    with ports.db.transaction() as tx:
        workspace = workspaces.get(tx, workspace_id, None)
        if workspace.desired is not Desired.RUNNING or workspace.state is WorkspaceState.DELETED:
            return
        account = accounts.get(tx, workspace.account_id)
        subscription = subscriptions.get(tx, workspace.subscription_id)
        seller = tx.get_one(LegalEntity, subscription.legal_entity_id)
    data = WorkspaceReady(
        vendor=notify.vendor(ports, seller),
        person_name=subscription.contact_name if subscription.contact_email == workspace.admin_email else "",
        workspace_name=workspace.hostname,
        workspace_url=workspace.url,
        region=workspace.region,
        version=workspace.running_version or workspace.version,
        manage_url=ports.link(f"/account/workspaces/{workspace.id}"),
    )
    notify.send(ports, MailName.WORKSPACE_READY, data, to=workspace.admin_email, locale=account.locale,
                message_id=f"workspace-ready-{workspace.id}")  # fmt: skip


def delete_due(ports: Ports) -> int:
    """Hand the deletions whose day has come to the provisioners, some at a time; returns how many. For `tick`."""
    begun = 0
    while True:
        with ports.db.transaction() as tx:
            found = workspaces.begin_due_deletions(tx, ports.clock.now())
        begun += found
        if not found:
            return begun
