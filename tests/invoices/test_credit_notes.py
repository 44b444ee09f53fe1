"""Credit notes as they are stored: numbered, booked, never more than the invoice, never changed (R-INV-4)."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.accounts.models import Account
from app.core.db import Tx
from app.core.money import Money
from app.flows import crediting as flow
from app.flows.crediting import SettlementDoesNotFit
from app.invoices import credit_notes, crediting
from app.invoices import service as invoices
from app.invoices.credit_notes import Part, Settlement
from app.invoices.errors import CreditTooLarge, NotCreditable
from app.invoices.models import CreditNote, CreditReason, Invoice, InvoiceState
from app.payments import credit
from app.reports import verify_books
from tests import books
from tests.books import Sale, Tax
from tests.invoices.test_numbering import together
from tests.world import World

NOW = datetime(2027, 3, 5, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sold:
    world: World
    sale: Sale

    @property
    def id(self) -> str:
        return self.sale.invoice.id

    def give_back(self, minor: int | None, *, to: str = "refund") -> CreditNote:
        """Net of the only line, or all that is left."""
        with self.world.db.transaction() as tx:
            return self.issue(tx, minor, to=to)

    def issue(self, tx: Tx, minor: int | None, *, to: str = "refund") -> CreditNote:
        invoice = invoices.lock(tx, self.id)
        parts: list[Part] = []
        if minor is None:
            given = crediting.of_rest(credit_notes.basis(tx, invoice))
        else:
            parts = [Part(line.id or 0, Money(minor, "EUR")) for line in invoices.lines(tx, invoice.id)]
            given = credit_notes.work_out(tx, invoice, parts)
        amount = Money(given.total, "EUR")
        way = {
            "refund": Settlement.to_refund, "balance": Settlement.to_balance, "invoice": Settlement.to_invoice,
        }[to](amount)  # fmt: skip
        return flow.issue(
            tx, invoice, given, reason=CreditReason.GOODWILL, settlement=way, actor="stf_1", now=NOW, parts=parts
        )

    def faults(self) -> set[str]:
        return {each.check for each in verify_books.verify(self.world.db)} - {"order_licenses"}

    def attack(self, statement: str) -> None:
        with self.world.db.transaction() as tx:
            tx.execute(text(statement), {"invoice": self.id})

    def booked(self, account: str) -> int:
        with self.world.db.reading() as connection:
            query = text("SELECT coalesce(sum(amount_minor), 0) FROM posting WHERE ledger_account = :account")
            return int(connection.execute(query, {"account": account}).scalar_one())

    def invoice(self) -> Invoice:
        with self.world.db.transaction() as tx:
            return invoices.get(tx, self.id)


def sell(world: World, *, paid: bool) -> Sold:
    with world.db.transaction() as tx:
        customer = books.customer(tx, "Beispiel GmbH", NOW, "DE")
        sale = books.draft(tx, customer, Money(10_000, "EUR"), NOW, taxes=[Tax("DE", "MwSt.", "19", 1_900)])
        books.issue(tx, sale, NOW)
        if paid:
            books.pay(tx, sale, NOW)
    return Sold(world, sale)


@pytest.fixture
def sold(world: World) -> Sold:
    return sell(world, paid=True)


def test_a_note_has_its_own_series_and_takes_revenue_and_tax_back(sold: Sold) -> None:
    first, second = sold.give_back(3_333), sold.give_back(None)
    assert (first.number, second.number) == ("ACME-CN-000001", "ACME-CN-000002")
    assert (first.net_minor, first.tax_minor, first.total_minor) == (3_333, 633, 3_966)
    assert first.total_minor + second.total_minor == 11_900
    assert (sold.booked("2100"), sold.booked("2200"), sold.booked("2300")) == (0, 0, -11_900)
    assert first.buyer == sold.sale.invoice.buyer
    assert sold.faults() == set()


def test_a_unit_too_much_is_refused_before_and_by_the_database(sold: Sold) -> None:
    sold.give_back(9_999)
    with pytest.raises(CreditTooLarge):
        sold.give_back(2)
    sold.give_back(1)
    with pytest.raises(DBAPIError, match="beyond its amount"):
        sold.attack(
            "INSERT INTO credit_note_line (credit_note_id, position, invoice_line_id, description,"
            " net_minor, tax_minor, tax_parts, period_from, period_to, numerator, denominator, rule)"
            " SELECT 'cn_x', 1, invoice_line_id, 'x', 1, 0, '[0]', period_from, period_to, 1, 1, 'amount'"
            " FROM credit_note_line LIMIT 1;"
            ' INSERT INTO credit_note SELECT (jsonb_populate_record(note, \'{"id": "cn_x", "sequence": 9,'
            ' "number": "X", "net_minor": 1, "tax_minor": 0, "total_minor": 1, "to_refund_minor": 1}\'))'
            ".* FROM credit_note note LIMIT 1"
        )


REWRITTEN = (
    "UPDATE credit_note SET issued_on = '2026-01-01'",
    "UPDATE credit_note SET buyer = '{}'",
    "DELETE FROM credit_note",
    "UPDATE credit_note_line SET net_minor = 1",
    "DELETE FROM credit_note_line",
    "UPDATE credit_note_tax SET jurisdiction = 'FR'",
    "DELETE FROM credit_note_tax",
    "INSERT INTO credit_note_tax SELECT 99, credit_note_id, 2, invoice_tax_id, 'X', 'X', 1, 0, 0 FROM credit_note_tax",
    "TRUNCATE credit_note CASCADE",
    "TRUNCATE credit_note_line",
    "DELETE FROM customer_credit",
    "UPDATE customer_credit SET amount_minor = 99999",
)


def test_a_note_is_never_changed(sold: Sold) -> None:
    sold.give_back(100, to="balance")
    for statement in REWRITTEN:
        with pytest.raises(DBAPIError, match=r"never changed|final"):
            sold.attack(statement)


def test_a_note_without_postings_is_refused_at_commit(sold: Sold) -> None:
    def unbooked() -> None:
        with sold.world.db.transaction() as tx:
            invoice = invoices.lock(tx, sold.id)
            given = crediting.of_rest(credit_notes.basis(tx, invoice))
            credit_notes.issue(
                tx, invoice, given, reason=CreditReason.GOODWILL, issued_on=NOW.date(), now=NOW,
                settlement=Settlement.to_refund(Money(given.total, "EUR")),
            )  # fmt: skip

    with pytest.raises(DBAPIError, match="no sealed ledger entry"):
        unbooked()
    assert sold.give_back(None).number == "ACME-CN-000001"  # the number came back


def test_twenty_who_credit_at_once_never_give_more_than_was_charged(sold: Sold) -> None:
    refused = []

    def credit_some(_: int) -> None:
        try:
            sold.give_back(1_100)
        except CreditTooLarge as exc:
            refused.append(exc)

    together(20, credit_some)
    assert len(refused) == 11
    with sold.world.db.transaction() as tx:
        notes = credit_notes.of_invoice(tx, sold.id)
    assert [note.sequence for note in notes] == list(range(1, 10))
    assert sum(note.net_minor for note in notes) == 9_900
    assert sold.faults() == set()


def test_credit_that_is_kept_pays_a_later_invoice_and_never_runs_below_zero(world: World, sold: Sold) -> None:
    sold.give_back(5_000, to="balance")
    account = sold.sale.invoice.account_id
    with world.db.transaction() as tx:
        assert credit.balance(tx, account, "EUR") == Money(5_950, "EUR")
        customer = tx.get_one(Account, account)
        small = books.draft(tx, customer, Money(4_000, "EUR"), NOW)
        books.issue(tx, small, NOW)
        spent = flow.pay_from_credit(tx, invoices.lock(tx, small.invoice.id), actor="system", now=NOW)
        assert spent == Money(4_000, "EUR")
        assert small.invoice.state is InvoiceState.PAID
        big = books.draft(tx, customer, Money(9_000, "EUR"), NOW)
        books.issue(tx, big, NOW)
        spent = flow.pay_from_credit(tx, invoices.lock(tx, big.invoice.id), actor="system", now=NOW)
        assert (spent, invoices.owed(tx, big.invoice)) == (Money(1_950, "EUR"), Money(7_050, "EUR"))
        assert credit.balances(tx, account) == []
    assert sold.faults() == set()
    with pytest.raises(DBAPIError, match="only"):
        sold.attack(
            "INSERT INTO customer_credit SELECT 'crd_x', account_id, currency, -1, 'spent', 'x', recorded_at"
            " FROM customer_credit LIMIT 1"
        )


def test_an_open_invoice_can_be_reduced_until_nothing_is_owed(world: World) -> None:
    sold = sell(world, paid=False)
    with pytest.raises(SettlementDoesNotFit):
        sold.give_back(1_000, to="refund")  # nothing was paid
    sold.give_back(1_000, to="invoice")
    with world.db.transaction() as tx:
        assert invoices.owed(tx, invoices.get(tx, sold.id)) == Money(10_710, "EUR")
    sold.give_back(None, to="invoice")
    assert sold.invoice().state is InvoiceState.PAID
    assert (sold.booked("1100"), sold.faults()) == (0, set())


def test_a_paid_invoice_cannot_be_reduced_and_a_void_one_not_credited(sold: Sold, world: World) -> None:
    with pytest.raises(SettlementDoesNotFit):
        sold.give_back(1_000, to="invoice")
    other = sell(world, paid=False)
    other.attack("UPDATE invoice SET state = 'void' WHERE id = :invoice")
    with pytest.raises(NotCreditable):
        other.give_back(None)


def test_a_line_that_races_with_the_seal_of_its_note_is_refused(sold: Sold) -> None:
    """Neither transaction sees the other until both have written; the later commit is refused."""
    late = text(
        "INSERT INTO credit_note_line (credit_note_id, position, invoice_line_id, description, net_minor, tax_minor,"
        " tax_parts, period_from, period_to, numerator, denominator, rule)"
        " SELECT :note, 2, id, 'x', 1, 0, '[0]', period_from, period_to, 1, 1, 'amount' FROM invoice_line"
        " WHERE invoice_id <> :invoice"
    )
    with sold.world.db.transaction() as tx:
        customer = books.customer(tx, "Other", NOW)
        books.issue(tx, books.draft(tx, customer, Money(500, "EUR"), NOW), NOW)

    def race() -> None:
        with sold.world.db.transaction() as racing, sold.world.db.transaction() as honest:
            note = sold.issue(honest, 100)
            racing.execute(late, {"note": note.id, "invoice": sold.id})

    with pytest.raises(DBAPIError, match=r"do not add up|another invoice|foreign key"):
        race()
    assert sold.faults() == set()
