"""The tables behind the United States rule: states, taxability, elections, areas and cities that collect alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from app.tax.places import Place, fold
from app.tax.rates import (
    BadTaxData,
    Document,
    RateRow,
    Validity,
    on_day,
    read_decimal,
    read_rate,
    read_rates,
    read_sources,
    read_validity,
    require_chain,
    require_distinct,
)
from app.tax.request import BuyerType, Seller
from app.tax.ruling import Charge

Local = Literal["none", "few", "add_on"]
PORTION_MAX = Decimal(100)


@dataclass(frozen=True, slots=True)
class TaxabilityRow:
    """Whether a state taxes a product. `rate` replaces the state's own; `portion` is percent of the price."""

    taxable: bool
    rate: Decimal | None
    portion: Decimal
    condition: str
    validity: Validity


@dataclass(frozen=True, slots=True)
class State:
    code: str
    name: str
    local: Local
    rates: tuple[RateRow, ...]
    rows: Mapping[tuple[str, BuyerType], tuple[TaxabilityRow, ...]]

    @property
    def jurisdiction(self) -> str:
        return f"US-{self.code}"

    @property
    def without_tax(self) -> bool:
        return self.local == "none" and all(row.rate == 0 for row in self.rates)

    def taxability(self, kind: str, use: BuyerType) -> tuple[TaxabilityRow, ...]:
        return self.rows[kind, use]


@dataclass(frozen=True, slots=True)
class Election:
    """A choice or fact the seller states for one state. See us.yaml for the effects."""

    state: str
    name: str
    effect: Literal["local", "flat", "not_taxable", "review"]
    charges: tuple[Charge, ...]
    validity: Validity


@dataclass(frozen=True, slots=True)
class Area:
    """Where known local taxes apply, by ZIP prefix or city. No charges means that nothing is added there."""

    state: str
    name: str
    zips: tuple[str, ...]
    cities: frozenset[str]
    charges: tuple[Charge, ...]
    validity: Validity


@dataclass(frozen=True, slots=True)
class City:
    """A city that collects its own tax under its own registration."""

    jurisdiction: str
    name: str
    city: str
    zips: tuple[str, ...]
    taxed: frozenset[str]
    rates: tuple[RateRow, ...]


@dataclass(frozen=True, slots=True)
class UnitedStates:
    states: Mapping[str, State]
    elections: tuple[Election, ...]
    areas: tuple[Area, ...]
    cities: Mapping[str, City]

    def election(self, state: State, seller: Seller, on: date) -> Election | str | None:
        """The election in force, the bare name of one that has no rule on that day, or None for no election.

        A registration's scheme may name the election too. Rates for remote sellers are not for a seller with an
        establishment in the state.
        """
        registration = seller.registration(state.jurisdiction, on)
        known = [e for e in self.elections if e.state == state.code]
        named = seller.elections.get(state.jurisdiction)
        if named is None and registration is not None and any(e.name == registration.scheme for e in known):
            named = registration.scheme
        if named is None:
            return None
        found = on_day([e for e in known if e.name == named], on)
        if found is not None and found.charges and state.jurisdiction in seller.established:
            return None
        return found or named

    def knows(self, state: State, election: str) -> bool:
        """Whether there is such an election in the state, on whatever day."""
        return any(e.state == state.code and e.name == election for e in self.elections)

    def area(self, state: State, place: Place, on: date) -> Area | str | None:
        """The area of an address, a sentence where ZIP and city disagree, or None where no row matches."""
        areas = [a for a in self.areas if a.state == state.code and a.validity.covers(on)]
        by_city = next((a for a in areas if place.city and place.city in a.cities), None)
        if not place.postcode:
            return by_city
        ranked = [(len(z), a) for a in areas for z in a.zips if place.postcode.startswith(z)]
        by_zip = max(ranked, key=lambda found: found[0])[1] if ranked else None
        if by_city is not None and by_zip is not by_city:
            return f"the ZIP does not lie within {by_city.name} as far as is known"
        return by_zip


def matches_city(place: Place, city: City | None, code: str) -> bool | None:
    """Whether an address is in a city: by its name, else by ZIP; None where neither is stated."""
    if place.city:
        return place.city == (city.city if city else code.casefold().replace("-", " "))
    if place.postcode and city is not None:
        return place.postcode.startswith(city.zips)
    return None


