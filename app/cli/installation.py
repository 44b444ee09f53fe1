"""What every command stands on: a wired installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import Settings
from app.core import embedded_postgres
from app.core.db import Database
from app.wiring import Wired, wire

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def installation(settings: Settings) -> Iterator[Wired]:
    """A wired installation: the configured database, or the embedded server for the length of the command."""
    with _address(settings) as url:
        wired = wire(settings, Database(url, pool_size=settings.pool_size))
        try:
            yield wired
        finally:
            wired.ports.db.dispose()


@contextmanager
def _address(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
        return
    with embedded_postgres.running(ROOT) as cluster:
        yield cluster.url("blp")
