"""The world a test lives in: real PostgreSQL, the real web server on a loopback port, the real queue.

One server and one migrated template database per test process; every test that asks for `world` gets a
database of its own cloned from the template, so it may commit, race and advance the clock as it likes.
"""

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import uvicorn
from pytest_socket import enable_socket, socket_allow_hosts

from app.config import Settings
from app.core import embedded_postgres, migrate
from app.core.db import Database
from app.core.embedded_postgres import Cluster
from app.core.security import Secrets
from app.main import create_app
from app.wiring import DEVELOPMENT_SECRET, wire
from app.worker import run as _worker  # noqa: F401 -- registers every job
from tests.shop import open_shop
from tests.world import World

_TEMPLATE = "blp_template"
_counter = itertools.count()


def pytest_configure() -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)


@pytest.fixture(autouse=True)
def _only_loopback() -> None:
    """Sockets are open to this machine only."""
    enable_socket()
    socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with embedded_postgres.throwaway() as running:
        embedded_postgres.create_database(running, _TEMPLATE)
        database = Database(running.url(_TEMPLATE), pool_size=1)
        migrate.upgrade(database)
        open_shop(database, Secrets(DEVELOPMENT_SECRET))
        database.dispose()
        yield running


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test process keeps its own."""


@pytest.fixture
def world(cluster: Cluster) -> Iterator[World]:
    name = f"blp_{os.getpid()}_{next(_counter)}"
    embedded_postgres.create_database(cluster, name, template=_TEMPLATE)
    port = embedded_postgres.free_port()
    settings = Settings(
        env="test",
        base_url=f"http://127.0.0.1:{port}",
        port=port,
        pool_size=24,
        _env_file=None,  # type: ignore[call-arg]
    )
    wired = wire(settings, cluster.url(name))
    server = _Server(
        uvicorn.Config(create_app(settings, wired), host="127.0.0.1", port=port, log_config=None, ws="none")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    give_up = monotonic() + 20
    while not server.started:
        if monotonic() > give_up or not thread.is_alive():
            pytest.fail("the web server did not start")
        sleep(0.005)
    running = World(settings, wired, settings.base_url)
    yield running
    running.close()
    server.should_exit = True
    thread.join(timeout=20)
    wired.ports.db.dispose()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots and documents of a run are kept."""
    folder = Path(__file__).resolve().parents[1] / ".blp" / "test-artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
