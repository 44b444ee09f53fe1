"""Reads licenses for the fast lane: questions that come while one is being answered are asked together afterwards.

Under load one query answers many requests, and never is more than one under way in a process.
"""

import asyncio
from typing import Any, Final, LiteralString

from psycopg_pool import AsyncConnectionPool

from app.licenses.records import Record, find_records

_MOST_AT_ONCE: Final = 500
_PATIENCE_SECONDS: Final = 3.0
_FIND: Final[LiteralString] = find_records("%s")


class RecordReader:
    """Lives on one event loop. A record is read after it was asked for, never before."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._waiting: list[tuple[str, asyncio.Future[Record | None]]] = []
        self._flight: asyncio.Task[None] | None = None

    async def read(self, file_id: str) -> Record | None:
        """The license with this id in its file, None if there is none.

        Raises what the database raises, and TimeoutError where it says nothing.
        """
        answer: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((file_id, answer))
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        return await answer

    async def _fly(self) -> None:
        try:
            while self._waiting:
                await self._answer()
        finally:
            self._flight = None  # in the same step as the last look, so that nobody waits for a flight that is over

    async def _answer(self) -> None:
        """Ask for all who wait, and for those who come meanwhile; what fails, fails for all who were asked for."""
        asked: list[tuple[str, asyncio.Future[Record | None]]] = []
        try:
            async with self._pool.connection() as connection, connection.cursor() as cursor:
                while self._waiting:
                    asked, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                    ids = [file_id for file_id, _ in asked]
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await cursor.execute(_FIND, (ids, ids))
                        found = {row["file_id"]: Record.of(row) for row in await cursor.fetchall()}
                    for file_id, answer in asked:
                        if not answer.done():  # whoever asked may have been stopped meanwhile
                            answer.set_result(found.get(file_id))
        except BaseException as exc:
            if not asked:
                asked, self._waiting = self._waiting, []
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(exc)
            if not isinstance(exc, Exception):
                raise
