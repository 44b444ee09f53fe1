"""What the HTTP figures are measured on: the real app, a worker and the bare hello, each a process of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.bench.harness import Round, cpu_seconds
from app.bench.load import fire, post
from app.core import embedded_postgres
from app.core.clock import transport_now
from app.core.db import Database
from app.core.ids import new_secret
from app.core.processes import child, wait_until_ready
from app.core.security import Secrets
from app.flows.furnish import furnish

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOG: Final = ROOT / "app" / "data" / "catalog.yaml"


@dataclass(frozen=True, slots=True)
class Served:
    """A process that listens on a loopback port."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class House:
    """`web` and `worker` are `blp serve` and `blp worker` on `database`; `floor` is the bare hello.

    `webs` and `floors` are two of each, for figures that want to know what a second process adds.
    """

    webs: tuple[Served, Served]
    worker_pid: int
    floors: tuple[Served, Served]
    database: Database
    secrets: Secrets
    api_key: str

    @property
    def web(self) -> Served:
        return self.webs[0]

    @property
    def floor(self) -> Served:
        return self.floors[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    def hello(self, n: int) -> Round:
        """A round on the floor, with a request of the usual size."""
        request = post("/", {"padding": "x" * 64})
        before = cpu_seconds(self.floor.pid)
        seconds = fire(self.floor.port, lambda _: request, n, status=200)
        return Round((cpu_seconds(self.floor.pid) - before) / len(seconds), len(seconds), seconds)


@contextmanager
def built(folder: Path) -> Iterator[House]:
    """Everything up and answering on a durable throwaway PostgreSQL; logs go to `folder`. On leaving, what was
    started is stopped. Raises ChildBroken, CannotStart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = stack.enter_context(embedded_postgres.throwaway(durable=True))
        embedded_postgres.create_database(cluster, "blp_bench")
        secret, url = new_secret(), cluster.url("blp_bench")
        database, secrets = Database(url, pool_size=4), Secrets(secret)
        stack.callback(database.dispose)
        made = furnish(
            database, secrets, catalog=CATALOG, staff_email="sam@acme.example", by="bench", now=transport_now()
        )
        port = embedded_postgres.free_port()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BLP_")}
        ours = clean | {
            "BLP_DATABASE_URL": url, "BLP_SECRET_KEY": secret, "BLP_PORT": str(port),
            "BLP_BASE_URL": f"http://127.0.0.1:{port}",
            "BLP_VALIDATE_BURST": "0",  # the limit per address would refuse the one address there is
        }  # fmt: skip
        second, *floors = (embedded_postgres.free_port() for _ in range(3))
        commands = {
            "serve": (("-m", "app.cli", "serve"), ours),
            "serve-2": (("-m", "app.cli", "serve"), ours | {"BLP_PORT": str(second)}),
            "worker": (("-m", "app.cli", "worker"), ours),
            "floor": (("-m", "app.bench.floor", str(floors[0])), clean),
            "floor-2": (("-m", "app.bench.floor", str(floors[1])), clean),
        }
        pids, children = {}, {}
        for name, (command, environment) in commands.items():
            log = folder / f"{name}.log"
            started = stack.enter_context(child((sys.executable, *command), environment, root=ROOT, log=log))
            pids[name], children[log] = started.pid, started
        for each in (port, second):
            wait_until_ready(f"http://127.0.0.1:{each}/readyz", children)
        for each in floors:
            wait_until_ready(f"http://127.0.0.1:{each}/", children)
        yield House(
            webs=(Served(port, pids["serve"]), Served(second, pids["serve-2"])), worker_pid=pids["worker"],
            floors=(Served(floors[0], pids["floor"]), Served(floors[1], pids["floor-2"])), database=database,
            secrets=secrets, api_key=made.api_key,
        )  # fmt: skip
