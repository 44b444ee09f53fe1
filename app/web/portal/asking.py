"""Asking the provider how a payment stands while somebody waits for it at a page."""

from typing import Final

from app.core.clock import transport_now
from app.core.security import allow
from app.flows import purchase
from app.flows.ports import Ports
from app.payments.errors import PaymentUnavailable
from app.payments.models import AttemptState, PaymentAttempt

_ASK_EVERY_SECONDS: Final = 4


def settle(ports: Ports, attempt: PaymentAttempt | None) -> None:
    """Settle an attempt at the provider's page, at most every few seconds however often it is asked."""
    if attempt is None or attempt.state is not AttemptState.PENDING or attempt.provider_ref is None:
        return
    with ports.db.transaction() as tx:
        if not allow(tx, "settle", attempt.id, limit=1, seconds=_ASK_EVERY_SECONDS, now=transport_now()):
            return
    try:
        purchase.settle(ports, attempt.id)
    except PaymentUnavailable:
        return  # the page says that it is not known yet, and the sweep asks again
