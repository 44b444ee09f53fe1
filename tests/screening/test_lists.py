"""Imports are atomic and set-based, and a rescreen goes on where it stopped."""

import pytest
from sqlalchemy import text

from app.core.clock import transport_now
from app.flows import rescreening
from app.screening import lists, matching, names
from app.screening.list_files import ListRefused
from app.screening.matching import Party
from app.screening.models import Role
from tests import shop
from tests.screening.helping import bring, cases
from tests.screening.lines import plain
from tests.world import World, full


def hits(
    world: World, name: str, country: str = "DE", *, at_least: int = 85, since: int = 0
) -> list[tuple[str, int, bool]]:
    with world.db.transaction() as tx:
        found = matching.find(tx, [Party(Role.COMPANY, name, country)], at_least=at_least,
                              on=transport_now().date(), since=since)  # fmt: skip
        return [(hit.entry.name, hit.score, hit.exact) for hit in found]


def test_an_import_changes_what_the_file_changes_and_a_broken_one_nothing(world: World) -> None:
    first = bring(world, plain("1,person,Ann Listed,Anna Listed,P,DE,,,", "2,entity,Old Works Ltd,,,,,2020-01-01,",
                               "3,entity,Gone Works,,,,,,"), code="eu")  # fmt: skip
    assert (first.entries, first.added, first.changed, first.removed) == (3, 3, 0, 0)
    assert hits(world, "Listed Anna") == [("Ann Listed", 100, True)]
    assert hits(world, "Old Works") == []  # its last day is past
    with pytest.raises(ListRefused):
        bring(world, plain("1,person,Ann Listed,,,,,,", "4,person,,,,,,,"), code="eu")
    assert hits(world, "Gone Works GmbH") == [("Gone Works", 100, False)]
    second = bring(world, plain("1,person,Ann Listed,,P,DE,,,", "4,entity,New Works,,,US,,,",
                                "2,entity,Old Works Ltd,,,,,2020-01-01,"), code="eu")  # fmt: skip
    assert (second.entries, second.added, second.changed, second.removed) == (3, 1, 1, 1)
    assert hits(world, "Gone Works") == []
    assert hits(world, "Anna Listed", at_least=96) == []
    assert hits(world, "New Works", since=second.version_id) == []
    assert hits(world, "New Works", since=first.version_id) == [("New Works", 100, False)]
    third = bring(world, plain("1,person,Ann Listed,,P,DE,,,", "3,entity,Gone Works,,,,,,"), code="eu")
    assert (third.added, third.changed, third.removed) == (0, 1, 2)
    assert hits(world, "Gone Works") == [("Gone Works", 100, False)]
    bring(world)
    assert hits(world, "Quillfeather") == []  # a vessel orders nothing
    assert hits(world, "Wexlor Instruments Inc", "CN") == [
        ("Oxbrindle Dynamics (f.k.a. Wexlor Instruments)", 100, True)
    ]
    with world.db.transaction() as tx:
        assert [each.list_code for each in lists.current(tx)] == ["csl", "eu"]
        assert tx.execute(text("SELECT count(*) FROM screening_version")).scalar_one() == 4


def test_a_rescreen_goes_on_where_it_stopped_and_sees_who_was_renamed(world: World) -> None:
    for index, company in enumerate(["Zarnitza Quorvex Trading", "Plain GmbH", "Third GmbH"]):
        shop.order(world, shop.offer(world, company=company, email=f"p{index}@example.de", vat=None))
    bring(world)
    place = rescreening.rescreen_chunk(world.ports, size=2)
    with world.db.transaction() as tx:
        assert rescreening.progress(tx) == rescreening.Progress(done=2, total=3)
    assert place is not None
    found = cases(world)
    world.work()
    with world.db.transaction() as tx:
        assert rescreening.progress(tx) == rescreening.Progress(done=3, total=3)
    assert [each.id for each in cases(world)] == [each.id for each in found]
    assert rescreening.rescreen_chunk(world.ports) is None
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET name = 'Oxbrindel Dynamics' WHERE name = 'Plain GmbH'"))
    assert rescreening.rescreen_chunk(world.ports) is not None
    assert {each.party_name for each in cases(world)} == {"Zarnitza Quorvex Trading", "Oxbrindel Dynamics"}


def test_the_index_proposes_whatever_is_alike_enough(world: World) -> None:
    """Every name with a letter changed, dropped or doubled, or its words turned round, is found among thousands."""
    count = full(20_000)
    words = [f"{a}{b}{c}" for a in ("zor", "kel", "mar", "vin", "tul") for b in ("bra", "den", "quo", "lis")
             for c in ("x", "nov", "ter", "mann")]  # fmt: skip
    made = [f"{words[index % 80]} {words[index * 7 % 79]} {words[index // 80 % 80]} {index}" for index in range(count)]
    bring(world, plain(*(f"{index},entity,{name},,,,,," for index, name in enumerate(made))), code="big")
    for index in range(0, count, max(1, count // 40)):
        name = made[index]
        for typed in (
            name[:4] + "w" + name[5:],
            name[:6] + name[7:],
            name[:2] + name[1:],
            " ".join(name.split()[::-1]),
        ):
            alike = names.score(names.normalized(typed), names.normalized(name))
            if alike >= 85:
                assert (name, alike, False) in hits(world, typed)
