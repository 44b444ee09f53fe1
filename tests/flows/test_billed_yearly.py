"""Terms of several years billed yearly: measured as a whole, each year billed once, used only as far as it is paid."""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.catalog.models import Interval
from app.core.clock import local_date
from app.core.errors import Invalid
from app.core.money import Money
from app.flows import held_orders, instalments, purchase, screening_decisions, seat_change
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.seat_change import Wanted
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.licenses import service as licenses
from app.licenses.models import License
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState, PayBy, Preview, Route
from app.payments import service as payments
from app.reports import verify_books
from app.screening.models import Decision
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Billing, Subscription, SubscriptionState
from app.subscriptions.periods import Period, term
from tests import changing, shop
from tests.flows.on_invoice import open_account, placing, wire
from tests.paying import DECLINES_LATER, PAYS
from tests.screening.helping import bring, cases
from tests.screening.lines import plain
from tests.world import World


def offer(world: World, seats: int = 11, years: int = 3, **more: str) -> Preview:
    wanted = PreviewRequest(
        lines=(LineRequest("professional", seats),), interval=Interval.YEAR, currency="EUR", buyer=shop.buyer(),
        tax_ids=(TaxIdGiven("eu_vat", "DE136695976"),), term_months=12 * years, billing=Billing.YEARLY,
        coupon=more.get("coupon", ""),
    )  # fmt: skip
    return previews.price(world.ports, wanted)


def buy(world: World, card: str = PAYS, seats: int = 11, years: int = 3) -> Subscription:
    def bought() -> str:
        started = shop.order(world, offer(world, seats, years))
        assert started.payment_url
        shop.pay(world, started.payment_url, card)
        world.work()
        return started.order_id

    order_id = world.past.after("billed yearly", [card, seats, years], bought)
    with world.db.transaction() as tx:
        return subscriptions.get(tx, orders.get(tx, order_id).subscription_id or "")


def again(world: World, held: Subscription) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, held.id)


def invoices_of(world: World, held: Subscription) -> list[Invoice]:
    with world.db.transaction() as tx:
        query = select(Invoice).where(col(Invoice.subscription_id) == held.id)
        return list(tx.execute(query.order_by(col(Invoice.supply_from))).scalars())


def license_of(world: World, held: Subscription) -> License | None:
    with world.db.transaction() as tx:
        return licenses.current(tx, held.id)


def walk(world: World, day: date) -> None:
    def walked() -> str:
        assert world.wired.advance_clock
        now = world.ports.clock.now()
        return str(world.wired.advance_clock(now + (day - now.date()) + timedelta(days=1)))

    world.past.after("walked", day, walked)


def test_each_year_is_charged_and_invoiced_at_its_start_and_the_license_follows_the_money(world: World) -> None:
    preview = offer(world)
    yearly = preview.net_minor
    assert (preview.committed_minor, preview.lines[0]["intervals"]) == (3 * yearly, 1)
    held = buy(world)
    years = [term(held.starts_on, 12, held.anchor_day)]
    for _ in range(2):
        years.append(term(years[-1].end, 12, held.anchor_day))
    assert (held.ends_on, held.billed_to, held.billing) == (years[2].end, years[0].end, Billing.YEARLY)
    with world.db.transaction() as tx:
        (line,) = subscriptions.lines(tx, held.id)
        assert line.arr_minor == line.net_minor == yearly
    for index, year in enumerate(years):
        if index:
            walk(world, year.start)
        held, license_ = again(world, held), license_of(world, held)
        assert subscriptions.billed_period(held) == year
        assert license_ is not None
        assert abs((license_.expires_at.date() - year.end).days) <= 1
        assert [Period(each.supply_from, each.supply_to) for each in invoices_of(world, held)] == years[: index + 1]
    assert {(each.state, each.net_minor) for each in invoices_of(world, held)} == {(InvoiceState.PAID, yearly)}
    with world.db.transaction() as tx:
        kinds = tx.execute(select(col(Order.kind)).order_by(col(Order.id))).scalars().all()
        assert kinds == [OrderKind.PURCHASE, OrderKind.INSTALMENT, OrderKind.INSTALMENT]
        assert [each.ends_on for each in subscriptions.terms(tx, held.id)] == [each.end for each in years]
        since = world.ports.clock.now() - timedelta(days=3650)
        assert orders.spent_since(tx, [held.account_id], since) == [Money(3 * yearly, "EUR")], "the term counts once"
    assert instalments.enqueue_due(world.ports) == 0
    walk(world, years[2].end)
    assert again(world, held).state is SubscriptionState.LAPSED
    assert len(invoices_of(world, held)) == 3
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de", "limit": 100}).json()
    assert sum("is renewed: license and invoice" in each["subject"] for each in mails) == 2
    assert verify_books.verify(world.db) == []


