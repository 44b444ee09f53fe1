"""Provisioners are killed at work: every workspace gets where it should, and no task is done twice (R-PRV-2)."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random  # noqa: TID251 -- who dies when; nothing secret is drawn
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.core import policy
from app.workspaces.models import ProvisioningTask, TaskState, Workspace
from tests.workspaces.conftest import Make
from tests.world import FULL, World, full

PROVISIONERS = 40 if FULL else 4
PATIENCE_SECONDS = 600 if FULL else 30
MORTAL = Path(__file__).with_name("mortal.py")


class Crew:
    """Real processes, each replaced when it is killed."""

    def __init__(self, url: str, key: str, log: Path) -> None:
        self._command = [sys.executable, str(MORTAL), urlsplit(url).hostname or "", str(urlsplit(url).port), key]
        self._chance = Random(7)  # noqa: S311 -- as above
        self._log, self.deaths = log, 0
        self._alive: list[subprocess.Popen[bytes]] = []

    def hire(self) -> None:
        with self._log.open("ab") as out:
            command = [*self._command, str(self._chance.randrange(2**32))]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603 -- our own program
            self._alive.append(process)

    def kill_one(self) -> None:
        """With SIGKILL, whatever it does just now."""
        unlucky = self._alive.pop(self._chance.randrange(len(self._alive)))
        assert unlucky.poll() is None, "it died by itself: see the log"
        self._bury(unlucky)
        self.deaths += 1
        self.hire()

    def dismiss(self) -> None:
        for each in self._alive:
            self._bury(each)

    @staticmethod
    def _bury(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait(timeout=10)


def wished(make: Make, vendor: httpx.Client, count: int) -> dict[str, str]:
    """Workspaces by id with the state they should reach: every third one is to sleep, which is a second task."""
    account, goals = make.account(), {}
    for number in range(count):
        id_ = make.workspace(make.subscription(account), hostname=f"team-{number}")
        goals[id_] = "hibernated" if number % 3 == 0 else "stable"
        if number % 3 == 0:
            assert vendor.patch(f"/v1/workspaces/{id_}", json={"desired": "hibernated"}).status_code == 200
    return goals


def states(world: World) -> dict[str, str]:
    with world.db.transaction() as tx:
        return {id_: state.value for id_, state in tx.execute(select(col(Workspace.id), col(Workspace.state)))}


def test_whoever_is_killed_the_work_is_done_and_done_once(
    make: Make, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:  # so many deaths are no fault of a task
        policy.change(tx, "provisioning.attempts", 1000, valid_from=now, by="test", why="they die", now=now)
    goals = wished(make, make.key("*"), max(9, full(500)))
    log = tmp_path / "said.log"
    # One key for all: nothing but the fence tells a claim from a later one.
    crew = Crew(world.url, make.provisioner().headers["Authorization"].removeprefix("Bearer "), log)
    began = monotonic()
    try:
        for _ in range(PROVISIONERS):
            crew.hire()
        while states(world) != goals:
            assert monotonic() - began < PATIENCE_SECONDS, Counter(states(world).values())
            sleep(0.25)
            crew.kill_one()
    finally:
        crew.dismiss()
    lines = [line.split() for line in log.read_text().splitlines()]
    accepted = [(line[1], int(line[2])) for line in lines if line[0] == "done"]
    refused = Counter(line[3] for line in lines if line[0] == "refused")
    assert {line[0] for line in lines} <= {"done", "refused"}, lines[:5]
    with world.db.transaction() as tx:
        tasks = {each.id: each for each in tx.execute(select(ProvisioningTask)).scalars()}
        told = Counter(tx.execute(text(
            "SELECT data ->> 'task' FROM event WHERE type IN ('workspace.ready', 'workspace.hibernated')"
        )).scalars())  # fmt: skip
    assert {each.state for each in tasks.values()} == {TaskState.DONE}
    assert len({id_ for id_, _ in accepted}) == len(accepted), "no task was done twice"
    assert all(tasks[id_].fence == fence for id_, fence in accepted), "only the last claim counts"
    assert set(refused) <= {"lease_lost", "task_finished"}
    assert refused or not FULL, "among so many, some report after their lease was lost"
    assert told == dict.fromkeys(tasks, 1), "and each was told once"
    claims = sum(each.fence for each in tasks.values())
    with capsys.disabled():  # how much was tried is part of what a run tells
        sys.stdout.write(
            f"\n[provisioning: {len(goals)} of 500 workspaces, {len(tasks)} tasks, {claims} claims, {PROVISIONERS}"
            f" processes, {crew.deaths} killed, {sum(refused.values())} stale reports refused,"
            f" {monotonic() - began:.1f} s]\n"
        )
