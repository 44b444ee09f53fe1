"""The checker finds what is wrong with the books, and only that.

The database refuses these wrongs, so each is done with its triggers switched off, as a careless repair would.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.adapters.sandbox import clock
from app.core.money import Money
from app.reports import verify_books
from tests import books, shop
from tests.books import Tax
from tests.flows.ending import catch_up
from tests.world import World

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)


def by_hand(world: World, *statements: str) -> None:
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            tx.execute(text(statement))


def found(world: World) -> dict[str, list[str]]:
    """Details by check, without the licenses that sales written by `books` never had."""
    details: dict[str, list[str]] = {}
    for each in verify_books.verify(world.db):
        if each.check != "order_licenses":
            details.setdefault(each.check, []).append(each.detail)
    return details


@pytest.fixture
def sold(world: World) -> World:
    """Three invoices of 119.00 EUR: two paid, the last one open."""
    with world.db.transaction() as tx:
        customer = books.customer(tx, "Beispiel GmbH", NOW, "DE")
        for place in range(3):
            sale = books.draft(tx, customer, Money(10_000, "EUR"), NOW, taxes=[Tax("DE", "MwSt.", "19", 1_900)])
            books.issue(tx, sale, NOW)
            if place < 2:
                books.pay(tx, sale, NOW)
    assert found(world) == {}
    return world


def test_books_after_real_purchases_are_good(world: World) -> None:
    shop.buy(world)
    shop.buy(world, seats=20, currency="USD", vat=None, country="US", region="KY", postcode="40202",
             city="Louisville", email="bo@example.com")  # fmt: skip
    assert verify_books.verify(world.db) == []


WRONGS = (
    ("entries_balance", "UPDATE posting SET amount_minor = amount_minor + 1 WHERE id = (SELECT min(id) FROM posting)"),
    ("trial_balance", "UPDATE posting SET amount_minor = amount_minor + 1 WHERE id = (SELECT min(id) FROM posting)"),
    ("entries_balance", "DELETE FROM posting WHERE ledger_account = '2200' AND id = (SELECT min(id) + 2 FROM posting)"),
    ("entries_balance", "DELETE FROM ledger_entry WHERE kind = 'payment'"),
    ("payment_entries", "DELETE FROM ledger_entry WHERE kind = 'payment'"),
    ("payment_entries", "UPDATE posting SET ledger_account = '9999' WHERE ledger_account = '1200'"),
    ("payment_entries", "DELETE FROM payment"),
    ("cash", "UPDATE payment SET amount_minor = amount_minor + 100"),
    ("cash", "DELETE FROM payment WHERE id = (SELECT min(id) FROM payment)"),
    ("payment_entries", "UPDATE invoice_payment SET amount_minor = amount_minor - 100"),
    ("invoices_paid", "UPDATE invoice_payment SET amount_minor = amount_minor - 100"),
    ("invoices_paid", "UPDATE invoice SET state = 'open', paid_at = NULL WHERE sequence = 1"),
    ("invoices_paid", "UPDATE payment SET currency = 'USD'"),
    ("receivable", "UPDATE posting SET ledger_account = '1000' WHERE ledger_account = '1100'"),
    ("receivable", "UPDATE ledger_entry SET account_id = 'acc_x' WHERE kind = 'payment'"),
    ("invoice_entries", "DELETE FROM ledger_entry WHERE kind = 'invoice'"),
    ("invoice_entries", "UPDATE posting SET dimension = 'FR' WHERE ledger_account = '2200'"),
    ("invoice_entries", "UPDATE ledger_entry SET booked_on = booked_on - 1 WHERE kind = 'invoice'"),
    ("invoice_entries", "DELETE FROM invoice WHERE sequence = 3"),
    ("invoice_sums", "UPDATE invoice_line SET net_minor = net_minor + 1"),
    ("invoice_sums", "DELETE FROM invoice_tax"),
    ("invoice_sums", "UPDATE invoice SET net_minor = net_minor + 1, total_minor = total_minor + 1"),
    ("invoice_numbers", "DELETE FROM invoice WHERE sequence = 2"),
    ("invoice_numbers", "UPDATE invoice SET sequence = 4, number = 'ACME-000004' WHERE sequence = 3"),
    ("invoice_numbers", "UPDATE invoice SET issued_on = issued_on - 1 WHERE sequence = 3"),
    ("invoice_numbers", "UPDATE invoice SET number = 'ACME-3' WHERE sequence = 3"),
    ("invoice_numbers", "UPDATE invoice_counter SET next_number = 3"),
    ("order_invoices", 'UPDATE "order" SET net_minor = net_minor + 1, total_minor = total_minor + 1'),
)  # fmt: skip


class Undo(Exception):
    pass


def test_each_wrong_is_found_under_its_name(sold: World) -> None:
    for check, statement in WRONGS:
        with suppress(Undo), sold.db.transaction() as tx:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            tx.execute(text(statement))
            assert check in {each.check for each in verify_books.findings(tx)}, statement
            raise Undo
    assert found(sold) == {}


def test_a_completed_order_without_its_license_is_found(world: World) -> None:
    order = shop.buy(world)
    by_hand(world, "DELETE FROM license")
    (finding,) = verify_books.verify(world.db)
    assert (finding.check, finding.subject) == ("order_licenses", order.id)


def test_a_term_that_was_over_before_it_was_paid_lacks_no_license_but_the_one_after_it_does(world: World) -> None:
    bought = shop.buy(world, interval="month")
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=70))
    catch_up(world)
    with world.db.transaction() as tx:
        renewals = tx.execute(text(
            "SELECT term.order_id, license.id FROM subscription_term term LEFT JOIN license USING (order_id)"
            " WHERE term.order_id <> :first ORDER BY term.starts_on"
        ), {"first": bought.id}).all()  # fmt: skip
    (_, none), (running, license_id) = renewals
    assert (none, license_id is not None) == (None, True)
    assert verify_books.verify(world.db) == []
    by_hand(world, f"DELETE FROM license WHERE id = '{license_id}'")  # noqa: S608 -- an id or condition of this test, nothing from outside
    (finding,) = verify_books.verify(world.db)
    assert (finding.check, finding.subject) == ("order_licenses", running)


def test_a_license_for_an_order_that_was_never_completed_is_found(world: World) -> None:
    shop.buy(world)
    by_hand(world, "UPDATE \"order\" SET state = 'canceled', completed_at = NULL")
    assert [each.check for each in verify_books.verify(world.db)] == ["order_licenses"]


def test_a_changed_audit_entry_is_found(sold: World) -> None:
    by_hand(sold, "UPDATE audit_entry SET actor = 'nobody' WHERE id = (SELECT min(id) FROM audit_entry)")
    assert found(sold) == {"audit_chain": ["its content was changed"]}


def test_findings_say_what_is_wrong_in_words(sold: World) -> None:
    by_hand(sold, "DELETE FROM invoice WHERE sequence = 2")
    details = found(sold)
    assert details["invoice_numbers"] == ["follows 1 in series ACME: a gap"]
    assert "owes 11900 EUR by the ledger and 0 by its documents" in details["receivable"]
