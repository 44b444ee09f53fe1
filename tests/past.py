"""What happened before a test begins: made once in each process, and copied for every test that starts from there.

Most tests of the billing life begin with the same purchase, a third of a second of real work. A world in which
nothing was written yet, or nothing but such a story, may go on where another one stood after it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text

from app.core.db import Database
from tests.slate import Picture, Slate

_NEXT_WRITER = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
_BEGINNING: Final = ""


@dataclass
class Past:
    """The stories of one process, each with the rows there were when it ended.

    `name` is the database every world lives in. To keep a story costs a tenth of telling one, so each is kept.
    """

    slate: Slate
    database: Database
    name: str
    _kept: dict[str, tuple[Picture, str]] = field(default_factory=dict)
    # Which known state the world is in, the beginning or a kept story, and who would write next since then.
    _at: str | None = None
    _since: str = ""

    def begin(self) -> None:
        """A new world, in which nothing has happened: also that of a test which only looked."""
        if self._at == _BEGINNING and self._untouched():
            return
        if not self.slate.wipe():
            self.database.dispose()
        self._stands_at(_BEGINNING, self._next_writer())

    def _stands_at(self, state: str | None, since: str) -> None:
        self._at, self._since = state, since

    def _untouched(self) -> bool:
        return self._next_writer() == self._since

    def after(self, story: str, details: object, tell: Callable[[], str]) -> str:
        """What `tell` returns, usually an id; told again, or put down where the world is in a known state.

        Known means that no transaction wrote anything in this process's cluster since the world began or the last story
        ended: whoever has set a clock, a policy or a card before gets the story told in full. A story goes on from the
        very rows of the one before it, whose ids the test may know.
        """
        if self._at is None or not self._untouched():
            self._at = None
            return tell()
        key = f"{self._at} > {story} {json.dumps(details, sort_keys=True, default=str)}"
        if key in self._kept:
            picture, result = self._kept[key]
            self.slate.paint(picture)
            self._stands_at(key, self._next_writer())
            return result
        result = tell()
        since = self._next_writer()
        self._kept[key] = self.slate.picture(), result
        self._stands_at(key, since)
        return result

    def _next_writer(self) -> str:
        with self.database.transaction() as tx:
            return str(tx.execute(_NEXT_WRITER).scalar_one())
