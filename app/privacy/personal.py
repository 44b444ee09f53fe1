"""What is personal: the columns that carry the tag, read from the tables themselves (ADR 0019)."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.db import metadata


@dataclass(frozen=True, slots=True, order=True)
class PersonalColumn:
    """`category` is contact, name, network or free_text."""

    table: str
    column: str
    category: str


def columns() -> list[PersonalColumn]:
    """Every tagged column of every table that is known to this process, by table and column."""
    return sorted(_tagged())


def _tagged() -> Iterator[PersonalColumn]:
    for table in metadata.tables.values():
        for column in table.columns:
            category = column.info.get("personal")
            if category is not None:
                yield PersonalColumn(table.name, column.name, category)
