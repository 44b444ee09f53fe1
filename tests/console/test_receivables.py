"""What finance does about invoices: records what the bank shows, decides who may owe how much."""

from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from app.accounts import service as accounts
from app.flows import purchase
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from tests import shop
from tests.console.helping import audited, do
from tests.flows.on_invoice import placing
from tests.signing_in import make_member, staff_browser
from tests.world import World


@pytest.fixture
def invoice(world: World) -> Invoice:
    """An open invoice of 1,320.00 EUR."""
    with world.db.transaction() as tx:
        account = make_member(tx, email="ada@example.de").account_id
    started = purchase.start(world.ports, placing(world, shop.offer(world, 12), account))
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, started.order_id)
    assert found
    return found


def record(browser: httpx.Client, invoice: Invoice, **typed: str) -> httpx.Response:
    page = f"/console/invoices/{invoice.id}"
    given = {"amount": "1,320.00", "reference": "SEPA-1", "value_on": "2026-01-02", "ground": "wire", "note": "Seen."}
    return do(browser, page, f"{page}/payment", **(given | typed))


def test_a_wire_in_two_parts_pays_the_invoice_and_the_page_says_what_is_open(world: World, invoice: Invoice) -> None:
    browser, person = staff_browser(world)
    done = record(browser, invoice, amount="1,000.00")
    assert done.headers["location"] == f"/console/invoices/{invoice.id}?done=payment-recorded"
    page = browser.get(done.headers["location"]).text
    assert "The payment is booked." in page
    assert "320.00 EUR open" in page
    assert 'value="320.00"' in page, "what is open is filled in"
    assert record(browser, invoice, amount="320.00", reference="SEPA-2").status_code == 303
    with world.db.transaction() as tx:
        assert invoices.get(tx, invoice.id).state is InvoiceState.PAID
    assert "Record a payment" not in browser.get(f"/console/invoices/{invoice.id}").text
    first, _ = audited(world, "payment.recorded")
    assert (first.actor, first.details["reference"], first.details["note"]) == (person.id, "SEPA-1", "Seen.")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"amount": "much"}, "Write the amount in EUR"),
        ({"amount": "13.205"}, "Write the amount in EUR"),
        ({"amount": "-5"}, "Give the amount that arrived"),
        ({"value_on": "yesterday"}, "Give the day the money arrived"),
        ({"value_on": "2099-01-01"}, "is not over yet"),
        ({"reference": ""}, "reference"),
        ({"ground": "card"}, "Choose how the money came"),
        ({"note": ""}, "Say why"),
    ],
)
def test_what_is_typed_wrong_comes_back_with_what_was_typed(
    world: World, invoice: Invoice, typed: dict[str, str], sentence: str
) -> None:
    browser, _ = staff_browser(world)
    answer = record(browser, invoice, **typed)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "Seen." in answer.text or "note" in typed
    with world.db.transaction() as tx:
        assert invoices.owed(tx, invoices.get(tx, invoice.id)).major() == Decimal("1320.00")


def test_credit_is_frozen_freed_and_limited_with_a_reason(world: World, invoice: Invoice) -> None:
    browser, person = staff_browser(world)
    page = f"/console/accounts/{invoice.account_id}"
    assert do(browser, page, f"{page}/credit/freeze", note="In dispute.").headers["location"].endswith("credit-frozen")
    assert "In dispute." in browser.get(page).text
    assert do(browser, page, f"{page}/credit/unfreeze", note="Settled.").status_code == 303
    limited = do(browser, page, f"{page}/credit/limit", amount="7,500.00", currency="eur", note="Known for years.")
    assert limited.status_code == 303
    assert "7,500.<wbr>00 EUR" in browser.get(page).text
    with world.db.transaction() as tx:
        terms = accounts.credit_terms(tx, invoice.account_id)
    assert terms is not None
    assert (terms.frozen_at, terms.limits) == (None, {"EUR": 750_000})
    assert [audited(world, f"credit.{what}")[0].actor for what in ("frozen", "unfrozen", "limited")] == [person.id] * 3
    wrong = do(browser, page, f"{page}/credit/limit", amount="much", currency="EUR", note="Known.")
    assert (wrong.status_code, "Write an amount" in wrong.text) == (422, True)


def test_reminders_are_seen_ahead_and_put_off_with_a_reason(world: World, invoice: Invoice) -> None:
    assert world.wired.advance_clock
    assert invoice.due_on
    world.wired.advance_clock(datetime.fromisoformat(f"{invoice.due_on}T00:00:00+00:00") - timedelta(days=7))
    cashier, _ = staff_browser(world)
    board = cashier.get("/console/dunning").text
    assert "1 reminder of an open invoice goes out by then." in board
    here = f"/console/invoices/{invoice.id}"
    wrong = do(cashier, here, f"{here}/put_off", days="x", note="Pays in May.")
    assert wrong.status_code == 422
    assert "whole number" in wrong.text
    done = do(cashier, here, f"{here}/put_off", days="10", note="Pays in May.")
    assert done.headers["location"] == f"{here}?done=reminders-put-off"
    assert "0 reminders of open invoices go out by then." in cashier.get("/console/dunning").text
    (entry,) = audited(world, "invoice.reminders_put_off")
    assert entry.details == {"days": 10, "reason": "Pays in May."}
