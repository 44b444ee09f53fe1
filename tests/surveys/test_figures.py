from datetime import timedelta
from typing import Any

import pytest

from app.surveys import service
from tests.callers import vendor
from tests.surveys.conftest import Asking

# 6 promoters, 3 passives, 1 detractor: the worked case with n = 10.
TEN = [10, 10, 9, 9, 9, 10, 7, 8, 7, 3]


def ask(asking: Asking, scores: list[int], **segment: str) -> None:
    for number, score in enumerate(scores):
        plan = segment.get("plan", "professional")
        made = asking.invite(f"p{number}-{plan}@acme.example", segment={"plan": plan})
        asking.answer(made, score)


def nps(asking: Asking, **params: str) -> dict[str, Any]:
    reply = vendor(asking.world).get("/v1/surveys/nps", params=params)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_the_figures_of_a_worked_case(asking: Asking) -> None:
    ask(asking, TEN)
    asking.invite("quiet@acme.example")
    asking.invite("quiet@acme.example")
    asking.invite("german@acme.example", country="DE")
    found = nps(asking)
    assert (found["nps"], found["n"], found["margin"], found["trustworthy"]) == (50.0, 10, 41.6, True)
    assert found["interval"] == {"low": 8.4, "high": 91.6}
    assert (found["promoters"], found["passives"], found["detractors"]) == (6, 3, 1)
    assert (found["invited"], found["answered"], found["response_rate"]) == (13, 10, 76.9)
    assert found["suppressed"] == 2
    assert found["suppressed_by_reason"] == {"asked_recently": 1, "country_off": 1}
    assert found["wordings"] == ["purchase-1"]
    assert (found["previous"]["n"], found["change"]) == (0, "not_sure")


def test_without_answers_there_is_no_score(asking: Asking) -> None:
    found = nps(asking)
    assert (found["nps"], found["n"], found["interval"], found["response_rate"]) == (None, 0, None, None)


def test_segments_with_fewer_than_five_answers_are_hidden(asking: Asking) -> None:
    ask(asking, [10] * 5, plan="enterprise")
    ask(asking, [0] * 4, plan="professional")
    found = nps(asking, segment="plan")
    assert [(each["value"], each["n"], each["nps"]) for each in found["segments"]] == [("enterprise", 5, 100.0)]
    assert (found["hidden_segments"], found["hidden_answers"], found["n"]) == (1, 4, 9)
    by_kind = nps(asking, segment="kind")["segments"]
    assert [(each["value"], each["n"], each["response_rate"]) for each in by_kind] == [("purchase", 9, 100.0)]
    nobody_said = nps(asking, segment="size")["segments"]
    assert [(each["value"], each["n"]) for each in nobody_said] == [("", 9)]


def test_an_answer_counts_once_with_its_latest_score_in_the_time_it_was_first_given(asking: Asking) -> None:
    start = asking.now()
    made = asking.invite()
    asking.answer(made, 0)
    asking.later(days=20)
    asking.answer(made, 10)
    day, next_day, later = (start + timedelta(days=days) for days in (0, 1, 21))
    first = nps(asking, **{"from": day.date().isoformat(), "to": next_day.date().isoformat()})
    assert (first["n"], first["nps"]) == (1, 100.0)
    second = nps(asking, **{"from": next_day.date().isoformat(), "to": later.date().isoformat()})
    assert second["n"] == 0
    assert second["previous"]["n"] == 1


def test_scanners_and_openings_are_counted_apart(asking: Asking) -> None:
    made = asking.invite()
    asking.later(days=3)
    mailed = asking.read(made)
    assert mailed.emailed_at is not None
    with asking.world.db.transaction() as tx:
        for score in range(11):
            at = mailed.emailed_at + timedelta(seconds=3)
            service.record_fetch(tx, made, score=score, user_agent="Mozilla/5.0", now=at)
    scanned = nps(asking)
    assert (scanned["scanner_fetches"], scanned["unconfirmed_openings"], scanned["n"]) == (11, 0, 0)
    with asking.world.db.transaction() as tx:
        at = mailed.emailed_at + timedelta(hours=3)
        service.record_fetch(tx, made, score=9, user_agent="Mozilla/5.0", now=at)
    opened = nps(asking)
    assert (opened["scanner_fetches"], opened["unconfirmed_openings"], opened["answered"]) == (11, 1, 0)
    asking.answer(made, 9)
    assert nps(asking)["unconfirmed_openings"] == 0


def test_a_real_rise_is_called_one(asking: Asking) -> None:
    ask(asking, [0] * 12)
    asking.later(days=91)
    ask(asking, [10] * 12, plan="enterprise")
    found = nps(asking)
    assert (found["nps"], found["previous"]["nps"], found["change"]) == (100.0, -100.0, "up")


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-01", "to": "2026-02-01"}, {"from": "2026-03-01", "to": "2026-02-01"},
        {"from": "1999-01-01", "to": "1999-02-01"}, {"from": "2000-01-01", "to": "2030-01-01"}, {"from": "yesterday"},
        {"segment": "a b"}, {"to": "0001-01-01"},
    ],
)  # fmt: skip
def test_spans_that_make_no_sense_are_refused(asking: Asking, params: dict[str, str]) -> None:
    assert vendor(asking.world).get("/v1/surveys/nps", params=params).status_code == 422
