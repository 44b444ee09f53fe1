"""Imported lists as they are kept: what an import changed, which version is in force, whether it is too old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from app.core import audit, bulk, policy
from app.core.db import Tx
from app.screening import names
from app.screening.list_files import Entry, is_code, require_code
from app.screening.models import ScreeningEntry, ScreeningName, ScreeningVersion

STALE_DAYS: Final = policy.declare(
    policy.Policy(
        "screening_list_days", 7, policy.whole_number(minimum=1),
        "Days after which an imported list of parties counts as too old.",
    )
)  # fmt: skip


def _codes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and is_code(each) for each in value):
        raise ValueError('must be a list of codes, such as ["csl"]')
    return tuple(value)


REQUIRED: Final = policy.declare(
    policy.Policy(
        "screening_lists_required", None, _codes,
        "Lists without which, or with which too old, every order waits for a person; [] to sell without lists; null:"
        " csl where money is taken, none in a sandbox.",
    )
)  # fmt: skip
_UNSAID: Final = ("csl",)
_LONGEST_NAME: Final = 400
_NOBODY: Final = frozenset({"vessel", "aircraft"})  # they order nothing
_ARRIVED: Final = "screening_arrived"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made of a list."""

    list_code: str
    version_id: int
    entries: int
    added: int
    changed: int
    removed: int


