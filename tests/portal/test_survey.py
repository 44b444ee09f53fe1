"""The one question: asked on the confirmation page, and behind the link of a mail (R-NPS)."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.surveys import service
from app.surveys.models import AnswerSource, SurveyFetch, SurveyInvitation, SurveyOptOut, SurveyResponse
from tests import shop
from tests.portal.buyers import count, page_of, visitor
from tests.world import World


def link(world: World) -> str:
    """The path of the survey about the only purchase."""
    with world.db.transaction() as tx:
        invitation = tx.execute(select(SurveyInvitation)).scalar_one()
    return f"/survey/{service.token_of(world.ports.secrets, invitation)}"


def answers(world: World) -> list[tuple[int, str, AnswerSource]]:
    with world.db.transaction() as tx:
        rows = tx.execute(select(SurveyResponse).order_by(col(SurveyResponse.version))).scalars()
        return [(each.score, each.comment, each.source) for each in rows]


def test_the_confirmation_page_asks_once_and_thanks(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    path = page_of(world, order)
    page = ada.open(path)
    assert "how likely are you to recommend buying from Acme Collaboration" in page.text
    assert [each for each in page.form("/survey").inputs if each.name == "score"] == [], "nothing is preselected"
    page = ada.send("/survey", "Send answer", score="9", comment="Fast.")
    assert "Thank you for your answer" in page.text
    assert answers(world) == [(9, "Fast.", AnswerSource.CONFIRMATION_PAGE)]
    assert "how likely" not in ada.open(path).text


def test_an_answer_without_a_score_is_refused_where_it_was_given(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    ada.open(page_of(world, order))
    page = ada.send("/survey", "Send answer", comment="no number")
    assert ada.status == 422
    assert "Choose a number from 0 to 10" in page.text
    assert answers(world) == []


def test_opening_the_mailed_link_chooses_the_score_and_counts_nothing(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    page = ada.open(f"{path}?score=7")
    assert [each.value for each in page.form(path).inputs if each.name == "score"] == ["7"]
    assert answers(world) == []
    assert count(world, SurveyFetch) == 1
    page = ada.send(path, "Send answer")
    assert "Thank you" in page.text
    assert answers(world) == [(7, "", AnswerSource.EMAIL)]
    assert count(world, SurveyFetch) == 1, "coming back from the form is not another opening of the mail"


def test_a_head_request_leaves_not_even_evidence(world: World) -> None:
    shop.buy(world)
    answer = world.browser().head(f"{link(world)}?score=3")
    assert (answer.status_code, answer.content) == (200, b"")
    assert count(world, SurveyFetch) == 0


def test_an_answer_may_be_changed_and_every_version_is_kept(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    ada.open(f"{path}?score=7")
    ada.send(path, "Send answer")
    ada.send(path, "Send answer", score="3", comment="I thought again.")
    assert answers(world) == [(7, "", AnswerSource.EMAIL), (3, "I thought again.", AnswerSource.EMAIL)]


@pytest.mark.parametrize("score", ["", "11", "-1", "ten", "٣"])
def test_what_is_no_score_is_not_stored(world: World, score: str) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    ada.post(f"{world.url}{path}", {"score": [score]})
    assert ada.status == 422
    assert "Choose a number from 0 to 10" in ada.page.text
    assert answers(world) == []


@pytest.mark.parametrize("body", ["urlencoded", "multipart"])
def test_a_mail_program_opts_out_with_one_post_and_neither_cookie_nor_form_token(world: World, body: str) -> None:
    """RFC 8058, 3.2: either kind of form, no cookies, no redirect; from wherever the program runs."""
    shop.buy(world)
    one_click = {"List-Unsubscribe": "One-Click"}
    sent = {"data": one_click} if body == "urlencoded" else {"files": {"List-Unsubscribe": (None, b"One-Click")}}
    answer = world.browser().post(
        f"{link(world)}/opt-out", headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}, **sent
    )
    assert (answer.status_code, answer.text) == (200, "You will not be asked again.\n")
    assert count(world, SurveyOptOut) == 1


def test_the_link_of_the_mail_opens_a_page_whose_button_opts_out(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), f"{link(world)}/opt-out"
    page = ada.open(path)
    assert "No more surveys?" in page.text
    assert "Opening this page changed nothing" in page.text
    assert (count(world, SurveyOptOut), count(world, SurveyFetch)) == (0, 0)
    page = ada.send("/opt-out", "Do not ask me again")
    assert (page.url, ada.status) == (f"{world.url}{path}", 200)
    assert "You will not be asked again" in page.text
    assert not [form for form in page.forms if form.action.endswith("/opt-out")]
    assert count(world, SurveyOptOut) == 1
    assert "You will not be asked again" in ada.open(path).text, "also when it is opened later"


def test_whoever_answered_and_then_opts_out_is_told_that_it_holds(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    ada.open(f"{path}?score=7")
    ada.send(path, "Send answer")
    assert "You will not be asked again" in ada.send("/opt-out", "Do not ask me again").text


def test_the_button_opts_out_and_the_page_says_so(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    ada.open(path)
    page = ada.send("/opt-out", "Do not ask me again")
    assert "You will not be asked again" in page.text
    assert not [form for form in page.forms if form.action.endswith("/opt-out")]


def test_looking_at_the_opt_out_changes_nothing(world: World) -> None:
    shop.buy(world)
    for method in ("GET", "HEAD", "OPTIONS"):
        world.browser().request(method, f"{link(world)}/opt-out")
    assert (count(world, SurveyOptOut), count(world, SurveyFetch)) == (0, 0)


def test_a_link_that_was_altered_is_not_found(world: World) -> None:
    shop.buy(world)
    ada, path = visitor(world), link(world)
    ada.open(f"{path}x")
    assert ada.status == 404
    ada.post(f"{world.url}{path}x", {"score": ["9"]})
    assert ada.status == 404
    ada.open(f"{path}x/opt-out")
    assert ada.status == 404
    assert answers(world) == []
