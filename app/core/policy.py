"""Policies: thresholds, days and limits as data with a history (ADR 0016).

A rule receives the value as an argument; it never looks one up. Rooms declare their policies with
`declare`, the database keeps every change with its author and reason, and the latest row whose
`valid_from` has come is in force; without a row the declared default is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlmodel import Field, col

from app.core import audit
from app.core.db import INSTANT, Table, Tx, row_id
from app.core.errors import Invalid, NotFound

T = TypeVar("T")


class PolicyValue(Table, table=True):
    __tablename__ = "policy_value"

    id: int | None = row_id()
    name: str = Field(index=True)
    value: Any = Field(sa_type=JSONB)
    valid_from: datetime = Field(sa_type=INSTANT)
    set_by: str
    why: str
    recorded_at: datetime = Field(sa_type=INSTANT)


@dataclass(frozen=True, slots=True)
class Policy(Generic[T]):
    """`read` turns the stored JSON into the value, raising ValueError with the remedy for anything else."""

    name: str
    default: Any
    read: Callable[[Any], T]
    meaning: str


_declared: Final[dict[str, Policy[Any]]] = {}


def declare(policy: Policy[T]) -> Policy[T]:
    if policy.name in _declared:
        raise ValueError(f"two policies are called {policy.name!r}")
    policy.read(policy.default)
    _declared[policy.name] = policy
    return policy


def declared() -> Mapping[str, Policy[Any]]:
    return _declared


def whole_number(*, minimum: int = 0) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"must be a whole number of at least {minimum}")
        return value

    return read


def minor_by_currency(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict) or not all(
        isinstance(code, str) and len(code) == 3 and code.isupper() and type(minor) is int and minor >= 0
        for code, minor in value.items()
    ):
        raise ValueError('must map currencies to minor units, such as {"USD": 500000}')
    return value


_IN_FORCE: Final = (
    select(col(PolicyValue.name), col(PolicyValue.value))
    .where(col(PolicyValue.valid_from) <= bindparam("at"))
    .ext(distinct_on(col(PolicyValue.name)))
    .order_by(col(PolicyValue.name), col(PolicyValue.valid_from).desc(), col(PolicyValue.id).desc())
)
_READ: Final = "policies in force"


def get(tx: Tx, policy: Policy[T], now: datetime) -> T:
    """The value in force at `now`. A unit of work reads all policies of an instant at once and keeps to them."""
    read: dict[datetime, dict[str, Any]] = tx.info.setdefault(_READ, {})
    if now not in read:
        read[now] = {row.name: row.value for row in tx.execute(_IN_FORCE, {"at": now})}
    return policy.read(read[now].get(policy.name, policy.default))


def change(tx: Tx, name: str, value: Any, *, valid_from: datetime, by: str, why: str, now: datetime) -> None:
    """Record a new value. Raises NotFound for an unknown policy, Invalid for an unusable value."""
    policy = _declared.get(name)
    if policy is None:
        raise NotFound(f"There is no policy {name!r}; known are {', '.join(sorted(_declared))}.", param="name")
    try:
        policy.read(value)
    except ValueError as exc:
        raise Invalid(f"The value of {name} {exc}.", param="value") from exc
    tx.info.pop(_READ, None)
    tx.add(PolicyValue(name=name, value=value, valid_from=valid_from, set_by=by, why=why, recorded_at=now))
    audit.record(tx, audit.SYSTEM, actor=by, action="policy.changed", subject=name, now=now,
                 details={"value": value, "valid_from": valid_from, "why": why})  # fmt: skip


def history(tx: Tx, name: str) -> list[PolicyValue]:
    """Every value a policy has had, newest first."""
    rows = tx.execute(select(PolicyValue).where(col(PolicyValue.name) == name).order_by(col(PolicyValue.id).desc()))
    return list(rows.scalars())
