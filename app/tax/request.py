"""What a determination is made from (R-TAX-1): plain values, no table, no clock.

Country codes are ISO 3166-1 alpha-2; jurisdictions are `DE`, `US-NY`, `CA-QC` or a city, `US-IL-CHICAGO`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

from app.core.canonical import canonical_json, sha256_hex

# Of a tax number.
_DECIDING: Final = ("type", "value", "status")
BuyerType = Literal["business", "consumer"]


@dataclass(frozen=True, slots=True)
class Registration:
    """A tax number of the seller. `valid_from` and `valid_to` are inclusive days; None is open."""

    jurisdiction: str
    scheme: str
    valid_from: date | None = None
    valid_to: date | None = None
    number: str | None = None

    @property
    def country(self) -> str:
        """Also of a registration in a part of a country that taxes as one: India registers by state."""
        return self.jurisdiction.partition("-")[0]

    def in_force(self, on: date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Seller:
    """The legal entity that sells. `elections` are choices by jurisdiction, such as {"US-AL": "ssut"}."""

    country: str
    established: frozenset[str] = frozenset()
    registrations: tuple[Registration, ...] = ()
    oss: Literal["union", "non_union"] | None = None
    below_eu_threshold: bool = False
    elections: Mapping[str, str] = field(default_factory=dict)

    def registration(self, jurisdiction: str, on: date) -> Registration | None:
        """The registration in force on that day, if there is one."""
        return next((r for r in self.registrations if r.jurisdiction == jurisdiction and r.in_force(on)), None)

    def one_stop_shop(self, on: date) -> Literal["union", "non_union"] | None:
        """`oss`, or what a registration under a one-stop-shop scheme says on that day."""
        if self.oss is not None:
            return self.oss
        # The import one-stop shop (IOSS) is for goods.
        held = [(r.jurisdiction, r.scheme.casefold()) for r in self.registrations if r.in_force(on)]
        schemes = [
            scheme for at, scheme in held
            if ("oss" in scheme and "ioss" not in scheme) or (at == "EU" and "union" in scheme)
        ]  # fmt: skip
        if any("non" in scheme for scheme in schemes):
            return "non_union"
        return "union" if schemes else None

    def established_in(self) -> frozenset[str]:
        """Countries with a seat or a fixed establishment; the country of the entity is always one."""
        return frozenset({self.country} | {place.partition("-")[0] for place in self.established})


@dataclass(frozen=True, slots=True)
class TaxId:
    """A buyer's number. `type` as Stripe names it; only status `valid` is proof, every other is not.

    `check`, `checked_at` (ISO 8601) and `reference` are the evidence for it; they decide nothing.
    """

    type: str
    value: str
    status: str = "unchecked"  # valid | invalid | unavailable | unchecked
    check: str | None = None
    checked_at: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Exemption:
    """A buyer's certificate for one jurisdiction. `expires` is its last day."""

    jurisdiction: str
    reason: str = ""
    number: str = ""
    signed: date | None = None
    expires: date | None = None
    status: str = "active"

    def relieves(self, jurisdiction: str, on: date) -> bool:
        """A date past `expires` never exempts, whatever the status says; nor does one before the signature."""
        return (
            self.jurisdiction == jurisdiction
            and self.status.casefold() in {"active", "valid", "verified", "accepted"}
            and (self.expires is None or on <= self.expires)
            and (self.signed is None or self.signed <= on)
        )


@dataclass(frozen=True, slots=True)
class Buyer:
    country: str
    region: str | None = None
    postcode: str | None = None
    city: str | None = None
    type: BuyerType = "consumer"
    tax_ids: tuple[TaxId, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    street: str | None = None  # known only where a provider is asked, which looks closer than our own rows


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item that says where the buyer is: billing_address, ip, card, sim, landline or other."""

    kind: str
    country: str


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` is the total of the line in minor units of the request's currency; negative for a credit."""

    tax_code: str
    amount: int
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One document to be taxed. `date` is the day of supply, which decides every rate and rule (R-TAX-3)."""

    seller: Seller
    buyer: Buyer
    lines: tuple[Line, ...]
    currency: str
    date: date
    evidence: tuple[Evidence, ...] = ()

    def evidence_with_address(self) -> tuple[tuple[str, str], ...]:
        """(kind, country) of every item; the stated address is the billing address where none is listed."""
        items = tuple((item.kind, item.country) for item in self.evidence)
        if any(kind == "billing_address" for kind, _ in items):
            return items
        return (("billing_address", self.buyer.country), *items)

    def inputs_hash(self) -> str:
        """As `hash_of` has it."""
        return hash_of(to_json(self))


def _plain(value: Any) -> Any:
    """Dataclasses, sets, mappings and dates as JSON values; sets and mappings in a fixed order."""
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {name: _plain(getattr(value, name)) for name in value.__slots__}


# The seller of the last request: a billing run asks thousands of times for one and the same, whose registrations are
# most of what there is to write.
_written: list[tuple[Seller, dict[str, Any]]] = []


def _seller(seller: Seller) -> dict[str, Any]:
    last = _written[0] if _written else None  # looked at once: another thread may be at it with another seller
    if last is None or last[0] is not seller:
        last = (seller, _plain(seller))
        _written[:] = [last]
    return last[1]


def to_json(request: Request) -> dict[str, Any]:
    """The request as plain JSON values, to be kept beside its answer."""
    parts = {name: getattr(request, name) for name in request.__slots__}
    return {name: _seller(part) if isinstance(part, Seller) else _plain(part) for name, part in parts.items()}


def hash_of(plain: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of every input that decides, of what `to_json` wrote: equal requests have equal
    hashes. The evidence for the status of a tax number is not among them.
    """
    deciding = [{name: each[name] for name in _DECIDING} for each in plain["buyer"]["tax_ids"]]
    return sha256_hex(canonical_json({**plain, "buyer": plain["buyer"] | {"tax_ids": deciding}}))


def from_json(stored: Mapping[str, Any]) -> Request:
    """The request that `to_json` wrote. What was written before a field existed has its default."""
    seller, buyer = stored["seller"], stored["buyer"]
    return Request(
        seller=Seller(**seller | {
            "established": frozenset(seller["established"]),
            "registrations": tuple(
                Registration(**each | {"valid_from": _day(each["valid_from"]), "valid_to": _day(each["valid_to"])})
                for each in seller["registrations"]
            ),
        }),
        buyer=Buyer(**buyer | {
            "tax_ids": tuple(TaxId(**each) for each in buyer["tax_ids"]),
            "exemptions": tuple(
                Exemption(**each | {"signed": _day(each["signed"]), "expires": _day(each["expires"])})
                for each in buyer["exemptions"]
            ),
        }),
        lines=tuple(Line(**each) for each in stored["lines"]), currency=stored["currency"],
        date=date.fromisoformat(stored["date"]), evidence=tuple(Evidence(**each) for each in stored["evidence"]),
    )  # fmt: skip


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written is not None else None
