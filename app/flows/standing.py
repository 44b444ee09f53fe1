"""The standing of a subscription: every change of its state is told, and followed by its row of the consequences."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.core.db import Tx
from app.flows import consequences
from app.flows.consequences import Fact
from app.subscriptions.models import Subscription, SubscriptionState

_MEANS: Final[Mapping[SubscriptionState, Fact]] = {
    SubscriptionState.PAST_DUE: Fact.PAST_DUE,
    SubscriptionState.LAPSED: Fact.LAPSED,
    SubscriptionState.EXPIRED: Fact.ENDED,
    SubscriptionState.CANCELED: Fact.ENDED,
}


def move(tx: Tx, subscription: Subscription, state: SubscriptionState, now: datetime) -> None:
    """Move a subscription, tell it, and do what follows from it. Raises MoveRefused."""
    consequences.enter_state(tx, subscription, state, now)
    if state in _MEANS:
        consequences.apply(tx, _MEANS[state], subscription.id, now=now)
