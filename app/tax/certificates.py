"""Exemption certificates of customers: submitted, reviewed, their end told, and what the engine gets of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import col

from app.core import audit, events
from app.core.bulk import among
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, NotFound
from app.core.ids import new_id
from app.tax.dataset import load
from app.tax.models import CertificateReason, CertificateState, ExemptionCertificate
from app.tax.names import EXTRA_COUNTRIES, country_codes
from app.tax.request import Buyer, Exemption

_LONGEST: Final = 60  # characters of a number
_DAY: Final = timedelta(days=1)
_OF_ACCOUNT: Final = (
    select(ExemptionCertificate)
    .where(
        col(ExemptionCertificate.account_id) == bindparam("account"),
        col(ExemptionCertificate.state) == CertificateState.ACCEPTED,
    )
    .order_by(col(ExemptionCertificate.id))
)


class CertificateDecided(DomainError):
    slug, title = "certificate-decided", "This certificate was decided on already"


@dataclass(frozen=True, slots=True)
class Stated:
    """What a certificate says. `expires_on` is its last day, None for one without an end."""

    jurisdiction: str
    reason: str
    number: str
    signed_on: date
    expires_on: date | None = None


def checked(stated: Stated, today: date) -> Stated:
    """The same in our spelling. Raises Invalid (naming the field) for what no certificate can say."""
    if stated.reason not in set(CertificateReason):
        raise Invalid(f"Choose one of {', '.join(CertificateReason)}.", param="reason")
    number = " ".join(stated.number.split())
    if not number or len(number) > _LONGEST:
        raise Invalid(f"Give the number of the certificate, at most {_LONGEST} characters.", param="number")
    if stated.signed_on > today:
        raise Invalid("It counts from the day it was signed on, which cannot be to come.", param="signed_on")
    if stated.expires_on is not None and stated.expires_on < stated.signed_on:
        raise Invalid("It expires after it was signed.", param="expires_on")
    if stated.expires_on is not None and stated.expires_on < today:
        raise Invalid("It has expired; send the one that took its place.", param="expires_on")
    return Stated(_jurisdiction(stated.jurisdiction), stated.reason, number, stated.signed_on, stated.expires_on)


def submit(tx: Tx, account_id: str, stated: Stated, paper_id: str, *, by: str, now: datetime) -> ExemptionCertificate:
    """Keep what `checked` let pass, with its paper, for a review."""
    row = ExemptionCertificate(
        id=new_id("exc"), account_id=account_id, jurisdiction=stated.jurisdiction,
        reason=CertificateReason(stated.reason), number=stated.number, signed_on=stated.signed_on,
        expires_on=stated.expires_on, paper_id=paper_id, state=CertificateState.SUBMITTED, submitted_by=by,
        submitted_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    _tell(tx, row, "submitted", by, now, {"jurisdiction": row.jurisdiction, "reason": row.reason.value})
    return row


def accept(
    tx: Tx, certificate_id: str, *, note: str, remind_days: int, time_zone: str, by: str, now: datetime, today: date
) -> ExemptionCertificate:  # fmt: skip
    """Let it count from now on. It takes the place of one for the same jurisdiction that holds on some of its days.

    Raises NotFound, CertificateDecided, Invalid for one that expired while it waited.
    """
    row = _waiting(tx, certificate_id)
    if row.expires_on is not None and row.expires_on < today:
        raise Invalid("It expired while it waited: reject it, and ask for the one that took its place.", param="note")
    for before in _overlapping(tx, row):
        _revoke(tx, before, f"Replaced by {row.id}", by, now)
    row.state, row.reviewed_by, row.reviewed_at, row.review_note = CertificateState.ACCEPTED, by, now, note
    if row.expires_on is not None:
        row.ends_at = start_of(row.expires_on + _DAY, time_zone)
        warned_at = start_of(row.expires_on - timedelta(days=remind_days), time_zone)
        row.remind_at = warned_at if warned_at > now else None  # the mail that it was accepted names its end
    tx.flush()
    _tell(tx, row, "accepted", by, now, {"note": note})
    return row


def reject(tx: Tx, certificate_id: str, *, reason: str, by: str, now: datetime) -> ExemptionCertificate:
    """Say no, for a reason that the customer is told. Raises NotFound, CertificateDecided."""
    row = _waiting(tx, certificate_id)
    row.state, row.reviewed_by, row.reviewed_at, row.review_note = CertificateState.REJECTED, by, now, reason
    tx.flush()
    _tell(tx, row, "rejected", by, now, {"reason": reason})
    return row


def revoke(tx: Tx, certificate_id: str, *, reason: str, by: str, now: datetime) -> ExemptionCertificate:
    """Let an accepted one count no longer; documents keep their tax. Raises NotFound, CertificateDecided."""
    row = _locked(tx, certificate_id)
    if row.state is not CertificateState.ACCEPTED:
        raise CertificateDecided(f"It is {row.state.value}; only an accepted one is revoked.")
    return _revoke(tx, row, reason, by, now)


def _revoke(tx: Tx, row: ExemptionCertificate, reason: str, by: str, now: datetime) -> ExemptionCertificate:
    row.state, row.revoked_by, row.revoked_at, row.revoked_why = CertificateState.REVOKED, by, now, reason
    tx.flush()
    _tell(tx, row, "revoked", by, now, {"reason": reason})
    return row


def get(tx: Tx, certificate_id: str) -> ExemptionCertificate:
    """Raises NotFound."""
    row = tx.get(ExemptionCertificate, certificate_id)
    if row is None:
        raise NotFound("There is no such certificate.")
    return row


def of_account(tx: Tx, account_id: str) -> Sequence[ExemptionCertificate]:
    """The accepted ones, expired or not."""
    return tx.execute(_OF_ACCOUNT, {"account": account_id}).scalars().all()


def of_accounts(tx: Tx, account_ids: Sequence[str]) -> dict[str, list[ExemptionCertificate]]:
    """What `of_account` finds for each of many, in one query."""
    query = (
        select(ExemptionCertificate)
        .where(
            among(col(ExemptionCertificate.account_id), account_ids),
            col(ExemptionCertificate.state) == CertificateState.ACCEPTED,
        )
        .order_by(col(ExemptionCertificate.id))
    )
    found: dict[str, list[ExemptionCertificate]] = {}
    for row in tx.execute(query).scalars():
        found.setdefault(row.account_id, []).append(row)
    return found


def for_engine(rows: Iterable[ExemptionCertificate], buyer: Buyer, on: date) -> tuple[Exemption, ...]:
    """What the engine is told: only what holds on that day in the buyer's country or state, nothing of other places."""
    place = buyer.country if not buyer.region else f"{buyer.country}-{buyer.region}"
    return tuple(
        Exemption(row.jurisdiction, row.reason.value, row.number, row.signed_on, row.expires_on, row.state.value)
        for row in rows
        if row.jurisdiction in {buyer.country, place} or row.jurisdiction.startswith(f"{place}-")
        if row.signed_on <= on and (row.expires_on is None or on <= row.expires_on)
    )


