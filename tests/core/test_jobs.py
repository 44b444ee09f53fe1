"""The queue: what is on it, and for how long."""

from typing import Final

import pytest
from sqlalchemy import text

from app.core import jobs
from app.core.errors import Unavailable
from app.flows import schedule
from app.flows.ports import Ports
from tests.world import World

_SEEN: Final[list[str]] = []


@jobs.job("tests.noted", retry=jobs.Retry(attempts=2, first=3600))
def noted(_ports: Ports, *, word: str) -> None:
    _SEEN.append(word)
    if word == "wrong":
        raise ValueError(word)


class Away(Unavailable):
    """A provider that says when to come back."""


@jobs.job("tests.told_to_wait", retry=jobs.Retry(attempts=2, first=1))
def told_to_wait(_ports: Ports) -> None:
    raise Away("later", retry_after=900)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    _SEEN.clear()


def put(world: World, word: str, *, once: str | None = None) -> None:
    with world.db.transaction() as tx:
        jobs.defer(tx, noted, once=once, word=word)


def run_now(world: World, job: jobs.Job) -> None:
    """Not in this thread, in which a browser's event loop may be running."""
    with world.db.transaction() as tx:
        jobs.defer(tx, job)
    world.work()


def states(world: World) -> list[str]:
    query = text("SELECT status::text FROM procrastinate_jobs WHERE task_name = 'tests.noted' ORDER BY id")
    with world.db.reading() as connection:
        return list(connection.execute(query).scalars())


def test_a_job_exists_exactly_if_its_transaction_commits(world: World) -> None:
    with world.db.transaction() as tx:
        jobs.defer(tx, noted, word="lost")
        tx.rollback()
    put(world, "kept")
    world.work()
    assert _SEEN == ["kept"]


def test_a_job_asked_for_once_waits_once_and_the_second_asker_goes_on(world: World) -> None:
    put(world, "first", once="same")
    with world.db.transaction() as tx:
        jobs.defer(tx, noted, once="same", word="second")
        jobs.defer(tx, noted, word="third")
    world.work()
    assert _SEEN == ["first", "third"]


def test_a_job_whose_worker_died_is_done_by_another(world: World) -> None:
    put(world, "orphan")
    with world.db.transaction() as tx:
        dead = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
        worker = tx.execute(text(dead)).scalar_one()
        took = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker WHERE task_name = 'tests.noted'"
        tx.execute(text(took), {"worker": worker})
    run_now(world, schedule.retry_stalled)
    assert (_SEEN, states(world)) == (["orphan"], ["succeeded"])


def test_jobs_that_ended_well_are_forgotten_after_a_week_and_others_are_not(world: World) -> None:
    for word in ("old", "wrong", "new"):
        put(world, word)
    world.work()
    with world.db.transaction() as tx:
        aged = (
            "UPDATE procrastinate_events SET at = at - interval '8 days' WHERE job_id IN"
            " (SELECT id FROM procrastinate_jobs WHERE args->>'word' IN ('old', 'wrong'))"
        )
        tx.execute(text(aged))
    run_now(world, schedule.forget_old)
    assert states(world) == ["todo", "succeeded"]


def test_whoever_refuses_a_job_says_when_it_is_tried_again(world: World) -> None:
    with world.db.transaction() as tx:
        jobs.defer(tx, told_to_wait)
    world.work()
    query = text(
        "SELECT extract(epoch FROM scheduled_at - now()) FROM procrastinate_jobs WHERE task_name = 'tests.told_to_wait'"
    )
    with world.db.reading() as connection:
        assert 800 < connection.execute(query).scalar_one() <= 900
