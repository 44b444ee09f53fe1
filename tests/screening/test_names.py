"""Names are compared by what tells them apart, whatever their order, accents, alphabet and legal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening.names import longest, normalized, score, shortest, spellings

WORDS = st.text(alphabet="abcdefghij ", min_size=1, max_size=24)


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("Müller & Søn GmbH", "muller son"),
        ("VELMORIN, Taskel", "taskel velmorin"),
        ("Acme Widgets, L.L.C.", "acme widgets"),
        ("Acme Widgets GmbH & Co. KG", "acme widgets"),
        ("OOO Заря", "zarya"),
        ("Zarnitsa Trading Public Joint Stock Company", "trading zarnitsa"),
        ("Łódź Æther S.A. de C.V.", "aether lodz"),
        ("Company Ltd", "company"),  # something has to stay
        ("The And", "and the"),
        ("\u202e…!", ""),
    ],
)
def test_a_name_is_folded_to_the_words_that_tell_it_apart(name: str, compared: str) -> None:
    assert normalized(name) == compared


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Zarnitsa Quorvex Trading LLC", "Trading Quorvex Zarnitsa", 100),
        ("Zarnitsa Quorvex Trading", "Zarnitza Quorvex Trading", 95),
        ("Taskel Velmorin", "Tasquel Velmorin", 90),
        ("Acme", "Nothing Alike", 23),
    ],
)
def test_the_score_says_how_alike_two_names_are(one: str, other: str, alike: int) -> None:
    assert score(normalized(one), normalized(other)) == alike


def test_names_that_are_written_behind_another_are_names_of_their_own() -> None:
    assert [normalized(each) for each in spellings("Oxbrindle Dynamics (f.k.a. Wexlor Instruments)")] == [
        "dynamics oxbrindle", "instruments wexlor",
    ]  # fmt: skip
    assert list(spellings("Plain (Holdings)")) == ["Plain (Holdings)"]


def slow_common(one: str, other: str) -> int:
    """The textbook's table."""
    before = [0] * (len(other) + 1)
    for letter in one:
        row = [0]
        for place, beside in enumerate(other):
            row.append(before[place] + 1 if letter == beside else max(before[place + 1], row[place]))
        before = row
    return before[-1]


@given(WORDS, WORDS)
def test_the_score_is_that_of_the_longest_common_subsequence_whichever_is_first(one: str, other: str) -> None:
    assert score(one, other) == 200 * slow_common(one, other) // (len(one) + len(other)) == score(other, one)
    assert score(one, one) == 100


@given(WORDS, WORDS, st.integers(60, 100))
def test_nothing_that_is_alike_enough_is_left_out_for_its_length(one: str, other: str, least: int) -> None:
    if score(one, other) >= least:
        assert shortest(len(one), least) <= len(other) <= longest(len(one), least)


@given(st.text(max_size=60))
def test_normalizing_a_name_again_changes_nothing_but_further_legal_forms(name: str) -> None:
    once = normalized(name)
    assert once == " ".join(sorted(once.split()))
    assert len(normalized(once)) <= len(once)
