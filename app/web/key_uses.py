"""How often files of each signing key were checked: counted in memory while validation answers, written seconds later.

Nothing is written in a request. A key is retired by these counts (S27), so that what is lost with a process is seconds.
"""

from collections import Counter
from typing import Any, Final, LiteralString

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app.core.clock import transport_now
from app.web.later_writes import LaterWrites

log = structlog.get_logger()

_WRITE: Final[LiteralString] = (
    "INSERT INTO signing_key_use (kid, used_on, count)"
    " SELECT kid, %s, count FROM unnest(%s::text[], %s::bigint[]) AS used(kid, count) ORDER BY kid"
    " ON CONFLICT (kid, used_on) DO UPDATE SET count = signing_key_use.count + excluded.count"
)


class KeyUses(LaterWrites):
    """What this process counted. Lives on one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._counted: Counter[str] = Counter()

    def note(self, kid: str) -> None:
        """A file of this key was checked; nothing for the empty kid."""
        if kid:
            self._counted[kid] += 1

    async def flush(self, pool: AsyncConnectionPool[Any]) -> None:
        """Write what was counted. A database that is away does not lose it: it is written the next time."""
        if not self._counted:
            return
        counted, self._counted = self._counted, Counter()
        try:
            async with pool.connection() as connection:
                await connection.execute(_WRITE, (transport_now().date(), list(counted), list(counted.values())))
        except (psycopg.Error, PoolTimeout, OSError) as exc:
            self._counted.update(counted)
            log.warning("key_uses.not_written", why=type(exc).__name__, count=counted.total())
