"""A registry that confirms tax numbers (VIES, HMRC, …), in our words."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """`status` is valid, invalid or unavailable; only the first two are conclusive."""

    status: str
    reference: str | None
    raw: bytes


class TaxIdRegistry(Protocol):
    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002 -- the API's own word
        """Never raises for a registry that is down: that is the status `unavailable` (R-TAX-5)."""
        ...
