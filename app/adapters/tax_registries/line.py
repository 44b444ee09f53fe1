"""The line to a registry: a bounded request whose every failure is a word, never an exception of the library."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import BoundedSemaphore, Lock
from typing import Any, Final

import httpx

from app.core.db import require_no_transaction
from app.tax.provider import RegistryAnswer

_MOST_BYTES: Final = 64 * 1024
# Our words for what went wrong on the way, beside those the registries have.
UNREACHABLE, TIMEOUT, UNREADABLE, BUSY = "UNREACHABLE", "TIMEOUT", "UNREADABLE_REPLY", "BUSY_HERE"


class Silence(Exception):
    """No usable answer; `code` says why, `raw` is what came of one."""

    def __init__(self, code: str, raw: bytes = b"", *, again: bool = True) -> None:
        super().__init__(code)
        self.code, self.raw, self.again = code, raw, again

    def answer(self, registry: str) -> RegistryAnswer:
        return RegistryAnswer("unavailable", None, self.raw, registry=registry, code=self.code, again=self.again)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    raw: bytes

    def json(self) -> dict[str, Any]:
        """The object in it. Raises Silence for anything else."""
        try:
            found = json.loads(self.raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Silence(UNREADABLE, self.raw)
        return found


@cache
def _trust() -> ssl.SSLContext:
    """Public certificate authorities; reading them takes a few hundredths of a second, so once per process."""
    return httpx.create_ssl_context(trust_env=False)


class Line:
    """Requests to one registry. It follows no redirect and asks no proxy; `seconds` bounds each step of an exchange."""

    def __init__(self, base_url: str, *, seconds: float) -> None:
        self._base_url, self._seconds = base_url.rstrip("/"), seconds

    def send(
        self, method: str, path: str = "", *, body: object = None, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """Raises Silence where nothing readable comes back in time."""
        require_no_transaction()
        client = httpx.Client(timeout=self._seconds, trust_env=False, verify=_trust())
        try:
            with (
                client,
                client.stream(
                    method, f"{self._base_url}{path}", json=body, data=form, headers=dict(headers or {})
                ) as response,
            ):
                raw = bytearray()
                for part in response.iter_bytes():
                    raw += part
                    if len(raw) > _MOST_BYTES:
                        raise Silence(UNREADABLE)
                return Reply(response.status_code, bytes(raw))
        except httpx.TimeoutException:
            raise Silence(TIMEOUT) from None
        except httpx.HTTPError:
            raise Silence(UNREACHABLE) from None


class Turns:
    """One request at a time for each key, from this process: registries refuse callers that ask in parallel."""

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._making = Lock()
        self._turns: dict[str, BoundedSemaphore] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Raises Silence when the turn does not come in `patience` seconds."""
        with self._making:
            turn = self._turns.setdefault(key, BoundedSemaphore())
        if not turn.acquire(timeout=self._patience):
            raise Silence(BUSY)
        try:
            yield
        finally:
            turn.release()
