from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import INSTANT, Table, minor_field, personal, row_id, text_enum
from app.core.states import declare_moves


class QuoteState(StrEnum):
    REQUESTED = "requested"  # a customer asks; nothing is offered yet
    DRAFT = "draft"  # staff write it; the customer does not see it
    SENT = "sent"
    VIEWED = "viewed"  # a person looked at it, not a scanner (ADR 0028)
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class PaymentTerms(StrEnum):
    CARD = "card"
    INVOICE = "invoice"


OPEN: Final = frozenset({QuoteState.SENT, QuoteState.VIEWED})

_S = QuoteState
MOVES: Final = declare_moves(
    "quote",
    {
        (_S.REQUESTED, _S.DRAFT), (_S.REQUESTED, _S.DECLINED), (_S.REQUESTED, _S.WITHDRAWN),
        (_S.DRAFT, _S.SENT), (_S.DRAFT, _S.WITHDRAWN),
        (_S.SENT, _S.VIEWED),
        *((state, end) for state in OPEN
          for end in (_S.ACCEPTED, _S.DECLINED, _S.EXPIRED, _S.SUPERSEDED, _S.WITHDRAWN)),
        # Only after its order died unpaid: the deal is offered again, and still one revision at most is accepted.
        (_S.ACCEPTED, _S.SUPERSEDED),
    },
)  # fmt: skip

_OFFERED: Final = "state IN ('requested', 'declined', 'withdrawn') OR number IS NOT NULL"
_WHOLE: Final = "(number IS NULL) = (offer_id IS NULL) AND (number IS NULL) = (expires_at IS NULL)"


class Quote(Table, table=True):
    """One revision of an offer; before it is drafted, the request for one.

    `preview_id` holds the figures that were asked about, `offer_id` those that are offered. Revisions of one deal
    share `number`; a trigger keeps what was sent as it was sent.
    """

    __tablename__ = "quote"
    __table_args__ = (
        UniqueConstraint("preview_id"),
        UniqueConstraint("offer_id"),
        UniqueConstraint("order_id"),
        UniqueConstraint("number", "revision"),
        Index("uq_quote_one_accepted", "number", unique=True, postgresql_where=text("state = 'accepted'")),
        Index(
            "uq_quote_one_live", "number", unique=True,
            postgresql_where=text("state IN ('draft', 'sent', 'viewed', 'accepted')"),
        ),
        Index("ix_quote_expiring", "expires_at", postgresql_where=text("state IN ('sent', 'viewed')")),
        CheckConstraint("preview_id IS NOT NULL OR offer_id IS NOT NULL", name="has_figures"),
        CheckConstraint(_OFFERED, name="offered_has_number"),
        CheckConstraint(_WHOLE, name="offer_is_whole"),
        CheckConstraint("(number IS NULL) = (revision = 0) AND revision >= 0", name="numbered_has_revision"),
        CheckConstraint("(state <> 'accepted') OR order_id IS NOT NULL", name="accepted_has_order"),
        CheckConstraint("(payment = 'invoice') = (net_days IS NOT NULL)", name="invoice_has_days"),
        CheckConstraint("net_days IS NULL OR net_days BETWEEN 1 AND 180", name="net_days_range"),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    state: QuoteState = Field(sa_type=text_enum(QuoteState, name="quote_state"), index=True)
    preview_id: str | None = Field(default=None, foreign_key="preview.id")
    offer_id: str | None = Field(default=None, foreign_key="preview.id")
    number: str | None = None
    revision: int = 0
    revises_id: str | None = Field(default=None, foreign_key="quote.id")
    reasons: list[dict[str, Any]] = Field(sa_type=JSONB)
    contact_name: str = Field(sa_column_kwargs=personal("name"))
    contact_email: str = Field(sa_column_kwargs=personal("contact"))
    # The customer's words when asking, ours to them, and what stays among staff.
    note: str = Field(default="", sa_column_kwargs=personal("free_text"))
    message: str = Field(default="", sa_column_kwargs=personal("free_text"))
    internal_note: str = Field(default="", sa_column_kwargs=personal("free_text"))
    payment: PaymentTerms = Field(default=PaymentTerms.CARD, sa_type=text_enum(PaymentTerms, name="payment_terms"))
    net_days: int | None = None
    valid_until: date | None = None  # the last day on which it can be accepted
    expires_at: datetime | None = Field(default=None, sa_type=INSTANT)
    seller: dict[str, Any] | None = Field(default=None, sa_type=JSONB)  # as the document keeps it
    prepared_by: str | None = None
    sent_by: str | None = None
    sent_at: datetime | None = Field(default=None, sa_type=INSTANT)
    viewed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    order_id: str | None = Field(default=None, foreign_key="order.id")
    paper_id: str | None = Field(default=None, foreign_key="paper.id")
    closed_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))
    created_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)

    @property
    def shown_number(self) -> str:
        """`Q-2026-00017-r2`; empty for a request."""
        return f"{self.number}-r{self.revision}" if self.number else ""

    @property
    def figures_id(self) -> str:
        """The preview whose figures stand: what is offered, else what was asked about."""
        found = self.offer_id or self.preview_id
        if found is None:
            raise ValueError(f"{self.id} has no figures")
        return found


class QuoteLine(Table, table=True):
    """One line as it is offered: what it costs by the list, what is taken off, what is left (frozen once sent)."""

    __tablename__ = "quote_line"
    __table_args__ = (
        UniqueConstraint("quote_id", "position"),
        CheckConstraint("quantity > 0 AND unit_minor > 0", name="positive"),
        CheckConstraint("discount_minor BETWEEN 0 AND list_minor", name="discount_within_line"),
        CheckConstraint("net_minor = list_minor - discount_minor AND tax_minor >= 0", name="adds_up"),
        CheckConstraint("discount_points IS NULL OR discount_points BETWEEN 1 AND 10000", name="points_range"),
    )

    id: int | None = row_id()
    quote_id: str = Field(foreign_key="quote.id", index=True)
    position: int
    plan_id: str = Field(foreign_key="plan.id")
    sku: str
    description: str
    quantity: int
    unit_minor: int = minor_field()
    list_minor: int = minor_field()
    discount_points: int | None = None  # hundredths of a percent, where it was given in percent
    discount_minor: int = minor_field()
    net_minor: int = minor_field()
    tax_minor: int = minor_field()


class QuoteApproval(Table, table=True):
    """Somebody else agreed to a discount beyond what its author may give: for exactly these figures, for good."""

    __tablename__ = "quote_approval"
    __table_args__ = (
        UniqueConstraint("offer_id"),
        CheckConstraint("approved_by <> prepared_by", name="by_somebody_else"),
    )

    id: int | None = row_id()
    quote_id: str = Field(foreign_key="quote.id", index=True)
    offer_id: str = Field(foreign_key="preview.id")
    discount_points: int
    prepared_by: str
    approved_by: str
    why: str = Field(sa_column_kwargs=personal("free_text"))
    approved_at: datetime = Field(sa_type=INSTANT)


class QuoteCounter(Table, table=True):
    """The next number of a year; its row lock makes two drafts take turns."""

    __tablename__ = "quote_counter"
    __table_args__ = (CheckConstraint("next_number >= 1", name="from_one"),)

    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    next_number: int
