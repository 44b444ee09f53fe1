"""The catalog file: its shape, checked before anything is compared or stored."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.catalog.errors import CatalogInvalid
from app.catalog.models import Family, Interval, PlanKind
from app.core.money import Money

Sku = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,60}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class PriceRow(_Strict):
    currency: Currency
    interval: Interval
    unit: str  # major units, quoted so that YAML makes no float of it
    valid_from: date = Field(alias="from")

    @property
    def unit_minor(self) -> int:
        return Money.from_major(self.unit, self.currency).minor

    @model_validator(mode="after")
    def is_an_amount(self) -> Self:
        if self.unit_minor <= 0:
            raise ValueError("unit must be above zero")
        return self


class PlanRow(_Strict):
    sku: Sku
    name: str = Field(min_length=1, max_length=80)
    kind: PlanKind
    family: Family
    tagline: str = ""
    position: int = 0
    sales_only: bool = False
    tax_code: Literal["saas_business", "software_download_business", "saas_personal", "software_download_personal"]
    license_sku: Literal["", "professional", "enterprise", "advanced", "entry", "E10", "E20"] = ""
    min_seats: int = Field(ge=1, default=1)
    max_seats: int = Field(ge=1, default=100_000)
    trial_days: int = Field(ge=0, default=0)
    grace_days: int = Field(ge=0, default=10)
    bullets: list[str] = []
    flags: dict[str, bool | int] = {}
    add_on_for: list[Sku] = []
    prices: list[PriceRow]

    @model_validator(mode="after")
    def makes_sense(self) -> Self:
        if self.max_seats < self.min_seats:
            raise ValueError("max_seats must be at least min_seats")
        if (self.kind is PlanKind.ADD_ON) != bool(self.add_on_for):
            raise ValueError("add_on_for names the plans of an add-on, and only of an add-on")
        if self.kind is PlanKind.PLAN and not self.license_sku:
            raise ValueError("a plan needs license_sku, the short name its license file carries")
        if len({(row.currency, row.interval, row.valid_from) for row in self.prices}) != len(self.prices):
            raise ValueError("two prices for the same currency, interval and day")
        return self


class RegistrationRow(_Strict):
    jurisdiction: str
    scheme: str
    number: str | None = None
    valid_from: date | None = Field(default=None, alias="from")
    valid_to: date | None = Field(default=None, alias="to")


class LegalEntityRow(_Strict):
    code: Sku
    name: str
    line1: str
    line2: str = ""
    city: str
    region: str = ""
    postcode: str
    country: Country
    email: str
    invoice_series: str = Field(pattern=r"^[A-Z0-9]{2,12}$")
    time_zone: str
    established: list[Country]
    oss: Literal["union", "non_union"] | None = None
    below_eu_threshold: bool = False
    elections: dict[str, str] = {}
    sells_to_consumers: bool = False
    payment_details: str = ""
    registrations: list[RegistrationRow] = []


class TermsRow(_Strict):
    key: Sku
    version: str
    title: str
    file: str
    effective_from: date


class CatalogFile(_Strict):
    legal_entities: list[LegalEntityRow] = Field(min_length=1)
    plans: list[PlanRow] = Field(min_length=1)
    terms: list[TermsRow] = Field(min_length=1)
    policies: dict[str, Any] = {}

    @field_validator("plans")
    @classmethod
    def skus_are_unique(cls, plans: list[PlanRow]) -> list[PlanRow]:
        skus = [plan.sku for plan in plans]
        if len(set(skus)) != len(skus):
            raise ValueError("two plans have the same sku")
        unknown = {sku for plan in plans for sku in plan.add_on_for} - set(skus)
        if unknown:
            raise ValueError(f"add_on_for names unknown plans: {', '.join(sorted(unknown))}")
        return plans


def read(path: Path) -> tuple[CatalogFile, dict[str, str]]:
    """The checked file and the text of each terms version by file name. Raises CatalogInvalid with every fault."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
        catalog = CatalogFile.model_validate(raw)
        texts = {row.file: (path.parent / row.file).read_text("utf-8") for row in catalog.terms}
    except OSError as exc:
        raise CatalogInvalid(f"{exc.filename}: {exc.strerror}.", param="file") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise CatalogInvalid(f"{path.name} is not YAML: {exc}", param="file") from exc
    except ValidationError as exc:
        faults = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()]
        raise CatalogInvalid("; ".join(faults), param="file") from exc
    return catalog, texts
