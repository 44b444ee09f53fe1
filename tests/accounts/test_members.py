"""The people of an account, on real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.accounts import members, sessions
from app.accounts.errors import AlreadyMember, LastOwner, OwnersOnly
from app.accounts.members import By
from app.accounts.models import Audience, Role
from app.core import audit
from app.core.clock import transport_now
from app.core.errors import DomainError, Invalid, NotFound
from tests.signing_in import OPERATOR, make_account, make_member, session_of_member
from tests.world import World

OWNER = By("mem_owner", Role.OWNER)
NOW = transport_now()


def test_an_invited_person_may_act_for_the_account_under_any_spelling_of_the_address(world: World) -> None:
    with world.db.transaction() as tx:
        account = make_account(tx, "Engines")
        members.invite(tx, account.id, email=" Ada@Engines.example", name=" Ada ", role=Role.BUYER, by=OWNER, now=NOW)
        [membership] = members.of_person(tx, "ada@engines.example")
        assert (membership.account_name, membership.member_name, membership.role) == ("Engines", "Ada", Role.BUYER)
        with pytest.raises(AlreadyMember):
            members.invite(tx, account.id, email="ADA@engines.example", name="", role=Role.OWNER, by=OWNER, now=NOW)
        with pytest.raises(Invalid):
            members.invite(tx, account.id, email="ada", name="", role=Role.VIEWER, by=OWNER, now=NOW)


def test_a_removed_person_may_come_back_in_another_role(world: World) -> None:
    with world.db.transaction() as tx:
        account = make_account(tx)
        make_member(tx, account=account)
        ada = make_member(tx, account=account, email="ada@engines.example", role=Role.BILLING)
        members.remove(tx, account.id, ada.id, by=OWNER, now=NOW)
        assert members.of_person(tx, "ada@engines.example") == []
        again = members.invite(
            tx, account.id, email="ada@engines.example", name="Ada", role=Role.VIEWER, by=OWNER, now=NOW
        )
        assert (again.id, again.role, again.removed_at) == (ada.id, Role.VIEWER, None)


@pytest.mark.parametrize("role", [Role.BUYER, Role.BILLING, Role.LICENSE_ADMIN, Role.VIEWER])
def test_only_an_owner_makes_or_unmakes_an_owner(world: World, role: Role) -> None:
    """S7: only owners can grant owner (PyPI audit 8)."""
    by = By("mem_other", role)
    with world.db.transaction() as tx:
        account = make_account(tx)
        owner, other = make_member(tx, account=account), make_member(tx, account=account)
        viewer = make_member(tx, account=account, role=Role.VIEWER)
        with pytest.raises(OwnersOnly):
            members.invite(tx, account.id, email="new@engines.example", name="", role=Role.OWNER, by=by, now=NOW)
        with pytest.raises(OwnersOnly):
            members.change_role(tx, account.id, viewer.id, Role.OWNER, by=by, now=NOW)
        with pytest.raises(OwnersOnly):
            members.change_role(tx, account.id, other.id, Role.VIEWER, by=by, now=NOW)
        with pytest.raises(OwnersOnly):
            members.remove(tx, account.id, owner.id, by=by, now=NOW)


def test_the_last_owner_can_neither_leave_nor_step_down(world: World) -> None:
    with world.db.transaction() as tx:
        account = make_account(tx)
        owner = make_member(tx, account=account)
        make_member(tx, account=account, role=Role.VIEWER)
        with pytest.raises(LastOwner):
            members.remove(tx, account.id, owner.id, by=OWNER, now=NOW)
        with pytest.raises(LastOwner):
            members.change_role(tx, account.id, owner.id, Role.BUYER, by=OPERATOR, now=NOW)
        assert owner.role is Role.OWNER
        make_member(tx, account=account, email="second@engines.example")
        members.remove(tx, account.id, owner.id, by=OWNER, now=NOW)
        assert [person.email for person in members.of_account(tx, account.id) if person.role is Role.OWNER] == [
            "second@engines.example"
        ]


def test_two_owners_who_remove_each_other_at_once_leave_one(world: World) -> None:
    with world.db.transaction() as tx:
        account = make_account(tx)
        pair = [make_member(tx, account=account).id for _ in range(2)]
    gate = Barrier(2)

    def remove(member_id: str) -> str:
        gate.wait(timeout=10)
        try:
            with world.db.transaction() as tx:
                members.remove(tx, account.id, member_id, by=OWNER, now=NOW)
        except DomainError as refused:
            return refused.slug
        return "removed"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, pair)) == ["last-owner", "removed"]


def test_a_person_of_another_account_is_not_there(world: World) -> None:
    """S15."""
    with world.db.transaction() as tx:
        mine, theirs = make_account(tx), make_account(tx)
        make_member(tx, account=mine)
        stranger = make_member(tx, account=theirs)
        for act in (
            lambda: members.remove(tx, mine.id, stranger.id, by=OWNER, now=NOW),
            lambda: members.change_role(tx, mine.id, stranger.id, Role.VIEWER, by=OWNER, now=NOW),
            lambda: members.remove(tx, mine.id, "acc_1", by=OWNER, now=NOW),
        ):
            with pytest.raises(NotFound):
                act()


def test_removal_and_another_role_end_the_sessions_for_that_account_alone(world: World) -> None:
    """S8, S12."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        here, there = make_account(tx), make_account(tx)
        make_member(tx, account=here)
        ada = make_member(tx, account=here, email="ada@engines.example", role=Role.VIEWER)
        elsewhere = make_member(tx, account=there, email="ada@engines.example")
        tokens = [session_of_member(tx, secrets, member) for member in (ada, elsewhere)]
        members.change_role(tx, here.id, ada.id, Role.BUYER, by=OWNER, now=NOW)
        alive = [
            sessions.find(tx, secrets, token, audience=Audience.CUSTOMER, now=transport_now()) is not None
            for token in tokens
        ]
        assert alive == [False, True]


def test_every_change_of_people_is_in_the_account_s_chain(world: World) -> None:
    with world.db.transaction() as tx:
        account = make_account(tx)
        make_member(tx, account=account)
        ada = make_member(tx, account=account, role=Role.VIEWER)
        members.change_role(tx, account.id, ada.id, Role.BUYER, by=OWNER, now=NOW)
        members.remove(tx, account.id, ada.id, by=OWNER, now=NOW)
        tx.flush()
        chain = tx.query(audit.AuditEntry).filter_by(chain=account.id).order_by(audit.AuditEntry.sequence).all()  # type: ignore[arg-type]  # a column at run time
        assert [entry.action for entry in chain] == [
            "member.added", "member.added", "member.role_changed", "member.removed",
        ]  # fmt: skip
        assert list(audit.verify(tx)) == []
