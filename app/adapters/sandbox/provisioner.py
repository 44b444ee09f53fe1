"""The sandbox's provisioner: an outside party that knows BLP only as any provisioner does, by HTTP and an API key.

It makes nothing real, but it plays the whole part: claims, heartbeats, progress, completion, failure. What a
workspace is called decides how it goes: `broken-…` can never be made, `flaky-…` fails at the first attempt.
"""

from collections.abc import Mapping
from time import sleep
from typing import Any, Final

import httpx
import structlog
from sqlalchemy import func, select

from app.accounts import api_keys
from app.adapters.sandbox import loopback, refuse_in_production
from app.adapters.sandbox.models import SandboxProvisioner
from app.core import jobs
from app.core.clock import transport_now
from app.core.db import Database, Tx, require_no_transaction
from app.core.errors import Unavailable
from app.core.security import Secrets
from app.flows.ports import Ports
from app.workspaces.provider import Listening

log = structlog.get_logger()

_SEAL: Final = "sandbox-provisioner-key"
_LEASE_SECONDS: Final = 30
_VERSION: Final = "10.5.1"  # what the channel "stable" resolves to here

# What is reported on the way, as percent done and a sentence for the customer.
_STEPS: Final[Mapping[str, tuple[tuple[int, str], ...]]] = {
    "create": (
        (10, "Reserving a place in {region}"),
        (30, "Creating the database"),
        (55, "Installing the server and its license for {seats} people"),
        (75, "Setting up {hostname}.cloud.vendor.example"),
        (95, "Checking that it answers"),
    ),
    "update": (
        (20, "Saving a copy"),
        (50, "Installing the license for {seats} people"),
        (80, "Restarting without interruption"),
        (95, "Checking that it answers"),
    ),
    "hibernate": ((30, "Saving a copy"), (80, "Putting it to sleep")),
    "wake": (
        (30, "Waking it up"),
        (70, "Installing the license for {seats} people"),
        (95, "Checking that it answers"),
    ),
    "delete": ((20, "Closing the address"), (60, "Removing the data"), (90, "Removing the copies")),
}


class LostTask(Exception):
    """The task is another's by now."""


class SandboxProvisioners:
    """Comes when the bell rings, and once a minute anyway."""

    listening: Listening | None = None

    def __init__(self, database: Database, secrets: Secrets, *, base_url: str, env: str) -> None:
        refuse_in_production(env=env)
        self._database, self._secrets = database, secrets
        self._base_url = base_url
        # A person who watches should see the work happen; a test should not wait for it.
        self._step_seconds = 0.0 if env == "test" else 0.3

    def ring(self) -> None:
        """Whoever rings has committed, so one waiting visit will find all there is."""
        with self._database.transaction() as tx:
            jobs.defer(tx, visit, once=visit.name)

    def work_off(self) -> int:
        """Do all the tasks there are; returns how many were taken. Raises Unavailable where BLP does not answer."""
        require_no_transaction()
        taken = 0
        try:
            with loopback.client(f"{self._base_url}/v1/provisioning/tasks") as client:
                while (task := self._claim(client)) is not None:
                    taken += 1
                    self._do(client, task)
        except httpx.HTTPError as exc:
            raise Unavailable(f"BLP did not answer the sandbox provisioner ({type(exc).__name__}).") from exc
        return taken

    def _claim(self, client: httpx.Client) -> dict[str, Any] | None:
        known = self._key()
        answer = self._post(client, "/claim", known, lease_seconds=_LEASE_SECONDS)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # revoked or expired
            known = self._key(instead_of=known)
            answer = self._post(client, "/claim", known, lease_seconds=_LEASE_SECONDS)
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {known}"
        claimed: dict[str, Any] | None = None if answer.status_code == httpx.codes.NO_CONTENT else answer.json()
        return claimed

    @staticmethod
    def _post(client: httpx.Client, path: str, key: str, **body: Any) -> httpx.Response:
        return client.post(path, json=body, headers={"Authorization": f"Bearer {key}"})

    def _do(self, client: httpx.Client, task: dict[str, Any]) -> None:
        def report(what: str, **body: Any) -> None:
            answer = client.post(f"/{task['id']}/{what}", json={"fence": task["fence"], **body})
            if answer.status_code == httpx.codes.CONFLICT:
                raise LostTask(answer.json()["detail"])
            answer.raise_for_status()

        workspace = task["payload"]
        hostname: str = workspace["hostname"]
        try:
            if hostname.startswith("broken-"):
                report("fail", reason="The sandbox cannot make workspaces called broken-….", retryable=False)
                return
            if hostname.startswith("flaky-") and task["attempt"] == 1:
                report("fail", reason="The sandbox drops the first attempt at flaky-….", retryable=True)
                return
            for percent, sentence in _STEPS[task["kind"]]:
                sleep(self._step_seconds)
                report("heartbeat")
                report("progress", progress=percent, message=sentence.format(**workspace))
            version = _VERSION if workspace["version"] == "stable" else workspace["version"]
            report("complete", url=f"https://{hostname}.cloud.vendor.example", version=version)
        except LostTask as lost:
            log.warning("sandbox.task_lost", task=task["id"], reason=str(lost))

    def _key(self, instead_of: str | None = None) -> str:
        """Its API key, made at first use and again when `instead_of` has stopped working."""
        with self._database.transaction() as tx:
            # Two visits at once must not make two keys.
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_SEAL, 0))))
            kept = tx.get(SandboxProvisioner, 1)
            secret = self._opened(kept)
            if secret is None or secret == instead_of:
                secret = self._new_key(tx, kept)
            return secret

    def _opened(self, kept: SandboxProvisioner | None) -> str | None:
        if kept is None:
            return None
        try:
            return self._secrets.open(_SEAL, kept.key_sealed).decode()
        except ValueError:  # the installation's secret was changed, so its keys are void as well
            return None

    def _new_key(self, tx: Tx, kept: SandboxProvisioner | None) -> str:
        now = transport_now()
        _, secret = api_keys.create(
            tx, self._secrets, name="Sandbox provisioner", scopes=["provisioning:work"], account_id=None,
            actor="sandbox", now=now,
        )  # fmt: skip
        sealed = self._secrets.seal(_SEAL, secret.encode())
        if kept is None:
            tx.add(SandboxProvisioner(key_sealed=sealed, created_at=now))
        else:
            kept.key_sealed, kept.created_at = sealed, now
        return secret


@jobs.job("sandbox.provision", retry=jobs.Retry(attempts=8, first=2))
def visit(ports: Ports) -> None:
    """Do what there is to do."""
    if isinstance(ports.provisioners, SandboxProvisioners):
        ports.provisioners.work_off()


@jobs.job("sandbox.provision_regularly", every="* * * * *", retry=jobs.Retry(attempts=1))
def visit_regularly(ports: Ports) -> None:
    """Finds what a crash left behind: a lease that ran out rings no bell."""
    if isinstance(ports.provisioners, SandboxProvisioners):
        ports.provisioners.ring()
