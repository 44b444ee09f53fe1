"""Whether a destination may be sold to, from dated and cited rows (`data/screening/destinations.yaml`).

A row holds for a whole country, or for those addresses in it that one of its postcodes, regions or cities describes:
ISO codes do not know the occupied parts of a country (tax.md §8).
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from app.core.errors import DomainError

_FILE: Final = Path(__file__).resolve().parents[1] / "data" / "screening" / "destinations.yaml"
Action = Literal["block", "hold"]


class DestinationRefused(DomainError):
    """451, which is also what the product's own servers understand as embargoed."""

    status, slug = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "destination-refused"
    title = "We are not allowed to deliver there"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is delivered, as its buyer wrote it; only the country is always there."""

    country: str
    postcode: str = ""
    region: str = ""
    city: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`postcodes` are beginnings; `regions` and `cities` names as `_word` has them; `valid_to` is the last day."""

    country: str
    action: Action
    valid_from: date
    valid_to: date | None
    postcodes: tuple[str, ...]
    regions: frozenset[str]
    cities: frozenset[str]
    source: str

    def matches(self, place: Place, on: date) -> bool:
        in_force = self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)
        if not in_force or place.country != self.country:
            return False
        if not (self.postcodes or self.regions or self.cities):
            return True
        return (
            (bool(self.postcodes) and _word(place.postcode).upper().startswith(self.postcodes))
            or _word(place.region) in self.regions
            or _word(place.city) in self.cities
        )


def _word(text: str) -> str:
    """Letters and digits alone, without accents and case: `Доне́цьк` and `донецьк`, `UA-43` and `ua43` are one."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if character.isalnum())


@cache
def rules() -> tuple[Rule, ...]:
    return tuple(_rule(row) for row in yaml.safe_load(_FILE.read_text("utf-8")))


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        country=row["country"], action=row["action"], valid_from=row["from"], valid_to=row.get("to"),
        postcodes=tuple(row.get("postcodes", ())), regions=frozenset(map(_word, row.get("regions", ()))),
        cities=frozenset(map(_word, row.get("cities", ()))), source=row["source"],
    )  # fmt: skip


def rule_for(place: Place, on: date) -> Rule | None:
    """The strictest rule that applies to an address on a day, or None."""
    found = [rule for rule in rules() if rule.matches(place, on)]
    return min(found, key=lambda rule: rule.action) if found else None


def partly(country: str, on: date) -> bool:
    """Whether a part of the country has a rule of its own, so that the country alone does not tell."""
    return any(
        rule.country == country and (rule.postcodes or rule.regions or rule.cities) and rule.valid_from <= on
        and (rule.valid_to is None or on <= rule.valid_to)
        for rule in rules()
    )  # fmt: skip


def require_allowed(place: Place, on: date) -> Rule | None:
    """The rule that has a person look first, or None. Raises DestinationRefused where it is forbidden."""
    rule = rule_for(place, on)
    if rule is not None and rule.action == "block":
        raise DestinationRefused(f"Export rules forbid us to deliver to this address ({rule.source}).", param="country")
    return rule
