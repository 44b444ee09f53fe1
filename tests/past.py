"""What happened before a test begins: made once in each process, and copied for every test that starts from there.

Most tests of the billing life begin with the same purchase, a third of a second of real work. A world in which
nothing was written yet may begin where another one stood after it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import text

from app.core.db import Database
from tests.slate import Picture, Slate

_NEXT_WRITER = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")


@dataclass
class Past:
    """The stories of one process, each with the rows there were when it ended.

    `name` is the database every world lives in. A story is kept when it is told the second time: most are told by one
    test only.
    """

    slate: Slate
    database: Database
    name: str
    _told: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, tuple[Picture, str]] = field(default_factory=dict)
    _opened: str | None = None

    def begin(self) -> None:
        """A new world, in which nothing has happened: also that of a test which only looked."""
        if self._as_new():
            return
        if not self.slate.wipe():
            self.database.dispose()
        self._opened = self._next_writer()

    def _as_new(self) -> bool:
        return self._opened is not None and self._next_writer() == self._opened

    def after(self, story: str, details: object, tell: Callable[[], str]) -> str:
        """What `tell` returns, usually an id; told again, or put down where this world is as new.

        As new means that no transaction wrote anything in this process's cluster since the world began: whoever has
        set a clock, a policy or a card before gets the story told in full.
        """
        key = f"{story} {json.dumps(details, sort_keys=True, default=str)}"
        if not self._as_new():
            return tell()
        self._opened = None
        if key in self._kept:
            picture, result = self._kept[key]
            self.slate.paint(picture)
            return result
        result = tell()
        self._told[key] = self._told.get(key, 0) + 1
        if self._told[key] > 1:
            self._kept[key] = self.slate.picture(), result
        return result

    def _next_writer(self) -> str:
        with self.database.transaction() as tx:
            return str(tx.execute(_NEXT_WRITER).scalar_one())
