"""The way to those who do the work."""

from typing import Protocol


class Provisioners(Protocol):
    def ring(self) -> None:
        """Say that work waits to be claimed. A ring that is lost costs time, never work."""
        ...
