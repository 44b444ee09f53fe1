"""The operator's overrides as they are kept: recorded with their source, ended, never edited (R-TAX-7, ADR 0047)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final, Literal

from psycopg.errors import ExclusionViolation
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.core import audit
from app.core.db import Tx
from app.core.errors import DomainError, Invalid, NotFound
from app.core.ids import new_id
from app.tax.dataset import load
from app.tax.models import TaxOverride
from app.tax.names import country_codes
from app.tax.overrides import ANY, Kept, Overrides
from app.tax.rates import HIGHEST_RATE
from app.tax.ruling import Override, Treatment

TREATMENTS: Final = (
    Treatment.STANDARD, Treatment.PRODUCT_EXEMPT, Treatment.ZERO_RATED, Treatment.REVERSE_CHARGE,
    Treatment.OUTSIDE_SCOPE, Treatment.NEEDS_REVIEW,
)  # fmt: skip
BUYERS: Final = (ANY, "business", "consumer")
_LONGEST: Final = 1000
_PLACES: Final = 5  # what the columns hold
_CITY: Final = re.compile(r"US-[A-Z]{2}-[A-Z][A-Z .'-]{0,40}")
_DAY: Final = timedelta(days=1)


class OverrideOverlaps(DomainError):
    slug: ClassVar[str] = "override-overlaps"
    title: ClassVar[str] = "Another override covers some of these days"


class OverrideEnded(DomainError):
    slug: ClassVar[str] = "override-ended"
    title: ClassVar[str] = "This override has ended already"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An override to be. `rate` and `portion` in percent; `rate` None with `standard` means the rate on file."""

    jurisdiction: str
    treatment: str
    source: str
    why: str
    valid_from: date
    valid_to: date | None = None
    tax_code: str = ANY
    buyer: str = ANY
    rate: Decimal | None = None
    portion: Decimal = Decimal(100)
    alone: bool = False
    note: str = ""


def record(tx: Tx, wanted: Wanted, *, by: str, now: datetime) -> TaxOverride:
    """Keep an override. Raises Invalid (naming the field), OverrideOverlaps."""
    jurisdiction, tax_code = _jurisdiction(wanted.jurisdiction), _tax_code(wanted.tax_code)
    _require_sound(wanted, jurisdiction)
    row = TaxOverride(
        id=new_id("tov"), jurisdiction=jurisdiction, tax_code=tax_code, buyer_type=wanted.buyer,
        treatment=wanted.treatment, rate=wanted.rate, portion=wanted.portion, alone=wanted.alone,
        note=wanted.note.strip(), valid_from=wanted.valid_from, valid_to=wanted.valid_to,
        source=wanted.source.strip(), why=wanted.why.strip(), recorded_by=by, recorded_at=now,
    )  # fmt: skip
    try:
        with tx.begin_nested():
            tx.add(row)
            tx.flush()
    except IntegrityError as exc:
        if not isinstance(exc.orig, ExclusionViolation):
            raise
        raise OverrideOverlaps(
            f"Another override covers {tax_code} for {wanted.buyer} buyers in {jurisdiction} on some of these days:"
            " end that one first.", param="valid_from",
        ) from exc  # fmt: skip
    audit.record(tx, audit.SYSTEM, actor=by, action="tax.override_recorded", subject=row.id, now=now,
                 details=_told(row))  # fmt: skip
    return row


