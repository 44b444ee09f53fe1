"""What a wish would set off, said beforehand and then carried out (R-PRV-1)."""

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select, text
from sqlmodel import col

from app.core.events import Event
from app.workspaces import service
from tests.signing_in import staff_browser
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import claim, code, complete, fail
from tests.world import World

TABLES = ("workspace", "provisioning_task", "event", "audit_entry", "procrastinate_jobs", "billing_hold")

_DIGEST = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM name t"


def _rows(world: World) -> list[Any]:
    with world.db.transaction() as tx:
        return [tx.execute(text(_DIGEST.replace("name", name))).one() for name in TABLES]


def _carried_out(world: World, worker: httpx.Client, workspace_id: str, since: int) -> list[str]:
    """Do all the work there is, today and when its day has come; the states that were passed."""
    for _ in range(5):
        answer = worker.post("/v1/provisioning/tasks/claim", json={})
        if answer.status_code == 204:
            with world.db.transaction() as tx:
                service.begin_due_deletions(tx, world.ports.clock.now() + timedelta(days=15))
            continue
        complete(worker, answer.json())
    return [each for before, each in _moves(world, workspace_id)[since:] if before != each]


def _moves(world: World, workspace_id: str) -> list[tuple[str, str]]:
    with world.db.transaction() as tx:
        query = select(col(Event.data)).where(col(Event.object_id) == workspace_id).order_by(col(Event.object_sequence))
        return [(each["old_state"], each["state"]) for each in tx.execute(query).scalars() if "old_state" in each]


def test_a_plan_writes_nothing_and_comes_true(world: World, make: Make) -> None:
    workspace_id, worker = make.workspace(), make.provisioner()
    client = make.key("workspaces:read", "workspaces:write")
    path = f"/v1/workspaces/{workspace_id}"
    wishes: list[tuple[dict[str, str], list[str | None]]] = [
        ({"desired": "hibernated"}, ["create", "hibernate"]),
        ({"version": "11.0"}, []),
        ({"desired": "running"}, ["wake"]),
        ({"desired": "running", "version": "11.1", "size": "large"}, ["update"]),
        ({"desired": "running"}, []),
        ({"desired": "deleted"}, [None, "delete"]),
    ]
    for wish, tasks in wishes:
        before, passed = _rows(world), len(_moves(world, workspace_id))
        answer = client.get(f"{path}/plan", params=wish)
        assert answer.status_code == 200, answer.text
        plan = answer.json()
        assert _rows(world) == before
        assert [step["task"] for step in plan["steps"]] == tasks
        assert client.patch(path, json=wish).status_code == 200
        states = [state for step in plan["steps"] for state in step["states"]]
        assert _carried_out(world, worker, workspace_id, passed) == states
        assert (make.read(workspace_id).state, plan["needs_person"]) == (plan["ends_in"], False)
    dated = plan["steps"][-1]
    assert dated["not_before"] > world.ports.clock.now().isoformat()


def test_a_plan_reckons_with_work_in_hand_and_with_what_only_a_person_mends(world: World, make: Make) -> None:
    workspace_id, worker = make.workspace(), make.provisioner()
    client, path = make.key("workspaces:read", "workspaces:write"), f"/v1/workspaces/{workspace_id}"
    task = claim(worker)
    steps = client.get(f"{path}/plan", params={"desired": "deleted"}).json()["steps"]
    assert [(each["task"], each["in_hand"], each["states"]) for each in steps] == [
        ("create", True, ["stable"]), (None, False, ["delete_pending"]), ("delete", False, ["deleting", "deleted"]),
    ]  # fmt: skip
    fail(worker, task, retryable=False)
    stuck = client.get(f"{path}/plan").json()
    assert (stuck["steps"], stuck["ends_in"], stuck["needs_person"]) == ([], "creation_failed", True)
    console = staff_browser(world)[0].get(f"/console/workspaces/{workspace_id}").text
    assert "It stops there until somebody tries again" in console
    assert client.patch(path, json={"desired": "deleted"}).status_code == 200


def test_a_plan_is_refused_where_the_change_would_be(make: Make) -> None:
    account = make.account()
    workspace_id = make.workspace(make.subscription(account))
    complete(worker := make.provisioner(), claim(worker))
    path = f"/v1/workspaces/{workspace_id}"
    vendor, own = make.key("workspaces:read", "workspaces:write"), make.key("workspaces:read", account=account)
    assert code(own.get(f"{path}/plan", params={"size": "large"})) == (403, "not_allowed")
    assert code(vendor.get(f"{path}/plan", params={"size": "huge"})) == (422, "invalid")
    vendor.patch(path, json={"desired": "deleted"})
    assert code(own.get(f"{path}/plan", params={"desired": "running"})) == (409, "deletion_pending")
    assert code(make.key("workspaces:read", account=make.account()).get(f"{path}/plan")) == (404, "not_found")
