"""Posting to addresses that other people chose, without becoming their tool (S21)."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

import httpcore
import httpx

from app.adapters.http_out.addresses import Refused, Target, parse, permitted
from app.adapters.http_out.wire import AnswerTooLong, Deadline, PinnedNetwork
from app.core.db import require_no_transaction
from app.webhooks.provider import Reply

SECONDS: Final = 10.0
_MOST_BYTES: Final = 64 * 1024
# Enough to get past one dead host of several without giving each too little time.
_MOST_ADDRESSES: Final = 4

# What went wrong, in our words: the peer's own are never repeated. The first that fits counts.
_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (AnswerTooLong, "It answered with more than 64 KB before any status."),
    (ssl.SSLCertVerificationError, "Its certificate could not be verified."),
    (ConnectionRefusedError, "It refused the connection."),
    (httpcore.ProtocolError, "What it answered is not HTTP."),
    (Exception, "The connection broke off."),
)

Resolve = Callable[[str, int], Sequence[str]]


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a name in the order the system prefers (RFC 6724). Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@cache
def _trust() -> ssl.SSLContext:
    """Public certificate authorities only; reading them takes a few hundredths of a second, so once per process."""
    return httpx.create_ssl_context(trust_env=False)


class GuardedHttpOut:
    """Resolves once, checks every address it gets, connects to a checked one, follows nothing.

    `allow_loopback` is for the sandbox, whose receivers run beside it; `seconds` bounds the whole exchange;
    `trust` replaces the public certificate authorities, for an installation that has its own.
    """

    def __init__(
        self, *, allow_loopback: bool, resolve: Resolve = system_resolver, seconds: float = SECONDS,
        trust: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._allow_loopback, self._resolve, self._seconds, self._trust = allow_loopback, resolve, seconds, trust

    def refusal(self, url: str) -> str | None:
        require_no_transaction()
        try:
            self._checked(parse(url), Deadline(self._seconds))
        except Refused as refused:
            return str(refused)
        except TimeoutError:
            return "The name could not be looked up in time; try again in a moment."
        return None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        require_no_transaction()
        deadline = Deadline(self._seconds)
        try:
            target = parse(url)
            addresses = self._checked(target, deadline)
            return Reply(self._exchange(target, addresses, deadline, body, headers), None)
        except Refused as refused:
            return Reply(None, str(refused))
        except TimeoutError:
            return Reply(None, f"It did not answer within {self._seconds:g} seconds.")
        except (AnswerTooLong, OSError, httpcore.NetworkError, httpcore.ProtocolError) as exc:
            return Reply(None, next(words for kind, words in _WORDS if isinstance(exc, kind)))

    def _checked(self, target: Target, deadline: Deadline) -> Sequence[str]:
        if target.literal:
            return permitted(target, [target.host], allow_loopback=self._allow_loopback)
        try:
            found = deadline.bound(lambda: self._resolve(target.host, target.port))
        except TimeoutError:
            raise
        except OSError:
            found = []
        return permitted(target, found, allow_loopback=self._allow_loopback)[:_MOST_ADDRESSES]

    def _exchange(
        self, target: Target, addresses: Sequence[str], deadline: Deadline, body: bytes, headers: Mapping[str, str]
    ) -> int:
        """The status of the answer. Its body is read to be polite, up to the limits, and thrown away."""
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        own = {"Host": target.host_header, "Content-Length": str(len(body)), "Connection": "close"}
        sent: list[tuple[bytes | str, bytes | str]] = [*headers.items(), *own.items()]
        network = PinnedNetwork(addresses, deadline, _MOST_BYTES)
        with (
            httpcore.ConnectionPool(
                ssl_context=self._trust or _trust(), network_backend=network, max_connections=1
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body) as response,
        ):
            # The receiver has answered; how it ends its body changes nothing.
            with contextlib.suppress(AnswerTooLong, OSError, httpcore.NetworkError, httpcore.ProtocolError):
                for _ in response.iter_stream():
                    pass
            return response.status
