"""What the law of a place wants on an invoice that bears its tax: rows of `data/documents/countries.yaml` (R-INV-5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

FILE: Final = files("app") / "data" / "documents" / "countries.yaml"
UNION: Final = "EU"
_KEYS: Final = frozenset({"place", "title", "seller", "oss", "currency", "until", "grade", "source"})


class BadCountryData(ValueError):
    """A row of the file is incomplete or contradicts another; the message names it."""


@dataclass(frozen=True, slots=True)
class PlaceRule:
    """`seller` is the type of the seller's number there, as in `shapes.TaxId`; `currency` what its tax is stated in."""

    place: str
    seller: str
    is_tax_invoice: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Countries:
    """`places` by jurisdiction; `currencies` of the member states, each with its last day, in order."""

    places: Mapping[str, PlaceRule]
    currencies: Mapping[str, tuple[tuple[date, str], ...]]
    oss: str

    def rule(self, jurisdiction: str) -> PlaceRule | None:
        """Of a jurisdiction or of the country it is in; of a member state that of the Union. None: nothing special."""
        country = jurisdiction.partition("-")[0]
        found = self.places.get(jurisdiction) or self.places.get(country)
        return found or (self.places[UNION] if country in self.currencies else None)

    def seller_id(self, jurisdiction: str) -> str:
        """The type of a number that the seller has there; under the one-stop shop the jurisdiction is `EU`."""
        rule = self.rule(jurisdiction)
        if jurisdiction == UNION:
            return self.oss
        return rule.seller if rule is not None else f"{jurisdiction[:2].lower()}_tin"

    def tax_currency(self, jurisdiction: str, on: date) -> str | None:
        """What tax of that place is stated in on this day, whatever the document is in; None: no law that we know."""
        country = jurisdiction.partition("-")[0]
        if country in self.currencies:
            return next(currency for last, currency in self.currencies[country] if on <= last)
        rule = self.rule(jurisdiction)
        return rule.currency or None if rule is not None else None


@cache
def load() -> Countries:
    """The rows that ship. Raises BadCountryData."""
    return read(yaml.safe_load(FILE.read_bytes()))


def read(document: Mapping[str, Any]) -> Countries:
    """Check and index the rows of a document. Raises BadCountryData."""
    sources = document["sources"]
    places: dict[str, PlaceRule] = {}
    oss = ""
    for row in document["places"]:
        place = _checked(row, sources)
        if place in places:
            raise BadCountryData(f"{place} is listed twice: join the two rows")
        if (
            row.get("title", "tax_invoice") != "tax_invoice"
            or not row.get("seller")
            or row.get("grade") not in {"A", "B"}
        ):
            raise BadCountryData(f"{place}: a row has a `seller`, a `grade` of A or B, and no `title` but tax_invoice")
        places[place] = PlaceRule(place, row["seller"], "title" in row, row.get("currency", ""))
        oss = row.get("oss", oss)
    currencies: dict[str, list[tuple[date, str]]] = {}
    for row in document["currencies"]:
        place = _checked(row, sources)
        currencies.setdefault(place, []).append((row.get("until", date.max), row["currency"]))
    for place, rows in currencies.items():
        days = [last for last, _ in rows]
        if days != sorted(set(days)) or days[-1] != date.max:
            raise BadCountryData(f"{place}: currencies in the order of their last days, the lasting one at the end")
    if UNION not in places or not oss:
        raise BadCountryData(f"{UNION}: the row of the Union is missing, with `seller` and `oss`")
    return Countries(places, {place: tuple(rows) for place, rows in currencies.items()}, oss)


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isupper()


def _checked(row: Mapping[str, Any], sources: Mapping[str, Any]) -> str:
    place = row.get("place")
    if not isinstance(place, str):
        raise BadCountryData(f"{row}: a place is a code in quotes where YAML would read another word (NO)")
    if unknown := row.keys() - _KEYS:
        raise BadCountryData(f"{place}: {sorted(unknown)} mean nothing here")
    if row.get("source") not in sources:
        raise BadCountryData(f"{place}: names no source of this file")
    if "currency" in row and not _is_currency(row["currency"]):
        raise BadCountryData(f"{place}: {row['currency']!r} is no currency")
    return place
