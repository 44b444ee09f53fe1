"""Changes to a running subscription: what is charged, what is held then, and that nothing else happens."""

import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.adapters.sandbox import clock
from app.catalog.models import Interval, Plan, Price
from app.core.clock import local_date
from app.core.errors import DomainError
from app.core.events import Event
from app.core.money import Money
from app.flows import crediting, explain_invoice, purchase, renewal, seat_change
from app.flows.seat_change import Wanted
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditReason, Invoice, InvoiceState
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState
from app.orders.errors import ChangeRefused, NeedsQuote, PreviewChanged, PreviewExpired, SeatsOutOfRange
from app.orders.models import Order, OrderState, Route
from app.payments import credit
from app.payments import service as payments
from app.payments.models import Payment
from app.reports import verify_books
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription, SubscriptionLine
from app.surveys.models import SurveyInvitation
from tests import changing, shop
from tests.changing import change, commit, pass_days, subscription
from tests.paying import DECLINES_LATER
from tests.world import World

UK = {"country": "GB", "postcode": "SW1A 1AA", "city": "London", "email": "ed@example.co.uk", "vat": None}


def lines_of(world: World, held: Subscription) -> dict[str, SubscriptionLine]:
    with world.db.transaction() as tx:
        return {line.sku: line for line in subscriptions.lines(tx, held.id)}


def invoice_of(world: World, order: Order) -> Invoice:
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, order.id)
        assert found is not None
        assert explain_invoice.explain(tx, found).replays, "every amount comes out again"
        return found


def days_left(world: World, held: Subscription) -> int:
    return (held.ends_on - local_date(world.ports.clock.now(), held.time_zone)).days


def part(whole: int, days: int, of: int = 365) -> int:
    """Halves away from zero."""
    return (2 * whole * days + of) // (2 * of)


def books_are_good(world: World) -> None:
    assert verify_books.verify(world.db) == []


def test_more_seats_cost_the_days_that_remain_and_run_to_the_same_end(world: World) -> None:
    bought = shop.buy(world)
    pass_days(world, 100)
    held, now = subscription(world, bought), world.ports.clock.now()
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=30))
    days = days_left(world, held)
    assert (offer.net_minor, offer.total_minor, offer.route) == (part(55_000, days),) * 2 + (Route.AUTOMATIC,)
    order = commit(world, offer)
    assert (order.state, order.total_minor) == (OrderState.COMPLETED, offer.total_minor)

    after, line = subscription(world, bought), lines_of(world, held)["professional"]
    assert (after.starts_on, after.ends_on, after.state) == (held.starts_on, held.ends_on, held.state)
    assert (line.quantity, line.net_minor, line.arr_minor) == (30, 330_000, 330_000)
    invoice = invoice_of(world, order)
    assert (invoice.state, invoice.total_minor, invoice.supply_to) == (InvoiceState.PAID, offer.total_minor,
                                                                       held.ends_on)  # fmt: skip
    with world.db.transaction() as tx:
        (row,) = invoices.lines(tx, invoice.id)
        assert (row.quantity_before, row.quantity, row.numerator, row.denominator) == (25, 5, days, 365)
        assert (row.period_from, row.rule) == (local_date(now, held.time_zone), "remaining_days")
        told = explain_invoice.explain(tx, invoice).lines[0]
        newest, oldest = licenses.of_subscription(tx, held.id)
        said = tx.execute(select(Event).where(col(Event.type) == "subscription.changed")).scalar_one()
        asked = tx.execute(select(SurveyInvitation).where(col(SurveyInvitation.order_id) == order.id)).scalar_one()
    assert told.equation == f"5\u00a0× 110.00 EUR\u00a0× {days}/365 = {Money(offer.net_minor, 'EUR')}"
    assert (newest.seats, newest.state, oldest.state) == (30, LicenseState.ACTIVE, LicenseState.SUPERSEDED)
    assert (oldest.superseded_by, newest.file_id != oldest.file_id) == (newest.id, True)
    assert newest.expires_at == oldest.expires_at
    assert (said.data["before"], said.data["after"]) == ({"professional": 25}, {"professional": 30})
    assert asked.kind == "expansion"
    books_are_good(world)


