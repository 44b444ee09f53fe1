"""One purchase, one refund, one dispute: whatever order their events come in, and however often, one state results.

The money moves at the provider while its events are held back; then they are delivered in every order, each of them
twice, every time to a new copy of the installation as it was before.
"""

from collections.abc import Iterable, Iterator
from itertools import count, islice, permutations
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.adapters.sandbox import switches
from app.adapters.sandbox.models import SandboxEvent
from app.adapters.stripe.events import event_of
from app.core import embedded_postgres, inbox
from app.core.canonical import canonical_json, sha256_hex
from app.core.clock import transport_now
from app.core.db import Database
from app.core.embedded_postgres import Cluster
from app.core.money import Money
from app.flows import dispute, provider_events, refund
from app.flows.ports import Ports
from app.orders import service as orders
from app.payments.models import DisputeState, RefundState
from app.payments.provider import DisputeReport, Outcome, Standing
from app.reports import verify_books
from app.wiring import wire
from tests import shop
from tests.slate import Slate
from tests.world import FULL, World

# Everything that has to come out the same: all but ids, numbers, instants and what was merely told on the way.
STATE = {
    "order": 'SELECT state, total_minor FROM "order" WHERE account_id = :account',
    "invoice": "SELECT state, total_minor FROM invoice WHERE account_id = :account",
    "credit_note": "SELECT net_minor, tax_minor, total_minor, to_refund_minor, reason FROM credit_note"
    " WHERE account_id = :account",
    "credit_note_line": "SELECT line.net_minor, line.tax_minor, tax_parts FROM credit_note_line line"
    " JOIN credit_note note ON note.id = line.credit_note_id WHERE account_id = :account",
    "credit_note_tax": "SELECT jurisdiction, taxable_minor, tax.tax_minor FROM credit_note_tax tax"
    " JOIN credit_note note ON note.id = tax.credit_note_id WHERE account_id = :account",
    "payment": "SELECT amount_minor, currency, method FROM payment WHERE account_id = :account",
    "attempt": "SELECT state, amount_minor FROM payment_attempt WHERE account_id = :account",
    "refund": "SELECT state, amount_minor, failure_code, revoke FROM refund WHERE account_id = :account",
    "dispute": "SELECT state, amount_minor, closed_at IS NULL FROM dispute WHERE account_id = :account",
    "customer_credit": "SELECT amount_minor, kind FROM customer_credit WHERE account_id = :account",
    "license": "SELECT state, seats FROM license WHERE account_id = :account",
    "subscription": "SELECT state, starts_on::text, ends_on::text FROM subscription WHERE account_id = :account",
    "survey": "SELECT kind FROM survey_invitation WHERE account_id = :account",
    "balance": "SELECT ledger_account, dimension, currency, sum(amount_minor)::bigint FROM posting"
    " JOIN ledger_entry entry ON entry.id = entry_id WHERE account_id = :account"
    " GROUP BY 1, 2, 3 HAVING sum(amount_minor) <> 0",
}
_emails = count()


def state_of(database: Database, account: str) -> dict[str, Any]:
    with database.reading() as connection:
        return {
            name: sorted([list(row) for row in connection.execute(text(query), {"account": account})], key=str)
            for name, query in STATE.items()
        }


def hash_of(state: dict[str, Any]) -> str:
    return sha256_hex(canonical_json(state))


class Story:
    """A purchase by a new buyer, what happened to its money, and the events that tell it."""

    def __init__(self, world: World, *actions: dict[str, Any], live: bool = False) -> None:
        self.world, self.told = world, 0
        started = shop.order(
            world,
            shop.offer(world, seats=11, interval="month", vat=None, email=f"b{next(_emails)}@example.de"),
        )
        assert started.payment_url is not None
        with world.db.transaction() as tx:
            self.account = orders.get(tx, started.order_id).account_id
            self.first = len(list(tx.execute(select(col(SandboxEvent.id))).scalars()))
        ref = started.payment_url.rpartition("/")[2]
        for action in ({"action": "succeed"}, *actions):
            answer = world.browser().post(f"/sandbox/payments/{ref}", json=action)
            assert answer.status_code == 200, answer.text
            if live:
                deliver(world.ports, self.events[self.told :])
                self.told = len(self.events)

    @property
    def events(self) -> list[dict[str, Any]]:
        with self.world.db.transaction() as tx:
            rows = tx.execute(select(SandboxEvent).order_by(col(SandboxEvent.sequence))).scalars()
            return [row.body for row in rows][self.first :]

    def state(self) -> dict[str, Any]:
        return state_of(self.world.db, self.account)


