"""Whether what a registry tells is the buyer who gave the number: cases, transposition and case never matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tax import matching

WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwxyzäéßøł", min_size=4, max_size=9), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("given_name", "told", "found"),
    [
        ("Beispiel GmbH", "BEISPIEL GMBH", "same"),
        ("Société Générale", "SA SOCIETE GENERALE", "same"),
        ("Straßen Müller KG", "STRASSEN MULLER", "same"),
        ("Enel S.p.A.", "ENEL SPA", "same"),
        ("Nokia Oyj", "Nokia Solutions Oy", "same"),
        ("Beispiel GmbH", "Muster GmbH", "differs"),
        ("SA", "SA", "same"),
        ("AG", "SE", "differs"),
        ("Beispiel GmbH", "", "not_told"),
        ("", "Beispiel", "not_told"),
    ],
)
def test_names_are_compared_without_accents_order_and_legal_form(given_name: str, told: str, found: str) -> None:
    assert matching.name(given_name, told) == found


@given(WORDS.flatmap(lambda words: st.tuples(st.just(words), st.permutations(words))))
def test_a_name_is_itself_in_any_order_and_case(two: tuple[list[str], list[str]]) -> None:
    assert matching.name(" ".join(two[0]), " ".join(two[1]).upper()) == "same"


@pytest.mark.parametrize(
    ("postcode", "told", "found"),
    [
        ("10115", "Invalidenstr. 1\n10115 Berlin", "same"), ("1234 AB", "STRAAT 1\n1234AB AMSTERDAM", "same"),
        ("SW9 75CK", "131B Barton Hamlet, SW97 5CK, GB", "same"), ("10115", "80331 München", "differs"),
        ("", "80331 München", "not_told"), ("10115", "", "not_told"),
    ],
)  # fmt: skip
def test_the_postcode_has_to_stand_in_the_address(postcode: str, told: str, found: str) -> None:
    assert matching.address(postcode, told) == found
