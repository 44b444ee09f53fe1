"""An installation with something to sell, and the way through a purchase as a program walks it."""

from pathlib import Path

from app.core import keys
from app.core.clock import transport_now
from app.core.db import Database
from app.core.security import Secrets
from app.flows import apply_catalog

CATALOG = Path(__file__).resolve().parents[1] / "app" / "data" / "catalog.yaml"


def open_shop(database: Database, secrets: Secrets) -> None:
    """The sample vendor's catalog and a key for every purpose; a second call changes nothing."""
    with database.transaction() as tx:
        apply_catalog.apply(tx, CATALOG, by="test", now=transport_now())
        keys.ensure(tx, secrets, by="test", now=transport_now())
