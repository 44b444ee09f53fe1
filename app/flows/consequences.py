"""What trouble with money does to licenses and workspaces: one table, carried out in one place (R-SUB-8, R-PRV-3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.core import audit, events
from app.core.db import Tx
from app.flows import holds, scheduled_changes
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState
from app.workspaces import service as workspaces
from app.workspaces.models import BillingHold, Desired, Workspace


class Fact(StrEnum):
    PAST_DUE = "past_due"  # a charge failed and is tried again
    LAPSED = "lapsed"  # the term ended unpaid
    ENDED = "ended"  # it expired after its grace, or was given up
    RECOVERED = "recovered"  # what was past due or lapsed is paid
    INVOICE_VOID = "invoice_void"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    REFUND_PARTIAL = "refund_partial"  # or a full one after which the customer may go on
    REFUND_FULL = "refund_full"
    EXPANSION_REFUNDED = "expansion_refunded"  # seats or add-ons that were added to a running subscription


class OnLicense(StrEnum):
    KEEP = "keep"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    REVOKE = "revoke"
    REDUCE = "reduce"  # a new one without what was added takes its place


class OnWorkspace(StrEnum):
    KEEP = "keep"
    WARN = "warn"  # say it in an event; nothing stops
    HIBERNATE = "hibernate"
    WAKE = "wake"  # only what we put to sleep ourselves


@dataclass(frozen=True, slots=True)
class Consequence:
    license: OnLicense
    workspace: OnWorkspace
    ends_subscription: bool = False


_L, _W = OnLicense, OnWorkspace
TABLE: Final[Mapping[Fact, Consequence]] = {
    # A customer whose card is being retried is never cut off (R-SUB-5); a lapsed license ends by its own date.
    Fact.PAST_DUE: Consequence(_L.KEEP, _W.WARN),
    Fact.LAPSED: Consequence(_L.KEEP, _W.HIBERNATE),
    Fact.ENDED: Consequence(_L.KEEP, _W.HIBERNATE),
    Fact.RECOVERED: Consequence(_L.KEEP, _W.WAKE),
    Fact.INVOICE_VOID: Consequence(_L.REVOKE, _W.HIBERNATE, ends_subscription=True),
    Fact.DISPUTE_OPENED: Consequence(_L.KEEP, _W.KEEP),
    Fact.DISPUTE_WON: Consequence(_L.REINSTATE, _W.WAKE),
    Fact.DISPUTE_LOST: Consequence(_L.SUSPEND, _W.HIBERNATE),
    Fact.REFUND_PARTIAL: Consequence(_L.KEEP, _W.KEEP),
    Fact.REFUND_FULL: Consequence(_L.REVOKE, _W.HIBERNATE, ends_subscription=True),
    # What was held before is paid for and goes on (R-PRO-6).
    Fact.EXPANSION_REFUNDED: Consequence(_L.REDUCE, _W.KEEP),
}
_TOUCHES: Final = {
    OnLicense.KEEP: (),
    OnLicense.SUSPEND: (LicenseState.ACTIVE,),
    OnLicense.REINSTATE: (LicenseState.SUSPENDED,),
    OnLicense.REVOKE: (LicenseState.ACTIVE, LicenseState.SUSPENDED),
    OnLicense.REDUCE: (LicenseState.ACTIVE,),
}
_ENDS: Final = frozenset({
    SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE, SubscriptionState.LAPSED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effects:
    """What is or would be done, by id."""

    licenses: tuple[str, ...] = ()
    on_license: OnLicense = OnLicense.KEEP
    workspace: str | None = None
    on_workspace: OnWorkspace = OnWorkspace.KEEP
    ends_subscription: str | None = None


def foresee(tx: Tx, fact: Fact, subscription_id: str | None, *, order_id: str | None = None) -> Effects:
    """What `apply` would do now.

    With `order_id` only what that order brought is touched, together with what took its place in the same term: the
    refund of last year's invoice leaves this year's license alone.
    """
    row = TABLE[fact]
    if subscription_id is None:
        return Effects()
    in_force = _in_force(tx, subscription_id, order_id)
    if order_id is not None and not in_force:
        return Effects()
    touched = tuple(each.id for each in in_force if each.state in _TOUCHES[row.license])
    workspace = workspaces.of_subscription(tx, subscription_id)
    moves = workspace is not None and _moves(tx, workspace, subscription_id, row.workspace)
    subscription = subscriptions.get(tx, subscription_id)
    ends = row.ends_subscription and subscription.state in _ENDS
    return Effects(
        licenses=touched, on_license=row.license if touched else OnLicense.KEEP,
        workspace=workspace.id if workspace is not None and moves else None,
        on_workspace=row.workspace if moves else OnWorkspace.KEEP, ends_subscription=subscription_id if ends else None,
    )  # fmt: skip


def apply(
    tx: Tx, fact: Fact, subscription_id: str | None, *, now: datetime, order_id: str | None = None,
    by: str = holds.ACTOR,
) -> Effects:  # fmt: skip
    """Carry out the table's row for a fact; safe to repeat, because what is done already is not touched again.

    A license is reduced by `completion.without`, which issues the one that takes its place.

    `by` is named in the audit rows of licenses. Workspaces are always moved in the name of billing, so that a later
    WAKE can tell its own work from a person's.
    """
    effects = foresee(tx, fact, subscription_id, order_id=order_id)
    for license_id in effects.licenses:
        if effects.on_license is OnLicense.REVOKE:
            licenses.revoke(tx, license_id, reason=fact.value, by=by, now=now)
        elif effects.on_license is OnLicense.SUSPEND:
            licenses.suspend(tx, license_id, reason=fact.value, by=by, now=now)
        elif effects.on_license is OnLicense.REINSTATE:
            licenses.reinstate(tx, license_id, reason=fact.value, by=by, now=now)
    if effects.workspace is not None and subscription_id is not None:
        _move(tx, effects.workspace, subscription_id, effects.on_workspace, fact, now)
    if effects.ends_subscription is not None:
        subscription = subscriptions.lock(tx, effects.ends_subscription)
        enter_state(tx, subscription, SubscriptionState.CANCELED, now)
        audit.record(tx, subscription.account_id, actor=by, action="subscription.canceled", subject=subscription.id,
                     now=now, details={"reason": fact.value})  # fmt: skip
    return effects


def enter_state(tx: Tx, subscription: Subscription, state: SubscriptionState, now: datetime) -> None:
    """Move a subscription and tell it; what follows from it is the caller's. Raises MoveRefused.

    One that is over has no next term, so that nothing waits for it any more.
    """
    subscriptions.move(subscription, state)
    tx.flush()
    if state in scheduled_changes.OVER:
        scheduled_changes.drop(tx, subscription, now)
    events.append(tx, f"subscription.{state}", subscription.id, now=now, account_id=subscription.account_id)


def _in_force(tx: Tx, subscription_id: str, order_id: str | None) -> Sequence[License]:
    """The licenses that count: of the subscription, or those an order's own led to within its term."""
    all_of_it = licenses.of_subscription(tx, subscription_id)
    counting = [each for each in all_of_it if each.state in {LicenseState.ACTIVE, LicenseState.SUSPENDED}]
    if order_id is None:
        return counting
    ends = {each.expires_at for each in all_of_it if each.order_id == order_id}
    return [each for each in counting if each.expires_at in ends]


def _moves(tx: Tx, workspace: Workspace, subscription_id: str, wanted: OnWorkspace) -> bool:
    hold = tx.get(BillingHold, subscription_id)
    match wanted:
        case OnWorkspace.WARN:
            return workspace.desired is Desired.RUNNING
        case OnWorkspace.HIBERNATE:
            return workspace.desired is Desired.RUNNING and hold is None
        case OnWorkspace.WAKE:
            return hold is not None and hold.was_running
        case OnWorkspace.KEEP:
            return False


def _move(tx: Tx, workspace_id: str, subscription_id: str, wanted: OnWorkspace, fact: Fact, now: datetime) -> None:
    """Sleep and waking are the holds', which remember who wanted them and announce what follows."""
    if wanted is OnWorkspace.HIBERNATE:
        holds.put_to_sleep(tx, subscriptions.get(tx, subscription_id), now)
    elif wanted is OnWorkspace.WAKE:
        holds.bring_back(tx, subscriptions.get(tx, subscription_id), now)
    else:
        workspace = workspaces.for_change(tx, workspace_id, None)
        events.append(tx, "workspace.billing_warning", workspace.id, now=now, account_id=workspace.account_id,
                      reason=fact.value)  # fmt: skip
