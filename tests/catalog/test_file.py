"""`blp catalog apply` with price models and coupons: shown as differences, never edited in place."""

from pathlib import Path
from typing import Any

import pytest

from app.catalog import service as catalog
from app.catalog.errors import CatalogInvalid
from app.catalog.models import Interval
from app.core.errors import DomainError
from tests.catalog.selling import TIERS, Change, plan, sell, with_coupon, with_model
from tests.world import World


def test_a_tiered_price_is_shown_applied_once_and_read_back(world: World, tmp_path: Path) -> None:
    change = with_model(model="graduated", tiers=TIERS)
    tiers = "110.00 EUR to 20, 90.00 EUR and 25.00 EUR to 50, then 70.00 EUR"
    assert sell(world, tmp_path, change) == [f"+ price professional graduated: {tiers} per year from 2026-02-01"]
    assert sell(world, tmp_path, change) == []
    with world.db.transaction() as tx:
        row = catalog.price_on(
            tx, catalog.plan_by_sku(tx, "professional"), "EUR", Interval.YEAR, world.ports.clock.now().date()
        )
    assert row.unit_minor == 11_000
    assert row.pricing.amount(60).minor == 20 * 11_000 + 30 * 9_000 + 2_500 + 10 * 7_000


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"model": "flat", "unit": "900.00"}, "900.00 EUR in all"),
        ({"model": "package", "unit": "500.00", "package_size": 10}, "500.00 EUR per 10"),
        ({"unit": "99.00", "base": "100.00"}, "100.00 EUR and 99.00 EUR"),
        ({"model": "volume", "tiers": [{"unit": "80.00"}]}, "volume: 80.00 EUR"),
    ],
)
def test_every_model_has_its_words(world: World, tmp_path: Path, model: dict[str, Any], words: str) -> None:
    assert sell(world, tmp_path, with_model(**model)) == [f"+ price professional {words} per year from 2026-02-01"]


def test_a_price_in_force_is_never_edited(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model(model="graduated", tiers=TIERS))
    with pytest.raises(CatalogInvalid, match="add a row with a later `from`"):
        sell(world, tmp_path, with_model(model="volume", tiers=TIERS))


def test_a_price_can_be_given_an_end(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model(unit="99.00"))
    said = sell(world, tmp_path, with_model(unit="99.00", to="2026-12-31"))
    assert said == ["~ price professional 99.00 EUR per year from 2026-02-01: valid_to: None → 2026-12-31"]
    assert sell(world, tmp_path, with_model(unit="99.00", to="2026-12-31")) == []


def _overlapping(catalog: dict[str, Any]) -> None:
    plan(catalog, "professional")["prices"][3]["to"] = "2027-01-01"
    with_model(unit="1")(catalog)


FAULTS: list[tuple[Change, str]] = [
    (with_model(model="graduated"), "tiers: give at least one"),
    (with_model(model="graduated", tiers=[{"up_to": 5, "unit": "1.00"}]), r"tiers\[0\].up_to"),
    (with_model(model="volume", unit="1.00", tiers=TIERS), "unit"),
    (with_model(model="package", unit="1.00"), "package_size"),
    (with_model(unit="1.00", package_size=5), "package_size"),
    (with_model(unit="1.001"), "more decimal places"),
    (with_model(unit=1.5), "string"),
    (with_model(unit="0"), "above zero"),
    (with_model(unit="-1"), "unit"),
    (with_model(unit="1.00", base="-1"), "base"),
    (with_model(unit="1.00", to="2026-01-15"), "to must be after from"),
    (with_coupon("LOWER", percent="10", amounts={"EUR": "5"}), "either percent or amounts"),
    (with_coupon("NONE"), "either percent or amounts"),
    (with_coupon("lower", percent="10"), "pattern"),
    (with_coupon("MUCH", percent="101"), "less than or equal to 100"),
    (with_coupon("ZERO", amounts={"EUR": "0"}), "above zero"),
    (with_coupon("MONTHS", percent="10", months=3), "months belongs"),
    (with_coupon("REPEAT", percent="10", duration="repeating"), "months belongs"),
    (with_coupon("WELCOME10", percent="10"), "same code"),
    (with_coupon("PLAN", percent="10", plans=["gold"]), "unknown plans: gold"),
    (with_coupon("ENDS", percent="10", to="2026-01-01"), "to must be after from"),
    (_overlapping, "ends after the next one begins"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), FAULTS)
def test_a_fault_of_the_file_is_named_and_nothing_is_applied(
    world: World, tmp_path: Path, change: Change, words: str
) -> None:
    with pytest.raises(DomainError, match=words):
        sell(world, tmp_path, change)
    assert sell(world, tmp_path, lambda catalog: catalog) == []


def test_coupons_are_added_changed_and_withdrawn_but_their_worth_stays(world: World, tmp_path: Path) -> None:
    assert sell(world, tmp_path, with_coupon("AUTUMN", percent=12.5, max_redemptions=3)) == [
        "+ coupon AUTUMN: Code AUTUMN"
    ]
    assert sell(world, tmp_path, with_coupon("AUTUMN", percent=12.5, max_redemptions=5)) == [
        "~ coupon AUTUMN: max_redemptions: 3 → 5"
    ]
    with pytest.raises(CatalogInvalid, match="The percent of the coupon AUTUMN cannot change"):
        sell(world, tmp_path, with_coupon("AUTUMN", percent=20, max_redemptions=5))
    assert sell(world, tmp_path, lambda catalog: catalog) == ["- coupon AUTUMN: withdrawn"]
