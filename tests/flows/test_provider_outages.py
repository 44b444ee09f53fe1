"""A tax provider that is away or forgets: what bills itself waits for it, and its books get every sale once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlmodel import col
from structlog.testing import capture_logs

from app.adapters.no_tax_provider import NoTaxProvider
from app.adapters.sandbox import clock
from app.catalog.models import Interval
from app.core.errors import Invalid
from app.flows import billing_run, bulk_charging, bulk_completion, instalments, provider_books, purchase, renewal, tick
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest
from app.orders import service as orders
from app.orders.models import Order
from app.payments import answers
from app.payments.errors import PaymentUnavailable
from app.subscriptions.models import Billing, RenewalReminder
from app.tax.errors import TaxUnavailable
from app.tax.models import RecordState
from tests import shop
from tests.adapters.fake_stripe_tax import CALCULATIONS, SALES, FakeStripeTax, Fault
from tests.flows.ending import billed_once, catch_up, end_of, subscription_of
from tests.flows.numbers import documents
from tests.flows.providing import BUFFALO, CARD, a_failure_stands_no_longer, record_of, running
from tests.world import World

LOST: Fault = "drop_before"
TRIES = 3  # of one call, before it counts as unanswered


@pytest.fixture
def fake(world: World, tmp_path: Path) -> Iterator[FakeStripeTax]:
    yield from running(world, tmp_path)


def monthly(world: World) -> Order:
    order_id = shop.purchased(world, CARD, **BUFFALO | {"interval": "month", "seats": 11})
    with world.db.transaction() as tx:
        return orders.get(tx, order_id)


def test_an_outage_lets_renewals_wait_and_holds_none(world: World, fake: FakeStripeTax) -> None:
    order = monthly(world)
    held = subscription_of(world, order)
    clock.set_to(world.db, end_of(world, order) - timedelta(days=6))
    tick.tick(world.ports)
    with world.db.transaction() as tx:
        reminder_id = tx.execute(select(col(RenewalReminder.id))).scalar_one()
    fake.faults = [LOST] * TRIES
    with pytest.raises(TaxUnavailable):  # and no mail with a figure that lacks the tax
        renewal.send_reminder.run(world.ports, reminder_id=reminder_id)
    a_failure_stands_no_longer(world)
    renewal.send_reminder.run(world.ports, reminder_id=reminder_id)
    clock.set_to(world.db, end_of(world, order) + timedelta(days=1))
    fake.faults = [LOST] * TRIES
    with pytest.raises(TaxUnavailable):
        billing_run.renew_automatically.run(
            world.ports, subscription_id=held.id, ends_on=held.ends_on.isoformat()
        )  # fmt: skip
    assert subscription_of(world, order).parked_at is None
    with world.db.transaction() as tx:
        assert orders.renewal_of_term(tx, held.id, held.ends_on) is None
    a_failure_stands_no_longer(world)
    catch_up(world)
    assert billed_once(world)["terms"] == 2
    assert len({each.tax_minor for each in documents(world)}) == 1


def test_an_outage_lets_the_years_of_a_term_wait(world: World, fake: FakeStripeTax) -> None:
    wanted = PreviewRequest(
        lines=(LineRequest("professional", 11),), interval=Interval.YEAR, currency="USD",
        buyer=shop.buyer(**{k: v for k, v in BUFFALO.items() if k not in {"currency", "vat"}}), term_months=36,
        billing=Billing.YEARLY,
    )  # fmt: skip
    started = shop.order(world, previews.price(world.ports, wanted))
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    with world.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
    held = subscription_of(world, order)
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=368))
    fake.faults = [LOST] * TRIES
    with pytest.raises(TaxUnavailable):
        instalments.bill_automatically.run(
            world.ports, subscription_id=held.id, starts_on=held.billed_to.isoformat()
        )  # fmt: skip
    assert subscription_of(world, order).parked_at is None
    a_failure_stands_no_longer(world)
    instalments.bill_automatically.run(world.ports, subscription_id=held.id, starts_on=held.billed_to.isoformat())
    world.work()
    first, second = documents(world)
    assert (second.tax_minor, second.tax_minor > 0) == (first.tax_minor, True)


def test_a_renewal_that_is_paid_among_many_is_put_into_the_providers_books(
    world: World, fake: FakeStripeTax, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = monthly(world)
    held = subscription_of(world, order)
    clock.set_to(world.db, end_of(world, order) + timedelta(hours=1))

    def dies(*_: object) -> str:
        raise PaymentUnavailable("Nobody says what became of it.")

    with monkeypatch.context() as patch:
        patch.setattr(purchase, "settle", dies)
        with pytest.raises(PaymentUnavailable):
            billing_run.renew_automatically.run(
                world.ports, subscription_id=held.id, ends_on=held.ends_on.isoformat()
            )  # fmt: skip
    with world.db.transaction() as tx:
        renewed = orders.renewal_of_term(tx, held.id, held.ends_on)
    assert renewed is not None
    bulk_charging.charge.run(world.ports, order_id=renewed.id)
    with world.db.transaction() as tx:
        assert answers.waiting(tx) == 1, "its answer is kept for the run that completes many"
    bulk_completion.complete_paid.run(world.ports)
    world.work()
    assert billed_once(world)["terms"] == 2
    assert [each["reference"] for each in fake.booked()] == [each.number for each in documents(world)]


def forgotten(world: World, fake: FakeStripeTax) -> str:
    """The number of an invoice that is paid after the provider forgot its computation. The queue is not worked off."""
    started = shop.order(world, shop.offer(world, **{"seats": 25} | BUFFALO))
    fake.expire_all()
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE tax_calculation DISABLE TRIGGER USER"))
        tx.execute(text("UPDATE tax_calculation SET expires_at = asked_at"))
        tx.execute(text("ALTER TABLE tax_calculation ENABLE TRIGGER USER"))
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    return documents(world)[-1].number or ""


def test_a_sale_computed_anew_whose_answer_is_lost_is_found_under_the_same_key(
    world: World, fake: FakeStripeTax
) -> None:
    def on_request() -> None:
        if fake.asked[-1][0] == SALES and fake.count(SALES) == 1:
            fake.faults = ["drop_after", LOST, LOST]

    fake.on_request = on_request
    row = record_of(world, forgotten(world, fake))
    assert (row.state, len(fake.booked())) == (RecordState.WAITING, 1)
    provider_books.record.run(world.ports, record_id=row.id)
    row = record_of(world, row.reference)
    assert (row.state, row.ref) == (RecordState.RECORDED, fake.booked()[0]["id"])
    assert (fake.count(CALCULATIONS), len(fake.booked())) == (2, 1)


def test_a_refusal_that_is_remembered_for_its_key_does_not_stand_in_the_way(world: World, fake: FakeStripeTax) -> None:
    fake.shut = True
    shop.purchased(world, CARD, **{"seats": 25} | BUFFALO)
    row = record_of(world, documents(world)[-1].number or "")
    assert (row.state, row.code) == (RecordState.REFUSED, "account_invalid")
    fake.shut = False
    with world.db.transaction() as tx:
        provider_books.retry(tx, row.id, by="test")
    provider_books.record.run(world.ports, record_id=row.id)
    assert record_of(world, row.reference).state is RecordState.RECORDED


def test_a_sale_is_looked_up_only_where_it_was_computed(world: World, fake: FakeStripeTax) -> None:
    fake.shut = True
    shop.purchased(world, CARD, **{"seats": 25} | BUFFALO)
    row = record_of(world, documents(world)[-1].number or "")
    without = replace(world.ports, tax=NoTaxProvider())
    with pytest.raises(Invalid, match="in the books of stripe"):
        provider_books.settle_by_hand(without, row.id, ref="tax_1", by="test")


@pytest.mark.usefixtures("fake")
def test_no_address_that_a_provider_repeats_is_in_the_log(world: World) -> None:
    with capture_logs() as logs:
        found = shop.offer(world, **{"seats": 25} | BUFFALO | {"postcode": "1420X"})
    (told,) = [each for each in logs if each["event"] == "tax.not_computed"]
    assert (told["code"], found.tax_minor) == ("customer_tax_location_invalid", 0)
    assert "1420X" not in str(logs)
