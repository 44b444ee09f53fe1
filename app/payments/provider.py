"""What we ask of a payment provider, in our words. Every adapter passes the same contract suite."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.money import Money


class Outcome(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """A payment that the buyer makes on the provider's own page, so that card data never touches us."""

    attempt_id: str  # also the idempotency key: asking again returns the same checkout
    amount: Money
    description: str
    customer_email: str
    success_url: str
    cancel_url: str
    expires_at: datetime  # real time
    keep_card: bool = True  # for later charges; not where whoever holds a link may pay


@dataclass(frozen=True, slots=True)
class Checkout:
    ref: str
    url: str


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A card the provider keeps for later charges; `label` such as "Visa •••• 4242"."""

    customer_ref: str
    method_ref: str
    label: str


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """The provider's present word on a payment, fetched, never taken from an event."""

    ref: str  # the checkout or intent that was asked about
    attempt_id: str
    outcome: Outcome
    amount: Money
    charge_ref: str | None = None  # present once succeeded; unique per charge
    method: SavedMethod | None = None
    failure_code: str | None = None  # card_declined, insufficient_funds, …


@dataclass(frozen=True, slots=True)
class RefundReport:
    """The provider's present word on money sent back: PENDING, SUCCEEDED or FAILED."""

    ref: str
    charge_ref: str
    payment_ref: str | None  # what `report` takes, for a refund of a payment not yet known here
    amount: Money
    outcome: Outcome
    refund_id: str | None = None  # ours, if we asked for it
    failure_code: str | None = None


class Standing(StrEnum):
    """How a dispute stands. An inquiry asks a question and moves no money."""

    INQUIRY = "inquiry"
    OPENED = "opened"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class DisputeReport:
    """The provider's present word on a contested charge; `reason` is the provider's code."""

    ref: str
    charge_ref: str
    payment_ref: str | None
    amount: Money
    standing: Standing
    reason: str


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified event: only its identity and what to fetch; its body is kept as evidence, not believed.

    A refund's or dispute's event names that; `payment_ref` is then the payment it is about.
    """

    id: str
    type: str
    payment_ref: str | None
    payload: dict[str, object]
    refund_ref: str | None = None
    dispute_ref: str | None = None


class PaymentProvider(Protocol):
    @property
    def name(self) -> str: ...

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        """Idempotent by `attempt_id`. Raises PaymentUnavailable."""
        ...

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        """Charge without the buyer present, idempotent by `attempt_id`; a decline is a report with FAILED.

        Raises PaymentUnavailable when the outcome is not known: ask again with the same `attempt_id`.
        """
        ...

    def report(self, ref: str) -> PaymentReport:
        """Fetch a checkout or charge again. Raises PaymentUnavailable, or NotFound for a foreign ref."""
        ...

    def find_charge(self, attempt_id: str) -> PaymentReport | None:
        """What became of a charge by `attempt_id`, looked up by metadata, without asking for one.

        For attempts so old that the provider may have forgotten their idempotency key. Raises PaymentUnavailable.
        """
        ...

    def refund(self, charge_ref: str, amount: Money, *, refund_id: str) -> RefundReport:
        """Give back a part or all of a charge, once per `refund_id`.

        Raises PaymentRefused (more than is left, already refunded, disputed), or PaymentUnavailable: ask again with
        the same `refund_id`.
        """
        ...

    def find_refund(self, charge_ref: str, refund_id: str) -> RefundReport | None:
        """What became of a refund, looked up by metadata, without asking for one. Raises PaymentUnavailable."""
        ...

    def report_refund(self, ref: str) -> RefundReport:
        """Fetch a refund again. Raises PaymentUnavailable, or NotFound for a foreign ref."""
        ...

    def report_dispute(self, ref: str) -> DisputeReport:
        """Fetch a dispute again. Raises PaymentUnavailable, or NotFound for a foreign ref."""
        ...

    def expire_checkout(self, ref: str) -> None:
        """Close an open checkout so that it can no longer be paid; paid ones stay as they are."""
        ...

    def verify_event(self, raw: bytes, signature: str) -> ProviderEvent:
        """Check the signature over the raw bytes and its age. Raises ForgedEvent."""
        ...
