"""A saved card is charged for one attempt, once however often that is asked for; afterwards the charge is looked up."""

from app.core.clock import transport_now
from app.core.money import Money
from app.flows.ports import Ports
from app.payments.errors import PaymentRefused
from app.payments.models import PaymentAttempt
from app.payments.provider import KEYS_LAST, Outcome, PaymentReport, SavedMethod


def charge(ports: Ports, attempt: PaymentAttempt, card: SavedMethod) -> PaymentReport:
    """Charge a saved card for an attempt, once however often it is asked.

    What the provider will never take (the card is gone, the amount too small) is a declined charge to us.
    """
    amount, about = Money(attempt.amount_minor, attempt.currency), f"Order {attempt.order_id}"
    try:
        return ports.payments.charge_saved(card, amount, attempt_id=attempt.id, description=about)
    except PaymentRefused as refused:
        return PaymentReport(
            ref=attempt.id, attempt_id=attempt.id, outcome=Outcome.FAILED, amount=amount,
            failure_code=str(refused.extra.get("reason", "refused")),
        )  # fmt: skip


def charge_or_find(ports: Ports, attempt: PaymentAttempt, card: SavedMethod) -> PaymentReport | None:
    """Providers forget idempotency keys after a day: from then on a charge is looked up, never asked for again."""
    if transport_now() - attempt.created_at < KEYS_LAST:
        return charge(ports, attempt, card)
    return find(ports, attempt, card)


def find(ports: Ports, attempt: PaymentAttempt, card: SavedMethod) -> PaymentReport | None:
    """The charge that was made for an attempt, if one was."""
    return ports.payments.find_charge(attempt.id, card.customer_ref)
