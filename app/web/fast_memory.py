"""What the fast lane remembers, and how it learns that it has to forget (ADR 0002).

Triggers tell the channel `blp_fast` of every change to a license, its servers, a key or the sandbox's clock. What is
remembered is used only while the listening connection proves, at least once a second, that it hears; otherwise every
answer is read from the database. So a revocation shows within a second, and usually within milliseconds.
"""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from app.core import keys
from app.core.clock import StoredClock, transport_now
from app.core.signing import Signer
from app.flows.ports import Ports
from app.licenses import resolving
from app.licenses.records import Record
from app.licenses.validating import Opened, Presented, open_credential
from app.web.api import validation
from app.web.key_uses import KeyUses
from app.web.record_reader import RecordReader
from app.web.sightings import Sightings
from app.web.waiters import Waiters

log = structlog.get_logger()

CHANNEL: Final = "blp_fast"
_TRUST_SECONDS: Final = 1.0
_BEAT_SECONDS: Final = 0.4
_PATIENCE_SECONDS: Final = 0.5
# Of these nothing is remembered; somebody may wait for them.
_FOR_WAITERS: Final = frozenset({"workspace", "subscription"})
_MOST_RECORDS: Final = 20_000
_OPTIONS: Final = {"autocommit": True, "options": "-c timezone=UTC", "row_factory": dict_row}


class _Absent:
    """Stands for "not remembered", which is not "there is none"."""


_ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Trust:
    """What signatures are checked and made with."""

    minute: int
    file_keys: list[RSAPublicKey]
    signer: Signer
    _opened: dict[bytes, Opened] = field(default_factory=dict)

    def open(self, presented: Presented) -> Opened:
        """As `validating.open_credential`; a file that was genuine a moment ago is so for these very keys."""
        if presented.license is None:
            return open_credential(presented, self.file_keys)
        digest = hashlib.sha256(presented.license.encode()).digest()
        known = self._opened.get(digest)
        if known is None:
            known = open_credential(presented, self.file_keys)
            if known.refused is None and len(self._opened) < _MOST_RECORDS:
                self._opened[digest] = known
        return known


class Memory:
    """Licenses, keys and the clock's offset, as last read and not changed since. Lives on one event loop."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._pool: AsyncConnectionPool[Any] | None = None
        self._reader: RecordReader | None = None
        self._ear: asyncio.Task[None] | None = None
        self._heard_at = float("-inf")
        self._records: dict[str, Record | None] = {}
        self._offset: timedelta | None = None
        self._trust: Trust | None = None
        # Counts what was forgotten: a read that overlaps a change must not be remembered.
        self._changes = 0
        # Counts what makes any answer old: keys, the clock, a new listener.
        self.generation = 0
        self.sightings = Sightings()
        self.waiters = Waiters()
        self.key_uses = KeyUses()

    async def start(self) -> None:
        """Begin to listen. The database may be down: until it is heard, nothing is remembered."""
        conninfo = self._ports.db.conninfo
        self._pool = AsyncConnectionPool(
            conninfo, min_size=1, max_size=4, open=False, timeout=3, kwargs=_OPTIONS, name="fast-lane"
        )
        await self._pool.open(wait=False)
        self._reader = RecordReader(self._pool)
        self._ear = asyncio.create_task(self._listen(conninfo), name="fast-lane-ear")
        self.sightings.start(self._pool)
        self.key_uses.start(self._pool)

    async def stop(self) -> None:
        self.waiters.tell_all()
        if self._ear is not None:
            self._ear.cancel()
            with suppress(asyncio.CancelledError):
                await self._ear
        if self._pool is not None:
            await self.sightings.stop(self._pool)
            await self.key_uses.stop(self._pool)
            await self._pool.close(timeout=2)
        self._ear = self._pool = self._reader = None

    @property
    def running(self) -> bool:
        return self._pool is not None

    @property
    def hears(self) -> bool:
        """Whether what is remembered may be used."""
        return monotonic() - self._heard_at < _TRUST_SECONDS

    def still(self, file_id: str, record: Record | None) -> bool:
        """Whether this very record is what is remembered under the id."""
        return self._records.get(file_id, _ABSENT) is record

    async def record(self, file_id: str, *, anew: bool = False) -> Record | None:
        """The license with this id in its file, None if there is none; `anew` whatever is remembered."""
        if self.hears and not anew:
            known = self._records.get(file_id, _ABSENT)
            if not isinstance(known, _Absent):
                return known
        heard, changes = self.hears, self._changes
        found = await self._read(file_id)
        if heard and self.hears and changes == self._changes:
            if len(self._records) >= _MOST_RECORDS:
                self._records.pop(next(iter(self._records)))
            self._records[file_id] = found
        return found

    async def _read(self, file_id: str) -> Record | None:
        if self._reader is None:
            raise RuntimeError("the fast lane is closed")
        return await self._reader.read(file_id)

    async def now(self) -> datetime:
        """Business time; a sandbox's offset is remembered like everything else."""
        clock = self._ports.clock
        if not isinstance(clock, StoredClock):
            return clock.now()
        offset = self._offset if self.hears else None
        if offset is None:
            heard, changes = self.hears, self._changes
            offset = await asyncio.to_thread(clock.offset)
            if heard and self.hears and changes == self._changes:
                self._offset = offset
        return transport_now() + offset

    async def trust(self, now: datetime) -> Trust:
        """The keys that count now, looked at anew every minute. Raises NoSigningKey."""
        minute = int(now.timestamp()) // 60
        if self.hears and self._trust is not None and self._trust.minute == minute:
            return self._trust
        heard, changes = self.hears, self._changes
        found = await asyncio.to_thread(self._read_trust, minute, now)
        if heard and self.hears and changes == self._changes:
            self._trust = found
        return found

    async def open_rendering(self, presented: Presented) -> Opened | None:
        """A Keygen file or token looked up in the log of signatures each time; None for anything else."""
        if not resolving.is_rendering(presented.license):
            return None
        return await asyncio.to_thread(self._open_rendering, presented)

    def _open_rendering(self, presented: Presented) -> Opened:
        with self._ports.db.session() as tx:
            return validation.open_shown(tx, presented)

    def _read_trust(self, minute: int, now: datetime) -> Trust:
        with self._ports.db.session() as tx:
            return Trust(minute, validation.file_keys(tx), keys.evidence_signer(tx, self._ports.secrets, now))

    def _forget(self) -> None:
        self._records.clear()
        self._offset = self._trust = None
        self._changes += 1
        self.generation += 1
        self.waiters.tell_all()

    def _told(self, about: str) -> None:
        kind, _, name = about.partition(":")
        if kind == "license":
            self._records.pop(name, None)
            self._changes += 1
        elif kind in _FOR_WAITERS:
            self.waiters.tell(about)
        else:
            self._forget()

    async def _listen(self, conninfo: str) -> None:
        wait = 0.1
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    conninfo, autocommit=True, connect_timeout=3, application_name="blp-fast-lane"
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._forget()  # nobody watched what was remembered before
                    wait = 0.1
                    while True:
                        await self._hear(connection)
            except (psycopg.Error, OSError, TimeoutError) as exc:
                self._heard_at = float("-inf")
                self._forget()
                log.warning("fast_lane.deaf", why=type(exc).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """One beat. Whatever was committed before the question is heard before its answer counts."""
        asked_at = monotonic()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await connection.execute("SELECT 1")
        async for notice in connection.notifies(timeout=0):
            self._told(notice.payload)
        self._heard_at = asked_at
        async for notice in connection.notifies(timeout=_BEAT_SECONDS):
            self._told(notice.payload)
