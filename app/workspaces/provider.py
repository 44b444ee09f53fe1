"""The way to those who do the work."""

from datetime import datetime
from typing import Protocol

from app.webhooks.provider import Reply


class Listening(Protocol):
    """Provisioners that take tasks where they listen, instead of coming for them."""

    def key_for(self, region: str) -> str | None:
        """The id of the API key with which the one for this region reports; None where nobody listens for it."""
        ...

    def push(self, key_id: str, content: bytes, *, message_id: str, at: datetime) -> Reply:
        """Send one task, signed. 202 says it is taken; nothing else does. `at` is real time."""
        ...


class Provisioners(Protocol):
    @property
    def listening(self) -> Listening | None:
        """None where all of them come by themselves."""
        ...

    def ring(self) -> None:
        """Say that work waits to be claimed. A ring that is lost costs time, never work."""
        ...
