"""The figures on the console's first page, each from one query."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, select
from sqlmodel import col

from app.accounts.models import Account
from app.core import jobs
from app.core.db import Database, Tx
from app.core.money import Money
from app.invoices.models import Invoice, InvoiceState
from app.orders.models import Order, OrderState
from app.quotes.models import Quote, QuoteState
from app.subscriptions.models import Subscription, SubscriptionLine, SubscriptionState

# A customer whose charge failed still counts until dunning ends (R-FIN-1); one inside grace does not.
_RECURRING = (SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)


@dataclass(frozen=True, slots=True)
class Overview:
    """`arr` has one amount per currency; `orders` has every state, also those with none."""

    accounts: int
    active_subscriptions: int
    arr: tuple[Money, ...]
    orders: Mapping[OrderState, int]
    open_quote_requests: int
    failed_jobs: int


def read(db: Database) -> Overview:
    failed = jobs.waiting(db).failed
    with db.session() as tx:
        states = dict(tx.execute(select(col(Order.state), func.count()).group_by(col(Order.state))).all())
        return Overview(
            accounts=_count(tx, Account),
            active_subscriptions=_count(tx, Subscription, col(Subscription.state).in_(_RECURRING)),
            arr=_arr(tx),
            orders={state: states.get(state, 0) for state in OrderState},
            open_quote_requests=_count(tx, Quote, col(Quote.state) == QuoteState.REQUESTED),
            failed_jobs=failed,
        )


def _count(tx: Tx, table: type, *where: ColumnElement[bool]) -> int:
    return tx.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def _arr(tx: Tx) -> tuple[Money, ...]:
    rows = tx.execute(
        select(col(Subscription.currency), func.sum(col(SubscriptionLine.arr_minor)))
        .join(SubscriptionLine, col(SubscriptionLine.subscription_id) == col(Subscription.id))
        .where(col(Subscription.state).in_(_RECURRING))
        .group_by(col(Subscription.currency))
        .order_by(col(Subscription.currency))
    )
    return tuple(Money(int(minor), currency) for currency, minor in rows)


@dataclass(frozen=True, slots=True)
class MonthFigure:
    """`month` is its first day."""

    month: date
    net: Money


def invoiced_by_month(tx: Tx, first: date, last: date) -> list[MonthFigure]:
    """Net of the documents issued from `first` to `last`, both included, by month of issue and currency.

    Ordered by currency, then month; a month without documents is there with 0. Void documents are out.
    """
    month = func.date_trunc("month", col(Invoice.issued_on)).label("month")
    rows = tx.execute(
        select(col(Invoice.currency), month, func.sum(col(Invoice.net_minor)))
        .where(col(Invoice.issued_on).between(first, last), col(Invoice.state) != InvoiceState.VOID)
        .group_by(col(Invoice.currency), month)
    )
    net = {(currency, begins.date()): int(minor) for currency, begins, minor in rows}
    return [
        MonthFigure(each, Money(net.get((currency, each), 0), currency))
        for currency in sorted({currency for currency, _ in net})
        for each in _months(first, last)
    ]


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
