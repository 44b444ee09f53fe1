"""Where an address lies for tax: members of the European Union and the places whose country code misleads.

Sources: Directive 2006/112/EC Art. 5 to 7; `app/data/tax/places.yaml` cites each row.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from app.tax.rates import BadTaxData, Document, Grade, RateRow, read_rates, read_sources, require_distinct
from app.tax.request import Buyer

Handling = Literal["as_country", "own_rate", "outside", "country", "review"]


@dataclass(frozen=True, slots=True)
class Member:
    code: str
    name: str
    since: date
    vat_prefix: str


@dataclass(frozen=True, slots=True)
class Territory:
    """A place inside, or addressed as if inside, another country. See places.yaml for what `handling` means."""

    code: str
    name: str
    within: str | None
    handling: Handling
    iso: frozenset[str]
    postcodes: tuple[str, ...]
    regions: frozenset[str]
    cities: frozenset[str]
    country: str | None
    region: str | None
    local_tax: str
    sovereign: bool
    grade: Grade


@dataclass(frozen=True, slots=True)
class Place:
    """The answer: the tax country, the region and postcode in one spelling, and the territory if it is one."""

    country: str
    region: str | None
    postcode: str
    city: str
    territory: Territory | None
    doubt: str = ""  # why the parts of the address cannot all be right, where that changes the tax

    @property
    def jurisdiction(self) -> str:
        """The code that rates are kept under: the country, or a territory with rates of its own."""
        if self.territory is not None and self.territory.handling in {"own_rate", "outside", "review"}:
            return self.territory.code
        return self.country

    @property
    def precision(self) -> str:
        return "country" if self.territory is None else "territory"


@dataclass(frozen=True, slots=True)
class Places:
    """Members, territories and aliases, as read from places.yaml."""

    aliases: Mapping[str, str]
    members: Mapping[str, Member]
    territories: tuple[Territory, ...]
    rates: Mapping[str, tuple[RateRow, ...]]

    def country(self, code: str) -> str:
        """One spelling of a country: EL is GR, UK is GB."""
        return self.aliases.get(code.upper(), code.upper())

    def is_member(self, country: str, on: date) -> bool:
        member = self.members.get(country)
        return member is not None and member.since <= on

    def seat(self, code: str) -> str:
        """The country that evidence or an establishment in this place speaks for: Monaco for France."""
        code = self.country(code)
        territory = next((t for t in self.territories if code in t.iso), None)
        if territory is None or territory.within is None or territory.sovereign:
            return code
        return territory.within

    def locate(self, buyer: Buyer) -> Place:
        """The place of a buyer's address. Without a postcode the country's own rules stand."""
        country = self.country(buyer.country)
        region = _region(buyer.region, country)
        postcode = _postcode(buyer.postcode, country)
        city = fold(buyer.city or "")
        territory = self._territory(country, region, postcode, city)
        if territory is None:
            return Place(country, region, postcode, city, None)
        doubt = self._doubt(territory, country, postcode)
        if territory.handling == "country":
            return Place(territory.country or country, None, postcode, city, None, doubt)
        home = territory.country if territory.handling == "as_country" else territory.within
        return Place(home or country, territory.region or region, postcode, city, territory, doubt)

    def _doubt(self, territory: Territory, country: str, postcode: str) -> str:
        """A town's or region's name against a postcode elsewhere: `Las Palmas` with a postcode of Madrid."""
        if country in territory.iso or not postcode or not territory.postcodes:
            return ""
        same = territory.handling == "as_country" and territory.country == country
        if same or postcode.startswith(territory.postcodes):
            return ""
        return f"The address names {territory.name}, but its postcode lies elsewhere in {territory.within}."

    def _territory(self, country: str, region: str | None, postcode: str, city: str) -> Territory | None:
        best: tuple[int, Territory] | None = None
        for territory in self.territories:
            if country in territory.iso:
                return territory
            if territory.within != country:
                continue
            match = max((len(p) for p in territory.postcodes if postcode.startswith(p)), default=0)
            if not match and (region in territory.regions or city in territory.cities):
                match = 1
            if match and (best is None or match > best[0]):
                best = (match, territory)
        return None if best is None else best[1]


def fold(text: str) -> str:
    """Case, accents and punctuation do not tell one city from another."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c)).split())


def _region(region: str | None, country: str) -> str | None:
    """The short code: `US-NY` and `ny` are NY."""
    if region is None or not region.strip():
        return None
    return region.strip().upper().removeprefix(f"{country}-")


def _postcode(postcode: str | None, country: str) -> str:
    """Letters and digits only, without the country in front: `P-9500-001` and `PT 9500-001` are 9500001."""
    text = (postcode or "").strip().upper()
    head, dash, tail = text.partition("-")
    if dash and head.isalpha() and tail[:1].isdigit():
        text = tail
    compact = "".join(c for c in text if c.isascii() and c.isalnum())
    return compact[2:] if compact[:2] == country and compact[2:3].isdigit() and country != "GB" else compact


def read_places(document: Document) -> Places:
    """Raises BadTaxData where a row is incomplete."""
    sources = read_sources(document)
    require_distinct((entry["code"] for entry in document["members"]), "members")
    require_distinct((entry["code"] for entry in document["territories"]), "territories")
    members = {
        entry["code"]: Member(entry["code"], entry["name"], entry["from"], entry.get("vat_prefix", entry["code"]))
        for entry in document["members"]
    }
    territories = tuple(_read_territory(entry, frozenset(sources)) for entry in document["territories"])
    rates: dict[str, list[Document]] = {}
    for entry in document["rates"]:
        rates.setdefault(entry["jurisdiction"], []).append(entry)
    own = {t.code for t in territories if t.handling == "own_rate"}
    if own != set(rates):
        raise BadTaxData(
            f"rates: territories with their own rate and rate rows differ: {sorted(own ^ set(rates))}: each treatment "
            "own_rate needs rows, and only those"
        )
    histories = {code: read_rates(rows, sources, code) for code, rows in rates.items()}
    return Places(document["aliases"], members, territories, histories)


def _read_territory(entry: Document, sources: frozenset[str]) -> Territory:
    code = entry["code"]
    if entry.get("source") not in sources:
        raise BadTaxData(f"territory {code}: source {entry.get('source')!r} is not listed: add it under `sources`")
    if (entry["grade"] == "C") != (entry["treatment"] == "review"):
        raise BadTaxData(
            f"territory {code}: grade C and only grade C is refused: give it the treatment review, or a grade"
        )
    if entry["treatment"] in {"as_country", "country"} and "country" not in entry:
        raise BadTaxData(f"territory {code}: treatment {entry['treatment']} needs a `country`: add it")
    return Territory(
        code=code,
        name=entry["name"],
        within=entry.get("within"),
        handling=entry["treatment"],
        iso=frozenset(entry.get("iso", ())),
        postcodes=tuple(entry.get("postcodes", ())),
        regions=frozenset(entry.get("regions", ())),
        cities=frozenset(fold(city) for city in entry.get("cities", ())),
        country=entry.get("country"),
        region=entry.get("region"),
        local_tax=entry.get("local_tax", ""),
        sovereign=entry.get("sovereign", False),
        grade=entry["grade"],
    )
