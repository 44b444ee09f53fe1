"""The vendor's own people, on real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.accounts import sessions, staff
from app.accounts.errors import AlreadyStaff, LastAdministrator
from app.accounts.models import Audience, Staff, StaffRole
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.security import Secrets
from tests.signing_in import make_staff, session_of_staff, totp_code
from tests.world import World

NOW = transport_now()


def enrolled(tx: Tx, secrets: Secrets, *, role: StaffRole = StaffRole.ADMIN) -> tuple[Staff, str]:
    """A staff member with an authenticator, and its secret. The present code is spent."""
    person = make_staff(tx, role=role)
    secret = staff.pending_secret(secrets, person.id, "ses_1")
    assert staff.enrol(tx, secrets, person.id, session_id="ses_1", code=totp_code(secret), now=transport_now())
    return person, secret


def test_the_first_administrator_is_added_without_anybody_and_only_once(world: World) -> None:
    with world.db.transaction() as tx:
        first = staff.add_first(tx, email="Grace@Vendor.example", name="Grace", now=NOW)
        assert (first.email, first.role) == ("grace@vendor.example", StaffRole.ADMIN)
        with pytest.raises(AlreadyStaff):
            staff.add_first(tx, email="eve@vendor.example", name="Eve", now=NOW)


def test_the_last_administrator_stays(world: World) -> None:
    with world.db.transaction() as tx:
        admin, sales = make_staff(tx), make_staff(tx, role=StaffRole.SALES)
        with pytest.raises(LastAdministrator):
            staff.remove(tx, admin.id, by="x", now=NOW)
        with pytest.raises(LastAdministrator):
            staff.change_role(tx, admin.id, StaffRole.SALES, by="x", now=NOW)
        staff.change_role(tx, sales.id, StaffRole.ADMIN, by=admin.id, now=NOW)
        staff.remove(tx, admin.id, by=sales.id, now=NOW)
        assert staff.of_person(tx, admin.email) is None
        with pytest.raises(NotFound):
            staff.remove(tx, admin.id, by=sales.id, now=NOW)


def test_two_administrators_who_remove_each_other_at_once_leave_one(world: World) -> None:
    with world.db.transaction() as tx:
        pair = [make_staff(tx).id for _ in range(2)]
    gate = Barrier(2)

    def remove(staff_id: str) -> str:
        gate.wait(timeout=10)
        try:
            with world.db.transaction() as tx:
                staff.remove(tx, staff_id, by="x", now=NOW)
        except DomainError as refused:
            return refused.slug
        return "removed"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, pair)) == ["last-administrator", "removed"]


def test_the_authenticator_s_secret_is_stored_sealed_and_opens_only_in_its_own_row(world: World) -> None:
    with world.db.transaction() as tx:
        ada, secret = enrolled(tx, world.ports.secrets)
        eve, _ = enrolled(tx, world.ports.secrets)
        assert ada.totp_sealed is not None
        assert secret not in ada.totp_sealed
        eve.totp_sealed, eve.totp_last_step = ada.totp_sealed, 0
        tx.flush()
        with pytest.raises(ValueError, match="does not open"):
            staff.show_second_factor(tx, world.ports.secrets, eve.id, code=totp_code(secret), now=transport_now())


def test_a_code_is_good_once_even_for_two_requests_at_the_same_moment(world: World) -> None:
    """S6: each step once."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        person, secret = enrolled(tx, secrets)
    code, gate = totp_code(secret, steps_ahead=1), Barrier(4)

    def show(_: int) -> bool:
        gate.wait(timeout=10)
        with world.db.transaction() as tx:
            return staff.show_second_factor(tx, secrets, person.id, code=code, now=transport_now())

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(show, range(4))) == [False, False, False, True]


def test_a_second_enrolment_cannot_replace_a_device(world: World) -> None:
    """S6: whoever holds only the mailbox cannot bring their own authenticator."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        person, _ = enrolled(tx, secrets)
        other = staff.pending_secret(secrets, person.id, "ses_2")
        assert not staff.enrol(
            tx, secrets, person.id, session_id="ses_2", code=totp_code(other), now=transport_now()
        )  # fmt: skip


@pytest.mark.parametrize("act", ["remove", "role", "reset"])
def test_removal_another_role_and_a_reset_end_every_session(world: World, act: str) -> None:
    """S8, S12."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        make_staff(tx)
        person, _ = enrolled(tx, secrets)
        token = session_of_staff(tx, secrets, person)
        if act == "remove":
            staff.remove(tx, person.id, by="x", now=NOW)
        elif act == "role":
            staff.change_role(tx, person.id, StaffRole.SUPPORT, by="x", now=NOW)
        else:
            staff.reset_second_factor(tx, person.id, by="x", now=NOW)
        assert sessions.find(tx, secrets, token, audience=Audience.STAFF, now=transport_now()) is None


def test_a_person_who_comes_back_enrols_anew(world: World) -> None:
    with world.db.transaction() as tx:
        make_staff(tx)
        person, _ = enrolled(tx, world.ports.secrets)
        staff.remove(tx, person.id, by="x", now=NOW)
        again = staff.add(tx, email=person.email, name="Ada", role=StaffRole.FINANCE, by="x", now=NOW)
        assert (again.id, again.role, again.removed_at, again.totp_sealed) == (person.id, StaffRole.FINANCE, None, None)
        with pytest.raises(AlreadyStaff):
            staff.add(tx, email=person.email.upper(), name="Ada", role=StaffRole.ADMIN, by="x", now=NOW)
