"""What finance exports about money that went back, and what the checker of the books says where rows were bent."""

import csv
import io
from datetime import date

import pytest
from sqlalchemy import text

from app.flows import refund
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.reports import registry, verify_books
from app.reports.shape import Format, Period
from tests import shop
from tests.world import World

YEAR = Period(date(2026, 1, 1), date(2099, 12, 31))


def rows(world: World, name: str) -> list[dict[str, str]]:
    body = b"".join(registry.run(world.db, name, YEAR, None, Format.CSV))
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


@pytest.fixture
def refunded(world: World) -> World:
    """A purchase over 121.00 and VAT, of which 11.90 went back and the rest is disputed and lost."""
    order = shop.buy(world, seats=11, interval="month", vat=None)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        charge = tx.execute(text("SELECT provider_ref FROM payment")).scalar_one()
    assert invoice
    refund.request(world.ports, Asked(invoice.id, total=1_190), by="stf_1")
    world.work()
    for action in ("dispute", "lose_dispute"):
        world.browser().post(f"/sandbox/payments/{charge}", json={"action": action})
        world.work()
    return world


def test_the_register_has_the_credit_note_below_zero_and_the_invoice_credited(refunded: World) -> None:
    note, invoice = sorted(rows(refunded, "invoice_register"), key=lambda row: row["number"], reverse=True)[::-1][:2]
    by_type = {row["type"]: row for row in (note, invoice)}
    credited = by_type["credit_note"]
    assert (credited["number"], credited["net"], credited["tax"], credited["total"], credited["status"]) == (
        "ACME-CN-000001", "-10.00", "-1.90", "-11.90", "credited",
    )  # fmt: skip
    invoiced = by_type["invoice"]
    assert (invoiced["total"], invoiced["paid"], invoiced["credited"], invoiced["open"], invoiced["status"]) == (
        "143.99", "132.09", "11.90", "0.00", "paid",
    )  # fmt: skip


def test_taxes_are_what_was_charged_less_what_was_given_back(refunded: World) -> None:
    (row,) = rows(refunded, "tax_by_jurisdiction")
    assert (row["jurisdiction"], row["taxable"], row["tax"], row["documents"]) == ("DE", "111.00", "21.09", "2")


def test_every_movement_of_money_is_listed(refunded: World) -> None:
    moved = [(row["kind"], row["amount"], row["invoice_number"]) for row in rows(refunded, "money_returned")]
    assert sorted(moved) == [
        ("dispute_lost", "0.00", "ACME-000001"), ("dispute_opened", "-132.09", "ACME-000001"),
        ("refund", "-11.90", "ACME-000001"),
    ]  # fmt: skip
    assert verify_books.verify(refunded.db) == []


BENT = (
    ("ALTER TABLE credit_note DISABLE TRIGGER USER", ("UPDATE credit_note SET to_balance_minor = to_refund_minor,"
     " to_refund_minor = 0"), "credit_notes"),
    ("ALTER TABLE credit_note_line DISABLE TRIGGER USER", "UPDATE credit_note_line SET net_minor = 99999999",
     "credit_notes"),
    ("ALTER TABLE credit_note DISABLE TRIGGER USER", "UPDATE credit_note SET sequence = 7", "invoice_numbers"),
    ("ALTER TABLE refund DISABLE TRIGGER USER", "UPDATE refund SET amount_minor = amount_minor + 1", "money_returned"),
    ("ALTER TABLE dispute DISABLE TRIGGER USER", "UPDATE dispute SET state = 'opened', closed_at = NULL",
     "money_returned"),
    ("ALTER TABLE customer_credit DISABLE TRIGGER USER", ("INSERT INTO customer_credit SELECT 'crd_x', id, 'EUR', 5,"
     " 'overpayment', 'x', now() FROM account"), "customer_credit"),
)  # fmt: skip


@pytest.mark.parametrize(("opened", "bent", "check"), BENT)
def test_the_checker_sees_what_was_bent_by_hand(refunded: World, opened: str, bent: str, check: str) -> None:
    with refunded.db.transaction() as tx:
        tx.execute(text(opened))
        tx.execute(text(bent))
    assert check in {found.check for found in verify_books.verify(refunded.db)}
