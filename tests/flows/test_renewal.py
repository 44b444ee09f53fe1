"""Renewal: reminded in time, done with one button, once, without losing or gaining a day (R-SUB-2 to R-SUB-5)."""

import re
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.adapters.sandbox import clock
from app.adapters.sandbox.models import SandboxIntent
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core.clock import start_of
from app.core.errors import DomainError, NotFound
from app.flows import purchase, renewal, tick
from app.flows.purchase import Started
from app.invoices.models import Invoice
from app.licenses.models import License, LicenseState
from app.orders.models import Order, OrderState
from app.payments import service as payments
from app.payments.models import AttemptState, Payment, PaymentAttempt
from app.subscriptions import service as subscriptions
from app.subscriptions.models import RenewalReminder, Subscription, SubscriptionState
from tests import shop
from tests.world import World


def walk(world: World, to: datetime) -> None:
    tick.walk(world.ports, to, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)


def subscription_of(world: World, order: Order) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, order.subscription_id or "")


def days_before_end(world: World, order: Order, days: int) -> datetime:
    subscription = subscription_of(world, order)
    return start_of(subscription.ends_on - timedelta(days=days), subscription.time_zone) + timedelta(hours=12)


def renew(world: World, order: Order, token: str | None = None) -> Started:
    offer = renewal.review(world.ports, order.subscription_id or "")
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return renewal.renew(
        world.ports, offer.preview.id, terms_id=terms.id, evidence=Evidence("127.0.0.1", "test"), token=token
    )


def reminders_sent(world: World) -> list[int]:
    with world.db.transaction() as tx:
        rows = tx.execute(
            select(col(RenewalReminder.days_before))
            .where(col(RenewalReminder.sent_at).is_not(None))
            .order_by(col(RenewalReminder.sent_at))
        )
        return list(rows.scalars())


def token_of_last_reminder(world: World) -> str:
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    found = [re.search(r"/renew/([\w-]+)", mail["text"]) for mail in mails]
    return next(match[1] for match in found if match)


def test_a_year_later_the_saved_card_renews_with_one_button(world: World) -> None:
    order = shop.buy(world)
    before = subscription_of(world, order)
    walk(world, days_before_end(world, order, 20))
    started = renew(world, order, token_of_last_reminder(world))
    assert started.state is OrderState.COMPLETED
    after = subscription_of(world, order)
    assert (after.starts_on, after.state) == (before.ends_on, SubscriptionState.ACTIVE)
    with world.db.transaction() as tx:
        old, new = tx.execute(select(License).order_by(col(License.issued_at))).scalars()
        numbers = tx.execute(select(col(Invoice.number)).order_by(col(Invoice.number))).scalars().all()
    assert (old.state, new.state, old.superseded_by) == (LicenseState.SUPERSEDED, LicenseState.ACTIVE, new.id)
    assert old.file_id != new.file_id
    assert new.expires_at == start_of(after.ends_on, after.time_zone)
    assert numbers == ["ACME-000001", "ACME-000002"]


def test_reminders_go_out_at_each_distance_once_and_stop_with_the_renewal(world: World) -> None:
    order = shop.buy(world)
    walk(world, days_before_end(world, order, 6))
    assert reminders_sent(world) == [60, 30, 15, 7]
    renew(world, order)
    walk(world, days_before_end(world, order, 100))
    assert reminders_sent(world) == [60, 30, 15, 7]


def test_after_a_pause_only_the_reminder_that_still_makes_sense_is_sent(world: World) -> None:
    order = shop.buy(world)
    clock.set_to(world.db, days_before_end(world, order, 6))
    tick.tick(world.ports)
    world.work()
    assert reminders_sent(world) == [7]


def test_a_used_link_is_dead_and_a_made_up_one_was_never_alive(world: World) -> None:
    order = shop.buy(world)
    walk(world, days_before_end(world, order, 20))
    token = token_of_last_reminder(world)
    renew(world, order, token)
    with world.db.transaction() as tx:
        with pytest.raises(renewal.LinkUsed):
            renewal.link_behind(tx, world.ports, token)
        with pytest.raises(NotFound):
            renewal.link_behind(tx, world.ports, "made-up")