def test_seats_added_in_a_year_cost_the_rest_of_that_year_and_are_billed_with_the_next(world: World) -> None:
    held = buy(world, years=2)
    end, year = held.ends_on, subscriptions.billed_period(held)
    walk(world, year.start + timedelta(days=100))
    day = local_date(world.ports.clock.now(), held.time_zone)
    offered = seat_change.preview(world.ports, held.id, Wanted(seats=13))
    prorated = Money(2 * 11_000, "EUR").times(Fraction((year.end - day).days, year.days))
    assert offered.net_minor == prorated.minor
    assert offered.committed_minor == prorated.minor + 2 * 11_000, "the second year counts as well (R-THR-1)"
    changing.commit(world, offered)
    held, license_ = again(world, held), license_of(world, held)
    assert (held.ends_on, held.billed_to) == (end, year.end)
    assert license_ is not None
    assert (license_.seats, abs((license_.expires_at.date() - year.end).days) <= 1) == (13, True)
    walk(world, year.end)
    last = invoices_of(world, held)[-1]
    assert (last.supply_from, last.net_minor, last.state) == (year.end, 13 * 11_000, InvoiceState.PAID)
    with world.db.transaction() as tx:
        spent = orders.spent_since(tx, [held.account_id], world.ports.clock.now() - timedelta(days=3650))
    assert sum(each.minor for each in spent) == 2 * 11 * 11_000 + prorated.minor + 2 * 11_000
    assert verify_books.verify(world.db) == []


def test_a_run_that_was_away_makes_up_each_year_once_and_two_workers_bill_it_once(world: World) -> None:
    held = buy(world)
    first = held.billed_to
    gate = threading.Barrier(2)

    def bill() -> None:
        gate.wait()
        instalments.bill_year(world.ports, held.id, first)

    threads = [threading.Thread(target=bill) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    world.work()
    assert [each.supply_from for each in invoices_of(world, held)] == [held.starts_on, first]
    instalments.bill_year(world.ports, held.id, first)
    assert len(invoices_of(world, held)) == 2
    walk(world, held.ends_on - timedelta(days=5))
    assert len(invoices_of(world, held)) == 3


def test_a_year_that_cannot_be_collected_is_bridged_and_then_ends_the_term(world: World) -> None:
    held = buy(world, DECLINES_LATER)
    paid_to = held.billed_to
    walk(world, paid_to + timedelta(days=2))
    held = again(world, held)
    bridge = license_of(world, held)
    assert held.state is SubscriptionState.PAST_DUE
    assert bridge is not None
    assert bridge.bridge
    assert bridge.expires_at.date() > paid_to + timedelta(days=25)
    walk(world, paid_to + timedelta(days=60))
    held = again(world, held)
    assert (held.state, held.ends_on, held.billed_to) == (SubscriptionState.EXPIRED, paid_to, paid_to)
    assert license_of(world, held) is None
    walk(world, paid_to + timedelta(days=400))
    assert len(invoices_of(world, held)) == 1, "no further year is billed"


def test_paying_while_it_is_collected_carries_the_term_on(world: World) -> None:
    held = buy(world, DECLINES_LATER)
    paid_to, ends_on = held.billed_to, held.ends_on
    walk(world, paid_to + timedelta(days=2))
    with world.db.transaction() as tx:
        order = orders.instalment_of(tx, held.id, paid_to)
    assert order
    url = purchase.resume(world.ports, order.id).payment_url
    assert url
    shop.pay(world, url)
    world.work()
    held = again(world, held)
    assert (held.state, held.ends_on, held.billed_to) == (
        SubscriptionState.ACTIVE, ends_on, term(paid_to, 12, held.anchor_day).end,
    )  # fmt: skip
    license_ = license_of(world, held)
    assert license_
    assert not license_.bridge


def test_late_money_for_a_year_that_ended_the_term_brings_it_back_once(world: World) -> None:
    held = buy(world, DECLINES_LATER)
    paid_to = held.billed_to
    walk(world, paid_to + timedelta(days=2))
    with world.db.transaction() as tx:
        order = orders.instalment_of(tx, held.id, paid_to)
    assert order
    url = purchase.resume(world.ports, order.id).payment_url
    assert url
    with world.db.transaction() as tx:
        subscription = subscriptions.lock(tx, held.id)
        subscription.state = SubscriptionState.LAPSED
        subscriptions.cut(tx, subscription)
        order = orders.lock(tx, order.id)
        order.state = OrderState.EXPIRED
    shop.pay(world, url)
    world.work()
    held = again(world, held)
    year_end = term(paid_to, 12, held.anchor_day).end
    assert (held.state, held.billed_to, held.ends_on) == (SubscriptionState.ACTIVE, year_end, year_end)


def test_an_order_on_invoice_gets_an_open_invoice_every_year_and_the_license_of_the_paid_one(world: World) -> None:
    account = open_account(world)
    started = purchase.start(world.ports, placing(world, offer(world, 12, 2), account))
    world.work()
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, orders.get(tx, started.order_id).subscription_id or "")
    first_end = held.billed_to
    bridge = license_of(world, held)
    assert bridge
    assert bridge.bridge
    wire(world, account, 132_000)
    whole = license_of(world, held)
    assert whole
    assert not whole.bridge
    assert abs((whole.expires_at.date() - first_end).days) <= 1, "the paid year, not the whole term"
    walk(world, first_end)
    world.work()
    second = invoices_of(world, held)[-1]
    assert (second.state, second.po_number, second.supply_from) == (InvoiceState.OPEN, "PO-4711", first_end)
    with world.db.transaction() as tx:
        order = orders.get(tx, second.order_id)
        assert (order.kind, order.pay_by) == (OrderKind.INSTALMENT, PayBy.INVOICE)
        assert payments.latest_attempt(tx, order.id) is None
        assert invoices.owed(tx, second).minor == second.total_minor
    bridge = license_of(world, held)
    assert bridge
    assert bridge.bridge
    wire(world, account, second.total_minor, "SEPA-2")
    whole = license_of(world, held)
    assert whole
    assert abs((whole.expires_at.date() - held.ends_on).days) <= 1
    assert verify_books.verify(world.db) == []


