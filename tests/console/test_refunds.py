"""Staff give money back: they see what it does before they do it, and above the limit it takes two of them."""

import re
from html import unescape

import httpx
import pytest

from app.accounts.models import StaffRole
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.licenses import service as licenses
from app.orders.models import Order
from app.payments import refunds
from app.payments.models import RefundState
from tests import shop
from tests.console.helping import audited, do
from tests.signing_in import staff_browser
from tests.world import World


@pytest.fixture
def order(world: World) -> Order:
    return shop.buy(world, seats=11, interval="month", vat=None)


def invoice_of(world: World, order: Order) -> Invoice:
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, order.id)
    assert found
    return found


def finance(world: World) -> httpx.Client:
    return staff_browser(world, StaffRole.FINANCE)[0]


def text_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_what_is_shown_is_what_is_done(world: World, order: Order) -> None:
    browser, invoice = finance(world), invoice_of(world, order)
    here = f"/console/invoices/{invoice.id}/refund"
    assert here in browser.get(f"/console/invoices/{invoice.id}").text
    before = browser.get(here)
    assert (before.status_code, "What it would do" in text_of(before)) == (200, False)
    shown = browser.get(here, params={"amount": "", "access": "", "ground": "cancellation"})
    said = text_of(shown)
    for words in ("Goes back", "143.99 EUR", "is revoked", "The subscription is canceled", "procedures/refund.md"):
        assert words in said, (words, said)
    with world.db.transaction() as tx:
        assert refunds.of_invoice(tx, invoice.id) == []  # looking changes nothing
    page = f"{here}?amount=&access=&ground=cancellation"
    done = do(browser, page, here, amount="", access="", ground="cancellation", seen="143.99 EUR", note="They left")
    assert (done.status_code, "done=refund-begun" in done.headers["location"]) == (303, True)
    world.work()
    with world.db.transaction() as tx:
        (row,) = refunds.of_invoice(tx, invoice.id)
        license_ = licenses.of_order(tx, order.id)
    assert (row.state, row.note, license_ and license_.state) == (RefundState.SUCCEEDED, "They left", "revoked")
    assert [entry.subject for entry in audited(world, "refund.begun")] == [row.id]
    assert "On its way" not in browser.get(f"/console/refunds/{row.id}").text
    assert "ACME-CN-000001" in browser.get(f"/console/invoices/{invoice.id}").text
    assert "2300 Refunds payable" in browser.get(f"/console/credit_notes/{row.credit_note_id}").text


def test_a_part_may_be_given_back_and_mistakes_are_told_at_the_field(world: World, order: Order) -> None:
    browser, invoice = finance(world), invoice_of(world, order)
    here = f"/console/invoices/{invoice.id}/refund"
    for amount, words in (("ten", "such as 119.00"), ("999.00", "can still be credited"), ("1.234", "such as 119.00")):
        answer = browser.get(here, params={"amount": amount, "ground": "goodwill"})
        assert answer.status_code == 422
        assert words in text_of(answer)
    stale = do(browser, here, here, amount="11.90", ground="goodwill", seen="11.91 EUR", note="x")
    assert (stale.status_code, "different now" in text_of(stale)) == (422, True)
    silent = do(browser, here, here, amount="11.90", ground="goodwill", seen="11.90 EUR", note=" ")
    assert (silent.status_code, "Say why" in text_of(silent)) == (422, True)
    done = do(browser, here, here, amount="11.90", ground="goodwill", seen="11.90 EUR", note="For the outage")
    assert done.status_code == 303
    with world.db.transaction() as tx:
        (note,) = credit_notes.of_invoice(tx, invoice.id)
    assert (note.net_minor, note.tax_minor, note.reason) == (10_00, 1_90, "goodwill")


def test_above_the_limit_it_takes_two(world: World) -> None:
    order = shop.buy(world, seats=25, vat=None)
    browser, invoice = finance(world), invoice_of(world, order)
    here = f"/console/invoices/{invoice.id}/refund"
    shown = text_of(browser.get(here, params={"ground": "cancellation"}))
    assert "needs a second person" in shown
    total = re.search(r"Goes back ([\d,.]+ EUR)", shown)
    assert total
    do(browser, here, here, amount="", ground="cancellation", seen=total[1], note="They left")
    with world.db.transaction() as tx:
        (row,) = refunds.of_invoice(tx, invoice.id)
        assert (row.state, credit_notes.of_invoice(tx, invoice.id)) == (RefundState.REQUESTED, [])
    there = f"/console/refunds/{row.id}"
    assert there in browser.get("/console").text, "it waits on the first page too"
    assert "Let it go" not in browser.get(there).text
    alone = do(browser, there, f"{there}/approve", note="I may")
    assert (alone.status_code, "somebody else" in text_of(alone)) == (403, True)
    other = finance(world)
    assert "Let it go" in other.get(there).text
    assert do(other, there, f"{there}/approve", note="Checked").status_code == 303
    world.work()
    with world.db.transaction() as tx:
        assert refunds.get(tx, row.id).state is RefundState.SUCCEEDED


def test_a_second_person_may_say_no(world: World) -> None:
    order = shop.buy(world, seats=25, vat=None)
    invoice = invoice_of(world, order)
    browser, here = finance(world), f"/console/invoices/{invoice.id}/refund"
    shown = text_of(browser.get(here, params={"ground": "goodwill"}))
    total = re.search(r"Goes back ([\d,.]+ EUR)", shown)
    assert total
    do(browser, here, here, ground="goodwill", seen=total[1], note="Nice people")
    with world.db.transaction() as tx:
        (row,) = refunds.of_invoice(tx, invoice.id)
    there = f"/console/refunds/{row.id}"
    assert do(finance(world), there, f"{there}/reject", note="Not without a contract").status_code == 303
    with world.db.transaction() as tx:
        assert refunds.get(tx, row.id).state is RefundState.REJECTED


def test_disputes_are_listed_with_what_hangs_on_them(world: World, order: Order) -> None:
    with world.db.transaction() as tx:
        payment = refunds.payments_of(tx, order.id)[0]
    world.browser().post(f"/sandbox/payments/{payment.provider_ref}", json={"action": "dispute"})
    world.work()
    browser = finance(world)
    with world.db.transaction() as tx:
        (found,) = refunds.disputes_of(tx, payment.id)
    listed = text_of(browser.get("/console/disputes"))
    assert "143.99 EUR" in listed
    one = text_of(browser.get(f"/console/disputes/{found.id}"))
    for words in ("ACME-000001", "Disputes held", "docs/procedures/dispute.md"):
        assert words in one, (words, one)
    refused = browser.get(f"/console/invoices/{invoice_of(world, order).id}/refund", params={"ground": "goodwill"})
    assert (refused.status_code, "disputed" in text_of(refused)) == (409, True)
