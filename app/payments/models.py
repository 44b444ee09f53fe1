from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, index_where_set, minor_field, personal, text_enum
from app.core.states import declare_moves


class AttemptState(StrEnum):
    UNKNOWN = "unknown"  # intended; the provider's answer is not recorded yet
    PENDING = "pending"  # the buyer is at the provider's page
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class Method(StrEnum):
    CARD = "card"
    WIRE = "wire"
    CHEQUE = "cheque"


class PaymentAttempt(Table, table=True):
    """Written before the provider is called, so that no charge can exist without a row here (I5)."""

    __tablename__ = "payment_attempt"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("provider", "provider_ref"),
        # Two people at one open invoice are led to one page: a second could only take the money twice.
        Index(
            "uq_payment_attempt_one_open_of_invoice", "invoice_id", unique=True,
            postgresql_where=text("invoice_id IS NOT NULL AND state IN ('unknown', 'pending')"),
        ),
        index_where_set("payment_attempt", "invoice_id"),
    )  # fmt: skip

    id: str = Field(primary_key=True)  # also the idempotency key sent to the provider
    order_id: str = Field(foreign_key="order.id", index=True)
    # Set where the open invoice of a delivered order is paid; such an attempt completes no order.
    invoice_id: str | None = Field(default=None, foreign_key="invoice.id")
    account_id: str = Field(foreign_key="account.id", index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    provider: str
    provider_ref: str | None = None
    redirect_url: str | None = None
    # Set before a saved card is charged: such an attempt is asked about by charging again under the same key.
    saved_method_ref: str | None = None
    state: AttemptState = Field(sa_type=text_enum(AttemptState, name="attempt_state"))
    failure_code: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class ChargeAnswer(Table, table=True):
    """What the provider said of an automatic renewal's charge that took the money, until its order is completed.

    A work list: the run that completes orders takes from it, and a row is gone with the completion (ADR 0036).
    """

    __tablename__ = "charge_answer"
    __table_args__ = (currency_check(),)

    attempt_id: str = Field(primary_key=True, foreign_key="payment_attempt.id")
    order_id: str = Field(foreign_key="order.id", unique=True)
    ref: str
    charge_ref: str
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    customer_ref: str | None = None
    method_ref: str | None = None
    method_label: str = ""
    exp_year: int | None = None
    exp_month: int | None = None
    fee_ref: str | None = None  # the provider's fee, where it was known already
    fee_minor: int | None = minor_field(default=None, nullable=True)
    fee_currency: str | None = Field(default=None, sa_type=CURRENCY)
    told_at: datetime = Field(sa_type=INSTANT)  # real time


class Payment(Table, table=True):
    """Money that arrived. A provider's charge, or a bank's reference, can be recorded once only."""

    __tablename__ = "payment"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    # What was being paid for; None for a transfer, whose invoices `invoice_payment` names.
    order_id: str | None = Field(default=None, foreign_key="order.id", index=True)
    attempt_id: str | None = Field(default=None, foreign_key="payment_attempt.id")
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    method: Method = Field(sa_type=text_enum(Method, name="method"))
    method_label: str = ""  # "Visa •••• 4242"
    provider: str
    provider_ref: str
    received_at: datetime = Field(sa_type=INSTANT)
    recorded_by: str | None = None  # staff, for what no provider tells us


class PaymentMethod(Table, table=True):
    """A card the provider keeps; we hold references and a label, never a number."""

    __tablename__ = "payment_method"
    __table_args__ = (
        UniqueConstraint("provider", "method_ref"),
        CheckConstraint("(exp_year IS NULL) = (exp_month IS NULL) AND exp_month BETWEEN 1 AND 12", name="expiry_whole"),
        Index(
            "uq_payment_method_one_default", "account_id", "provider", unique=True,
            postgresql_where=text("is_default AND removed_at IS NULL"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    provider: str
    customer_ref: str
    method_ref: str
    label: str
    exp_year: int | None = None  # it is good until the end of this month
    exp_month: int | None = None
    is_default: bool = False  # what is charged without its owner; the youngest where none is
    created_at: datetime = Field(sa_type=INSTANT)
    removed_at: datetime | None = Field(default=None, sa_type=INSTANT)


class SetupState(StrEnum):
    UNKNOWN = "unknown"  # intended; the provider's page is not known yet
    PENDING = "pending"  # the owner is at the provider's page
    SUCCEEDED = "succeeded"
    EXPIRED = "expired"


class CardSetup(Table, table=True):
    """A card that somebody wants to be kept without a charge, written down before the provider is asked."""

    __tablename__ = "card_setup"
    __table_args__ = (
        UniqueConstraint("provider", "provider_ref"),
        CheckConstraint("(state = 'succeeded') = (method_id IS NOT NULL)", name="success_has_method"),
    )

    id: str = Field(primary_key=True)  # also the idempotency key sent to the provider
    account_id: str = Field(foreign_key="account.id", index=True)
    run_id: str | None = Field(default=None, foreign_key="dunning_run.id")  # whose mail led here
    provider: str
    provider_ref: str | None = None
    redirect_url: str | None = None
    method_id: str | None = Field(default=None, foreign_key="payment_method.id")
    state: SetupState = Field(sa_type=text_enum(SetupState, name="setup_state"), index=True)
    failure_code: str | None = None  # of the last card that was refused
    requested_by: str
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class CreditKind(StrEnum):
    """How customer credit came or went."""

    CREDIT_NOTE = "credit_note"
    OVERPAYMENT = "overpayment"
    REFUND_FAILED = "refund_failed"  # the money could not be sent back and is kept for the customer
    SPENT = "spent"  # on an invoice
    RETURNED = "returned"  # what was spent on an invoice that came to nothing


class CustomerCredit(Table, table=True):
    """Money we owe a customer and may set off: signed entries, never changed, whose sum is never below zero.

    A trigger makes entries of one account and currency take turns and refuses the one that would overdraw.
    """

    __tablename__ = "customer_credit"
    __table_args__ = (
        currency_check(),
        CheckConstraint("(kind = 'spent') = (amount_minor < 0) AND amount_minor <> 0", name="sign_fits_kind"),
        Index("ix_customer_credit_account_id_currency", "account_id", "currency"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id")
    currency: str = Field(sa_type=CURRENCY)
    amount_minor: int = minor_field()
    kind: CreditKind = Field(sa_type=text_enum(CreditKind, name="credit_kind"))
    source: str = Field(unique=True)  # the fact, such as `credit_note:cn_…`: recorded once
    recorded_at: datetime = Field(sa_type=INSTANT)


class CreditHold(Table, table=True):
    """Customer credit that an order by card counts on and nobody else may spend meanwhile.

    A work list: a row is gone once its order is completed, expires or is canceled. A trigger keeps what is held within
    the balance, and another keeps what is spent out of what is held.
    """

    __tablename__ = "credit_hold"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index("ix_credit_hold_account_id_currency", "account_id", "currency"),
    )

    order_id: str = Field(primary_key=True, foreign_key="order.id")
    account_id: str = Field(foreign_key="account.id")
    currency: str = Field(sa_type=CURRENCY)
    amount_minor: int = minor_field()
    held_at: datetime = Field(sa_type=INSTANT)


class RefundState(StrEnum):
    REQUESTED = "requested"  # waits for a second person
    REJECTED = "rejected"
    PENDING = "pending"  # credited; the provider is being asked, or is sending it
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # could not be sent; the money is the customer's credit


R = RefundState
REFUND_MOVES: Final = declare_moves(
    "refund",
    {
        (R.REQUESTED, R.PENDING), (R.REQUESTED, R.REJECTED), (R.PENDING, R.SUCCEEDED), (R.PENDING, R.FAILED),
        (R.SUCCEEDED, R.FAILED),  # a bank may send back what the provider called done
    },
)  # fmt: skip


class Refund(Table, table=True):
    """Money going back over the provider. A trigger keeps the refunds of a payment within the payment."""

    __tablename__ = "refund"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("to_credit_minor >= 0", name="to_credit_not_negative"),
        CheckConstraint("(state IN ('requested', 'rejected')) = (credit_note_id IS NULL)", name="credited_once_begun"),
        CheckConstraint("decided_by IS NULL OR decided_by <> requested_by", name="second_pair_of_eyes"),
        CheckConstraint("state <> 'succeeded' OR provider_ref IS NOT NULL", name="success_has_reference"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)  # also the idempotency key sent to the provider
    account_id: str = Field(foreign_key="account.id", index=True)
    payment_id: str = Field(foreign_key="payment.id", index=True)
    invoice_id: str = Field(foreign_key="invoice.id", index=True)
    credit_note_id: str | None = Field(default=None, foreign_key="credit_note.id", unique=True)
    amount_minor: int = minor_field()
    # What of the credit note goes back to the customer's credit, because that is what paid it.
    to_credit_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})
    currency: str = Field(sa_type=CURRENCY)
    state: RefundState = Field(sa_type=text_enum(RefundState, name="refund_state"), index=True)
    reason: str
    note: str = Field(default="", sa_column_kwargs=personal("free_text"))
    nets: dict[str, Any] = Field(sa_type=JSONB)  # net by line of the invoice; empty: spread over all that is left
    revoke: bool  # what becomes of the license (R-SUB-8)
    requested_by: str
    decided_by: str | None = None
    provider: str
    provider_ref: str | None = None
    failure_code: str | None = None
    created_at: datetime = Field(sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class DisputeState(StrEnum):
    OPENED = "opened"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


D = DisputeState
DISPUTE_MOVES: Final = declare_moves(
    "dispute",
    {(D.OPENED, D.UNDER_REVIEW), (D.OPENED, D.WON), (D.OPENED, D.LOST), (D.UNDER_REVIEW, D.WON),
     (D.UNDER_REVIEW, D.LOST)},
)  # fmt: skip


class Dispute(Table, table=True):
    """A payment that the card's owner contests. While it runs the provider holds the money."""

    __tablename__ = "dispute"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(state IN ('won', 'lost')) = (closed_at IS NOT NULL)", name="closed_has_instant"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    payment_id: str = Field(foreign_key="payment.id", index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    state: DisputeState = Field(sa_type=text_enum(DisputeState, name="dispute_state"), index=True)
    reason: str  # the provider's code: fraudulent, product_not_received, …
    provider: str
    provider_ref: str
    opened_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    updated_at: datetime = Field(sa_type=INSTANT)


class ProviderFee(Table, table=True):
    """What the provider keeps for a payment, a refund or a dispute; below zero where it gives a fee back.

    In the currency in which the provider settles, which need not be the payment's. Each of the provider's transactions
    is recorded once, one without a fee as well: then it is known that there is none.
    """

    __tablename__ = "provider_fee"
    __table_args__ = (
        currency_check(),
        CheckConstraint("num_nonnulls(refund_id, dispute_id) <= 1", name="about_one_thing"),
        UniqueConstraint("provider", "provider_ref"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    payment_id: str = Field(foreign_key="payment.id", index=True)
    refund_id: str | None = Field(default=None, foreign_key="refund.id", index=True)
    dispute_id: str | None = Field(default=None, foreign_key="dispute.id", index=True)
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    provider: str
    provider_ref: str  # the provider's balance transaction
    recorded_at: datetime = Field(sa_type=INSTANT)
