"""A change that waits for the next term is told to whoever answers for it: scheduled, withdrawn, dropped."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from app.accounts import members
from app.accounts.members import By
from app.accounts.models import Role
from app.flows import ending, seat_change
from app.flows.seat_change import Wanted
from app.reports import verify_books
from app.subscriptions import scheduled
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription
from tests import changing, shop
from tests.console.helping import audited, do, told
from tests.flows.ending import walk
from tests.signing_in import staff_browser
from tests.world import World


def wait_for(world: World, held: Subscription, seats: int) -> ScheduledChange:
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=seats))
    row = seat_change.commit(world.ports, offer.id, changing.how(world, by="mem_1")).scheduled
    assert row
    return row


def mails(world: World, to: str) -> list[dict[str, Any]]:
    """About changes, oldest first."""
    world.work()
    found = world.browser().get("/sandbox/mail.json", params={"to": to, "limit": 50}).json()
    words = ("change for", "seats", "Änderung", "Plätzen")
    return [each for each in reversed(found) if any(word in each["subject"] for word in words)]


def invite(world: World, held: Subscription, email: str, role: Role) -> None:
    with world.db.transaction() as tx:
        members.invite(tx, held.account_id, email=email, name="", role=role, by=By("test", Role.OWNER),
                       now=world.ports.clock.now())  # fmt: skip


def test_people_who_answer_for_it_are_told_once_of_what_comes_and_of_what_does_not(world: World) -> None:
    held = changing.subscription(world, shop.buy(world, seats=30))
    invite(world, held, "bo@example.de", Role.BUYER)
    invite(world, held, "vi@example.de", Role.VIEWER)
    first = wait_for(world, held, 20)
    for to in ("ada@example.de", "bo@example.de"):
        (mail,) = mails(world, to)
        assert "Professional with 20 seats" in mail["subject"]
        assert f"{held.ends_on.day}, {held.ends_on.year}" in mail["text"]
        assert "Until then nothing changes (Professional with 30 seats)" in mail["text"]
        assert f"/account/subscriptions/{held.id}" in mail["text"]
    assert mails(world, "vi@example.de") == []

    second = wait_for(world, held, 21)
    assert "takes the place of the change that was scheduled before" in mails(world, "bo@example.de")[-1]["text"]
    browser, person = staff_browser(world)
    here = f"/console/subscriptions/{held.id}"
    action = f"{here}/changes/{second.id}/withdraw"
    assert "21 seats" in browser.get(here).text
    silent = do(browser, here, action, note="")
    assert (silent.status_code, told(world, "subscription.change_withdrawn")) == (422, 0)
    done = do(browser, here, action, note="Ada asked for it on the phone.")
    assert done.headers["location"] == f"{here}?done=change-withdrawn"
    page = browser.get(done.headers["location"]).text
    assert action not in page
    (entry,) = audited(world, "subscription.change_withdrawn")
    assert (entry.actor, entry.details["reason"]) == (person.id, "Ada asked for it on the phone.")
    last = mails(world, "ada@example.de")[-1]
    assert "We have withdrawn the change" in last["text"]
    assert "Professional with 30 seats" in last["text"]
    assert "phone" not in last["text"], "the reason is for the log"
    again = browser.post(action, data={"note": "Again.", "csrf_token": ""})
    assert again.status_code in {403, 409}
    with world.db.transaction() as tx:
        assert scheduled.scheduled(tx, held.id) is None
        assert tx.get_one(ScheduledChange, first.id).state is ScheduledState.WITHDRAWN
    assert len(mails(world, "bo@example.de")) == 3


def test_what_waits_is_dropped_with_a_subscription_that_ends_and_said_in_german(world: World) -> None:
    held = changing.subscription(world, shop.buy(world, seats=30))
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET locale = 'de'"))
    row = wait_for(world, held, 20)
    assert "haben Sie Professional mit 20 Plätzen" in mails(world, "ada@example.de")[0]["text"]
    ending.stop(world.ports, held.id, reason="", by="mem_1")
    with world.db.transaction() as tx:
        assert scheduled.scheduled(tx, held.id) is not None, "the customer may still change their mind"
    walk(world, world.ports.clock.now() + (held.ends_on - world.ports.clock.now().date()) + timedelta(days=1))
    with world.db.transaction() as tx:
        closed = tx.get_one(ScheduledChange, row.id)
        assert (closed.state, closed.closed_by) == (ScheduledState.WITHDRAWN, "ending")
    assert told(world, "subscription.change_dropped") == 1
    assert "ist zu Ende" in mails(world, "ada@example.de")[-1]["text"]
    assert verify_books.verify(world.db) == []


def test_a_wish_that_is_taken_back_at_once_is_not_announced_first(world: World) -> None:
    held = changing.subscription(world, shop.buy(world, seats=30))
    row = wait_for(world, held, 20)
    seat_change.withdraw(world.ports, held.id, row.id, by="mem_1")
    (mail,) = mails(world, "ada@example.de")
    assert "is withdrawn" in mail["subject"]
    assert "We have" not in mail["text"]
