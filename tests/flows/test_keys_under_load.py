"""Keys rotate and licenses are revoked while servers ask: nobody is refused wrongly, no worker is late (R-LIC-4, 6)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from threading import Event
from time import monotonic, sleep

import httpx
import pytest

from app.adapters.sandbox.clock import set_to
from app.core import embedded_postgres, keys
from app.core.keys import KeyPurpose
from app.flows import key_life
from app.licenses import service as licenses
from app.main import create_app
from tests import shop
from tests.serving import served
from tests.world import FULL, World, full

PATH = "/v1/licenses/validate"
THREADS = 4
ROTATIONS = 3
Tell = Callable[[str], None]


def bought(world: World) -> tuple[str, str]:
    """The id of a license and its file."""
    order = shop.buy(world)
    with world.db.transaction() as tx:
        found = licenses.of_order(tx, order.id)
        assert found is not None
        return found.id, found.file_text


@contextmanager
def web_process(world: World) -> Iterator[str]:
    """`blp serve` on the world's database, as an operator starts it."""
    port = embedded_postgres.free_port()
    settings = {
        "BLP_DATABASE_URL": world.db.engine.url.render_as_string(hide_password=False), "BLP_ENV": "test",
        "BLP_PORT": str(port), "BLP_BASE_URL": f"http://127.0.0.1:{port}", "BLP_VALIDATE_BURST": "0",
        "BLP_VALIDATE_KEY_BURST": "0",
    }  # fmt: skip
    command = [sys.executable, "-m", "app.cli", "serve"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)  # noqa: S603 -- ourselves
    try:
        url, give_up = settings["BLP_BASE_URL"], monotonic() + 60
        while not _answers(f"{url}/healthz"):
            assert process.poll() is None, "it ended"
            assert monotonic() < give_up, "it did not start"
            sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Says past pytest's capture what was measured."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {line}\n")

    return say


@pytest.fixture
def workers(world: World) -> Iterator[list[str]]:
    """Two web processes on the world's database: real ones in `make test-full`, else two apps on loops of their own."""
    with ExitStack() as stack:
        if FULL:
            yield [stack.enter_context(web_process(world)) for _ in range(2)]
        else:
            settings = world.settings.model_copy(update={"validate_burst": 0, "validate_key_burst": 0})
            yield [stack.enter_context(served(create_app(settings, world.wired))) for _ in range(2)]


def ask(client: httpx.Client, url: str, file: str, nonce: str) -> tuple[int, str]:
    answer = client.post(url + PATH, json={"license": file, "nonce": nonce})
    return answer.status_code, str(answer.json().get("code"))


def test_no_validation_fails_while_keys_rotate(world: World, workers: list[str], tell: Tell) -> None:
    """Files of every age are shown all the time, with and without a nonce, while license and answer keys rotate."""
    _, first = bought(world)
    files, stop = [first], Event()
    said: list[tuple[int, str]] = []

    def show(number: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            asked = 0
            while not stop.is_set() or asked < full(40_000) // THREADS:
                asked += 1
                said.append(ask(client, workers[asked % 2], files[asked % len(files)], f"{number}-{asked}"))

    with ThreadPoolExecutor(THREADS) as pool:
        shown = [pool.submit(show, number) for number in range(THREADS)]
        for turn in range(ROTATIONS):
            with world.db.transaction() as tx:
                now = world.ports.clock.now()
                made = [
                    keys.rotate(tx, world.ports.secrets, purpose, by="test", now=now).kid
                    for purpose in (KeyPurpose.LICENSE_FILE, KeyPurpose.EVIDENCE)
                ]
            set_to(world.db, now + timedelta(hours=49))
            with world.db.transaction() as tx:
                now = world.ports.clock.now()
                assert [
                    keys.signing_kid(tx, each, now) for each in (KeyPurpose.LICENSE_FILE, KeyPurpose.EVIDENCE)
                ] == made
            order = shop.purchased(world, "4242 4242 4242 4242", email=f"{turn}@example.de")
            with world.db.transaction() as tx:
                license_ = licenses.of_order(tx, order)
                assert license_ is not None
                assert license_.kid == made[0]
            files.append(license_.file_text)
        stop.set()
        for each in shown:
            each.result(timeout=120)
    failed = [each for each in said if each != (200, "valid")]
    tell(f"{len(said):,} validations on 2 workers during {2 * ROTATIONS} rotations: {len(failed)} failed")
    assert failed == []


def test_checks_are_counted_by_key_and_written_later(world: World) -> None:
    _, file = bought(world)
    settings = world.settings.model_copy(update={"validate_burst": 0})
    with served(create_app(settings, world.wired)) as url, httpx.Client(trust_env=False) as client:
        for number in range(7):
            ask(client, url, file, f"{number}")
            ask_cached(client, url, file)
    # The process ended, so that what it counted is written.
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        found = {each.key.purpose: each.checks for each in key_life.figures(tx, now) if each.checks}
    assert found == {KeyPurpose.LICENSE_FILE: 14}


def test_a_revocation_is_seen_by_every_worker_within_a_second(world: World, workers: list[str], tell: Tell) -> None:
    license_id, file = bought(world)
    slowest = 0.0
    with httpx.Client(trust_env=False, timeout=30) as client:
        for url in workers * 3:
            assert ask_cached(client, url, file) == "valid"
        with world.db.transaction() as tx:
            licenses.revoke(tx, license_id, reason="test", by="test", now=world.ports.clock.now())
        began = monotonic()
        waiting = set(workers)
        while waiting:
            waiting -= {url for url in waiting if ask_cached(client, url, file) == "revoked"}
            slowest = monotonic() - began
            assert slowest < 1, "not within the documented time"
    tell(f"a revocation was seen by {len(workers)} workers after {slowest * 1000:.0f} ms")


def ask_cached(client: httpx.Client, url: str, file: str) -> str:
    return str(client.post(url + PATH, json={"license": file}).json()["code"])
