"""The way out to addresses that customers and operators chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status, or None with the reason why nothing did. Bodies are never kept (S21)."""

    status: int | None
    error: str | None


class HttpOut(Protocol):
    def refusal(self, url: str) -> str | None:
        """Why this address may not be called, in words for its owner; None if it may."""
        ...

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One POST within ten seconds, no redirects, only to addresses that are allowed at this moment."""
        ...
