from datetime import UTC, datetime, timedelta

import pytest

from app.surveys.scanners import Fetch, by_scanners

MAILED = datetime(2027, 3, 1, 9, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def fetch(seconds: float, score: int | None = None, agent: str = FIREFOX) -> Fetch:
    return Fetch(score, agent, MAILED + timedelta(seconds=seconds))


def test_a_gateway_that_opens_every_link_is_seen_and_the_person_after_it_is_not() -> None:
    gateway = [fetch(20 + score / 10, score) for score in range(11)]
    person = fetch(3600, 9)
    assert by_scanners([*gateway, person], [MAILED]) == [True] * 11 + [False]


def test_nobody_opens_a_mail_within_ten_seconds_of_its_delivery() -> None:
    assert by_scanners([fetch(9.9, 10), fetch(10, 10)], [MAILED]) == [True, False]
    reminded = MAILED + timedelta(days=7)
    assert by_scanners([fetch(7 * 86400 + 5, 10)], [MAILED, reminded]) == [True]


def test_two_different_scores_within_a_minute_are_a_program() -> None:
    assert by_scanners([fetch(100, 9), fetch(160, 8)], [MAILED]) == [True, True]
    assert by_scanners([fetch(100, 9), fetch(161, 8)], [MAILED]) == [False, False]
    assert by_scanners([fetch(100, 9), fetch(101, 9)], [MAILED]) == [False, False], "a page reloaded"
    assert by_scanners([fetch(100, 9), fetch(101)], [MAILED]) == [False, False], "the page without a score"


@pytest.mark.parametrize(
    "agent",
    ["Mozilla/5.0 (compatible; Proofpoint URLDefense)", "python-requests/2.32", "curl/8.5.0", "BarracudaCentral", "",
     "Slackbot-LinkExpanding 1.0", "Mozilla/5.0 HeadlessChrome/141.0", "mimecast-link-scanner", "  "],
)  # fmt: skip
def test_programs_that_say_so_are_believed(agent: str) -> None:
    assert by_scanners([fetch(9000, 9, agent)], [MAILED]) == [True]


def test_without_a_mail_only_the_links_themselves_are_judged() -> None:
    assert by_scanners([fetch(1)], []) == [False]
    assert by_scanners([], []) == []
