"""What trouble with money does to licenses and workspaces: every row of the table, on a real subscription."""

from typing import Any

import pytest
from sqlalchemy import text

from app.flows import consequences, standing
from app.flows.consequences import TABLE, Fact, OnLicense, OnWorkspace
from app.licenses.models import LicenseState
from app.orders.models import Order
from app.subscriptions import service as subscriptions
from app.subscriptions.models import SubscriptionState
from app.workspaces import service as workspaces
from app.workspaces.models import Desired
from tests import shop
from tests.world import World

KEPT, SUSPENDED, REVOKED = LicenseState.ACTIVE, LicenseState.SUSPENDED, LicenseState.REVOKED
RUNS, SLEEPS = Desired.RUNNING, Desired.HIBERNATED
GOES_ON, ENDS = SubscriptionState.ACTIVE, SubscriptionState.CANCELED
# Fact: the license, the workspace, the subscription afterwards, and whether the workspace is warned.
EXPECTED: dict[Fact, tuple[LicenseState, Desired, SubscriptionState, bool]] = {
    Fact.PAST_DUE: (KEPT, RUNS, GOES_ON, True),
    Fact.LAPSED: (KEPT, SLEEPS, GOES_ON, False),
    Fact.ENDED: (KEPT, SLEEPS, GOES_ON, False),
    Fact.RECOVERED: (KEPT, RUNS, GOES_ON, False),
    Fact.INVOICE_VOID: (REVOKED, SLEEPS, ENDS, False),
    Fact.DISPUTE_OPENED: (KEPT, RUNS, GOES_ON, False),
    Fact.DISPUTE_WON: (KEPT, RUNS, GOES_ON, False),
    Fact.DISPUTE_LOST: (SUSPENDED, SLEEPS, GOES_ON, False),
    Fact.REFUND_PARTIAL: (KEPT, RUNS, GOES_ON, False),
    Fact.REFUND_FULL: (REVOKED, SLEEPS, ENDS, False),
}


@pytest.fixture
def cloud(world: World) -> Order:
    return shop.buy(world, sku="cloud-professional", seats=11, interval="month", vat=None)


def apply(world: World, order: Order, fact: Fact, **how: Any) -> consequences.Effects:
    with world.db.transaction() as tx:
        foreseen = consequences.foresee(tx, fact, order.subscription_id, **how)
        done = consequences.apply(tx, fact, order.subscription_id, now=world.ports.clock.now(), **how)
    assert done == foreseen, "what is shown before is what is done"
    return done


def stands(world: World, order: Order) -> tuple[LicenseState, Desired, SubscriptionState, bool]:
    with world.db.reading() as connection:
        row = connection.execute(
            text(
                "SELECT license.state, workspace.desired, subscription.state, EXISTS (SELECT FROM event"
                " WHERE type = 'workspace.billing_warning' AND object_id = workspace.id) FROM license"
                " JOIN subscription ON subscription.id = license.subscription_id"
                " JOIN workspace ON workspace.subscription_id = subscription.id WHERE license.order_id = :order"
            ),
            {"order": order.id},
        ).one()
    return LicenseState(row[0]), Desired(row[1]), SubscriptionState(row[2]), bool(row[3])


def test_every_fact_has_a_row_and_every_row_a_test() -> None:
    assert set(TABLE) == set(Fact) == set(EXPECTED)


@pytest.mark.parametrize("fact", Fact)
def test_a_row_is_carried_out_once(world: World, cloud: Order, fact: Fact) -> None:
    apply(world, cloud, fact)
    assert stands(world, cloud) == EXPECTED[fact]
    again = apply(world, cloud, fact)
    assert (again.licenses, again.ends_subscription) == ((), None)
    assert stands(world, cloud) == EXPECTED[fact]


def test_what_lapsed_wakes_when_it_is_paid(world: World, cloud: Order) -> None:
    apply(world, cloud, Fact.LAPSED)
    assert apply(world, cloud, Fact.RECOVERED).on_workspace is OnWorkspace.WAKE
    assert stands(world, cloud)[1] is RUNS


@pytest.mark.parametrize(
    ("states", "fact"),
    [
        ((SubscriptionState.PAST_DUE,), Fact.PAST_DUE), ((SubscriptionState.LAPSED,), Fact.LAPSED),
        ((SubscriptionState.LAPSED, SubscriptionState.EXPIRED), Fact.ENDED),
        ((SubscriptionState.CANCELED,), Fact.ENDED),
    ],
)  # fmt: skip
def test_a_change_of_state_is_followed_by_its_row(
    world: World, cloud: Order, states: tuple[SubscriptionState, ...], fact: Fact
) -> None:
    with world.db.transaction() as tx:
        subscription = subscriptions.lock(tx, cloud.subscription_id or "")
        for state in states:
            standing.move(tx, subscription, state, world.ports.clock.now())
    license_, workspace, _, warned = EXPECTED[fact]
    assert stands(world, cloud) == (license_, workspace, states[-1], warned)


def test_what_a_person_put_to_sleep_stays_asleep(world: World, cloud: Order) -> None:
    with world.db.transaction() as tx:
        workspace = workspaces.of_subscription(tx, cloud.subscription_id or "")
        assert workspace is not None
        locked = workspaces.for_change(tx, workspace.id, None)
        workspaces.want(tx, locked, Desired.HIBERNATED, actor="mem_1", now=world.ports.clock.now())
    apply(world, cloud, Fact.LAPSED)
    assert apply(world, cloud, Fact.RECOVERED).workspace is None
    assert stands(world, cloud)[1] is SLEEPS


def test_a_suspended_license_works_again_once_the_dispute_is_won(world: World, cloud: Order) -> None:
    apply(world, cloud, Fact.DISPUTE_LOST)
    assert apply(world, cloud, Fact.DISPUTE_WON).on_license is OnLicense.REINSTATE
    assert stands(world, cloud) == (KEPT, RUNS, GOES_ON, False)


def test_trouble_about_an_order_that_is_over_touches_nothing(world: World, cloud: Order) -> None:
    other = shop.buy(world, seats=11, interval="month", vat=None, email="other@example.de")
    assert apply(world, cloud, Fact.REFUND_FULL, order_id=other.id) == consequences.Effects()
    assert stands(world, cloud)[0] is KEPT
    assert apply(world, cloud, Fact.REFUND_FULL, order_id=cloud.id).on_license is OnLicense.REVOKE
