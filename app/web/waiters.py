"""Askers that wait for a change, without a connection to the database and without asking again (ADR 0059).

They live on the event loop of the web process and are woken by what the fast lane's listening connection hears.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from app.core.errors import DomainError

MOST: Final = 1000  # in one process: each costs a few kilobytes and an open socket
MOST_EACH: Final = 20  # of one API key: a product's workspaces ask with one each, its staff with few


class TooManyWaiters(DomainError):
    """Ask without `wait`, or again after `retry_after` seconds."""

    status, slug, title = HTTPStatus.TOO_MANY_REQUESTS, "too-many-waiters", "Too many are waiting already"


class Waiters:
    """Who waits for what: `kind:id` as the triggers tell it."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of.total()

    @contextmanager
    def waiting(self, who: str, about: Collection[str]) -> Iterator[asyncio.Event]:
        """An event that is set by the next change of any of `about`. Raises TooManyWaiters."""
        if len(self) >= MOST or self._of[who] >= MOST_EACH:
            raise TooManyWaiters(
                f"At most {MOST_EACH} requests of one key may wait; leave out `wait`, or ask later.", param="wait",
                retry_after=5,
            )  # fmt: skip
        woken = asyncio.Event()
        self._of[who] += 1
        for each in about:
            self._waiting.setdefault(each, set()).add(woken)
        try:
            yield woken
        finally:
            self._of[who] -= 1
            self._of += Counter()  # drops those of whom nobody waits any more
            for each in about:
                self._waiting[each].discard(woken)
                if not self._waiting[each]:
                    del self._waiting[each]

    def tell(self, about: str) -> None:
        for woken in self._waiting.get(about, ()):
            woken.set()

    def tell_all(self) -> None:
        """Anything may have changed: the clock moved, or nobody listened for a while."""
        for waiting in self._waiting.values():
            for woken in waiting:
                woken.set()
