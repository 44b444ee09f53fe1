"""What differs between two versions of the tax data: every fact with its days, and the days on which answers differ."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from app.core.canonical import canonical_json
from app.tax.canada import Canada
from app.tax.dataset import TaxData, read_folder
from app.tax.places import Places
from app.tax.rates import EU_RATES_AS_OF, BadTaxData, RateRow, Validity
from app.tax.ruling import Charge, percent
from app.tax.us_data import TaxabilityRow, UnitedStates
from app.tax.world import Country

FORMAT: Final = 1
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fact:
    """One row: what `subject` is in a jurisdiction from a day to a day (None: always was, or until further notice)."""

    jurisdiction: str
    subject: str
    value: str
    grade: str = ""
    source: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.jurisdiction, self.subject


@dataclass(frozen=True, slots=True)
class Change:
    """`kind` is `answer` where a value or its grade differs, `source` where only the citation does. None: no row."""

    jurisdiction: str
    subject: str
    kind: Literal["answer", "source"]
    valid_from: date | None
    valid_to: date | None
    old: str | None
    new: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "jurisdiction": self.jurisdiction, "subject": self.subject, "kind": self.kind,
            "from": self.valid_from.isoformat() if self.valid_from else None,
            "to": self.valid_to.isoformat() if self.valid_to else None, "old": self.old, "new": self.new,
        }  # fmt: skip

    def sentence(self) -> str:
        days = f"from {self.valid_from}" if self.valid_from else "from the beginning"
        if self.valid_to:
            days += f" to {self.valid_to}"
        what = " (source only)" if self.kind == "source" else ""
        return f"{self.jurisdiction} {self.subject}{what}, {days}: {self.old or 'no row'} -> {self.new or 'no row'}"


def facts(data: TaxData) -> list[Fact]:
    """Every row of the data, in a fixed order."""
    found = [
        *_of_places(data.places),
        *(
            Fact("*", f"product {name}", canonical_json([product.code, product.kind, product.use]).decode())
            for name, product in data.products.items()
        ),
        *(fact for code in data.places.members for fact in _rates(code, "rate", data.eu_rates.history(code))),
        *(fact for country in data.world.values() for fact in _of_country(country)),
        *_of_canada(data.canada),
        *_of_states(data.united_states),
        *_of_cities(data.united_states),
    ]
    return sorted(found, key=lambda fact: (*fact.key, fact.valid_from or date.min))


def _dated(jurisdiction: str, subject: str, value: str, validity: Validity) -> Fact:
    source = f"{validity.source.title} (read {validity.source.retrieved})"
    return Fact(jurisdiction, subject, value, validity.grade, source, validity.valid_from, validity.valid_to)


def _rates(jurisdiction: str, subject: str, rows: Sequence[RateRow]) -> Iterator[Fact]:
    return (_dated(jurisdiction, subject, f"{percent(row.rate)} %", row.validity) for row in rows)


def _words(**values: object) -> str:
    """Named values on one line, empty ones left out, sets in a fixed order."""
    shown = {
        key: " ".join(sorted(value) if isinstance(value, frozenset) else map(str, value))
        if isinstance(value, frozenset | tuple)
        else str(value)
        for key, value in values.items()
        if value
    }
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _of_places(places: Places) -> Iterator[Fact]:
    for alias, code in places.aliases.items():
        yield Fact(code, f"alias {alias}", code)
    for member in places.members.values():
        yield Fact(member.code, "member of the Union", f"VAT prefix {member.vat_prefix}", valid_from=member.since)
    for each in places.territories:
        value = _words(
            treatment=each.handling, within=each.within, country=each.country, region=each.region, iso=each.iso,
            postcodes=each.postcodes, regions=each.regions, cities=each.cities, sovereign=each.sovereign,
        )  # fmt: skip
        yield Fact(each.code, "territory", value, each.grade)
    for code, rows in places.rates.items():
        yield from _rates(code, "rate", rows)


def _of_country(country: Country) -> Iterator[Fact]:
    value = _words(
        tax=country.tax, business=country.business, ids=country.ids, registered_in=country.registered_in,
        note=country.note,
    )  # fmt: skip
    yield Fact(country.code, "rule", value)
    yield from _rates(country.code, "rate", country.rates)


def _of_canada(canada: Canada) -> Iterator[Fact]:
    for levy in canada.levies:
        value = _words(provinces=levy.provinces, registered_in=levy.registered_in, relieving_number=levy.id)
        yield Fact(levy.jurisdiction, f"{levy.name} rule", value)
        yield from _rates(levy.jurisdiction, f"{levy.name} rate", levy.rates)
        for kind, since in levy.taxed_from.items():
            yield Fact(levy.jurisdiction, f"{levy.name} {kind}", "taxable", valid_from=since)


def _of_states(us: UnitedStates) -> Iterator[Fact]:
    for state in us.states.values():
        yield Fact(state.jurisdiction, "local taxes", state.local)
        yield from _rates(state.jurisdiction, "rate", state.rates)
        for (kind, buyer), rows in state.rows.items():
            for row in rows:
                yield _dated(state.jurisdiction, f"{kind} {buyer}", _taxability(row), row.validity)
    for election in us.elections:
        value = _words(effect=election.effect, charges=_charges(election.charges))
        yield _dated(f"US-{election.state}", f"election {election.name}", value, election.validity)


def _of_cities(us: UnitedStates) -> Iterator[Fact]:
    for area in us.areas:
        value = _words(zips=area.zips, cities=area.cities, charges=_charges(area.charges) or "nothing")
        yield _dated(f"US-{area.state}", f"local {area.name}", value, area.validity)
    for city in us.cities.values():
        yield Fact(city.jurisdiction, "rule", _words(city=city.city, zips=city.zips, taxed=city.taxed))
        yield from _rates(city.jurisdiction, "rate", city.rates)


def _taxability(row: TaxabilityRow) -> str:
    if not row.taxable:
        return "not taxable" + (f" as long as {row.condition}" if row.condition else "")
    rate = f" at {percent(row.rate)} %" if row.rate is not None else ""
    return f"taxable{rate}" + (f" on {percent(row.portion)} % of the price" if row.portion != 100 else "")


def _charges(charges: Sequence[Charge]) -> str:
    return " + ".join(f"{each.jurisdiction} {each.name} {percent(each.rate)} %" for each in charges)


def snapshot(data: TaxData) -> dict[str, Any]:
    """All facts as JSON, to be compared with later."""
    return {
        "format": FORMAT, "version": data.version, "eu_rates_as_of": EU_RATES_AS_OF.isoformat(),
        "facts": [
            {
                "jurisdiction": each.jurisdiction, "subject": each.subject, "value": each.value, "grade": each.grade,
                "source": each.source, "from": each.valid_from.isoformat() if each.valid_from else None,
                "to": each.valid_to.isoformat() if each.valid_to else None,
            }
            for each in facts(data)
        ],
    }  # fmt: skip


def read(path: Path) -> list[Fact]:
    """The facts of a folder of data files (with the EU rates installed here) or of a saved snapshot.

    Raises BadTaxData, naming what cannot be used.
    """
    if path.is_dir():
        return facts(read_folder(path))
    try:
        stored = json.loads(path.read_text("utf-8"))
        if stored["format"] != FORMAT:
            raise BadTaxData(f"{path.name}: format {stored['format']!r} is not {FORMAT}: make the snapshot anew")
        return [_fact(entry) for entry in stored["facts"]]
    except OSError as exc:
        raise BadTaxData(f"{path}: {exc.strerror}: give a folder of data files or a snapshot") from exc
    except (ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, BadTaxData):
            raise
        raise BadTaxData(f"{path.name}: is no snapshot ({exc}): make one with `blp tax snapshot`") from exc


def _fact(entry: Mapping[str, Any]) -> Fact:
    days = [date.fromisoformat(entry[key]) if entry[key] else None for key in ("from", "to")]
    return Fact(
        entry["jurisdiction"], entry["subject"], entry["value"], entry["grade"], entry["source"], days[0], days[1]
    )


def differences(old: Sequence[Fact], new: Sequence[Fact]) -> list[Change]:
    """The days on which the two say different things, by jurisdiction and subject; adjoining equal days are one."""
    before, after = _by_key(old), _by_key(new)
    return [
        change
        for key in sorted({*before, *after})
        for change in _compared(key, before.get(key, ()), after.get(key, ()))
    ]


def _by_key(given: Sequence[Fact]) -> Mapping[tuple[str, str], Sequence[Fact]]:
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in given:
        found[fact.key].append(fact)
    return found


def _compared(key: tuple[str, str], old: Sequence[Fact], new: Sequence[Fact]) -> Iterator[Change]:
    starts = {fact.valid_from or date.min for fact in (*old, *new)}
    starts |= {fact.valid_to + _DAY for fact in (*old, *new) if fact.valid_to is not None and fact.valid_to < date.max}
    edges = sorted(starts)
    pending: Change | None = None
    for start, following in zip(edges, [*edges[1:], None], strict=True):
        end = None if following is None else following - _DAY
        found = _difference(key, _on(old, start), _on(new, start), None if start == date.min else start, end)
        if pending and found and (pending.kind, pending.old, pending.new) == (found.kind, found.old, found.new):
            found = Change(*key, found.kind, pending.valid_from, end, found.old, found.new)
        elif pending:
            yield pending
        pending = found
    if pending:
        yield pending


def _on(given: Sequence[Fact], day: date) -> Fact | None:
    inside = (f for f in given if (f.valid_from or date.min) <= day and (f.valid_to is None or day <= f.valid_to))
    return next(inside, None)


def _difference(
    key: tuple[str, str], old: Fact | None, new: Fact | None, start: date | None, end: date | None
) -> Change | None:
    said = [None if fact is None else f"{fact.value}{f' [{fact.grade}]' if fact.grade else ''}" for fact in (old, new)]
    if said[0] != said[1]:
        return Change(*key, "answer", start, end, said[0], said[1])
    sources = [fact.source if fact else None for fact in (old, new)]
    return None if sources[0] == sources[1] else Change(*key, "source", start, end, sources[0], sources[1])
