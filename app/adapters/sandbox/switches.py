"""How badly the provider behaves: one row that every process reads, so that a test or a person can set it live."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert

from app.adapters.sandbox.models import Fault, SandboxSwitches
from app.core.db import Database, Tx

_WELL_BEHAVED: dict[str, Any] = SandboxSwitches().model_dump()


def read(database: Database) -> SandboxSwitches:
    with database.transaction() as tx:
        return read_in(tx)


def read_in(tx: Tx) -> SandboxSwitches:
    return tx.get(SandboxSwitches, 1) or SandboxSwitches()


def flip(database: Database, **changes: Fault | str | int | bool | None) -> SandboxSwitches:
    """Change some switches, leave the others. Calls and deliveries that begin from now on see it."""
    statement = insert(SandboxSwitches).values(_WELL_BEHAVED | changes)
    with database.transaction() as tx:
        tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes or {"id": 1}))
    return read(database)


def reset(database: Database) -> None:
    """Back to good behaviour."""
    flip(database, **_WELL_BEHAVED)
