"""The log of signatures: one hash chain per key, so that a missing or slipped-in one shows (R-LIC-6, S29)."""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, func, select, text
from sqlmodel import col

from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.licenses.formats.recognize import Format
from app.licenses.models import IssuanceEntry

SYSTEM: Final = "system"  # a story issued it; the audit log says which
_GENESIS: Final = "0" * 64
_VERSION: Final = 2


def rows(
    tx: Tx, kid: str, files: Sequence[tuple[str, str]], now: datetime, *, written: Format = Format.MATTERMOST,
    actor: str = SYSTEM, of: str = "license_id",
) -> list[dict[str, Any]]:  # fmt: skip
    """The links of (license id, SHA-256 of the file), in this order, at the end of the key's chain.

    `of` is the column of the ids: `merged_id` for files of several licenses. Its writers take turns until they commit.
    """
    _take_turn(tx, kid)
    last = tx.execute(
        select(col(IssuanceEntry.sequence), col(IssuanceEntry.hash))
        .where(col(IssuanceEntry.kid) == kid)
        .order_by(col(IssuanceEntry.sequence).desc())
        .limit(1)
    ).first()
    sequence, previous = (last.sequence, last.hash) if last else (0, _GENESIS)
    made = []
    for license_id, digest in files:
        sequence += 1
        row = {
            "kid": kid, "sequence": sequence, of: license_id, "format": written, "actor": actor,
            "version": _VERSION, "file_sha256": digest, "issued_at": now, "previous_hash": previous,
        }  # fmt: skip
        made.append(row | {"hash": _hash(row)})
        previous = made[-1]["hash"]
    return made


def record(
    tx: Tx, kid: str, license_id: str, digest: str, now: datetime, *, written: Format, actor: str
) -> None:  # fmt: skip
    """Log one signature of a rendering other than Mattermost's. Making the same bytes again is no further signature."""
    _take_turn(tx, kid)
    known = exists().where(
        col(IssuanceEntry.kid) == kid, col(IssuanceEntry.file_sha256) == digest, text("format <> 'mattermost'")
    )
    if not tx.execute(select(known)).scalar_one():
        tx.add_all(
            IssuanceEntry(**row) for row in rows(tx, kid, [(license_id, digest)], now, written=written, actor=actor)
        )
        tx.flush()


def broken_at(tx: Tx, kid: str) -> int | None:
    """The sequence of the first link of a key's chain that does not follow from the one before; None where all do."""
    previous = _GENESIS
    query = select(IssuanceEntry).where(col(IssuanceEntry.kid) == kid).order_by(col(IssuanceEntry.sequence))
    with closing(tx.execute(query.execution_options(yield_per=1000))) as found:
        for expected, entry in enumerate(found.scalars(), start=1):
            link = (entry.sequence, entry.previous_hash, entry.hash)
            if link != (expected, previous, _hash(entry.model_dump())):
                return expected
            previous = entry.hash
    return None


def _take_turn(tx: Tx, kid: str) -> None:
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"issuance:{kid}", 0))))


def _hash(row: dict[str, Any]) -> str:
    link = {
        "kid": row["kid"], "sequence": row["sequence"], "license": row.get("license_id") or row["merged_id"],
        "file": row["file_sha256"],
        "previous": row["previous_hash"],
    }  # fmt: skip
    if row["version"] > 1:
        link |= {"format": str(row["format"]), "actor": row["actor"]}
    return sha256_hex(b"blp/issuance/v%d\n" % row["version"] + canonical_json(link))
