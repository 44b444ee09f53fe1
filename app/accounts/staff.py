"""The vendor's own people: added, enrolled with a second factor, removed. Somebody always administers (S6-S8)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts import sessions, totp
from app.accounts.addresses import normal_email
from app.accounts.errors import AlreadyStaff, LastAdministrator
from app.accounts.models import Staff, StaffRole, WebSession
from app.core import audit
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id, require_form
from app.core.security import Secrets


def of_person(tx: Tx, email: str) -> Staff | None:
    """The present staff member with this address, which is normal (addresses.py)."""
    return tx.execute(
        select(Staff).where(func.lower(col(Staff.email)) == email, col(Staff.removed_at).is_(None))
    ).scalar_one_or_none()


def present(tx: Tx) -> Sequence[Staff]:
    """Everybody on staff, by name."""
    return list(
        tx.execute(
            select(Staff).where(col(Staff.removed_at).is_(None)).order_by(func.lower(col(Staff.name)), col(Staff.id))
        ).scalars()
    )


def get(tx: Tx, staff_id: str) -> Staff:
    """A present member of staff. Raises NotFound."""
    person = tx.get(Staff, require_form("stf", staff_id))
    if person is None or person.removed_at is not None:
        raise NotFound("There is no such person on staff.", param="staff_id")
    return person


def last_sign_ins(tx: Tx) -> Mapping[str, datetime]:
    """When each person last came in with a second factor, as far back as sessions are kept (sessions.py)."""
    rows = tx.execute(
        select(col(WebSession.staff_id), func.max(col(WebSession.created_at)))
        .where(col(WebSession.staff_id).is_not(None), col(WebSession.second_factor_at).is_not(None))
        .group_by(col(WebSession.staff_id))
    )
    return {str(staff_id): at for staff_id, at in rows}


def add_first(tx: Tx, *, email: str, name: str, now: datetime) -> Staff:
    """The first administrator, from the command line of the machine itself. Raises AlreadyStaff once anybody is."""
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("staff:first", 0))))
    if tx.execute(select(col(Staff.id)).where(col(Staff.removed_at).is_(None)).limit(1)).first():
        raise AlreadyStaff("There are staff members; one who administers adds the next in the console.")
    return add(tx, email=email, name=name, role=StaffRole.ADMIN, by="command-line", now=now)


def add(tx: Tx, *, email: str, name: str, role: StaffRole, by: str, now: datetime) -> Staff:
    """Let a person into the console; the first sign-in asks for a second factor. A removed person may come back.

    Whoever comes back enrols anew. Raises AlreadyStaff; Invalid for an unusable address.
    """
    address = normal_email(email)
    statement = insert(Staff).values(
        id=new_id("stf"), email=address, name=name.strip(), role=role, totp_last_step=0, created_at=now
    )
    fresh = statement.excluded
    id_ = tx.execute(
        statement.on_conflict_do_update(
            index_elements=["email"],
            set_={
                "removed_at": None, "role": fresh.role, "name": fresh.name, "created_at": fresh.created_at,
                "totp_sealed": None,
            },
            where=col(Staff.removed_at).is_not(None),
        ).returning(col(Staff.id))
    ).scalar_one_or_none()  # fmt: skip
    if id_ is None:
        raise AlreadyStaff("Change the role of this person instead.", param="email")
    audit.record(tx, audit.SYSTEM, actor=by, action="staff.added", subject=id_, now=now, details={"role": role})
    return tx.get_one(Staff, id_, populate_existing=True)


def change_role(tx: Tx, staff_id: str, role: StaffRole, *, by: str, now: datetime, why: str = "") -> Staff:
    """Give a person another role and end their sessions (S12). Raises NotFound, LastAdministrator."""
    person = _locked(tx, staff_id)
    if person.role is role:
        return person
    _require_another_administrator(tx, person)
    details: dict[str, str] = {"from": person.role, "to": role}
    person.role = role
    _ended(tx, person, by, "staff.role_changed", details | _said(why), now)
    return person


def remove(tx: Tx, staff_id: str, *, by: str, now: datetime, why: str = "") -> None:
    """A person is out of the console at once (S8). Raises NotFound, LastAdministrator."""
    person = _locked(tx, staff_id)
    _require_another_administrator(tx, person)
    person.removed_at, person.totp_sealed = now, None
    _ended(tx, person, by, "staff.removed", _said(why), now)


def reset_second_factor(tx: Tx, staff_id: str, *, by: str, now: datetime, why: str = "") -> None:
    """For a lost device: sessions end and the next sign-in enrols a new one. Raises NotFound."""
    person = _locked(tx, staff_id)
    person.totp_sealed = None
    _ended(tx, person, by, "staff.second_factor_reset", _said(why), now)


def pending_secret(secrets: Secrets, staff_id: str, session_id: str) -> str:
    """The secret offered while enrolling: the same throughout a session, so that showing it stores nothing."""
    return totp.secret_of(bytes.fromhex(secrets.fingerprint("totp-offer", f"{staff_id}/{session_id}")))


def enrol(tx: Tx, secrets: Secrets, staff_id: str, *, session_id: str, code: str, now: datetime) -> bool:
    """Keep the offered secret if the code proves that the device has it. False where it does not, or one is kept."""
    person = _locked(tx, staff_id, alone=True)
    offered = pending_secret(secrets, staff_id, session_id)
    step = totp.step_of(offered, code, used=0, now=now)
    if person.totp_sealed is not None or step is None:
        return False
    person.totp_sealed, person.totp_last_step = secrets.seal(_purpose(person), offered.encode()), step
    audit.record(tx, audit.SYSTEM, actor=person.id, action="staff.second_factor_enrolled", subject=person.id, now=now)
    return True


def show_second_factor(tx: Tx, secrets: Secrets, staff_id: str, *, code: str, now: datetime) -> bool:
    """Whether a code is right; under the row's lock, so that two requests cannot spend the same one (S6)."""
    person = _locked(tx, staff_id, alone=True)
    if person.totp_sealed is None:
        return False
    secret = secrets.open(_purpose(person), person.totp_sealed).decode()
    step = totp.step_of(secret, code, used=person.totp_last_step, now=now)
    if step is None:
        return False
    person.totp_last_step = step
    return True


