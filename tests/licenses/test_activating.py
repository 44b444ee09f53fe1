"""Servers are bound to licenses one by one, never one too many, whoever asks at the same time (R-LIC-5)."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from app.core.clock import transport_now
from app.core.ids import new_id
from app.licenses import activating, activation_terms
from app.licenses.activating import PRODUCT, By, Server
from app.licenses.activation_models import Activation, ActivationState, EndedBy
from app.licenses.errors import ActivationLimitReached, HeartbeatsOff, LeaseEnded, TransfersSpent
from app.licenses.models import License
from tests.licenses.activating import another, bought, with_rules
from tests.world import FULL, World, full

T = TypeVar("T")
STAFF = By(EndedBy.STAFF, "stf_1")
CUSTOMER = By(EndedBy.CUSTOMER, "mem_1")
START = datetime.fromisoformat("2026-03-02T09:00:00Z")


def bind(
    world: World, license_: License, name: str, at: datetime | None = None, *, replaces: str | None = None
) -> tuple[Activation, bool]:
    """Activate the server of this name, at a real time."""
    with world.db.transaction() as tx:
        return activating.activate(
            tx, license_, Server(name), by=PRODUCT, now=world.ports.clock.now(), real_now=at or transport_now(),
            replaces=replaces,
        )  # fmt: skip


def free(world: World, license_: License, name: str, by: By = PRODUCT) -> Activation:
    with world.db.transaction() as tx:
        return activating.deactivate(tx, license_, name, by=by, reason="x", now=world.ports.clock.now())


def beat(world: World, license_: License, name: str, at: datetime) -> Activation:
    with world.db.transaction() as tx:
        return activating.beat(tx, license_, name, real_now=at)


def places(world: World, license_: License) -> dict[str, int]:
    with world.db.transaction() as tx:
        return {each.fingerprint: each.slot for each in activating.listed(tx, license_.subscription_id)}


def refused(error: type[Exception], do: Callable[[], object]) -> str:
    with pytest.raises(error) as told:
        do()
    return str(told.value)


def at_once(pool: ThreadPoolExecutor, count: int, run: Callable[[int], T]) -> list[T]:
    """What `run(0)`, `run(1)`, … answer, each in a thread of its own and begun together."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> T:
        barrier.wait(timeout=30)
        return run(number)

    return list(pool.map(begin, range(count)))


