"""The world a test lives in: real PostgreSQL, the real web server on a loopback port, the real queue.

One server and one migrated template database per test process; every test that asks for `world` gets a
database of its own cloned from the template, so it may commit, race and advance the clock as it likes.
"""

import asyncio
import itertools
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import uvicorn
from playwright.sync_api import Browser, Error, sync_playwright
from playwright.sync_api import Page as Tab
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
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        except Error as missing:
            if os.environ.get("BLP_REQUIRE_BROWSER") == "1":
                raise
            pytest.skip(f"NOT RUN, no Chromium: {missing.message.splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A page on which anything the policy refuses, and any error of a script, fails the test."""
    context = browser.new_context()
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    yield opened
    context.close()
    assert complaints == []
