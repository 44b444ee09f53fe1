"""Open invoices paid by card: once, whatever arrives when, and what is over becomes credit (R-ORD-1, R-ORD-2)."""

import threading
from dataclasses import replace

import pytest

from app.adapters.sandbox import switches
from app.adapters.sandbox.models import Fault
from app.core.errors import DomainError, NotFound
from app.core.money import Money
from app.flows import paying_invoices, purchase, refund, ways_back
from app.flows.paying_invoices import CardDeclined, NoSavedCard, NothingOwed
from app.flows.refund import Asked
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders.models import PayBy
from app.payments import credit, refunds
from app.payments import service as payments
from app.payments.models import AttemptState, PaymentAttempt, RefundState
from app.payments.provider import PaymentReport
from app.reports import verify_books
from tests import shop
from tests.flows.on_invoice import balance, invoice_of, licenses_of, open_account, order_on_invoice, placing, wire
from tests.paying import DECLINES_LATER, PAYS
from tests.world import World, altered


def credit_of(world: World, invoice: Invoice) -> int:
    with world.db.transaction() as tx:
        return credit.balance(tx, invoice.account_id, invoice.currency).minor


def attempt_of(world: World, invoice: Invoice) -> PaymentAttempt:
    with world.db.transaction() as tx:
        found = payments.latest_attempt_on(tx, invoice.id)
    assert found
    return found


def keep_card(world: World, account_id: str, card: str = PAYS) -> None:
    """A card that the provider keeps for the account, from a purchase with it."""
    placed = replace(placing(world, shop.offer(world, 11), account_id), pay_by=PayBy.CARD)
    url = purchase.start(world.ports, placed).payment_url
    assert url
    shop.pay(world, url, card)
    world.work()


def test_the_rest_of_an_invoice_is_paid_on_the_page_and_the_whole_license_follows(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    invoice = invoice_of(world, order)
    first = paying_invoices.lead_to_page(world.ports, invoice.id)
    assert first.payment_url == paying_invoices.lead_to_page(world.ports, invoice.id).payment_url, "one page for all"
    wire(world, account, 60_000)
    assert attempt_of(world, invoice).state is AttemptState.EXPIRED, "the page that asks for too much is closed"
    paying = paying_invoices.lead_to_page(world.ports, invoice.id)
    assert paying.amount == Money(72_000, "EUR")
    assert paying.payment_url
    shop.pay(world, paying.payment_url)
    world.work()
    invoice = invoice_of(world, order)
    assert (invoice.state, len(licenses_of(world, order)), credit_of(world, invoice)) == (InvoiceState.PAID, 2, 0)
    assert (balance(world, "1100"), balance(world, "1000")) == (0, 60_000)
    assert balance(world, "1200") + balance(world, "6100") == 72_000  # what the provider keeps of it is a cost
    with pytest.raises(NothingOwed):
        paying_invoices.lead_to_page(world.ports, invoice.id)
    with world.db.transaction() as tx:
        assert payments.saved_method(tx, account, world.ports.payments.name) is None, "a link keeps no card"
    assert verify_books.verify(world.db) == []


def test_events_in_any_number_and_a_wire_at_the_same_moment_pay_once_and_the_rest_is_credit(world: World) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    url = paying_invoices.lead_to_page(world.ports, invoice.id).payment_url
    assert url
    shop.pay(world, url)
    report = world.ports.payments.report(attempt_of(world, invoice).provider_ref or "")
    said: list[str] = []
    gate = threading.Barrier(5)

    def told(each: PaymentReport = report) -> None:
        gate.wait()
        with world.db.transaction() as tx:
            said.append(purchase.apply_report(tx, world.ports, each))

    def wired() -> None:
        gate.wait()
        wire(world, account, 132_000)

    threads = [threading.Thread(target=work) for work in (*[told] * 4, wired)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    world.work()
    assert sorted(said) == ["known", "known", "known", "paid"]
    with world.db.transaction() as tx:
        assert invoices.get(tx, invoice.id).state is InvoiceState.PAID
    assert (balance(world, "1100"), balance(world, "2400"), credit_of(world, invoice)) == (0, -132_000, 132_000)
    assert verify_books.verify(world.db) == []


def test_the_saved_card_pays_with_one_click_and_two_clicks_charge_it_once(world: World) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    with pytest.raises(NoSavedCard):
        paying_invoices.charge_saved_card(world.ports, invoice.id)
    keep_card(world, account)
    outcomes: list[str] = []
    gate = threading.Barrier(3)

    def click() -> None:
        gate.wait()
        try:
            paying_invoices.charge_saved_card(world.ports, invoice.id)
        except DomainError as refused:
            outcomes.append(refused.slug)
        else:
            outcomes.append("paid")

    threads = [threading.Thread(target=click) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    world.work()
    assert "paid" in outcomes
    assert set(outcomes) <= {"paid", "nothing-owed"}
    assert (balance(world, "1100"), credit_of(world, invoice)) == (0, 0)


def test_a_declined_card_leaves_the_invoice_open_and_says_why(world: World) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    keep_card(world, account, DECLINES_LATER)
    with pytest.raises(CardDeclined) as declined:
        paying_invoices.charge_saved_card(world.ports, invoice.id)
    assert declined.value.extra["reason"]
    assert balance(world, "1100") == 132_000
    assert paying_invoices.lead_to_page(world.ports, invoice.id).payment_url


def test_a_charge_whose_answer_got_lost_is_found_and_not_made_again(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    invoice = invoice_of(world, order)
    keep_card(world, account)
    switches.flip(world.db, fault=Fault.LOST_ANSWER)
    paying_invoices.charge_saved_card(world.ports, invoice.id)
    assert attempt_of(world, invoice).state is AttemptState.SUCCEEDED
    switches.flip(world.db, fault=Fault.NONE)
    with pytest.raises(NothingOwed):
        paying_invoices.lead_to_page(world.ports, invoice.id)
    world.work()
    assert (balance(world, "1100"), len(licenses_of(world, order)), credit_of(world, invoice)) == (0, 2, 0)


def test_what_came_by_card_can_be_sent_back_over_the_card(world: World) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    wire(world, account, 60_000)
    url = paying_invoices.lead_to_page(world.ports, invoice.id).payment_url
    assert url
    shop.pay(world, url)
    world.work()
    asked = refund.request(world.ports, Asked(invoice.id, total=70_000), by="stf_1")
    world.work()
    with world.db.transaction() as tx:
        assert refunds.get(tx, asked.id).state is RefundState.SUCCEEDED
    with pytest.raises(ways_back.NotRefundable):
        refund.request(world.ports, Asked(invoice.id, total=60_000), by="stf_1")
    assert verify_books.verify(world.db) == []


def test_a_link_opens_its_own_invoice_only(world: World) -> None:
    invoice = invoice_of(world, order_on_invoice(world, open_account(world)))
    path = paying_invoices.link(world.ports, invoice.id)
    with world.db.transaction() as tx:
        assert paying_invoices.behind(tx, world.ports, path.rpartition("/")[2]).id == invoice.id
        order_token = world.ports.secrets.sign_token(purchase.ORDER_TOKEN, invoice.id)
        for forged in (order_token, invoice.id, altered(path.rpartition("/")[2])):
            with pytest.raises(NotFound):
                paying_invoices.behind(tx, world.ports, forged)
