"""Questions that come together are asked together, and each gets its own answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import select

from app.licenses.models import License
from app.licenses.records import Record
from app.web.record_reader import RecordReader
from tests import shop
from tests.world import World

T = TypeVar("T")


def reading(conninfo: str, do: Callable[[AsyncConnectionPool[Any], RecordReader], Awaitable[T]]) -> T:
    async def run() -> T:
        kwargs = {"autocommit": True, "row_factory": dict_row}
        async with AsyncConnectionPool(conninfo, min_size=1, max_size=4, timeout=0.5, kwargs=kwargs) as pool:
            return await do(pool, RecordReader(pool))

    return asyncio.run(run())


def test_a_hundred_questions_cost_a_few_queries(world: World) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        licenses = {each.file_id: each.id for each in tx.execute(select(License)).scalars()}
    asked = [*licenses, *(f"unknown{number}" for number in range(50))] * 2

    async def at_once(pool: AsyncConnectionPool[Any], reader: RecordReader) -> list[Record | None]:
        answers = await asyncio.gather(*(reader.read(each) for each in asked))
        assert pool.get_stats()["requests_num"] <= 2
        one_by_one = [await reader.read(each) for each in asked[:3]]
        assert one_by_one == answers[:3]
        return answers

    found = reading(world.db.conninfo, at_once)
    assert [each.id if each else None for each in found] == [licenses.get(each) for each in asked]


def test_whoever_hangs_up_takes_nobody_along(world: World) -> None:
    async def one_goes(_pool: AsyncConnectionPool[Any], reader: RecordReader) -> None:
        leaving, staying = (asyncio.create_task(reader.read("unknown")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await asyncio.wait_for(staying, 5) is None

    reading(world.db.conninfo, one_goes)


def test_a_database_that_is_away_is_told_to_all_who_wait_and_to_none_who_come_later(world: World) -> None:
    async def away(pool: AsyncConnectionPool[Any], reader: RecordReader) -> None:
        held = [await pool.getconn() for _ in range(4)]
        answers = await asyncio.gather(*(reader.read("unknown") for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in answers] == [PoolTimeout] * 5
        for each in held:
            await pool.putconn(each)
        assert await reader.read("unknown") is None

    reading(world.db.conninfo, away)


def test_more_than_one_query_may_carry_are_all_answered(world: World) -> None:
    async def many(_pool: AsyncConnectionPool[Any], reader: RecordReader) -> int:
        return len(await asyncio.gather(*(reader.read(f"unknown{number}") for number in range(1_001))))

    assert reading(world.db.conninfo, many) == 1_001
