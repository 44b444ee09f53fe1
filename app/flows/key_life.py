"""The end of a signing key: retired once nothing that it signed is in use (R-LIC-6, S27, ADR 0057).

A key that is no longer published makes what it signed worthless at once, so that the figures decide and not a calendar:
files and tokens in the log of signatures whose license has not ended, acceptances that customers hold a certificate of,
and checks of the last days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from app.core import keys, policy
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.keys import KeyInUse, KeyState, SigningKey
from app.licenses.formats.enforcement import ENFORCEMENT

UNUSED_DAYS: Final = policy.declare(
    policy.Policy("signing_key_unused_days", 30, policy.whole_number(),
                  "Days without a check after which a signing key may be retired.")
)  # fmt: skip

# A token goes on until the last step of its ladder, everything else until the end of its grace.
_FILES: Final = text("""
SELECT kid, count(*) AS files, max(ends_at) AS until FROM (
  SELECT entry.kid,
         coalesce(alone.expires_at, together.expires_at) + interval '1 day' * greatest(
           coalesce(alone.grace_days, together.grace_days),
           CASE WHEN entry.format = 'token' THEN CAST(:ladder_days AS int) ELSE 0 END) AS ends_at
    FROM license_issuance AS entry
    LEFT JOIN license AS alone ON alone.id = entry.license_id
    LEFT JOIN merged_license AS together ON together.id = entry.merged_id
   WHERE coalesce(alone.state, together.state) <> 'revoked') AS signed
 WHERE ends_at > :now GROUP BY kid
""")
_ACCEPTANCES: Final = text("SELECT kid, count(*) AS files FROM acceptance GROUP BY kid")
_CHECKS: Final = text(
    "SELECT kid, sum(count) FILTER (WHERE used_on >= :first) AS checks, max(used_on) AS last_on"
    " FROM signing_key_use GROUP BY kid"
)


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A key and what rests on it: unexpired `files` until `until`, `acceptances` without an end, `checks` of late."""

    key: SigningKey
    state: KeyState
    files: int = 0
    until: datetime | None = None
    acceptances: int = 0
    checks: int = 0

    @property
    def in_use(self) -> str:
        """What keeps it from being retired, in words; empty where nothing does."""
        return "; ".join([
            *([f"{_so_many(self.files, 'file or token holds', 'files and tokens hold')} until {self.until:%Y-%m-%d}"]
              if self.files and self.until else []),
            *([_so_many(self.acceptances, "acceptance of terms carries", "acceptances of terms carry")
               + " its signature, without an end"] if self.acceptances else []),
            *([f"{_so_many(self.checks, 'check', 'checks')} used it of late"] if self.checks else []),
        ])  # fmt: skip


def _so_many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def figures(tx: Tx, now: datetime) -> list[KeyFigures]:
    """Every key there was, by purpose, oldest first."""
    days = policy.get(tx, UNUSED_DAYS, now)
    ladder_days = max((rung.days or 0 for rung in policy.get(tx, ENFORCEMENT, now)), default=0)
    files = {row.kid: row for row in tx.execute(_FILES, {"now": now, "ladder_days": ladder_days})}
    acceptances: Mapping[str, int] = {row.kid: row.files for row in tx.execute(_ACCEPTANCES)}
    first = (transport_now() - timedelta(days=days)).date()
    checks = {row.kid: row.checks or 0 for row in tx.execute(_CHECKS, {"first": first})}
    return [
        KeyFigures(
            key, keys.state(key, now), files=files[key.kid].files if key.kid in files else 0,
            until=files[key.kid].until if key.kid in files else None, acceptances=acceptances.get(key.kid, 0),
            checks=int(checks.get(key.kid, 0)),
        )
        for key in keys.every(tx)
    ]  # fmt: skip


def retire(tx: Tx, kid: str, *, by: str, now: datetime) -> None:
    """Stop publishing a key. Raises NotFound, KeyInUse with how much is in use and until when."""
    key = keys.lock(tx, kid)
    found = next(each for each in figures(tx, now) if each.key.kid == kid)
    days = policy.get(tx, UNUSED_DAYS, now)
    if found.in_use:
        raise KeyInUse(f"{found.in_use[0].upper()}{found.in_use[1:]}.", files=found.files, checks=found.checks)
    if key.valid_to is not None and key.valid_to <= now < key.valid_to + timedelta(days=days):
        raise KeyInUse(f"It signed until {key.valid_to:%Y-%m-%d}; that is less than {days} days ago.")
    keys.retire(tx, kid, by=by, now=now)
