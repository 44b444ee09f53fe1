"""How many servers a plan's license may be bound to, and how they show that they live (R-LIC-5).

One block `activations` of a plan in the catalog file, kept as JSON. Licenses read it; nothing else here does.
"""

from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_SHORTEST_HEARTBEAT: Final = 60


class Overage(StrEnum):
    """How far beyond the limit activations go, always with a finding: not at all, by a factor, without end."""

    NONE = "none"
    QUARTER = "1.25x"
    HALF = "1.5x"
    DOUBLE = "2x"
    ALWAYS = "always"


_FACTORS: Final = {
    Overage.NONE: Fraction(1), Overage.QUARTER: Fraction(5, 4), Overage.HALF: Fraction(3, 2),
    Overage.DOUBLE: Fraction(2),
}  # fmt: skip


class Cull(StrEnum):
    """What becomes of an activation that fell silent."""

    DEACTIVATE = "deactivate"  # its place is free again
    KEEP = "keep"  # it holds its place until somebody deactivates it


class Revive(StrEnum):
    """Whether a heartbeat that comes too late brings an activation back."""

    NEVER = "never"
    WITHIN = "within"  # for `revive_minutes` after it was due
    ALWAYS = "always"


class ActivationRules(BaseModel):
    """The block `activations` of a plan. `limit` left out: any number. `heartbeat_seconds` left out: none are wanted.

    `floating`: a seat is lent for as long as heartbeats come. `transfers`: how often customers and their servers may
    give up an activation within `transfer_days`; left out: as often as they like; staff always may.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int | None = Field(default=None, ge=1, le=1_000_000)
    overage: Overage = Overage.NONE
    floating: bool = False
    heartbeat_seconds: int | None = Field(default=None, ge=_SHORTEST_HEARTBEAT, le=31 * 86_400)
    cull: Cull = Cull.DEACTIVATE
    revive: Revive = Revive.NEVER
    revive_minutes: int | None = Field(default=None, ge=1, le=1440)
    transfers: int | None = Field(default=None, ge=0)
    transfer_days: int = Field(default=365, ge=1, le=3660)

    @model_validator(mode="before")
    @classmethod
    def floats_by_heartbeat(cls, given: Any) -> Any:
        """A floating seat lives by its heartbeat: every ten minutes unless the plan says otherwise."""
        if isinstance(given, dict) and given.get("floating") is True and "heartbeat_seconds" not in given:
            return {**given, "heartbeat_seconds": 600}
        return given

    @model_validator(mode="after")
    def makes_sense(self) -> Self:
        if fault := limit_fault(self.limit, self.overage):
            raise ValueError(fault)
        if self.floating and (self.heartbeat_seconds is None or self.cull is Cull.KEEP):
            raise ValueError("floating needs heartbeat_seconds and cull: deactivate, or no seat would come back")
        if self.floating and self.transfers is not None:
            raise ValueError("transfers has no meaning where floating gives seats back by itself; leave one out")
        if (self.revive is Revive.WITHIN) != (self.revive_minutes is not None):
            raise ValueError("revive_minutes belongs to revive: within, and only there")
        if self.revive is Revive.ALWAYS and self.cull is Cull.DEACTIVATE:
            raise ValueError("revive: always needs cull: keep, because what is deactivated is gone")
        if self.overage is not Overage.NONE and self.limit is None:
            raise ValueError("overage needs a limit to go beyond")
        return self

    @property
    def revive_seconds(self) -> int:
        """For how long after its lease ended an activation may still come back; it keeps its place as long."""
        return (self.revive_minutes or 0) * 60


def allowed(limit: int | None, overage: Overage) -> int | None:
    """How many activations there may be, overage included; None for any number."""
    if limit is None or overage is Overage.ALWAYS:
        return None
    return int(limit * _FACTORS[overage])


def limit_fault(limit: int | None, overage: Overage) -> str | None:
    """Why this limit cannot have this overage: places are whole. None where it can."""
    if limit is None or overage is Overage.ALWAYS:
        return None
    parts = _FACTORS[overage].denominator
    return f"overage {overage} needs a limit that {parts} divides; {limit} is none" if limit % parts else None
