"""States and the moves between them: declared once in code, kept in the database, enforced by a trigger.

A table with a life cycle declares its moves; the migration that introduces a move adds its row to
`state_move`; the trigger `enforce_move` refuses an UPDATE of `state` that has no row. A test holds the two
against each other.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final, TypeVar

from sqlmodel import Field

from app.core.db import Table
from app.core.errors import DomainError

S = TypeVar("S", bound=StrEnum)


class StateMove(Table, table=True):
    __tablename__ = "state_move"

    machine: str = Field(primary_key=True)
    from_state: str = Field(primary_key=True)
    to_state: str = Field(primary_key=True)


class MoveRefused(DomainError):
    status, slug, title = HTTPStatus.CONFLICT, "state-move-refused", "This cannot be done in the present state"


_machines: Final[dict[str, frozenset[tuple[str, str]]]] = {}


def declare_moves(machine: str, moves: Collection[tuple[S, S]]) -> frozenset[tuple[S, S]]:
    """Declare every allowed move of the table `machine`."""
    frozen = frozenset(moves)
    _machines[machine] = frozenset((str(before), str(after)) for before, after in frozen)
    return frozen


def declared_moves() -> Mapping[str, frozenset[tuple[str, str]]]:
    return _machines


def require_move(machine: str, before: StrEnum, after: StrEnum) -> None:
    """Raises MoveRefused with a sentence, before the database would."""
    if (str(before), str(after)) not in _machines[machine]:
        raise MoveRefused(f"A {machine} that is {before} cannot become {after}.", state=str(before))
