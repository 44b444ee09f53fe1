"""What we ask of a payment provider, in our words. Every adapter passes the same contract suite."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from app.core.money import Money

# Providers promise to remember an idempotency key for a day; an hour is kept back for clocks and long calls.
KEYS_LAST: Final = timedelta(hours=23)


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
    consent: str = ""  # what the buyer agrees to by paying: that the card is kept, and what for
    keep_card: bool = True  # for later charges; not where whoever holds a link may pay


@dataclass(frozen=True, slots=True)
class CardRequest:
    """A card that its owner enters on the provider's own page to be kept; nothing is charged."""

    setup_id: str  # also the idempotency key
    customer_ref: str | None  # whom the provider knows already
    customer_email: str
    consent: str
    success_url: str
    cancel_url: str
    expires_at: datetime  # real time


@dataclass(frozen=True, slots=True)
class Checkout:
    ref: str
    url: str


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A card the provider keeps for later charges; `label` such as "Visa •••• 4242", good until the month's end."""

    customer_ref: str
    method_ref: str
    label: str
    exp_year: int | None = None
    exp_month: int | None = None


@dataclass(frozen=True, slots=True)
class Fee:
    """What the provider keeps for itself, by its transaction `ref`; below zero where it gives a fee back.

    In the currency in which it settles with us, which need not be the payment's.
    """

    ref: str
    amount: Money


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
    card_country: str | None = None  # where the card was issued, ISO 3166-1; None where the provider does not tell
    fee: Fee | None = None  # None while the provider does not know it, seconds after a charge


@dataclass(frozen=True, slots=True)
class SetupReport:
    """The provider's present word on a card that was to be kept; `method` is there once it SUCCEEDED."""

    ref: str
    setup_id: str
    outcome: Outcome
    method: SavedMethod | None = None
    failure_code: str | None = None


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
    fee: Fee | None = None


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
    fees: tuple[Fee, ...] = ()  # all there are so far


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified event: only its identity and what to fetch; its body is kept as evidence, not believed.

    What concerns a payment names that too, as `payment_ref`. An event of a kind that we do not act on names nothing.
    """

    id: str
    type: str
    payment_ref: str | None
    payload: dict[str, object]
    refund_ref: str | None = None
    dispute_ref: str | None = None
    charge_ref: str | None = None
    setup_ref: str | None = None
    method_ref: str | None = None
    customer_ref: str | None = None

    def names(self) -> dict[str, str]:
        """What it is about, by the names of the fields above."""
        fields = "payment_ref refund_ref dispute_ref charge_ref setup_ref method_ref customer_ref".split()
        return {name: ref for name in fields if (ref := getattr(self, name)) is not None}


class PaymentProvider(Protocol):
    @property
    def name(self) -> str: ...

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        """Idempotent by `attempt_id`. Raises PaymentUnavailable."""
        ...

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        """Charge without the buyer present, once per `attempt_id`; a decline is a report with FAILED.

        An attempt older than KEYS_LAST is looked up before it is asked for, and so is one whose answer was a failure.
        Raises PaymentUnavailable when the outcome is not known: ask again with the same `attempt_id`.
        """
        ...

    def report(self, ref: str) -> PaymentReport:
        """Fetch a checkout or charge again. Raises PaymentUnavailable, or NotFound for a foreign ref."""
        ...

    def find_charge(self, attempt_id: str, customer_ref: str | None = None) -> PaymentReport | None:
        """What became of a charge by `attempt_id`, looked up by metadata, without asking for one.

        For attempts so old that the provider may have forgotten their idempotency key. With `customer_ref`, the owner
        of the card that was charged, None means that there is no charge; without it a charge of the last minutes may
        be missing. Raises PaymentUnavailable.
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

    def refunds_of(self, charge_ref: str) -> list[RefundReport]:
        """Every refund of a charge, ours or not. Raises PaymentUnavailable, or NotFound for a foreign charge."""
        ...

    def start_card_setup(self, request: CardRequest) -> Checkout:
        """Open the page on which a card is entered to be kept. Idempotent by `setup_id`. Raises PaymentUnavailable."""
        ...

    def report_setup(self, ref: str) -> SetupReport:
        """Fetch the keeping of a card again. Raises PaymentUnavailable, or NotFound for a foreign ref."""
        ...

    def report_method(self, method_ref: str) -> SavedMethod | None:
        """A kept card as the provider knows it now; None once it is forgotten there. Raises PaymentUnavailable."""
        ...

    def forget_method(self, method_ref: str) -> None:
        """Make the provider forget a card; one it has forgotten is what we wanted. Raises PaymentUnavailable."""
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
