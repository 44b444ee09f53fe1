"""Ordering on invoice and paying by wire, for tests of what comes of it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core.money import Money
from app.flows import purchase, receivables
from app.flows.purchase import Placing
from app.flows.receivables import Transfer
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.ledger.models import Posting
from app.licenses.models import License
from app.orders import service as orders
from app.orders.models import Order, PayBy, Preview
from app.payments.models import Method, Payment
from tests import shop
from tests.signing_in import make_member
from tests.world import World


def placing(world: World, preview: Preview, account_id: str | None, po_number: str = "PO-4711") -> Placing:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return Placing(preview.id, terms.id, Evidence("127.0.0.1", "test"), po_number=po_number, account_id=account_id,
                   pay_by=PayBy.INVOICE)  # fmt: skip


def open_account(world: World) -> str:
    """An account that never bought, with somebody who may buy for it."""
    with world.db.transaction() as tx:
        return make_member(tx, email="ada@example.de").account_id


def order_on_invoice(world: World, account_id: str, seats: int = 12) -> Order:
    started = purchase.start(world.ports, placing(world, shop.offer(world, seats), account_id))
    world.work()
    with world.db.transaction() as tx:
        return orders.get(tx, started.order_id)


def invoice_of(world: World, order: Order) -> Invoice:
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, order.id)
    assert found
    return found


def licenses_of(world: World, order: Order) -> list[License]:
    with world.db.transaction() as tx:
        query = select(License).where(col(License.order_id) == order.id).order_by(col(License.issued_at))
        return list(tx.execute(query).scalars())


def wire(world: World, account_id: str, minor: int, reference: str = "SEPA-1", **changes: Any) -> Payment:
    given: dict[str, Any] = {
        "account_id": account_id, "amount": Money(minor, "EUR"), "method": Method.WIRE, "reference": reference,
        "value_on": world.ports.clock.now().date() - timedelta(days=1),
    }  # fmt: skip
    payment = receivables.record(world.ports, Transfer(**(given | changes)), by="stf_test")
    world.work()
    return payment


def balance(world: World, code: str) -> int:
    with world.db.transaction() as tx:
        query = select(func.coalesce(func.sum(col(Posting.amount_minor)), 0))
        return int(tx.execute(query.where(col(Posting.ledger_account) == code)).scalar_one())
