"""The catalog file: its shape, checked before anything is compared or stored."""

from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.catalog import export_classes
from app.catalog.activation_rules import ActivationRules
from app.catalog.discounts import DECIMALS
from app.catalog.errors import CatalogInvalid
from app.catalog.models import CouponDuration, Family, Interval, PlanKind
from app.catalog.pricing import TIERED, PriceKind, PriceModel, Tier
from app.core.errors import Invalid
from app.core.money import Money

Sku = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,60}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


# What is printed in one line: it has an end, and no line breaks or control characters.
Printed = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TierRow(_Strict):
    up_to: int | None = Field(default=None, ge=1)  # left out in the last tier
    unit: str
    flat: str = "0"


class PriceRow(_Strict):
    """Amounts are major units, quoted so that YAML makes no floats of them."""

    currency: Currency
    interval: Interval
    model: PriceKind = PriceKind.PER_UNIT
    unit: str | None = None  # of the models without tiers
    tiers: list[TierRow] = []
    package_size: int | None = Field(default=None, ge=1)
    base: str = "0"
    valid_from: date = Field(alias="from")
    valid_to: date | None = Field(default=None, alias="to")  # the first day after

    @property
    def pricing(self) -> PriceModel:
        def minor(text: str) -> int:
            return Money.from_major(text, self.currency).minor

        tiers = tuple(Tier(tier.up_to, minor(tier.unit), minor(tier.flat)) for tier in self.tiers)
        return PriceModel(
            self.model, self.currency, None if self.unit is None else minor(self.unit), tiers, self.package_size,
            minor(self.base),
        )  # fmt: skip

    @property
    def unit_minor(self) -> int:
        """What one unit costs; of a tiered price, in its first tier."""
        model = self.pricing
        return model.tiers[0].unit_minor if self.model in TIERED else model.unit_minor or 0

    @model_validator(mode="after")
    def is_a_price(self) -> Self:
        try:
            model = self.pricing
        except Invalid as fault:
            field = (fault.param or "").replace("_amount", "")
            raise ValueError(f"{field}: {fault.detail}") from fault
        if not any(step.each for step in model.steps(max((1, *model.bounds())) + 1)):
            raise ValueError("unit must be above zero")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("to must be after from")
        return self


class CouponRow(_Strict):
    """`percent` or `amounts` (major units by currency, quoted)."""

    code: str = Field(pattern=r"^[A-Z0-9][A-Z0-9_-]{1,39}$")
    name: str = Field(min_length=1, max_length=80)
    percent: Decimal | None = Field(default=None, gt=0, le=100, decimal_places=DECIMALS)
    amounts: dict[Currency, str] = {}
    duration: CouponDuration = CouponDuration.ONCE
    months: int | None = Field(default=None, ge=1, le=120)
    max_redemptions: int | None = Field(default=None, ge=1)
    plans: list[Sku] = []
    valid_from: date = Field(alias="from")
    valid_to: date | None = Field(default=None, alias="to")  # the first day after

    @property
    def amounts_minor(self) -> dict[str, int]:
        return {currency: Money.from_major(text, currency).minor for currency, text in self.amounts.items()}

    @field_validator("percent", mode="before")
    @classmethod
    def no_float(cls, value: object) -> object:
        """12.5 is read as it is written; YAML's float would be another number."""
        return str(value) if isinstance(value, float) else value

    @model_validator(mode="after")
    def makes_sense(self) -> Self:
        if (self.percent is None) == (not self.amounts):
            raise ValueError("give either percent or amounts")
        if any(minor <= 0 for minor in self.amounts_minor.values()):
            raise ValueError("amounts must be above zero")
        if (self.duration is CouponDuration.REPEATING) != (self.months is not None):
            raise ValueError("months belongs to the duration repeating, and only there")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("to must be after from")
        return self


class ExportRow(_Strict):
    eccn: str
    authorisation: str
    ccats: str = ""
    valid_from: date = Field(alias="from")

    @model_validator(mode="after")
    def makes_sense(self) -> Self:
        found = export_classes.fault(self.eccn, self.authorisation, self.ccats)
        if found:
            raise ValueError(found)
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
    activations: ActivationRules | None = None
    export: list[ExportRow] = []
    prices: list[PriceRow]

    @property
    def activation_rules(self) -> dict[str, Any] | None:
        """As the plan keeps them."""
        return None if self.activations is None else self.activations.model_dump(mode="json", exclude_defaults=True)

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
        if len({row.valid_from for row in self.export}) != len(self.export):
            raise ValueError("two export classifications from the same day")
        series = sorted(self.prices, key=lambda row: (row.currency, row.interval, row.valid_from))
        for row, following in pairwise(series):
            same = (row.currency, row.interval) == (following.currency, following.interval)
            if same and row.valid_to is not None and row.valid_to > following.valid_from:
                raise ValueError(f"the price from {row.valid_from} ends after the next one begins")
        return self


class RegistrationRow(_Strict):
    jurisdiction: str
    scheme: str
    number: Printed | None = None
    valid_from: date | None = Field(default=None, alias="from")
    valid_to: date | None = Field(default=None, alias="to")


class LegalEntityRow(_Strict):
    code: Sku
    name: Printed
    line1: Printed
    line2: Printed = ""
    city: Printed
    region: Printed = ""
    postcode: Printed
    country: Country
    email: Printed
    invoice_series: str = Field(pattern=r"^[A-Z0-9]{2,12}$")
    time_zone: str
    established: list[Country]
    oss: Literal["union", "non_union"] | None = None
    below_eu_threshold: bool = False
    elections: dict[str, str] = {}
    sells_to_consumers: bool = False
    payment_details: str = Field(default="", max_length=2000)
    registrations: list[RegistrationRow] = []


class TermsRow(_Strict):
    key: Sku
    version: str
    title: Printed
    file: str
    effective_from: date


class CatalogFile(_Strict):
    legal_entities: list[LegalEntityRow] = Field(min_length=1)
    plans: list[PlanRow] = Field(min_length=1)
    coupons: list[CouponRow] = []
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

    @model_validator(mode="after")
    def coupons_fit(self) -> Self:
        codes = [coupon.code for coupon in self.coupons]
        if len(set(codes)) != len(codes):
            raise ValueError("two coupons have the same code")
        unknown = {sku for coupon in self.coupons for sku in coupon.plans} - {plan.sku for plan in self.plans}
        if unknown:
            raise ValueError(f"coupons name unknown plans: {', '.join(sorted(unknown))}")
        return self


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