def test_going_up_in_steps_costs_what_going_up_at_once_does(world: World) -> None:
    steps, at_once = (
        subscription(world, shop.buy(world, seats=11, email=f"{name}@example.de", company=name))
        for name in ("steps", "once")
    )
    pass_days(world, 73)  # a fifth of the year, so that nothing is rounded
    paid = sum(change(world, steps, seats=seats).total_minor for seats in (13, 14, 20))
    assert paid == change(world, at_once, seats=20).total_minor == part(9 * 11_000, days_left(world, steps))
    assert lines_of(world, steps)["professional"].net_minor == lines_of(world, at_once)["professional"].net_minor


def test_an_add_on_is_added_for_the_rest_and_follows_the_seats_from_then_on(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 30)
    days = days_left(world, held)
    added = change(world, held, add_ons=("premier-support",))
    assert added.total_minor == part(11 * 2_800, days)
    both = change(world, held, seats=12)
    assert both.net_minor == part(11_000, days) + part(2_800, days)
    assert {sku: line.quantity for sku, line in lines_of(world, held).items()} == {
        "professional": 12, "premier-support": 12,
    }  # fmt: skip
    with world.db.transaction() as tx:
        license_ = licenses.current(tx, held.id)
    assert license_ is not None
    assert (license_.seats, license_.entitlements["premier_support"]) == (12, True)
    invoice_of(world, both)
    books_are_good(world)


def test_a_higher_plan_gives_back_the_rest_of_the_lower_one_in_the_same_moment(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11, **UK))
    pass_days(world, 100)
    bought_with = days_left(world, held)
    first = change(world, held, seats=13)
    pass_days(world, 30)
    days = days_left(world, held)
    order = change(world, held, plan="enterprise")
    invoice = invoice_of(world, order)
    rest = part(121_000, days) + part(first.net_minor, days, bought_with)
    with world.db.transaction() as tx:
        notes = [
            note
            for old in tx.execute(select(Invoice).where(col(Invoice.id) != invoice.id)).scalars()
            for note in credit_notes.of_invoice(tx, old.id)
        ]
        paid = tx.execute(select(Payment).where(col(Payment.order_id) == order.id)).scalar_one()
        spent = credit.spent_on(tx, f"invoice:{invoice.id}", "EUR")
        left = credit.balance(tx, held.account_id, "EUR")
    assert invoice.net_minor == part(13 * 19_500, days)
    assert sum(note.net_minor for note in notes) == rest
    assert all(note.tax_minor == part(note.net_minor, 20, 100) for note in notes), "the tax of then"
    assert paid.amount_minor == invoice.total_minor - spent.minor
    assert spent.minor == sum(note.total_minor for note in notes)
    assert (left.minor, invoice.state) == (0, InvoiceState.PAID)
    assert list(lines_of(world, held)) == ["enterprise"]
    with world.db.transaction() as tx:
        license_ = licenses.current(tx, held.id)
    assert license_ is not None
    assert (license_.sku, license_.seats) == ("enterprise", 13)
    books_are_good(world)


def test_what_the_lower_plan_gives_back_beyond_the_higher_one_is_the_customers_credit(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    with world.db.transaction() as tx:  # what was charged then is more than the list asks now
        tx.execute(text("UPDATE price SET valid_to = '2026-11-01' WHERE plan_id = (SELECT id FROM plan WHERE sku ="
                        " 'enterprise')"))  # fmt: skip
        plan = tx.execute(select(Plan).where(col(Plan.sku) == "enterprise")).scalar_one()
        tx.add(Price(id="prc_cheaper", plan_id=plan.id, currency="EUR", interval=Interval.YEAR, unit_minor=11_000,
                     valid_from=date(2026, 11, 1)))  # fmt: skip
        line = subscriptions.lines(tx, held.id)[0]
        line.pricing = dict(line.pricing or {}) | {"unit_minor": 10_000}
        tx.execute(text("UPDATE price SET unit_minor = 10000 WHERE id = :id"), {"id": line.price_id})
    order = change(world, held, plan="enterprise")
    invoice = invoice_of(world, order)
    assert (order.due, invoice.state, invoice.total_minor) == (Money(0, "EUR"), InvoiceState.PAID, 121_000)
    with world.db.transaction() as tx:
        assert tx.execute(select(Payment).where(col(Payment.order_id) == order.id)).first() is None
        assert credit.balance(tx, held.account_id, "EUR").minor == 0
    books_are_good(world)


def test_a_running_coupon_counts_until_it_ends_and_a_fixed_one_is_given_once(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=20))
    with world.db.transaction() as tx:
        tx.execute(text(
            "INSERT INTO coupon (id, code, name, percent, amounts, duration, months, plans, valid_from) VALUES"
            " ('cpn_percent', 'TENTH', 'A tenth', 10, '{}', 'repeating', 3, '[]', '2026-01-01'),"
            " ('cpn_fixed', 'FIFTY', 'Fifty', NULL, '{\"EUR\": 5000}', 'forever', NULL, '[]', '2026-01-01')"
        ))  # fmt: skip
        row = subscriptions.lock(tx, held.id)
        row.coupon_id, row.coupon_until = "cpn_percent", held.starts_on + timedelta(days=90)
    pass_days(world, 40)
    during = change(world, held, seats=21)
    assert during.net_minor == part(11_000 * 90, days_left(world, held), 36_500)
    assert during.discount is not None
    invoice_of(world, during)
    pass_days(world, 60)
    assert change(world, held, seats=22).net_minor == part(11_000, days_left(world, held))
    with world.db.transaction() as tx:
        row = subscriptions.lock(tx, held.id)
        row.coupon_id, row.coupon_until = "cpn_fixed", None
    assert change(world, held, seats=23).discount is None
    days, up = days_left(world, held), change(world, held, plan="enterprise", seats=None)
    assert up.net_minor == part(23 * 19_500 - 5_000, days)
    invoice_of(world, up)
    books_are_good(world)


