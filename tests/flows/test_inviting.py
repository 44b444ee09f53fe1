"""Whoever is let in hears by mail who did it and where to sign in; the mail itself opens nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.accounts import members, staff
from app.accounts.errors import AlreadyMember, TooManyTries
from app.accounts.members import By
from app.accounts.models import Member, Role, StaffRole
from app.core import jobs, policy
from app.core.clock import transport_now
from app.flows import inviting
from app.flows.inviting import PEOPLE_ADDED_PER_DAY
from tests.signing_in import come_by_link, make_member, make_staff
from tests.world import World

BOB = "bob@engines.example"


def mails(world: World, to: str) -> list[dict[str, str]]:
    world.work()
    found: list[dict[str, str]] = world.browser().get("/sandbox/mail.json", params={"to": to}).json()
    return found


def owner_of(world: World) -> Member:
    with world.db.transaction() as tx:
        return make_member(tx, email="ada@engines.example", name="Ada Byron")


def add(world: World, owner: Member, email: str = BOB) -> Member:
    with world.db.transaction() as tx:
        return inviting.add_member(
            tx, owner.account_id, email=email, name="Bob", role=Role.VIEWER, by=By(owner.id, owner.role),
            now=transport_now(), business_now=world.ports.clock.now(),
        )  # fmt: skip


def test_a_new_member_hears_of_it_and_signs_in_as_the_mail_says(world: World) -> None:
    add(world, owner_of(world))
    (mail,) = mails(world, BOB)
    assert "Ada Byron (ada@engines.example) added you to the account of Engines Ltd" in mail["text"]
    assert mail["text"].startswith(("Hello Bob,", "*** TEST"))
    assert f"{world.url}/sign-in\n" in mail["text"]
    entered = come_by_link(world, world.browser(), BOB)
    assert (entered.status_code, entered.headers["location"]) == (303, "/account")


def test_the_mail_is_in_the_account_s_language(world: World) -> None:
    owner = owner_of(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET locale = 'de'"))
    add(world, owner)
    (mail,) = mails(world, BOB)
    assert "hat Sie in das Konto von Engines Ltd bei" in mail["text"]


def test_a_new_colleague_hears_of_it(world: World) -> None:
    with world.db.transaction() as tx:
        grace = make_staff(tx, email="grace@vendor.example", name="Grace")
        inviting.add_staff(tx, email="linus@vendor.example", name="Linus", role=StaffRole.SALES, by=grace.id,
                           now=transport_now())  # fmt: skip
    (mail,) = mails(world, "linus@vendor.example")
    assert "Grace (grace@vendor.example) added you to the staff of" in mail["text"]
    assert f"{world.url}/console/sign-in\n" in mail["text"]
    assert "second factor" in mail["text"]


def test_whoever_was_removed_before_the_mail_left_hears_nothing(world: World) -> None:
    owner, now = owner_of(world), transport_now()
    with world.db.transaction() as tx:
        grace = make_staff(tx)
        linus = inviting.add_staff(tx, email="linus@vendor.example", name="Linus", role=StaffRole.SALES, by=grace.id,
                                   now=now)  # fmt: skip
        staff.remove(tx, linus.id, by=grace.id, now=now)
    bob = add(world, owner)
    with world.db.transaction() as tx:
        members.remove(tx, owner.account_id, bob.id, by=By(owner.id, owner.role), now=now)
    assert mails(world, BOB) == []
    assert mails(world, "linus@vendor.example") == []


def test_somebody_who_comes_back_is_told_again_and_a_refusal_tells_nobody(world: World) -> None:
    owner = owner_of(world)
    bob = add(world, owner)
    with pytest.raises(AlreadyMember):
        add(world, owner)
    assert len(mails(world, BOB)) == 1
    with world.db.transaction() as tx:
        members.remove(tx, owner.account_id, bob.id, by=By(owner.id, owner.role), now=transport_now())
    add(world, owner)
    assert len(mails(world, BOB)) == 2


def test_the_same_job_twice_is_one_mail(world: World) -> None:
    owner = owner_of(world)
    bob = add(world, owner)
    with world.db.transaction() as tx:
        jobs.defer(tx, inviting.member_added, member_id=bob.id, by=owner.id)
    assert len(mails(world, BOB)) == 1


def test_an_account_cannot_mail_the_world(world: World) -> None:
    owner, now = owner_of(world), transport_now()
    with world.db.transaction() as tx:
        policy.change(tx, PEOPLE_ADDED_PER_DAY.name, 3, valid_from=now - timedelta(days=1), by="test", why="test",
                      now=now)  # fmt: skip
    for number in range(2):  # the owner was added today as well
        bob = add(world, owner, f"bob{number}@engines.example")
        with world.db.transaction() as tx:
            members.remove(tx, owner.account_id, bob.id, by=By(owner.id, owner.role), now=now)
    with pytest.raises(TooManyTries) as refused:
        add(world, owner)
    assert 86_000 < int(str(refused.value.extra["retry_after"])) <= 86_400
    assert mails(world, BOB) == []
