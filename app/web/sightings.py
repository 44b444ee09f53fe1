"""When servers were last seen: noted in memory while validation answers, written some seconds later.

At most one write a minute for each activation and process, none in a request, and none for a row that somebody else
holds just then: the next sighting will do.
"""

from datetime import datetime
from time import monotonic
from typing import Any, Final, LiteralString

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app.core.clock import transport_now
from app.web.later_writes import LaterWrites

log = structlog.get_logger()

_SPARED_SECONDS: Final = 60.0
_MOST: Final = 20_000
_WRITE: Final[LiteralString] = (
    "WITH seen AS (SELECT * FROM unnest(%s::text[], %s::timestamptz[]) AS seen(id, at)), free AS ("
    " SELECT activation.id, seen.at FROM license_activation AS activation JOIN seen USING (id)"
    " WHERE state = 'active' AND last_seen_at < seen.at FOR UPDATE OF activation SKIP LOCKED)"
    " UPDATE license_activation AS activation SET last_seen_at = free.at FROM free WHERE activation.id = free.id"
)


class Sightings(LaterWrites):
    """What this process saw. Lives on one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, datetime] = {}
        self._written: dict[str, float] = {}

    def note(self, activation_id: str) -> None:
        """Remember that this server was here; nothing for the empty id."""
        if not activation_id or activation_id in self._seen or len(self._seen) >= _MOST:
            return
        if monotonic() - self._written.get(activation_id, float("-inf")) >= _SPARED_SECONDS:
            self._seen[activation_id] = transport_now()

    async def flush(self, pool: AsyncConnectionPool[Any]) -> None:
        """Write what was noted. A database that is away costs the sightings, and nothing else."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        now = monotonic()
        self._written = {id_: at for id_, at in self._written.items() if now - at < _SPARED_SECONDS}
        self._written.update(dict.fromkeys(seen, now))
        try:
            async with pool.connection() as connection:
                await connection.execute(_WRITE, (list(seen), list(seen.values())))
        except (psycopg.Error, PoolTimeout, OSError) as exc:
            log.warning("sightings.lost", why=type(exc).__name__, count=len(seen))
