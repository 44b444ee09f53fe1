"""Stripe's rate limits: kept by all processes together, without a transaction open, and corrected by its answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text

from app.adapters.stripe.pace import PATIENCE_SECONDS, SharedPace, endpoint_of
from app.adapters.stripe.payments import StripePayments
from app.adapters.stripe.transport import asked_to_wait, worth_another_try
from app.core import policy
from app.core.clock import transport_now
from app.core.db import Database
from app.core.ids import new_id
from app.core.money import Money
from app.payments import pace
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.payments.pace import Lane, LineTooLong
from app.payments.provider import SavedMethod
from tests.adapters.fake_stripe import FakeStripe
from tests.world import World, full

CARD = SavedMethod("cus_1", "pm_1", "Visa •••• 4242")


@dataclass
class Rig:
    """A Stripe that counts, and an installation that calls it from several processes, each with its own pool."""

    fake: FakeStripe
    databases: list[Database]

    def adapter(self, process: int = 0) -> StripePayments:
        shared = SharedPace(self.databases[process], live=False)
        return StripePayments(api_key="sk_test_x", webhook_secret="whsec_x", api_base=self.fake.base, pace=shared)

    def charge(self, adapter: StripePayments) -> None:
        adapter.charge_saved(CARD, Money(1_00, "USD"), attempt_id=new_id("pat"), description="Renewal")


@pytest.fixture
def rig(world: World, tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as ends:
        url = world.db.conninfo.replace("postgresql:", "postgresql+psycopg:")
        databases = [Database(url, pool_size=4) for _ in range(3)]
        for each in databases:
            ends.callback(each.dispose)
        fake = FakeStripe(tmp_path / "stripe.sqlite")
        ends.callback(fake.stop)
        yield Rig(fake, databases)


def test_three_processes_together_stay_within_25_requests_a_second(rig: Rig) -> None:
    rig.adapter().find_charge(new_id("pat"), "cus_1")  # the SDK is imported
    rig.fake.asked.clear()
    adapters = [rig.adapter(process) for process in range(3)]
    wanted, begun = max(60, full(600)), monotonic()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: rig.charge(adapters[n % 3]), range(wanted)))
    took = monotonic() - begun
    assert rig.fake.charges() == wanted
    assert rig.fake.busiest_second() <= 25
    assert took < wanted / 20 + 4, "and no slower than that asks for"


def test_no_transaction_is_open_while_stripe_is_called(world: World, rig: Rig) -> None:
    seen: list[int] = []
    others = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
    )

    def look() -> None:
        with world.db.reading() as connection:
            seen.append(connection.execute(others).scalar_one())

    rig.fake.on_request = look
    rig.charge(rig.adapter())
    assert seen == [0]


def test_too_many_requests_are_answered_by_waiting_as_long_as_stripe_wants(rig: Rig) -> None:
    rig.fake.faults, rig.fake.retry_after = ["busy"], 1
    rig.charge(rig.adapter(0))
    first, second = (each.at for each in rig.fake.asked)
    assert 1 <= second - first < 3
    assert rig.fake.charges() == 1


def test_while_stripe_wants_to_be_left_alone_no_process_asks_it(rig: Rig) -> None:
    rig.fake.faults, rig.fake.retry_after = ["busy"], 30
    with pytest.raises(PaymentUnavailable) as refused:
        rig.charge(rig.adapter(0))
    assert refused.value.extra["retry_after"] == 30
    with pytest.raises(PaymentUnavailable) as kept_away:
        rig.charge(rig.adapter(1))
    assert kept_away.value.extra["retry_after"] == PATIENCE_SECONDS
    assert len(rig.fake.asked) == 1


def test_stripes_own_word_on_trying_again_is_kept(rig: Rig) -> None:
    rig.fake.faults = ["never"]
    with pytest.raises((PaymentUnavailable, PaymentRefused)):
        rig.charge(rig.adapter())
    assert len(rig.fake.asked) == 1
    rig.fake.faults = ["again", "again"]
    rig.charge(rig.adapter())
    assert (len(rig.fake.asked), rig.fake.charges()) == (4, 1)


@pytest.mark.parametrize(
    ("status", "headers", "again"),
    [(200, {}, False), (402, {}, False), (409, {}, True), (429, {}, True), (500, {}, True), (503, {}, True),
     (500, {"stripe-should-retry": "false"}, False), (400, {"stripe-should-retry": "true"}, True)],
)  # fmt: skip
def test_only_what_may_end_differently_is_tried_again(status: int, headers: dict[str, str], again: bool) -> None:
    assert worth_another_try(status, headers) is again


@pytest.mark.parametrize(("said", "seconds"), [("2", 2), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_a_wait_is_a_number_of_seconds(said: str, seconds: float | None) -> None:
    assert asked_to_wait({"retry-after": said}) == seconds


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("post", "/v1/payment_intents", "POST /v1/payment_intents"),
        ("get", "/v1/payment_intents/pi_3Nx?expand[]=a", "GET /v1/payment_intents/{id}"),
        ("get", "/v1/payment_intents/search?query=x", "GET /v1/payment_intents/search"),
        ("post", "/sandbox/stripe/v1/checkout/sessions/cs_test_1/expire", "POST /v1/checkout/sessions/{id}/expire"),
        ("post", "/v1/payment_methods/pm_1/detach", "POST /v1/payment_methods/{id}/detach"),
    ],
)
def test_an_endpoint_is_a_method_and_a_path_without_ids(method: str, path: str, endpoint: str) -> None:
    assert endpoint_of(method, f"https://api.stripe.com{path}") == endpoint


def booked(world: World, *lanes: Lane) -> float:
    """Seconds until the turn that is booked now."""
    with world.db.transaction() as tx:
        return pace.book(tx, lanes, patience=timedelta(seconds=10), now=transport_now()).total_seconds()


def test_a_line_that_is_too_long_is_not_joined(world: World) -> None:
    slow = Lane("slow", share=1 / (25 * pace.USED))
    waits = [booked(world, slow) for _ in range(11)]
    assert waits == pytest.approx(range(11), abs=0.6)
    with pytest.raises(LineTooLong):
        booked(world, slow)


def test_every_lane_keeps_its_own_gap_and_the_policy_sets_it(world: World) -> None:
    now = transport_now() - timedelta(days=1)
    with world.db.transaction() as tx:
        policy.change(tx, "payment_calls_per_second", 10, valid_from=now, by="test", why="test", now=now)
    waits = [booked(world, Lane("all", 3.0), Lane("one")) for _ in range(6)]
    assert waits[-1] == pytest.approx(5 / 8, abs=0.15)
    other = booked(world, Lane("all", 3.0), Lane("two"))
    assert other == pytest.approx(6 / 24, abs=0.15), "another endpoint waits for the whole only"
