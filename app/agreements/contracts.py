"""Agreements of single customers: kept with their paper, in force for their days, reminded of before they end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import col

from app.agreements import papers
from app.agreements.models import CustomAgreement, PaperKind
from app.agreements.papers import Upload
from app.core import audit, events
from app.core.bulk import among
from app.core.clock import start_of
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, NotFound
from app.core.ids import new_id

# Built once: every preview of a known account asks it (ADR 0022).
_IN_FORCE: Final = (
    select(CustomAgreement)
    .where(
        col(CustomAgreement.account_id) == bindparam("account"),
        col(CustomAgreement.effective_from) <= bindparam("day"),
        or_(col(CustomAgreement.effective_to).is_(None), col(CustomAgreement.effective_to) > bindparam("day")),
        col(CustomAgreement.ended_at).is_(None),
    )
    .order_by(col(CustomAgreement.effective_from).desc(), col(CustomAgreement.id).desc())
    .limit(1)
)


class AgreementEnded(DomainError):
    slug, title = "agreement-ended", "This agreement has ended already"


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed; `effective_to` is the first day on which it no longer applies, None for open-ended."""

    title: str
    deviations: str
    effective_from: date
    effective_to: date | None
    approved_by: str
    renews_by_itself: bool = False


def record(
    tx: Tx, account_id: str, terms: Terms, upload: Upload, *, remind_days: int, time_zone: str, by: str, now: datetime
) -> CustomAgreement:  # fmt: skip
    """Keep an agreement with its paper. Raises Invalid (naming the field), PaperRefused."""
    for name, value, words in (
        ("title", terms.title, "Give it a name, such as Master agreement 2026."),
        ("deviations", terms.deviations, "Say in words what differs from the terms of sale."),
        ("approved_by", terms.approved_by, "Say who approved it on our side."),
    ):
        if not value.strip():
            raise Invalid(words, param=name)
    if terms.effective_to is not None and terms.effective_to <= terms.effective_from:
        raise Invalid("It ends after it begins.", param="effective_to")
    paper = papers.keep(tx, upload, account_id=account_id, kind=PaperKind.AGREEMENT, by=by, now=now)
    last = terms.effective_to
    remind_at = start_of(last - timedelta(days=remind_days), time_zone) if last is not None else None
    agreement = CustomAgreement(
        id=new_id("agr"), account_id=account_id, title=terms.title.strip(), deviations=terms.deviations.strip(),
        effective_from=terms.effective_from, effective_to=terms.effective_to, paper_id=paper.id,
        approved_by=terms.approved_by.strip(),
        renews_by_itself=terms.renews_by_itself, recorded_by=by, recorded_at=now, remind_at=remind_at,
    )  # fmt: skip
    tx.add(agreement)
    tx.flush()
    details = {"title": agreement.title, "approved_by": agreement.approved_by, "sha256": paper.sha256}
    audit.record(tx, account_id, actor=by, action="agreement.recorded", subject=agreement.id, now=now, details=details)
    events.append(tx, "agreement.recorded", agreement.id, now=now, account_id=account_id, title=agreement.title)
    return agreement


def get(tx: Tx, agreement_id: str) -> CustomAgreement:
    found = tx.get(CustomAgreement, agreement_id)
    if found is None:
        raise NotFound("There is no such agreement.")
    return found


def in_force(tx: Tx, account_id: str, now: datetime) -> CustomAgreement | None:
    """The youngest agreement that applies to the account today."""
    return tx.execute(_IN_FORCE, {"account": account_id, "day": now.date()}).scalar_one_or_none()


def in_force_of(tx: Tx, account_ids: Sequence[str], now: datetime) -> dict[str, CustomAgreement]:
    """The agreements that `in_force` finds, by account."""
    day = now.date()
    query = (
        select(CustomAgreement)
        .where(
            among(col(CustomAgreement.account_id), account_ids),
            col(CustomAgreement.effective_from) <= day,
            or_(col(CustomAgreement.effective_to).is_(None), col(CustomAgreement.effective_to) > day),
            col(CustomAgreement.ended_at).is_(None),
        )
        .order_by(col(CustomAgreement.effective_from), col(CustomAgreement.id))
    )
    return {each.account_id: each for each in tx.execute(query).scalars()}


def of_account(tx: Tx, account_id: str) -> list[CustomAgreement]:
    """Newest first, ended ones too."""
    query = select(CustomAgreement).where(col(CustomAgreement.account_id) == account_id)
    return list(tx.execute(query.order_by(col(CustomAgreement.id).desc())).scalars())


def end(tx: Tx, agreement_id: str, *, why: str, by: str, now: datetime) -> CustomAgreement:
    """Let it apply no longer, from this moment. Raises NotFound, AgreementEnded."""
    query = select(CustomAgreement).where(col(CustomAgreement.id) == agreement_id).with_for_update()
    found = tx.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such agreement.")
    if found.ended_at is not None:
        raise AgreementEnded(f"It ended on {found.ended_at.date()}.")
    found.ended_at, found.ended_by, found.ended_why = now, by, why
    audit.record(tx, found.account_id, actor=by, action="agreement.ended", subject=found.id, now=now,
                 details={"reason": why})  # fmt: skip
    events.append(tx, "agreement.ended", found.id, now=now, account_id=found.account_id)
    return found


def due(tx: Tx, now: datetime, limit: int = 200) -> list[CustomAgreement]:
    """Agreements whose end is near and that nobody was reminded of; locked, so that two ticks share the work."""
    query = (
        select(CustomAgreement)
        .where(
            col(CustomAgreement.remind_at) <= now,
            col(CustomAgreement.reminded_at).is_(None),
            col(CustomAgreement.ended_at).is_(None),
        )
        .order_by(col(CustomAgreement.remind_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(tx.execute(query).scalars())


def next_due(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(CustomAgreement.remind_at))).where(
        col(CustomAgreement.reminded_at).is_(None), col(CustomAgreement.ended_at).is_(None),
        col(CustomAgreement.remind_at) > after,
    )  # fmt: skip
    return tx.execute(query).scalar()
