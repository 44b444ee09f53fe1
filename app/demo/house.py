"""The installation the story is told on: a fresh database, a web process, a worker, ended with the block."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import httpx

from app.accounts import api_keys
from app.accounts import staff as people
from app.core import embedded_postgres, keys, migrate
from app.core.clock import transport_now
from app.core.db import Database
from app.core.ids import new_secret
from app.core.security import Secrets
from app.flows import apply_catalog

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOG: Final = ROOT / "app" / "data" / "catalog.yaml"
FOLDER: Final = ROOT / ".blp" / "demo"
STAFF_EMAIL: Final = "sam@acme.example"


class HouseBroken(RuntimeError):
    """A process of the demo did not come up or died; the message names its log."""


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
        web = stack.enter_context(_process("serve", environment))
        worker = stack.enter_context(_process("worker", environment))
        _wait_until_ready(house.url, {"serve": web, "worker": worker})
        yield house


def _furnish(database_url: str, secret: str, url: str) -> House:
    """Migrate, apply the catalog, make keys, one member of staff and the vendor's API key."""
    database, secrets, now = Database(database_url, pool_size=2), Secrets(secret), transport_now()
    migrate.upgrade(database)
    with database.transaction() as tx:
        changes = apply_catalog.apply(tx, CATALOG, by="demo", now=now)
        keys.ensure(tx, secrets, by="demo", now=now)
        people.add_first(tx, email=STAFF_EMAIL, name="Sam Staff", now=now)
        _, api_key = api_keys.create(
            tx, secrets, name="demo", scopes=["*"], account_id=None, actor="demo", now=now, lives=timedelta(days=366)
        )
    database.dispose()
    return House(url=url, api_key=api_key, changes=len(changes))


@contextmanager
def _process(command: str, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (FOLDER / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "app.cli", command], env=environment, cwd=ROOT, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def _wait_until_ready(url: str, processes: "dict[str, subprocess.Popen[bytes]]") -> None:
    give_up = monotonic() + 60
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise HouseBroken(f"`blp {name}` stopped; see .blp/demo/{name}.log")
        try:
            if httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        if monotonic() > give_up:
            raise HouseBroken("The portal did not answer within a minute; see .blp/demo/serve.log")
        sleep(0.05)
