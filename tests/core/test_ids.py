"""Identifiers are in the order of their creation, whatever the digits run over."""

import pytest

from app.core import ids
from app.core.ids import new_id


@pytest.mark.parametrize("random", [0, 0xFFFFD, (1 << 60) - 3, (1 << 79) - 4])
def test_ids_of_one_millisecond_count_up_and_stay_apart(monkeypatch: pytest.MonkeyPatch, random: int) -> None:
    last = vars(ids)["_last"]
    for name, value in {"milliseconds": 1 << 47, "random": random, "high": -1, "head": ""}.items():
        monkeypatch.setattr(last, name, value)  # the clock is behind it
    made = [new_id("ord") for _ in range(3000)]
    assert made == sorted(set(made))
    assert {ids.made_at(each) for each in made[:1]} == {ids.made_at(made[-1])}
    assert all(ids.has_form("ord", each) for each in made)