def test_a_link_opens_no_other_subscription(world: World) -> None:
    mine, theirs = shop.buy(world), shop.buy(world, email="eve@example.de", company="Eve GmbH")
    walk(world, days_before_end(world, mine, 20))
    token = token_of_last_reminder(world)
    with pytest.raises(NotFound):
        renew(world, theirs, token)


def test_a_term_is_renewed_once_even_by_two_people_at_once(world: World) -> None:
    order = shop.buy(world)
    clock.set_to(world.db, days_before_end(world, order, 20))
    offers = [renewal.review(world.ports, order.subscription_id or "").preview.id for _ in range(2)]
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    gate, outcomes = threading.Barrier(20), list[str]()

    def act(preview_id: str) -> None:
        gate.wait()
        try:
            started = renewal.renew(world.ports, preview_id, terms_id=terms.id, evidence=Evidence("127.0.0.1", "test"))
            outcomes.append(str(started.state))
        except DomainError as refused:
            outcomes.append(refused.slug)

    threads = [threading.Thread(target=act, args=(offers[index % 2],)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(outcomes) == 20
    assert set(outcomes) <= {"completed", "awaiting_payment", "already-renewed"}
    world.work()
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(Payment)).scalar_one() == 2
        assert tx.execute(select(func.count()).select_from(License)).scalar_one() == 2


def test_renewal_is_not_open_before_its_day(world: World) -> None:
    order = shop.buy(world)
    with pytest.raises(renewal.RenewalNotOpen, match="opens on"):
        renewal.review(world.ports, order.subscription_id or "")


def test_a_monthly_term_renews_by_itself_for_as_long_as_the_card_pays(world: World) -> None:
    order = shop.buy(world, interval="month")
    walk(world, world.ports.clock.now() + timedelta(days=100))
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(Invoice)).scalar_one() == 4
    after = subscription_of(world, order)
    assert after.state is SubscriptionState.ACTIVE
    assert after.ends_on > world.ports.clock.now().date()


def test_a_declined_automatic_renewal_leaves_it_past_due_and_nothing_half_done(world: World) -> None:
    started = shop.order(world, shop.offer(world, interval="month"))
    assert started.payment_url is not None
    shop.pay(world, started.payment_url, "4000 0000 0000 0341")  # saves well, declines later
    world.work()
    walk(world, world.ports.clock.now() + timedelta(days=33))
    with world.db.transaction() as tx:
        subscription = tx.execute(select(Subscription)).scalar_one()
        assert subscription.state is SubscriptionState.PAST_DUE
        assert tx.execute(select(func.count()).select_from(Invoice)).scalar_one() == 1


def test_a_worker_that_dies_between_charge_and_record_charges_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.buy(world)
    clock.set_to(world.db, days_before_end(world, order, 20))

    class Killed(BaseException):
        """Stands in for SIGKILL: nothing of ours catches it."""

    def die(*_args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(purchase, "apply_report", die)
        with pytest.raises(Killed):
            renew(world, order)
    with world.db.transaction() as tx:
        attempt = tx.execute(select(PaymentAttempt).order_by(col(PaymentAttempt.id).desc())).scalars().first()
        assert attempt is not None
        assert (attempt.state, attempt.saved_method_ref is not None) == (AttemptState.UNKNOWN, True)
        assert tx.execute(select(func.count()).select_from(Payment)).scalar_one() == 1
    assert purchase.settle(world.ports, attempt.id) == "completed"
    with world.db.transaction() as tx:
        charged = tx.execute(
            select(func.count()).select_from(SandboxIntent).where(col(SandboxIntent.charge_id).is_not(None))
        ).scalar_one()
        assert charged == tx.execute(select(func.count()).select_from(Payment)).scalar_one() == 2


def test_a_charge_nobody_heard_of_for_a_day_is_looked_up_and_not_repeated(world: World) -> None:
    order = shop.buy(world)
    clock.set_to(world.db, days_before_end(world, order, 20))
    renew(world, order)
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(
            tx, tx.execute(select(col(Order.id)).where(col(Order.kind) == "renewal")).scalar_one()
        )
        assert attempt is not None
        found = tx.execute(select(func.count()).select_from(SandboxIntent)).scalar_one()
    report = world.ports.payments.find_charge(attempt.id)
    assert report is not None
    assert report.charge_ref is not None
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(SandboxIntent)).scalar_one() == found
