"""Stripe Tax for buyers in the United States, and one of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.adapters.stripe.tax import StripeTax
from app.core import policy
from app.tax.calculations import COUNTRIES
from app.tax.models import TaxRecord
from tests.adapters.fake_stripe_tax import FakeStripeTax
from tests.world import World

CARD = "4242 4242 4242 4242"
BUFFALO: dict[str, Any] = {
    "country": "US", "region": "NY", "postcode": "14201", "city": "Buffalo", "email": "ny@example.com",
    "currency": "USD", "vat": None,
}  # fmt: skip


def running(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripeTax]:
    """What a fixture yields: Stripe Tax is asked for buyers in the United States."""
    monkeypatch.setattr("app.tax.calculations._FAILURE_STANDS", timedelta(0, 2))
    fake = FakeStripeTax(tmp_path / "tax.sqlite")
    provider = StripeTax(api_key="sk_test_x", api_base=fake.base)
    world.wired = replace(world.wired, ports=replace(world.ports, tax=provider))
    computed_in(world, "US")
    yield fake
    fake.stop()


def computed_in(world: World, *countries: str) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, COUNTRIES.name, list(countries), valid_from=now - timedelta(hours=1), by="test", why="test",
                      now=now)  # fmt: skip


def record_of(world: World, reference: str) -> TaxRecord:
    with world.db.transaction() as tx:
        return tx.execute(select(TaxRecord).where(col(TaxRecord.reference) == reference)).scalar_one()
