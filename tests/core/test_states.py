"""The moves the code declares, the rows the database holds and the trigger that enforces them are the same."""

from collections import defaultdict

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.core import states
from tests.world import World


def _stored(world: World) -> dict[str, frozenset[tuple[str, str]]]:
    rows: dict[str, set[tuple[str, str]]] = defaultdict(set)
    with world.db.reading() as connection:
        for machine, before, after in connection.execute(text("SELECT machine, from_state, to_state FROM state_move")):
            rows[machine].add((before, after))
    return {machine: frozenset(moves) for machine, moves in rows.items()}


def test_every_machine_has_the_same_moves_in_code_and_in_the_database(world: World) -> None:
    assert _stored(world) == dict(states.declared_moves())


def test_the_database_enforces_the_moves_of_every_machine(world: World) -> None:
    triggers = text(
        "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname = 'enforce_move' AND t.tgenabled <> 'D'"
    )
    with world.db.reading() as connection:
        guarded = set(connection.execute(triggers).scalars())
    assert guarded == set(states.declared_moves())


def test_a_move_that_is_not_in_the_table_is_refused_by_the_database(world: World) -> None:
    with world.db.transaction() as tx:
        tx.execute(text("CREATE TABLE lamp (state text)"))
        tx.execute(
            text("CREATE TRIGGER allowed_move BEFORE UPDATE ON lamp FOR EACH ROW EXECUTE FUNCTION enforce_move()")
        )
        tx.execute(text("INSERT INTO state_move VALUES ('lamp', 'off', 'on')"))
        tx.execute(text("INSERT INTO lamp VALUES ('off')"))
        tx.execute(text("UPDATE lamp SET state = 'on'"))
    with pytest.raises(IntegrityError, match="lamp may not move from on to off"), world.db.transaction() as tx:
        tx.execute(text("UPDATE lamp SET state = 'off'"))
