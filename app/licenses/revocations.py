"""The list of revoked files as it is kept: numbered, read, signed (R-LIC-6, R-LIC-8, ADR 0057)."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final

from sqlalchemy import func, select, text, update
from sqlmodel import col

from app.core import keys
from app.core.bulk import among
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.security import Secrets
from app.licenses import revocation_list
from app.licenses.models import LicenseRevocation, RevocationReason
from app.licenses.revocation_list import RevocationList, Revoked, file_hash

_NUMBER: Final = text("""
UPDATE license_revocation AS entry SET sequence = counted.sequence
  FROM (SELECT id, row_number() OVER (ORDER BY id)
                   + coalesce((SELECT max(sequence) FROM license_revocation), 0) AS sequence
          FROM license_revocation WHERE sequence IS NULL) AS counted
 WHERE counted.id = entry.id
""")


class RevocationsUnknown(DomainError):
    status, slug, title = HTTPStatus.NOT_FOUND, "revocations-unknown", "There is no such list to continue"


def newest(tx: Tx) -> int:
    """The number of the newest list: what is issued now names it, so that an older list is noticed offline."""
    return tx.execute(select(func.max(col(LicenseRevocation.sequence)))).scalar() or 0


def listed(tx: Tx, since: int, now: datetime) -> RevocationList:
    """Everything revoked after number `since`, 0 for all of it. Raises RevocationsUnknown for a number to come."""
    _number(tx)
    query = select(
        col(LicenseRevocation.file_hash), col(LicenseRevocation.reason), col(LicenseRevocation.revoked_at)
    ).where(col(LicenseRevocation.sequence) > since)
    found = tx.execute(query.order_by(col(LicenseRevocation.sequence))).all()
    if not found and since > (last := newest(tx)):
        raise RevocationsUnknown(f"The newest list has number {last}; ask without `since`.", param="since")
    entries = (Revoked(row.file_hash, row.reason, row.revoked_at.replace(microsecond=0)) for row in found)
    return RevocationList(since, now.replace(microsecond=0), tuple(entries))


def signed(tx: Tx, secrets: Secrets, since: int, now: datetime) -> tuple[RevocationList, str]:
    """The list and its text. Raises RevocationsUnknown, NoSigningKey."""
    kid, key = keys.revocation_key(tx, secrets, now)
    found = listed(tx, since, now)
    return found, revocation_list.sign(found, kid, key)


def blame_the_key(tx: Tx, file_ids: Sequence[str]) -> None:
    """These were revoked in this transaction because somebody else may have their key."""
    hashes = [file_hash(each) for each in file_ids]
    tx.execute(
        update(LicenseRevocation)
        .where(among(col(LicenseRevocation.file_hash), hashes), col(LicenseRevocation.sequence).is_(None))
        .values(reason=RevocationReason.KEY_COMPROMISED)
        .execution_options(synchronize_session=False)
    )


def _number(tx: Tx) -> None:
    """Give numbers to what has none yet. Those who ask at the same time take turns, others wait for nobody."""
    unnumbered = select(col(LicenseRevocation.id)).where(col(LicenseRevocation.sequence).is_(None)).limit(1)
    if tx.execute(unnumbered).first() is not None:
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('license_revocation'))"))
        tx.execute(_NUMBER)
