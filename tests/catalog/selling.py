"""The sample catalog with changes, applied as an operator would."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from app.flows import apply_catalog
from tests.shop import CATALOG
from tests.world import World

Change = Callable[[dict[str, Any]], object]
TIERS = [{"up_to": 20, "unit": "110.00"}, {"up_to": 50, "unit": "90.00", "flat": "25.00"}, {"unit": "70.00"}]


def plan(catalog: dict[str, Any], sku: str) -> dict[str, Any]:
    return next(row for row in catalog["plans"] if row["sku"] == sku)


def sell(world: World, folder: Path, change: Change) -> list[str]:
    """Apply the sample catalog as changed; what the operator is told."""
    catalog = yaml.safe_load(CATALOG.read_text("utf-8"))
    for terms in catalog["terms"]:
        terms["file"] = str(CATALOG.parent / terms["file"])
    change(catalog)
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog, allow_unicode=True), "utf-8")
    with world.db.transaction() as tx:
        now: datetime = world.ports.clock.now()
        return apply_catalog.apply(tx, path, by="test", now=now)


def with_model(sku: str = "professional", currency: str = "EUR", **model: Any) -> Change:
    """From 2026-02-01 on, a plan's yearly price is another one."""

    def change(catalog: dict[str, Any]) -> None:
        row = {"currency": currency, "interval": "year", "from": "2026-02-01", **model}
        plan(catalog, sku)["prices"].append(row)

    return change


def with_coupon(code: str, **terms: Any) -> Change:
    def change(catalog: dict[str, Any]) -> None:
        row = {"code": code, "name": f"Code {code}", "from": "2026-01-01", **terms}
        catalog["coupons"].append(row)

    return change
