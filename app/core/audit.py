"""Who did what: append-only, hash-chained, in the transaction of the deed (S36).

Each account has a chain of its own, and the installation has one, so that one busy account never makes
another wait for the head of a single chain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, UniqueConstraint, bindparam, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, col

from app.core.canonical import canonical_json, sha256_hex
from app.core.db import INSTANT, Table, Tx, personal

SYSTEM: Final = "system"
_GENESIS: Final = "0" * 64


class AuditHead(Table, table=True):
    """The last link of a chain; its row lock serializes writers of that chain."""

    __tablename__ = "audit_head"

    chain: str = Field(primary_key=True)
    sequence: int = Field(sa_type=BigInteger)
    hash: str


class AuditEntry(Table, table=True):
    __tablename__ = "audit_entry"
    __table_args__ = (UniqueConstraint("chain", "sequence"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    chain: str
    sequence: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=INSTANT)
    actor: str = Field(sa_column_kwargs=personal("contact"))
    action: str = Field(index=True)
    subject: str = Field(index=True)
    details: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs=personal("free_text"))  # reasons people gave
    previous_hash: str
    hash: str


_HEADS: Final = AuditHead.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_ENTRIES: Final = AuditEntry.__table__  # type: ignore[attr-defined]  # as above
# One statement makes the head where there is none, waits for whoever holds it, and reads it; the update changes
# nothing and is there for the lock. The other one writes the entry and moves the head.
_TAKE_HEAD: Final = (
    insert(_HEADS)
    .values(chain=bindparam("of_chain"), sequence=0, hash=_GENESIS)
    .on_conflict_do_update(index_elements=["chain"], set_={"hash": _HEADS.c.hash})
    .returning(_HEADS.c.sequence, _HEADS.c.hash)
)
_MOVE_HEAD: Final = (
    update(_HEADS)
    .where(_HEADS.c.chain == bindparam("of_chain"))
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)
_LINK: Final = (
    insert(_ENTRIES)
    .values(
        chain=bindparam("of_chain"), sequence=bindparam("new_sequence"), at=bindparam("new_at"),
        actor=bindparam("new_actor"), action=bindparam("new_action"), subject=bindparam("new_subject"),
        details=bindparam("new_details"), previous_hash=bindparam("old_hash"), hash=bindparam("new_hash"),
    )
    .add_cte(_MOVE_HEAD.cte("moved"))
)  # fmt: skip


def _link(chain: str, sequence: int, previous: str, at: datetime, entry: Mapping[str, Any]) -> str:
    return sha256_hex(
        b"blp/audit/v1\n"
        + canonical_json({"chain": chain, "sequence": sequence, "previous": previous, "at": at, **entry})
    )


def record(
    tx: Tx,
    chain: str,
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Append to a chain (`audit.SYSTEM` or an account id). `actor` is an id or a role, `details` is JSON."""
    tx.flush()
    head = tx.execute(_TAKE_HEAD, {"of_chain": chain}).one()
    sequence = head.sequence + 1
    at = now.astimezone(UTC)
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in (details or {}).items()}
    entry: dict[str, Any] = {"actor": actor, "action": action, "subject": subject, "details": plain}
    tx.execute(_LINK, {
        "of_chain": chain, "new_sequence": sequence, "new_hash": _link(chain, sequence, head.hash, at, entry),
        "old_hash": head.hash, "new_at": at, **{f"new_{key}": value for key, value in entry.items()},
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    chain: str
    sequence: int
    reason: str


def verify(tx: Tx) -> Iterator[Broken]:
    """Walk every chain and report each link that does not hold; nothing means all chains are whole."""
    heads = {head.chain: head for head in tx.execute(select(AuditHead)).scalars()}
    expected: dict[str, tuple[int, str]] = dict.fromkeys(heads, (0, _GENESIS))
    rows = tx.execute(
        select(AuditEntry).order_by(col(AuditEntry.chain), col(AuditEntry.sequence)).execution_options(yield_per=1000)
    ).scalars()
    for row in rows:
        sequence, previous = expected.get(row.chain, (0, _GENESIS))
        entry = {"actor": row.actor, "action": row.action, "subject": row.subject, "details": row.details}
        if row.sequence != sequence + 1 or row.previous_hash != previous:
            yield Broken(row.chain, row.sequence, "an entry before it is missing or was moved")
        elif _link(row.chain, row.sequence, row.previous_hash, row.at.astimezone(UTC), entry) != row.hash:
            yield Broken(row.chain, row.sequence, "its content was changed")
        expected[row.chain] = (row.sequence, row.hash)
    for chain, head in heads.items():
        if expected[chain] != (head.sequence, head.hash):
            yield Broken(chain, head.sequence, "the chain was cut short")
