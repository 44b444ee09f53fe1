"""The statement of an account: it agrees with the ledger and with the documents, whatever period is asked for."""

import csv
import io
from datetime import date, timedelta

import pytest
from pypdf import PdfReader
from sqlalchemy import text

from app.accounts import service as accounts
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import crediting, paying_invoices, refund, statements
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.invoices.models import CreditReason, Invoice
from app.payments import credit
from app.reports import account_statement
from app.reports.account_statement import Kind, Statement
from app.reports.shape import Period
from app.web import statement_view
from tests import shop
from tests.flows.on_invoice import invoice_of, open_account, order_on_invoice, wire
from tests.world import World


def later(world: World, days: int) -> None:
    assert world.wired.advance_clock
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=days))


def give_credit(world: World, invoice: Invoice, total: int, *, off: bool) -> None:
    crediting.keep(world.ports, invoice.id, nets=None, total=total, reason=CreditReason.GOODWILL, off_the_invoice=off,
                   by="stf_1")  # fmt: skip
    world.work()


def busy_account(world: World) -> str:
    """Everything that can happen to what an account owes, over seven weeks."""
    account = open_account(world)
    first = invoice_of(world, order_on_invoice(world, account))
    later(world, 3)
    wire(world, account, 60_000, "=SEPA-1")
    give_credit(world, first, 2_000, off=True)
    later(world, 7)
    url = paying_invoices.lead_to_page(world.ports, first.id).payment_url
    assert url
    shop.pay(world, url)  # 70,000, while a wire of 5,000 comes in
    wire(world, account, 5_000, "SEPA-2")
    world.work()
    later(world, 10)
    give_credit(world, first, 11_900, off=False)
    refund.request(world.ports, Asked(first.id, total=7_000), by="stf_1")
    world.work()
    later(world, 20)
    second = invoice_of(world, order_on_invoice(world, account, seats=11))
    with world.db.transaction() as tx:
        crediting.pay_from_credit(tx, invoices.lock(tx, second.id), actor="stf_1", now=world.ports.clock.now())
    later(world, 7)
    return account


def owed_in_books(tx: Tx, account: str, day: date) -> tuple[int, ...]:
    """The sums of 1100, 2400 and 2300 as the ledger has them."""
    query = text(
        "SELECT coalesce(sum(amount_minor), 0) FROM posting JOIN ledger_entry entry ON entry.id = entry_id"
        " WHERE account_id = :account AND booked_on <= :day AND ledger_account = :code AND currency = 'EUR'"
    )
    codes = ("1100", "2400", "2300")
    return tuple(int(tx.execute(query, {"account": account, "day": day, "code": code}).scalar_one()) for code in codes)


def statement(world: World, account: str, first: date, last: date) -> Statement:
    with world.db.transaction() as tx:
        return account_statement.compute(tx, account, "EUR", Period(first, last))


def test_every_period_agrees_with_the_books_and_with_the_documents(world: World) -> None:
    begun = world.ports.clock.now().date() - timedelta(days=1)
    account = busy_account(world)
    today = world.ports.clock.now().date()
    whole = statement(world, account, begun, today)
    with world.db.transaction() as tx:
        owed = sum(invoices.owed(tx, each).minor for each in invoices.lock_open(tx, account, "EUR"))
        assert whole.closing.owed.minor == owed > 0
        assert whole.closing.credit == credit.balance(tx, account, "EUR")
    assert whole.opening.balance == Money.zero("EUR")
    assert {each.kind for each in whole.movements} == set(Kind)
    assert whole.movements[-1].balance == whole.closing.balance
    assert len(whole.movements) == len({(each.booked_on, each.kind, each.document, each.detail, each.amount.minor)
                                        for each in whole.movements})  # fmt: skip
    day = begun
    while day < today:
        until, after = statement(world, account, begun, day), statement(world, account, day + timedelta(days=1), today)
        assert after.opening == until.closing
        assert sum(each.left.minor for each in until.open_items) == until.closing.owed.minor
        assert sum(each.minor for _, each in until.ages) == until.closing.owed.minor
        with world.db.transaction() as tx:
            books = owed_in_books(tx, account, day)
        assert (until.closing.owed.minor, -until.closing.credit.minor, -until.closing.returning.minor) == books
        assert (*until.movements, *after.movements) == whole.movements
        day += timedelta(days=1)


def test_the_paper_and_the_spreadsheet_say_the_same(world: World) -> None:
    account_id = busy_account(world)
    with world.db.transaction() as tx:
        account = accounts.get(tx, account_id)
        found = statements.asked(tx, account, currency="", first="2026-01-01", last="", now=world.ports.clock.now())
        paper = statements.document(tx, world.ports, account, found)
    head, opening, *rows, closing = csv.reader(io.StringIO(account_statement.as_csv(found).decode()))
    assert head[:3] == ["date", "kind", "document"]
    assert (opening[1], closing[1], closing[6]) == ("opening", "closing", str(found.closing.balance.major()))
    assert len(rows) == len(found.movements)
    assert "'=SEPA-1" in {row[3] for row in rows}, "a formula is made text"
    change = sum(float(row[4] or 0) - float(row[5] or 0) for row in rows)
    assert round(change * 100) == (found.closing.balance - found.opening.balance).minor
    for locale, words in (("en", ("Statement of account", "Opening balance", "not due yet", "Open invoices")),
                          ("de", ("Kontoauszug", "Anfangssaldo", "Offene Rechnungen"))):  # fmt: skip
        body = bytes(statement_view.pdf_file(found, paper, locale).body)
        shown = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)
        for wanted in (*words, *(each.document for each in found.movements)):
            assert wanted in shown, wanted


def test_open_items_grow_old_and_the_account_of_another_is_not_read(world: World) -> None:
    account = open_account(world)
    order_on_invoice(world, account)
    other = shop.buy(world, email="other@example.fr", company="Autre SA", seats=11)
    today = world.ports.clock.now().date()
    for days, age in ((30, "not due"), (45, "1 to 30"), (75, "31 to 60"), (118, "61 to 90"), (200, "over 90")):
        found = statement(world, account, today, today + timedelta(days=days))
        assert {name for name, amount in found.ages if amount} == {age}
        assert found.closing.owed == Money(132_000, "EUR")
    mine = statement(world, other.account_id, today - timedelta(days=1), today)
    assert [each.kind for each in mine.movements] == [Kind.INVOICE, Kind.PAYMENT]
    assert mine.closing.balance == Money.zero("EUR")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"currency": "euro"}, "currency"), ({"first": "yesterday"}, "from"), ({"last": "2026-02-30"}, "to"),
        ({"first": "2026-03-01", "last": "2026-02-01"}, "to"),
    ],
)  # fmt: skip
def test_a_period_that_makes_no_sense_is_refused(world: World, wanted: dict[str, str], param: str) -> None:
    account = open_account(world)
    with world.db.transaction() as tx, pytest.raises(Invalid) as refused:
        statements.asked(
            tx, accounts.get(tx, account), **({"currency": "", "first": "", "last": ""} | wanted),
            now=world.ports.clock.now(),
        )  # fmt: skip
    assert refused.value.param == param
