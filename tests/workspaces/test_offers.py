"""Tasks sent to a provisioner that listens (R-PRV-2)."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlmodel import col
from standardwebhooks import Webhook

from app.adapters.http_out import GuardedHttpOut
from app.adapters.polling_provisioners import PollingProvisioners
from app.adapters.provisioner_http import Listener, PushedTasks
from app.config import Settings
from app.core.events import Event
from app.flows import offering
from app.flows.ports import Ports
from app.web.api.provisioning import ClaimedOut
from app.wiring import wire
from app.workspaces.models import ProvisioningTask
from tests.workspaces.conftest import Make
from tests.workspaces.provisioning import claim, code, complete, let_the_lease_run_out, nothing_to_do, report
from tests.world import World

SECRET = "whsec_" + b64encode(b"a secret of twenty-four.").decode()


class Listening(ThreadingHTTPServer):
    """Answers each post with what `answer` makes of its body; 0 is silence."""

    answer: Callable[[dict[str, Any]], int]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[dict[str, str], str]] = []
        self.done = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Listening

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.server.answer(json.loads(body))
        if not status:
            self.server.done.wait(10)
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class names it so
        """Tests are quiet."""


@pytest.fixture
def server() -> Iterator[Listening]:
    listening = Listening()
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield listening
    listening.done.set()
    listening.shutdown()
    listening.server_close()
    thread.join(timeout=10)


@pytest.fixture
def worker(make: Make) -> httpx.Client:
    """Has the only API key there is when a test begins."""
    return make.provisioner()


@pytest.fixture
def ports(world: World, server: Listening, worker: httpx.Client) -> Ports:
    """The installation's, with the server listening for tasks in the region eu and reporting as `worker`."""
    assert worker.headers["authorization"]
    with world.db.transaction() as tx:
        key_id = tx.execute(text("SELECT id FROM api_key")).scalar_one()
    url = f"http://127.0.0.1:{server.server_address[1]}/tasks"
    pushed = PushedTasks(
        GuardedHttpOut(allow_loopback=True, seconds=0.4), [Listener(url, SECRET, key_id, frozenset({"eu"}))]
    )
    return replace(world.ports, provisioners=PollingProvisioners(pushed))


def _task(world: World, workspace_id: str) -> ProvisioningTask:
    with world.db.transaction() as tx:
        query = select(ProvisioningTask).where(col(ProvisioningTask.workspace_id) == workspace_id)
        return tx.execute(query.order_by(col(ProvisioningTask.id).desc()).limit(1)).scalar_one()


def _events(world: World, workspace_id: str) -> list[str]:
    with world.db.transaction() as tx:
        query = select(col(Event.type)).where(col(Event.object_id) == workspace_id)
        return list(tx.execute(query.order_by(col(Event.object_sequence))).scalars())


def _next_offers(world: World) -> list[int]:
    """The numbers of the offers that wait for their time."""
    with world.db.transaction() as tx:
        waiting = "SELECT args->>'attempt' FROM procrastinate_jobs WHERE task_name = 'provisioning.offer' ORDER BY id"
        return [int(each) for each in tx.execute(text(waiting)).scalars()]


def test_whoever_answers_202_has_the_task_and_reports_through_the_doors(
    world: World, make: Make, server: Listening, ports: Ports, worker: httpx.Client
) -> None:
    workspace_id = make.workspace()
    task = _task(world, workspace_id)
    server.answer = lambda _: 202
    offering.offer.run(ports, task_id=task.id, attempt=0)
    headers, body = server.posts[0]
    sent = Webhook(SECRET).verify(body, headers)
    assert headers["webhook-id"] == f"{task.id}-1"
    assert set(sent) == set(ClaimedOut.model_fields)
    assert (sent["kind"], sent["attempt"], sent["payload"]["license_file"]) == ("create", 1, "first license")
    assert ClaimedOut(**sent).id == task.id
    assert (make.read(workspace_id).state, _task(world, workspace_id).attempts) == ("creating", 1)
    # It is nobody else's, and a second offer finds nothing to send.
    assert nothing_to_do(worker)
    offering.offer.run(ports, task_id=task.id, attempt=0)
    assert len(server.posts) == 1
    complete(worker, sent)
    assert make.read(workspace_id).state == "stable"
    assert _next_offers(world) == []


