"""What the console knows about jobs."""

import pytest

from app.core import job_watch, jobs
from app.core.errors import NotFound, Unavailable
from app.flows.ports import Ports
from tests.world import World

ADDRESS = "ada@example.de"
ROW = "DETAIL: Key (name)=(secret) exists."


class _Switch:
    """Whether the job of these tests works."""

    broken = True


@jobs.job("tests.fragile", retry=jobs.Retry(attempts=1))
def fragile(_ports: Ports, *, order_id: str) -> None:
    if _Switch.broken:
        raise Unavailable(f"No answer about {order_id} for {ADDRESS}.\n{ROW}")


@jobs.job("tests.nightly", every="0 3 * * *", retry=jobs.Retry(attempts=1))
def nightly(_ports: Ports) -> None:
    """A job that repeats."""


@pytest.fixture(autouse=True)
def _broken() -> None:
    _Switch.broken = True


def fail_once(world: World, *, once: str | None = None) -> job_watch.Failed:
    with world.db.transaction() as tx:
        jobs.defer(tx, fragile, order_id="ord_1", once=once)
    world.work()
    with world.db.transaction() as tx:
        return job_watch.failed(tx)[0]


def test_a_failure_says_what_and_where_but_keeps_no_address(world: World) -> None:
    found = fail_once(world)
    assert (found.name, found.arguments, found.attempts) == ("tests.fragile", {"order_id": "ord_1"}, 1)
    assert found.error == "Unavailable: No answer about ord_1 for (address)"
    assert "test_job_watch.py" in found.trace
    assert ADDRESS not in found.trace + found.error
    assert "secret" not in found.error


def test_a_failed_job_runs_again_when_retried_and_only_then(world: World) -> None:
    found = fail_once(world)
    _Switch.broken = False
    world.work()
    assert jobs.waiting(world.db).failed == 1
    with world.db.transaction() as tx:
        assert job_watch.retry(tx, found.job_id) == "tests.fragile"
        assert [(each.name, each.waiting) for each in job_watch.depths(tx)] == [("tests.fragile", 1)]
    world.work()
    with world.db.transaction() as tx:
        assert job_watch.failed(tx) == []
        with pytest.raises(NotFound):
            job_watch.retry(tx, found.job_id)


def test_a_retry_gives_way_to_an_equal_job_that_waits(world: World) -> None:
    found = fail_once(world, once="the-same")
    with world.db.transaction() as tx:
        jobs.defer(tx, fragile, order_id="ord_1", once="the-same")
        with pytest.raises(job_watch.SameJobWaits):
            job_watch.retry(tx, found.job_id)
    with world.db.transaction() as tx:
        assert [(each.waiting, each.failed) for each in job_watch.depths(tx)] == [(1, 1)]


def test_a_repeating_job_leaves_its_last_good_run(world: World) -> None:
    with world.db.transaction() as tx:
        jobs.defer(tx, nightly)
    world.work()
    with world.db.transaction() as tx:
        assert "tests.nightly" in job_watch.last_good_runs(tx)
        assert "tests.fragile" not in job_watch.last_good_runs(tx)
