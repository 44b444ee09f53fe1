"""The billing run in chunks: whatever dies or doubles, each term is billed once, and one bad account stops nobody."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.adapters.sandbox import clock
from app.core.db import Database
from app.dunning.models import AutomaticCharge
from app.flows import billing_run, bulk_charging, bulk_completion, bulk_ordering, tick
from app.flows.billing_run import Progress
from app.payments.models import ChargeAnswer
from app.reports import verify_books
from tests.flows.ending import billed_once, catch_up, charged, count, end_of, subscription_of, together, told
from tests.flows.test_billing_run import Killed, monthly
from tests.world import FULL, World, full

HALF_WAY = ("before", "after")


@contextmanager
def dying_at(patch: pytest.MonkeyPatch, commit: int, where: str) -> Iterator[list[int]]:
    """The process dies at a commit, counted from 0: just before it, or just after."""
    passed: list[int] = []
    original = Database.transaction

    @contextmanager
    def transaction(self: Database) -> Iterator[Session]:
        with original(self) as tx:
            yield tx
            if len(passed) == commit and where == "before":
                raise Killed
        passed.append(1)
        if len(passed) == commit + 1 and where == "after":
            raise Killed

    with patch.context() as patched:
        patched.setattr(Database, "transaction", transaction)
        yield passed


def run(world: World) -> None:
    """A billing run in this thread, so that its death is seen."""
    tick.tick(world.ports)
    bulk_ordering.order_due.run(world.ports)
    for order_id in waiting(world):
        bulk_charging.charge.run(world.ports, order_id=order_id)
    bulk_completion.complete_paid.run(world.ports)


def waiting(world: World) -> list[str]:
    """The orders that wait for their charge. Read outside of any transaction: no death is planned here."""
    with world.db.reading() as connection:
        query = text("SELECT id FROM \"order\" WHERE state = 'awaiting_payment' ORDER BY id")
        return list(connection.execute(query).scalars())


def progress(world: World) -> Progress:
    with world.db.transaction() as tx:
        return billing_run.progress(tx, world.ports.clock.now())


def test_a_death_at_any_commit_is_made_good_and_bills_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = monthly(world, 2)
    deaths, terms, commit = 0, 1, 0
    while True:
        clock.set_to(world.db, max(end_of(world, each) for each in orders) + timedelta(hours=1))
        for where in HALF_WAY:  # and once more while it is made good
            with dying_at(monkeypatch, commit, where) as passed, suppress(Killed):
                run(world)
            deaths += len(passed) < commit + 1 or where == "after"
        catch_up(world)
        terms += 1
        figures = billed_once(world)
        assert figures["terms"] == terms * len(orders), (commit, figures)
        assert count(world, ChargeAnswer) == 0
        if len(passed) < commit + 1:
            break
        commit += 1 if FULL else 4
    assert commit > 8
    assert verify_books.verify(world.db) == []
    print(f"{deaths} deaths at {commit} commits of a billing run: {figures}")  # noqa: T201 -- figures are a result


def test_workers_at_once_share_the_work_and_bill_once(world: World) -> None:
    orders = monthly(world, full(300))
    clock.set_to(world.db, end_of(world, orders[0]) + timedelta(hours=1))
    tick.tick(world.ports)
    assert (
        together(*[lambda: bulk_ordering.order_due.run(world.ports)] * 4, *[lambda: tick.tick(world.ports)] * 2) == []
    )
    asked = waiting(world)
    assert len(asked) == len(orders) == progress(world).charging
    for order_id in asked:
        bulk_charging.charge.run(world.ports, order_id=order_id)
    assert count(world, ChargeAnswer) == len(orders) == progress(world).paid
    assert together(*[lambda: bulk_completion.complete_paid.run(world.ports)] * 4) == []
    catch_up(world)
    figures = billed_once(world)
    assert figures["terms"] == 2 * len(orders)
    assert progress(world) == Progress(due=0, charging=0, paid=0, parked=0, done=len(orders))
    print(f"4 workers at once: {figures}")  # noqa: T201 -- figures are a result


def test_a_chunk_that_the_database_refuses_is_bisected_to_the_guilty_one(world: World) -> None:
    orders = monthly(world, 5)
    bad = orders[2]
    clock.set_to(world.db, end_of(world, bad) + timedelta(hours=1))
    rule = f"CHECK (subscription_id <> '{bad.subscription_id}' OR kind <> 'renewal') NOT VALID"
    with world.db.transaction() as tx:
        tx.execute(text(f'ALTER TABLE "order" ADD CONSTRAINT no_such_renewal {rule}'))
    catch_up(world)
    assert "IntegrityError" in (reason := subscription_of(world, bad).parked_reason or "") or "Check" in reason
    assert billed_once(world)["terms"] == 2 * len(orders) - 1
    with world.db.transaction() as tx:
        tx.execute(text('ALTER TABLE "order" DROP CONSTRAINT no_such_renewal'))
    billing_run.release(world.ports, bad.subscription_id or "", by="stf_1", note="mended")
    catch_up(world)
    assert billed_once(world)["terms"] == 2 * len(orders)


def test_a_paid_order_that_cannot_be_completed_is_parked_and_charged_no_second_time(world: World) -> None:
    orders = monthly(world, 4)
    bad = orders[1]
    clock.set_to(world.db, end_of(world, bad) + timedelta(hours=1))
    rule = f"CHECK (subscription_id <> '{bad.subscription_id}' OR state = 'superseded') NOT VALID"
    with world.db.transaction() as tx:
        tx.execute(text(f"ALTER TABLE license ADD CONSTRAINT no_such_license {rule}"))
    catch_up(world)
    assert subscription_of(world, bad).parked_reason is not None
    assert (charged(world), count(world, AutomaticCharge)) == (8, 4)
    assert told(world, "subscription.renewed") == 3
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE license DROP CONSTRAINT no_such_license"))
    billing_run.release(world.ports, bad.subscription_id or "", by="stf_1", note="mended")
    catch_up(world)
    assert billed_once(world) == {"terms": 8, "charges": 8, "subscriptions": 4}


AGAIN = (
    "INSERT INTO posting (entry_id, ledger_account, dimension, amount_minor, currency)"
    " SELECT entry_id, ledger_account, dimension, amount_minor, currency FROM posting"
)
ELSEWHERE = (
    "INSERT INTO invoice_payment (invoice_id, payment_id, amount_minor, allocated_at)"
    " SELECT invoice.id, payment.id, 1, now() FROM invoice, payment WHERE invoice.order_id <> payment.order_id"
)


@pytest.mark.parametrize("statement", [AGAIN, f"{AGAIN} LIMIT 1", ELSEWHERE, f"{ELSEWHERE} LIMIT 1"])
def test_what_is_checked_once_for_a_statement_refuses_many_rows_as_it_refuses_one(world: World, statement: str) -> None:
    monthly(world, 2)
    with pytest.raises(IntegrityError, match=r"sealed|more than once"), world.db.transaction() as tx:
        tx.execute(text(statement))


def test_a_decline_in_a_bulk_run_is_collected_and_the_others_are_billed(world: World) -> None:
    orders = monthly(world, 3)
    its_cards = "id IN (SELECT method_ref FROM payment_method WHERE account_id = :account)"
    with world.db.transaction() as tx:
        change = f"UPDATE sandbox_method SET kind = 'declines_later' WHERE {its_cards}"  # noqa: S608 -- the line above
        tx.execute(text(change), {"account": orders[0].account_id})
    clock.set_to(world.db, end_of(world, orders[0]) + timedelta(hours=1))
    catch_up(world)
    assert told(world, "dunning.opened") == 1
    assert told(world, "subscription.renewed") == 2
