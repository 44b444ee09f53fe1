"""What is sold, and what it costs today."""

from datetime import date
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from app.accounts import service as accounts
from app.catalog import export_classes
from app.catalog import service as catalog
from app.catalog.activation_rules import ActivationRules
from app.catalog.models import ExportClass, Family, Interval, Plan, PlanKind, Price
from app.catalog.pricing import PriceKind
from app.core import ids
from app.core.clock import local_date
from app.core.errors import NotFound, Unavailable
from app.web.api.shapes import JsonRoute, MoneyOut, PageOut
from app.web.deps import Now, Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/plans", tags=["plans"], route_class=JsonRoute
)  # fmt: skip


class TierOut(BaseModel):
    """`up_to` is the last quantity of the tier, null in the last tier; `flat` is added once."""

    up_to: int | None
    unit: MoneyOut
    flat: MoneyOut


class PriceOut(BaseModel):
    """Per interval, before tax. `unit` is per seat; the fee of `flat`, a whole `package`, the first of `tiers`."""

    interval: Interval
    model: PriceKind = PriceKind.PER_UNIT
    unit: MoneyOut
    tiers: list[TierOut] = []
    package_size: int | None = None
    base: MoneyOut
    valid_from: date
    valid_to: date | None


class ExportClassOut(BaseModel):
    """`authorisation` is NLR, a license exception, or the number of a license; `ccats` null without a formal one."""

    eccn: str
    authorisation: str
    ccats: str | None
    valid_from: date

    @classmethod
    def of(cls, row: ExportClass) -> Self:
        return cls(
            eccn=row.eccn, authorisation=row.authorisation, ccats=row.ccats or None, valid_from=row.valid_from
        )  # fmt: skip


class PlanOut(BaseModel):
    """`prices` are those in force today, as is `export`, null where the plan has no classification; `add_on_for` names
    the plans an add-on can be bought with; `activations` says how many servers a license binds, null for none.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "pln_01ka8qj6x0c5q4m3t2r1p0n9mk", "sku": "professional", "name": "Professional", "kind": "plan",
        "family": "self_managed", "tagline": "For teams that run their own server", "sales_only": False,
        "retired": False, "min_seats": 11, "max_seats": 5000, "trial_days": 30, "grace_days": 10,
        "bullets": ["Unlimited message history and search"], "entitlements": {"ldap": True}, "add_on_for": [],
        "activations": {"limit": 4, "overage": "1.25x", "floating": False, "heartbeat_seconds": None,
                        "cull": "deactivate", "revive": "never", "revive_minutes": None, "transfers": 12,
                        "transfer_days": 365},
        "export": {"eccn": "5D992.c", "authorisation": "NLR", "ccats": "G123456", "valid_from": "2026-01-01"},
        "prices": [{"interval": "year", "model": "per_unit", "unit": {"amount": 12000, "currency": "USD"},
                    "tiers": [], "package_size": None, "base": {"amount": 0, "currency": "USD"},
                    "valid_from": "2026-01-01", "valid_to": None}],
    }})  # fmt: skip

    id: str
    sku: str
    name: str
    kind: PlanKind
    family: Family
    tagline: str
    sales_only: bool
    retired: bool
    min_seats: int
    max_seats: int
    trial_days: int
    grace_days: int
    bullets: list[str]
    entitlements: dict[str, Any]
    add_on_for: list[str]
    activations: ActivationRules | None
    export: ExportClassOut | None
    prices: list[PriceOut]

    @classmethod
    def of(cls, plan: Plan, prices: list[Price], export: ExportClass | None) -> Self:
        same = "id sku name kind family tagline sales_only min_seats max_seats trial_days grace_days bullets add_on_for"
        return cls(
            **{name: getattr(plan, name) for name in same.split()},
            retired=plan.retired_at is not None, entitlements=plan.flags,
            activations=None if (rules := plan.activation_rules) is None else ActivationRules.model_validate(rules),
            export=ExportClassOut.of(export) if export is not None else None,
            prices=[
                PriceOut(
                    interval=each.interval, model=each.model, unit=MoneyOut.minor(each.unit_minor, each.currency),
                    tiers=[
                        TierOut(up_to=tier.up_to, unit=MoneyOut.minor(tier.unit_minor, each.currency),
                                flat=MoneyOut.minor(tier.flat_minor, each.currency))
                        for tier in each.pricing.tiers
                    ],
                    package_size=each.package_size, base=MoneyOut.minor(each.base_minor, each.currency),
                    valid_from=each.valid_from, valid_to=each.valid_to,
                )
                for each in sorted(prices, key=lambda price: (price.currency, price.interval))
                if each.plan_id == plan.id
            ],
        )  # fmt: skip


class PlanList(PageOut[PlanOut]):
    """The whole catalog: it is short, so there is never more."""


@router.get("", responses=problems(Unavailable))
def list_plans(
    tx: Tx, now: Now,
    currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="Only prices in this currency.")] = None,
) -> PlanList:  # fmt: skip
    """Every plan and add-on on sale, with today's prices. Needs no key."""
    today = local_date(now, accounts.seller(tx).time_zone)
    wanted = [price for price in catalog.prices_on(tx, today) if currency in {None, price.currency}]
    plans = catalog.plans_on_sale(tx)
    classes = export_classes.of_skus(tx, [plan.sku for plan in plans], on=today, known_at=now)
    return PlanList(data=[PlanOut.of(plan, wanted, classes.get(plan.sku)) for plan in plans], has_more=False)


@router.get("/{plan_id}", responses=problems(NotFound, Unavailable))
def get_plan(plan_id: str, tx: Tx, now: Now) -> PlanOut:
    """One plan, by its id; a retired one stays readable for those who have it. Needs no key."""
    plan = catalog.plans_by_id(tx, [ids.require_form("pln", plan_id)]).get(plan_id)
    if plan is None:
        raise NotFound("There is no such plan.")
    today = local_date(now, accounts.seller(tx).time_zone)
    classes = export_classes.of_skus(tx, [plan.sku], on=today, known_at=now)
    return PlanOut.of(plan, catalog.prices_on(tx, today), classes.get(plan.sku))
