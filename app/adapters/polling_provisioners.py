"""Provisioners of the vendor's own: every installation's but the sandbox's."""

from app.workspaces.provider import Listening


class PollingProvisioners:
    """They look for work by themselves, or are woken by a webhook; `listening` are those that are sent it as well."""

    def __init__(self, listening: Listening | None = None) -> None:
        self.listening = listening

    def ring(self) -> None:
        """They claim every few seconds; there is nobody to call."""