def test_a_change_after_an_early_renewal_covers_both_terms(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 300)
    review = renewal.review(world.ports, held.id, seats=12)
    agreed = changing.how(world)
    renewal.renew(world.ports, review.preview.id, terms_id=agreed.terms_id, evidence=agreed.evidence)
    world.work()
    days = days_left(world, held)
    held = subscription(world, shop_order(world, held))
    order = change(world, held, seats=14)
    assert order.net_minor == part(2 * 11_000, days) + 2 * 11_000
    assert lines_of(world, held)["professional"].net_minor == 14 * 11_000
    with world.db.transaction() as tx:
        running, coming = invoices.lines(tx, invoice_of(world, order).id)
    assert (running.numerator, coming.rule, coming.period_to) == (days, "full_period", held.ends_on)
    books_are_good(world)


def shop_order(world: World, held: Subscription) -> Order:
    with world.db.transaction() as tx:
        return tx.get_one(Order, held.order_id)


def test_the_same_price_goes_on_unless_it_ended_and_then_the_list_is_asked(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=12))
    with world.db.transaction() as tx:
        line = subscriptions.lines(tx, held.id)[0]
        today = local_date(world.ports.clock.now(), "America/Los_Angeles")
        tx.execute(text("UPDATE price SET valid_to = :day WHERE id = :id"), {"day": today, "id": line.price_id})
        tx.add(Price(id="prc_dearer", plan_id=line.plan_id, currency="EUR", interval=Interval.YEAR, unit_minor=13_000,
                     valid_from=today))  # fmt: skip
    with pytest.raises(PreviewChanged) as refused:
        commit(world, offer)
    fresh = str(refused.value.extra["preview"])
    with world.db.transaction() as tx:
        shown = tx.get_one(type(offer), fresh)
    assert (offer.net_minor, shown.net_minor) == (11_000, 13_000)
    assert commit(world, shown).net_minor == 13_000
    assert lines_of(world, held)["professional"].net_minor == 134_000


def test_an_offer_holds_for_a_day_at_its_own_figures_and_no_longer(world: World) -> None:
    held = subscription(world, shop.buy(world))
    offer, old = (seat_change.preview(world.ports, held.id, Wanted(seats=26)) for _ in range(2))
    pass_days(world, 1)
    with pytest.raises(PreviewExpired):
        commit(world, old)
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=26))
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=23))
    order = commit(world, offer)
    assert order.total_minor == offer.total_minor
    again = seat_change.commit(world.ports, offer.id, changing.how(world))
    assert again.started is not None
    assert again.started.order_id == order.id, "a second click is the same order"


