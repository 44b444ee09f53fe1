"""Previews and orders as rows: stored, found, moved between their states."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money, total
from app.core.states import require_move
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders.changes import Change, LineChange
from app.orders.models import (
    CarriedEnd,
    EndOfCarried,
    OfferSource,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    PayBy,
    Preview,
)
from app.orders.routing import Routing
from app.subscriptions.models import Subscription, SubscriptionState

TOKEN: Final = "order"  # noqa: S105 -- the label of a derived key: whoever holds the link sees the order


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line of an offer. `net` is after `discount` and rounded once for the line (R-MON-2).

    `pricing` is the price model as it is now, `intervals` how many of them the term has: the two, the quantity and
    the discount give `net` again.
    """

    plan_id: str
    price_id: str
    sku: str
    description: str
    quantity: int
    unit: Money
    net: Money
    tax: Money
    pricing: Mapping[str, Any] | None = None
    intervals: int = 1
    discount: Money | None = None
    change: LineChange | None = None

    def to_json(self) -> dict[str, Any]:
        plain = {
            "plan_id": self.plan_id, "price_id": self.price_id, "sku": self.sku, "description": self.description,
            "quantity": self.quantity, "unit_minor": self.unit.minor, "net_minor": self.net.minor,
            "tax_minor": self.tax.minor, "pricing": dict(self.pricing) if self.pricing is not None else None,
            "intervals": self.intervals, "discount_minor": self.discount.minor if self.discount is not None else 0,
        }  # fmt: skip
        return plain | {"change": self.change.to_json()} if self.change is not None else plain