def _purpose(person: Staff) -> str:
    # With the id in it a sealed secret moved to another row does not open.
    return f"totp/{person.id}"


def _said(why: str) -> dict[str, str]:
    """The reason for the audit record; the command line of the machine gives none."""
    return {"note": why} if why else {}


def _ended(tx: Tx, person: Staff, by: str, action: str, details: dict[str, str], now: datetime) -> None:
    sessions.revoke_staff(tx, person.id, now)
    audit.record(tx, audit.SYSTEM, actor=by, action=action, subject=person.id, now=now, details=details)


def _locked(tx: Tx, staff_id: str, *, alone: bool = False) -> Staff:
    """The person and, unless `alone`, every administrator, locked: two of them cannot remove each other at once."""
    require_form("stf", staff_id)
    wanted = col(Staff.id) == staff_id
    people = tx.execute(
        select(Staff)
        .where(col(Staff.removed_at).is_(None), wanted if alone else wanted | (col(Staff.role) == StaffRole.ADMIN))
        .order_by(col(Staff.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    for person in people:
        if person.id == staff_id:
            return person
    raise NotFound("There is no such person on staff.", param="staff_id")


def _require_another_administrator(tx: Tx, person: Staff) -> None:
    if person.role is not StaffRole.ADMIN:
        return
    others = tx.execute(
        select(func.count())
        .select_from(Staff)
        .where(col(Staff.role) == StaffRole.ADMIN, col(Staff.removed_at).is_(None), col(Staff.id) != person.id)
    ).scalar_one()
    if others == 0:
        raise LastAdministrator("Make somebody else an administrator first.", param="staff_id")