def waiting(tx: Tx, limit: int = 200) -> Sequence[ExemptionCertificate]:
    """Those that nobody reviewed, the longest waiting first."""
    query = select(ExemptionCertificate).where(col(ExemptionCertificate.state) == CertificateState.SUBMITTED)
    return tx.execute(query.order_by(col(ExemptionCertificate.submitted_at)).limit(limit)).scalars().all()


def count_waiting(tx: Tx) -> int:
    query = select(func.count()).where(col(ExemptionCertificate.state) == CertificateState.SUBMITTED)
    return tx.execute(query).scalar_one()


def waiting_of(tx: Tx, account_id: str) -> int:
    """How many of an account wait for a review."""
    query = select(func.count()).where(
        col(ExemptionCertificate.account_id) == account_id,
        col(ExemptionCertificate.state) == CertificateState.SUBMITTED,
    )
    return tx.execute(query).scalar_one()


def decided(tx: Tx, limit: int = 200) -> Sequence[ExemptionCertificate]:
    """Those that were reviewed, the last one first."""
    query = select(ExemptionCertificate).where(col(ExemptionCertificate.state) != CertificateState.SUBMITTED)
    return tx.execute(query.order_by(col(ExemptionCertificate.reviewed_at).desc()).limit(limit)).scalars().all()


