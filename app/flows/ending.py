"""How a subscription goes on: by itself, by hand or not at all. Its customer says so, and may take it back."""

from typing import Final

from app.core import audit, events
from app.core.db import Tx
from app.core.errors import DomainError
from app.dunning import service as dunning_rows
from app.flows import dunning, standing
from app.flows.ports import Ports
from app.orders import service as orders
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionState

LONGEST_REASON: Final = 2000
_RUNNING: Final = frozenset({SubscriptionState.ACTIVE, SubscriptionState.TRIALING})


class AlreadyOver(DomainError):
    slug, title = "subscription-over", "This subscription has ended"


def stop(ports: Ports, subscription_id: str, *, reason: str, by: str) -> Subscription:
    """Do not renew: it runs to its end and reminders stop. One whose term is over ends now, and nothing is owed.

    Saying it again replaces the reason. Raises NotFound, AlreadyOver.
    """
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        owed = dunning_rows.owed_by(tx, subscription_id)
        if owed is not None:
            orders.lock(tx, owed.order_id)
        subscription = subscriptions.lock(tx, subscription_id)
        if subscription.state in {SubscriptionState.CANCELED, SubscriptionState.EXPIRED}:
            raise AlreadyOver("There is nothing left to end; buy it anew whenever you like.")
        subscription.not_renewing_at = subscription.not_renewing_at or now
        subscription.not_renewing_reason = reason[:LONGEST_REASON]
        _record(tx, ports, subscription, "subscription.not_renewing", by, {"reason": reason} if reason else {})
        if subscription.state not in _RUNNING:
            dunning.withdraw(tx, subscription, now)
            standing.move(tx, subscription, SubscriptionState.CANCELED, now)
    return subscription


def take_back(ports: Ports, subscription_id: str, *, by: str) -> Subscription:
    """Renew after all, at any time before the end; a second call changes nothing. Raises NotFound, AlreadyOver."""
    with ports.db.transaction() as tx:
        subscription = subscriptions.lock(tx, subscription_id)
        if subscription.state not in _RUNNING:
            raise AlreadyOver("It has ended meanwhile; buy it anew, or renew it if that is still open.")
        if subscription.not_renewing_at is not None:
            subscription.not_renewing_at = subscription.not_renewing_reason = None
            _record(tx, ports, subscription, "subscription.renewing_again", by, {})
    return subscription


def renew_by_itself(ports: Ports, subscription_id: str, *, on: bool, by: str) -> Subscription:
    """Switch automatic renewal with the saved card on or off (R-SUB-5). Raises NotFound, AlreadyOver."""
    with ports.db.transaction() as tx:
        subscription = subscriptions.lock(tx, subscription_id)
        if subscription.state in {SubscriptionState.CANCELED, SubscriptionState.EXPIRED}:
            raise AlreadyOver("It has ended; there is nothing to renew.")
        if subscription.auto_renew is not on:
            subscription.auto_renew = on
            _record(
                tx, ports, subscription, "subscription.auto_renew_on" if on else "subscription.auto_renew_off", by, {}
            )
    return subscription


def _record(
    tx: Tx, ports: Ports, subscription: Subscription, action: str, by: str, details: dict[str, str]
) -> None:  # fmt: skip
    """One deed, told to the audit log with its reason and to listeners without it."""
    now = ports.clock.now()
    tx.flush()
    audit.record(tx, subscription.account_id, actor=by, action=action, subject=subscription.id, now=now,
                 details=details)  # fmt: skip
    events.append(tx, action, subscription.id, now=now, account_id=subscription.account_id,
                  ends_on=subscription.ends_on.isoformat())  # fmt: skip