def preview_row(
    *, kind: OrderKind, inputs: dict[str, Any], lines: Sequence[PricedLine], currency: str, tax: Money,
    legal_entity_id: str, determination_id: str, routing: Routing, lives: timedelta, now: datetime,
    account_id: str | None = None, subscription_id: str | None = None, discount: dict[str, Any] | None = None,
    source: OfferSource = OfferSource.LIST, change: Change | None = None, committed: Money | None = None,
    credit: Money | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An offer as it is kept for `lives`; equal inputs have equal `inputs_hash`. `discount` is the coupon's terms."""
    net = total([line.net for line in lines], currency)
    return {
        "id": new_id("prv"), "kind": kind, "source": source, "account_id": account_id,
        "subscription_id": subscription_id, "legal_entity_id": legal_entity_id, "currency": currency, "inputs": inputs,
        "inputs_hash": sha256_hex(canonical_json(inputs)), "lines": [line.to_json() for line in lines],
        "net_minor": net.minor, "tax_minor": tax.minor, "total_minor": (net + tax).minor,
        "committed_minor": committed.minor if committed is not None else None,
        "credit_minor": credit.minor if credit is not None else 0,
        "tax_determination_id": determination_id, "route": routing.route,
        "reasons": [reason.to_json() for reason in routing.reasons], "discount": discount,
        "change": change.to_json() if change is not None else None, "created_at": now, "expires_at": now + lives,
    }  # fmt: skip


def commitment(preview: Preview) -> Money:
    """What an offer commits to before tax: the whole term, and of a higher plan what is more than it gives back."""
    committed = preview.committed_minor
    if committed is None:
        committed = max(preview.net_minor - (preview.change["credit_net"] if preview.change else 0), 0)
    return Money(committed, preview.currency)


def lock_preview(tx: Tx, preview_id: str) -> Preview:
    """The offer, locked so that two clicks on it take turns. Raises NotFound."""
    preview = tx.execute(select(Preview).where(col(Preview.id) == preview_id).with_for_update()).scalar_one_or_none()
    if preview is None:
        raise NotFound("There is no such preview.", param="preview")
    return preview


def order_row(
    preview: Preview, *, account_id: str, state: OrderState, expires_at: datetime | None, po_number: str,
    pay_by: PayBy, test: bool, term_starts_on: date | None, now: datetime,
    credit: Money | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The order that an offer becomes, with the very same figures; `credit` is what customer credit pays of it."""
    buyer = preview.inputs["buyer"]
    return {
        "id": new_id("ord"), "kind": preview.kind, "preview_id": preview.id, "account_id": account_id,
        "legal_entity_id": preview.legal_entity_id, "subscription_id": preview.subscription_id,
        "term_starts_on": term_starts_on, "pay_by": pay_by, "state": state, "route": preview.route,
        "reasons": preview.reasons, "currency": preview.currency, "net_minor": preview.net_minor,
        "tax_minor": preview.tax_minor, "total_minor": preview.total_minor,
        "credit_minor": credit.minor if credit is not None else 0, "committed_minor": preview.committed_minor,
        "tax_determination_id": preview.tax_determination_id,
        "discount": preview.discount, "change": preview.change,
        "buyer_name": buyer["name"], "buyer_email": buyer["email"], "po_number": po_number, "test": test,
        "created_at": now, "expires_at": expires_at,
    }  # fmt: skip


def line_rows(order_id: str, preview: Preview) -> list[dict[str, Any]]:
    """The lines of the order that an offer becomes."""
    return [
        {"order_id": order_id, "position": position, **line} for position, line in enumerate(preview.lines, start=1)
    ]


def place(
    tx: Tx, preview: Preview, *, account_id: str, state: OrderState, expires_at: datetime | None, po_number: str,
    pay_by: PayBy, test: bool, term_starts_on: date | None, now: datetime,
    credit: Money | None = None,
) -> Order:  # fmt: skip
    """Turn an offer into an order."""
    order = Order(**order_row(
        preview, account_id=account_id, state=state, expires_at=expires_at, po_number=po_number, pay_by=pay_by,
        test=test, term_starts_on=term_starts_on, now=now, credit=credit,
    ))  # fmt: skip
    tx.add(order)
    tx.flush()
    tx.add_all(OrderLine(**row) for row in line_rows(order.id, preview))
    return order


def order_of_preview(tx: Tx, preview_id: str) -> Order | None:
    return tx.execute(select(Order).where(col(Order.preview_id) == preview_id)).scalar_one_or_none()


def lock(tx: Tx, order_id: str) -> Order:
    """The order, locked; the second of two racing events waits here and then finds it completed.

    Rows may refer to it meanwhile: a foreign key would otherwise wait in the middle of a flow that comes later in the
    order of locks.
    """
    query = select(Order).where(col(Order.id) == order_id).with_for_update(key_share=True)
    order = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if order is None:
        raise NotFound("There is no such order.")
    return order


def get(tx: Tx, order_id: str) -> Order:
    order = tx.get(Order, order_id)
    if order is None:
        raise NotFound("There is no such order.")
    return order


def lines(tx: Tx, order_id: str) -> list[OrderLine]:
    query = select(OrderLine).where(col(OrderLine.order_id) == order_id).order_by(col(OrderLine.position))
    return list(tx.execute(query).scalars())


def move(order: Order, state: OrderState) -> None:
    """Raises MoveRefused for a move that is not in the table."""
    require_move("order", order.state, state)
    order.state = state


def subscriptions_of(tx: Tx, order_ids: Collection[str]) -> dict[str, str]:
    """The subscription of each order that has one, by order."""
    query = select(col(Order.id), col(Order.subscription_id)).where(
        col(Order.id).in_(order_ids), col(Order.subscription_id).is_not(None)
    )
    return {order_id: str(subscription_id) for order_id, subscription_id in tx.execute(query)}


def ids_of_subscription(tx: Tx, subscription_id: str) -> list[str]:
    return list(tx.execute(select(col(Order.id)).where(col(Order.subscription_id) == subscription_id)).scalars())


def spent_since(tx: Tx, account_ids: Sequence[str], since: datetime) -> list[Money]:
    """Purchases and expansions of accounts that were paid for, before tax; renewals are measured alone (R-THR-2).

    Unpaid, void and fully refunded orders do not count.
    """
    paid = select(col(Invoice.id)).where(
        col(Invoice.order_id) == col(Order.id), col(Invoice.state) == InvoiceState.PAID,
        ~invoices.is_replaced(col(Invoice.id)),
    )  # fmt: skip
    rows = tx.execute(
        select(col(Order.committed_minor), col(Order.net_minor), col(Order.currency), col(Order.change)).where(
            col(Order.account_id).in_(account_ids),
            col(Order.kind).not_in([OrderKind.RENEWAL, OrderKind.INSTALMENT]),
            col(Order.state) == OrderState.COMPLETED,
            col(Order.completed_at) > since,
            ~invoices.came_to_nothing(col(Order.id)),
            or_(col(Order.pay_by) == PayBy.CARD, paid.exists()),
        )
    )
    # A higher plan adds what it costs less what its lower one gives back; a carried charge comes with its invoice.
    return [
        Money(net - (change["credit_net"] if change else 0) if committed is None else committed, currency)
        for committed, net, currency, change in rows
        if change is None or change["invoiced"]
    ]


def expansion_under_way(tx: Tx, subscription_id: str) -> Order | None:
    """The change of a subscription that waits for its payment or for a person; the table holds one at a time."""
    query = select(Order).where(
        col(Order.subscription_id) == subscription_id, col(Order.kind) == OrderKind.EXPANSION,
        col(Order.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD]),
    )  # fmt: skip
    return tx.execute(query).scalar_one_or_none()


def carried(tx: Tx, subscription_id: str) -> list[Order]:
    """Completed changes whose charge was too small, and is on no invoice yet (R-PRO-8), oldest first."""
    query = select(Order).where(
        col(Order.subscription_id) == subscription_id, col(Order.kind) == OrderKind.EXPANSION,
        col(Order.state) == OrderState.COMPLETED, col(Order.carried_to).is_(None), col(Order.total_minor) > 0,
        col(Order.change)["invoiced"].as_boolean().is_(False), ~_ended(),
    )  # fmt: skip
    return list(tx.execute(query.order_by(col(Order.id))).scalars())


def end_of_carried(tx: Tx, order_id: str) -> EndOfCarried | None:
    """What became of a charge too small to be made; None while it waits, or where there is none."""
    found = tx.get(CarriedEnd, order_id)
    return found.became if found is not None else None


def _ended() -> ColumnElement[bool]:
    """Of a carried charge: it was invoiced by itself or written off, as no further invoice came."""
    return select(CarriedEnd).where(col(CarriedEnd.order_id) == col(Order.id)).exists()


_RENEWING: Final = aliased(Order)
# Asked every minute by the tick, so it is written once: an alias of a wide table costs a millisecond.
_LEFT_BEHIND: Final = (
    select(col(Subscription.id), col(Subscription.account_id))
    .join(Order, col(Order.subscription_id) == col(Subscription.id))
    .where(
        col(Subscription.state).in_(bindparam("over", expanding=True)), col(Order.kind) == OrderKind.EXPANSION,
        col(Order.state) == OrderState.COMPLETED, col(Order.carried_to).is_(None), col(Order.total_minor) > 0,
        col(Order.change)["invoiced"].as_boolean().is_(False), ~_ended(),
        ~select(_RENEWING).where(
            col(_RENEWING.subscription_id) == col(Order.subscription_id), col(_RENEWING.kind) == OrderKind.RENEWAL,
            col(_RENEWING.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD]),
        ).exists(),
    )
    .distinct()
    .order_by(col(Subscription.id))
    .limit(bindparam("most"))
)  # fmt: skip


def left_behind(tx: Tx, over: Collection[SubscriptionState], limit: int = 200) -> list[tuple[str, str]]:
    """Subscriptions in one of these states, with their accounts, of which carried charges wait for no invoice.

    One whose renewal is ordered is left out: it may take them up.
    """
    return [(row[0], row[1]) for row in tx.execute(_LEFT_BEHIND, {"over": list(over), "most": limit})]


def overdue(tx: Tx, now: datetime, limit: int = 200) -> list[str]:
    """Ids of unpaid orders whose time is up."""
    return list(
        tx.execute(
            select(col(Order.id))
            .where(col(Order.state) == OrderState.AWAITING_PAYMENT, col(Order.expires_at) <= now)
            .order_by(col(Order.expires_at))
            .limit(limit)
        ).scalars()
    )


def renewal_of_term(tx: Tx, subscription_id: str, starts_on: date) -> Order | None:
    """The live order that stands in the way of another: it bought the term beginning on `starts_on`, or waits.

    One that waits does so whatever day it begins on: late renewals begin on the day they are made, and two terms of
    different beginnings would overlap.
    """
    waits = col(Order.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD])
    bought = and_(col(Order.term_starts_on) == starts_on, col(Order.state) == OrderState.COMPLETED)
    query = select(Order).where(
        col(Order.subscription_id) == subscription_id, col(Order.kind) == OrderKind.RENEWAL, or_(waits, bought)
    )
    return tx.execute(query.order_by(col(Order.id)).limit(1)).scalar_one_or_none()


def instalment_of(tx: Tx, subscription_id: str, starts_on: date) -> Order | None:
    """The live order for the year of a term that begins on `starts_on`."""
    query = select(Order).where(
        col(Order.subscription_id) == subscription_id, col(Order.kind) == OrderKind.INSTALMENT,
        col(Order.term_starts_on) == starts_on,
        col(Order.state).not_in([OrderState.EXPIRED, OrderState.CANCELED]),
    )  # fmt: skip
    return tx.execute(query).scalar_one_or_none()


def next_expiry(tx: Tx, after: datetime) -> datetime | None:
    """When the next unpaid order runs out of time."""
    query = select(func.min(col(Order.expires_at))).where(
        col(Order.state) == OrderState.AWAITING_PAYMENT, col(Order.expires_at) > after
    )
    return tx.execute(query).scalar()
