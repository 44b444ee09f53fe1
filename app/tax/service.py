"""Determinations as they were given, and what registries said about tax numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import policy
from app.core.bulk import among
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.ids import new_id
from app.core.security import Secrets
from app.tax import identifiers, matching
from app.tax.determination import Determination
from app.tax.models import TaxDetermination, TaxIdCheck
from app.tax.provider import RegistryAnswer
from app.tax.request import Request, from_json

# A conclusive answer is good for a day of shopping; an inconclusive one is asked again at once.
_FRESH: Final = timedelta(hours=24)
REPLY: Final = "tax_id_reply"  # what raw replies are sealed for
STALE_DAYS: Final = policy.declare(
    policy.Policy(
        "tax_rates_stale_days", 60, policy.whole_number(minimum=1),
        "Days after which the packaged EU rates count as old: `blp doctor` and the log at start say so.",
    )
)  # fmt: skip


def row_of(determination: Determination, request: dict[str, Any], now: datetime) -> dict[str, Any]:
    """An answer with its inputs, as it is kept."""
    return {
        "id": new_id("txd"), "treatment": determination.treatment.value, "result": determination.to_json(),
        "request": request, "inputs_hash": determination.inputs_hash, "data_version": determination.data_version,
        "calculation_id": determination.calculation, "determined_at": now,
    }  # fmt: skip


def store(tx: Tx, determination: Determination, request: dict[str, Any], now: datetime) -> TaxDetermination:
    """Keep an answer with its inputs; the row never changes."""
    row = TaxDetermination(**row_of(determination, request, now))
    tx.add(row)
    tx.flush()
    return row


def stored(tx: Tx, determination_id: str) -> Determination:
    return Determination.from_json(tx.get_one(TaxDetermination, determination_id).result)


def question_of(tx: Tx, determination_id: str) -> Request:
    """What a stored determination answered."""
    return from_json(tx.get_one(TaxDetermination, determination_id).request)


def normalized(kind: str, value: str, country: str) -> str:
    """The number as its registry writes it. Raises Invalid, naming the remedy, where it cannot be one."""
    check = identifiers.check(kind, value, country)
    if not check.ok and check.hard:
        raise Invalid(check.problem or "This is not a tax number.", param="tax_id")
    return check.normalized


def recent_check(tx: Tx, kind: str, value: str, now: datetime) -> TaxIdCheck | None:
    """The last conclusive answer about a number, if it is still fresh."""
    return tx.execute(
        select(TaxIdCheck)
        .where(
            col(TaxIdCheck.type) == kind,
            col(TaxIdCheck.value) == value,
            col(TaxIdCheck.status) != "unavailable",
            col(TaxIdCheck.checked_at) > now - _FRESH,
        )
        .order_by(col(TaxIdCheck.checked_at).desc())
        .limit(1)
    ).scalar_one_or_none()


def recent_checks(tx: Tx, values: Sequence[str], now: datetime) -> dict[tuple[str, str], TaxIdCheck]:
    """What registries said lately of any of these numbers, by (type, number)."""
    if not values:
        return {}
    query = select(TaxIdCheck).where(
        among(col(TaxIdCheck.value), values), col(TaxIdCheck.status) != "unavailable",
        col(TaxIdCheck.checked_at) > now - _FRESH,
    )  # fmt: skip
    rows = tx.execute(query.order_by(col(TaxIdCheck.checked_at))).scalars()
    return {(row.type, row.value): row for row in rows}


def record_check(
    tx: Tx, kind: str, value: str, answer: RegistryAnswer, now: datetime, *, secrets: Secrets, buyer: matching.Buyer
) -> TaxIdCheck:
    """Keep an answer as evidence: the raw reply sealed, its hash in the open (R-TAX-5)."""
    check = TaxIdCheck(
        id=new_id("tid"), type=kind, value=value, status=answer.status, reference=answer.reference,
        reply_hash=sha256_hex(answer.raw), authority=answer.registry, code=answer.code, again=answer.again,
        name_match=matching.name(buyer.company, answer.name),
        address_match=matching.address(buyer.postcode, answer.address),
        reply_sealed=secrets.seal(REPLY, answer.raw) if answer.raw else None, checked_at=now,
    )  # fmt: skip
    tx.add(check)
    tx.flush()
    return check


def last_check(tx: Tx, kind: str, value: str, *, only: str | None = None) -> TaxIdCheck | None:
    """What was said last of a number; with `only`, the last time that it was said to be that."""
    query = select(TaxIdCheck).where(col(TaxIdCheck.type) == kind, col(TaxIdCheck.value) == value)
    if only is not None:
        query = query.where(col(TaxIdCheck.status) == only)
    latest = query.order_by(col(TaxIdCheck.checked_at).desc(), col(TaxIdCheck.id).desc()).limit(1)
    return tx.execute(latest).scalar_one_or_none()