def test_of_two_hundred_servers_at_once_ten_are_bound(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """And a server that asks many times at once has one place."""
    license_ = bought(world, limit=10)
    rounds = full(1000)

    def one(of: License, names: int, number: int) -> str:
        try:
            return bind(world, of, f"server-{number % names}")[0].id
        except ActivationLimitReached:
            return "full"

    with ThreadPoolExecutor(200) as pool:
        for done in range(rounds):
            fresh, crowd = another(world, license_), 200 if FULL or not done % 10 else 40
            answers = at_once(pool, crowd, partial(one, fresh, 200))
            assert Counter(answers)["full"] == crowd - 10
            assert sorted(places(world, fresh).values()) == list(range(1, 11))
        same = another(world, license_)
        repeated = at_once(pool, 40, partial(one, same, 2))
    assert len(set(repeated)) == len(places(world, same)) == 2
    with capsys.disabled():  # how much was tried is part of what a run tells
        sys.stdout.write(
            f"\n[activations: {rounds} of 1000 rounds of {'200' if FULL else '40 and 200'} servers on 10 places]\n"
        )


def test_the_table_itself_refuses_an_eleventh(world: World) -> None:
    """Whatever the code above it does: without taking turns, in any order, with any number."""
    license_ = bought(world, limit=2)
    kept = [bind(world, license_, name)[0] for name in ("one", "two")]
    row = {name: getattr(kept[0], name) for name in Activation.model_fields}
    for changes in (
        {"slot": 1, "fingerprint": "three"}, {"slot": 2, "fingerprint": "three"}, {"slot": 3, "fingerprint": "three"},
        {"slot": 0, "fingerprint": "three"}, {"slot": 3, "allowed": None, "fingerprint": "one"},
        {"slot": 3, "allowed": 9, "fingerprint": "with a space"},
    ):  # fmt: skip
        with pytest.raises(IntegrityError), world.db.transaction() as tx:
            tx.execute(insert(Activation).values(**row | {"id": new_id("act")} | changes))
    for change in ("slot = 2", "fingerprint = 'x'", "state = 'deactivated'"):
        with pytest.raises(IntegrityError), world.db.transaction() as tx:
            tx.execute(text(f"UPDATE license_activation SET {change} WHERE id = :id"), {"id": kept[0].id})  # noqa: S608 -- constants
    free(world, license_, "one")
    with pytest.raises(IntegrityError, match="kept as it is"), world.db.transaction() as tx:
        tx.execute(text("UPDATE license_activation SET state = 'active', ended_by = NULL, deactivated_at = NULL,"
                        " deactivated_by = NULL WHERE id = :id"), {"id": kept[0].id})  # fmt: skip


def test_a_server_keeps_its_place_and_freeing_one_frees_exactly_one(world: World) -> None:
    license_ = bought(world, limit=2)
    first, new = bind(world, license_, "one")
    assert new
    again, new = bind(world, license_, "one")
    assert (again.id, new) == (first.id, False)
    bind(world, license_, "two")
    told = refused(ActivationLimitReached, lambda: bind(world, license_, "three"))
    assert "one, two" in told
    assert "Deactivate" in told
    assert free(world, license_, "one").state is ActivationState.DEACTIVATED
    assert bind(world, license_, "three")[0].slot == 1, "the place that was freed"
    refused(ActivationLimitReached, lambda: bind(world, license_, "four"))
    moved = bind(world, license_, "four", replaces="two")[0]
    assert (moved.slot, places(world, license_)) == (2, {"three": 1, "four": 2})
    refused(ActivationLimitReached, lambda: bind(world, license_, "one"))
    assert places(world, license_) == {"three": 1, "four": 2}


def test_a_renewed_license_has_its_servers_and_no_further_places(world: World) -> None:
    """The older file works on until it ends, so that both would otherwise bind as many as one was bought for."""
    license_ = bought(world, limit=1)
    bind(world, license_, "one")
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE license SET state = 'superseded', superseded_by = id WHERE id = :id"),
                   {"id": license_.id})  # fmt: skip
        newer = tx.get_one(License, license_.id)
    assert bind(world, newer, "one")[1] is False
    refused(ActivationLimitReached, lambda: bind(world, newer, "two"))


def test_more_than_the_limit_where_the_plan_bears_it(world: World) -> None:
    like = bought(world)
    for overage, most in (("1.25x", 5), ("1.5x", 6), ("2x", 8), ("always", 12)):
        with_rules(world, limit=4, overage=overage)
        license_ = another(world, like)
        bound = 0
        for number in range(12):
            try:
                bind(world, license_, f"server-{number}")
                bound += 1
            except ActivationLimitReached:
                break
        assert bound == most, overage


def test_staff_give_another_limit_and_take_it_back(world: World) -> None:
    license_ = bought(world, limit=4, overage="1.25x")
    for number in range(5):
        bind(world, license_, f"server-{number}")

    def limited(most: int | None) -> None:
        with world.db.transaction() as tx:
            activation_terms.set_limit(tx, license_, most, reason="agreed", by="stf_1", now=world.ports.clock.now())

    assert "4 divides" in refused(Exception, lambda: limited(6))
    refused(Exception, lambda: limited(0))
    limited(8)
    bind(world, license_, "server-5")
    limited(None)
    refused(ActivationLimitReached, lambda: bind(world, license_, "server-6"))
    assert len(places(world, license_)) == 6, "nobody is cut off"
    with pytest.raises(IntegrityError, match="never changed"), world.db.transaction() as tx:
        tx.execute(text("DELETE FROM license_activation_limit"))


