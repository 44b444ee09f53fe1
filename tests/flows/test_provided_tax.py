"""Tax that Stripe Tax computes, from the price to the provider's books, and what becomes of it otherwise (ADR 0052)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.adapters.no_tax_provider import NoTaxProvider
from app.adapters.sandbox import clock
from app.catalog.models import Interval
from app.core.clock import transport_now
from app.core.db import NetworkInsideTransaction
from app.core.errors import Invalid
from app.flows import crediting, late_confirmation, provider_books
from app.flows import preview as previews
from app.flows.late_confirmation import NotCorrectable
from app.flows.preview_request import LineRequest, PreviewRequest
from app.invoices import service as invoices
from app.invoices.models import CreditReason, Invoice
from app.orders import service as orders
from app.orders.errors import PreviewChanged
from app.orders.models import OrderState, Preview, Route
from app.reports import tax_evidence, verify_books
from app.tax import overruling
from app.tax import service as tax
from app.tax.determination import Determination, Treatment
from app.tax.models import RecordState
from app.tax.overruling import Wanted
from app.tax.records import RecordSettled
from app.web.console import tasks
from tests import shop
from tests.adapters.fake_stripe_tax import CALCULATIONS, REVERSALS, SALES, FakeStripeTax, Levy
from tests.console.helping import certified
from tests.flows.ending import billed_once, catch_up, end_of
from tests.flows.numbers import documents
from tests.flows.providing import BUFFALO, CARD, a_failure_stands_no_longer, computed_in, record_of, running
from tests.world import World


@pytest.fixture
def fake(world: World, tmp_path: Path) -> Iterator[FakeStripeTax]:
    yield from running(world, tmp_path)


def buffalo(world: World, **changes: Any) -> Preview:
    return shop.offer(world, **{"seats": 25} | BUFFALO | changes)


def determined(world: World, determination_id: str) -> Determination:
    with world.db.transaction() as tx:
        return tax.stored(tx, determination_id)


def of(world: World, preview: Preview) -> Determination:
    return determined(world, preview.tax_determination_id)


def bought(world: World) -> Invoice:
    shop.purchased(world, CARD, **{"seats": 25} | BUFFALO)
    return documents(world)[-1]


def credited(world: World, invoice: Invoice, total: int | None) -> str:
    note = crediting.keep(world.ports, invoice.id, nets=None, total=total, reason=CreditReason.GOODWILL,
                          off_the_invoice=False, by="test")  # fmt: skip
    return note.number


def test_a_sale_is_taxed_as_computed_and_recorded_and_credited_to_the_last_cent(
    world: World, fake: FakeStripeTax
) -> None:
    offered = buffalo(world)
    found = of(world, offered)
    assert (found.treatment, found.jurisdiction, found.precision) == (Treatment.STANDARD, "US-NY", "provider")
    net = offered.net_minor
    parts = [(p.jurisdiction, p.name, str(p.rate), p.taxable.minor, p.amount.minor) for p in found.components]
    assert parts == [
        ("US-NY", "New York Sales Tax", "4", net, round(net * 0.04)),
        ("US-NY-ERIE", "Erie Sales Tax", "4.75", net, round(net * 0.0475)),
    ]
    assert found.data_version == "stripe-2026-10-28.endive+taxcalc_1"
    assert found.reason == "Computed by Stripe Tax (taxcalc_1): New York Sales Tax 4 %, Erie Sales Tax 4.75 %."
    assert (offered.tax_minor, offered.route) == (found.tax.minor, Route.AUTOMATIC)
    started = shop.order(world, offered)
    assert fake.count(CALCULATIONS) == 1, "the order is what was shown, and nobody is asked again"
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    (invoice,) = documents(world)
    with world.db.transaction() as tx:
        assert [t.tax_minor for t in invoices.taxes(tx, invoice.id)] == [p.amount.minor for p in found.components]
        evidence = tax_evidence.write(tx, invoice).decode()
    (sale,) = fake.booked()
    told = json.loads(evidence)["calculation"]
    assert (told["ref"], told["recorded_as"]) == ("taxcalc_1", sale["id"])
    assert told["reply"]["line_items"]["data"][0]["amount_tax"] == invoice.tax_minor
    assert "Invalidenstr. 1" not in json.dumps(told), "the buyer is not kept twice"
    assert (sale["reference"], record_of(world, invoice.number or "").ref) == (invoice.number, sale["id"])
    first, rest = credited(world, invoice, 100_00), credited(world, invoice, None)
    world.work()
    assert [each["reference"] for each in fake.booked()] == [invoice.number, first, rest]
    items = [item for each in fake.booked() for item in each["line_items"]["data"]]
    assert (items[0]["amount"], items[0]["amount_tax"]) == (invoice.net_minor, invoice.tax_minor)
    assert (sum(i["amount"] for i in items), sum(i["amount_tax"] for i in items)) == (0, 0)
    assert verify_books.verify(world.db) == []


def test_a_provider_that_is_down_holds_the_sale_and_no_other_source_is_asked(world: World, fake: FakeStripeTax) -> None:
    fake.faults = ["drop_before"] * 3
    offered = buffalo(world, postcode="10001", city="New York")  # our own rows know this one
    found = of(world, offered)
    assert (found.treatment, found.tax.minor, offered.route) == (Treatment.NEEDS_REVIEW, 0, Route.REVIEW)
    assert found.reason.startswith("Stripe Tax did not answer, so the tax is not known yet.")
    assert shop.order(world, offered).state is OrderState.HELD
    a_failure_stands_no_longer(world)
    again = buffalo(world, postcode="10001", city="New York")
    assert (of(world, again).treatment, of(world, again).tax.minor > 0) == (Treatment.STANDARD, True)


def test_the_answer_is_no_and_says_why(world: World, fake: FakeStripeTax) -> None:
    fake.places["NY"] = (Levy("state", "New York", word="not_supported"),)
    assert "cannot say how the sale is taxed in New York (not_supported)" in of(world, buffalo(world)).reason
    fake.places["NY"] = (Levy("state", "New York", word="something_new"),)
    assert "(something_new)" in of(world, buffalo(world, seats=26)).reason
    fake.places["NY"] = (Levy("state", "New York", word="not_collecting"),)
    assert "A registration for US-NY is kept here" in of(world, buffalo(world, seats=27)).reason
    fake.places["NY"] = (Levy("state", "New York", word="customer_exempt"),)
    assert "no accepted certificate for US-NY" in of(world, buffalo(world, seats=28)).reason
    fake.places["NY"] = (Levy("state", "New York", word="reverse_charge"),)
    assert "would leave the tax to the buyer" in of(world, buffalo(world, seats=29)).reason
    assert "no ZIP" not in (found := of(world, buffalo(world, postcode="")).reason)
    assert "ZIP is missing" in found
    assert {treatment_of(world, n) for n in range(6)} == {"needs_review"}
    assert fake.count(CALCULATIONS) == 5, "without a ZIP there is no use in asking"
    fake.places["NY"] = (Levy("state", "New York", rate="4"),)
    a_failure_stands_no_longer(world)
    assert of(world, buffalo(world, seats=29)).treatment is Treatment.STANDARD, "somebody put it right meanwhile"


def treatment_of(world: World, n: int) -> str:
    with world.db.transaction() as tx:
        query = text("SELECT treatment FROM tax_determination ORDER BY id OFFSET :n LIMIT 1")
        return str(tx.execute(query, {"n": n}).scalar_one())


def test_what_is_decided_here_is_not_asked_for(world: World, fake: FakeStripeTax) -> None:
    texas = of(world, buffalo(world, region="TX", postcode="78701", city="Austin"))
    assert (texas.treatment, texas.calculation) == (Treatment.NOT_COLLECTING, None), "no registration is kept there"
    assert of(world, shop.offer(world)).treatment is Treatment.REVERSE_CHARGE
    with world.db.transaction() as tx:
        override = Wanted(jurisdiction="US-NY", treatment="product_exempt", source="a ruling", why="a ruling",
                          valid_from=world.ports.clock.now().date() - timedelta(days=2))  # fmt: skip
        kept = overruling.record(tx, override, by="test", now=transport_now())
    found = of(world, buffalo(world))
    assert (found.treatment, found.overrides[0].id) == (Treatment.PRODUCT_EXEMPT, kept.id)
    assert fake.asked == []


def test_a_certificate_is_sent_and_printed(world: World, fake: FakeStripeTax) -> None:
    invoice = bought(world)
    yesterday = world.ports.clock.now().date() - timedelta(days=2)
    certified(world, invoice.account_id, accept=True, number="ST-4711", signed_on=yesterday)
    wanted = PreviewRequest(
        lines=(LineRequest("professional", 12),), interval=Interval.YEAR, currency="USD",
        buyer=shop.buyer(**{k: v for k, v in BUFFALO.items() if k not in {"currency", "vat"}}),
        account_id=invoice.account_id,
    )  # fmt: skip
    found = of(world, previews.price(world.ports, wanted))
    assert (found.treatment, found.tax.minor, found.components) == (Treatment.CUSTOMER_EXEMPT, 0, ())
    assert "ST-4711" in found.note
    assert fake.asked[-1][2]["customer_details[taxability_override]"] == "customer_exempt"


def test_a_tax_that_changed_since_the_price_was_shown_is_shown_anew(world: World, fake: FakeStripeTax) -> None:
    offered = buffalo(world)
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=23, minutes=30))  # another day, the same offer
    fake.places["NY"] = (Levy("state", "New York", rate="5"),)
    with pytest.raises(PreviewChanged) as changed:
        shop.order(world, offered)
    with world.db.transaction() as tx:
        fresh = tx.get_one(Preview, str(changed.value.extra["preview"]))
    assert fresh.tax_minor == round(fresh.net_minor * 0.05)
    assert shop.order(world, fresh).state is OrderState.AWAITING_PAYMENT


def paid_late(world: World, fake: FakeStripeTax, **places: tuple[Levy, ...]) -> Invoice:
    """Ordered, and paid when the provider has forgotten what it computed, and perhaps computes something else."""
    started = shop.order(world, buffalo(world))
    fake.expire_all()
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE tax_calculation DISABLE TRIGGER USER"))
        tx.execute(text("UPDATE tax_calculation SET expires_at = asked_at"))
        tx.execute(text("ALTER TABLE tax_calculation ENABLE TRIGGER USER"))
    fake.places |= places
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    return documents(world)[-1]


def test_a_computation_that_expired_before_the_payment_is_made_anew(world: World, fake: FakeStripeTax) -> None:
    invoice = paid_late(world, fake)
    (sale,) = fake.booked()
    assert (fake.count(CALCULATIONS), sale["line_items"]["data"][0]["amount_tax"]) == (2, invoice.tax_minor)
    assert record_of(world, invoice.number or "").state is RecordState.RECORDED


def test_one_that_would_differ_now_waits_for_a_person(world: World, fake: FakeStripeTax) -> None:
    invoice = paid_late(world, fake, NY=(Levy("state", "New York", rate="5"),))
    row = record_of(world, invoice.number or "")
    assert (row.state, row.code, fake.booked()) == (RecordState.REFUSED, "computed_anew_differs", [])
    assert "Enter the sale there by hand" in row.detail
    with world.db.transaction() as tx:
        (waits,) = [each for each in tasks.tasks(tx, world.ports.clock.now()) if each.kind == "tax"]
    assert (waits.title, waits.detail) == (f"{invoice.number} was refused by the tax books", row.detail)


def test_a_sale_whose_every_answer_is_lost_is_found_by_a_person_and_then_credited(
    world: World, fake: FakeStripeTax
) -> None:
    started = shop.order(world, buffalo(world))
    fake.faults = ["fail_after"]  # a 500 that is remembered for the key, though the sale was booked
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    (invoice,) = documents(world)
    row = record_of(world, invoice.number or "")
    assert (row.state, row.spent_keys) == (RecordState.WAITING, 1)
    note = credited(world, invoice, None)
    world.work()
    assert record_of(world, note).state is RecordState.WAITING, "it waits for its invoice"
    provider_books.record.run(world.ports, record_id=row.id)
    row = record_of(world, invoice.number or "")
    assert (row.state, row.code) == (RecordState.REFUSED, "resource_already_exists")
    assert len(fake.booked()) == 1, "no sale is booked twice"
    with world.db.transaction() as tx:
        question = tax.question_of(tx, invoice.tax_determination_id)
    other = world.ports.tax.record(
        world.ports.tax.compute(question, exempt=False, key="k1").ref, reference="X", key="k2"
    )
    with pytest.raises(Invalid, match="That one is for X"):
        provider_books.settle_by_hand(world.ports, row.id, ref=other.ref, by="test")
    provider_books.settle_by_hand(world.ports, row.id, ref=fake.booked()[0]["id"], by="test")
    world.work()
    assert record_of(world, note).state is RecordState.RECORDED
    assert fake.count(REVERSALS) == 1
    with pytest.raises(RecordSettled), world.db.transaction() as tx:
        provider_books.retry(tx, row.id, by="test")


def test_what_is_refused_can_be_tried_again(world: World, fake: FakeStripeTax) -> None:
    started = shop.order(world, buffalo(world))
    kept = world.ports.tax
    world.wired = replace(world.wired, ports=replace(world.ports, tax=NoTaxProvider()))
    shop.pay(world, started.payment_url or "", CARD)
    world.work()
    (invoice,) = documents(world)
    row = record_of(world, invoice.number or "")
    assert (row.state, row.code) == (RecordState.REFUSED, "another_provider")
    world.wired = replace(world.wired, ports=replace(world.ports, tax=kept))
    with world.db.transaction() as tx:
        provider_books.retry(tx, row.id, by="test")
    provider_books.record.run(world.ports, record_id=row.id)
    assert (record_of(world, invoice.number or "").state, fake.count(SALES)) == (RecordState.RECORDED, 1)


def test_a_billing_run_leaves_such_renewals_to_the_single_path(world: World, fake: FakeStripeTax) -> None:
    order_id = shop.purchased(world, CARD, **BUFFALO | {"interval": "month", "seats": 11})
    shop.purchased(world, CARD, interval="month", seats=11)
    with world.db.transaction() as tx:
        order = orders.get(tx, order_id)
    clock.set_to(world.db, end_of(world, order) + timedelta(days=1))
    catch_up(world)
    assert billed_once(world)["terms"] == 4
    ours = [each for each in documents(world) if each.account_id == order.account_id]
    assert [each.tax_minor for each in ours] == [ours[0].tax_minor] * 2
    assert sorted(each["reference"] for each in fake.booked()) == sorted(str(each.number) for each in ours)
    assert fake.count(CALCULATIONS) == 2


def test_without_a_provider_the_country_is_held_and_the_reason_says_what_to_set(world: World) -> None:
    computed_in(world, "US")
    found = of(world, buffalo(world))
    assert found.treatment is Treatment.NEEDS_REVIEW
    assert "set BLP_TAX=stripe" in found.reason


@pytest.mark.usefixtures("fake")
def test_a_provided_tax_is_not_corrected_by_our_own_engine(world: World) -> None:
    invoice = bought(world)
    with pytest.raises(NotCorrectable, match="A tax provider computed its tax"), world.db.transaction() as tx:
        late_confirmation.outlook(tx, invoice)


@pytest.mark.usefixtures("fake")
def test_nobody_asks_within_a_transaction(world: World) -> None:
    offered = buffalo(world)
    with world.db.transaction() as tx:
        question = tax.question_of(tx, offered.tax_determination_id)
        with pytest.raises(NetworkInsideTransaction):
            world.ports.tax.compute(question, exempt=False, key="tcl_x")
