"""Everybody we sell to, compared with what is new: after every import, and each day for names that changed.

How far an account came is a row of its own (`screening_standing`), written with its hits: a run that stops goes on from
there, and any number of workers may share it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from structlog import get_logger

from app.accounts.models import BuyerType
from app.core import jobs, policy
from app.core.bulk import array_text
from app.core.db import Tx
from app.flows.ports import Ports
from app.screening import list_files, lists, matching
from app.screening import service as screening
from app.screening.list_files import Format
from app.screening.lists import Imported
from app.screening.matching import Hit, Listed, Party
from app.screening.models import Role

log = get_logger()

CHUNK: Final = 500
RESCREEN: Final = "screening.rescreen"

# The names of an account and of its people in one text: by its hash a change is seen.
_NAMED: Final = """
SELECT account.id, account.type, account.name, account.country, people.names,
  md5(concat_ws(E'\\n', account.country, account.name, array_to_string(people.names, E'\\n'))) AS hash
FROM account
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(member.name ORDER BY member.id), '{}') AS names
  FROM member WHERE member.account_id = account.id AND member.removed_at IS NULL
) AS people
"""
_DUE: Final = text(f"""
SELECT named.*, standing.version_id AS compared, standing.names_hash AS compared_hash
FROM ({_NAMED} WHERE account.id > :after) AS named
LEFT JOIN screening_standing AS standing ON standing.account_id = named.id
WHERE standing.account_id IS NULL OR standing.version_id < :newest OR standing.names_hash <> named.hash
ORDER BY named.id LIMIT :size
""")  # noqa: S608 -- our own words
_KEEP: Final = text("""
INSERT INTO screening_standing (account_id, version_id, names_hash, screened_at)
SELECT id, :newest, hash, :now FROM unnest(CAST(:ids AS text[]), CAST(:hashes AS text[])) AS seen(id, hash)
ON CONFLICT (account_id) DO UPDATE
SET version_id = excluded.version_id, names_hash = excluded.names_hash, screened_at = excluded.screened_at
WHERE screening_standing.version_id <= excluded.version_id
""")


@dataclass(frozen=True, slots=True)
class Progress:
    """How many accounts were compared with the newest version of every list, out of how many."""

    done: int
    total: int


def import_list(
    ports: Ports, content: bytes, *, code: str, kind: Format, version: str, by: str
) -> Imported:  # fmt: skip
    """Import a list that the operator supplies, whole or not at all, and have everybody compared with what is new.

    Raises ListRefused.
    """
    entries = list_files.read(content, code, kind)
    with ports.db.transaction() as tx:
        done = lists.store(
            tx, code, entries, sha256=list_files.sha256(content), version=version, by=by, now=ports.clock.now()
        )
        jobs.defer(tx, rescreen, once=RESCREEN)
    return done


@jobs.job(RESCREEN, every="23 4 * * *", retry=jobs.Retry(attempts=6, first=30))
def rescreen(ports: Ports) -> None:
    """Compare whoever was not compared yet with the newest lists, or under another name; forget what is old enough."""
    place, listed = "", Listed()
    while (found := rescreen_chunk(ports, place, listed=listed)) is not None:
        place = found
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        days = policy.get(tx, lists.STALE_DAYS, now)
        for each in lists.current(tx):
            if lists.is_stale(each, days, now):
                log.warning("screening.list_is_old", list=each.list_code, imported_at=each.imported_at.isoformat())
        forgotten = screening.forget_old(tx, now)
    log.info("screening.rescreened", forgotten=forgotten)


def rescreen_chunk(
    ports: Ports, after: str = "", *, size: int = CHUNK, listed: Listed | None = None
) -> str | None:  # fmt: skip
    """Compare some accounts behind `after`; the id of the last of them, None where there are none left. `listed` keeps
    the names of the lists from one chunk to the next.
    """
    listed = listed or Listed()
    with ports.db.transaction() as tx:
        newest, now = lists.newest(tx), ports.clock.now()
        if not newest:
            return None
        found = tx.execute(_DUE, {"after": after, "newest": newest, "size": size}).all()
        if not found:
            return None
        listed.refresh(newest)
        hits = _hits(tx, found, listed, now)
        for account_id, (parties, of_account) in hits.items():
            screening.screen(
                tx, account_id, parties, of_account, by="rescreen", test=ports.test_mode, now=now, keep_clear=False
            )
        tx.execute(_KEEP, {
            "newest": newest, "now": now, "ids": array_text([row.id for row in found]),
            "hashes": array_text([row.hash for row in found]),
        })  # fmt: skip
    return str(found[-1].id)


def _hits(
    tx: Tx, found: Sequence[Any], listed: Listed, now: datetime
) -> dict[str, tuple[list[Party], list[Hit]]]:  # fmt: skip
    """The accounts with hits. Those that stand alike are compared at once, with what is new to them."""
    groups: dict[int, dict[Party, list[str]]] = defaultdict(lambda: defaultdict(list))
    parties: dict[str, list[Party]] = {}
    for row in found:
        role = Role.COMPANY if row.type == BuyerType.BUSINESS else Role.PERSON
        own = [Party(role, row.name, row.country), *(Party(Role.PERSON, name, row.country) for name in row.names)]
        parties[row.id] = [each for each in dict.fromkeys(own) if each.name.strip()]
        since = row.compared if row.compared and row.compared_hash == row.hash else 0
        for each in parties[row.id]:
            groups[since][each].append(row.id)
    hits: dict[str, tuple[list[Party], list[Hit]]] = {}
    at_least = policy.get(tx, matching.REVIEW_SCORE, now)
    for since, asked in groups.items():
        for hit in matching.find(tx, asked, at_least=at_least, on=now.date(), since=since, listed=listed):
            for account_id in asked[hit.party]:
                hits.setdefault(account_id, (parties[account_id], []))[1].append(hit)
    return hits


def progress(tx: Tx) -> Progress:
    newest = lists.newest(tx)
    row = tx.execute(
        text("SELECT (SELECT count(*) FROM screening_standing WHERE version_id >= :newest) AS done,"
             " (SELECT count(*) FROM account) AS total"), {"newest": newest},
    ).one()  # fmt: skip
    return Progress(done=row.done if newest else 0, total=row.total)
