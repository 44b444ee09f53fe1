"""What was asked and found about an account, and what a person decided: cases, records, how far a rescreen came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.core import audit, policy
from app.core.bulk import among
from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.ids import new_id
from app.screening import lists
from app.screening.matching import Hit, Party
from app.screening.models import (
    CaseState,
    CheckOutcome,
    Decision,
    ScreeningCase,
    ScreeningCheck,
    ScreeningDecision,
    ScreeningEntry,
)

REVIEW_DAYS: Final = policy.declare(
    policy.Policy(
        "screening_review_days", 2, policy.whole_number(minimum=1),
        "Business days within which a name that is like a listed one is looked at.",
    )
)  # fmt: skip
KEPT_YEARS: Final = policy.declare(
    policy.Policy(
        "screening_kept_years", 10, policy.whole_number(minimum=5),
        "Years for which records and decisions of screening are kept (31 CFR 501.601).",
    )
)  # fmt: skip
_SATURDAY: Final = 5
# From which state to which a decision leads, and what it is called in the audit log.
_STEPS: Final[Mapping[Decision, tuple[CaseState, CaseState]]] = {
    Decision.CLEAR: (CaseState.OPEN, CaseState.CLEARED),
    Decision.CONFIRM: (CaseState.OPEN, CaseState.CONFIRMED),
    Decision.OVERTURN: (CaseState.CONFIRMED, CaseState.CLEARED),
    Decision.REOPEN: (CaseState.CLEARED, CaseState.OPEN),
}
_CALLED: Final[Mapping[Decision, str]] = {
    Decision.CLEAR: "cleared", Decision.CONFIRM: "confirmed", Decision.OVERTURN: "overturned",
    Decision.REOPEN: "reopened",
}  # fmt: skip


class PartyRefused(DomainError):
    """Says nothing about lists: what was found is not the buyer's to know or to argue with."""

    status, slug = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "party-refused"
    title = "We are not able to supply you"

    def __init__(self) -> None:
        super().__init__("We cannot take this order or deliver to this account. Write to us if you think that this is"
                         " a mistake.")  # fmt: skip


class CaseDecided(DomainError):
    slug, title = "case-decided", "Somebody has decided this case"


@dataclass(frozen=True, slots=True)
class Screened:
    """What came of a look at an account: `cases` that are open or confirmed, `missing` lists that are required."""

    outcome: CheckOutcome
    cases: tuple[ScreeningCase, ...] = ()
    missing: tuple[str, ...] = ()


def screen(
    tx: Tx, account_id: str, parties: Sequence[Party], hits: Iterable[Hit], *, by: str, test: bool,
    now: datetime, preview_id: str | None = None, keep_clear: bool = True,
) -> Screened:  # fmt: skip
    """Open a case for every hit that nobody decided, and write down what was asked and found.

    The outcome rests on these hits and on what was confirmed of the account, not on its other open cases: whoever types
    an address and a listed name without signing in must not stop the orders of those whose address it is.
    `keep_clear=False` writes no record where nothing was found, for what keeps it otherwise.
    """
    found, missing = list(hits), lists.missing(tx, now, test=test)
    _open(tx, account_id, found, now)
    asked = {(hit.entry.id, hit.party.normalized) for hit in found}
    cases = [
        each
        for each in standing_of(tx, account_id)
        if each.state is CaseState.CONFIRMED or (each.entry_id, each.normalized) in asked
    ]
    outcome = CheckOutcome.CLEAR
    if any(each.state is CaseState.CONFIRMED or each.exact for each in cases):
        outcome = CheckOutcome.BLOCKED
    elif cases or missing:
        outcome = CheckOutcome.REVIEW
    if keep_clear or found:
        tx.add(ScreeningCheck(
            id=new_id("chk"), account_id=account_id, preview_id=preview_id,
            names=[{"role": str(each.role), "name": each.name, "country": each.country} for each in parties],
            versions={each.list_code: each.id or 0 for each in lists.current(tx)},
            hits=[each.to_json() for each in found], outcome=outcome, checked_by=by, checked_at=now,
        ))  # fmt: skip
        tx.flush()
    return Screened(outcome, tuple(cases), tuple(missing))


def _open(tx: Tx, account_id: str, hits: Sequence[Hit], now: datetime) -> None:
    """A case for each; none where this name and this content of the entry have one, whatever became of it."""
    if not hits:
        return
    due = after_business_days(now, policy.get(tx, REVIEW_DAYS, now))
    rows = {
        (hit.entry.id, hit.party.normalized): {
            "id": new_id("scr"), "account_id": account_id, "role": hit.party.role, "party_name": hit.party.name,
            "normalized": hit.party.normalized, "country": hit.party.country, "entry_id": hit.entry.id,
            "entry_hash": hit.entry.content_hash, "entry": as_listed(hit.entry), "version_id": hit.entry.version_id,
            "score": hit.score, "exact": hit.exact, "state": CaseState.OPEN, "opened_at": now, "due_at": due,
            "decided_by": "", "reason": "",
        }
        for hit in hits
    }  # fmt: skip
    tx.execute(insert(ScreeningCase).values(list(rows.values())).on_conflict_do_nothing())


