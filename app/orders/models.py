from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.db import (
    CURRENCY,
    INSTANT,
    JSON_OR_NOTHING,
    Table,
    currency_check,
    index_where_set,
    minor_field,
    personal,
    row_id,
    text_enum,
)
from app.core.money import Money
from app.core.states import declare_moves


class OrderKind(StrEnum):
    PURCHASE = "purchase"
    RENEWAL = "renewal"
    EXPANSION = "expansion"  # of a running subscription: seats, add-ons or a higher plan, for the days that remain
    INSTALMENT = "instalment"  # a further year of a term that is billed yearly


class PayBy(StrEnum):
    """How the buyer pays: a card before anything is delivered, or an invoice afterwards (R-ORD-1)."""

    CARD = "card"
    INVOICE = "invoice"


class Route(StrEnum):
    """Who finishes the deal (R-THR): nobody, sales, or the reviewer of a held order."""

    AUTOMATIC = "automatic"
    SALES = "sales"
    REVIEW = "review"


class OfferSource(StrEnum):
    """Who set the price: the list, which is asked again when somebody orders, or a quote, which is honoured."""

    LIST = "list"
    QUOTE = "quote"


class OrderState(StrEnum):
    AWAITING_PAYMENT = "awaiting_payment"
    HELD = "held"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELED = "canceled"


MOVES: Final = declare_moves(
    "order",
    {
        (OrderState.AWAITING_PAYMENT, OrderState.COMPLETED),
        (OrderState.AWAITING_PAYMENT, OrderState.EXPIRED),
        (OrderState.AWAITING_PAYMENT, OrderState.CANCELED),
        # Money that arrives after the order expired is still money: the order is completed.
        (OrderState.EXPIRED, OrderState.COMPLETED),
        (OrderState.CANCELED, OrderState.COMPLETED),
        (OrderState.HELD, OrderState.AWAITING_PAYMENT),
        (OrderState.HELD, OrderState.CANCELED),
    },
)


def subscription_reference() -> Any:
    """A subscription refers to the order that began it, so this side of the circle is added by ALTER TABLE."""
    return Field(default=None, index=True, sa_column_args=[ForeignKey("subscription.id", use_alter=True)])


_TOTALS_ADD_UP = "total_minor = net_minor + tax_minor AND net_minor >= 0 AND tax_minor >= 0"


class Preview(Table, table=True):
    """A stored offer. What is charged equals it to the minor unit, or it is refused (R-PRO-7)."""

    __tablename__ = "preview"
    __table_args__ = (
        currency_check(),
        CheckConstraint(_TOTALS_ADD_UP, name="totals_add_up"),
        CheckConstraint("credit_minor BETWEEN 0 AND total_minor", name="credit_within_total"),
        CheckConstraint("expires_at > created_at", name="expires_later"),
    )

    id: str = Field(primary_key=True)
    kind: OrderKind = Field(sa_type=text_enum(OrderKind, name="kind"))
    source: OfferSource = Field(default=OfferSource.LIST, sa_type=text_enum(OfferSource, name="offer_source"))
    account_id: str | None = Field(default=None, foreign_key="account.id", index=True)
    subscription_id: str | None = subscription_reference()
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    currency: str = Field(sa_type=CURRENCY)
    # What was asked for (lines, buyer, term) and what came out (priced lines), both as JSON.
    inputs: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("contact"))
    inputs_hash: str
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    total_minor: int = minor_field()
    # Before tax, for the whole term that is agreed; NULL where all of it is paid at once (R-THR-1).
    committed_minor: int | None = minor_field(default=None, nullable=True)
    # What of the account's customer credit pays it, if it is ordered by card.
    credit_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})
    tax_determination_id: str = Field(foreign_key="tax_determination.id")
    route: Route = Field(sa_type=text_enum(Route, name="route"))
    reasons: list[dict[str, Any]] = Field(sa_type=JSONB)
    discount: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)  # the coupon and its worth
    change: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)  # see `orders.changes.Change`
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT, index=True)

    @property
    def due(self) -> Money:
        """What the card is charged if it is ordered by card."""
        return Money(_due(self.total_minor, self.change, self.credit_minor), self.currency)


def _due(total: int, change: dict[str, Any] | None, credit: int) -> int:
    """The total, less what a change of plan takes back, less the customer credit that pays the rest or a part of it."""
    if change is None:
        return total - credit
    rest = total - int(change["credit"])
    return 0 if credit and credit >= rest else int(change["due"]) - credit