def test_a_credit_on_the_old_line_makes_a_new_offer_necessary(world: World) -> None:
    bought = shop.buy(world, seats=11)
    held, invoice = subscription(world, bought), invoice_of(world, bought)
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    crediting.keep(world.ports, invoice.id, nets=None, total=10_000, reason=CreditReason.GOODWILL,
                 off_the_invoice=False, by="test")  # fmt: skip
    with pytest.raises(PreviewChanged) as refused:
        commit(world, offer)
    with world.db.transaction() as tx:
        fresh = tx.get_one(type(offer), str(refused.value.extra["preview"]))
    assert fresh.change is not None
    assert offer.change is not None
    assert fresh.change["credit"] == offer.change["credit"] - 10_000
    assert fresh.credit_minor == 10_000  # which is theirs by now, and pays a part of the change
    ordered = commit(world, fresh)
    with world.db.transaction() as tx:
        assert credit.balance(tx, held.account_id, "EUR").minor == 0
        assert payments.received(tx, ordered.id, "EUR") == fresh.due
    books_are_good(world)


def test_two_people_at_once_one_wins_and_nothing_is_charged_twice(world: World) -> None:
    held = subscription(world, shop.buy(world))
    offers = [seat_change.preview(world.ports, held.id, Wanted(seats=seats)) for seats in (28, 30, 28, 30)]
    gate, refused, won = threading.Barrier(len(offers)), list[DomainError](), list[str]()

    def click(preview_id: str, how: seat_change.Ordering) -> None:
        gate.wait()
        try:
            done = seat_change.commit(world.ports, preview_id, how)
        except (PreviewChanged, ChangeRefused) as no:
            refused.append(no)
        else:
            assert done.started is not None
            won.append(done.started.order_id)

    how = changing.how(world)
    threads = [threading.Thread(target=click, args=(offer.id, how)) for offer in offers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    world.work()
    assert len(won) == 1
    assert len(refused) == 3
    assert all(no.extra.get("preview") or no.extra.get("subscription") for no in refused)
    with world.db.transaction() as tx:
        paid = tx.execute(select(Payment).where(col(Payment.order_id) != held.order_id)).scalars().all()
        order = tx.get_one(Order, won[0])
    assert [each.order_id for each in paid] == won
    assert lines_of(world, held)["professional"].quantity == 25 + order_seats(world, order)
    books_are_good(world)


def order_seats(world: World, order: Order) -> int:
    with world.db.transaction() as tx:
        (line,) = invoices.lines(tx, invoice_of(world, order).id)
    return line.quantity


def test_a_declined_card_and_an_abandoned_page_leave_the_subscription_as_it_was(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url, DECLINES_LATER)
    world.work()
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, tx.get_one(Order, started.order_id).subscription_id or "")
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=30))
    done = seat_change.commit(world.ports, offer.id, changing.how(world)).started
    assert done is not None
    assert (done.state, done.payment_url is not None) == (OrderState.AWAITING_PAYMENT, True)
    assert lines_of(world, held)["professional"].quantity == 25
    with pytest.raises(ChangeRefused) as waits:
        commit(world, seat_change.preview(world.ports, held.id, Wanted(seats=26)))
    assert waits.value.extra["order"] == done.order_id
    pass_days(world, 1)
    assert purchase.expire_overdue(world.ports) == 1
    world.work()
    with world.db.transaction() as tx:
        assert tx.get_one(Order, done.order_id).state is OrderState.EXPIRED
        assert [each.seats for each in licenses.of_subscription(tx, held.id)] == [25]
    fresh = seat_change.commit(world.ports, seat_change.preview(world.ports, held.id, Wanted(seats=26)).id,
                               changing.how(world)).started  # fmt: skip
    assert fresh is not None
    assert fresh.payment_url is not None
    shop.pay(world, fresh.payment_url)
    world.work()
    assert lines_of(world, held)["professional"].quantity == 26
    books_are_good(world)


def test_money_for_a_change_that_no_longer_fits_is_set_aside(world: World) -> None:
    started = shop.order(world, shop.offer(world, seats=11))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url, DECLINES_LATER)
    world.work()
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, tx.get_one(Order, started.order_id).subscription_id or "")
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=20))
    done = seat_change.commit(world.ports, offer.id, changing.how(world)).started
    assert done is not None
    assert done.payment_url is not None
    with world.db.transaction() as tx:  # as if staff, or a repair, had changed it on another way
        subscriptions.lines(tx, held.id)[0].quantity = 12
    shop.pay(world, done.payment_url)
    world.work()
    with world.db.transaction() as tx:
        assert tx.get_one(Order, done.order_id).state is OrderState.EXPIRED
        said = tx.execute(select(Event).where(col(Event.type) == "payment.unmatched")).scalar_one()
    assert said.data["why"] == "changed_meanwhile"
    assert lines_of(world, held)["professional"].quantity == 12


