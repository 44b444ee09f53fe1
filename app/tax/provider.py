"""A registry that confirms tax numbers (VIES, HMRC, …), in our words."""

from dataclasses import dataclass
from typing import Final, Protocol

# The code of an answer for a kind of number that no registry of this installation knows about.
NO_REGISTRY: Final = "NO_REGISTRY"


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """`status` is valid, invalid or unavailable; only the first two are conclusive.

    `reference` is the registry's own number of the consultation, where it gives one. `code` is its word for an
    inconclusive answer, and `again` whether asking later may help. `name` and `address` stand as the registry
    writes them, empty where it tells nothing.
    """

    status: str
    reference: str | None
    raw: bytes
    registry: str = ""
    code: str = ""
    again: bool = False
    name: str = ""
    address: str = ""


class TaxIdRegistry(Protocol):
    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002 -- the API's own word
        """`value` as `tax.service.normalized` writes it. Never raises for a registry that is down: that is the
        status `unavailable` (R-TAX-5).
        """
        ...
