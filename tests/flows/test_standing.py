"""Billing moves workspaces (R-PRV-3): past due warns, lapsing hibernates, later deletes, paying brings back."""

from datetime import timedelta

import pytest

from app.flows import dunning, ending, renewal
from app.orders.models import Order
from app.subscriptions.models import SubscriptionState
from app.workspaces import service as workspaces
from app.workspaces.models import Desired, Workspace
from tests import shop
from tests.flows.ending import (
    cards_become,
    count,
    declining,
    end_of,
    past_due,
    run_of,
    subscription_of,
    told,
    walk,
    walk_days,
)
from tests.flows.test_renewal import renew
from tests.world import World

CLOUD = {"sku": "cloud-professional", "seats": 5}


def workspace_of(world: World, order: Order) -> Workspace:
    with world.db.transaction() as tx:
        found = workspaces.of_subscription(tx, order.subscription_id or "")
        assert found is not None
        return found


def test_past_due_warns_and_touches_nothing_and_the_bridge_reaches_the_workspace(world: World) -> None:
    order = past_due(world, hours=48, **CLOUD)
    workspace = workspace_of(world, order)
    assert workspace.desired is Desired.RUNNING
    assert told(world, "subscription.past_due") == 1
    with world.db.transaction() as tx:
        from app.licenses import service as licenses

        bridge = licenses.current(tx, order.subscription_id or "")
    assert bridge is not None
    assert bridge.bridge
    assert workspace.license_file == bridge.file_text


def test_a_lapse_puts_it_to_sleep_and_days_later_its_deletion_is_announced(world: World) -> None:
    order = shop.buy(world, **CLOUD)
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert subscription_of(world, order).state is SubscriptionState.LAPSED
    assert workspace_of(world, order).desired is Desired.HIBERNATED
    walk_days(world, 29)
    assert workspace_of(world, order).desired is Desired.HIBERNATED
    walk_days(world, 2)
    pending = workspace_of(world, order)
    assert pending.desired is Desired.DELETED
    assert pending.delete_at is not None
    assert pending.delete_at > world.ports.clock.now() + timedelta(days=12)


@pytest.mark.parametrize("days", [3, 35])
def test_paying_brings_it_back_even_when_its_deletion_was_announced(world: World, days: int) -> None:
    order = shop.buy(world, **CLOUD)
    walk(world, end_of(world, order) + timedelta(days=days))
    assert workspace_of(world, order).desired is not Desired.RUNNING
    renew(world, order)
    world.work()
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert workspace_of(world, order).desired is Desired.RUNNING
    assert workspace_of(world, order).delete_at is None
    walk_days(world, 60)
    assert workspace_of(world, order).desired is Desired.RUNNING


def test_what_its_owner_had_put_to_sleep_stays_asleep_after_paying(world: World) -> None:
    order = shop.buy(world, **CLOUD)
    world.work()
    with world.db.transaction() as tx:
        workspace = workspaces.for_change(tx, workspace_of(world, order).id, None)
        workspaces.want(tx, workspace, Desired.HIBERNATED, actor="mem_1", now=world.ports.clock.now())
    walk(world, end_of(world, order) + timedelta(days=2))
    renew(world, order)
    world.work()
    assert workspace_of(world, order).desired is Desired.HIBERNATED


def test_a_ladder_that_ends_unpaid_puts_it_to_sleep(world: World) -> None:
    order = declining(world, **CLOUD)
    walk(world, end_of(world, order) + timedelta(days=20))
    assert workspace_of(world, order).desired is Desired.RUNNING, "nobody is cut off while being retried"
    walk_days(world, 2)
    assert workspace_of(world, order).desired is Desired.HIBERNATED


def test_paying_with_another_card_after_the_first_decline_changes_nothing_for_the_workspace(world: World) -> None:
    order = past_due(world, hours=48, **CLOUD)
    started = dunning.pay_with_another_card(world.ports, run_of(world).id)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    assert workspace_of(world, order).desired is Desired.RUNNING
    assert told(world, "workspace.hibernated") == 0


def test_a_subscription_that_was_given_up_sleeps_at_its_end_and_not_before(world: World) -> None:
    order = shop.buy(world, **CLOUD)
    ending.stop(world.ports, order.subscription_id or "", reason="", by="mem_1")
    walk(world, end_of(world, order) - timedelta(hours=1))
    assert workspace_of(world, order).desired is Desired.RUNNING
    walk_days(world, 0.1)
    assert workspace_of(world, order).desired is Desired.HIBERNATED
    with pytest.raises(renewal.RenewalNotOpen):
        renewal.review(world.ports, order.subscription_id or "")
    cards_become(world, "pays")
    assert count(world, Workspace) == 1
