"""The main job: from a preview to a license, written once whatever happens on the way."""

import threading
from collections.abc import Callable
from types import ModuleType

import pytest
from sqlalchemy import func, select, text
from sqlmodel import col

from app.core import inbox, keys
from app.core.clock import transport_now
from app.core.db import Table
from app.core.events import Event
from app.flows import provider_events, purchase
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.ledger import service as ledger
from app.ledger.models import LedgerEntry, Posting
from app.licenses import service as licenses
from app.licenses.formats.verify import load_keys, verify_license_file
from app.licenses.models import License, LicenseState
from app.orders.errors import NeedsQuote
from app.orders.models import OrderState, Route
from app.payments import service as payments
from app.payments.models import AttemptState, Payment
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from tests import shop
from tests.world import World, full


def count(world: World, table: type[Table]) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_german_business_buys_under_reverse_charge_and_holds_a_valid_license(world: World) -> None:
    order = shop.buy(world)
    assert order.state is OrderState.COMPLETED
    assert (order.net_minor, order.tax_minor, order.total_minor, order.currency) == (275_000, 0, 275_000, "EUR")
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice)).scalar_one()
        license_ = tx.execute(select(License)).scalar_one()
        public = "".join(each.public_pem for each in keys.published(tx, keys.KeyPurpose.LICENSE_FILE)).encode()
    assert (invoice.number, invoice.state, invoice.total_minor) == ("ACME-000001", InvoiceState.PAID, 275_000)
    assert any("Reverse charge" in note for note in invoice.notes)
    report = verify_license_file(license_.file_text.encode(), load_keys(public), world.ports.clock.now())
    assert report.accepted
    assert report.claims is not None
    assert (report.claims.users, report.claims.customer.company) == (25, "Beispiel GmbH")


def test_a_buyer_in_a_state_that_taxes_the_plan_is_charged_its_rate(world: World) -> None:
    where = {"country": "US", "region": "KY", "postcode": "40202", "city": "Louisville", "email": "bo@example.com"}
    order = shop.buy(world, seats=20, currency="USD", vat=None, **where)
    assert (order.net_minor, order.tax_minor, order.total_minor) == (240_000, 14_400, 254_400)
    with world.db.transaction() as tx:
        due = tx.execute(select(Posting).where(col(Posting.ledger_account) == "2200")).scalar_one()
    assert (due.amount_minor, due.dimension) == (-14_400, "US-KY")


def test_the_books_balance_and_the_receivable_is_settled(world: World) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(LedgerEntry)).scalar_one() == 3
        by_account = dict(
            tx.execute(
                select(col(Posting.ledger_account), func.sum(col(Posting.amount_minor))).group_by(
                    col(Posting.ledger_account)
                )
            ).all()
        )
    assert by_account == {"1100": 0, "1200": 275_000 - 4_150, "6100": 4_150, "2100": -275_000}


def test_the_receipt_is_sent_once_with_the_way_to_the_license(world: World) -> None:
    shop.buy(world)
    world.work()
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    assert len(mails) == 1
    assert "/license" in mails[0]["text"]


@pytest.mark.parametrize("card", ["4000 0000 0000 0002", "4000 0000 0000 9995"])
def test_a_declined_card_leaves_an_order_that_can_still_be_paid(world: World, card: str) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    refused = shop.pay(world, started.payment_url, card)
    world.work()
    assert refused.status_code < 500
    assert count(world, Invoice) == count(world, License) == count(world, Payment) == 0
    shop.pay(world, started.payment_url)
    world.work()
    assert count(world, License) == 1


def test_ordering_twice_from_one_preview_is_one_order(world: World) -> None:
    preview = shop.offer(world)
    first, second = shop.order(world, preview), shop.order(world, preview)
    assert (first.order_id, first.payment_url) == (second.order_id, second.payment_url)


def _together(act: Callable[[], object], times: int) -> list[BaseException]:
    """Run `act` in real threads that start at once; returns what they raised."""
    gate, raised = threading.Barrier(times), list[BaseException]()

    def run() -> None:
        gate.wait()
        try:
            act()
        except Exception as exc:  # noqa: BLE001 -- collected and asserted on by the test
            raised.append(exc)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


