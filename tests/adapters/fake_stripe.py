"""A Stripe on a loopback port that remembers on disk, answers badly when told to, and writes down who asked when.

The sandbox is the Stripe that BLP ships; this one is for what the sandbox cannot do to us: die in the middle of an
answer, come back with its memory, forget its keys, and count requests by the second.
"""

import json
import socket
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

# What happens to the next charges that are asked for, one word each; afterwards all goes well.
Fault = Literal[
    "drop_after",  # charged, then the connection dies
    "drop_before",  # the connection dies, nothing was done
    "fail_after",  # charged, then a 500 that is remembered for the key
    "fail_before",  # a 500 that is remembered for the key, nothing was done
    "busy",  # 429 with Retry-After
    "again",  # 503 with Stripe-Should-Retry: true
    "never",  # 409 with Stripe-Should-Retry: false
    "decline",  # the bank says no
]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    at: float
    method: str
    path: str
    version: str
    key: str


@dataclass
class FakeStripe:
    """`base` is where the SDK is sent. `restart` is a crash: what was charged and which keys were used stays."""

    file: Path
    faults: list[Fault] = field(default_factory=list)
    retry_after: int = 1
    asked: list[Asked] = field(default_factory=list)
    on_request: Callable[[], None] | None = None
    forbidden: set[str] = field(default_factory=set)  # the first word of paths that the key may not use
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        with self.table() as table:
            table.execute("CREATE TABLE IF NOT EXISTS charge (id INTEGER PRIMARY KEY, attempt TEXT, body TEXT)")
            table.execute("CREATE TABLE IF NOT EXISTS key (key TEXT PRIMARY KEY, status INT, body TEXT)")
        self.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def table(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, isolation_level=None)

    def start(self) -> None:
        fake = self

        class Handler(_Handler):
            stripe = fake

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=5)

    def restart(self) -> None:
        self.stop()
        self.start()

    def forget_keys(self) -> None:
        """A day has passed."""
        with self.table() as table:
            table.execute("DELETE FROM key")

    def charges(self, attempt: str | None = None) -> int:
        """How often money was taken, in all or for one attempt."""
        with self.table() as table:
            rows = table.execute("SELECT attempt, body FROM charge").fetchall()
        wanted = [json.loads(body) for of, body in rows if attempt in {None, of}]
        return sum(each["status"] == "succeeded" for each in wanted)

    def count(self, method: str) -> int:
        return sum(each.method == method for each in self.asked)

    def busiest_second(self) -> int:
        """The most requests that arrived within any one second."""
        moments = sorted(each.at for each in self.asked)
        return max(sum(begin <= at < begin + 1 for at in moments) for begin in moments)


