from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.core import policy
from app.core.errors import Invalid
from app.core.events import Event
from app.surveys import service
from app.surveys.errors import SurveyClosed, TooManyAnswers
from app.surveys.models import SurveyFetch, SurveyInvitation, SurveyResponse
from tests.callers import customer
from tests.surveys.conftest import Asking


def versions(asking: Asking, made: SurveyInvitation) -> list[SurveyResponse]:
    with asking.world.db.transaction() as tx:
        return list(
            tx.execute(
                select(SurveyResponse)
                .where(col(SurveyResponse.invitation_id) == made.id)
                .order_by(col(SurveyResponse.version))
            ).scalars()
        )


def told(asking: Asking, made: SurveyInvitation) -> list[Event]:
    with asking.world.db.transaction() as tx:
        return list(
            tx.execute(
                select(Event).where(col(Event.object_id) == made.id).order_by(col(Event.object_sequence))
            ).scalars()
        )


def test_answers_can_be_changed_until_the_link_dies_and_every_version_is_kept(asking: Asking) -> None:
    made = asking.invite()
    asking.answer(made, 10, "quick")
    asking.later(days=1)
    asking.answer(made, 4, "license was late")
    kept = versions(asking, made)
    assert [(each.version, each.score, each.latest) for each in kept] == [(1, 10, False), (2, 4, True)]
    assert {each.wording_id for each in kept} == {"purchase-1"}
    assert asking.read(made).answered_at == kept[0].answered_at, "the month of an answer does not move"
    asking.later(days=29)
    with pytest.raises(SurveyClosed):
        asking.answer(made, 9)
    assert len(versions(asking, made)) == 2


def test_the_same_answer_sent_twice_is_one_answer(asking: Asking) -> None:
    made = asking.invite()
    first = asking.answer(made, 8, "fine\r\nthanks ")
    assert asking.answer(made, 8, "fine\nthanks").id == first.id
    assert [each.type for each in told(asking, made)] == ["survey.answered"]
    asking.answer(made, 8, "fine")
    assert [each.type for each in told(asking, made)] == ["survey.answered", "survey.updated"]


def test_twenty_people_with_one_link_leave_versions_without_a_gap_and_one_that_counts(asking: Asking) -> None:
    made = asking.invite()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda turn: asking.answer(made, turn % 11, f"answer {turn}"), range(20)))
    kept = versions(asking, made)
    assert [each.version for each in kept] == list(range(1, 21))
    assert [each.latest for each in kept] == [False] * 19 + [True]
    events = told(asking, made)
    assert [each.object_sequence for each in events] == list(range(1, 21))
    assert [each.type for each in events] == ["survey.answered"] + ["survey.updated"] * 19


@pytest.mark.parametrize("score", [-1, 11])
def test_what_is_not_on_the_scale_is_refused(asking: Asking, score: int) -> None:
    with pytest.raises(Invalid, match="0 to 10"):
        asking.answer(asking.invite(), score)


def test_a_comment_is_stored_without_what_no_person_types(asking: Asking) -> None:
    made = asking.invite()
    assert asking.answer(made, 5, " a\x00b\x1b[31m\nc\u202e ").comment == "ab[31m\nc"
    with pytest.raises(Invalid, match="at most 2000"):
        asking.answer(made, 5, "x" * 2001)


def test_an_answer_is_not_changed_for_ever(asking: Asking) -> None:
    made = asking.invite()
    for turn in range(50):
        asking.answer(made, turn % 11, str(turn))
    with pytest.raises(TooManyAnswers):
        asking.answer(made, 1, "once more")


def test_events_say_what_was_answered_and_not_by_whom(asking: Asking) -> None:
    _, account_id = customer(asking.world, name="Secret Company Ltd")
    made = asking.invite(account_id=account_id)
    asking.answer(made, 3, "Call +49 171 2345678 or mail ana@acme.example. Invoice was wrong.")
    (event,) = told(asking, made)
    assert event.account_id is None, "colleagues with an API key of the account do not read it"
    assert event.data == {
        "kind": "purchase", "score": 3, "band": "detractor", "plan": "professional", "version": 1,
        "segment": {"plan": "professional", "seats": "11-50"}, "wording_id": "purchase-1", "source": "blp",
        "test": True, "comment": "Call [number] or mail [e-mail] Invoice was wrong.",
    }  # fmt: skip


def test_policies_decide_about_names_and_comments_in_events(asking: Asking) -> None:
    _, account_id = customer(asking.world, name="Open Company Ltd")
    now = asking.now()
    with asking.world.db.transaction() as tx:
        for name, value in (("survey_names_in_events", True), ("survey_comments_in_events", False)):
            policy.change(tx, name, value, valid_from=now, by="test", why="agreed", now=now)
    made = asking.invite(account_id=account_id)
    asking.answer(made, 9, "good")
    (event,) = told(asking, made)
    assert "comment" not in event.data
    assert event.data["person"] == {"name": "Ana Berg", "email": "ana@acme.example"}
    assert event.data["company"] == "Open Company Ltd"


def test_opening_links_stores_evidence_and_never_an_answer(asking: Asking) -> None:
    made = asking.invite()
    for score in [*range(11), 99, -1, None]:
        asking.within(
            lambda tx, score=score: service.record_fetch(  # type: ignore[misc]  # bound per turn
                tx, made, score=score, user_agent="Proofpoint\x00\n" + "x" * 500, now=asking.now()
            )
        )
    assert versions(asking, made) == []
    assert asking.read(made).answered_at is None
    with asking.world.db.transaction() as tx:
        rows = tx.execute(select(SurveyFetch).order_by(col(SurveyFetch.id))).scalars().all()
    assert [each.score for each in rows] == [*range(11), None, None, None]
    assert {len(each.user_agent) for each in rows} == {200}


def test_a_scanner_cannot_fill_the_table(asking: Asking) -> None:
    made = asking.invite()
    with asking.world.db.transaction() as tx:
        for _ in range(250):
            service.record_fetch(tx, made, score=1, user_agent="bot", now=asking.now() + timedelta(seconds=1))
        assert tx.execute(select(func.count()).select_from(SurveyFetch)).scalar_one() == 200
