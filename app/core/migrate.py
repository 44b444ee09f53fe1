"""Bringing a database to the current schema, safely beside a running installation (ADR 0007).

One migrator at a time (advisory lock); waiting for a table lock gives up after a few seconds instead of
queueing the whole installation behind it; everything happens in one transaction, so an interrupted
migration leaves nothing half-done.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from alembic import command
from app.core.db import Database, metadata
from app.core.jobs import schema_sql

ROOT: Final = Path(__file__).resolve().parents[2]
_LOCK: Final = 727_2026
_TIMEOUTS: Final = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '5min'"


def _config(connection: Connection) -> Config:
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["connection"] = connection
    return config


def upgrade(database: Database) -> list[str]:
    """Apply what is missing; returns what was done, in words. Safe to run again and from two places at once."""
    with database.transaction() as tx:
        connection = tx.connection()
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.exec_driver_sql(_TIMEOUTS)
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(_config(connection), "head")
        after = MigrationContext.configure(connection).get_current_revision()
        done = [] if before == after else [f"schema {before or 'empty'} → {after}"]
        return done + _upgrade_queue(connection)


def _upgrade_queue(connection: Connection) -> list[str]:
    """Apply the queue's own schema, then each of its later migrations once, in order."""
    names = sorted(each.name for each in files("procrastinate.sql.migrations").iterdir() if each.name.endswith(".sql"))
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS procrastinate_applied_migration (name text PRIMARY KEY)")
    applied = {row[0] for row in connection.exec_driver_sql("SELECT name FROM procrastinate_applied_migration")}
    fresh = connection.exec_driver_sql("SELECT to_regclass('procrastinate_jobs') IS NULL").scalar_one()
    missing = [name for name in names if name not in applied]
    scripts = (
        [schema_sql()]
        if fresh
        else [files("procrastinate.sql.migrations").joinpath(name).read_text("utf-8") for name in missing]
    )
    if not missing:
        return []
    for script in scripts:
        # As one simple query: the scripts hold several statements and literal percent signs.
        driver = connection.connection.dbapi_connection
        if driver is None:
            raise RuntimeError("no connection to migrate on")
        driver.cursor().execute(script)
    for name in missing:
        connection.execute(text("INSERT INTO procrastinate_applied_migration VALUES (:name)"), {"name": name})
    return ["job queue installed" if fresh else f"job queue: {len(missing)} migrations"]


def is_current(database: Database) -> bool:
    """Whether the schema is the one this version of the code was written for."""
    with database.reading() as connection:
        config = _config(connection)
        from alembic.script import ScriptDirectory

        head = ScriptDirectory.from_config(config).get_current_head()
        return MigrationContext.configure(connection).get_current_revision() == head


def drift(database: Database) -> list[str]:
    """Differences between the tables as the code declares them and as the migrations made them."""
    with database.transaction() as tx:
        context = MigrationContext.configure(
            tx.connection(),
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: (
                    not (kind == "table" and name is not None and name.startswith("procrastinate_"))
                ),
            },
        )
        return [str(difference) for difference in compare_metadata(context, metadata)]
