"""Whether a destination may be sold to, from dated and cited rows (`data/screening/destinations.yaml`)."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

import yaml

from app.core.errors import DomainError

_FILE: Final = Path(__file__).resolve().parents[1] / "data" / "screening" / "destinations.yaml"
Action = Literal["block", "hold"]


class DestinationRefused(DomainError):
    """451, which is also what the product's own servers understand as embargoed."""

    status, slug = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "destination-refused"
    title = "We are not allowed to deliver there"


@dataclass(frozen=True, slots=True)
class Rule:
    country: str
    action: Action
    valid_from: date
    valid_to: date | None
    postcodes: tuple[str, ...]
    source: str

    def matches(self, country: str, postcode: str, on: date) -> bool:
        in_force = self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)
        digits = "".join(character for character in postcode if character.isalnum()).upper()
        return in_force and country == self.country and (not self.postcodes or digits.startswith(self.postcodes))


@cache
def rules() -> tuple[Rule, ...]:
    rows = yaml.safe_load(_FILE.read_text("utf-8"))
    return tuple(
        Rule(
            country=row["country"], action=row["action"], valid_from=row["from"], valid_to=row.get("to"),
            postcodes=tuple(row.get("postcodes", ())), source=row["source"],
        )
        for row in rows
    )  # fmt: skip


def rule_for(country: str, postcode: str, on: date) -> Rule | None:
    """The strictest rule that applies to an address on a day, or None."""
    found = [rule for rule in rules() if rule.matches(country, postcode, on)]
    return min(found, key=lambda rule: rule.action) if found else None
