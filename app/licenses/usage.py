"""How many use a license: reports that products write and people stand for, kept as they came (R-ORD-4, ADR 0058).

A report is one JSON object in UTF-8: `type` blp/usage-report/v1, `license` (the id in the file), `server_id`,
`sequence` (counts the server's reports from 1), `period_from` and `period_to` (days, the last not included),
`active_users`, and `mac`: hex of HMAC-SHA256 over `blp/usage-report/v1`, a line feed, and the canonical JSON (sorted
keys, no spaces, UTF-8) of the object without `mac`. Its key is SHA-256 over `blp/usage-key/v1`, a line feed, and the
text of the license file: whoever has the file can write reports, and nobody else can.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import bindparam, func, select
from sqlmodel import col

from app.core import audit, events
from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, NotFound
from app.core.ids import new_id
from app.core.security import same
from app.licenses.errors import ReportRefused
from app.licenses.models import License
from app.licenses.service import subscription_of
from app.licenses.usage_models import ReportedBy, UsageReport

TYPE: Final = "blp/usage-report/v1"
LONGEST: Final = 4_000
MOST_USERS: Final = 10_000_000
_TURN: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("of"), 0)))


class ReportUnreadable(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "usage-report-unreadable"
    title = "This is no report of usage"


class Stated(BaseModel):
    """What a product wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["blp/usage-report/v1"]
    license: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9]{26}$")]
    server_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    sequence: Annotated[int, Field(strict=True, ge=1, le=2**53)]
    period_from: date
    period_to: date
    active_users: Annotated[int, Field(strict=True, ge=0, le=MOST_USERS)]
    mac: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Kept:
    """`new` is false for a report that was here already."""

    report: UsageReport
    new: bool


def read(text: str) -> Stated:
    """Raises ReportUnreadable, naming what is wrong."""
    if len(text) > LONGEST:
        raise ReportUnreadable(f"A report has at most {LONGEST:,} characters.", param="text")
    try:
        return Stated.model_validate_json(text)
    except ValidationError as wrong:
        named = sorted({str(each["loc"][0]) for each in wrong.errors() if each["loc"]})
        said = f"Wrong or missing: {', '.join(named)}." if named else "Bring the file or text that the product wrote."
        raise ReportUnreadable(said, param="text") from None


def mac_of(said: dict[str, Any], file_text: str) -> str:
    """The code under a report; `said` is its object as plain JSON without `mac`."""
    joined = file_text.translate({10: None, 13: None})
    key = sha256(f"blp/usage-key/v1\n{joined}".encode()).digest()
    return hmac.new(key, TYPE.encode() + b"\n" + canonical_json(said), sha256).hexdigest()


def receive(
    tx: Tx, license_: License, stated: Stated, *, source: ReportedBy, by: str, today: date, now: datetime
) -> Kept:  # fmt: skip
    """Keep what a product reports. The same report again is the one that is kept.

    Raises NotFound where another license's file made its code, ReportRefused, Invalid, NothingBought.
    """
    said = json.loads(stated.model_dump_json(exclude={"mac"}))
    if stated.license != license_.file_id or not same(mac_of(said, license_.file_text), stated.mac):
        raise NotFound("The report was not made with the file of this license.")
    _require_period(stated.period_from, stated.period_to, today)
    of = subscription_of(license_)
    digest = sha256_hex(canonical_json(said))
    tx.execute(_TURN, {"of": f"usage:{of}"})
    query = select(UsageReport).where(
        col(UsageReport.subscription_id) == of, col(UsageReport.server_id) == stated.server_id
    )
    last = tx.execute(query.order_by(col(UsageReport.sequence).desc()).limit(1)).scalar_one_or_none()
    if last is not None and stated.sequence <= last.sequence:
        known = tx.execute(query.where(col(UsageReport.sequence) == stated.sequence)).scalar_one_or_none()
        if known is not None and known.text_sha256 == digest:
            return Kept(known, new=False)
        raise ReportRefused(
            f"This server's report {last.sequence} is here already; the next one has the number {last.sequence + 1}.",
            param="sequence", reason="older",
        )  # fmt: skip
    row = _row(license_, of, stated.server_id, stated.sequence, stated.period_from, stated.period_to,
               stated.active_users, source=source, attested_by="", digest=digest, now=now)  # fmt: skip
    return Kept(_keep(tx, row, by=by, now=now), new=True)


def attest(
    tx: Tx, license_: License, *, active_users: int, period_from: date, period_to: date, person: str, by: str,
    today: date, now: datetime,
) -> UsageReport:  # fmt: skip
    """Keep a count that `person` stands for. Raises Invalid, NothingBought."""
    if not 0 <= active_users <= MOST_USERS:
        raise Invalid("Write how many use it as a whole number, such as 25.", param="active_users")
    _require_period(period_from, period_to, today)
    of = subscription_of(license_)
    tx.execute(_TURN, {"of": f"usage:{of}"})
    counted = select(func.coalesce(func.max(col(UsageReport.sequence)), 0)).where(
        col(UsageReport.subscription_id) == of, col(UsageReport.server_id) == ""
    )
    sequence = tx.execute(counted).scalar_one() + 1
    digest = sha256_hex(canonical_json([of, sequence, active_users, str(period_from), str(period_to), person]))
    row = _row(license_, of, "", sequence, period_from, period_to, active_users, source=ReportedBy.CUSTOMER,
               attested_by=person, digest=digest, now=now)  # fmt: skip
    return _keep(tx, row, by=by, now=now)


def _require_period(start: date, end: date, today: date) -> None:
    if start >= end:
        raise Invalid("The period ends before it begins; its last day is not included.", param="period_to")
    if end > today + timedelta(days=1):
        raise Invalid("The period lies in the future; report what was.", param="period_to")


def _row(
    license_: License, of: str, server_id: str, sequence: int, start: date, end: date, users: int, *,
    source: ReportedBy, attested_by: str, digest: str, now: datetime,
) -> UsageReport:  # fmt: skip
    return UsageReport(
        id=new_id("usg"), account_id=license_.account_id, subscription_id=of, license_id=license_.id, source=source,
        server_id=server_id, sequence=sequence, period_from=start, period_to=end, active_users=users,
        attested_by=attested_by, text_sha256=digest, received_at=now,
    )  # fmt: skip


def _keep(tx: Tx, row: UsageReport, *, by: str, now: datetime) -> UsageReport:
    tx.add(row)
    tx.flush()
    events.append(
        tx, "usage.reported", row.id, now=now, account_id=row.account_id, license=row.license_id,
        subscription=row.subscription_id, active_users=row.active_users, period_to=row.period_to.isoformat(),
        source=str(row.source),
    )  # fmt: skip
    details = {"license": row.license_id, "active_users": row.active_users, "source": str(row.source)}
    audit.record(tx, row.account_id, actor=by, action="usage.reported", subject=row.id, now=now, details=details)
    return row


def newest(tx: Tx, subscription_id: str) -> UsageReport | None:
    """The report of the latest period; of several the one that came last."""
    return next(iter(history(tx, subscription_id, limit=1)), None)


def history(tx: Tx, subscription_id: str, *, limit: int = 12) -> Sequence[UsageReport]:
    """Newest period first."""
    query = select(UsageReport).where(col(UsageReport.subscription_id) == subscription_id)
    query = query.order_by(col(UsageReport.period_to).desc(), col(UsageReport.id).desc())
    return tx.execute(query.limit(limit)).scalars().all()
