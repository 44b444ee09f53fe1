from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import (
    CURRENCY,
    INSTANT,
    JSON_OR_NOTHING,
    Table,
    currency_check,
    minor_field,
    personal,
    row_id,
    text_enum,
)
from app.core.states import declare_moves


class InvoiceState(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


S = InvoiceState
# R-INV-1: what was numbered never goes back.
MOVES: Final = declare_moves(
    "invoice",
    {(S.DRAFT, S.OPEN), (S.OPEN, S.PAID), (S.OPEN, S.VOID), (S.OPEN, S.UNCOLLECTIBLE), (S.UNCOLLECTIBLE, S.PAID)},
)


class InvoiceCounter(Table, table=True):
    """The next number of a series; its row lock makes numbers gapless (R-INV-2)."""

    __tablename__ = "invoice_counter"
    __table_args__ = (CheckConstraint("next_number >= 1", name="starts_at_one"),)

    legal_entity_id: str = Field(primary_key=True, foreign_key="legal_entity.id")
    series: str = Field(primary_key=True)
    next_number: int


class Invoice(Table, table=True):
    """A legal document. Seller and buyer are frozen copies; after finalization only `state` and `paid_at` move.

    A deferred trigger refuses a finalized invoice without a sealed ledger entry.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        currency_check(),
        UniqueConstraint("legal_entity_id", "series", "sequence"),
        UniqueConstraint("number"),
        # One invoice of an order counts: the one that no other replaces (ADR 0046).
        Index("uq_invoice_first_of_order", "order_id", unique=True, postgresql_where=text("replaces IS NULL")),
        Index("ix_invoice_order_id", "order_id"),
        UniqueConstraint("replaces"),
        CheckConstraint("replaces <> id", name="replaces_another"),
        CheckConstraint("total_minor = net_minor + tax_minor", name="totals_add_up"),
        CheckConstraint("(state = 'draft') = (number IS NULL)", name="draft_has_no_number"),
        CheckConstraint("(number IS NULL) = (sequence IS NULL)", name="number_has_sequence"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid_has_instant"),
        CheckConstraint("supply_to > supply_from", name="supply_period"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    order_id: str = Field(foreign_key="order.id")
    # The invoice of the same order that was credited in full for this one.
    replaces: str | None = Field(default=None, foreign_key="invoice.id")
    subscription_id: str | None = Field(default=None, foreign_key="subscription.id", index=True)
    series: str
    sequence: int | None = None
    number: str | None = None
    state: InvoiceState = Field(sa_type=text_enum(InvoiceState, name="invoice_state"), index=True)
    currency: str = Field(sa_type=CURRENCY)
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    total_minor: int = minor_field()
    issued_on: date | None = Field(default=None, index=True)
    due_on: date | None = None
    supply_from: date
    supply_to: date  # exclusive
    seller: dict[str, Any] = Field(sa_type=JSONB)
    buyer: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    notes: list[str] = Field(sa_type=JSONB)
    discount: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)  # the coupon and its worth
    po_number: str = ""
    tax_determination_id: str = Field(foreign_key="tax_determination.id")
    test: bool = False
    created_at: datetime = Field(sa_type=INSTANT)
    finalized_at: datetime | None = Field(default=None, sa_type=INSTANT)
    paid_at: datetime | None = Field(default=None, sa_type=INSTANT)


class InvoiceLine(Table, table=True):
    """A line that can be replayed: price model, quantity, intervals, numerator, denominator, rule and discount give its
    amount again (R-PRO-4). `unit_minor` is what is shown as the price of one.
    """

    __tablename__ = "invoice_line"
    __table_args__ = (
        ForeignKeyConstraint(["invoice_id"], ["invoice.id"], deferrable=True, initially="DEFERRED"),
        UniqueConstraint("invoice_id", "position"),
        CheckConstraint("quantity > 0 AND denominator > 0 AND numerator BETWEEN 0 AND denominator", name="replayable"),
        CheckConstraint("intervals > 0 AND discount_minor >= 0", name="priced"),
        CheckConstraint("quantity_before > 0", name="held_before"),
    )

    id: int | None = row_id()
    invoice_id: str
    position: int
    sku: str
    description: str
    quantity: int
    unit_minor: int = minor_field()
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    period_from: date
    period_to: date
    numerator: int
    denominator: int
    rule: str
    # What prices the line again (R-PRO-4): the price model as it was, for how many intervals; NULL on older rows.
    pricing: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    intervals: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    discount_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})  # given; net is after it
    # Of a change (R-PRO-3): the seats that were held before. The line charges what `quantity` more of them cost.
    quantity_before: int | None = None


class InvoicePayment(Table, table=True):
    """The part of a payment that went into an invoice. A trigger refuses more than was asked for."""

    __tablename__ = "invoice_payment"
    __table_args__ = (
        UniqueConstraint("invoice_id", "payment_id"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: int | None = row_id()
    invoice_id: str = Field(foreign_key="invoice.id")
    payment_id: str = Field(foreign_key="payment.id", index=True)
    amount_minor: int = minor_field()
    allocated_at: datetime = Field(sa_type=INSTANT)


class InvoiceReminder(Table, table=True):
    """What is to be written about an open invoice and when: once per invoice and day, or skipped with a reason."""

    __tablename__ = "invoice_reminder"
    __table_args__ = (UniqueConstraint("invoice_id", "days_late"),)

    id: str = Field(primary_key=True)
    invoice_id: str = Field(foreign_key="invoice.id")
    days_late: int  # negative: days before it is due
    due_at: datetime = Field(sa_type=INSTANT, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=INSTANT)
    skipped_reason: str | None = None


class InvoiceTax(Table, table=True):
    """Tax of the document by jurisdiction, name and rate: rounded here once (R-INV-3)."""

    __tablename__ = "invoice_tax"
    __table_args__ = (
        ForeignKeyConstraint(["invoice_id"], ["invoice.id"], deferrable=True, initially="DEFERRED"),
        UniqueConstraint("invoice_id", "position"),
    )

    id: int | None = row_id()
    invoice_id: str
    position: int
    jurisdiction: str = Field(index=True)
    name: str
    rate: Any = Field(sa_type=Numeric(9, 5))
    taxable_minor: int = minor_field()
    tax_minor: int = minor_field()


class CreditReason(StrEnum):
    """Why money was given back; printed on the credit note in the reader's language."""

    PLAN_CHANGE = "plan_change"
    CANCELLATION = "cancellation"
    CORRECTION = "correction"
    GOODWILL = "goodwill"
    DISPUTE = "dispute"


class CreditNote(Table, table=True):
    """What corrects an invoice (R-INV-4): born final, with frozen copies of seller and buyer.

    Its lines and taxes are written first and this row is their seal: a trigger locks the invoice and refuses a note
    that its parts do not bear out, or with which the invoice would be credited beyond a line or a tax. A deferred
    trigger refuses one without a sealed ledger entry.
    """

    __tablename__ = "credit_note"
    __table_args__ = (
        currency_check(),
        UniqueConstraint("legal_entity_id", "series", "sequence"),
        UniqueConstraint("number"),
        CheckConstraint("net_minor >= 0 AND tax_minor >= 0 AND total_minor > 0", name="gives_something_back"),
        CheckConstraint("total_minor = net_minor + tax_minor", name="totals_add_up"),
        CheckConstraint(
            "to_refund_minor >= 0 AND to_balance_minor >= 0 AND to_invoice_minor >= 0"
            " AND to_refund_minor + to_balance_minor + to_invoice_minor = total_minor",
            name="money_goes_somewhere",
        ),
        CheckConstraint("supply_to > supply_from", name="supply_period"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    invoice_id: str = Field(foreign_key="invoice.id", index=True)
    series: str
    sequence: int
    number: str
    reason: CreditReason = Field(sa_type=text_enum(CreditReason, name="credit_reason"))
    currency: str = Field(sa_type=CURRENCY)
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    total_minor: int = minor_field()
    # Where the money goes: back to the buyer, to their credit with us, or off what the invoice still asks for.
    to_refund_minor: int = minor_field()
    to_balance_minor: int = minor_field()
    to_invoice_minor: int = minor_field()
    issued_on: date = Field(index=True)
    supply_from: date
    supply_to: date  # exclusive
    seller: dict[str, Any] = Field(sa_type=JSONB)
    buyer: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    notes: list[str] = Field(sa_type=JSONB)
    po_number: str = ""
    tax_determination_id: str = Field(foreign_key="tax_determination.id")  # of the invoice: the tax of then
    test: bool = False
    issued_at: datetime = Field(sa_type=INSTANT)


class CreditNoteLine(Table, table=True):
    """What a line of the invoice gives back; the fraction and rule say how the amount was found (R-PRO-4)."""

    __tablename__ = "credit_note_line"
    __table_args__ = (
        UniqueConstraint("credit_note_id", "position"),
        UniqueConstraint("credit_note_id", "invoice_line_id"),
        ForeignKeyConstraint(["credit_note_id"], ["credit_note.id"], deferrable=True, initially="DEFERRED"),
        CheckConstraint("net_minor >= 0 AND tax_minor >= 0 AND net_minor + tax_minor > 0", name="gives_something_back"),
        CheckConstraint("denominator > 0 AND numerator BETWEEN 0 AND denominator", name="replayable"),
        CheckConstraint("period_to > period_from", name="period"),
    )

    id: int | None = row_id()
    credit_note_id: str
    position: int
    invoice_line_id: int = Field(sa_type=BigInteger, foreign_key="invoice_line.id", index=True)
    description: str
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    tax_parts: list[int] = Field(sa_type=JSONB)  # by component, in the order of the invoice's taxes
    period_from: date
    period_to: date
    numerator: int = minor_field()
    denominator: int = minor_field()
    rule: str


class CreditNoteTax(Table, table=True):
    """What a component of the invoice's tax gives back, at its rate of then."""

    __tablename__ = "credit_note_tax"
    __table_args__ = (
        UniqueConstraint("credit_note_id", "position"),
        UniqueConstraint("credit_note_id", "invoice_tax_id"),
        ForeignKeyConstraint(["credit_note_id"], ["credit_note.id"], deferrable=True, initially="DEFERRED"),
        CheckConstraint("taxable_minor >= 0 AND tax_minor >= 0", name="not_negative"),
    )

    id: int | None = row_id()
    credit_note_id: str
    position: int
    invoice_tax_id: int = Field(sa_type=BigInteger, foreign_key="invoice_tax.id", index=True)
    jurisdiction: str = Field(index=True)
    name: str
    rate: Any = Field(sa_type=Numeric(9, 5))
    taxable_minor: int = minor_field()
    tax_minor: int = minor_field()


class IssuedKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class IssuedDocument(Table, table=True):
    """The paper of an invoice or a credit note, byte for byte as the buyer gets it (ADR 0049).

    Written once, soon after the document is final; triggers refuse any change, and that a document with a paper becomes
    void (R-INV-1).
    """

    __tablename__ = "issued_document"
    __table_args__ = (
        UniqueConstraint("invoice_id"),
        UniqueConstraint("credit_note_id"),
        CheckConstraint(
            "(kind = 'invoice') = (invoice_id IS NOT NULL) AND (kind = 'credit_note') = (credit_note_id IS NOT NULL)",
            name="of_one_document",
        ),
        CheckConstraint("sha256 = encode(sha256(pdf), 'hex')", name="hash_is_true"),
        CheckConstraint(
            "(xml IS NULL) = (xml_sha256 IS NULL) AND (xml IS NULL OR xml_sha256 = encode(sha256(xml), 'hex'))",
            name="xml_hash_is_true",
        ),
        CheckConstraint("source_sha256 ~ '^[0-9a-f]{64}$'", name="source_hash_form"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    kind: IssuedKind = Field(sa_type=text_enum(IssuedKind, name="issued_kind"))
    invoice_id: str | None = Field(default=None, foreign_key="invoice.id")
    credit_note_id: str | None = Field(default=None, foreign_key="credit_note.id")
    language: str  # as the document was written, `de` or `en-GB`
    # The PDF with its XML inside, and that XML again as it is handed out by itself (None: it has no electronic form).
    pdf: bytes = Field(sa_type=LargeBinary, sa_column_kwargs=personal("contact"))
    xml: bytes | None = Field(default=None, sa_type=LargeBinary, sa_column_kwargs=personal("contact"))
    sha256: str
    xml_sha256: str | None = None
    # The tax in the currency of the state that gets it, and its rate (R-TAX-6): stated once, the same in every copy.
    tax_there: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    source_sha256: str  # of the frozen rows that were drawn, as `issued.source_sha256`
    template_version: str  # of what drew it
    produced_at: datetime = Field(sa_type=INSTANT)
