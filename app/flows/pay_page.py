"""The provider's page on which an attempt is paid: asked for outside any transaction, and remembered."""

from datetime import timedelta
from typing import Final

from app.core.clock import transport_now
from app.core.money import Money
from app.flows.ports import Ports
from app.payments import service as payments
from app.payments.models import AttemptState, PaymentAttempt
from app.payments.provider import CheckoutRequest

# A provider's page lives in real time and may not outlive the order by much.
_LIVES: Final = timedelta(hours=23)


def open_for(
    ports: Ports, attempt: PaymentAttempt, *, about: str, email: str, back_to: str, consent: str = "",
    keep_card: bool = True,
) -> str:  # fmt: skip
    """Ask the provider for a page; asking again with the same attempt gets the same page. Raises PaymentUnavailable."""
    page = ports.link(back_to)
    checkout = ports.payments.start_checkout(
        CheckoutRequest(
            attempt_id=attempt.id, amount=Money(attempt.amount_minor, attempt.currency), description=about,
            customer_email=email, success_url=page, cancel_url=page, expires_at=attempt.created_at + _LIVES,
            consent=consent, keep_card=keep_card,
        )
    )  # fmt: skip
    with ports.db.transaction() as tx:
        locked = payments.lock_attempt(tx, attempt.id)
        if locked is not None and locked.state is AttemptState.UNKNOWN:
            locked.state, locked.provider_ref = AttemptState.PENDING, checkout.ref
            locked.redirect_url, locked.updated_at = checkout.url, transport_now()
    return checkout.url