class _Handler(BaseHTTPRequestHandler):
    stripe: FakeStripe

    def do_GET(self) -> None:
        path, query = self._note()
        if self._forbidden(path):
            return
        if path == "/v1/webhook_endpoints":
            self._answer(200, {"object": "list", "url": path, "has_more": False, "data": self.stripe.endpoints})
        elif path == "/v1/payment_intents":
            wanted = query.get("customer", [""])[0]
            found = [each for each in self._intents() if each["customer"] == wanted]
            self._answer(200, {"object": "list", "url": path, "has_more": False, "data": found[::-1]})
        elif path.startswith("/v1/payment_intents/pi_"):
            self._answer(200, next(each for each in self._intents() if each["id"] == path.rpartition("/")[2]))
        else:
            self._missing(path)

    def do_POST(self) -> None:
        path, _ = self._note()
        form = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        if self._forbidden(path):
            return
        if path != "/v1/payment_intents":
            self._missing(path)
            return
        with self.stripe.lock:
            self._charge({name: values[0] for name, values in form.items()})

    def do_DELETE(self) -> None:
        self._missing(self._note()[0])

    def _charge(self, form: dict[str, str]) -> None:
        key = self.headers["idempotency-key"]
        fault = self.stripe.faults.pop(0) if self.stripe.faults else None
        if fault == "drop_before":
            self._die()
        elif fault == "busy":
            self._error(429, "rate_limit", {"Retry-After": str(self.stripe.retry_after)})
        elif fault in {"again", "never"}:
            said = "true" if fault == "again" else "false"
            self._error(503 if fault == "again" else 409, "lock_timeout", {"Stripe-Should-Retry": said})
        elif (known := self._known(key)) is not None:
            self._answer(*known, {"Idempotent-Replayed": "true", "Stripe-Should-Retry": "false"})
        else:
            status, body = self._decide(form, fault)
            with self.stripe.table() as table:
                table.execute("INSERT INTO key VALUES (?, ?, ?)", (key, status, json.dumps(body)))
            if fault == "drop_after":
                self._die()
            else:
                final = {"Stripe-Should-Retry": "false"} if status >= 500 else {}
                self._answer(status, body, final)

    def _decide(self, form: dict[str, str], fault: Fault | None) -> tuple[int, dict[str, Any]]:
        failure = {"error": {"type": "api_error", "message": "An unknown error occurred."}}
        if fault == "fail_before":
            return 500, failure
        intent = self._take(form, declined=fault == "decline")
        if fault == "fail_after":
            return 500, failure
        if fault == "decline":
            error = {**intent["last_payment_error"], "payment_intent": intent}
            return 402, {"error": error}
        return 200, intent

    def _take(self, form: dict[str, str], *, declined: bool) -> dict[str, Any]:
        attempt = form["metadata[attempt_id]"]
        method = {"id": form["payment_method"], "object": "payment_method", "customer": form["customer"],
                  "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}}  # fmt: skip
        error = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
        with self.stripe.table() as table:
            row = table.execute("INSERT INTO charge (attempt) VALUES (?)", (attempt,)).lastrowid
            intent = {
                "id": f"pi_{row}", "object": "payment_intent", "livemode": False, "customer": form["customer"],
                "amount": int(form["amount"]), "amount_received": 0 if declined else int(form["amount"]),
                "currency": form["currency"], "latest_charge": None if declined else f"ch_{row}",
                "status": "requires_payment_method" if declined else "succeeded", "payment_method": method,
                "metadata": {"attempt_id": attempt, "made_by": form["metadata[made_by]"]},
                "last_payment_error": error if declined else None,
            }  # fmt: skip
            table.execute("UPDATE charge SET body = ? WHERE id = ?", (json.dumps(intent), row))
        return intent

    def _intents(self) -> list[dict[str, Any]]:
        with self.stripe.table() as table:
            return [json.loads(body) for (body,) in table.execute("SELECT body FROM charge ORDER BY id")]

    def _known(self, key: str) -> tuple[int, dict[str, Any]] | None:
        with self.stripe.table() as table:
            row = table.execute("SELECT status, body FROM key WHERE key = ?", (key,)).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def _note(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        version, key = (self.headers.get(name, "") for name in ("stripe-version", "idempotency-key"))
        self.stripe.asked.append(Asked(monotonic(), self.command, parts.path, version, key))
        if self.stripe.on_request is not None:
            self.stripe.on_request()
        return parts.path, parse_qs(parts.query)

    def _forbidden(self, path: str) -> bool:
        if path.split("/")[2] not in self.stripe.forbidden:
            return False
        error = {"type": "invalid_request_error", "message": "The provided key does not have the required permissions."}
        self._answer(403, {"error": error})
        return True

    def _missing(self, path: str) -> None:
        error = {"type": "invalid_request_error", "code": "resource_missing", "message": f"No such thing: {path}"}
        self._answer(404, {"error": error})

    def _error(self, status: int, code: str, headers: dict[str, str]) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": "Not now."}
        self._answer(status, {"error": error}, headers)

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        for name, value in {**(headers or {}), **usual}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _die(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the standard library's name
        """Nothing on stderr."""
