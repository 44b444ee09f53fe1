"""What the operator decided against, or for want of, the shipped rows (R-TAX-7): plain values, no table, no clock.

An override takes the place of rate and taxability rows of one jurisdiction. It does not make a registration, confirm a
number or replace a certificate: those are asked as before (R-TAX-4). Where several cover a sale, one for its very tax
code comes before one for every code, then one for its kind of buyer before one for both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from app.tax.rates import RateRow, Source, Validity
from app.tax.request import BuyerType
from app.tax.ruling import Override, Ruling, Treatment

ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Kept:
    """One override with what it covers. `tax_code` and `buyer` may be `any`; both days are included."""

    override: Override
    tax_code: str
    buyer: str
    valid_from: date
    valid_to: date | None

    def covers(self, tax_code: str, buyer: BuyerType, on: date) -> bool:
        return (
            self.tax_code in {ANY, tax_code}
            and self.buyer in {ANY, buyer}
            and self.valid_from <= on
            and (self.valid_to is None or on <= self.valid_to)
        )

    @property
    def precision(self) -> tuple[bool, bool]:
        return self.tax_code != ANY, self.buyer != ANY


class Overrides:
    """All of them by jurisdiction; rows of one key never overlap (the table excludes it)."""

    def __init__(self, rows: Iterable[Kept] = ()) -> None:
        self._rows: dict[str, list[Kept]] = {}
        for row in rows:
            self._rows.setdefault(row.override.jurisdiction, []).append(row)

    def find(self, jurisdiction: str, tax_code: str, buyer: BuyerType, on: date) -> Override | None:
        found = [row for row in self._rows.get(jurisdiction, ()) if row.covers(tax_code, buyer, on)]
        return max(found, key=lambda row: row.precision).override if found else None


@dataclass(frozen=True, slots=True)
class Standing:
    """What overrides say of one product sold to one kind of buyer on one day."""

    overrides: Overrides
    tax_code: str
    buyer: BuyerType
    on: date

    def of(self, jurisdiction: str) -> Override | None:
        return self.overrides.find(jurisdiction, self.tax_code, self.buyer, self.on)

    def row(self, jurisdiction: str) -> tuple[RateRow | None, tuple[Override, ...]]:
        """The rate to be used instead of the one on file, with the override that says so; nothing where none does."""
        found = self.of(jurisdiction)
        if found is None or found.rate is None:
            return None, ()
        return RateRow(found.rate, Validity(self.on, None, "A", Source(found.source, self.on))), (found,)


NONE: Final = Overrides()


def uncharged(found: Override | None, where: str, precision: str) -> Ruling | None:
    """The ruling of an override that charges nothing or holds the sale; None where it charges, or there is none."""
    if found is None or found.treatment is Treatment.STANDARD:
        return None
    return Ruling(
        found.treatment, found.jurisdiction, f"Decided by the operator for {where}. {cited(found)}", precision,
        note=found.note, overrides=(found,),
    )  # fmt: skip


def cited(found: Override) -> str:
    return f"Operator override {found.id}: {found.source}."
