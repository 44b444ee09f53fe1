"""Lists of the console: newest first, a page at a time, forward and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from sqlalchemy import Select

from app.core.db import Tx
from app.web.console.views import Cell
from app.web.states import state as badge
from app.web.views import Form, Option, Pages

T = TypeVar("T")
SIZE: Final = 25
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a list says. `after` and `before` are ids at the edges of the page to turn from."""

    q: str
    state: str
    route: str
    after: str
    before: str

    @property
    def form(self) -> Form:
        return Form(values={"q": self.q, "state": self.state, "route": self.route})

    def turned(self, kind: str, **edge: str) -> str:
        kept = {"q": self.q, "state": self.state, "route": self.route, **edge}
        return f"/console/{kind}?" + urlencode({name: value for name, value in kept.items() if value})


def asked(
    q: Annotated[str, Query(max_length=_LONGEST)] = "", state: str = "", route: str = "", after: str = "",
    before: str = "",
) -> Asked:  # fmt: skip
    return Asked(q.strip(), state, route, after, before)


Filter = Annotated[Asked, Depends(asked)]


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    rows: Sequence[T]
    pages: Pages


def window(tx: Tx, query: Select[*tuple[Any, ...]], id_column: Any, wanted: Asked, kind: str) -> Window[Any]:
    """One page of `query`, whose rows have their id first or are entities with an `id`; ids sort by creation."""
    back = bool(wanted.before) and not wanted.after
    if back:
        query = query.where(id_column > wanted.before).order_by(id_column.asc())
    else:
        query = query.where(id_column < wanted.after) if wanted.after else query
        query = query.order_by(id_column.desc())
    found = list(tx.execute(query.limit(SIZE + 1)).all())
    further, rows = len(found) > SIZE, found[:SIZE]
    if back:
        rows.reverse()
    if not rows:
        return Window([], Pages())
    first, last = _id(rows[0]), _id(rows[-1])
    has_newer = further if back else bool(wanted.after)
    has_older = True if back else further
    return Window(
        rows,
        Pages(
            newer=wanted.turned(kind, before=first) if has_newer else "",
            older=wanted.turned(kind, after=last) if has_older else "",
        ),
    )


def _id(row: Any) -> str:
    return str(row[0] if isinstance(row[0], str) else row[0].id)


def one_of(kind: Any, value: str) -> Any:
    """The member of an enum that a filter names; None for nothing and for anything else."""
    return kind(value) if value in set(kind) else None


def options(kind: Any) -> tuple[Option, ...]:
    """The members of an enum as the choices of a filter, under the names the badges give them."""
    return tuple(Option(value=str(each), label=badge(str(each)).text) for each in kind)


def day(at: datetime | None) -> Cell:
    return Cell(day=at.date()) if at is not None else Cell()
