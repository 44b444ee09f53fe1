"""How many servers a license is bound to, how many there may be, and who holds a place (R-LIC-5). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from app.catalog.activation_rules import ActivationRules, allowed, limit_fault
from app.core.errors import Invalid
from app.licenses import heartbeat
from app.licenses.heartbeat import Life


@dataclass(frozen=True, slots=True)
class Terms:
    """What the plan says, and the limit that staff gave instead, if any."""

    rules: ActivationRules
    override: int | None = None

    @property
    def limit(self) -> int | None:
        """How many were bought; None for any number."""
        return self.rules.limit if self.override is None else self.override

    @property
    def allowed(self) -> int | None:
        """The limit with the overage that the plan bears; None for any number."""
        return allowed(self.limit, self.rules.overage)


@dataclass(frozen=True, slots=True)
class Place:
    """One server in its numbered place."""

    id: str
    slot: int
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class Binding:
    """What validation knows about the servers of a license. Remembered: nothing in it depends on the time."""

    terms: Terms
    places: Mapping[str, Place]

    @classmethod
    def read(cls, rules: dict[str, Any] | None, override: int | None, places: dict[str, Any] | None) -> Self | None:
        """From what the database says in one row; None for a plan that binds no servers.

        `places` maps fingerprints to `[id, slot, lease_until as ISO 8601 or null]`.
        """
        if rules is None:
            return None
        found = {
            fingerprint: Place(name, slot, None if until is None else datetime.fromisoformat(until))
            for fingerprint, (name, slot, until) in (places or {}).items()
        }
        return cls(Terms(ActivationRules.model_validate(rules), override), MappingProxyType(found))

    def in_use(self, real_now: datetime) -> int:
        """How many places are taken; those that gave way by silence are not."""
        return sum(not self._gave_way(place, real_now) for place in self.places.values())

    def standing(self, fingerprint: str, real_now: datetime) -> "Standing":
        """Counts those who gave way only for a server without a place: a job frees their places every minute."""
        place = self.places.get(fingerprint)
        if place is None:
            return Standing(None, self.in_use(real_now))
        most = self.terms.allowed
        return Standing(
            place, len(self.places), dead=heartbeat.life(place.lease_until, real_now) is Life.DEAD,
            too_many=most is not None and place.slot > most,
        )  # fmt: skip

    def _gave_way(self, place: Place, real_now: datetime) -> bool:
        return heartbeat.gives_way(self.terms.rules, place.lease_until, real_now)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one server stands. `too_many`: its place is beyond what is allowed since the limit was lowered."""

    place: Place | None
    in_use: int
    dead: bool = False
    too_many: bool = False


def require_divisible(most: int, rules: ActivationRules) -> int:
    """A limit that staff may give. Raises Invalid where the plan's overage does not divide it."""
    if fault := limit_fault(most, rules.overage):
        raise Invalid(f"The plan's {fault}.", param="most")
    return most
