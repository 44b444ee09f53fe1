"""A new sandbox installation made sellable in one go, for programs that need one: the demo, the measurements."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from app.accounts import api_keys
from app.accounts import staff as people
from app.core import keys, migrate
from app.core.db import Database
from app.core.security import Secrets
from app.flows import apply_catalog


@dataclass(frozen=True, slots=True)
class Furnished:
    """`api_key` is the vendor's own and may do everything; `changes` is how many the catalog made."""

    api_key: str
    changes: int


def furnish(
    database: Database, secrets: Secrets, *, catalog: Path, staff_email: str, by: str, now: datetime
) -> Furnished:
    """Migrate an empty database, apply the catalog, make keys, one member of staff and the vendor's API key."""
    migrate.upgrade(database)
    with database.transaction() as tx:
        changes = apply_catalog.apply(tx, catalog, by=by, now=now)
        keys.ensure(tx, secrets, by=by, now=now)
        people.add_first(tx, email=staff_email, name="Sam Staff", now=now)
        _, api_key = api_keys.create(
            tx, secrets, name=by, scopes=["*"], account_id=None, actor=by, now=now, lives=timedelta(days=366)
        )
    return Furnished(api_key, len(changes))
