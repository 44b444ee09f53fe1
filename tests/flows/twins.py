"""Two copies of one installation, and what their tables hold in words that two runs share.

An id that only one copy knows is named after the row that mentions it first, so rows that hang together differently
read differently. What is random or secret by nature is masked; chains over it are verified by the tests instead.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.core.canonical import sha256_hex
from app.core.clock import transport_now
from app.core.db import Database, Tx
from app.core.embedded_postgres import Cluster, clone_database, drop_database
from app.flows.ports import Ports
from app.wiring import wire
from tests.world import World

_ID = re.compile(r"\b[a-z]{2,3}_01[0-9a-hjkmnp-tv-z]{24}\b")
# Named in this order: what comes first names what it mentions.
_FIRST = ("subscription", "subscription_term", "order", "preview", "payment_attempt", "license", "invoice", "payment")
# One row for each statement, whatever it wrote: what counts is whether there is one.
_NOTES = {"license_change"}
# The queue and the outside parties are compared by what they do.
_NOT_OURS = re.compile(r"procrastinate_|sandbox_|inbox_|alembic|twin_|rate_window|web_session")
# Serial numbers, places in a chain (two renewals of an account are placed and completed in turns, or not), signatures,
# what is over a random id, references the provider makes up.
_MASKED = {
    "event": {"sequence"}, "audit_entry": {"id", "sequence", "hash", "previous_hash"}, "audit_head": {"hash"},
    "license": {"file_id", "file_text", "file_sha256"}, "ledger_entry": {"sealed_in"},
    "license_issuance": {"hash", "previous_hash", "file_sha256"}, "acceptance": {"snapshot_sha256", "signature"},
    "payment": {"provider_ref"}, "provider_fee": {"provider_ref"}, "payment_attempt": {"provider_ref"},
    "event_position": {"position"}, "preview": {"inputs_hash"}, "tax_id_check": {"reply_sealed"},
    "issued_document": {"pdf", "xml", "sha256", "xml_sha256", "source_sha256"},
}  # fmt: skip


@contextmanager
def twin(cluster: Cluster, world: World) -> Iterator[Ports]:
    """The ports of a copy of the world as it is now."""
    name = "blp_twin"
    world.db.dispose()  # copying ends its connections; those just used are not asked whether they live
    clone_database(cluster, world.past.name, name)
    database = Database(cluster.url(name), pool_size=8)
    try:
        yield wire(world.settings, database).ports
    finally:
        database.dispose()
        drop_database(cluster, name)


def told(tx: Tx, since: datetime) -> dict[str, list[str]]:
    """Every row of every table of ours, canonical and sorted. `since` is the real time at which the copies parted."""
    rows = {name: [_without_real_time(row, since) for row in _rows(tx, name)] for name in _tables(tx)}
    names = _named(tx, rows)

    def canonical(row: dict[str, Any]) -> str:
        spelled = json.dumps(row, sort_keys=True, ensure_ascii=False)
        return _ID.sub(lambda found: names.get(found[0], found[0]), spelled)

    told_once = {name: {canonical(row) for row in rows[name]} for name in _NOTES}
    return {name: sorted(told_once.get(name) or map(canonical, held)) for name, held in rows.items()}


def _tables(tx: Tx) -> list[str]:
    query = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    found = sorted(name for name in tx.execute(query).scalars() if not _NOT_OURS.match(name))
    return [*_FIRST, *(name for name in found if name not in _FIRST)]


def _rows(tx: Tx, name: str) -> list[dict[str, Any]]:
    rows = tx.execute(text(f'SELECT to_jsonb(row) FROM "{name}" AS row')).scalars()  # noqa: S608 -- our own table
    masked = _MASKED.get(name, set())
    return [
        {
            key: "…" if (key in masked and value is not None) or (key == "id" and isinstance(value, int)) else value
            for key, value in row.items()
        }
        for row in rows
    ]


def _named(tx: Tx, rows: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """New ids by name: those of rows known before the copies parted keep their own."""
    old = set(tx.execute(text("SELECT id FROM twin_known")).scalars())
    names: dict[str, str] = {}

    def spelled(row: dict[str, Any]) -> str:
        return _ID.sub(lambda found: _name(found[0]), json.dumps(row, sort_keys=True))

    def _name(found: str) -> str:
        return found if found in old else names.get(found, f"{found[:3]}…")

    for table, held in rows.items():
        for row in sorted(held, key=spelled):
            own = str(row.get("id", ""))
            base = names.get(own) or _short(f"{table} {spelled(row)}")
            for index, found in enumerate(dict.fromkeys(_ID.findall(json.dumps(row, sort_keys=True)))):
                if found not in old and found not in names:
                    names[found] = base if found == own else _short(f"{base} {index}")
    return {found: f"{found[:3]} {name}" for found, name in names.items()}


def _short(words: str) -> str:
    return sha256_hex(words.encode())[:10]


def remember(world: World) -> None:
    """Write down every id there is, before the copies part."""
    with world.db.transaction() as tx:
        tx.execute(text("DROP TABLE IF EXISTS twin_known"))
        tx.execute(text("CREATE TABLE twin_known (id text PRIMARY KEY)"))
        ids = {found for name in _tables(tx) for row in _rows(tx, name) for found in _ID.findall(json.dumps(row))}
        tx.execute(text("INSERT INTO twin_known SELECT unnest(CAST(:ids AS text[]))"), {"ids": sorted(ids)})


def _without_real_time(value: Any, since: datetime) -> Any:
    match value:
        case dict():
            return {key: _without_real_time(item, since) for key, item in value.items()}
        case list():
            return [_without_real_time(item, since) for item in value]
        case str() if re.fullmatch(r"[A-Za-z0-9+/]{300,}=*", value):
            return "a license file"
        case str() if re.match(r"\d{4}-\d\d-\d\dT", value):
            at = datetime.fromisoformat(value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return "real time" if since - timedelta(seconds=5) <= at <= transport_now() else value
        case _:
            return value
