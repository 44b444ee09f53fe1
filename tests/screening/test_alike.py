"""Many names against many: exactly what comparing each with each finds."""

from random import Random  # noqa: TID251 -- the same names in every run; nothing secret is drawn

from hypothesis import given
from hypothesis import strategies as st

from app.screening import alike, names
from app.screening.alike import Alike
from tests.world import full

LETTERS = "abeinrst "
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=24), min_size=1, max_size=40)


def each_with_each(listed: list[str], asked: str, at_least: int) -> set[tuple[int, str, int]]:
    scored = [(place, name, names.score(asked, name)) for place, name in enumerate(listed)]
    return {each for each in scored if each[2] >= at_least}


def changed(rnd: Random, name: str, edits: int) -> str:
    """A near name: letters gone, come, turned into others, or changed places."""
    letters = list(name)
    for _ in range(edits):
        place = rnd.randrange(len(letters) + 1)
        match rnd.randrange(4):
            case 0 if place < len(letters):
                del letters[place]
            case 1 if place + 1 < len(letters):
                letters[place], letters[place + 1] = letters[place + 1], letters[place]
            case 2 if place < len(letters):
                letters[place] = rnd.choice(LETTERS)
            case _:
                letters.insert(place, rnd.choice(LETTERS))
    return "".join(letters)


@given(NAMES, st.text(LETTERS, min_size=1, max_size=24), st.integers(alike.LOWEST, 100))
def test_random_names_are_found_as_by_comparing_each(listed: list[str], asked: str, at_least: int) -> None:
    assert set(Alike(enumerate(listed)).find(asked, at_least)) == each_with_each(listed, asked, at_least)


@given(NAMES, st.data())
def test_near_names_are_found_as_by_comparing_each(listed: list[str], data: st.DataObject) -> None:
    rnd, at_least = data.draw(st.randoms(use_true_random=False)), data.draw(st.integers(alike.LOWEST, 100))
    asked = changed(rnd, rnd.choice(listed), rnd.randrange(6)) or "a"
    assert set(Alike(enumerate(listed)).find(asked, at_least)) == each_with_each(listed, asked, at_least)


def test_names_as_people_and_companies_have_them_are_found_as_by_comparing_each() -> None:
    rnd = Random(20261122)  # noqa: S311 -- draws names, no secret
    sounds = ("ba", "ke", "lov", "mir", "an", "sten", "qu", "o", "tra")
    parts = ["".join(rnd.choice(sounds) for _ in range(rnd.randint(1, 4))) for _ in range(120)]
    listed = [names.normalized(" ".join(rnd.sample(parts, rnd.randint(1, 4)))) for _ in range(max(400, full(8000)))]
    found, index = 0, Alike(enumerate(listed))
    for _ in range(max(60, full(3000))):
        asked = changed(rnd, rnd.choice(listed), rnd.randrange(5)).strip() or "a"
        expected = each_with_each(listed, asked, 85)
        assert set(index.find(asked, 85)) == expected
        found += len(expected)
    assert found > 60
    print(f"{found} hits among {len(listed)} names")  # noqa: T201 -- figures are a result


def test_the_likeness_asks_for_pairs_at_every_length_that_is_searched_in_memory() -> None:
    for one in range(1, 60):
        for other in range(names.shortest(one, alike.LOWEST), names.longest(one, alike.LOWEST) + 1):
            assert alike.least_pairs(one, other, alike.LOWEST) > 0, (one, other)
