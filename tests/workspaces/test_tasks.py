"""Claims, leases and fences: work is done once, whatever happens to those who do it."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from app.core import policy
from app.core.clock import transport_now
from app.core.ids import new_id
from app.workspaces.models import ProvisioningTask
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import (
    TASKS,
    URL,
    at_once,
    claim,
    code,
    complete,
    fail,
    let_the_lease_run_out,
    nothing_to_do,
    report,
)
from tests.world import World, full


def test_twenty_provisioners_claim_ten_tasks_once_each(make: Make) -> None:
    account = make.account()
    made = {make.workspace(make.subscription(account), hostname=f"team-{number}") for number in range(10)}
    workers = [make.provisioner() for _ in range(20)]
    answers = at_once(20, lambda number: workers[number].post(f"{TASKS}/claim", json={}))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 204: 10}
    assert {answer.json()["workspace_id"] for answer in answers if answer.status_code == 200} == made
    assert all(make.read(each).state == "creating" for each in made)


def test_tasks_are_claimed_oldest_first_and_only_of_the_kinds_and_regions_asked_for(make: Make) -> None:
    first = make.workspace(hostname="first", region="us")
    second = make.workspace(make.subscription(), hostname="second", region="eu")
    third = make.workspace(make.subscription(), hostname="third", region="eu")
    worker = make.provisioner()
    assert nothing_to_do(worker, kinds=["delete", "update"])
    assert nothing_to_do(worker, regions=["ap"])
    assert claim(worker, regions=["eu"], kinds=["create"])["workspace_id"] == second
    assert claim(worker)["workspace_id"] == first
    assert claim(worker)["workspace_id"] == third
    assert nothing_to_do(worker)


def test_what_a_dead_provisioner_left_is_claimed_by_another_after_the_lease(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    dead, alive = make.provisioner(), make.provisioner()
    task = claim(dead)
    report(dead, task, "progress", progress=60, message="Half way")
    assert nothing_to_do(alive)
    let_the_lease_run_out(world, task)
    again = claim(alive)
    assert (again["id"], again["fence"], again["attempt"], again["progress"]) == (task["id"], 2, 2, 0)
    assert make.read(workspace_id).progress == 0
    complete(alive, again)
    assert make.read(workspace_id).state == "stable"


def test_a_provisioner_that_comes_back_after_its_lease_is_refused_whatever_it_reports(world: World, make: Make) -> None:
    make.workspace()
    zombie, alive = make.provisioner(), make.provisioner()
    stale = claim(zombie)
    let_the_lease_run_out(world, stale)
    fresh = claim(alive)

    def refused(client: object, task: object) -> None:
        for what, body in (
            ("heartbeat", {}),
            ("progress", {"progress": 99}),
            ("complete", {"url": "https://wrong.example"}),
            ("fail", {"reason": "No.", "retryable": False}),
        ):
            assert code(report(client, task, what, **body)) == (409, "lease_lost"), what  # type: ignore[arg-type]  # see the callers

    refused(zombie, stale)
    refused(zombie, fresh)  # the right fence in the wrong hands
    refused(alive, stale)
    complete(alive, fresh)
    refused(zombie, stale)
    assert make.read(fresh["workspace_id"]).url == URL


def test_a_lease_that_ran_out_is_lost_even_if_nobody_took_the_task(world: World, make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    let_the_lease_run_out(world, task)
    assert code(report(worker, task, "heartbeat")) == (409, "lease_lost")
    assert code(report(worker, task, "complete", url=URL)) == (409, "lease_lost")


def test_heartbeats_and_progress_extend_the_lease_from_that_moment(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker, lease_seconds=30)

    def until(**body: int) -> datetime:
        what = "progress" if "progress" in body else "heartbeat"
        return datetime.fromisoformat(report(worker, task, what, **body).json()["lease_until"])

    def about(seconds: int) -> tuple[datetime, datetime]:
        now = transport_now()
        return now + timedelta(seconds=seconds - 20), now + timedelta(seconds=seconds)

    for body, seconds in (({}, 30), ({"lease_seconds": 300}, 300), ({"progress": 5}, 300)):
        moment = until(**body)
        earliest, latest = about(seconds)
        assert earliest < moment <= latest, body


def test_leases_are_bounded_by_the_policy(world: World, make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    answer = worker.post(f"{TASKS}/claim", json={"lease_seconds": 901})
    assert (code(answer), answer.json()["param"]) == ((422, "invalid"), "lease_seconds")
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "provisioning.lease_seconds", 7, valid_from=now, by="test", why="short", now=now)
    assert claim(worker)["lease_seconds"] == 7


def test_progress_never_goes_back_within_a_claim(make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    for percent in (0, 30, 30, 80):
        assert report(worker, task, "progress", progress=percent, message=f"{percent}").status_code == 200
    answer = report(worker, task, "progress", progress=79)
    assert (code(answer), answer.json()["param"]) == ((422, "invalid"), "progress")
    assert (make.read(workspace_id).progress, make.read(workspace_id).message) == (80, "80")


def test_completing_twice_with_the_same_fence_changes_nothing(world: World, make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    first = complete(worker, task)
    assert complete(worker, task, url="https://other.example") == first
    assert make.read(task["workspace_id"]).url == URL
    assert code(report(worker, task, "fail", reason="No.", retryable=True)) == (409, "task_finished")
    assert code(report(worker, task, "heartbeat")) == (409, "task_finished")
    world.work()
    assert len(world.browser().get("/sandbox/mail.json", params={"to": "ada@acme.example"}).json()) == 1


def test_failing_twice_with_the_same_fence_counts_once(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    first = fail(worker, task, retryable=True)
    assert fail(worker, task, retryable=True) == first
    assert code(report(worker, task, "complete", url=URL)) == (409, "lease_lost")
    assert first["attempt"] == 1


def test_a_completion_racing_its_own_repeats_happens_once(world: World, make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    answers = at_once(8, lambda _: report(worker, task, "complete", url=URL))
    assert {answer.status_code for answer in answers} == {200}
    world.work()
    assert len(world.browser().get("/sandbox/mail.json", params={"to": "ada@acme.example"}).json()) == 1


def test_a_task_that_outlives_every_provisioner_fails_for_good(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    for _ in range(5):
        let_the_lease_run_out(world, claim(worker))
    assert nothing_to_do(worker)
    workspace = make.read(workspace_id)
    assert workspace.state == "creation_failed"
    assert "5 times" in (workspace.failure_reason or "")


def test_one_dead_task_does_not_keep_the_next_from_being_claimed(world: World, make: Make) -> None:
    make.workspace(hostname="first")
    worker = make.provisioner()
    for _ in range(5):
        let_the_lease_run_out(world, claim(worker))
    second = make.workspace(make.subscription(), hostname="second")
    assert claim(worker)["workspace_id"] == second


def test_claims_race_with_wishes_and_reports_without_deadlock(make: Make) -> None:
    account = make.account()
    ids = [make.workspace(make.subscription(account), hostname=f"team-{number}") for number in range(4)]
    writer, worker = make.key("workspaces:write"), make.provisioner()
    rounds = full(500)

    def one(number: int) -> set[int]:
        seen = set()
        for turn in range(rounds):
            if number % 2:
                wish = "hibernated" if (turn + number) % 2 else "running"
                seen.add(writer.patch(f"/v1/workspaces/{ids[number % 4]}", json={"desired": wish}).status_code)
            else:
                answer = worker.post(f"{TASKS}/claim", json={})
                seen.add(answer.status_code)
                if answer.status_code == 200:
                    seen.add(report(worker, answer.json(), "complete", url=URL).status_code)
        return seen

    assert set().union(*at_once(8, one)) <= {200, 204}
    while not nothing_to_do(worker):
        pass


def test_a_claim_without_a_body_takes_anything(make: Make) -> None:
    workspace_id = make.workspace()
    answer = make.provisioner().post(f"{TASKS}/claim")
    assert (answer.status_code, answer.json()["workspace_id"]) == (200, workspace_id)


def test_a_claim_repeated_with_its_idempotency_key_is_the_same_claim(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    answers = [worker.post(f"{TASKS}/claim", json={}, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"


_MALFORMED: list[tuple[str, dict[str, object], str]] = [
    ("complete", {"fence": 1}, "url"),
    ("complete", {"fence": 1, "url": "javascript:alert(1)"}, "url"),
    ("complete", {"fence": 1, "url": "http://acme.example"}, "url"),
    ("complete", {"fence": 1, "url": "https://user@acme.example"}, "url"),
    ("complete", {"fence": 1, "url": "https://[::1"}, "url"),
    ("complete", {"fence": 1, "url": "https://acme.example/\u202e"}, "url"),
    ("complete", {"fence": 1, "url": URL, "version": "10\n5"}, "version"),
    ("complete", {"fence": 1, "url": URL, "state": "stable"}, "state"),
    ("heartbeat", {}, "fence"),
    ("heartbeat", {"fence": "1"}, "fence"),
    ("heartbeat", {"fence": 2**63}, "fence"),
    ("heartbeat", {"fence": 1, "lease_seconds": 0}, "lease_seconds"),
    ("heartbeat", {"fence": 1, "lease_seconds": 10_000}, "lease_seconds"),
    ("progress", {"fence": 1, "progress": 101}, "progress"),
    ("progress", {"fence": 1, "progress": -1}, "progress"),
    ("progress", {"fence": 1, "progress": 1.5}, "progress"),
    ("progress", {"fence": 1, "progress": True}, "progress"),
    ("progress", {"fence": 1, "progress": 1, "message": "nul \u0000"}, "message"),
    ("progress", {"fence": 1, "progress": 1, "message": "x" * 501}, "message"),
    ("fail", {"fence": 1, "reason": "", "retryable": True}, "reason"),
    ("fail", {"fence": 1, "reason": "No."}, "retryable"),
    ("fail", {"fence": 1, "reason": "No.", "retryable": "yes"}, "retryable"),
]


def test_a_malformed_report_names_its_field_and_changes_nothing(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    for what, body, param in _MALFORMED:
        answer = worker.post(f"{TASKS}/{task['id']}/{what}", json=body)
        assert (code(answer), answer.json()["param"]) == ((422, "invalid"), param), (what, body)
    assert complete(worker, task)["progress"] == 100


def test_a_lone_surrogate_is_refused_rather_than_stored(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    raw = b'{"fence": 1, "progress": 1, "message": "\\ud800"}'
    headers = {"content-type": "application/json"}
    answer = worker.post(f"{TASKS}/{task['id']}/progress", content=raw, headers=headers)
    assert (code(answer), answer.json()["param"]) == ((422, "invalid"), "message")


def test_the_list_of_tasks_shows_who_works_but_not_what_is_carried(make: Make) -> None:
    make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    listed = worker.get(TASKS, params={"state": "claimed"}).json()
    assert [each["id"] for each in listed["data"]] == [task["id"]]
    assert "payload" not in listed["data"][0]
    assert listed["data"][0]["claimed_by"].startswith("key_")
    assert worker.get(TASKS, params={"state": "queued"}).json() == {"data": [], "has_more": False}


def test_only_keys_of_the_vendor_with_the_scope_may_do_the_work(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    owner = make.read(workspace_id).account_id
    for client, expected in (
        (make.key("workspaces:*"), (403, "scope_missing")),
        (make.key("provisioning:work", account=owner), (403, "not_allowed")),
        (make.key("*", account=owner), (403, "not_allowed")),
        (world.browser(), (401, "not_signed_in")),
    ):
        assert code(client.post(f"{TASKS}/claim", json={})) == expected
        assert code(client.get(TASKS)) == expected
        for what in ("heartbeat", "progress", "complete", "fail"):
            body = {"fence": 1, "progress": 1, "reason": "x", "retryable": True}
            kept = {"heartbeat": {"fence"}, "progress": {"fence", "progress"}, "complete": {"fence"},
                    "fail": {"fence", "reason", "retryable"}}[what]  # fmt: skip
            sent = {name: value for name, value in body.items() if name in kept}
            assert code(client.post(f"{TASKS}/{new_id('tsk')}/{what}", json=sent)) == expected


def test_a_finished_task_keeps_no_license(world: World, make: Make) -> None:
    workspace_id = make.workspace()
    worker = make.provisioner()
    task = claim(worker)
    complete(worker, task)
    with world.db.transaction() as tx:
        payload = tx.get_one(ProvisioningTask, task["id"]).payload
    assert payload == task["payload"] | {"license_file": None}
    assert make.read(workspace_id).license_file == "first license"


def test_a_task_that_does_not_exist_is_not_found(make: Make) -> None:
    worker = make.provisioner()
    for task_id in (new_id("tsk"), "tsk_1", new_id("wsp"), "..%2f"):
        assert worker.post(f"{TASKS}/{task_id}/heartbeat", json={"fence": 1}).status_code == 404


def test_a_claimed_task_without_a_lease_cannot_be_stored(world: World, make: Make) -> None:
    make.workspace()
    task = claim(make.provisioner())
    with pytest.raises(Exception, match="claimed_has_lease"), world.db.transaction() as tx:
        tx.get_one(ProvisioningTask, task["id"]).lease_until = None