def test_fifty_concurrent_events_of_one_payment_complete_it_once(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, started.order_id)
        assert attempt is not None
        ref = attempt.provider_ref
        # Twenty-five deliveries under five event ids, and the provider's own event waits in the queue as well.
        ids = [
            inbox.store(tx, "sandbox", f"evt_{n}", "checkout.session.completed", {"payment_ref": ref}, transport_now())
            for n in range(5)
        ]
    rounds = iter(range(50))
    numbers = threading.Lock()

    def act() -> None:
        with numbers:
            turn = next(rounds)
        event_id = ids[turn % 5]
        assert event_id is not None
        if turn % 2:
            provider_events.handle_event.run(world.ports, event_id=event_id)
        else:
            purchase.settle(world.ports, attempt.id)

    assert _together(act, 50) == []
    world.work()
    for table in (Payment, Invoice, License, Subscription):
        assert count(world, table) == 1, table.__name__
    assert count(world, LedgerEntry) == 3  # the invoice, the payment, and what the provider keeps of it
    with world.db.transaction() as tx:
        completed = select(func.count()).select_from(Event).where(col(Event.type) == "order.completed")
        assert tx.execute(completed).scalar_one() == 1
        unhandled = select(func.count()).select_from(inbox.InboxEvent).where(col(inbox.InboxEvent.handled_at).is_(None))
        assert tx.execute(unhandled).scalar_one() == 0


class Killed(BaseException):
    """Stands in for SIGKILL: no handler of ours catches it, the transaction is simply gone."""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (payments, "record"), (subscriptions, "begin"), (licenses, "issue"), (invoices, "finalize"),
        (ledger, "book"), (invoices, "allocate"),
    ],
)  # fmt: skip
def test_a_crash_at_any_step_of_completion_leaves_nothing_and_is_made_good(
    world: World, module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, started.order_id)
        assert attempt is not None
    original = getattr(module, name)

    def die(*args: object, **kwargs: object) -> None:
        original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            purchase.settle(world.ports, attempt.id)
    for table in (Payment, Invoice, License, Subscription, LedgerEntry):
        assert count(world, table) == 0, table.__name__
    purchase.settle(world.ports, attempt.id)
    with world.db.transaction() as tx:
        assert tx.execute(select(col(Invoice.number))).scalar_one() == "ACME-000001"
    assert count(world, License) == 1


def test_an_event_that_never_arrives_is_made_up_for_by_asking(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    with world.db.transaction() as tx:
        tx.execute(text("DELETE FROM procrastinate_jobs WHERE task_name LIKE 'sandbox%'"))
        tx.execute(text("UPDATE payment_attempt SET created_at = created_at - interval '1 hour'"))
    purchase.ask_about_open.run(world.ports)
    world.work()
    assert count(world, License) == 1


def test_at_the_threshold_the_order_goes_to_sales_and_nothing_can_be_paid(world: World) -> None:
    preview = shop.offer(world, seats=42, currency="USD")  # 5,040.00
    assert preview.route is Route.SALES
    with pytest.raises(NeedsQuote, match=r"not below 5,000\.00 USD"):
        shop.order(world, preview)


def test_an_unclear_tax_holds_the_order_until_somebody_looked(world: World) -> None:
    where = {"country": "US", "region": "NY", "postcode": "14201", "city": "Buffalo", "email": "ny@example.com"}
    preview = shop.offer(world, currency="USD", vat=None, sku="professional", interval="year", seats=25, **where)
    assert preview.route is Route.REVIEW
    started = shop.order(world, preview)
    assert (started.state, started.payment_url) == (OrderState.HELD, None)


def test_an_expired_order_is_closed_and_late_money_still_completes_it(world: World) -> None:
    from datetime import timedelta

    from app.adapters.sandbox import clock

    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=24))
    shop.pay(world, started.payment_url)
    assert purchase.expire_overdue(world.ports) == 1
    world.work()
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, started.order_id)
        assert attempt is not None
        assert attempt.state is AttemptState.SUCCEEDED
    assert count(world, License) == 1


def test_every_event_of_an_object_is_numbered_without_a_gap(world: World) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        rows = tx.execute(
            select(col(Event.object_id), func.count(), func.max(col(Event.object_sequence))).group_by(
                col(Event.object_id)
            )
        ).all()
    assert rows
    assert all(number == last for _, number, last in rows)


def test_license_files_of_many_orders_are_all_active_and_distinct(world: World) -> None:
    wanted = full(300)
    for index in range(wanted):
        shop.buy(world, email=f"buyer{index}@example.de", company=f"Firma {index} GmbH", seats=11)
    with world.db.transaction() as tx:
        files = (
            tx.execute(select(col(License.file_id)).where(col(License.state) == LicenseState.ACTIVE)).scalars().all()
        )
        numbers = list(tx.execute(select(col(Invoice.sequence)).order_by(col(Invoice.sequence))).scalars())
    assert len(set(files)) == wanted
    assert numbers == list(range(1, wanted + 1))
