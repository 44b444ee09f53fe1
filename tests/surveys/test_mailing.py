import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.core.events import Event
from app.flows import survey
from app.surveys import service
from app.surveys.models import SurveyInvitation, SurveyKind
from tests.surveys.conftest import Asking


def test_one_mail_and_one_reminder_are_sent_and_no_third(asking: Asking) -> None:
    made = asking.invite()
    asking.walk(days=2)
    assert asking.mails() == []
    asking.walk(days=1, minutes=5)
    assert len(asking.mails()) == 1
    asking.walk(days=6)
    assert len(asking.mails()) == 1
    asking.walk(days=40)
    first, second = asking.mails()
    assert first.message_id == f"survey-invitation-{made.id}"
    assert second.message_id == f"survey-reminder-{made.id}"
    left = asking.read(made)
    assert left.emailed_at is not None
    assert left.reminded_at is not None
    assert timedelta(days=7) <= left.reminded_at - left.emailed_at < timedelta(days=8)
    assert survey.enqueue_due(asking.world.ports) == 0


def test_after_a_downtime_each_mail_is_sent_once_and_the_reminder_waits_its_week(asking: Asking) -> None:
    asking.invite()
    asking.later(days=12)
    asking.tick()
    assert len(asking.mails()) == 1
    asking.later(days=6)
    assert len(asking.mails()) == 1
    asking.later(days=1)
    assert len(asking.mails()) == 2


def test_a_link_that_died_during_the_downtime_is_not_mailed_and_no_reminder_outlives_it(asking: Asking) -> None:
    asking.invite()
    late = asking.invite("bo@acme.example", now=asking.now() + timedelta(days=4))
    asking.later(days=31)
    assert asking.mails() == []
    assert len(asking.mails("bo@acme.example")) == 1
    assert asking.read(late).reminder_due_at is None, "three days are left of its thirty"


def test_an_answer_stops_the_mail_and_the_reminder(asking: Asking) -> None:
    on_the_page = asking.invite()
    asking.answer(on_the_page, 9)
    asking.later(days=5)
    assert asking.mails() == []
    by_mail = asking.invite("bo@acme.example")
    asking.later(days=3)
    asking.answer(by_mail, 2)
    asking.later(days=20)
    assert len(asking.mails("bo@acme.example")) == 1


def test_opting_out_stops_everything_that_waits(asking: Asking) -> None:
    mailed = asking.invite()
    asking.later(days=3)
    other = asking.invite("bo@acme.example")
    asking.within(lambda tx: service.opt_out(tx, tx.get_one(SurveyInvitation, mailed.id), asking.now()))
    asking.within(lambda tx: service.opt_out(tx, tx.get_one(SurveyInvitation, other.id), asking.now()))
    asking.later(days=20)
    assert (len(asking.mails()), len(asking.mails("bo@acme.example"))) == (1, 0)
    assert asking.read(other).suppressed_reason == "opted_out"
    assert asking.read(mailed).suppressed_reason is None, "it was asked"


def test_two_purchases_at_the_same_moment_are_still_one_mail(asking: Asking) -> None:
    """Neither transaction saw the other's invitation; the second look before sending does."""
    first, second = asking.invite(), asking.invite("bo@acme.example")
    with asking.world.db.transaction() as tx:
        twin = tx.get_one(SurveyInvitation, second.id)
        twin.person_email, twin.person_hash = first.person_email, first.person_hash
    asking.later(days=3)
    assert len(asking.mails()) == 1
    assert sorted(str(asking.read(each).suppressed_reason) for each in (first, second)) == ["None", "asked_recently"]


def test_a_mail_that_is_asked_for_from_many_sides_is_sent_once(asking: Asking) -> None:
    made = asking.invite(kind=SurveyKind.RENEWAL)
    asking.later(hours=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: survey.enqueue_due(asking.world.ports), range(8)))
    asking.later(days=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: survey.send_mail.run(asking.world.ports, invitation_id=made.id), range(8)))
    assert len(asking.mails()) == 1


def test_the_mail_carries_eleven_links_and_a_way_out_that_works_with_one_click(asking: Asking) -> None:
    made = asking.invite()
    asking.later(days=3)
    mail = asking.mails()[0]
    token = asking.token(made)
    assert re.findall(r"/survey/(\S+)\?score=(\d+)", mail.text) == [(token, str(score)) for score in range(11)]
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = mail.headers["List-Unsubscribe"].strip("<>")
    assert address == f"{asking.world.url}/survey/{token}/opt-out"
    assert f"No more surveys: {address}\n" in mail.text, "the same address for people"
    browser = asking.world.browser()
    seen = browser.get(address)
    assert (seen.status_code, "No more surveys?" in seen.text) == (200, True)
    asking.later(days=1)
    assert not _opted_out(asking), "opening it changes nothing"
    clicked = browser.post(address, content=b"List-Unsubscribe=One-Click",
                           headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert clicked.status_code == 200, "no redirect, which a mail program takes for a failure"
    assert _opted_out(asking)
    asking.later(days=20)
    assert len(asking.mails()) == 1


def _opted_out(asking: Asking) -> bool:
    with asking.world.db.transaction() as tx:
        return service.has_opted_out(tx, asking.world.ports.secrets, "ana@acme.example")


def test_the_clock_walk_can_stop_exactly_where_a_mail_is_due(asking: Asking) -> None:
    made = asking.invite()
    assert made.email_due_at is not None
    with asking.world.db.transaction() as tx:
        assert survey.next_due(tx, asking.now()) == made.email_due_at
        assert survey.next_due(tx, made.email_due_at) is None
    asking.later(days=3)
    mailed = asking.read(made)
    with asking.world.db.transaction() as tx:
        assert survey.next_due(tx, asking.now()) == mailed.reminder_due_at
    asking.answer(made, 7)
    with asking.world.db.transaction() as tx:
        assert survey.next_due(tx, asking.now()) is None


def test_sending_is_told_without_saying_to_whom(asking: Asking) -> None:
    made = asking.invite()
    asking.later(days=3)
    with asking.world.db.transaction() as tx:
        event = tx.execute(select(Event).where(col(Event.object_id) == made.id)).scalar_one()
    assert (event.type, event.account_id) == ("survey.sent", None)
    assert event.data == {
        "kind": "purchase", "step": "invitation", "test": True, "segment": {"plan": "professional", "seats": "11-50"},
    }  # fmt: skip