def as_listed(entry: ScreeningEntry) -> dict[str, Any]:
    """An entry as JSON, to be kept with what rests on it."""
    return {
        "list": entry.list_code, "source": entry.source, "entity_number": entry.entity_number, "type": entry.type,
        "programs": entry.programs, "name": entry.name, "alt_names": entry.alt_names, "countries": entry.countries,
        "starts_on": entry.starts_on.isoformat() if entry.starts_on else None,
        "ends_on": entry.ends_on.isoformat() if entry.ends_on else None, "url": entry.url,
    }  # fmt: skip


def after_business_days(since: datetime, days: int) -> datetime:
    """The same time of day, that many days from Monday to Friday later."""
    at = since
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < _SATURDAY
    return at


def standing_of(tx: Tx, account_id: str) -> list[ScreeningCase]:
    """The open and confirmed cases of an account, the most alike first. An open one about content that its list has
    changed or taken back is none any more.
    """
    query = (
        select(ScreeningCase)
        .join(ScreeningEntry, col(ScreeningEntry.id) == col(ScreeningCase.entry_id))
        .where(col(ScreeningCase.account_id) == account_id, _stands())
        .order_by(col(ScreeningCase.score).desc(), col(ScreeningCase.id))
    )
    return list(tx.execute(query).scalars())


def _stands() -> Any:
    listed = (col(ScreeningEntry.content_hash) == col(ScreeningCase.entry_hash)) & col(ScreeningEntry.removed_in).is_(
        None
    )
    return or_(col(ScreeningCase.state) == CaseState.CONFIRMED, (col(ScreeningCase.state) == CaseState.OPEN) & listed)


def in_question(tx: Tx, account_ids: Iterable[str]) -> set[str]:
    """Those of these accounts with an open or confirmed case."""
    query = select(col(ScreeningCase.account_id)).where(
        among(col(ScreeningCase.account_id), account_ids), col(ScreeningCase.state) != CaseState.CLEARED
    )
    return set(tx.execute(query).scalars())


def refused(tx: Tx, account_id: str) -> bool:
    """Whether a person confirmed that the account is a listed party."""
    query = select(col(ScreeningCase.id)).where(
        col(ScreeningCase.account_id) == account_id, col(ScreeningCase.state) == CaseState.CONFIRMED
    )
    return tx.execute(query.limit(1)).scalar() is not None


def get(tx: Tx, case_id: str, *, lock: bool = False) -> ScreeningCase:
    """Raises NotFound."""
    query = select(ScreeningCase).where(col(ScreeningCase.id) == case_id)
    found = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such case.")
    return found


def decide(tx: Tx, case_id: str, decision: Decision, *, by: str, reason: str, now: datetime) -> ScreeningCase:
    """A person's word on a case. A cleared one comes back by itself only when its entry changes.

    What is said later does not wipe out what was said before: every decision is kept. Raises NotFound, CaseDecided.
    """
    case = get(tx, case_id, lock=True)
    before, after = _STEPS[decision]
    if case.state is not before:
        raise CaseDecided(f"It is {case.state} by now; somebody was quicker.")
    case.state = after
    if after is CaseState.OPEN:
        case.decided_at, case.decided_by, case.reason = None, "", ""
        case.due_at = after_business_days(now, policy.get(tx, REVIEW_DAYS, now))
    else:
        case.decided_at, case.decided_by, case.reason = now, by, reason
    tx.add(ScreeningDecision(case_id=case.id, decision=decision, decided_by=by, reason=reason, decided_at=now))
    tx.flush()
    # In the vendor's own chain: an account's is handed out with its export, and this is not its people's to know.
    audit.record(
        tx, audit.SYSTEM, actor=by, action=f"screening.{_CALLED[decision]}", subject=case.id, now=now,
        details={"account": case.account_id, "entry": case.entry_id, "content": case.entry_hash, "score": case.score,
                 "version": case.version_id, "why": reason},
    )  # fmt: skip
    return case


def decisions_of(tx: Tx, case_id: str) -> list[ScreeningDecision]:
    """All that was ever decided about a case, in order."""
    query = select(ScreeningDecision).where(col(ScreeningDecision.case_id) == case_id)
    return list(tx.execute(query.order_by(col(ScreeningDecision.id))).scalars())


def open_cases(tx: Tx, limit: int) -> list[ScreeningCase]:
    """Those that wait for a person, the longest waiting first."""
    query = (
        select(ScreeningCase)
        .join(ScreeningEntry, col(ScreeningEntry.id) == col(ScreeningCase.entry_id))
        .where(col(ScreeningCase.state) == CaseState.OPEN, _stands())
        .order_by(col(ScreeningCase.opened_at), col(ScreeningCase.id))
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def open_count(tx: Tx) -> int:
    query = (
        select(func.count())
        .select_from(ScreeningCase)
        .join(ScreeningEntry, col(ScreeningEntry.id) == col(ScreeningCase.entry_id))
        .where(col(ScreeningCase.state) == CaseState.OPEN, _stands())
    )
    return tx.execute(query).scalar_one()


def forget_old(tx: Tx, now: datetime) -> int:
    """Delete records older than the law wants them kept; cases stay, for their decisions hold on. Returns how many."""
    years = policy.get(tx, KEPT_YEARS, now)
    found = tx.execute(delete(ScreeningCheck).where(col(ScreeningCheck.checked_at) < now - timedelta(days=366 * years)))
    return int(getattr(found, "rowcount", 0))
