"""Who did what: append-only, hash-chained, in the transaction of the deed (S36).

Each account has a chain of its own, and the installation has one, so that one busy account never makes
another wait for the head of a single chain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, UniqueConstraint, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, col

from app.core import bulk
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


@dataclass(frozen=True, slots=True)
class Deed:
    """What `record` is told, for many at once."""

    chain: str
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


def _entry(deed: Deed) -> dict[str, Any]:
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in deed.details.items()}
    return {"actor": deed.actor, "action": deed.action, "subject": deed.subject, "details": plain}


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
    entry = _entry(Deed(chain, actor, action, subject, details or {}))
    tx.execute(_LINK, {
        "of_chain": chain, "new_sequence": sequence, "new_hash": _link(chain, sequence, head.hash, at, entry),
        "old_hash": head.hash, "new_at": at, **{f"new_{key}": value for key, value in entry.items()},
    })  # fmt: skip


# Heads are taken in the order of their names, so that two who take many never wait for each other in a circle.
_TAKE_HEADS: Final = text(
    "INSERT INTO audit_head AS head (chain, sequence, hash)"
    " SELECT chain, 0, :genesis FROM unnest(CAST(:chains AS text[])) AS chain ORDER BY chain"
    " ON CONFLICT (chain) DO UPDATE SET hash = head.hash RETURNING chain, sequence, hash"
)


def record_many(tx: Tx, deeds: Sequence[Deed], now: datetime) -> None:
    """As `record`, by COPY; deeds of one chain follow one another as listed."""
    if not deeds:
        return
    tx.flush()
    found = tx.execute(
        _TAKE_HEADS, {"chains": bulk.array_text(sorted({deed.chain for deed in deeds})), "genesis": _GENESIS}
    )
    heads: dict[str, tuple[int, str]] = {row.chain: (row.sequence, row.hash) for row in found}
    at, rows = now.astimezone(UTC), []
    for deed in deeds:
        before, previous = heads[deed.chain]
        entry = _entry(deed)
        digest = _link(deed.chain, before + 1, previous, at, entry)
        heads[deed.chain] = before + 1, digest
        rows.append({"chain": deed.chain, "sequence": before + 1, "at": at, **entry, "previous_hash": previous,
                     "hash": digest})  # fmt: skip
    bulk.copy(tx, AuditEntry, rows)
    moved = [{"chain": chain, "sequence": number, "hash": digest} for chain, (number, digest) in heads.items()]
    bulk.update(tx, AuditHead, "chain", moved)


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
