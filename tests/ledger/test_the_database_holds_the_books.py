"""Attempts to break the books with SQL alone, past every rule in Python: PostgreSQL refuses each of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import declared_moves
from app.invoices import service as invoices
from app.invoices.models import InvoiceState
from tests import books
from tests.books import Sale, Tax
from tests.world import World

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)
_POSTING = text(
    "INSERT INTO posting (entry_id, ledger_account, dimension, amount_minor, currency)"
    " VALUES (:entry, :account, '', :minor, :currency)"
)
_SEAL = text(
    "INSERT INTO ledger_entry (id, source, kind, account_id, legal_entity_id, booked_on, recorded_at, memo)"
    " SELECT :entry, :source, 'test', :account, id, '2027-01-05', '2027-01-05T12:00Z', 'by hand' FROM legal_entity"
)


@dataclass(frozen=True, slots=True)
class Victim:
    """One paid invoice with one line, one tax and two entries."""

    world: World
    sale: Sale

    def attack(self, *statements: str, **params: object) -> None:
        with self.world.db.transaction() as tx:
            for statement in statements:
                tx.execute(text(statement), params | {"invoice": self.sale.invoice.id})

    def post(self, tx: Tx, entry: str, minor: int, currency: str = "USD", account: str = "1100") -> None:
        tx.execute(_POSTING, {"entry": entry, "account": account, "minor": minor, "currency": currency})

    def seal(self, tx: Tx, entry: str, source: str | None = None) -> None:
        account = self.sale.invoice.account_id
        tx.execute(_SEAL, {"entry": entry, "source": source or entry, "account": account})

    def rows(self, table: str) -> list[dict[str, Any]]:
        everything = text(f"SELECT to_jsonb(t) FROM {table} t ORDER BY 1")  # noqa: S608 -- the names of this file
        with self.world.db.reading() as connection:
            return [row[0] for row in connection.execute(everything)]

    def another_draft(self, tx: Tx) -> Sale:
        return books.draft(tx, books.customer(tx, "Nobody", NOW), Money(500, "USD"), NOW)


@pytest.fixture
def victim(world: World) -> Victim:
    with world.db.transaction() as tx:
        customer = books.customer(tx, "Beispiel GmbH", NOW, "DE")
        sale = books.draft(tx, customer, Money(10_000, "EUR"), NOW, taxes=[Tax("DE", "MwSt.", "19", 1_900)])
        books.issue(tx, sale, NOW)
        books.pay(tx, sale, NOW)
    return Victim(world, sale)


@contextmanager
def refused(victim: Victim, because: str) -> Iterator[None]:
    """The database says no, and everything is as it was."""
    tables = ("posting", "ledger_entry", "invoice", "invoice_line", "invoice_tax", "invoice_counter", "payment")
    before = {table: victim.rows(table) for table in tables}
    with pytest.raises(DBAPIError, match=because):
        yield
    assert {table: victim.rows(table) for table in tables} == before


def test_an_entry_that_does_not_balance(victim: Victim) -> None:
    entry = new_id("led")
    with refused(victim, "does not balance"), victim.world.db.transaction() as tx:
        victim.post(tx, entry, 1000)
        victim.post(tx, entry, -999)
        victim.seal(tx, entry)


def test_an_entry_that_balances_only_across_currencies(victim: Victim) -> None:
    entry = new_id("led")
    with refused(victim, "does not balance"), victim.world.db.transaction() as tx:
        victim.post(tx, entry, 1000, "USD")
        victim.post(tx, entry, -1000, "EUR")
        victim.seal(tx, entry)


def test_an_entry_without_postings(victim: Victim) -> None:
    with refused(victim, "fewer than two"), victim.world.db.transaction() as tx:
        victim.seal(tx, new_id("led"))


def test_a_posting_of_nothing(victim: Victim) -> None:
    with refused(victim, "amount_not_zero"), victim.world.db.transaction() as tx:
        victim.post(tx, new_id("led"), 0)


def test_a_posting_to_an_account_that_is_not_in_the_chart(victim: Victim) -> None:
    with refused(victim, "fk_posting_ledger_account"), victim.world.db.transaction() as tx:
        victim.post(tx, new_id("led"), 5, account="6666")


def test_postings_whose_entry_never_comes(victim: Victim) -> None:
    entry = new_id("led")
    with refused(victim, "fk_posting_entry_id|not sealed"), victim.world.db.transaction() as tx:
        victim.post(tx, entry, 5)
        victim.post(tx, entry, -5)


def test_a_late_posting_to_a_sealed_entry_even_if_it_balances(victim: Victim) -> None:
    entry = victim.rows("ledger_entry")[0]["id"]
    with refused(victim, "is sealed"), victim.world.db.transaction() as tx:
        victim.post(tx, entry, 5)
        victim.post(tx, entry, -5)


def test_a_posting_that_races_with_the_seal_of_its_entry(victim: Victim) -> None:
    """Neither transaction sees the other until both have written; the later commit is refused."""
    entry = new_id("led")

    def race() -> None:
        with victim.world.db.transaction() as racing:
            victim.post(racing, entry, 5)
            victim.post(racing, entry, -5)
            with victim.world.db.transaction() as honest:
                victim.post(honest, entry, 100)
                victim.post(honest, entry, -100)
                victim.seal(honest, entry)

    with pytest.raises(DBAPIError, match="not sealed by the transaction"):
        race()
    assert sorted(row["amount_minor"] for row in victim.rows("posting") if row["entry_id"] == entry) == [-100, 100]


def test_the_same_fact_twice(victim: Victim) -> None:
    entry = new_id("led")
    with refused(victim, "uq_ledger_entry_source"), victim.world.db.transaction() as tx:
        victim.post(tx, entry, 5)
        victim.post(tx, entry, -5)
        victim.seal(tx, entry, source=f"invoice:{victim.sale.invoice.id}")


REWRITTEN_LEDGER = (
    "UPDATE posting SET amount_minor = amount_minor * 2",
    "UPDATE posting SET dimension = 'FR' WHERE dimension = 'DE'",
    "DELETE FROM posting",
    "TRUNCATE posting",
    "UPDATE ledger_entry SET booked_on = '2026-12-31'",
    "UPDATE ledger_entry SET memo = 'nothing to see'",
    "DELETE FROM ledger_entry",
    "TRUNCATE ledger_entry CASCADE",
)


def test_rewriting_the_ledger(victim: Victim) -> None:
    for statement in REWRITTEN_LEDGER:
        with refused(victim, "never changed or deleted"):
            victim.attack(statement)


REWRITTEN_INVOICE = (
    "UPDATE invoice SET total_minor = total_minor - 1, tax_minor = tax_minor - 1",
    'UPDATE invoice SET buyer = buyer || \'{"company" : "Somebody else"}\'',
    "UPDATE invoice SET issued_on = '2026-12-31'",
    "UPDATE invoice SET due_on = '2030-01-01'",
    "UPDATE invoice SET currency = 'USD'",
    "UPDATE invoice SET series = 'OTHER'",
    "UPDATE invoice SET paid_at = '2026-12-31T00:00Z'",
    "DELETE FROM invoice WHERE id = :invoice",
    "UPDATE invoice_line SET net_minor = 1",
    "DELETE FROM invoice_line",
    "UPDATE invoice_tax SET jurisdiction = 'FR'",
    "DELETE FROM invoice_tax",
    "INSERT INTO invoice_tax SELECT 99, invoice_id, 2, 'FR', 'TVA', rate, 0, 0 FROM invoice_tax",
)


def test_rewriting_a_final_invoice(victim: Victim) -> None:
    for statement in REWRITTEN_INVOICE:
        with refused(victim, "final"):
            victim.attack(statement)


def test_emptying_the_documents(victim: Victim) -> None:
    for table in ("invoice", "invoice_line", "invoice_tax", "invoice_counter", "payment"):
        with refused(victim, "never changed or deleted"):
            victim.attack(f"TRUNCATE {table} CASCADE")


def test_a_paid_invoice_goes_nowhere(victim: Victim) -> None:
    for state in ("draft", "open", "void", "uncollectible"):
        with refused(victim, "may not move from paid"):
            victim.attack("UPDATE invoice SET state = :state, paid_at = NULL", state=state)


def test_renumbering(victim: Victim) -> None:
    for statement in (
        "UPDATE invoice SET number = 'ACME-000009', sequence = 9",
        "UPDATE invoice SET number = NULL, sequence = NULL, state = 'draft', paid_at = NULL",
    ):
        with refused(victim, "final|may not move"):
            victim.attack(statement)


def test_the_database_allows_the_moves_of_invoices_that_the_code_declares(victim: Victim) -> None:
    stored = {(row["from_state"], row["to_state"]) for row in victim.rows("state_move") if row["machine"] == "invoice"}
    assert stored == declared_moves()["invoice"]


def test_finalizing_without_an_entry(victim: Victim) -> None:
    with refused(victim, "no sealed ledger entry"), victim.world.db.transaction() as tx:
        sale = victim.another_draft(tx)
        invoices.finalize(tx, sale.invoice, issued_on=NOW.date(), due_on=NOW.date(), now=NOW)


def test_finalizing_an_invoice_that_its_lines_do_not_bear_out(victim: Victim) -> None:
    with refused(victim, "do not add up"), victim.world.db.transaction() as tx:
        sale = victim.another_draft(tx)
        sale.invoice.net_minor, sale.invoice.total_minor = 600, 600
        books.issue(tx, sale, NOW)


def test_a_total_that_is_not_net_and_tax(victim: Victim) -> None:
    with refused(victim, "totals_add_up"), victim.world.db.transaction() as tx:
        victim.another_draft(tx).invoice.total_minor = 400
        tx.flush()


@pytest.mark.parametrize(("sequence", "because"), [(1, "uq_invoice"), (2, "not taken"), (42, "not taken")])
def test_a_number_that_was_not_taken_from_the_counter(victim: Victim, sequence: int, because: str) -> None:
    with refused(victim, because), victim.world.db.transaction() as tx:
        invoice = victim.another_draft(tx).invoice
        invoice.sequence, invoice.number = sequence, f"ACME-{sequence:06d}"
        invoice.state, invoice.issued_on, invoice.finalized_at = InvoiceState.OPEN, NOW.date(), NOW
        tx.flush()
        entry = new_id("led")
        victim.post(tx, entry, 5)
        victim.post(tx, entry, -5)
        victim.seal(tx, entry, source=f"invoice:{invoice.id}")


def test_turning_the_counter(victim: Victim) -> None:
    for statement, because in (
        ("UPDATE invoice_counter SET next_number = next_number + 1", "would have a gap"),
        ("UPDATE invoice_counter SET next_number = 1", "never given again"),
        ("UPDATE invoice_counter SET series = 'OTHER'", "never given again"),
        ("DELETE FROM invoice_counter", "never changed or deleted"),
        ("INSERT INTO invoice_counter SELECT id, 'NEW', 3 FROM legal_entity", "would have a gap"),
    ):
        with refused(victim, because):
            victim.attack(statement)


def test_a_draft_may_still_change_and_go(victim: Victim) -> None:
    with victim.world.db.transaction() as tx:
        draft = victim.another_draft(tx).invoice
        draft.po_number = "PO 9"
    victim.attack(
        "DELETE FROM invoice_line WHERE invoice_id = :draft", "DELETE FROM invoice WHERE id = :draft", draft=draft.id
    )
    assert len(victim.rows("invoice")) == 1


def test_entries_written_in_savepoints_are_entries_of_their_transaction(victim: Victim) -> None:
    entry = new_id("led")
    with victim.world.db.transaction() as tx:
        with tx.begin_nested():
            victim.post(tx, entry, 7)
        with tx.begin_nested():
            victim.post(tx, entry, -7)
            victim.seal(tx, entry)
    assert len([row for row in victim.rows("posting") if row["entry_id"] == entry]) == 2


def test_books_may_be_written_side_by_side(victim: Victim) -> None:
    failures: list[Exception] = []

    def write() -> None:
        try:
            for _ in range(5):
                entry = new_id("led")
                with victim.world.db.transaction() as tx:
                    victim.post(tx, entry, 3)
                    victim.post(tx, entry, -3)
                    victim.seal(tx, entry)
        except Exception as exc:  # noqa: BLE001 -- shown below, in the test's own thread
            failures.append(exc)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert len(victim.rows("ledger_entry")) == 2 + 40
