"""The client: a few kept connections, each sending its next request when the last one is answered.

It speaks only as much HTTP as our servers need to be measured, on callbacks and without a coroutine per request,
so that it stays out of the way. An answer that is not the expected one ends the measurement.
"""

import asyncio
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, cast

import uvloop

from app.bench.harness import CannotMeasure

CONNECTIONS: Final = 4
ROUND_SECONDS: Final = 3  # then nothing more is sent: a round on a slow machine is smaller, not longer
_PATIENCE_SECONDS: Final = 60


def post(path: str, body: dict[str, Any]) -> bytes:
    """A whole request, ready to be sent."""
    payload = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload


def fire(port: int, request: Callable[[int], bytes], n: int, *, status: int) -> list[float]:
    """Send at most `n` requests to a loopback port, for at most ROUND_SECONDS; how many seconds each took.

    Raises CannotMeasure for another status, a lost connection, or more than a minute.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_fire(port, request, n, status))


async def _fire(port: int, request: Callable[[int], bytes], n: int, status: int) -> list[float]:
    loop = asyncio.get_running_loop()
    volley = _Volley(request, n, status, loop.create_future())
    lines = [await loop.create_connection(lambda: _Line(volley), "127.0.0.1", port) for _ in range(min(CONNECTIONS, n))]
    for _, line in lines:
        line.send_next()
    try:
        await asyncio.wait_for(volley.done, _PATIENCE_SECONDS)
    except TimeoutError as exc:
        raise CannotMeasure(f"{len(volley.seconds)} of {n} answers within {_PATIENCE_SECONDS} s") from exc
    finally:
        for transport, _ in lines:
            transport.close()
    return volley.seconds


class _Volley:
    """What the connections share: the next request to send, and what was measured."""

    def __init__(self, request: Callable[[int], bytes], n: int, status: int, done: "asyncio.Future[None]") -> None:
        self.request, self.n, self.status, self.done = request, n, status, done
        self.sent = 0
        self.until = perf_counter() + ROUND_SECONDS
        self.seconds: list[float] = []

    def more(self) -> bool:
        return self.sent < self.n and (self.sent == 0 or perf_counter() < self.until)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(CannotMeasure(why))


class _Line(asyncio.Protocol):
    def __init__(self, volley: _Volley) -> None:
        self._volley, self._got, self._started = volley, b"", 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's transports write but do not inherit

    def send_next(self) -> None:
        volley = self._volley
        if volley.more() and self._transport is not None:
            request = volley.request(volley.sent)
            volley.sent += 1
            self._started = perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        volley = self._volley
        volley.seconds.append(perf_counter() - self._started)
        self._got = b""
        if int(head[9:12]) != volley.status:
            volley.fail(f"expected {volley.status}, was answered {head[9:12].decode()}: {body[:300].decode()}")
        else:
            self.send_next()
            if len(volley.seconds) == volley.sent:
                volley.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._volley.fail(f"the server hung up: {exc}")


def _length(head: bytes) -> int:
    """Of the body. Raises CannotMeasure where the server does not say, which ours always do."""
    at = head.lower().find(b"content-length:")
    if at < 0:
        raise CannotMeasure("an answer without Content-Length")
    return int(head[at + 15 :].split(b"\r\n", 1)[0])
