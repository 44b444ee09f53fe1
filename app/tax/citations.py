"""On whose word a determination stands: the rows of the data on file that its charges came from, with their sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.tax.dataset import TaxData
from app.tax.eu import standard_rate
from app.tax.rates import Validity, on_day
from app.tax.ruling import percent


@dataclass(frozen=True, slots=True)
class Citation:
    """`says` is a rate in percent or whether something is taxed; days are included."""

    jurisdiction: str
    about: str
    says: str
    validity: Validity

    def to_json(self) -> dict[str, Any]:
        held = self.validity
        return {
            "jurisdiction": self.jurisdiction, "about": self.about, "says": self.says,
            "from": held.valid_from.isoformat(), "to": held.valid_to.isoformat() if held.valid_to else None,
            "grade": held.grade, "source": held.source.title, "retrieved": held.source.retrieved.isoformat(),
        }  # fmt: skip


def cite(data: TaxData, jurisdiction: str, on: date) -> list[Citation]:
    """What the data on file says of a jurisdiction on a day; nothing of one that has no rows."""
    return list(_rows(data, jurisdiction, on))


def _rows(data: TaxData, jurisdiction: str, on: date) -> Iterator[Citation]:
    country, _, part = jurisdiction.partition("-")
    if country == "US":
        yield from _united_states(data, jurisdiction, part, on)
    elif country == "CA":
        for levy in data.canada.levies:
            if levy.jurisdiction == jurisdiction and (rate := on_day(levy.rates, on)):
                yield Citation(jurisdiction, levy.name, percent(rate.rate), rate.validity)
    elif country in data.places.members:
        if rate := standard_rate(jurisdiction, data.places, data.eu_rates, on):
            yield Citation(jurisdiction, "VAT", percent(rate.rate), rate.validity)
    elif country in data.world and (rate := on_day(data.world[country].rates, on)):
        yield Citation(jurisdiction, data.world[country].tax, percent(rate.rate), rate.validity)


def _united_states(data: TaxData, jurisdiction: str, part: str, on: date) -> Iterator[Citation]:
    city = data.united_states.cities.get(jurisdiction)
    if city is not None:
        if rate := on_day(city.rates, on):
            yield Citation(jurisdiction, city.name, percent(rate.rate), rate.validity)
        return
    state = data.united_states.states.get(part)
    if state is None:
        return
    if rate := on_day(state.rates, on):
        yield Citation(jurisdiction, f"{state.name} sales tax", percent(rate.rate), rate.validity)
    for (kind, use), rows in sorted(state.rows.items()):
        if row := on_day(rows, on):
            yield Citation(jurisdiction, f"{kind} for {use} use", "taxed" if row.taxable else "not taxed", row.validity)
    for area in data.united_states.areas:
        if area.state == part and area.validity.covers(on):
            said = ", ".join(f"{charge.name} {percent(charge.rate)}" for charge in area.charges) or "nothing added"
            yield Citation(jurisdiction, f"local taxes of {area.name}", said, area.validity)