def deliver(ports: Ports, events: Iterable[dict[str, Any]]) -> None:
    """As the door stores them, and a worker that handles each at once."""
    for body in events:
        event = event_of(body)
        with ports.db.transaction() as tx:
            again = f"{event.id}/{next(_emails)}"  # a provider repeats itself under other ids too
            stored = inbox.store(tx, "sandbox", again, event.type, dict(event.names()), transport_now())
        assert stored is not None
        for _ in range(2):
            provider_events.handle_event.run(ports, event_id=stored)


REFUND = {"action": "refund", "amount": 1_190}
STORIES = {
    "lost": (REFUND, {"action": "dispute"}, {"action": "review_dispute"}, {"action": "lose_dispute"}),
    "won": (REFUND, {"action": "dispute"}, {"action": "win_dispute"}),
    "sent back": (REFUND, {"action": "fail_refund"}, {"action": "dispute"}),
    "refunded in full": ({"action": "refund"},),
}


@pytest.fixture
def silent(world: World) -> Iterator[World]:
    """The provider's own deliveries are dropped: the tests deliver."""
    switches.flip(world.db, drop=True)
    yield world
    switches.reset(world.db)


def orders_of(events: int, wanted: int) -> list[tuple[int, ...]]:
    """Every order of so many events, or as many as wanted, evenly drawn, with the first and the last."""
    everything = list(islice(permutations(range(events)), 50_000))
    if len(everything) <= wanted:
        return everything
    return [everything[i * (len(everything) - 1) // (wanted - 1)] for i in range(wanted)]


@pytest.mark.parametrize("name", STORIES if FULL else ("lost", "refunded in full"))
def test_any_order_of_events_leads_to_one_state(
    silent: World, cluster: Cluster, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = Story(silent, *STORIES[name], live=True).state()
    story = Story(silent, *STORIES[name])
    events = story.events
    silent.db.dispose()
    embedded_postgres.clone_database(cluster, "blp", "story")
    tried = orders_of(len(events), 50_000 if FULL else 4)
    copy, slate = Database(cluster.url("copy"), pool_size=4), Slate(cluster, "copy", "story")
    ports = wire(silent.settings, copy).ports
    seen = {hash_of(wanted)}
    for order in tried:
        if not slate.wipe():
            copy.dispose()
        deliver(ports, (events[index] for index in order))
        deliver(ports, (events[index] for index in order[::2]))  # and some of them once more, late
        found = state_of(copy, story.account)
        assert found == wanted, order
        seen.add(hash_of(found))
    assert verify_books.verify(copy) == []
    slate.rest()
    copy.dispose()
    with capsys.disabled():
        print(f"\n{name}: {len(tried)} orders of {len(events)} events, {len(seen)} state")  # noqa: T201 -- the count is wanted
    assert len(seen) == 1


def test_the_stories_end_as_they_should(silent: World) -> None:
    ends = {name: Story(silent, *actions, live=True).state() for name, actions in STORIES.items()}
    of = {name: (state["refund"][0][0], state["license"][0][0]) for name, state in ends.items()}
    assert of == {
        "lost": (RefundState.SUCCEEDED, "suspended"), "won": (RefundState.SUCCEEDED, "active"),
        "sent back": (RefundState.FAILED, "active"), "refunded in full": (RefundState.SUCCEEDED, "revoked"),
    }  # fmt: skip
    assert ends["lost"]["dispute"][0][0] == DisputeState.LOST
    assert ends["sent back"]["customer_credit"] == [[1_190, "refund_failed"]]
    assert verify_books.verify(silent.db) == []


def test_an_old_report_changes_nothing(silent: World) -> None:
    """Even if a provider answered with yesterday's word: a closed dispute stays closed, a failed refund failed."""
    story = Story(silent, *STORIES["lost"], live=True)
    before = story.state()
    ports = silent.ports
    with silent.db.transaction() as tx:
        row = tx.execute(text("SELECT provider_ref, amount_minor FROM dispute")).one()
        charge = str(tx.execute(text("SELECT provider_ref FROM payment")).scalar_one())
        for standing, word in ((Standing.OPENED, "stale"), (Standing.WON, "stale"), (Standing.INQUIRY, "inquiry")):
            report = DisputeReport(row.provider_ref, charge, None, Money(row.amount_minor, "EUR"), standing, "general")
            assert dispute.apply(tx, ports, report) == word
        ref = str(tx.execute(text("SELECT provider_ref FROM refund")).scalar_one())
    report_now = ports.payments.report_refund(ref)
    assert report_now.outcome is Outcome.SUCCEEDED
    with silent.db.transaction() as tx:
        assert refund.apply(tx, ports, report_now) == "known"
    assert story.state() == before
