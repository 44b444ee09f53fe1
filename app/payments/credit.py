"""Customer credit: money we owe a customer, given by credit notes and overpayments, spent on invoices.

An order by card that counts on credit holds it until it is completed or comes to nothing (ADR 0040): what is held is
still the customer's and is nobody else's to spend.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlmodel import col

from app.core.bulk import among
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.payments.errors import CreditOverdrawn
from app.payments.models import CreditHold, CreditKind, CustomerCredit


def balance(tx: Tx, account_id: str, currency: str) -> Money:
    """What an account has in this currency, what orders hold of it included."""
    query = select(func.coalesce(func.sum(col(CustomerCredit.amount_minor)), 0)).where(
        col(CustomerCredit.account_id) == account_id, col(CustomerCredit.currency) == currency
    )
    return Money(int(tx.execute(query).scalar_one()), currency)


def available(tx: Tx, account_id: str, currency: str) -> Money:
    """What an account has to spend in this currency: the balance less what its orders hold."""
    query = select(func.coalesce(func.sum(col(CreditHold.amount_minor)), 0)).where(
        col(CreditHold.account_id) == account_id, col(CreditHold.currency) == currency
    )
    return balance(tx, account_id, currency) - Money(int(tx.execute(query).scalar_one()), currency)


def usable(rest: Money, there: Money, least: int) -> Money:
    """What of the credit that is `there` pays a `rest`, so that the card is charged nothing or `least` at the least.

    Credit that would leave less than that to the card leaves exactly that, and keeps what it does not pay.
    """
    if there >= rest:
        return rest
    zero = Money.zero(rest.currency)
    return max(min(there, rest - Money(least, rest.currency), key=_minor), zero, key=_minor)


def _minor(amount: Money) -> int:
    return amount.minor


def having(tx: Tx, account_ids: Collection[str]) -> set[tuple[str, str]]:
    """Those of these accounts that have credit, each with its currency."""
    query = (
        select(col(CustomerCredit.account_id), col(CustomerCredit.currency))
        .where(among(col(CustomerCredit.account_id), account_ids))
        .group_by(col(CustomerCredit.account_id), col(CustomerCredit.currency))
        .having(func.sum(col(CustomerCredit.amount_minor)) > 0)
    )
    return {(str(account_id), str(currency)) for account_id, currency in tx.execute(query)}


def hold(tx: Tx, account_id: str, amount: Money, *, order_id: str, now: datetime) -> CreditHold:
    """Keep credit for an order. Raises CreditOverdrawn; two who hold at once take turns."""
    lock(tx, account_id, amount.currency)
    _require(tx, account_id, amount)
    held = CreditHold(
        order_id=order_id, account_id=account_id, currency=amount.currency, amount_minor=amount.minor, held_at=now
    )
    tx.add(held)
    tx.flush()
    return held


def held_for(tx: Tx, order_id: str) -> CreditHold | None:
    return tx.get(CreditHold, order_id)


def let_go(tx: Tx, order_id: str) -> None:
    """The order is completed or came to nothing: what it held can be spent."""
    tx.execute(delete(CreditHold).where(col(CreditHold.order_id) == order_id))


def balances(tx: Tx, account_id: str) -> list[Money]:
    """The balance in every currency that has one, by currency."""
    query = (
        select(col(CustomerCredit.currency), func.sum(col(CustomerCredit.amount_minor)))
        .where(col(CustomerCredit.account_id) == account_id)
        .group_by(col(CustomerCredit.currency))
        .order_by(col(CustomerCredit.currency))
    )
    found = [Money(int(minor), currency) for currency, minor in tx.execute(query)]
    return [each for each in found if each]


def entries(tx: Tx, account_id: str) -> list[CustomerCredit]:
    """Newest first."""
    query = select(CustomerCredit).where(col(CustomerCredit.account_id) == account_id)
    return list(tx.execute(query.order_by(col(CustomerCredit.id).desc())).scalars())


def give(
    tx: Tx, account_id: str, amount: Money, *, kind: CreditKind, source: str, now: datetime
) -> CustomerCredit:  # fmt: skip
    """Add to the balance. `source` names the fact, such as `credit_note:cn_…`; the table takes each once.

    The caller books it in the same transaction.
    """
    if amount.minor <= 0:
        raise ValueError(f"{amount} is no credit")
    return _enter(tx, account_id, amount, kind, source, now)


def spend(tx: Tx, account_id: str, amount: Money, *, source: str, now: datetime) -> CustomerCredit:
    """Take from the balance. Raises CreditOverdrawn; two who spend at once take turns."""
    if amount.minor <= 0:
        raise ValueError(f"{amount} is nothing to spend")
    lock(tx, account_id, amount.currency)
    _require(tx, account_id, amount)
    return _enter(tx, account_id, -amount, CreditKind.SPENT, source, now)


def _require(tx: Tx, account_id: str, amount: Money) -> None:
    present = available(tx, account_id, amount.currency)
    if present < amount:
        raise CreditOverdrawn(f"There are {present} of credit.", param="amount", left=present.minor)


def lock(tx: Tx, account_id: str, currency: str) -> None:
    """Wait for one's turn at a balance, until the transaction ends; the table's trigger takes the same lock."""
    turn = func.pg_advisory_xact_lock(func.hashtextextended(f"customer_credit:{account_id}{currency}", 0))
    tx.execute(select(turn))


def entry_of(tx: Tx, source: str) -> CustomerCredit | None:
    """The entry that a fact made, such as `invoice:inv_…`."""
    return tx.execute(select(CustomerCredit).where(col(CustomerCredit.source) == source)).scalar_one_or_none()


def spent_on(tx: Tx, source: str, currency: str) -> Money:
    """What of the credit went into a fact: a positive amount."""
    entry = entry_of(tx, source)
    return Money(-entry.amount_minor if entry is not None else 0, currency)


def _enter(tx: Tx, account_id: str, amount: Money, kind: CreditKind, source: str, now: datetime) -> CustomerCredit:
    entry = CustomerCredit(
        id=new_id("crd"), account_id=account_id, currency=amount.currency, amount_minor=amount.minor, kind=kind,
        source=source, recorded_at=now,
    )  # fmt: skip
    tx.add(entry)
    tx.flush()
    return entry
