"""The audit log: appended with the deed, and any later change to it is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core import audit
from app.core.clock import transport_now
from app.core.db import Tx
from tests.world import World

CHAIN = "acc_of_the_test"


def write(tx: Tx, count: int) -> None:
    for number in range(count):
        audit.record(tx, CHAIN, actor="mem_1", action="seat.added", subject=f"sub_{number}", now=transport_now())


def run(statement: str) -> Callable[[Tx], None]:
    # As the owner of the tables could: with the triggers that refuse it switched off.
    def tamper(tx: Tx) -> None:
        tx.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER USER"))
        tx.execute(text(statement))
        tx.execute(text("ALTER TABLE audit_entry ENABLE TRIGGER USER"))

    return tamper


@pytest.mark.parametrize(
    ("tampering", "reason"),
    [
        ("UPDATE audit_entry SET actor = 'mem_2' WHERE chain = 'acc_of_the_test' AND sequence = 2", "changed"),
        ("DELETE FROM audit_entry WHERE chain = 'acc_of_the_test' AND sequence = 2", "missing"),
        (
            "UPDATE audit_entry SET sequence = 9 - sequence WHERE chain = 'acc_of_the_test' AND sequence IN (4, 5)",
            "moved",
        ),
        ("DELETE FROM audit_entry WHERE chain = 'acc_of_the_test' AND sequence = 5", "cut short"),
    ],
    ids=["edited", "deleted", "reordered", "truncated"],
)
def test_every_way_of_tampering_is_found(world: World, tampering: str, reason: str) -> None:
    with world.db.transaction() as tx:
        write(tx, 5)
        assert list(audit.verify(tx)) == []
    with world.db.transaction() as tx:
        if "9 - sequence" in tampering:
            tx.execute(text("ALTER TABLE audit_entry DROP CONSTRAINT uq_audit_entry_chain_sequence"))
        run(tampering)(tx)
    with world.db.transaction() as tx:
        found = list(audit.verify(tx))
    assert found
    assert {each.chain for each in found} == {CHAIN}
    assert reason in found[0].reason


def test_the_database_refuses_to_change_what_was_recorded(world: World) -> None:
    with world.db.transaction() as tx:
        write(tx, 1)
    for statement in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"):
        with pytest.raises(DBAPIError, match="audit_entry"), world.db.transaction() as tx:
            tx.execute(text(statement))


def test_a_deed_that_is_undone_leaves_no_entry(world: World) -> None:
    with world.db.transaction() as tx:
        write(tx, 1)
        tx.rollback()
    with world.db.transaction() as tx:
        write(tx, 1)
        assert tx.execute(text("SELECT max(sequence) FROM audit_entry WHERE chain = :c"), {"c": CHAIN}).scalar() == 1
        assert list(audit.verify(tx)) == []
