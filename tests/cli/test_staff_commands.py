"""`blp staff`: run as an operator runs it, as a process on a real database."""

from collections.abc import Callable
from subprocess import CompletedProcess

from sqlalchemy import select
from sqlmodel import col

from app.accounts import sessions, staff
from app.accounts.models import Audience
from app.core.audit import AuditEntry
from app.core.clock import transport_now
from tests.signing_in import session_of_staff, totp_code
from tests.world import World

Blp = Callable[..., CompletedProcess[str]]


def test_the_first_administrator_is_added_on_the_machine_and_the_second_is_not(world: World, blp: Blp) -> None:
    first = blp("staff", "add", "Grace@Vendor.example", "--name", "Grace Hopper")
    assert (first.returncode, first.stderr) == (0, "")
    assert "grace@vendor.example" in first.stdout
    second = blp("staff", "add", "eve@vendor.example", "--name", "Eve")
    assert second.returncode == 1
    assert "adds the next in the console" in second.stderr
    assert "Traceback" not in second.stderr
    with world.db.transaction() as tx:
        assert staff.of_person(tx, "grace@vendor.example") is not None
        assert staff.of_person(tx, "eve@vendor.example") is None


def test_a_lost_device_is_forgotten_its_sessions_end_and_the_record_says_who(world: World, blp: Blp) -> None:
    now = transport_now()
    with world.db.transaction() as tx:
        person = staff.add_first(tx, email="grace@vendor.example", name="Grace", now=now)
        secret = staff.pending_secret(world.ports.secrets, person.id, "ses_1")
        assert staff.enrol(
            tx, world.ports.secrets, person.id, session_id="ses_1", code=totp_code(secret), now=transport_now()
        )
        session = session_of_staff(tx, world.ports.secrets, person)
    answer = blp("staff", "reset-second-factor", " GRACE@vendor.example ")
    assert (answer.returncode, answer.stderr) == (0, "")
    with world.db.transaction() as tx:
        again = staff.of_person(tx, "grace@vendor.example")
        assert again is not None
        assert again.totp_sealed is None
        assert sessions.find(tx, world.ports.secrets, session, audience=Audience.STAFF, now=transport_now()) is None
        entry = tx.execute(select(AuditEntry).where(col(AuditEntry.action) == "staff.second_factor_reset")).scalar_one()
        assert (entry.actor, entry.subject) == ("command-line", person.id)


def test_somebody_who_is_not_on_staff_is_named_as_such(blp: Blp) -> None:
    answer = blp("staff", "reset-second-factor", "nobody@vendor.example")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "nobody on staff" in answer.stderr