@pytest.mark.parametrize("status", [503, 404, 0])
def test_a_task_that_is_not_taken_leaves_no_trace_and_waits_to_be_claimed(
    world: World, make: Make, server: Listening, ports: Ports, worker: httpx.Client, status: int
) -> None:
    workspace_id = make.workspace()
    task = _task(world, workspace_id)
    server.answer = lambda _: status
    offering.offer.run(ports, task_id=task.id, attempt=3)
    assert (_task(world, workspace_id).state, _task(world, workspace_id).attempts) == ("queued", 0)
    assert (make.read(workspace_id).state, _events(world, workspace_id)) == ("requested", ["workspace.requested"])
    assert _next_offers(world) == [4]
    # Whoever heard it all the same is fenced off, once another has it.
    heard = json.loads(server.posts[0][1])
    claimed = claim(make.provisioner())
    assert claimed["fence"] > heard["fence"]
    assert code(report(worker, heard, "heartbeat")) == (409, "lease_lost")
    offering.offer.run(ports, task_id=task.id, attempt=offering.RETRY.attempts - 1)
    assert _next_offers(world) == [4]


def test_the_last_offer_in_vain_and_one_that_was_only_heard_are_not_repeated(
    world: World, make: Make, server: Listening, ports: Ports
) -> None:
    task = _task(world, make.workspace())
    server.answer = lambda _: 503
    offering.offer.run(ports, task_id=task.id, attempt=offering.RETRY.attempts - 1)
    server.answer = lambda _: 204
    offering.offer.run(ports, task_id=task.id, attempt=0)
    assert (len(server.posts), _next_offers(world)) == (2, [])


def test_a_report_that_overtakes_a_lost_answer_keeps_the_task(
    world: World, make: Make, server: Listening, ports: Ports, worker: httpx.Client
) -> None:
    workspace_id = make.workspace()
    task = _task(world, workspace_id)

    def report_and_fall_silent(sent: dict[str, Any]) -> int:
        assert report(worker, sent, "progress", progress=40, message="On it").status_code == 200
        return 0

    server.answer = report_and_fall_silent
    offering.offer.run(ports, task_id=task.id, attempt=0)
    kept = _task(world, workspace_id)
    assert (kept.state, kept.attempts, kept.progress, make.read(workspace_id).state) == ("claimed", 1, 40, "creating")
    assert _next_offers(world) == []
    # A provisioner that dies at it rings no bell: the sweep does.
    let_the_lease_run_out(world, {"id": task.id})
    server.answer = lambda _: 202
    offering.offer_abandoned.run(ports)
    offering.offer.run(ports, task_id=task.id, attempt=0)
    assert (_task(world, workspace_id).attempts, len(server.posts)) == (2, 2)


def test_a_wish_that_changed_during_an_offer_in_vain_counts(
    world: World, make: Make, server: Listening, ports: Ports
) -> None:
    workspace_id = make.workspace()
    client = make.key("workspaces:write")

    def change_the_wish(_: dict[str, Any]) -> int:
        assert client.patch(f"/v1/workspaces/{workspace_id}", json={"desired": "deleted"}).status_code == 200
        return 503

    server.answer = change_the_wish
    offering.offer.run(ports, task_id=_task(world, workspace_id).id, attempt=0)
    assert (make.read(workspace_id).state, _task(world, workspace_id).state) == ("deleted", "canceled")


def test_a_region_without_a_listener_is_left_to_those_who_come(
    world: World, make: Make, server: Listening, ports: Ports, worker: httpx.Client
) -> None:
    task = _task(world, make.workspace(region="us"))
    offering.offer.run(ports, task_id=task.id, attempt=0)
    assert server.posts == []
    assert claim(worker)["id"] == task.id


def test_listeners_are_settings_and_a_weak_secret_is_refused(world: World) -> None:
    def settings(**changes: Any) -> Settings:
        one = {"url": "https://prov.example/tasks", "secret": SECRET, "key": "key_" + "0" * 26, **changes}
        return Settings(env="test", _env_file=None, provisioner="external", provisioners=[one])  # type: ignore[call-arg, arg-type]  # checked at run time

    wired = wire(settings(), world.db)
    listening = wired.ports.provisioners.listening
    assert listening is not None
    assert listening.key_for("anywhere") == "key_" + "0" * 26
    for changes in ({"secret": "whsec_c2hvcnQ="}, {"secret": "x" * 40}, {"key": "blp_secret"}, {"url": "ftp://x"}):
        with pytest.raises(ValidationError):
            settings(**changes)
    with pytest.raises(ValidationError, match="BLP_PROVISIONER=external"):
        Settings(env="test", _env_file=None, provisioners=settings().provisioners)  # type: ignore[call-arg]  # as above
