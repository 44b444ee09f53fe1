"""Signed-in browsers (S12): looked up on every request, so that whoever is removed is out at once.

All times here are real time. The cookie's value exists only in the browser; the table holds a keyed hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlmodel import col

from app.accounts.models import Audience, Member, Role, Staff, StaffRole, WebSession
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id, new_secret
from app.core.security import Secrets

# Without a request for this long, and in any case after this long, a session is over.
IDLE: Final[Mapping[Audience, timedelta]] = {
    Audience.CUSTOMER: timedelta(hours=24),
    Audience.STAFF: timedelta(minutes=30),
}
LONGEST: Final[Mapping[Audience, timedelta]] = {
    Audience.CUSTOMER: timedelta(days=14),
    Audience.STAFF: timedelta(hours=12),
}
FRESH: Final = timedelta(hours=1)  # how long a second factor allows dangerous actions (S8)
_TOUCH_AFTER: Final = timedelta(minutes=1)
_KEPT: Final = timedelta(days=30)
_LONGEST_AGENT: Final = 300


@dataclass(frozen=True, slots=True)
class SignedInCustomer:
    """Who is asking on a customer's page, for which account, in which role right now."""

    session_id: str
    account_id: str
    member_id: str
    email: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class SignedInStaff:
    """Who is asking in the console; `second_factor_at` is when the second factor was last shown."""

    session_id: str
    staff_id: str
    email: str
    name: str
    role: StaffRole
    second_factor_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return now - self.second_factor_at < FRESH


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from, as kept with its session."""

    ip: str
    user_agent: str


def _hash(secrets: Secrets, token: str) -> str:
    return secrets.fingerprint("web-session", token)


def begin(
    tx: Tx, secrets: Secrets, *, audience: Audience, email: str, caller: Caller, now: datetime,
    staff_id: str | None = None, account_id: str | None = None,
) -> tuple[WebSession, str]:  # fmt: skip
    """A new session and its cookie value (256 random bits), which no earlier value of the browser decides."""
    token = new_secret()
    session = WebSession(
        id=new_id("ses"), audience=audience, token_hash=_hash(secrets, token), email=email, staff_id=staff_id,
        account_id=account_id, created_at=now, last_seen_at=now, expires_at=now + LONGEST[audience],
        ip=caller.ip, user_agent=caller.user_agent[:_LONGEST_AGENT],
    )  # fmt: skip
    tx.add(session)
    return session, token


def find(tx: Tx, secrets: Secrets, token: str, *, audience: Audience, now: datetime) -> WebSession | None:
    """The live session behind a cookie, or None; notes, at most once a minute, that it was used."""
    if not token:
        return None
    session = tx.execute(
        select(WebSession).where(
            col(WebSession.token_hash) == _hash(secrets, token),
            col(WebSession.audience) == audience,
            col(WebSession.revoked_at).is_(None),
            col(WebSession.expires_at) > now,
            col(WebSession.last_seen_at) > now - IDLE[audience],
        )
    ).scalar_one_or_none()
    if session is not None and now - session.last_seen_at > _TOUCH_AFTER:
        session.last_seen_at = now
    return session


def customer_of(tx: Tx, session: WebSession) -> SignedInCustomer | None:
    """The person behind a session and an account; None where none is chosen or the person was removed from it."""
    if session.account_id is None:
        return None
    member = tx.execute(
        select(Member).where(
            col(Member.account_id) == session.account_id,
            func.lower(col(Member.email)) == session.email,
            col(Member.removed_at).is_(None),
        )
    ).scalar_one_or_none()
    if member is None:
        return None
    return SignedInCustomer(session.id, member.account_id, member.id, session.email, member.name, member.role)


def staff_behind(tx: Tx, session: WebSession) -> Staff | None:
    """The staff member of a session, whether the second factor was shown or not; None for one who was removed."""
    return tx.execute(
        select(Staff).where(col(Staff.id) == session.staff_id, col(Staff.removed_at).is_(None))
    ).scalar_one_or_none()


def staff_of(tx: Tx, session: WebSession) -> SignedInStaff | None:
    """The staff member behind a session; None before the second factor and for one who was removed."""
    person = staff_behind(tx, session)
    if person is None or session.second_factor_at is None:
        return None
    return SignedInStaff(session.id, person.id, person.email, person.name, person.role, session.second_factor_at)


def rotate(tx: Tx, secrets: Secrets, session: WebSession) -> str:
    """A new cookie value for a session whose rights grow; the old one is dead at once."""
    token = new_secret()
    session.token_hash = _hash(secrets, token)
    tx.flush()
    return token


def act_for(tx: Tx, secrets: Secrets, session: WebSession, account_id: str) -> str:
    """Let a customer's session act for one of the person's accounts; returns the new cookie value.

    Raises NotFound for an account the person does not belong to.
    """
    session.account_id = account_id
    with tx.no_autoflush:
        known = customer_of(tx, session)
    if known is None:
        raise NotFound("You do not belong to such an account.", param="account_id")
    return rotate(tx, secrets, session)


def _revoke(tx: Tx, now: datetime, *which: object) -> None:
    tx.execute(
        update(WebSession)
        .where(col(WebSession.revoked_at).is_(None), *which)  # type: ignore[arg-type]  # column comparisons
        .values(revoked_at=now)
    )


def revoke(tx: Tx, session_id: str, now: datetime) -> None:
    _revoke(tx, now, col(WebSession.id) == session_id)


def revoke_member(tx: Tx, account_id: str, email: str, now: datetime) -> None:
    """Every session in which this person acts for this account."""
    _revoke(tx, now, col(WebSession.account_id) == account_id, col(WebSession.email) == email.lower())


def revoke_staff(tx: Tx, staff_id: str, now: datetime) -> None:
    _revoke(tx, now, col(WebSession.staff_id) == staff_id)


def forget_old(tx: Tx, now: datetime) -> None:
    """Where a session came from is personal; it is kept for as long as an incident may take to be noticed."""
    tx.execute(delete(WebSession).where(col(WebSession.expires_at) < now - _KEPT))
