"""Which listed parties have a name like one that is asked about.

For an order the trigram index proposes candidates (`%`, which asks for three tenths of the trigrams) of about the right
length; their scores are computed here. Names that are 85 alike share more than that, unless the differences are strewn
over every word (docs/screening.md). Where everybody is compared, `alike` finds the same and those as well, in memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import select, text
from sqlmodel import col

from app.core import policy
from app.core.bulk import array_text
from app.core.db import Tx
from app.screening import alike, names
from app.screening.alike import Alike
from app.screening.models import Role, ScreeningEntry, ScreeningName

REVIEW_SCORE: Final = policy.declare(
    policy.Policy(
        "screening_review_score", 85, policy.whole_number(minimum=60),
        "From this likeness on, 0 to 100, a name that is like a listed one waits for a person.",
    )
)  # fmt: skip
# Few names that are new are compared one by one: cheaper than asking the index about everybody.
_FEW: Final = 200


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who buys: `country` is where, as an ISO code."""

    role: Role
    name: str
    country: str

    @property
    def normalized(self) -> str:
        return names.normalized(self.name)


@dataclass(frozen=True, slots=True)
class Hit:
    """A listed party like a party; `exact` says that the names are equal and the list knows it in that country."""

    party: Party
    entry: ScreeningEntry
    score: int
    exact: bool

    def to_json(self) -> dict[str, Any]:
        return {"name": self.party.name, "role": str(self.party.role), "entry": self.entry.id,
                "content": self.entry.content_hash, "list": self.entry.list_code, "listed": self.entry.name,
                "score": self.score, "exact": self.exact}  # fmt: skip


class Listed:
    """The listed names in memory, for a run that asks about everybody. Loaded when they are first asked for; what is
    imported later is seen by `refresh`.
    """

    def __init__(self) -> None:
        self._newest, self._since = 0, dict[int, Alike]()

    def refresh(self, newest: int) -> None:
        """Forget what is older than the newest import of any list."""
        if newest != self._newest:
            self._newest, self._since = newest, {}

    def since(self, tx: Tx, version: int) -> Alike:
        """The names that came after a version."""
        if version not in self._since:
            query = select(col(ScreeningName.entry_id), col(ScreeningName.normalized)).where(
                col(ScreeningName.version_id) > version
            )
            self._since[version] = Alike((entry_id, name) for entry_id, name in tx.execute(query))
        return self._since[version]


def find(
    tx: Tx, parties: Iterable[Party], *, at_least: int, on: date, since: int = 0, listed: Listed | None = None
) -> list[Hit]:
    """The hits of parties among the entries of all lists, the most alike first; one for each party and entry.

    `since` leaves out names that came with that version or before it. An entry whose last day is past is none. With
    `listed` many are compared in memory, which misses nothing that is alike enough.
    """
    by_name: dict[str, list[Party]] = defaultdict(list)
    for party in dict.fromkeys(parties):
        if normalized := party.normalized:
            by_name[normalized].append(party)
    best: dict[tuple[str, int], int] = {}
    for asked, entry_id, score in _scored(tx, sorted(by_name), at_least, since, listed):
        best[asked, entry_id] = max(score, best.get((asked, entry_id), 0))
    entries = _entries(tx, {entry_id for _, entry_id in best}, on)
    hits = [
        Hit(party, entries[entry_id], score, score == names.HIGHEST and party.country in entries[entry_id].countries)
        for (asked, entry_id), score in best.items()
        if entry_id in entries
        for party in by_name[asked]
    ]  # fmt: skip
    return sorted(hits, key=lambda hit: (-hit.score, hit.entry.id or 0, hit.party.name))


def _scored(
    tx: Tx, asked: Sequence[str], at_least: int, since: int, listed: Listed | None
) -> Iterator[tuple[str, int, int]]:
    """Asked name, entry and score of everything that is alike enough."""
    if listed is not None and asked and at_least >= alike.LOWEST:
        among = listed.since(tx, since)
        for name in asked:
            for entry_id, _, score in among.find(name, at_least):
                yield name, entry_id, score
        return
    for name, entry_id, other in _candidates(tx, asked, at_least, since):
        score = names.score(name, other)
        if score >= at_least:
            yield name, entry_id, score


_LENGTH: Final = "length(listed.normalized) BETWEEN asked.shortest AND asked.longest"
_ASKED: Final = (
    "unnest(CAST(:names AS text[]), CAST(:shortest AS int[]), CAST(:longest AS int[]))"
    " AS asked(name, shortest, longest)"
)
_BY_INDEX: Final = text(
    f"SELECT asked.name, listed.entry_id, listed.normalized FROM {_ASKED}"  # noqa: S608 -- our own words
    f" JOIN screening_name AS listed ON listed.normalized % asked.name AND {_LENGTH} AND listed.version_id > :since"
)
# Materialized, so that the few are read once whatever the planner takes them for.
_ONE_BY_ONE: Final = text(
    "WITH listed AS MATERIALIZED (SELECT entry_id, normalized FROM screening_name WHERE version_id > :since)"  # noqa: S608 -- our own words
    f" SELECT asked.name, listed.entry_id, listed.normalized FROM {_ASKED}"
    f" JOIN listed ON {_LENGTH} AND listed.normalized % asked.name"
)


def _candidates(tx: Tx, asked: Sequence[str], at_least: int, since: int) -> list[tuple[str, int, str]]:
    if not asked:
        return []
    how = _BY_INDEX
    if since:
        count = tx.execute(
            text("SELECT count(*) FROM (SELECT FROM screening_name WHERE version_id > :since LIMIT :few) AS new"),
            {"since": since, "few": _FEW + 1},
        ).scalar_one()
        if not count:
            return []
        how = _ONE_BY_ONE if count <= _FEW else _BY_INDEX
    found = tx.execute(how, {
        "names": array_text(asked), "since": since,
        "shortest": array_text([names.shortest(len(each), at_least) for each in asked]),
        "longest": array_text([names.longest(len(each), at_least) for each in asked]),
    })  # fmt: skip
    return [(name, entry_id, listed) for name, entry_id, listed in found]


def _entries(tx: Tx, ids: set[int], on: date) -> dict[int, ScreeningEntry]:
    if not ids:
        return {}
    query = select(ScreeningEntry).where(
        col(ScreeningEntry.id).in_(ids), col(ScreeningEntry.removed_in).is_(None),
        col(ScreeningEntry.ends_on).is_(None) | (col(ScreeningEntry.ends_on) >= on),
    )  # fmt: skip
    return {row.id or 0: row for row in tx.execute(query).scalars()}
