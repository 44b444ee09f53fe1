"""The installation the story is told on: a fresh database, a web process, a worker, ended with the block."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.core import embedded_postgres
from app.core.clock import transport_now
from app.core.db import Database
from app.core.ids import new_secret
from app.core.processes import child, wait_until_ready
from app.core.security import Secrets
from app.flows.furnish import furnish

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOG: Final = ROOT / "app" / "data" / "catalog.yaml"
FOLDER: Final = ROOT / ".blp" / "demo"
STAFF_EMAIL: Final = "sam@acme.example"


@dataclass(frozen=True, slots=True)
class House:
    url: str
    api_key: str
    changes: int


@contextmanager
def built() -> Iterator[House]:
    """Everything up and answering; on leaving, exactly what was started is stopped."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        if old.is_file():
            old.unlink()
    port = embedded_postgres.free_port(8000)
    name = f"blp_demo_{port}"
    with ExitStack() as stack:
        cluster = stack.enter_context(embedded_postgres.running(ROOT))
        embedded_postgres.recreate_database(cluster, name)
        stack.callback(embedded_postgres.drop_database, cluster, name)
        secret = new_secret()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("BLP_")},
            "BLP_DATABASE_URL": cluster.url(name), "BLP_SECRET_KEY": secret, "BLP_PORT": str(port),
            "BLP_BASE_URL": f"http://127.0.0.1:{port}", "BLP_VENDOR_NAME": "Acme Collaboration",
        }  # fmt: skip
        house = _furnish(cluster.url(name), secret, f"http://127.0.0.1:{port}")
        logs = {command: FOLDER / f"{command}.log" for command in ("serve", "worker")}
        children = {
            log: stack.enter_context(child((sys.executable, "-m", "app.cli", command), environment, root=ROOT, log=log))
            for command, log in logs.items()
        }
        wait_until_ready(f"{house.url}/readyz", children)
        yield house


def _furnish(database_url: str, secret: str, url: str) -> House:
    database = Database(database_url, pool_size=2)
    made = furnish(database, Secrets(secret), catalog=CATALOG, staff_email=STAFF_EMAIL, by="demo", now=transport_now())
    database.dispose()
    return House(url=url, api_key=made.api_key, changes=made.changes)
