"""Imported local rates as they are kept: a version for each state and import, and the rows of one address (R-TAX-7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, text
from sqlmodel import col

from app.core import audit, bulk
from app.core.db import Tx
from app.tax.dataset import load
from app.tax.local_rates import Locality, LocalRow, content_hash, locality
from app.tax.models import TaxLocalRate, TaxLocalVersion
from app.tax.request import Buyer

_ZIP, _ZIP9 = 5, 9


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one state of a file; `changed` is False where the same rates were in force already."""

    state: str
    version: int
    rows: int
    changed: bool


def store(tx: Tx, found: Mapping[str, Sequence[LocalRow]], *, by: str, now: datetime) -> list[Imported]:
    """Keep checked rows as a new version of each state. Importing what is in force again changes nothing."""
    # One import at a time: two would give one version number twice.
    tx.execute(text("LOCK TABLE tax_local_version IN SHARE ROW EXCLUSIVE MODE"))
    done = []
    for state, rows in sorted(found.items()):
        before = _in_force(tx, state)
        digest = content_hash(rows)
        if before is not None and before.content_hash == digest:
            done.append(Imported(state, before.version, len(rows), changed=False))
            continue
        version = TaxLocalVersion(
            state=state, version=1 if before is None else before.version + 1, content_hash=digest,
            row_count=len(rows), imported_by=by, imported_at=now,
        )  # fmt: skip
        tx.add(version)
        tx.flush()
        bulk.copy(tx, TaxLocalRate, [_values(row, version.id) for row in rows])
        audit.record(tx, audit.SYSTEM, actor=by, action="tax.local_rates_imported",
                     subject=f"US-{state}", now=now,
                     details={"version": version.version, "rows": len(rows), "content": digest})  # fmt: skip
        done.append(Imported(state, version.version, len(rows), changed=True))
    return done


def _values(row: LocalRow, version_id: int | None) -> dict[str, object]:
    return {
        "version_id": version_id, "zip_from": row.zip_from, "zip_to": row.zip_to, "plus4_from": row.plus4_from,
        "plus4_to": row.plus4_to, "component": row.component, "rate": row.rate, "valid_from": row.valid_from,
        "valid_to": row.valid_to,
    }  # fmt: skip


def _in_force(tx: Tx, state: str) -> TaxLocalVersion | None:
    query = select(TaxLocalVersion).where(col(TaxLocalVersion.state) == state)
    return tx.execute(query.order_by(col(TaxLocalVersion.version).desc()).limit(1)).scalar_one_or_none()


def versions(tx: Tx) -> dict[str, tuple[int, int]]:
    """By state: (row id, number) of the version in force. Empty where nothing was ever imported."""
    newest = (
        select(col(TaxLocalVersion.state), func.max(col(TaxLocalVersion.version)).label("version"))
        .group_by(col(TaxLocalVersion.state))
        .subquery()
    )
    query = select(TaxLocalVersion).join(
        newest,
        (newest.c.state == col(TaxLocalVersion.state)) & (newest.c.version == col(TaxLocalVersion.version)),
    )
    return {row.state: (row.id or 0, row.version) for row in tx.execute(query).scalars()}


def at(tx: Tx, in_force: Mapping[str, tuple[int, int]], buyer: Buyer, on: date) -> Locality | None:
    """What the versions in force add at a buyer's address; None where they say nothing of it."""
    place = load().places.locate(buyer)
    state = place.region or ""
    postcode = place.postcode
    if place.country != "US" or state not in in_force or len(postcode) not in {_ZIP, _ZIP9}:
        return None
    version_id, number = in_force[state]
    zip5 = postcode[:_ZIP]
    query = select(TaxLocalRate).where(
        col(TaxLocalRate.version_id) == version_id, col(TaxLocalRate.zip_from) <= zip5,
        col(TaxLocalRate.zip_to) >= zip5, col(TaxLocalRate.valid_from) <= on,
        col(TaxLocalRate.valid_to).is_(None) | (col(TaxLocalRate.valid_to) >= on),
    )  # fmt: skip
    rows = [
        LocalRow(
            state, row.zip_from, row.zip_to, row.plus4_from, row.plus4_to, row.component, row.rate, row.valid_from,
            row.valid_to,
        )
        for row in tx.execute(query).scalars()
    ]  # fmt: skip
    return locality(rows, postcode[_ZIP:], f"{state}-{number}")
