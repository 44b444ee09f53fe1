"""Cards that are kept: which there are, which is charged, and the pages on which new ones are entered."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Select, func, select, update
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.payments.models import CardSetup, PaymentMethod, SetupState
from app.payments.provider import SavedMethod


class CardState(StrEnum):
    ACTIVE = "active"
    EXPIRING = "expiring"  # in this month or the next
    EXPIRED = "expired"


def state_of(method: PaymentMethod, today: date) -> CardState:
    """A card is good until the end of the month printed on it; one without a known month counts as good."""
    if method.exp_year is None or method.exp_month is None:
        return CardState.ACTIVE
    months_left = (method.exp_year - today.year) * 12 + method.exp_month - today.month
    if months_left < 0:
        return CardState.EXPIRED
    return CardState.EXPIRING if months_left <= 1 else CardState.ACTIVE


def kept(tx: Tx, account_id: str, provider: str) -> list[PaymentMethod]:
    """An account's cards, the one that is charged first: the one chosen, or the youngest where none is."""
    return list(tx.execute(_kept(account_id, provider)).scalars())


def charged_first(tx: Tx, account_id: str, provider: str) -> PaymentMethod | None:
    return tx.execute(_kept(account_id, provider).limit(1)).scalar_one_or_none()


def _kept(account_id: str, provider: str) -> Select[PaymentMethod]:
    query = select(PaymentMethod).where(
        col(PaymentMethod.account_id) == account_id, col(PaymentMethod.provider) == provider,
        col(PaymentMethod.removed_at).is_(None),
    )  # fmt: skip
    return query.order_by(col(PaymentMethod.is_default).desc(), col(PaymentMethod.id).desc())


def take_turns(tx: Tx, account_id: str) -> None:
    """Changes of the cards of one account wait for each other until the transaction ends."""
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"cards:{account_id}", 0))))


def keep(tx: Tx, account_id: str, provider: str, method: SavedMethod, now: datetime) -> PaymentMethod:
    """Remember a card the provider keeps. A new one is charged from now on; a known one is brought up to date."""
    take_turns(tx, account_id)
    known = by_ref(tx, provider, method.method_ref)
    if known is not None:
        refresh(known, method)
        return known
    _unset_default(tx, account_id, provider)
    row = PaymentMethod(
        id=new_id("pmt"), account_id=account_id, provider=provider, customer_ref=method.customer_ref,
        method_ref=method.method_ref, label=method.label, exp_year=method.exp_year, exp_month=method.exp_month,
        is_default=True, created_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def refresh(row: PaymentMethod, method: SavedMethod) -> bool:
    """Take over what the provider says of a card now; whether anything was different."""
    before = (row.label, row.exp_year, row.exp_month)
    row.label, row.exp_year, row.exp_month = method.label, method.exp_year, method.exp_month
    return before != (row.label, row.exp_year, row.exp_month)


def as_saved(row: PaymentMethod) -> SavedMethod:
    """What the provider is asked with."""
    return SavedMethod(row.customer_ref, row.method_ref, row.label, row.exp_year, row.exp_month)


def make_default(tx: Tx, row: PaymentMethod) -> None:
    """Charge this card from now on. Raises NotFound for one that is removed; the caller holds the account's turn."""
    if row.removed_at is not None:
        raise NotFound("This card is not kept any more.")
    _unset_default(tx, row.account_id, row.provider)
    row.is_default = True
    tx.flush()


def _unset_default(tx: Tx, account_id: str, provider: str) -> None:
    tx.execute(
        update(PaymentMethod)
        .where(
            col(PaymentMethod.account_id) == account_id, col(PaymentMethod.provider) == provider,
            col(PaymentMethod.is_default),
        )
        .values(is_default=False)
    )  # fmt: skip


def by_ref(tx: Tx, provider: str, method_ref: str) -> PaymentMethod | None:
    query = select(PaymentMethod).where(
        col(PaymentMethod.provider) == provider, col(PaymentMethod.method_ref) == method_ref
    )
    return tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def of_customer(tx: Tx, provider: str, customer_ref: str) -> list[str]:
    """The provider's references of the cards we count on that it keeps for one of its customers."""
    query = select(col(PaymentMethod.method_ref)).where(
        col(PaymentMethod.provider) == provider, col(PaymentMethod.customer_ref) == customer_ref,
        col(PaymentMethod.removed_at).is_(None),
    )  # fmt: skip
    return list(tx.execute(query.order_by(col(PaymentMethod.id))).scalars())


# --- pages on which a card is entered


def intend(tx: Tx, account_id: str, provider: str, *, run_id: str | None, by: str, now: datetime) -> CardSetup:
    """Write down that a card is about to be asked for. `now` is real time."""
    row = CardSetup(
        id=new_id("cst"), account_id=account_id, run_id=run_id, provider=provider, state=SetupState.UNKNOWN,
        requested_by=by, created_at=now, updated_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def setup(tx: Tx, setup_id: str, *, lock: bool = False) -> CardSetup:
    """Raises NotFound."""
    query = select(CardSetup).where(col(CardSetup.id) == setup_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = tx.execute(query).scalar_one_or_none()
    if row is None:
        raise NotFound("Nobody here asked for this card.")
    return row


_OPEN = (SetupState.UNKNOWN, SetupState.PENDING)


def open_setup(tx: Tx, account_id: str, provider: str, run_id: str | None, since: datetime) -> CardSetup | None:
    """The youngest page that still waits for a card, so that a second click leads to the same one."""
    query = select(CardSetup).where(
        col(CardSetup.account_id) == account_id, col(CardSetup.provider) == provider,
        col(CardSetup.run_id).is_not_distinct_from(run_id), col(CardSetup.state).in_(_OPEN),
        col(CardSetup.created_at) > since,
    )  # fmt: skip
    return tx.execute(query.order_by(col(CardSetup.id).desc()).limit(1)).scalar_one_or_none()


def open_setups(tx: Tx, provider: str, older_than: datetime, limit: int = 100) -> list[str]:
    """Ids of setups that nobody told us about, oldest first: for the sweep that asks."""
    query = select(col(CardSetup.id)).where(
        col(CardSetup.provider) == provider, col(CardSetup.state).in_(_OPEN), col(CardSetup.created_at) < older_than
    )
    return list(tx.execute(query.order_by(col(CardSetup.id)).limit(limit)).scalars())
