"""Numbers under fire (I3): twenty writers, a third of whom fail or are killed, leave 1 to n without a gap."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum

from psycopg.errors import AdminShutdown
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.accounts.models import Account
from app.core.db import Tx
from app.core.money import Money
from app.invoices import numbering
from app.reports import verify_books
from tests import books
from tests.world import World, full

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)
WRITERS = 20


class Fate(IntEnum):
    """How an attempt to issue an invoice ends."""

    COMMIT = 0
    ROLL_BACK = 1  # the program changes its mind after it holds a number
    DIE = 2  # its connection is cut after it holds a number
    PAY = 3  # commits, the money with it


class ChangedItsMind(Exception):
    pass


def issue(tx: Tx, account: Account, fate: Fate) -> None:
    sale = books.draft(tx, account, Money(1_000, "USD"), NOW)
    books.issue(tx, sale, NOW)
    if fate is Fate.ROLL_BACK:
        raise ChangedItsMind
    if fate is Fate.DIE:
        tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    if fate is Fate.PAY:
        books.pay(tx, sale, NOW)


def together(writers: int, work: Callable[[int], None]) -> None:
    """Run `work` in so many threads at once; the first failure is the test's."""
    failures: list[Exception] = []
    start = threading.Barrier(writers)

    def run(writer: int) -> None:
        try:
            start.wait(timeout=30)
            work(writer)
        except Exception as exc:  # noqa: BLE001 -- raised below, in the test's own thread
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=600)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def customer(world: World) -> Account:
    with world.db.transaction() as tx:
        return books.customer(tx, "Nobody", NOW)


def numbers(world: World) -> list[tuple[int, str]]:
    with world.db.reading() as connection:
        query = "SELECT sequence, number FROM invoice WHERE sequence IS NOT NULL ORDER BY sequence"
        return [(row.sequence, row.number) for row in connection.execute(text(query))]


def faults(world: World) -> set[str]:
    """What the checker of the books finds, but for licenses, which these sales never had."""
    return {each.check for each in verify_books.verify(world.db)} - {"order_licenses"}


def test_twenty_writers_that_fail_and_die_leave_no_gap_and_no_repeat(world: World) -> None:
    account, attempts = customer(world), max(4, full(5_000) // WRITERS)
    ended: Counter[Fate] = Counter()
    counting = threading.Lock()

    def write(writer: int) -> None:
        for attempt in range(attempts):
            fate = list(Fate)[(writer * 7 + attempt * 5 + attempt // 4) % len(Fate)]
            came_to: Fate | None = fate
            try:
                with world.db.transaction() as tx:
                    issue(tx, account, fate)
            except ChangedItsMind:
                came_to = Fate.ROLL_BACK
            except OperationalError as exc:
                came_to = Fate.DIE if isinstance(exc.orig, AdminShutdown) else None
            assert came_to is fate
            with counting:
                ended[fate] += 1

    together(WRITERS, write)
    assert sum(ended.values()) == WRITERS * attempts
    assert min(ended[fate] for fate in Fate) > 0
    issued = ended[Fate.COMMIT] + ended[Fate.PAY]
    assert numbers(world) == [(each, numbering.shown("ACME", each)) for each in range(1, issued + 1)]
    assert faults(world) == set()


def test_connections_cut_at_any_moment_leave_no_gap(world: World) -> None:
    """A killer strikes blindly: before the number, with it in hand, inside the commit."""
    account, attempts = customer(world), max(4, full(2_000) // WRITERS)
    done = threading.Event()
    acknowledged: list[str | None] = []
    cut: list[int] = []

    def write(_: int) -> None:
        for _attempt in range(attempts):
            with suppress(DBAPIError):
                with world.db.transaction() as tx:
                    sale = books.draft(tx, account, Money(1_000, "USD"), NOW)
                    number = books.issue(tx, sale, NOW).number
                    books.pay(tx, sale, NOW)
                acknowledged.append(number)

    def kill() -> None:
        # Whoever is in the middle of a transaction of ours, one at a time.
        victim = text(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            " ORDER BY xact_start LIMIT 1) each"
        )
        while not done.wait(0.05):
            with world.db.reading() as connection:
                cut.append(connection.execute(victim).scalar_one())

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        together(WRITERS, write)
    finally:
        done.set()
        killer.join(timeout=30)
    assert sum(cut) > 0
    stored = [number for _, number in numbers(world)]
    assert stored == [numbering.shown("ACME", each) for each in range(1, len(stored) + 1)]
    assert set(acknowledged) <= set(stored)
    assert faults(world) == set()


def test_two_series_count_apart(world: World) -> None:
    account = customer(world)
    with world.db.transaction() as tx:
        books.issue(tx, books.draft(tx, account, Money(100, "USD"), NOW), NOW)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE legal_entity SET invoice_series = 'NEXT'"))
    for _ in range(2):
        with world.db.transaction() as tx:
            books.issue(tx, books.draft(tx, account, Money(100, "USD"), NOW), NOW)
    with world.db.reading() as connection:
        found = connection.execute(text("SELECT number FROM invoice ORDER BY number")).scalars().all()
    assert found == ["ACME-000001", "NEXT-000001", "NEXT-000002"]


def test_several_invoices_of_one_transaction_take_numbers_in_turn(world: World) -> None:
    account = customer(world)
    with world.db.transaction() as tx:
        for _ in range(3):
            books.issue(tx, books.draft(tx, account, Money(100, "USD"), NOW), NOW)
    assert [sequence for sequence, _ in numbers(world)] == [1, 2, 3]


def test_a_number_of_seven_digits_is_not_cut() -> None:
    assert numbering.shown("ACME", 42) == "ACME-000042"
    assert numbering.shown("ACME", 1_234_567) == "ACME-1234567"
