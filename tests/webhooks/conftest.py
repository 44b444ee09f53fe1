"""Receivers and a way to look at what reached them."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.core import events
from app.core.ids import new_id
from app.webhooks.models import WebhookDelivery
from tests.callers import vendor
from tests.world import World


@dataclass
class Receiver:
    """A server that answers each post with the next of `answers`, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [204])
    posts: list[tuple[dict[str, str], str]] = field(default_factory=list)
    url: str = ""


class _Server(ThreadingHTTPServer):
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if 300 <= status < 400:
            self.send_header("Location", receiver.url)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class names it so
        """Tests are quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.receiver = Receiver()
    server.receiver.url = f"http://127.0.0.1:{server.server_address[1]}/in"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.receiver
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@dataclass
class Hooks:
    world: World
    client: httpx.Client

    def add(self, url: str, **changes: Any) -> dict[str, Any]:
        made = self.client.post("/v1/webhook_endpoints", json={"url": url, **changes})
        assert made.status_code == 201, made.text
        return dict(made.json())

    def sandbox(self, name: str, **changes: Any) -> dict[str, Any]:
        return self.add(f"{self.world.url}/sandbox/hooks/{name}", **changes)

    def arrived(self, name: str) -> list[dict[str, Any]]:
        return list(self.world.browser().get(f"/sandbox/hooks/{name}").json())

    def happen(
        self, kind: str = "thing.happened", object_id: str = "", account_id: str | None = None, **data: Any
    ) -> str:
        """Append one event; returns its id. Nothing is delivered before `world.work()`."""
        with self.world.db.transaction() as tx:
            event = events.append(
                tx, kind, object_id or new_id("ord"), now=self.world.ports.clock.now(), account_id=account_id, **data
            )
            return event.id

    def deliveries(self, endpoint: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        return list(self.client.get(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries", params=params).json()["data"])

    def hurry(self) -> None:
        """Let the waits between tries be over, and do what is due."""
        with self.world.db.transaction() as tx:
            tx.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"))
        self.world.work()

    def rows(self) -> list[WebhookDelivery]:
        with self.world.db.transaction() as tx:
            return list(tx.execute(select(WebhookDelivery).order_by(col(WebhookDelivery.id))).scalars())


@pytest.fixture
def hooks(world: World) -> Hooks:
    return Hooks(world, vendor(world))


def data_of(body: str) -> dict[str, Any]:
    return dict(json.loads(body))
