"""What is found out about a party between a renewal's order and its payment, and what is parked because of it."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.adapters.sandbox import clock
from app.core.audit import AuditEntry
from app.flows import (
    bulk_charging,
    bulk_completion,
    bulk_ordering,
    export_gate,
    rescreening,
    screening_decisions,
    tick,
    unmatched,
)
from app.orders import service as orders
from app.orders.models import Order, OrderKind, OrderState
from app.payments.models import PaymentAttempt
from app.screening import service as screening
from app.screening.models import CaseState, Decision, ScreeningCase
from app.screening.service import CaseDecided
from tests import shop
from tests.console.helping import audited
from tests.flows.ending import catch_up, charged, end_of, subscription_of
from tests.screening.helping import bring, cases
from tests.screening.lines import plain
from tests.world import World


def renewal_of(world: World, order: Order) -> Order:
    with world.db.transaction() as tx:
        query = select(Order).where(
            col(Order.subscription_id) == order.subscription_id, col(Order.kind) == OrderKind.RENEWAL
        )
        return tx.execute(query.order_by(col(Order.id).desc())).scalars().first() or orders.get(tx, order.id)


def monthly(world: World, **wanted: str) -> Order:
    return shop.buy(world, interval="month", **wanted)


def due(world: World, *, after: Order) -> None:
    clock.set_to(world.db, end_of(world, after) + timedelta(hours=1))


def ordered(world: World) -> None:
    """The next terms are ordered by the run for many, and nobody is charged yet."""
    tick.tick(world.ports)
    bulk_ordering.order_due.run(world.ports)


def screened(world: World) -> list[ScreeningCase]:
    """Everybody compared with the newest lists, without what else waits on the queue."""
    rescreening.rescreen_chunk(world.ports)
    return cases(world)


def set_aside(world: World) -> set[str]:
    with world.db.transaction() as tx:
        return {each.order_id for each in unmatched.waiting(tx) if each.why == "not_deliverable"}


def test_money_for_a_renewal_that_may_not_be_delivered_any_more_is_set_aside_among_many_as_alone(world: World) -> None:
    plain_one = monthly(world, email="one@example.de", company="Firma Eins GmbH")
    moved = monthly(world, email="two@example.de", company="Firma Zwei GmbH")
    listed = monthly(world, email="three@example.de", company="Firma Drei GmbH", name="Tasquel Velmorin")
    asked_about = monthly(world, email="four@example.de", company="Firma Vier GmbH", name="Marisol Tendrake")
    due(world, after=asked_about)
    ordered(world)
    for each in (plain_one, moved, listed, asked_about):
        bulk_charging.charge.run(world.ports, order_id=renewal_of(world, each).id)
    bring(world, plain("1,person,Tasquel Velmoryn,,,,,,", "2,person,Marisol Tendrage,,,,,,"), code="eu")
    found = {each.account_id: each for each in screened(world)}
    assert found.keys() == {listed.account_id, asked_about.account_id}
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET country = 'CU' WHERE id = :id"), {"id": moved.account_id})
    # Decided, and its orders not given up yet: that is a job of its own.
    screening_decisions.decide(
        world.ports, found[listed.account_id].id, Decision.CONFIRM, by="stf_1", reason="The same."
    )
    with world.db.transaction() as tx:
        tx.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'screening.follow'"))
        everybody = [each.account_id for each in (plain_one, moved, listed, asked_about)]
        now = world.ports.clock.now()
        barred = export_gate.barred_among(tx, everybody, now)
        assert barred == {each for each in everybody if export_gate.barred(tx, each, now) is not None}
        assert barred == {moved.account_id, listed.account_id}
    done = bulk_completion.complete_chunk(world.ports)
    assert done is not None
    assert (done.completed, done.single, done.parked) == (2, 2, 0)
    became = {each.id: renewal_of(world, each).state for each in (plain_one, moved, listed, asked_about)}
    waits, paid = OrderState.AWAITING_PAYMENT, OrderState.COMPLETED
    # Somebody alike is no finding yet: what was ordered before goes on, as on the single path.
    assert list(became.values()) == [paid, waits, waits, paid]
    assert set_aside(world) == {renewal_of(world, moved).id, renewal_of(world, listed).id}
    catch_up(world)
    assert subscription_of(world, moved).parked_at is not None
    assert charged(world) == 8


def test_whoever_is_confirmed_after_the_order_is_not_charged(world: World) -> None:
    listed = monthly(world, company="Firma Drei GmbH", name="Tasquel Velmorin")
    due(world, after=listed)
    ordered(world)
    bring(world, plain("1,person,Tasquel Velmoryn,,,,,,"), code="eu")
    (case,) = screened(world)
    screening_decisions.decide(world.ports, case.id, Decision.CONFIRM, by="stf_1", reason="The same.")
    bulk_charging.charge.run(world.ports, order_id=renewal_of(world, listed).id)
    assert charged(world) == 1
    with world.db.transaction() as tx:
        states = tx.execute(select(col(PaymentAttempt.state)).order_by(col(PaymentAttempt.id))).scalars().all()
        given_up = tx.execute(select(AuditEntry).where(col(AuditEntry.action) == "order.canceled")).scalars().all()
    assert [str(each) for each in states] == ["succeeded", "unknown"]
    assert given_up == []
    world.work()
    assert renewal_of(world, listed).state is OrderState.CANCELED
    assert charged(world) == 1


def decide(world: World, case: ScreeningCase, decision: Decision) -> None:
    screening_decisions.decide(world.ports, case.id, decision, by="stf_1", reason=f"To {decision}: looked it up.")
    world.work()


def test_what_a_case_parked_is_billed_again_once_it_is_cleared_and_nothing_else_is(world: World) -> None:
    asked_about = monthly(world, company="Firma Drei GmbH", name="Tasquel Velmorin")
    other = shop.buy(world, interval="month", seats=12, company="Firma Drei GmbH", name="Tasquel Velmorin",
                     email="second@example.de")  # fmt: skip
    bring(world)
    world.work()
    due(world, after=other)
    catch_up(world)
    for each in (asked_about, other):
        assert renewal_of(world, each).state is OrderState.HELD
        assert subscription_of(world, each).parked_by_screening
    with world.db.transaction() as tx:  # as if something else had been the matter before
        tx.execute(
            text("UPDATE subscription SET parked_by_screening = false, parked_reason = 'the bound' WHERE id = :id"),
            {"id": other.subscription_id},
        )
    for case in cases(world, CaseState.OPEN):
        decide(world, case, Decision.CLEAR)
    held = subscription_of(world, asked_about)
    assert (held.parked_at, held.parked_by_screening) == (None, False)
    assert renewal_of(world, asked_about).expires_at is None, "the run charges it, nobody has to be asked for it"
    assert subscription_of(world, other).parked_reason == "the bound"
    catch_up(world)
    assert renewal_of(world, asked_about).state is OrderState.COMPLETED
    assert subscription_of(world, asked_about).starts_on == held.ends_on
    assert renewal_of(world, other).state is OrderState.AWAITING_PAYMENT
    assert charged(world) == 3
    assert [each.details["note"] for each in audited(world, "subscription.released")] == ["Review finished."]


def test_a_confirmed_case_that_was_wrong_is_overturned_and_gives_back_what_it_suspended(world: World) -> None:
    bought = monthly(world, company="Firma Drei GmbH", name="Tasquel Velmorin")
    bring(world)
    world.work()
    (case,) = cases(world)
    waiting = shop.order(world, shop.offer(world, company="Firma Drei GmbH", name="Tasquel Velmorin", seats=12))
    with pytest.raises(CaseDecided):
        decide(world, case, Decision.OVERTURN)
    decide(world, case, Decision.CONFIRM)
    due(world, after=bought)
    catch_up(world)
    assert charged(world) == 1
    with world.db.transaction() as tx:
        (confirmed,) = screening.standing_of(tx, bought.account_id)
        found = screening_decisions.reversal_of(tx, confirmed)
        assert (found.subscriptions, found.over, found.orders, found.payments, found.also_confirmed) == (1, 0, 1, 0, 0)
        assert export_gate.barred(tx, bought.account_id, world.ports.clock.now()) is not None
    decide(world, case, Decision.OVERTURN)
    with world.db.transaction() as tx:
        assert export_gate.barred(tx, bought.account_id, world.ports.clock.now()) is None
        assert orders.get(tx, waiting.order_id).state is OrderState.CANCELED, "given up for good"
        said = [(each.decision, each.reason) for each in screening.decisions_of(tx, case.id)]
    assert said == [(each, f"To {each}: looked it up.") for each in (Decision.CONFIRM, Decision.OVERTURN)]
    (entry,) = audited(world, "screening.overturned")
    assert (entry.chain, entry.actor) == ("system", "stf_1")
    catch_up(world)
    assert (charged(world), renewal_of(world, bought).state) == (2, OrderState.COMPLETED)
    # In doubt again: new orders wait, what was bought goes on.
    decide(world, case, Decision.REOPEN)
    again = shop.order(world, shop.offer(world, company="Firma Drei GmbH", name="Tasquel Velmorin", seats=13))
    assert again.state is OrderState.HELD
    assert subscription_of(world, bought).parked_at is None
    with (
        pytest.raises(DBAPIError, match="is about something else"),
        world.db.transaction() as tx,
    ):
        tx.execute(text("UPDATE screening_case SET score = 1"))
    with pytest.raises(DBAPIError, match="screening_decision"), world.db.transaction() as tx:
        tx.execute(text("DELETE FROM screening_decision"))


def test_as_long_as_another_case_stands_confirmed_nothing_is_given_back(world: World) -> None:
    bought = monthly(world, company="Zarnitza Quorvex Trading GmbH", name="Ada Beispiel")
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE member SET name = 'Tasquel Velmorin'"))
    bring(world)
    world.work()
    first, second = cases(world)
    decide(world, first, Decision.CONFIRM)
    decide(world, second, Decision.CONFIRM)
    with world.db.transaction() as tx:
        assert screening_decisions.reversal_of(tx, screening.get(tx, first.id)).also_confirmed == 1
    decide(world, first, Decision.OVERTURN)
    assert subscription_of(world, bought).parked_by_screening
    decide(world, second, Decision.OVERTURN)
    assert subscription_of(world, bought).parked_at is None
