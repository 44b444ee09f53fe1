"""Posting to addresses that other people chose, without becoming their tool (S21)."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from app.core.db import require_no_transaction
from app.webhooks.provider import Reply

_SECONDS: Final = 10
_MOST_BYTES: Final = 64 * 1024


class GuardedHttpOut:
    """Resolves once, checks every address it gets, connects to the checked one, follows nothing.

    `allow_loopback` is for the sandbox, whose receivers run beside it.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback

    def refusal(self, url: str) -> str | None:
        _, reason = self._target(url)
        return reason

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        require_no_transaction()
        address, reason = self._target(url)
        if address is None:
            return Reply(None, reason)
        parts = urlsplit(url)
        host = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl()
        sent = {**headers, "Host": parts.netloc.rpartition("@")[2]}
        try:
            # The name is checked by TLS although we connect to the address; no proxies from the environment.
            with (
                httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream(
                    "POST", pinned, content=body, headers=sent, extensions={"sni_hostname": parts.hostname or ""}
                ) as response,
            ):
                taken = 0
                for chunk in response.iter_raw():
                    taken += len(chunk)
                    if taken > _MOST_BYTES:
                        break
                return Reply(response.status_code, None)
        except httpx.HTTPError as exc:
            return Reply(None, type(exc).__name__)

    def _target(self, url: str) -> tuple[str | None, str | None]:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None, "This is not an address; it should look like https://hooks.example.com/blp."
        if parts.scheme != "https" and not (self._allow_loopback and parts.scheme == "http"):
            return None, "Use https, so that nobody on the way can read or change what is sent."
        if not parts.hostname or parts.username or parts.password:
            return None, "Give a host name, without a user name or password in the address."
        try:
            found = socket.getaddrinfo(parts.hostname, port or 443, type=socket.SOCK_STREAM)
        except OSError:
            return None, f"The name {parts.hostname} is not known."
        addresses = {str(each[4][0]) for each in found}
        if any(not self._permitted(address) for address in addresses):
            return None, "This name leads to an address inside a private network; use one that is public."
        return min(addresses), None

    def _permitted(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
        return bool(inner.is_global and not inner.is_multicast) or (self._allow_loopback and ip.is_loopback)