def end(tx: Tx, override_id: str, *, last_day: date, why: str, by: str, now: datetime, today: date) -> TaxOverride:
    """Let an override hold up to a day, yesterday at the earliest; one that had not begun by then is withdrawn.

    Raises NotFound, OverrideEnded, Invalid.
    """
    row = tx.execute(
        select(TaxOverride).where(col(TaxOverride.id) == override_id).with_for_update()
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such override.")
    if row.ended_at is not None or (row.valid_to is not None and row.valid_to < today):
        raise OverrideEnded(f"It holds up to {row.valid_to}." if not row.withdrawn else "It was withdrawn.")
    if last_day < today - _DAY:
        raise Invalid("What was decided with it stays; its last day is yesterday or later.", param="last_day")
    if row.valid_to is not None and last_day > row.valid_to:
        raise Invalid(f"It ends on {row.valid_to} as it is: record another one for the days after.", param="last_day")
    row.withdrawn = last_day < row.valid_from
    if not row.withdrawn:
        row.valid_to = last_day
    row.ended_at, row.ended_by, row.ended_why = now, by, _words(why, "note", "Say why; it goes into the audit log.")
    details = {"last_day": last_day.isoformat(), "withdrawn": row.withdrawn, "why": row.ended_why}
    audit.record(tx, audit.SYSTEM, actor=by, action="tax.override_ended", subject=row.id, now=now, details=details)
    return row


def state_of(row: TaxOverride, today: date) -> Literal["scheduled", "active", "expired", "withdrawn"]:
    """Whether it counts for a supply of today."""
    if row.withdrawn:
        return "withdrawn"
    if row.valid_to is not None and row.valid_to < today:
        return "expired"
    return "scheduled" if row.valid_from > today else "active"


def get(tx: Tx, override_id: str) -> TaxOverride:
    """Raises NotFound."""
    row = tx.get(TaxOverride, override_id)
    if row is None:
        raise NotFound("There is no such override.")
    return row


def every(tx: Tx) -> Sequence[TaxOverride]:
    """All of them, ended ones too, by jurisdiction and the youngest first."""
    query = select(TaxOverride).order_by(col(TaxOverride.jurisdiction), col(TaxOverride.id).desc())
    return tx.execute(query).scalars().all()


_COUNTED: Final = select(TaxOverride).where(col(TaxOverride.withdrawn).is_(False)).order_by(col(TaxOverride.id))


def in_force(tx: Tx) -> Overrides:
    """Every override that was ever meant to count, for the engine, in one query; the day of supply picks among them."""
    return Overrides(_kept(row) for row in tx.execute(_COUNTED).scalars())


def _kept(row: TaxOverride) -> Kept:
    override = Override(
        row.id, row.jurisdiction, Treatment(row.treatment), row.source, row.rate, row.portion, row.alone, row.note
    )
    return Kept(override, row.tax_code, row.buyer_type, row.valid_from, row.valid_to)


def _jurisdiction(text: str) -> str:
    """A code that the engine asks overrides about. Raises Invalid."""
    code, data = text.strip().upper(), load()
    states = {f"US-{state}" for state in data.united_states.states}
    provinces = {f"CA-{province}" for province in data.canada.provinces}
    apart = {"own_rate", "outside", "review"}  # these have a code of their own; a country's code stands for the others
    territories = {each.code for each in data.places.territories if each.handling in apart}
    by_iso = {iso: each.code for each in data.places.territories for iso in each.iso if each.handling in apart}
    code = by_iso.get(code, code)
    countries = country_codes() - {"US"}
    if code not in states | provinces | territories | countries and not _CITY.fullmatch(code):
        raise Invalid(
            "Give a jurisdiction such as DE, US-DC, CA-BC or US-IL-CHICAGO; the United States tax by state.",
            param="jurisdiction",
        )
    return data.places.country(code) if len(code) == len("DE") else code


def _tax_code(text: str) -> str:
    """The code itself for an alias of it. Raises Invalid."""
    code = text.strip()
    products = load().products
    if code in {"", ANY}:
        return ANY
    if code not in products:
        raise Invalid(f"Give {ANY}, or one of {', '.join(sorted({p.code for p in products.values()}))}.",
                      param="tax_code")  # fmt: skip
    return products[code].code


def _require_sound(wanted: Wanted, jurisdiction: str) -> None:
    if wanted.treatment not in set(TREATMENTS):
        raise Invalid(f"Choose one of {', '.join(TREATMENTS)}.", param="treatment")
    if wanted.buyer not in BUYERS:
        raise Invalid(f"Choose one of {', '.join(BUYERS)}.", param="buyer_type")
    if wanted.treatment == Treatment.REVERSE_CHARGE and wanted.buyer != "business":
        raise Invalid("Only a business can account for the tax: choose business buyers.", param="buyer_type")
    _require_figures(wanted, jurisdiction)
    if wanted.valid_to is not None and wanted.valid_to < wanted.valid_from:
        raise Invalid("It ends before it begins.", param="valid_to")
    _words(wanted.source, "source", "Say on whose word: a statute, a ruling, an adviser's letter and its date.")
    _words(wanted.why, "why", "Say why; it goes into the audit log.")
    if len(wanted.note) > _LONGEST:
        raise Invalid(f"At most {_LONGEST} characters.", param="note")


def _require_figures(wanted: Wanted, jurisdiction: str) -> None:
    charges = wanted.treatment == Treatment.STANDARD
    if wanted.rate is not None and not charges:
        raise Invalid("Only standard has a rate: leave it empty.", param="rate")
    if charges and wanted.rate is None and not jurisdiction.startswith(("US-", "CA")):
        raise Invalid("Give the rate in percent.", param="rate")
    if wanted.rate is not None and not (_fits(wanted.rate) and 0 < wanted.rate <= HIGHEST_RATE):
        raise Invalid(
            f"Give more than 0 and at most {HIGHEST_RATE} percent; what is not charged is product_exempt.", param="rate"
        )
    if not (_fits(wanted.portion) and 0 < wanted.portion <= 100) or (wanted.portion != 100 and not charges):
        raise Invalid("Give the taxed part of the price in percent; only standard has one.", param="portion")
    if wanted.alone and wanted.rate is None:
        raise Invalid("Only a rate can stand without local taxes: give it.", param="alone")


def _fits(number: Decimal) -> bool:
    return number.is_finite() and number == round(number, _PLACES)


def _words(text: str, param: str, remedy: str) -> str:
    plain = text.strip()
    if not plain:
        raise Invalid(remedy, param=param)
    if len(plain) > _LONGEST:
        raise Invalid(f"At most {_LONGEST} characters.", param=param)
    return plain


def _told(row: TaxOverride) -> dict[str, object]:
    return {
        "jurisdiction": row.jurisdiction, "tax_code": row.tax_code, "buyer_type": row.buyer_type,
        "treatment": row.treatment, "rate": None if row.rate is None else f"{row.rate.normalize():f}",
        "portion": f"{row.portion.normalize():f}", "alone": row.alone, "from": row.valid_from.isoformat(),
        "to": row.valid_to.isoformat() if row.valid_to else None, "source": row.source, "why": row.why,
    }  # fmt: skip
