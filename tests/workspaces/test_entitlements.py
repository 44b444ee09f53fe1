"""What a running workspace may do, waited for (R-PRV-3)."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import httpx
from sqlalchemy import select, update
from sqlalchemy.pool import QueuePool
from sqlmodel import col

from app.licenses import service as licenses
from app.licenses.models import License
from app.orders.models import Order
from app.web import waiters
from app.workspaces.models import Workspace
from tests import shop
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import at_once, code
from tests.world import World

SCOPES = ("workspaces:read", "licenses:read")


def _cloud(world: World) -> tuple[str, License]:
    """A workspace as somebody buys it, with its license."""
    order = shop.buy(world, sku="cloud-professional")
    with world.db.transaction() as tx:
        bought = tx.get_one(Order, order.id)
        license_ = licenses.of_order(tx, bought.id)
        assert license_ is not None
        workspace = tx.execute(
            select(Workspace).where(col(Workspace.subscription_id) == license_.subscription_id)
        ).scalar_one()
        return workspace.id, license_


def _ask(client: httpx.Client, workspace_id: str, etag: str = "", **params: Any) -> tuple[httpx.Response, float]:
    began = monotonic()
    headers = {"if-none-match": etag} if etag else {}
    answer = client.get(f"/v1/workspaces/{workspace_id}/entitlements", params=params, headers=headers)
    return answer, monotonic() - began


def test_a_license_change_reaches_who_waits_within_a_second(world: World, make: Make) -> None:
    workspace_id, license_ = _cloud(world)
    client = make.key(*SCOPES, account=license_.account_id)
    first, _ = _ask(client, workspace_id)
    said = first.json()
    assert (said["valid"], said["code"], said["step"]) == (True, "valid", None)
    assert (said["license"]["id"], said["license"]["seats"], said["license_file"]) == (
        license_.id, license_.seats, license_.file_text
    )  # fmt: skip
    assert said["entitlements"]["users"] == license_.seats
    etag = first.headers["etag"]
    nothing, took = _ask(client, workspace_id, etag, wait=1)
    assert (nothing.status_code, nothing.headers["etag"]) == (304, etag)
    assert 0.9 < took < 3
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_ask, client, workspace_id, etag, wait=30)
        sleep(0.4)
        # Nobody who waits holds a connection of the pool.
        assert isinstance(world.db.engine.pool, QueuePool)
        assert world.db.engine.pool.checkedout() == 0
        changed_at = monotonic()
        with world.db.transaction() as tx:
            licenses.suspend(tx, license_.id, reason="A dispute", by="test", now=world.ports.clock.now())
        told, _ = waiting.result(timeout=20)
        assert monotonic() - changed_at < 1
    assert (told.status_code, told.json()["code"], told.json()["license_file"]) == (200, "suspended", None)
    assert told.json()["findings"][0]["remedy"]


def test_who_may_wait_is_bounded_and_only_the_owner_may_ask(world: World, make: Make) -> None:
    workspace_id, _ = _cloud(world)
    client = make.key(*SCOPES)
    etag = _ask(client, workspace_id)[0].headers["etag"]
    answers = at_once(waiters.MOST_EACH + 3, lambda _: _ask(client, workspace_id, etag, wait=2)[0])
    refused = [each for each in answers if each.status_code == 429]
    assert sorted({each.status_code for each in answers}) == [304, 429]
    assert len(refused) == 3
    assert code(refused[0]) == (429, "too_many_waiters")
    assert int(refused[0].headers["retry-after"]) > 0
    # A place is free again when its wait is over.
    assert _ask(client, workspace_id, etag, wait=1)[0].status_code == 304
    assert code(_ask(make.key(*SCOPES, account=make.account()), workspace_id)[0]) == (404, "not_found")
    assert code(_ask(make.key("workspaces:read"), workspace_id)[0]) == (403, "scope_missing")
    assert _ask(client, workspace_id, wait=31)[0].status_code == 422


def test_a_workspace_without_a_license_and_one_that_begins_to_run_out_are_told_so(world: World, make: Make) -> None:
    bare = _ask(make.key(*SCOPES), make.workspace())[0].json()
    assert (bare["valid"], bare["code"], bare["license"], bare["license_file"]) == (False, "not_found", None, None)
    workspace_id, license_ = _cloud(world)
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        tx.execute(
            update(License).where(col(License.id) == license_.id).values(expires_at=now, starts_at=license_.starts_at)
        )
    ended = _ask(make.key(*SCOPES), workspace_id)[0].json()
    assert (ended["valid"], ended["code"], ended["step"]) == (True, "in_grace", "banner")
