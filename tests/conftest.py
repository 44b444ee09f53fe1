"""The world a test lives in: real PostgreSQL, the real web server on a loopback port, the real queue.

One server and one migrated template database per test process; every test that asks for `world` gets a new
clone of the template, so it may commit, race and advance the clock as it likes.
"""

import gc
import logging
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from playwright.sync_api import Browser, Error, sync_playwright
from playwright.sync_api import Page as Tab
from pytest_socket import enable_socket, socket_allow_hosts

from app.adapters.sandbox import clock
from app.adapters.stripe import transport
from app.config import Settings
from app.core import embedded_postgres, migrate
from app.core.clock import transport_now
from app.core.db import Database
from app.core.embedded_postgres import Cluster
from app.core.security import Secrets
from app.main import create_app
from app.wiring import DEVELOPMENT_SECRET, wire
from app.worker import run as _worker  # noqa: F401 -- registers every job
from tests.past import Past
from tests.serving import Stage
from tests.shop import open_shop
from tests.slate import Slate
from tests.world import Hands, World

_TEMPLATE = "blp_template"
_WORLD = "blp"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


def pytest_configure() -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    gc.disable()
    # As it is by default, but for the tracebacks: drawn in frames and colours they took a twentieth of a run.
    structlog.configure(processors=[
        structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"), structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ])  # fmt: skip


def pytest_collection_finish() -> None:
    """What was imported never dies; looking through it again and again took an eighth of a run."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _short_pauses() -> Iterator[None]:
    """Nobody is spared by waiting half a second before a fake is asked again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transport, "_FIRST_PAUSE_SECONDS", 0.01)
        yield


@pytest.fixture(autouse=True)
def _only_loopback() -> None:
    """Sockets are open to this machine only."""
    enable_socket()
    socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)


def _beginning() -> datetime:
    """When every world begins: the next 10:00 UTC, an hour at which it is the same day in nearly every time zone.

    `BLP_TEST_BEGINS`, an instant to come such as 2028-02-29T23:30:00Z, lets them begin at an awkward one.
    """
    if told := os.environ.get("BLP_TEST_BEGINS"):
        return datetime.fromisoformat(told)
    now = transport_now()
    today = now.replace(hour=10, minute=0, second=0, microsecond=0)
    return today if now <= today else today + timedelta(days=1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with embedded_postgres.throwaway() as running:
        embedded_postgres.create_database(running, _TEMPLATE)
        database = Database(running.url(_TEMPLATE), pool_size=1)
        migrate.upgrade(database)
        open_shop(database, Secrets(DEVELOPMENT_SECRET))
        clock.set_to(database, _beginning())
        database.dispose()
        yield running


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    opened = Stage()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> Database:
    """One for all tests of the process, whose content each `world` begins anew: its compiled statements are kept."""
    return Database(cluster.url(_WORLD), pool_size=24)


@pytest.fixture(scope="session")
def past(cluster: Cluster, database: Database) -> Iterator[Past]:
    slate = Slate(cluster, _WORLD, _TEMPLATE)
    slate.anew()
    yield Past(slate, database, _WORLD)
    slate.rest()
    database.dispose()


@pytest.fixture(scope="session")
def hands() -> Iterator[Hands]:
    lent = Hands()
    yield lent
    lent.close()


@pytest.fixture(scope="session")
def configured(stage: Stage) -> Settings:
    return Settings(
        env="test",
        base_url=stage.url,
        port=stage.port,
        pool_size=24,
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings takes it, its plugin does not say so
    )


@pytest.fixture
def world(past: Past, database: Database, stage: Stage, hands: Hands, configured: Settings) -> Iterator[World]:
    past.begin()
    wired = wire(configured, database)
    with stage.showing(lambda: create_app(configured, wired)):
        running = World(configured, wired, configured.base_url, past, hands)
        yield running
        running.close()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots and documents of a run are kept."""
    folder = Path(__file__).resolve().parents[1] / ".blp" / "test-artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed after each file: while it is open, its event loop keeps the test's thread from running another."""
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
