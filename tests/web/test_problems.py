"""What goes wrong is told as a problem with a remedy; a collision in the database is no bug of anybody."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.web import problems
from tests.serving import served
from tests.world import World


@pytest.fixture
def colliding(world: World) -> FastAPI:
    """Two transactions that lock two rows in opposite order, the second of them behind a door."""
    app = FastAPI()
    problems.install(app)

    @app.post("/v1/second")
    def second() -> None:
        with world.db.transaction() as other, world.db.transaction() as mine:
            other.execute(text("SELECT pg_advisory_xact_lock(1)"))
            mine.execute(text("SELECT pg_advisory_xact_lock(2)"))
            mine.execute(text("DO $$ BEGIN RAISE deadlock_detected; END $$"))

    @app.post("/v1/broken")
    def broken() -> None:
        with world.db.transaction() as tx:
            tx.execute(text("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$"))

    return app


def test_a_deadlock_is_answered_with_try_again(colliding: FastAPI) -> None:
    with served(colliding) as url:
        answer = httpx.post(f"{url}/v1/second", trust_env=False)
        other = httpx.post(f"{url}/v1/broken", trust_env=False)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "collided", "5")
    assert "nothing of yours was done" in answer.json()["detail"]
    assert (other.status_code, other.json()["code"]) == (500, "internal")
