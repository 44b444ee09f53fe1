"""Attempts to bend refunds and disputes with SQL alone, past every rule in Python: PostgreSQL refuses each of them."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.flows import refund
from app.flows.refund import Asked
from app.invoices import service as invoices
from tests import shop
from tests.world import World


@pytest.fixture
def returned(world: World) -> World:
    """A payment of which a part was refunded, a refund that waits for a second person, and a lost dispute."""
    order = shop.buy(world, seats=25, vat=None)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        charge = tx.execute(text("SELECT provider_ref FROM payment")).scalar_one()
    assert invoice
    refund.request(world.ports, Asked(invoice.id, total=1_000), by="stf_1")
    refund.request(world.ports, Asked(invoice.id), by="stf_1")
    world.work()
    for action in ("dispute", "lose_dispute"):
        world.browser().post(f"/sandbox/payments/{charge}", json={"action": action})
        world.work()
    return world


ATTACKS = (
    ("UPDATE refund SET decided_by = requested_by WHERE state = 'requested'", "second_pair_of_eyes"),
    ("UPDATE refund SET state = 'pending' WHERE state = 'requested'", "credited_once_begun"),
    ("UPDATE refund SET state = 'pending' WHERE state = 'succeeded'", "may not move"),
    ("UPDATE refund SET state = 'succeeded' WHERE state = 'requested'", "may not move"),
    ("UPDATE refund SET amount_minor = 1", "is begun"),
    ("UPDATE refund SET provider_ref = 're_other' WHERE state = 'succeeded'", "is begun"),
    ("DELETE FROM refund", "never changed or deleted"),
    ("TRUNCATE refund CASCADE", "never changed or deleted"),
    ("UPDATE dispute SET state = 'won'", "may not move"),
    ("UPDATE dispute SET amount_minor = 1", "on record"),
    ("UPDATE dispute SET closed_at = NULL", "closed_has_instant"),
    ("DELETE FROM dispute", "never changed or deleted"),
    ("TRUNCATE dispute CASCADE", "never changed or deleted"),
    ("UPDATE provider_fee SET amount_minor = 1", "never changed or deleted"),
    ("DELETE FROM provider_fee", "never changed or deleted"),
    ("TRUNCATE provider_fee", "never changed or deleted"),
    (
        (
            "INSERT INTO refund SELECT (jsonb_populate_record(r, jsonb_build_object('id', 'ref_x',"
            " 'provider_ref', 're_x', 'credit_note_id', (SELECT id FROM credit_note LIMIT 1),"
            " 'amount_minor', (SELECT amount_minor FROM payment) ))).* FROM refund r WHERE state = 'succeeded'"
        ),
        "would exceed it",
    ),
)


def test_every_attempt_is_refused(returned: World) -> None:
    for statement, because in ATTACKS:
        with pytest.raises(DBAPIError, match=because), returned.db.transaction() as tx:
            tx.execute(text(statement))
