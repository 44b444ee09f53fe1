"""Money back: shown first, let go by two above a limit, sent once, and what cannot be sent stays the customer's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from app.adapters.sandbox import switches
from app.adapters.sandbox.models import Fault
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.money import Money
from app.flows import refund
from app.flows.consequences import OnLicense
from app.flows.refund import Asked, RefundChanged, SecondPersonNeeded
from app.flows.ways_back import NotRefundable
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.errors import CreditTooLarge, NothingToCredit
from app.invoices.models import Invoice
from app.licenses import service as licenses
from app.licenses.models import LicenseState
from app.orders.models import Order
from app.payments import credit, refunds
from app.payments.errors import PaymentUnavailable
from app.payments.models import Refund, RefundState
from app.reports import verify_books
from app.subscriptions import service as subscriptions
from app.subscriptions.models import SubscriptionState
from tests import shop
from tests.world import World

STAFF, OTHER = "stf_one", "stf_two"


class Case:
    """A paid order and what comes of it."""

    def __init__(self, world: World, **wanted: Any) -> None:
        self.world = world
        self.order: Order = shop.buy(world, **({"seats": 11, "interval": "month", "vat": None} | wanted))
        self.invoice: Invoice = self.within(lambda tx: invoices.of_order(tx, self.order.id))

    def within(self, work: Callable[[Tx], Any]) -> Any:
        with self.world.db.transaction() as tx:
            return work(tx)

    def ask(self, **how: Any) -> Refund:
        by = how.pop("by", STAFF)
        return refund.request(self.world.ports, Asked(self.invoice.id, **how), by=by)

    def now(self, row: Refund) -> Refund:
        found: Refund = self.within(lambda tx: refunds.get(tx, row.id))
        return found

    def license_state(self) -> LicenseState:
        license_ = self.within(lambda tx: licenses.of_order(tx, self.order.id))
        return LicenseState(license_.state)

    def booked(self) -> dict[str, int]:
        """Every account that is not back at zero, beside what the provider keeps in any case."""
        query = text(
            "SELECT ledger_account, sum(amount_minor)::bigint FROM posting JOIN ledger_entry entry"
            " ON entry.id = posting.entry_id WHERE kind <> 'provider_fee' GROUP BY 1 HAVING sum(amount_minor) <> 0"
        )
        with self.world.db.reading() as connection:
            return {str(code): int(minor) for code, minor in connection.execute(query)}

    def play(self, action: str, **more: Any) -> None:
        ref = self.within(lambda tx: refunds.payments_of(tx, self.order.id)[0].provider_ref)
        answer = self.world.browser().post(f"/sandbox/payments/{ref}", json={"action": action, **more})
        assert answer.status_code == 200, answer.text
        self.world.work()

    def faults(self) -> list[str]:
        return [str(each) for each in verify_books.verify(self.world.db)]


@pytest.fixture
def case(world: World) -> Case:
    return Case(world)


def test_a_full_refund_sends_everything_back_and_takes_the_license(case: Case) -> None:
    seen = case.within(lambda tx: refund.outlook(tx, case.world.ports, Asked(case.invoice.id)))
    assert (seen.full, seen.revoke, seen.second_person) == (True, True, False)
    assert seen.amount.minor == case.invoice.total_minor
    assert seen.effects.on_license is OnLicense.REVOKE
    row = case.ask()
    assert (row.state, case.license_state()) == (RefundState.PENDING, LicenseState.ACTIVE)
    case.world.work()
    assert case.now(row).state is RefundState.SUCCEEDED
    assert case.license_state() is LicenseState.REVOKED
    subscription = case.within(lambda tx: subscriptions.get(tx, case.order.subscription_id or ""))
    assert subscription.state is SubscriptionState.CANCELED
    assert (case.booked(), case.faults()) == ({}, [])
    with pytest.raises(NothingToCredit):
        case.ask()


def test_staff_may_leave_the_license_and_may_take_it_for_a_part(case: Case, world: World) -> None:
    case.ask(revoke=False)
    world.work()
    assert case.license_state() is LicenseState.ACTIVE
    other = Case(world, email="b@example.de")
    other.ask(total=100)
    world.work()
    assert other.license_state() is LicenseState.ACTIVE
    other.ask(total=100, revoke=True)
    world.work()
    assert other.license_state() is LicenseState.REVOKED


def test_parts_that_make_the_whole_are_a_full_refund(case: Case) -> None:
    case.ask(total=1_000)
    case.world.work()
    assert case.license_state() is LicenseState.ACTIVE
    seen = case.within(lambda tx: refund.outlook(tx, case.world.ports, Asked(case.invoice.id)))
    assert seen.full
    case.ask()
    case.world.work()
    notes = case.within(lambda tx: credit_notes.of_invoice(tx, case.invoice.id))
    assert sum(note.net_minor for note in notes) == case.invoice.net_minor
    assert sum(note.tax_minor for note in notes) == case.invoice.tax_minor
    assert (case.license_state(), case.booked(), case.faults()) == (LicenseState.REVOKED, {}, [])


def test_above_the_limit_a_second_person_lets_it_go(world: World) -> None:
    case = Case(world, seats=25, interval="year")
    row = case.ask(note="They never used it")
    assert row.state is RefundState.REQUESTED
    world.work()
    assert case.within(lambda tx: credit_notes.of_invoice(tx, case.invoice.id)) == []
    with pytest.raises(SecondPersonNeeded):
        refund.approve(world.ports, row.id, by=STAFF)
    refund.approve(world.ports, row.id, by=OTHER)
    world.work()
    assert (case.now(row).state, case.now(row).decided_by) == (RefundState.SUCCEEDED, OTHER)
    assert (case.booked(), case.faults()) == ({}, [])


def test_a_second_person_may_say_no_and_stale_requests_are_refused(world: World) -> None:
    case = Case(world, seats=25, interval="year")
    first, second = case.ask(), case.ask()
    with pytest.raises(SecondPersonNeeded):
        refund.reject(world.ports, first.id, by=STAFF, note="no")
    refund.reject(world.ports, first.id, by=OTHER, note="They used it all year")
    case.ask(total=500)
    with pytest.raises((RefundChanged, CreditTooLarge)):
        refund.approve(world.ports, second.id, by=OTHER)
    with pytest.raises(DomainError, match="cannot become"):
        refund.approve(world.ports, first.id, by=OTHER)


def test_an_answer_that_is_lost_sends_the_money_once(case: Case) -> None:
    switches.flip(case.world.db, fault=Fault.LOST_ANSWER)
    row = case.ask(total=1_000)
    with pytest.raises(PaymentUnavailable):
        refund.send.run(case.world.ports, refund_id=row.id)
    switches.reset(case.world.db)
    for _ in range(3):
        refund.send.run(case.world.ports, refund_id=row.id)
    case.world.work()
    assert case.now(row).state is RefundState.SUCCEEDED
    query = text("SELECT count(*), sum(amount_minor) FROM sandbox_refund")
    with case.world.db.reading() as connection:
        assert tuple(connection.execute(query).one()) == (1, 1_000)


def test_what_the_bank_sends_back_is_kept_as_credit(case: Case) -> None:
    row = case.ask(total=1_190)
    case.world.work()
    case.play("fail_refund")
    assert (case.now(row).state, case.now(row).failure_code) == (RefundState.FAILED, "lost_or_stolen_card")
    kept = case.within(lambda tx: credit.balance(tx, case.order.account_id, "EUR"))
    assert (kept, case.faults()) == (Money(1_190, "EUR"), [])


def test_money_sent_back_at_the_provider_is_credited_here(case: Case) -> None:
    case.play("refund", amount=1_190)
    rows = case.within(lambda tx: refunds.of_invoice(tx, case.invoice.id))
    assert [(row.amount_minor, row.state, row.requested_by) for row in rows] == [
        (1_190, RefundState.SUCCEEDED, "provider")
    ]
    (note,) = case.within(lambda tx: credit_notes.of_invoice(tx, case.invoice.id))
    assert (note.total_minor, note.to_refund_minor) == (1_190, 1_190)
    assert case.license_state() is LicenseState.ACTIVE
    case.play("refund")
    assert (case.license_state(), case.booked(), case.faults()) == (LicenseState.REVOKED, {}, [])


def test_twenty_partial_refunds_at_once_never_exceed_the_payment(case: Case) -> None:
    part = case.invoice.total_minor // 7

    def ask(_: int) -> str:
        try:
            case.ask(total=part)
        except DomainError as refused:
            return refused.slug
        return "begun"

    with ThreadPoolExecutor(20) as pool:
        outcomes = sorted(pool.map(ask, range(20)))
    case.world.work()
    assert outcomes.count("begun") == 7
    rows = case.within(lambda tx: refunds.of_invoice(tx, case.invoice.id))
    assert {row.state for row in rows} == {RefundState.SUCCEEDED}
    assert sum(row.amount_minor for row in rows) <= case.invoice.total_minor
    assert case.faults() == []


def test_a_disputed_payment_is_not_refunded(case: Case) -> None:
    case.play("dispute")
    with pytest.raises(NotRefundable, match="disputed"):
        case.ask()
    case.play("win_dispute")
    case.ask()
    case.world.work()
    assert (case.booked(), case.faults()) == ({}, [])
