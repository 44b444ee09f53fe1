"""The outside parties of tax, in our words: registries that confirm numbers (VIES, HMRC, …), and a service that
computes tax (Stripe Tax).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from app.tax.request import Request
from app.tax.ruling import Treatment

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


@dataclass(frozen=True, slots=True)
class Share:
    """What one jurisdiction asks of one line, in minor units, as the provider computed it.

    `rate` in percent, None where nothing is imposed. `taxable` is the base it was computed on. `word` is the provider's
    own for why.
    """

    jurisdiction: str
    name: str
    rate: Decimal | None
    taxable: int
    amount: int
    treatment: Treatment
    word: str


@dataclass(frozen=True, slots=True)
class ComputedLine:
    tax: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Computed:
    """A computation: `lines` by their position in the question, those without an amount left out. `version` names the
    interface that answered, `expires_at` is when the provider forgets it, `raw` the whole answer.
    """

    ref: str
    version: str
    expires_at: datetime | None
    lines: Mapping[int, ComputedLine]
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sale in the provider's own books; `lines` are its ids of lines by their position on the document, from 0."""

    ref: str
    reference: str
    lines: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a credit note gives back of one recorded line: positive minor units. `position` as on the invoice."""

    line_ref: str
    position: int
    net: int
    tax: int


class TaxProvider(Protocol):
    """Asked outside any transaction. `key` is the caller's: the same key never does anything twice.

    Every call raises TaxUnavailable (no answer, ask again), TaxRefused (an answer that will stay no).
    """

    name: str  # as kept with what it computed
    title: str  # as people read it

    def compute(self, question: Request, *, exempt: bool, key: str) -> Computed:
        """`exempt` where a certificate relieves the buyer. The question's lines with an amount are asked about."""
        ...

    def record(self, computation_ref: str, *, reference: str, key: str) -> Recorded:
        """Put the sale of a computation in the provider's books, under the number of its invoice."""
        ...

    def reverse(self, sale_ref: str, parts: Sequence[TakenBack], *, reference: str, currency: str, key: str) -> str:
        """Take back exactly these parts of a recorded sale, under the number of the credit note; its id there."""
        ...

    def recorded(self, sale_ref: str) -> Recorded:
        """A sale that is in the provider's books, looked up by its id there."""
        ...
