"""What a request may not write: kept in memory while requests are answered, written some seconds later."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

_WRITE_SECONDS: Final = 5.0


class LaterWrites(ABC):
    """What one process keeps to be written. Lives on one event loop."""

    def __init__(self) -> None:
        self._writer: asyncio.Task[None] | None = None

    def start(self, pool: AsyncConnectionPool[Any]) -> None:
        self._writer = asyncio.create_task(self._run(pool), name=type(self).__name__)

    async def stop(self, pool: AsyncConnectionPool[Any]) -> None:
        """Write what was kept, and keep no more."""
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
            await self.flush(pool)

    @abstractmethod
    async def flush(self, pool: AsyncConnectionPool[Any]) -> None:
        """Write what was kept. Never raises for a database that is away."""

    async def _run(self, pool: AsyncConnectionPool[Any]) -> None:
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            await self.flush(pool)
