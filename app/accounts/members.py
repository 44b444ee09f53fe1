"""The people of an account: invited, given a role, removed. Somebody always owns it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts import sessions
from app.accounts.addresses import normal_email
from app.accounts.errors import AlreadyMember, LastOwner, OwnersOnly
from app.accounts.models import Account, Member, Role, StaffRole
from app.accounts.permissions import may_touch_owners
from app.core import audit
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id, require_form


@dataclass(frozen=True, slots=True)
class Membership:
    """One account a person may act for."""

    account_id: str
    account_name: str
    locale: str
    member_name: str
    role: Role


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the people of an account: an id for the record, and the role that allows it."""

    actor: str
    role: Role | StaffRole


def of_person(tx: Tx, email: str) -> Sequence[Membership]:
    """Every account an address may act for, by name. `email` is normal (addresses.py)."""
    rows = tx.execute(
        select(Account, Member)
        .join(Member, col(Member.account_id) == col(Account.id))
        .where(func.lower(col(Member.email)) == email, col(Member.removed_at).is_(None))
        .order_by(col(Account.name), col(Account.id))
    )
    return [Membership(account.id, account.name, account.locale, member.name, member.role) for account, member in rows]


def of_account(tx: Tx, account_id: str) -> Sequence[Member]:
    """The present people of an account, first come first."""
    return list(
        tx.execute(
            select(Member)
            .where(col(Member.account_id) == account_id, col(Member.removed_at).is_(None))
            .order_by(col(Member.created_at), col(Member.id))
        ).scalars()
    )


def invite(tx: Tx, account_id: str, *, email: str, name: str, role: Role, by: By, now: datetime) -> Member:
    """Let a person act for an account; they sign in with their address. A removed person may come back.

    Raises AlreadyMember; OwnersOnly where `by` may not grant that role (S7); Invalid for an unusable address.
    """
    _require_rank(by, role)
    address = normal_email(email)
    statement = insert(Member).values(
        id=new_id("mem"), account_id=account_id, email=address, name=name.strip(), role=role, created_at=now
    )
    fresh = statement.excluded
    id_ = tx.execute(
        statement.on_conflict_do_update(
            index_elements=[col(Member.account_id), func.lower(col(Member.email))],
            set_={"removed_at": None, "role": fresh.role, "name": fresh.name, "created_at": fresh.created_at},
            where=col(Member.removed_at).is_not(None),
        ).returning(col(Member.id))
    ).scalar_one_or_none()
    if id_ is None:
        raise AlreadyMember("Change the role of this person instead.", param="email")
    audit.record(tx, account_id, actor=by.actor, action="member.added", subject=id_, now=now, details={"role": role})
    return tx.get_one(Member, id_, populate_existing=True)


def change_role(tx: Tx, account_id: str, member_id: str, role: Role, *, by: By, now: datetime) -> Member:
    """Give a person another role; their sessions for this account end, so that no page goes on with the old one (S12).

    Raises NotFound, OwnersOnly, LastOwner.
    """
    member = _locked(tx, account_id, member_id)
    if member.role is role:
        return member
    _require_rank(by, role)
    _require_rank(by, member.role)
    _require_another_owner(tx, member)
    before, member.role = member.role, role
    _ended(tx, member, by, "member.role_changed", {"from": before, "to": role}, now)
    return member


def remove(tx: Tx, account_id: str, member_id: str, *, by: By, now: datetime) -> None:
    """A person may no longer act for an account and is signed out of it. Raises NotFound, OwnersOnly, LastOwner."""
    member = _locked(tx, account_id, member_id)
    _require_rank(by, member.role)
    _require_another_owner(tx, member)
    member.removed_at = now
    _ended(tx, member, by, "member.removed", {"role": member.role}, now)


def _ended(tx: Tx, member: Member, by: By, action: str, details: dict[str, str], now: datetime) -> None:
    sessions.revoke_member(tx, member.account_id, member.email, now)
    audit.record(tx, member.account_id, actor=by.actor, action=action, subject=member.id, now=now, details=details)


def _require_rank(by: By, role: Role) -> None:
    if role is Role.OWNER and not may_touch_owners(by.role):
        raise OwnersOnly("Ask an owner of the account to do this.", param="role")


def _locked(tx: Tx, account_id: str, member_id: str) -> Member:
    """The member, while every owner of the account is locked: two owners cannot remove each other at once."""
    require_form("mem", member_id)
    people = tx.execute(
        select(Member)
        .where(
            col(Member.account_id) == account_id,
            col(Member.removed_at).is_(None),
            (col(Member.id) == member_id) | (col(Member.role) == Role.OWNER),
        )
        .order_by(col(Member.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    for person in people:
        if person.id == member_id:
            return person
    raise NotFound("There is no such person in this account.", param="member_id")


def _require_another_owner(tx: Tx, member: Member) -> None:
    if member.role is not Role.OWNER:
        return
    others = tx.execute(
        select(func.count())
        .select_from(Member)
        .where(
            col(Member.account_id) == member.account_id,
            col(Member.role) == Role.OWNER,
            col(Member.removed_at).is_(None),
            col(Member.id) != member.id,
        )
    ).scalar_one()
    if others == 0:
        raise LastOwner("Make somebody else an owner first.", param="member_id")
