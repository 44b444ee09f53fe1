"""Signed-in browsers on real PostgreSQL (S12)."""

from datetime import timedelta

import pytest

from app.accounts import sessions
from app.accounts.models import Audience, WebSession
from app.core.clock import transport_now
from app.core.errors import NotFound
from tests.signing_in import CALLER, make_account, make_member, make_staff, session_of_member, session_of_staff
from tests.world import World

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("audience", "idle", "longest"),
    [
        (Audience.CUSTOMER, timedelta(hours=24), timedelta(days=14)),
        (Audience.STAFF, timedelta(minutes=30), timedelta(hours=12)),
    ],
)
def test_a_session_ends_idle_and_in_any_case_at_its_longest(
    world: World, audience: Audience, idle: timedelta, longest: timedelta
) -> None:
    secrets, start = world.ports.secrets, transport_now()
    with world.db.transaction() as tx:
        person = make_staff(tx)
        session, token = sessions.begin(
            tx, secrets, audience=audience, email=person.email, caller=CALLER, now=start,
            staff_id=person.id if audience is Audience.STAFF else None,
        )  # fmt: skip
        tx.flush()
        assert sessions.find(tx, secrets, token, audience=audience, now=start + idle - MINUTE) is session
        assert session.last_seen_at == start + idle - MINUTE, "being used keeps it alive"
        assert sessions.find(tx, secrets, token, audience=audience, now=start + 2 * idle - 2 * MINUTE) is session
        assert sessions.find(tx, secrets, token, audience=audience, now=start + 3 * idle) is None, "idle for too long"
        session.last_seen_at = start + longest - MINUTE
        tx.flush()
        assert sessions.find(tx, secrets, token, audience=audience, now=start + longest) is None, "for too long at all"


def test_only_a_keyed_hash_of_the_cookie_is_stored(world: World) -> None:
    with world.db.transaction() as tx:
        token = session_of_member(tx, world.ports.secrets, make_member(tx))
        tx.flush()
        row = tx.query(WebSession).one()
        assert len(token) >= 43
        assert token not in str(row.model_dump())


def test_a_session_of_one_side_of_the_counter_opens_nothing_on_the_other(world: World) -> None:
    secrets, now = world.ports.secrets, transport_now()
    with world.db.transaction() as tx:
        customer = session_of_member(tx, secrets, make_member(tx))
        colleague = session_of_staff(tx, secrets, make_staff(tx))
        assert sessions.find(tx, secrets, customer, audience=Audience.STAFF, now=now) is None
        assert sessions.find(tx, secrets, colleague, audience=Audience.CUSTOMER, now=now) is None
        assert sessions.find(tx, secrets, "", audience=Audience.CUSTOMER, now=now) is None


def test_changing_over_to_another_account_gives_the_session_a_new_value(world: World) -> None:
    """S12: the id is rotated where rights change."""
    secrets, now = world.ports.secrets, transport_now()
    with world.db.transaction() as tx:
        one, two, foreign = (make_account(tx, name) for name in ("One", "Two", "Three"))
        ada = make_member(tx, account=one, email="ada@engines.example")
        make_member(tx, account=two, email="ada@engines.example")
        make_member(tx, account=foreign)
        token = session_of_member(tx, secrets, ada)
        session = sessions.find(tx, secrets, token, audience=Audience.CUSTOMER, now=now)
        assert session is not None
        renewed = sessions.act_for(tx, secrets, session, two.id)
        assert sessions.find(tx, secrets, token, audience=Audience.CUSTOMER, now=now) is None
        found = sessions.find(tx, secrets, renewed, audience=Audience.CUSTOMER, now=now)
        assert found is not None
        acting = sessions.customer_of(tx, found)
        assert acting is not None
        assert acting.account_id == two.id
        with pytest.raises(NotFound):
            sessions.act_for(tx, secrets, found, foreign.id)


def test_staff_are_fresh_for_an_hour_after_the_second_factor(world: World) -> None:
    """S8."""
    secrets, now = world.ports.secrets, transport_now()
    with world.db.transaction() as tx:
        token = session_of_staff(tx, secrets, make_staff(tx))
        session = sessions.find(tx, secrets, token, audience=Audience.STAFF, now=now)
        assert session is not None
        person = sessions.staff_of(tx, session)
        assert person is not None
        assert person.is_fresh(person.second_factor_at + timedelta(minutes=59))
        assert not person.is_fresh(person.second_factor_at + timedelta(minutes=60))
        session.second_factor_at = None
        assert sessions.staff_of(tx, session) is None
