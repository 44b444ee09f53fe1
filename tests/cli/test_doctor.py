"""`blp doctor`: what is wrong with an installation, and what to do about it."""

from collections.abc import Callable
from subprocess import CompletedProcess

from fastapi import FastAPI
from sqlalchemy import text

from tests.serving import served
from tests.world import World

Blp = Callable[..., CompletedProcess[str]]


def test_a_well_installation_is_told_so_with_where_its_links_lead(world: World, blp_process: Blp) -> None:
    found = blp_process("doctor", BLP_BASE_URL=world.url)
    assert (found.returncode, found.stderr) == (0, "")
    assert f"Links begin with {world.url}, and BLP answers there" in found.stdout


def test_links_that_lead_nowhere_are_told_without_failing_an_installation_not_yet_started(blp: Blp) -> None:
    found = blp("doctor", BLP_BASE_URL="http://127.0.0.1:1")
    assert found.returncode == 0
    assert "? http://127.0.0.1:1/healthz does not answer from here (ConnectError)." in found.stderr
    assert "the same for web and worker" in found.stderr
    assert "Traceback" not in found.stderr


def test_links_that_lead_to_something_else_are_told(blp: Blp) -> None:
    with served(FastAPI()) as somebody_else:
        found = blp("doctor", BLP_BASE_URL=somebody_else)
    assert (found.returncode, "answers 404, but not as BLP does" in found.stderr) == (0, True)


def test_a_missing_key_is_a_fault(world: World, blp: Blp) -> None:
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE signing_key SET revoked_at = now() WHERE purpose = 'evidence'"))
    found = blp("doctor", BLP_BASE_URL=world.url)
    assert (found.returncode, "run `blp keys create evidence`" in found.stderr) == (1, True)