class Order(Table, table=True):
    __tablename__ = "order"
    __table_args__ = (
        currency_check(),
        CheckConstraint(_TOTALS_ADD_UP, name="totals_add_up"),
        CheckConstraint("credit_minor BETWEEN 0 AND total_minor", name="credit_within_total"),
        CheckConstraint("(state = 'completed') = (completed_at IS NOT NULL)", name="completed_has_instant"),
        CheckConstraint("pay_by = 'card' OR po_number <> ''", name="invoice_names_a_purchase_order"),
        UniqueConstraint("id", "account_id"),
        # One renewal per term (R-SUB-2): only a dead order makes room for another.
        Index(
            "uq_order_renewal_of_term", "subscription_id", "term_starts_on", unique=True,
            postgresql_where=text("kind = 'renewal' AND state NOT IN ('expired', 'canceled')"),
        ),
        # Two changes of one subscription take turns: each rests on what is held when it was priced (R-PRO-7).
        Index(
            "uq_order_expansion_under_way", "subscription_id", unique=True,
            postgresql_where=text("kind = 'expansion' AND state IN ('awaiting_payment', 'held')"),
        ),
        # Where each minute looks for charges that no further invoice takes up.
        Index(
            "ix_order_left_behind", "subscription_id",
            postgresql_where=text("kind = 'expansion' AND state = 'completed' AND carried_to IS NULL"),
        ),
        CheckConstraint("(kind = 'expansion') = (change IS NOT NULL)", name="expansion_says_what_changes"),
        # One bill per year of a term (R-SUB-6), with the same room for another.
        Index(
            "uq_order_instalment_of_year", "subscription_id", "term_starts_on", unique=True,
            postgresql_where=text("kind = 'instalment' AND state NOT IN ('expired', 'canceled')"),
        ),
        # What staff have in hand when somebody calls.
        Index("ix_order_po_number", "po_number", postgresql_where=text("po_number <> ''")),
        Index("ix_order_lower_buyer_email", text("lower(buyer_email)")),
        index_where_set("order", "carried_to"),
        index_where_set("order", "expires_at"),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    kind: OrderKind = Field(sa_type=text_enum(OrderKind, name="kind"))
    preview_id: str = Field(foreign_key="preview.id", unique=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    legal_entity_id: str = Field(foreign_key="legal_entity.id")
    # For a renewal, the subscription and the first day of the term it buys.
    subscription_id: str | None = subscription_reference()
    term_starts_on: date | None = None
    state: OrderState = Field(sa_type=text_enum(OrderState, name="state"), index=True)
    route: Route = Field(sa_type=text_enum(Route, name="route"))
    reasons: list[dict[str, Any]] = Field(sa_type=JSONB)
    currency: str = Field(sa_type=CURRENCY)
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    total_minor: int = minor_field()
    committed_minor: int | None = minor_field(default=None, nullable=True)  # see Preview
    credit_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})  # see Preview
    tax_determination_id: str = Field(foreign_key="tax_determination.id")
    discount: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    change: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    # The order whose invoice took up a charge that was too small to be made (R-PRO-8).
    carried_to: str | None = Field(default=None, foreign_key="order.id")
    buyer_name: str = Field(sa_column_kwargs=personal("name"))
    buyer_email: str = Field(sa_column_kwargs=personal("contact"))
    pay_by: PayBy = Field(default=PayBy.CARD, sa_type=text_enum(PayBy, name="pay_by"))
    po_number: str = ""
    test: bool = False
    created_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime | None = Field(default=None, sa_type=INSTANT)
    completed_at: datetime | None = Field(default=None, sa_type=INSTANT)

    @property
    def due(self) -> Money:
        """What the buyer is asked for: the total, less what a change of plan takes back and customer credit pays."""
        return Money(_due(self.total_minor, self.change, self.credit_minor), self.currency)


class OrderLine(Table, table=True):
    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint(
            "unit_minor >= 0 AND net_minor >= 0 AND tax_minor >= 0 AND discount_minor >= 0", name="amounts_not_negative"
        ),
        CheckConstraint("intervals > 0", name="intervals_positive"),
    )

    id: int | None = row_id()
    order_id: str = Field(foreign_key="order.id")
    position: int
    plan_id: str = Field(foreign_key="plan.id")
    price_id: str = Field(foreign_key="price.id")
    sku: str
    description: str
    quantity: int
    unit_minor: int = minor_field()
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    # What prices the line again (R-PRO-4): the price model as it was, for how many intervals; NULL on older rows.
    pricing: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)
    intervals: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    discount_minor: int = minor_field(default=0, sa_column_kwargs={"server_default": "0"})  # given; net is after it
    change: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NOTHING)  # see `orders.changes.LineChange`


class EndOfCarried(StrEnum):
    INVOICED = "invoiced"
    WRITTEN_OFF = "written_off"


class CarriedEnd(Table, table=True):
    """What became of a charge too small to be made, whose subscription ended before a further invoice took it up."""

    __tablename__ = "carried_end"

    order_id: str = Field(primary_key=True, foreign_key="order.id")
    became: EndOfCarried = Field(sa_type=text_enum(EndOfCarried, name="end_of_carried"))
    ended_at: datetime = Field(sa_type=INSTANT)