def test_a_charge_below_the_providers_least_is_on_the_next_invoice(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 364)
    assert days_left(world, held) == 1
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=12))
    assert (offer.net_minor, offer.change and offer.change["due"]) == (30, 0)
    order = commit(world, offer)
    assert (order.state, order.due.minor) == (OrderState.COMPLETED, 0)
    assert lines_of(world, held)["professional"].quantity == 12
    with world.db.transaction() as tx:
        assert invoices.of_order(tx, order.id) is None
    books_are_good(world)
    larger = change(world, held, seats=20)
    assert larger.net_minor == 30 + part(8 * 11_000, 1)
    invoice = invoice_of(world, larger)
    with world.db.transaction() as tx:
        now, then = invoices.lines(tx, invoice.id)
        assert (then.net_minor, then.quantity_before, then.quantity) == (30, 11, 1)
        assert now.quantity_before == 12
        assert tx.get_one(Order, order.id).carried_to == larger.id
    assert lines_of(world, held)["professional"].quantity == 20
    books_are_good(world)


def test_a_carried_charge_comes_with_the_renewal_and_is_no_seat_of_the_next_term(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=11))
    pass_days(world, 364)
    order = change(world, held, seats=12)
    review, how = renewal.review(world.ports, held.id), changing.how(world)
    assert review.preview.net_minor == 12 * 11_000 + 30
    renewed = renewal.renew(world.ports, review.preview.id, terms_id=how.terms_id, evidence=how.evidence)
    world.work()
    with world.db.transaction() as tx:
        assert tx.get_one(Order, order.id).carried_to == renewed.order_id
        (line,) = subscriptions.lines(tx, held.id)
        invoice_of(world, tx.get_one(Order, renewed.order_id))
    assert (line.quantity, line.net_minor) == (12, 132_000)
    books_are_good(world)


def test_expansions_count_towards_the_rolling_threshold_and_lead_to_sales(world: World) -> None:
    held = subscription(world, shop.buy(world, seats=20, currency="USD", vat=None))  # 2,400
    change(world, held, seats=30)  # 1,200 more
    offer = seat_change.preview(world.ports, held.id, Wanted(seats=42))  # 1,440 more
    assert (offer.route, [each["code"] for each in offer.reasons]) == (Route.SALES, ["rolling_total"])
    with pytest.raises(NeedsQuote):
        commit(world, offer)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE plan SET retired_at = now() WHERE sku = 'professional'"))
    retired = seat_change.preview(world.ports, held.id, Wanted(seats=31))
    assert [each["code"] for each in retired.reasons] == ["retired_plan"]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wanted(), "nothing_changes"),
        (Wanted(seats=25), "nothing_changes"),
        (Wanted(plan="enterprise", seats=20), "mixed"),
        (Wanted(plan="cloud-professional", add_ons=("premier-support",)), "add_on"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(world: World, wanted: Wanted, reason: str) -> None:
    held = subscription(world, shop.buy(world))
    with pytest.raises(ChangeRefused) as refused:
        seat_change.preview(world.ports, held.id, wanted)
    assert refused.value.extra["reason"] == reason
    with pytest.raises(SeatsOutOfRange):
        seat_change.preview(world.ports, held.id, Wanted(seats=5001))
    with pytest.raises(SeatsOutOfRange):
        seat_change.preview(world.ports, held.id, Wanted(seats=10))


class Killed(BaseException):
    """Stands in for SIGKILL."""


@pytest.mark.parametrize("step", ["change", "issue", "of_plan", "spend"])
def test_a_crash_on_the_way_leaves_nothing_behind_and_is_made_good(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"change": subscriptions, "issue": licenses, "of_plan": credit_notes, "spend": credit}[step]
    name = "issue" if step == "of_plan" else step
    held = subscription(world, shop.buy(world, seats=11))
    offer = seat_change.preview(world.ports, held.id, Wanted(plan="enterprise"))
    original, how = getattr(module, name), changing.how(world)

    def die(*args: object, **kwargs: object) -> None:
        original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            seat_change.commit(world.ports, offer.id, how)
    assert list(lines_of(world, held)) == ["professional"]
    with world.db.transaction() as tx:
        assert len(tx.execute(select(License)).scalars().all()) == 1
    commit(world, offer)
    assert list(lines_of(world, held)) == ["enterprise"]
    with world.db.transaction() as tx:
        assert len(tx.execute(select(Payment)).scalars().all()) == 2
    books_are_good(world)
