"""Tasks sent to provisioners that listen: POSTs signed as Standard Webhooks, to addresses the operator set (R-PRV-2).

The way out is the guarded one: what resolves to an address inside a private network is not called.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.webhooks import signing
from app.webhooks.provider import HttpOut, Reply


@dataclass(frozen=True, slots=True)
class Listener:
    """`secret` as it is shown, `whsec_` and base64; `regions` it takes tasks of, none for all."""

    url: str
    secret: str
    key_id: str
    regions: frozenset[str] = frozenset()


class PushedTasks:
    def __init__(self, http: HttpOut, listeners: Sequence[Listener]) -> None:
        self._http, self._listeners = http, tuple(listeners)

    def key_for(self, region: str) -> str | None:
        """The first that names the region; else the first that takes all."""
        named = (each.key_id for each in self._listeners if region in each.regions)
        return next(named, next((each.key_id for each in self._listeners if not each.regions), None))

    def push(self, key_id: str, content: bytes, *, message_id: str, at: datetime) -> Reply:
        listener = next(each for each in self._listeners if each.key_id == key_id)
        secret = b64decode(listener.secret.removeprefix("whsec_"), validate=True)
        return self._http.post(listener.url, content, signing.headers([secret], message_id, at, content))
