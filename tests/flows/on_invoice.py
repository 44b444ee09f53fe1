"""Ordering on invoice, for tests of what comes of it."""

from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.flows.purchase import Placing
from app.orders.models import PayBy, Preview
from tests.world import World


def placing(world: World, preview: Preview, account_id: str | None, po_number: str = "PO-4711") -> Placing:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return Placing(preview.id, terms.id, Evidence("127.0.0.1", "test"), po_number=po_number, account_id=account_id,
                   pay_by=PayBy.INVOICE)  # fmt: skip