def store(
    tx: Tx, code: str, entries: Sequence[Entry], *, sha256: str, version: str = "", by: str, now: datetime
) -> Imported:  # fmt: skip
    """Keep checked entries as the newest version of a list: all of it, so that who is not in it is not listed any more.

    Set-based: the file goes into a table of the transaction by COPY and is compared there. What did not change keeps
    its row, and with it what a person decided about it. Raises ListRefused for a code that is none.
    """
    require_code(code)
    # One import at a time: ids of versions are taken in the order in which they are committed.
    tx.execute(text("LOCK TABLE screening_version IN SHARE ROW EXCLUSIVE MODE"))
    row = ScreeningVersion(
        list_code=code, version=version or f"{now:%Y-%m-%d}", sha256=sha256, entries=len(entries), added=0, changed=0,
        removed=0, imported_by=by, imported_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    version_id = row.id or 0
    _arrive(tx, code, entries, version_id)
    added, changed, removed = (_step(tx, step, code, version_id) for step in (_ADD, _CHANGE, _REMOVE))
    tx.execute(text(f"DROP TABLE {_ARRIVED}"))
    row.added, row.changed, row.removed = added, changed, removed
    _rename(tx, code, entries, version_id)
    tx.flush()
    audit.record(
        tx, audit.SYSTEM, actor=by, action="screening.list_imported", subject=code, now=now,
        details={"version": version_id, "called": row.version, "sha256": sha256, "entries": len(entries),
                 "added": added, "changed": changed, "removed": removed},
    )  # fmt: skip
    return Imported(code, version_id, len(entries), added, changed, removed)


_COLUMNS: Final = ("entry_key, source, entity_number, type, programs, name, alt_names, countries, starts_on, ends_on,"
                   " url, content_hash")  # fmt: skip
_ADD: Final = f"""
INSERT INTO screening_entry (list_code, {_COLUMNS}, version_id)
SELECT list_code, {_COLUMNS}, version_id FROM {_ARRIVED} AS new
WHERE NOT EXISTS (SELECT FROM screening_entry AS old WHERE old.list_code = :list AND old.entry_key = new.entry_key)
  AND new.version_id = :version
"""  # noqa: S608 -- our own names
_CHANGE: Final = f"""
UPDATE screening_entry AS old
SET ({_COLUMNS}, version_id, removed_in) = (
  new.entry_key, new.source, new.entity_number, new.type, new.programs, new.name, new.alt_names, new.countries,
  new.starts_on, new.ends_on, new.url, new.content_hash, new.version_id, NULL)
FROM {_ARRIVED} AS new
WHERE old.list_code = :list AND old.entry_key = new.entry_key AND new.version_id = :version
  AND (old.content_hash <> new.content_hash OR old.removed_in IS NOT NULL)
"""  # noqa: S608 -- our own names
_REMOVE: Final = f"""
UPDATE screening_entry AS old SET removed_in = :version
WHERE old.list_code = :list AND old.removed_in IS NULL
  AND NOT EXISTS (SELECT FROM {_ARRIVED} AS new WHERE new.entry_key = old.entry_key)
"""  # noqa: S608 -- our own names


def _step(tx: Tx, statement: str, code: str, version_id: int) -> int:
    found = tx.execute(text(statement), {"list": code, "version": version_id})
    return int(getattr(found, "rowcount", 0))


def _arrive(tx: Tx, code: str, entries: Sequence[Entry], version_id: int) -> None:
    tx.execute(text(f"CREATE TEMPORARY TABLE {_ARRIVED} (LIKE screening_entry) ON COMMIT DROP"))
    tx.execute(text(f"ALTER TABLE {_ARRIVED} ALTER COLUMN id DROP NOT NULL"))
    rows = [
        {
            "list_code": code, "entry_key": each.key, "source": each.source, "entity_number": each.entity_number,
            "type": each.type, "programs": list(each.programs), "name": each.name, "alt_names": list(each.alt_names),
            "countries": list(each.countries), "starts_on": each.starts_on, "ends_on": each.ends_on, "url": each.url,
            "content_hash": each.content_hash, "version_id": version_id,
        }
        for each in entries
    ]  # fmt: skip
    into = bulk.sql_table(ScreeningEntry)
    bulk.copy_text(tx, _ARRIVED, tuple(rows[0]), bulk.lines_of(into, rows), schema="pg_temp")
    tx.execute(text(f"ANALYZE {_ARRIVED}"))


def _rename(tx: Tx, code: str, entries: Sequence[Entry], version_id: int) -> None:
    """The names of what came, changed or went; those of what stayed are left as they are."""
    tx.execute(
        text("DELETE FROM screening_name USING screening_entry AS entry WHERE entry.id = screening_name.entry_id"
             " AND entry.list_code = :list AND (entry.version_id = :version OR entry.removed_in = :version)"),
        {"list": code, "version": version_id},
    )  # fmt: skip
    query = select(col(ScreeningEntry.entry_key), col(ScreeningEntry.id)).where(
        col(ScreeningEntry.list_code) == code, col(ScreeningEntry.version_id) == version_id
    )
    ids = dict(tx.execute(query).all())
    rows = [
        {"entry_id": ids[each.key], "normalized": name, "version_id": version_id}
        for each in entries
        if each.key in ids and each.type.lower() not in _NOBODY
        for name in spelled(each)
    ]
    if rows:
        bulk.copy(tx, ScreeningName, rows)


def spelled(entry: Entry) -> list[str]:
    """Every name of a party, as names are compared."""
    found = (
        names.normalized(each)[:_LONGEST_NAME]
        for name in (entry.name, *entry.alt_names)
        for each in names.spellings(name)
    )
    return list(dict.fromkeys(each for each in found if each))


def current(tx: Tx) -> list[ScreeningVersion]:
    """The version in force of every list that was ever imported, by code."""
    query = select(ScreeningVersion).ext(distinct_on(col(ScreeningVersion.list_code)))
    return list(tx.execute(query.order_by(col(ScreeningVersion.list_code), col(ScreeningVersion.id).desc())).scalars())


def newest(tx: Tx) -> int:
    """The id of the last import of any list; 0 before the first."""
    return tx.execute(select(func.max(col(ScreeningVersion.id)))).scalar() or 0


def is_stale(version: ScreeningVersion, days: int, now: datetime) -> bool:
    return now - version.imported_at > timedelta(days=days)


def missing(tx: Tx, now: datetime, *, test: bool) -> list[str]:
    """Required lists that were never imported, or too long ago: without them nobody is screened.

    Where nothing is said, nothing is required in `test`.
    """
    said = policy.get(tx, REQUIRED, now)
    required = said if said is not None else () if test else _UNSAID
    if not required:
        return []
    days = policy.get(tx, STALE_DAYS, now)
    fresh = {each.list_code for each in current(tx) if not is_stale(each, days, now)}
    return [each for each in required if each not in fresh]
