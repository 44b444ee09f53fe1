"""From which sales on a seller has to register: thresholds by jurisdiction, dated, cited and graded (R-TAX-4).

They only warn. What they say decides no tax, so they are no part of the data version of a determination.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal

from app.core.money import Money, exponent
from app.tax.dataset import FOLDER, parse
from app.tax.rates import (
    BadTaxData,
    Source,
    Validity,
    on_day,
    read_decimal,
    read_sources,
    read_validity,
    require_chain,
    require_distinct,
)
from app.tax.shape import check

Counts = Literal["gross", "retail", "taxable", "consumers", "all", "cross_border"]
Measured = Literal["calendar", "rolling"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """`amount` 0: the first sale is enough. `both` says that amount and `transactions` have to be reached together."""

    amount: Money
    transactions: int | None
    both: bool
    counts: Counts
    period: Measured
    note: str
    validity: Validity


@dataclass(frozen=True, slots=True)
class Place:
    """A jurisdiction, with its thresholds oldest first."""

    jurisdiction: str
    name: str
    thresholds: tuple[Threshold, ...]

    def on(self, day: date) -> Threshold | None:
        return on_day(self.thresholds, day)


# Art. 59c Directive 2006/112/EC: sales across borders to consumers of the whole Union by a seller in one member state.
EU_DISTANCE: Final = Place(
    "EU", "other member states", (
        Threshold(
            Money(1_000_000, "EUR"), None, False, "cross_border", "calendar",
            "from then on the VAT of the buyer's state is due",
            Validity(date(2021, 7, 1), None, "A", Source("Directive 2006/112/EC Art. 59c", date(2026, 11, 22))),
        ),
    ),
)  # fmt: skip


@cache
def load() -> Mapping[str, Place]:
    """Every place with a threshold, by jurisdiction. Raises BadTaxData where a file breaks its own rules."""
    return read_folder(FOLDER)


def read_folder(folder: Traversable) -> Mapping[str, Place]:
    """Raises BadTaxData, naming file, row and remedy."""
    found: list[Place] = []
    for name, rows, key in (("us_nexus.yaml", "states", "code"), ("world_nexus.yaml", "countries", "country")):
        document = parse(name, (folder / name).read_bytes())
        try:
            check(name, document)
            sources = read_sources(document)
            prefix = "US-" if rows == "states" else ""
            found += [_place(f"{prefix}{entry[key]}", entry, sources) for entry in document[rows]]
            require_distinct((place.jurisdiction for place in found), rows)
        except BadTaxData as exc:
            raise BadTaxData(f"{name}: {exc}") from exc
    return {place.jurisdiction: place for place in found}


def _place(jurisdiction: str, entry: Mapping[str, Any], sources: Mapping[str, Source]) -> Place:
    currency = entry.get("currency", "USD")
    rows = tuple(_threshold(row, currency, sources, jurisdiction) for row in entry["thresholds"])
    require_chain(rows, jurisdiction)
    return Place(jurisdiction, entry["name"], rows)


def _threshold(row: Mapping[str, Any], currency: str, sources: Mapping[str, Source], what: str) -> Threshold:
    whole = read_decimal(row["amount"], f"{what}: amount")
    if whole < 0 or whole != whole.to_integral_value():
        raise BadTaxData(f'{what}: amount {whole} is not a whole amount: write it like "100000"')
    if ("transactions" in row) != ("join" in row):
        raise BadTaxData(f"{what}: transactions and join belong together: write both or none")
    return Threshold(
        Money(int(whole * Decimal(10) ** exponent(currency)), currency), row.get("transactions"),
        row.get("join") == "and", row["counts"], row["period"], row.get("note", ""), read_validity(row, sources, what),
    )  # fmt: skip
