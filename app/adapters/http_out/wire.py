"""A connection to addresses that were checked, that ends at a deadline and takes in only so much.

A timeout per read is no protection: a peer that sends one byte now and then never meets it. Here every
operation gets what is left of one deadline, from the name lookup to the last byte.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

import httpcore

T = TypeVar("T")


class AnswerTooLong(Exception):
    """The peer sent more than we take."""


class Deadline:
    """`seconds` of real time from now."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain. Raises TimeoutError when none do."""
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def bound(self, call: Callable[[], T]) -> T:
        """Run something that has no timeout of its own, such as a name lookup. Raises TimeoutError, or its OSError."""
        outcome: SimpleQueue[T | OSError] = SimpleQueue()

        def run() -> None:
            try:
                outcome.put(call())
            except OSError as exc:
                outcome.put(exc)

        Thread(target=run, daemon=True).start()
        try:
            got = outcome.get(timeout=self.left())
        except Empty:
            raise TimeoutError from None
        if isinstance(got, OSError):
            raise got
        return got


class _Stream(httpcore.NetworkStream):
    def __init__(self, peer: socket.socket, deadline: Deadline, budget: list[int]) -> None:
        self._peer, self._deadline, self._budget = peer, deadline, budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 -- ours is the deadline
        self._peer.settimeout(self._deadline.left())
        taken = self._peer.recv(max_bytes)
        self._budget[0] -= len(taken)
        if self._budget[0] < 0:
            raise AnswerTooLong
        return taken

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 -- ours is the deadline
        rest = memoryview(buffer)
        try:
            while rest:
                self._peer.settimeout(self._deadline.left())
                rest = rest[self._peer.send(rest) :]
        except TimeoutError:
            raise
        except OSError as exc:  # httpcore then still reads the answer of a peer that did not want the whole body
            raise httpcore.WriteError(str(exc)) from exc

    def close(self) -> None:
        self._peer.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 -- ours is the deadline
    ) -> httpcore.NetworkStream:
        self._peer.settimeout(self._deadline.left())
        try:
            wrapped = ssl_context.wrap_socket(self._peer, server_hostname=server_hostname)
        except Exception:
            self.close()
            raise
        return _Stream(wrapped, self._deadline, self._budget)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._peer if isinstance(self._peer, ssl.SSLSocket) else None
        return self._peer if info == "socket" else None


class PinnedNetwork(httpcore.NetworkBackend):
    """Connects to `addresses` in turn, whatever the host is called: the name was resolved and checked before."""

    def __init__(self, addresses: Sequence[str], deadline: Deadline, most_bytes: int) -> None:
        self._addresses, self._deadline, self._most_bytes = addresses, deadline, most_bytes

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 -- deliberately not used: that is the pin
        port: int,
        timeout: float | None = None,  # noqa: ARG002 -- ours is the deadline
        local_address: str | None = None,  # noqa: ARG002 -- the system chooses
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 -- none are set
    ) -> httpcore.NetworkStream:
        failure: OSError = ConnectionRefusedError()
        for position, address in enumerate(self._addresses):
            share = self._deadline.left() / (len(self._addresses) - position)
            try:
                peer = socket.create_connection((address, port), timeout=share)
            except OSError as exc:
                failure = exc
                continue
            return _Stream(peer, self._deadline, [self._most_bytes])
        raise failure
