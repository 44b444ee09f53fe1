"""Reading what is sold, and what it costs on a day."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import bindparam, or_, select
from sqlmodel import col

from app.catalog.errors import NoPrice, UnknownPlan
from app.catalog.models import Interval, Plan, PlanKind, Price
from app.core.db import Tx

_PLANS = (
    select(Plan).where(col(Plan.retired_at).is_(None)).order_by(col(Plan.family), col(Plan.position), col(Plan.sku))
)


# Built once: every preview asks these, and building costs as much as asking (ADR 0022).
_PLAN: Final = select(Plan).where(col(Plan.sku) == bindparam("sku"))
_PRICE: Final = select(Price).where(
    col(Price.plan_id) == bindparam("plan"),
    col(Price.currency) == bindparam("currency"),
    col(Price.interval) == bindparam("interval"),
    col(Price.valid_from) <= bindparam("day"),
    or_(col(Price.valid_to).is_(None), col(Price.valid_to) > bindparam("day")),
)


def plans_on_sale(tx: Tx) -> list[Plan]:
    return list(tx.execute(_PLANS).scalars())


def plan_by_sku(tx: Tx, sku: str) -> Plan:
    """Raises UnknownPlan; a retired plan is returned, for its subscribers."""
    plan = tx.execute(_PLAN, {"sku": sku}).scalar_one_or_none()
    if plan is None:
        raise UnknownPlan(f"There is no plan {sku!r}.", param="sku")
    return plan


def plans_by_id(tx: Tx, ids: Sequence[str]) -> dict[str, Plan]:
    return {plan.id: plan for plan in tx.execute(select(Plan).where(col(Plan.id).in_(ids))).scalars()}


def price_on(tx: Tx, plan: Plan, currency: str, interval: Interval, day: date) -> Price:
    """The price in force on `day`. Raises NoPrice where the plan is not sold in that currency or interval."""
    price = tx.execute(
        _PRICE, {"plan": plan.id, "currency": currency, "interval": interval, "day": day}
    ).scalar_one_or_none()
    if price is None:
        raise NoPrice(f"{plan.name} is not sold in {currency} by the {interval}.", param="currency")
    return price


def prices_on(tx: Tx, day: date) -> list[Price]:
    """Every price in force on `day`, for the pricing page and the list of plans."""
    return list(
        tx.execute(
            select(Price).where(
                col(Price.valid_from) <= day, or_(col(Price.valid_to).is_(None), col(Price.valid_to) > day)
            )
        ).scalars()
    )


def add_ons_for(plans: Sequence[Plan], sku: str) -> list[Plan]:
    return [plan for plan in plans if plan.kind is PlanKind.ADD_ON and sku in plan.add_on_for]
