"""How a provisioner talks to the list of work, in the fewest words."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from sqlalchemy import update
from sqlmodel import col

from app.core.clock import transport_now
from app.workspaces.models import ProvisioningTask
from tests.world import World

T = TypeVar("T")

TASKS = "/v1/provisioning/tasks"
URL = "https://acme.cloud.vendor.example"


def claim(client: httpx.Client, **wanted: Any) -> dict[str, Any]:
    answer = client.post(f"{TASKS}/claim", json=wanted)
    assert answer.status_code == 200, answer.text
    task: dict[str, Any] = answer.json()
    return task


def nothing_to_do(client: httpx.Client, **wanted: Any) -> bool:
    answer = client.post(f"{TASKS}/claim", json=wanted)
    assert answer.status_code in {200, 204}, answer.text
    return answer.status_code == 204


def report(client: httpx.Client, task: dict[str, Any], what: str, **body: Any) -> httpx.Response:
    return client.post(f"{TASKS}/{task['id']}/{what}", json={"fence": task["fence"], **body})


def complete(client: httpx.Client, task: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = report(client, task, "complete", **{"url": URL, **body})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def fail(client: httpx.Client, task: dict[str, Any], *, retryable: bool, reason: str = "No room.") -> dict[str, Any]:
    answer = report(client, task, "fail", reason=reason, retryable=retryable)
    assert answer.status_code == 200, answer.text
    failed: dict[str, Any] = answer.json()
    return failed


def let_the_lease_run_out(world: World, task: dict[str, Any]) -> None:
    _set(world, task, lease_until=transport_now())


def let_the_wait_pass(world: World, task: dict[str, Any]) -> None:
    _set(world, task, not_before=transport_now())


def _set(world: World, task: dict[str, Any], **values: Any) -> None:
    with world.db.transaction() as tx:
        tx.execute(update(ProvisioningTask).where(col(ProvisioningTask.id) == task["id"]).values(**values))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def at_once(threads: int, run: Callable[[int], T]) -> list[T]:
    """What `run(0)`, `run(1)`, … answer when all of them start together."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> T:
        barrier.wait(timeout=30)
        return run(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))
