"""Pure rules: which events are wanted, when tries are made, what a channel reads."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.webhooks import chat, service
from app.webhooks.deliveries import RETRY


def test_at_least_twelve_tries_are_made_over_at_least_seventy_two_hours() -> None:
    """R-PRV-4."""
    waits: list[int] = []
    while (wait := RETRY.wait_after(len(waits) + 1)) is not None:
        waits.append(wait)
    assert len(waits) + 1 == 14
    assert timedelta(hours=72) <= timedelta(seconds=sum(waits)) == timedelta(hours=79, minutes=35, seconds=5)
    assert waits == sorted(waits)
    assert waits[0] == 5, "a hiccup is over soon"


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("*", ["invoice.paid", "a"], []),
        ("survey.*", ["survey.answered", "survey.a.b"], ["survey", "surveys.answered", "invoice.survey.x"]),
        ("invoice.paid", ["invoice.paid"], ["invoice.paid.late", "invoice"]),
        ("tax_id.*", ["tax_id.checked"], ["taxxid.checked"]),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, wanted: list[str], unwanted: list[str]) -> None:
    assert service.check_event_types([pattern]) == [pattern]
    assert all(service.wants([pattern], each) for each in wanted)
    assert not any(service.wants([pattern], each) for each in unwanted)


@pytest.mark.parametrize(
    "pattern", ["", "Survey.*", "survey*", "*.paid", "a..b", ".a", "a.", "a.*.b", "a b", "a%", "x" * 81]
)
def test_a_pattern_that_would_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        service.check_event_types([pattern])


ANSWER: dict[str, Any] = {
    "kind": "renewal", "score": 3, "band": "detractor", "segment": {"plan": "professional", "seats": "11-50"},
    "comment": "Too slow.\nAnd dear.", "test": False,
}  # fmt: skip


def test_a_channel_reads_score_segment_comment_and_where_to_look() -> None:
    written = chat.text_of("survey.answered", "srv_1", ANSWER, base_url="https://billing.example")
    assert written.splitlines() == [
        ":red_circle: Survey after a renewal answered with **3** (plan: professional, seats: 11\\-50)",
        "> Too slow\\. And dear\\.",
        "[Open in the console](https://billing.example/console/survey?invitation=srv_1)",
    ]
    changed = chat.text_of(
        "survey.updated", "srv_1", ANSWER | {"test": True, "comment": ""}, base_url="https://b.example"
    )
    assert changed.startswith("**TEST** :red_circle: Survey after a renewal changed to **3**")
    assert len(changed.splitlines()) == 2


def test_a_channel_reads_names_only_when_the_event_carries_them() -> None:
    person = {"person": {"name": "Ana Berg", "email": "ana@acme.example"}, "company": "Acme"}
    written = chat.text_of("survey.answered", "srv_1", ANSWER | person, base_url="https://b.example")
    assert "Ana Berg, ana@\u200bacme\\.example, Acme" in written


def test_what_a_customer_writes_takes_no_effect_in_the_channel() -> None:
    nasty = "@channel ![x](https://evil.example/p.png) | a | b |\n# big `code` **bold** [go](javascript:x) <b> ~~no~~"
    written = chat.text_of("survey.answered", "srv_1", ANSWER | {"comment": nasty}, base_url="https://b.example")
    (quoted,) = [line for line in written.splitlines() if line.startswith("> ")]
    assert "@channel" not in written
    assert "![" not in quoted
    assert "](" not in quoted
    assert "\\`code\\`" in quoted
    assert len(written.splitlines()) == 3


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=3000))
def test_any_comment_stays_one_quoted_line_of_bounded_length(comment: str) -> None:
    written = chat.text_of("survey.answered", "srv_1", ANSWER | {"comment": comment}, base_url="https://b.example")
    lines = written.splitlines()
    assert len(lines) in {2, 3}
    assert len(written) < 1200
    assert not any(f"@{mention}" in written for mention in ("channel", "all", "here"))


def test_other_events_are_one_line() -> None:
    assert chat.text_of("invoice.paid", "inv_1", {}, base_url="https://b.example") == "**invoice\\.paid** `inv_1`"