def read_states(document: Document) -> UnitedStates:
    """States and elections of us.yaml. Raises BadTaxData where a row is incomplete, overlaps or leaves a gap."""
    sources = read_sources(document)
    require_distinct((entry["code"] for entry in document["states"]), "states")
    states = {entry["code"]: _read_state(entry, sources) for entry in document["states"]}
    elections = tuple(_read_election(entry, sources) for entry in document["elections"])
    for state, name in dict.fromkeys((e.state, e.name) for e in elections):
        require_chain([e for e in elections if (e.state, e.name) == (state, name)], f"election {state} {name}")
    _require_known({e.state for e in elections}, states)
    return UnitedStates(states, elections, (), {})


def read_local(document: Document, base: UnitedStates) -> UnitedStates:
    """The areas and cities of us_local.yaml beside what `read_states` found. Raises BadTaxData."""
    sources = read_sources(document)
    areas = tuple(
        Area(
            entry["state"], entry["name"], tuple(entry["zips"]), frozenset(map(fold, entry["cities"])),
            _read_charges(entry["components"]), read_validity(entry, sources, entry["name"]),
        )
        for entry in document["areas"]
    )  # fmt: skip
    require_distinct((entry["jurisdiction"] for entry in document["cities"]), "cities")
    cities = {
        entry["jurisdiction"]: City(
            entry["jurisdiction"], entry["name"], fold(entry["city"]), tuple(entry["zips"]), frozenset(entry["taxed"]),
            read_rates(entry["rates"], sources, entry["name"]),
        )
        for entry in document["cities"]
    }  # fmt: skip
    _require_known({a.state for a in areas} | {code.split("-")[1] for code in cities}, base.states)
    _require_areas_apart(areas)
    return replace(base, areas=areas, cities=cities)


def _require_known(named: set[str], states: Mapping[str, State]) -> None:
    if unknown := named - set(states):
        raise BadTaxData(f"no such state: {sorted(unknown)}: use a code of us.yaml")


def _read_state(entry: Document, sources: Document) -> State:
    code = entry["code"]
    rows: dict[tuple[str, BuyerType], tuple[TaxabilityRow, ...]] = {}
    buyers: tuple[BuyerType, ...] = ("business", "consumer")
    for kind in ("saas", "download"):
        for buyer in buyers:
            what = f"{code} {kind} {buyer}"
            chosen = [e for e in entry[kind] if e.get("buyer", "any") in {"any", buyer}]
            rows[kind, buyer] = tuple(_read_taxability(e, sources, what) for e in chosen)
            require_chain(rows[kind, buyer], what)
    return State(code, entry["name"], entry["local"], read_rates(entry["rates"], sources, code), rows)


def _read_taxability(entry: Document, sources: Document, what: str) -> TaxabilityRow:
    portion = read_decimal(entry.get("portion", "100"), f"{what}: portion")
    if not 0 < portion <= PORTION_MAX:
        raise BadTaxData(
            f"{what}: portion {portion} is not a percentage of the price: write more than 0 and at most 100"
        )
    rate = read_rate(entry["rate"], what) if "rate" in entry else None
    return TaxabilityRow(
        entry["taxable"], rate, portion, entry.get("condition", ""), read_validity(entry, sources, what)
    )


def _read_election(entry: Document, sources: Document) -> Election:
    what = f"election {entry['state']} {entry['name']}"
    charges = _read_charges(entry.get("components", ()))
    if (entry["effect"] in {"local", "flat"}) != bool(charges):
        raise BadTaxData(
            f"{what}: an effect that charges needs components, and no other has any: see the top of that list"
        )
    return Election(entry["state"], entry["name"], entry["effect"], charges, read_validity(entry, sources, what))


def _read_charges(entries: tuple[Document, ...] | list[Document]) -> tuple[Charge, ...]:
    return tuple(Charge(e["jurisdiction"], e["name"], read_rate(e["rate"], e["name"])) for e in entries)


def _require_areas_apart(areas: tuple[Area, ...]) -> None:
    """One ZIP prefix and one city of one state lead to one area at a time."""
    seen: dict[tuple[str, str], list[Area]] = {}
    for area in areas:
        for prefix in (*area.zips, *sorted(area.cities)):
            for other in seen.setdefault((area.state, prefix), []):
                if other.validity.covers(area.validity.valid_from) or area.validity.covers(other.validity.valid_from):
                    raise BadTaxData(
                        f"{area.state} {prefix}: {area.name} overlaps {other.name}: keep it in one of them"
                    )
            seen[area.state, prefix].append(area)
