"""What a test holds in its hands: one running installation."""

import os
import ssl
from dataclasses import dataclass, field

import httpx
from procrastinate import App

from app.config import Settings
from app.core import jobs
from app.core.db import Database
from app.flows import drawing
from app.flows.ports import Ports
from app.wiring import Wired
from tests.past import Past

# Never used on a loopback address; httpx would read all the system's certificates for each new client.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
FULL = os.environ.get("BLP_TEST_FULL") == "1"


def full(count: int) -> int:
    """A count for `make test-full`; about 1 % of it, at least 3, otherwise."""
    return count if FULL else max(3, count // 100)


def altered(token: str) -> str:
    """The token with another last character, whichever it has: a fixed one would now and then be the same."""
    return token[:-1] + ("0" if token[-1] != "0" else "1")


class Hands:
    """The worker of a test process, whose thread and connections every world borrows in its turn."""

    def __init__(self) -> None:
        self._drain: jobs.Drain | None = None

    def work_off(self, queue: App) -> None:
        if self._drain is None:
            self._drain = jobs.Drain(queue, queues=[jobs.DEFAULT])
        self._drain.instead(queue)

    def close(self) -> None:
        if self._drain is not None:
            self._drain.close()


@dataclass
class World:
    """One installation, running."""

    settings: Settings
    wired: Wired
    url: str
    past: Past
    hands: Hands
    _clients: list[httpx.Client] = field(default_factory=list)
    _queue: App | None = None

    @property
    def ports(self) -> Ports:
        return self.wired.ports

    @property
    def db(self) -> Database:
        return self.ports.db

    def browser(self) -> httpx.Client:
        """A new client with its own cookies that does not follow redirects."""
        client = httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=_TLS)
        self._clients.append(client)
        return client

    def api(self, key: str) -> httpx.Client:
        client = self.browser()
        client.headers["Authorization"] = f"Bearer {key}"
        return client

    def work(self) -> None:
        """Run every job that is due, and what those defer; papers are drawn by `draw`, or where they are asked for."""
        if self._queue is None:
            self._queue = jobs.build_app(self.db, self.ports, repeating=False)
        self.hands.work_off(self._queue)

    def draw(self) -> None:
        """Run the jobs that draw the papers of issued documents."""
        with jobs.Drain(jobs.build_app(self.db, self.ports, repeating=False), queues=[drawing.PAPERS]) as drain:
            drain()

    def close(self) -> None:
        for client in self._clients:
            client.close()
