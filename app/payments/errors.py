from http import HTTPStatus

from app.core.errors import DomainError


class PaymentUnavailable(DomainError):
    """The provider did not answer, or its answer leaves the outcome open. `retry_after`: seconds until it is asked."""

    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "payment-unavailable", "The payment provider is not answering"


class ForgedEvent(DomainError):
    """An event whose signature, age or form does not hold; nothing of it is kept."""

    status, slug, title = HTTPStatus.BAD_REQUEST, "forged-event", "This event was not sent by the payment provider"


class AmountMismatch(DomainError):
    """What the provider took is not what the order costs: a person has to look."""

    slug, title = "amount-mismatch", "The amount paid is not the amount of the order"


class AlreadyRecorded(DomainError):
    slug, title = "already-recorded", "This payment is recorded already"


class PaymentRefused(DomainError):
    """The provider will not take this request as it is: nothing was or will be charged for it.

    `reason` is the provider's code: amount_too_small, idempotency_error (the attempt was asked before with other
    figures), resource_missing (the card is gone), …
    """

    slug, title = "payment-refused", "The payment provider refuses this payment"


class CreditOverdrawn(DomainError):
    """More customer credit than there is; `left` is the balance in minor units."""

    slug, title = "credit-overdrawn", "There is not so much customer credit"
