"""Letting people in: whoever is added hears by mail who did it and where to sign in.

The mail carries no secret, since signing in goes through the mailbox anyway; each is a job on the queue of the very
transaction that added the person.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlmodel import col

from app.accounts import members, staff
from app.accounts import service as accounts
from app.accounts.errors import TooManyTries
from app.accounts.members import By
from app.accounts.models import Member, Role, Staff, StaffRole
from app.core import jobs, policy
from app.core.audit import AuditEntry
from app.core.db import Tx
from app.documents.mail_shapes import MailName, MemberAdded, StaffAdded
from app.flows import notify
from app.flows.ports import Ports

# The mails carry a name and a company that the account typed itself, to addresses of its choice.
PEOPLE_ADDED_PER_DAY: Final = policy.declare(
    policy.Policy(
        "people_added_per_day",
        50,
        policy.whole_number(minimum=1),
        "People an account can add in 24 hours; each is mailed",
    )
)
_DAY: Final = timedelta(days=1)


def add_member(
    tx: Tx, account_id: str, *, email: str, name: str, role: Role, by: By, now: datetime, business_now: datetime
) -> Member:  # fmt: skip
    """Let a person act for an account, and tell them. `now` is real time; by `business_now` policies are in force.

    Raises what `members.invite` raises, and TooManyTries past the policy `people_added_per_day`.
    """
    _require_room(tx, account_id, policy.get(tx, PEOPLE_ADDED_PER_DAY, business_now), now)
    member = members.invite(tx, account_id, email=email, name=name, role=role, by=by, now=now)
    jobs.defer(tx, member_added, member_id=member.id, by=by.actor)
    return member


def add_staff(tx: Tx, *, email: str, name: str, role: StaffRole, by: str, now: datetime) -> Staff:
    """Let a person into the console, and tell them; `by` is the administrator's id. Raises what `staff.add` raises."""
    person = staff.add(tx, email=email, name=name, role=role, by=by, now=now)
    jobs.defer(tx, staff_added, staff_id=person.id, by=by)
    return person


def _require_room(tx: Tx, account_id: str, most: int, now: datetime) -> None:
    # The record of deeds is counted, not the people: adding and removing one person over and over sends mails too.
    added, first = tx.execute(
        select(func.count(), func.min(col(AuditEntry.at))).where(
            col(AuditEntry.chain) == account_id, col(AuditEntry.action) == "member.added",
            col(AuditEntry.at) > now - _DAY,
        )
    ).one()  # fmt: skip
    if added >= most:
        raise TooManyTries(retry_after=max(1, int((first + _DAY - now).total_seconds())))


@jobs.job("inviting.member_added", retry=jobs.Retry(attempts=10, first=5))
def member_added(ports: Ports, *, member_id: str, by: str) -> None:
    """Nothing where the person was removed again meanwhile."""
    with ports.db.transaction() as tx:
        member = tx.get_one(Member, member_id)
        if member.removed_at is not None:
            return
        account = accounts.get(tx, member.account_id)
        name, address = _who(tx, by)
        data = MemberAdded(
            vendor=notify.sender(tx, ports), person_name=member.name, company=account.name, inviter_name=name,
            inviter_email=address, sign_in_url=ports.link("/sign-in"),
        )  # fmt: skip
    notify.send(ports, MailName.MEMBER_ADDED, data, to=member.email, locale=account.locale,
                message_id=_message_id(member.id, member.created_at))  # fmt: skip


@jobs.job("inviting.staff_added", retry=jobs.Retry(attempts=10, first=5))
def staff_added(ports: Ports, *, staff_id: str, by: str) -> None:
    """Nothing where the person was removed again meanwhile."""
    with ports.db.transaction() as tx:
        person = tx.get_one(Staff, staff_id)
        if person.removed_at is not None:
            return
        name, address = _who(tx, by)
        data = StaffAdded(
            vendor=notify.sender(tx, ports), person_name=person.name, inviter_name=name, inviter_email=address,
            sign_in_url=ports.link("/console/sign-in"),
        )  # fmt: skip
    notify.send(ports, MailName.STAFF_ADDED, data, to=person.email, locale="en",
                message_id=_message_id(person.id, person.created_at))  # fmt: skip


def _who(tx: Tx, actor: str) -> tuple[str, str]:
    """Name and address of whoever added somebody, also once they are gone themselves."""
    person = tx.get_one(Staff, actor) if actor.startswith("stf_") else tx.get_one(Member, actor)
    return person.name, person.email


def _message_id(person_id: str, since: datetime) -> str:
    # Somebody who comes back keeps their id and begins anew, so that is another mail.
    return f"added-{person_id}-{since:%Y%m%d%H%M%S%f}"