def test_a_year_that_a_person_has_to_look_at_parks_the_subscription_and_goes_on_at_the_agreed_price(
    world: World,
) -> None:
    held = buy(world)
    moved = {"country": "UA", "postcode": "84301", "city": "Kramatorsk"}
    with world.db.transaction() as tx:
        tx.execute(
            text(
                "UPDATE preview SET inputs = jsonb_set(inputs, '{buyer}', (inputs -> 'buyer') || cast(:moved AS jsonb))"
            ),
            {"moved": json.dumps(moved)},
        )
    walk(world, held.billed_to)
    parked = again(world, held)
    assert parked.parked_reason is not None
    assert "held for a person" in parked.parked_reason
    with world.db.transaction() as tx:
        order = orders.instalment_of(tx, held.id, held.billed_to)
        tx.execute(text("UPDATE price SET unit_minor = unit_minor * 2"))
    assert order
    assert order.state is OrderState.HELD
    released = held_orders.recheck(world.ports, order.id, by="stf_1", note="Compared with the lists of today.")
    assert (released.state, released.total_minor) == (OrderState.AWAITING_PAYMENT, order.total_minor)
    url = purchase.resume(world.ports, order.id).payment_url
    assert url
    shop.pay(world, url)
    world.work()
    assert again(world, held).billed_to > held.billed_to


def test_a_year_of_a_buyer_in_question_is_held_and_never_refused_outright(world: World) -> None:
    held = buy(world)
    bring(world, plain("1,entity,Beispiel GmbH,,,DE,,,"), code="eu")
    walk(world, held.billed_to)
    with world.db.transaction() as tx:
        order = orders.instalment_of(tx, held.id, held.billed_to)
    assert order
    assert order.state is OrderState.HELD
    assert "held for a person" in (again(world, held).parked_reason or "")
    (case,) = cases(world)
    assert case.exact
    screening_decisions.decide(world.ports, case.id, Decision.CLEAR, by="stf_1", reason="Another company of this name.")
    world.work()
    with world.db.transaction() as tx:
        assert orders.get(tx, order.id).state is OrderState.AWAITING_PAYMENT


def test_the_whole_term_is_measured_and_a_year_is_not_billed_yearly(world: World) -> None:
    """R-THR-1: three years of 1,760.00 are above 4,600.00, one is not."""
    assert offer(world, 16, 2).route is Route.AUTOMATIC
    assert offer(world, 16, 3).route is Route.SALES
    with pytest.raises(Invalid) as refused:
        offer(world, 11, 1)
    assert refused.value.param == "billing"


@pytest.mark.parametrize("begun", [date(2024, 2, 29), date(2026, 1, 31), date(2023, 3, 1), date(2026, 11, 22)])
@pytest.mark.parametrize("years", [2, 3])
def test_the_years_of_a_term_tile_it_whatever_day_it_begins_on(begun: date, years: int) -> None:
    whole = term(begun, 12 * years)
    held = Subscription(
        id="sub", account_id="acc", legal_entity_id="ent", order_id="ord", state=SubscriptionState.ACTIVE,
        plan_id="pln", currency="EUR", interval="year", term_months=12 * years, starts_on=begun, ends_on=whole.end,
        first_starts_on=begun, anchor_day=begun.day, anchor_month=begun.month, time_zone="UTC", grace_days=10,
        contact_name="", contact_email="", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert subscriptions.billed_period(held) == whole
    ends: list[date] = []
    held.billed_until = term(begun, 12, begun.day).end
    for _ in range(years):
        period = subscriptions.billed_period(held)
        assert period.end == held.billed_until
        assert not ends or period.start == ends[-1]
        ends.append(period.end)
        held.billed_until = min(term(period.end, 12, begun.day).end, whole.end)
    assert ends[-1] == whole.end