def ending(tx: Tx, now: datetime, limit: int = 200) -> list[ExemptionCertificate]:
    """Accepted ones whose end is near or has come and whose customer was not told of it; locked, so that two ticks
    share the work.
    """
    query = (
        select(ExemptionCertificate)
        .where(
            col(ExemptionCertificate.state) == CertificateState.ACCEPTED,
            or_(
                (col(ExemptionCertificate.remind_at) <= now) & col(ExemptionCertificate.reminded_at).is_(None),
                (col(ExemptionCertificate.ends_at) <= now) & col(ExemptionCertificate.end_told_at).is_(None),
            ),
        )
        .order_by(col(ExemptionCertificate.ends_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(tx.execute(query).scalars())


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """When the next customer is told that a certificate ends."""
    accepted = col(ExemptionCertificate.state) == CertificateState.ACCEPTED
    asked = (
        (col(ExemptionCertificate.remind_at), col(ExemptionCertificate.reminded_at)),
        (col(ExemptionCertificate.ends_at), col(ExemptionCertificate.end_told_at)),
    )
    found = [
        tx.execute(select(func.min(due)).where(accepted, told.is_(None), due > after)).scalar() for due, told in asked
    ]
    return min((at for at in found if at is not None), default=None)


def _locked(tx: Tx, certificate_id: str) -> ExemptionCertificate:
    """One at a time for each account: two reviews of certificates for one jurisdiction take turns."""
    account_id = get(tx, certificate_id).account_id
    every = select(ExemptionCertificate).where(col(ExemptionCertificate.account_id) == account_id)
    rows = tx.execute(
        every.order_by(col(ExemptionCertificate.id)).with_for_update().execution_options(populate_existing=True)
    )
    return next(row for row in rows.scalars() if row.id == certificate_id)


def _waiting(tx: Tx, certificate_id: str) -> ExemptionCertificate:
    row = _locked(tx, certificate_id)
    if row.state is not CertificateState.SUBMITTED:
        raise CertificateDecided(f"It is {row.state.value} since {row.reviewed_at:%Y-%m-%d}.")
    return row


def _overlapping(tx: Tx, row: ExemptionCertificate) -> list[ExemptionCertificate]:
    return [
        each
        for each in of_account(tx, row.account_id)
        if each.jurisdiction == row.jurisdiction
        and (each.expires_on is None or row.signed_on <= each.expires_on)
        and (row.expires_on is None or each.signed_on <= row.expires_on)
    ]


def _tell(tx: Tx, row: ExemptionCertificate, what: str, by: str, now: datetime, details: dict[str, str]) -> None:
    audit.record(tx, row.account_id, actor=by, action=f"exemption.{what}", subject=row.id, now=now, details=details)
    events.append(tx, f"exemption_certificate.{what}", row.id, now=now, account_id=row.account_id,
                  jurisdiction=row.jurisdiction, reason=row.reason.value)  # fmt: skip


@cache
def jurisdictions() -> tuple[str, ...]:
    """Every place that a certificate can be for: states, provinces, and countries other than the United States."""
    data = load()
    return (
        *(f"US-{state}" for state in sorted(data.united_states.states)),
        *(f"CA-{province}" for province in sorted(data.canada.provinces)),
        *sorted({data.places.country(code) for code in country_codes() - EXTRA_COUNTRIES - {"US"}}),
    )  # fmt: skip


def _jurisdiction(text: str) -> str:
    code = text.strip().upper()
    if code not in jurisdictions():
        raise Invalid(
            "Give the place whose tax it is about, such as US-NY, CA-BC or DE; the United States tax by state.",
            param="jurisdiction",
        )
    return code
