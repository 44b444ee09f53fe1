"""The whole life of a workspace, told through the HTTP doors."""

from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox.clock import set_to
from app.core import policy
from app.core.events import Event
from app.flows import provisioning
from app.workspaces import service
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import URL, claim, code, complete, fail, let_the_wait_pass, nothing_to_do, report
from tests.world import World


def _events(world: World, workspace_id: str) -> list[str]:
    with world.db.transaction() as tx:
        rows = tx.execute(
            select(Event).where(col(Event.object_id) == workspace_id).order_by(col(Event.object_sequence))
        ).scalars()
        found = list(rows)
    assert [each.object_sequence for each in found] == list(range(1, len(found) + 1))
    return [each.type.removeprefix("workspace.") for each in found]


def _push(world: World, workspace_id: str, **changes: str | int) -> None:
    with world.db.transaction() as tx:
        service.push_change(
            tx,
            service.for_change(tx, workspace_id, None),
            now=world.ports.clock.now(),
            **changes,  # type: ignore[arg-type]  # each name has its own type
        )


def test_a_workspace_is_made_changed_put_to_sleep_woken_and_deleted(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:read", "workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"

    def state() -> tuple[str, bool]:
        shown = client.get(path).json()
        return shown["state"], shown["up_to_date"]

    assert state() == ("requested", False)
    task = claim(worker)
    assert (task["kind"], task["workspace_id"]) == ("create", workspace_id)
    assert task["payload"]["license_file"] == "first license"
    assert (task["payload"]["hostname"], task["payload"]["seats"], task["payload"]["region"]) == ("acme", 25, "eu")
    assert state() == ("creating", False)
    assert report(worker, task, "progress", progress=40, message="Creating the database").status_code == 200
    shown = client.get(path).json()
    assert (shown["progress"], shown["message"]) == (40, "Creating the database")
    complete(worker, task, version="10.5.1")
    shown = client.get(path).json()
    assert (shown["state"], shown["url"], shown["running_version"]) == ("stable", URL, "10.5.1")
    assert (shown["progress"], shown["up_to_date"]) == (100, True)

    _push(world, workspace_id, seats=40, license_file_text="second license")
    assert state() == ("stable", False)
    task = claim(worker)
    assert (task["kind"], task["payload"]["seats"], task["payload"]["license_file"]) == ("update", 40, "second license")
    assert state() == ("updating", False)
    complete(worker, task)
    assert state() == ("stable", True)

    assert client.patch(path, json={"desired": "hibernated"}).json()["desired"] == "hibernated"
    complete(worker, claim(worker))
    assert state() == ("hibernated", True)
    _push(world, workspace_id, seats=50)
    assert nothing_to_do(worker)  # it sleeps; the change waits for its waking
    client.patch(path, json={"desired": "running"})
    task = claim(worker)
    assert (task["kind"], task["payload"]["seats"]) == ("wake", 50)
    complete(worker, task)
    assert state() == ("stable", True)

    pending = client.patch(path, json={"desired": "deleted"}).json()
    assert pending["state"] == "delete_pending"
    assert pending["delete_at"] is not None
    assert nothing_to_do(worker)
    set_to(world.db, world.ports.clock.now() + timedelta(days=15))
    provisioning.delete_due(world.ports)
    task = claim(worker)
    assert (task["kind"], state()[0]) == ("delete", "deleting")
    complete(worker, task)
    gone = client.get(path).json()
    assert (gone["state"], gone["url"]) == ("deleted", "")
    assert make.read(workspace_id).license_file is None
    assert _events(world, workspace_id) == [
        "requested", "creating", "ready", "change_wanted", "updating", "updated", "hibernating", "hibernated",
        "change_wanted", "waking", "woken", "deletion_scheduled", "deleting", "deleted",
    ]  # fmt: skip


def test_the_sandbox_makes_a_workspace_and_the_administrator_gets_one_mail(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    world.work()
    workspace = make.read(workspace_id)
    assert (workspace.state, workspace.url) == ("stable", URL)
    assert workspace.applied_generation == workspace.generation
    provisioning.tell_ready.run(world.ports, workspace_id=workspace_id)  # a queue may run a job twice
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@acme.example"}).json()
    assert len(mails) == 1
    assert "acme" in mails[0]["subject"]
    assert URL in mails[0]["text"]
    assert f"{world.url}/account/workspaces/{workspace_id}" in mails[0]["text"]


def test_the_sandbox_carries_changes_wishes_and_deletions_too(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client = make.key("workspaces:write", "workspaces:read")
    path = f"/v1/workspaces/{workspace_id}"
    world.work()
    _push(world, workspace_id, seats=30)
    world.work()
    assert make.read(workspace_id).applied_generation == 2
    for wish, state in (("hibernated", "hibernated"), ("running", "stable"), ("deleted", "delete_pending")):
        client.patch(path, json={"desired": wish})
        world.work()
        assert client.get(path).json()["state"] == state
    set_to(world.db, world.ports.clock.now() + timedelta(days=15))
    provisioning.delete_due(world.ports)
    world.work()
    assert client.get(path).json()["state"] == "deleted"


def test_the_sandbox_makes_itself_a_new_key_when_its_key_is_revoked(world: World, make: Make) -> None:
    make.workspace()
    world.work()
    with world.db.transaction() as tx:
        tx.connection().exec_driver_sql("UPDATE api_key SET revoked_at = now()")
    second = make.workspace(make.subscription())
    world.work()
    assert make.read(second).state == "stable"


def test_a_creation_that_fails_for_good_tells_why_and_can_be_retried(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:read", "workspaces:write"), make.provisioner()
    fail(worker, claim(worker), retryable=False, reason="The region is full.")
    shown = client.get(f"/v1/workspaces/{workspace_id}").json()
    assert (shown["state"], shown["failure_reason"]) == ("creation_failed", "The region is full.")
    assert nothing_to_do(worker)
    again = client.post(f"/v1/workspaces/{workspace_id}/retry").json()
    assert (again["state"], again["failure_reason"]) == ("requested", None)
    task = claim(worker)
    assert (task["kind"], task["attempt"]) == ("create", 1)
    complete(worker, task)
    assert code(client.post(f"/v1/workspaces/{workspace_id}/retry")) == (409, "nothing_to_retry")
    assert _events(world, workspace_id) == ["requested", "creating", "failed", "requested", "creating", "ready"]


def test_the_sandbox_fails_by_name(world: World, make: Make) -> None:
    broken = make.workspace(hostname="broken-acme")
    flaky = make.workspace(make.subscription(), hostname="flaky-acme")
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "provisioning.retry_seconds", 0, valid_from=now, by="test", why="no waiting", now=now)
    world.work()
    assert make.read(broken).state == "creation_failed"
    assert make.read(flaky).state == "stable"


def test_a_retryable_failure_waits_longer_each_time_and_gives_up_in_the_end(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    waits = []
    for attempt in range(1, 6):
        task = claim(worker)
        assert (task["attempt"], task["fence"]) == (attempt, attempt)
        failed = fail(worker, task, retryable=True)
        if failed["state"] == "queued":
            assert make.read(workspace_id).state == "requested"
            assert nothing_to_do(worker)
            with world.db.transaction() as tx:
                found = service.get(tx, workspace_id, None)
                assert found.failure_reason is None
            waits.append(failed["not_before"])
            let_the_wait_pass(world, task)
    assert failed["state"] == "failed"
    assert len(waits) == 4
    assert make.read(workspace_id).state == "creation_failed"


def test_a_change_that_comes_while_a_provisioner_is_busy_is_not_lost(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    creating = claim(worker)
    _push(world, workspace_id, license_file_text="newer license")
    complete(worker, creating)
    task = claim(worker)
    assert (task["kind"], task["payload"]["license_file"]) == ("update", "newer license")
    complete(worker, task)
    assert nothing_to_do(worker)


def test_a_task_that_waits_is_handed_out_with_the_newest_license(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    _push(world, workspace_id, license_file_text="newer license")
    task = claim(worker)
    assert task["payload"]["license_file"] == "newer license"
    complete(worker, task)
    assert nothing_to_do(worker)


def test_pushing_what_is_there_already_makes_no_work(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    complete(worker, claim(worker))
    _push(world, workspace_id, seats=25, license_file_text="first license")
    assert nothing_to_do(worker)
    assert make.read(workspace_id).generation == 1


def test_a_wish_taken_back_before_anyone_began_leaves_no_work(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    complete(worker, claim(worker))
    client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "hibernated"})
    client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "running"})
    assert nothing_to_do(worker)
    assert make.read(workspace_id).state == "stable"


def test_a_workspace_nobody_began_to_make_is_deleted_at_once(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    assert client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"}).json()["state"] == "deleted"
    assert nothing_to_do(worker)


def test_deleting_while_it_is_made_waits_for_the_end_and_can_be_taken_back(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"
    task = claim(worker)
    assert client.patch(path, json={"desired": "deleted"}).json()["state"] == "creating"
    assert client.post(f"{path}/cancel_deletion").json()["desired"] == "running"
    client.patch(path, json={"desired": "deleted"})
    complete(worker, task)
    assert make.read(workspace_id).state == "delete_pending"


def test_a_deletion_taken_back_leaves_it_as_it_was(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"
    complete(worker, claim(worker))
    for wish in ("running", "hibernated"):
        client.patch(path, json={"desired": wish})
        if wish == "hibernated":
            complete(worker, claim(worker))
        before = make.read(workspace_id).state
        client.patch(path, json={"desired": "deleted"})
        assert code(client.patch(path, json={"desired": "running"})) == (409, "deletion_pending")
        back = client.post(f"{path}/cancel_deletion").json()
        assert (back["state"], back["desired"], back["delete_at"]) == (before, wish, None)
    assert nothing_to_do(worker)
    assert code(client.post(f"{path}/cancel_deletion")) == (409, "state_move_refused")


def test_a_deletion_that_is_due_but_not_begun_can_still_be_taken_back(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"
    complete(worker, claim(worker))
    client.patch(path, json={"desired": "deleted"})
    set_to(world.db, world.ports.clock.now() + timedelta(days=15))
    provisioning.delete_due(world.ports)
    assert client.post(f"{path}/cancel_deletion").json()["state"] == "stable"
    assert nothing_to_do(worker)


def test_a_deletion_is_not_carried_out_before_its_day(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    complete(worker, claim(worker))
    client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"})
    with world.db.transaction() as tx:
        due_at = service.next_deletion_at(tx)
    assert due_at is not None
    set_to(world.db, due_at - timedelta(hours=1))
    provisioning.delete_due(world.ports)
    assert nothing_to_do(worker)
    set_to(world.db, due_at)
    provisioning.delete_due(world.ports)
    assert claim(worker)["kind"] == "delete"


def test_a_failed_update_is_tried_again_with_the_next_license(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    complete(worker, claim(worker))
    _push(world, workspace_id, seats=30)
    fail(worker, claim(worker), retryable=False)
    assert make.read(workspace_id).state == "update_failed"
    assert nothing_to_do(worker)
    _push(world, workspace_id, seats=31)
    task = claim(worker)
    assert (task["kind"], task["payload"]["seats"]) == ("update", 31)
    complete(worker, task)
    assert (make.read(workspace_id).state, make.read(workspace_id).failure_reason) == ("stable", None)


def test_a_failed_update_does_not_keep_a_workspace_from_hibernating(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    complete(worker, claim(worker))
    _push(world, workspace_id, seats=30)
    fail(worker, claim(worker), retryable=False)
    client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "hibernated"})
    complete(worker, claim(worker, kinds=["hibernate"]))
    assert make.read(workspace_id).state == "hibernated"


def test_a_failed_hibernation_stays_awake_and_is_not_tried_for_ever(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"
    complete(worker, claim(worker))
    client.patch(path, json={"desired": "hibernated"})
    fail(worker, claim(worker), retryable=False, reason="Somebody is in a call.")
    assert make.read(workspace_id).state == "stable"
    assert nothing_to_do(worker)
    assert client.post(f"{path}/retry").status_code == 200
    complete(worker, claim(worker))
    assert make.read(workspace_id).state == "hibernated"


def test_a_failed_deletion_can_be_retried(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    path = f"/v1/workspaces/{workspace_id}"
    complete(worker, claim(worker))
    client.patch(path, json={"desired": "deleted"})
    set_to(world.db, world.ports.clock.now() + timedelta(days=15))
    provisioning.delete_due(world.ports)
    fail(worker, claim(worker), retryable=False)
    assert make.read(workspace_id).state == "deletion_failed"
    assert code(client.post(f"{path}/cancel_deletion")) == (409, "state_move_refused")
    assert client.post(f"{path}/retry").status_code == 200
    complete(worker, claim(worker))
    assert make.read(workspace_id).state == "deleted"


def test_a_retry_of_a_failed_creation_that_is_wanted_gone_deletes_it(make: Make) -> None:
    workspace_id = make.workspace()
    client, worker = make.key("workspaces:write"), make.provisioner()
    task = claim(worker)
    client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"})
    fail(worker, task, retryable=False)
    assert make.read(workspace_id).state == "deleted"
    assert nothing_to_do(worker)
