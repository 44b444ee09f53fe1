"""How the sandbox's outside parties call BLP, which is this very installation."""

import ssl
from functools import cache

import httpx


def client(base_url: str = "", *, seconds: float = 10) -> httpx.Client:
    """A client that asks no proxy and reads the certificates of the system once per process."""
    return httpx.Client(base_url=base_url, timeout=seconds, trust_env=False, verify=_trust())


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