def test_as_many_moves_as_the_plan_allows_and_staff_beyond(world: World) -> None:
    license_ = bought(world, limit=2, transfers=2, transfer_days=30)
    for name in ("one", "two"):
        bind(world, license_, name)
    bind(world, license_, "three", replaces="one")
    free(world, license_, "three", CUSTOMER)
    told = refused(TransfersSpent, lambda: free(world, license_, "two"))
    assert "2 deactivations in 30 days" in told
    refused(TransfersSpent, lambda: bind(world, license_, "four", replaces="two"))
    assert places(world, license_) == {"two": 2}, "a refused move moves nothing"
    free(world, license_, "two", STAFF)
    with world.db.transaction() as tx:
        later = world.ports.clock.now() + timedelta(days=31)
        activating.activate(tx, license_, Server("five"), by=PRODUCT, now=later, real_now=transport_now())
        activating.deactivate(tx, license_, "five", by=PRODUCT, now=later)


@pytest.mark.vector(21)
def test_heartbeats_come_in_time_or_not_at_all(world: World) -> None:
    license_ = bought(world, limit=1, heartbeat_seconds=600)
    bind(world, license_, "one", START)
    at = [START + timedelta(seconds=seconds) for seconds in (599, 599 + 600, 599 + 600 + 601)]
    assert beat(world, license_, "one", at[0]).lease_until == at[0] + timedelta(seconds=600)
    beat(world, license_, "one", at[1])
    assert "Activate again" in refused(LeaseEnded, lambda: beat(world, license_, "one", at[2]))
    assert bind(world, license_, "two", at[2])[0].slot == 1, "the dead gave way"
    assert "was deactivated" in refused(LeaseEnded, lambda: beat(world, license_, "one", at[2]))


@pytest.mark.vector(21)
def test_a_late_heartbeat_revives_where_the_plan_lets_it(world: World) -> None:
    rules = {"limit": 1, "heartbeat_seconds": 600, "revive": "within", "revive_minutes": 5}
    license_ = bought(world, **rules)
    bind(world, license_, "one", START)
    due = START + timedelta(seconds=600)
    refused(ActivationLimitReached, lambda: bind(world, license_, "two", due + timedelta(seconds=299)))
    beat(world, license_, "one", due + timedelta(seconds=299))
    due += timedelta(seconds=299 + 600)
    refused(LeaseEnded, lambda: beat(world, license_, "one", due + timedelta(seconds=301)))
    with_rules(world, limit=1, heartbeat_seconds=600, cull="keep", revive="always")
    refused(ActivationLimitReached, lambda: bind(world, license_, "two", due + timedelta(days=3)))
    beat(world, license_, "one", due + timedelta(days=3))
    with_rules(world, limit=1, heartbeat_seconds=600, cull="keep")
    late = due + timedelta(days=9)
    refused(LeaseEnded, lambda: beat(world, license_, "one", late))
    refused(ActivationLimitReached, lambda: bind(world, license_, "two", late))
    assert bind(world, license_, "one", late)[1] is False, "the same server takes its place up again"
    beat(world, license_, "one", late)


@pytest.mark.vector(24)
def test_floating_seats_are_lent_for_as_long_as_heartbeats_come(world: World) -> None:
    license_ = bought(world, limit=2, floating=True, heartbeat_seconds=60)
    for name in ("one", "two"):
        bind(world, license_, name, START)
    refused(ActivationLimitReached, lambda: bind(world, license_, "three", START))
    renewed, new = bind(world, license_, "one", START + timedelta(seconds=30))
    assert (new, renewed.lease_until) == (False, START + timedelta(seconds=90))
    assert bind(world, license_, "three", START + timedelta(seconds=61))[0].slot == 2
    with world.db.transaction() as tx:
        silent = activating.subscriptions_with_silent(tx, START + timedelta(hours=1))
        assert [each for each, _ in silent] == [license_.subscription_id]
        ended = activating.take_turn_and_release(
            tx, *silent[0], now=world.ports.clock.now(), real_now=START + timedelta(hours=1)
        )
        assert (ended, activating.listed(tx, license_.subscription_id)) == (2, [])
    with_rules(world, limit=2)
    bind(world, license_, "one", START)
    refused(HeartbeatsOff, lambda: beat(world, license_, "one", START))
