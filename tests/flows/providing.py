"""Stripe Tax for buyers in the United States, and one of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
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


def running(world: World, tmp_path: Path) -> Iterator[FakeStripeTax]:
    """What a fixture yields: Stripe Tax is asked for buyers in the United States."""
    fake = FakeStripeTax(tmp_path / "tax.sqlite")
    provider = StripeTax(api_key="sk_test_x", api_base=fake.base)
    world.wired = replace(world.wired, ports=replace(world.ports, tax=provider))
    computed_in(world, "US")
    yield fake
    fake.stop()


def a_failure_stands_no_longer(world: World) -> None:
    """As after two minutes: whatever was held is asked anew."""
    aged = text("UPDATE tax_calculation SET asked_at = asked_at - interval '2 minutes'")
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))  # an answer never changes otherwise
        tx.execute(aged)


def computed_in(world: World, *countries: str) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, COUNTRIES.name, list(countries), valid_from=now - timedelta(hours=1), by="test", why="test",
                      now=now)  # fmt: skip


def record_of(world: World, reference: str) -> TaxRecord:
    with world.db.transaction() as tx:
        return tx.execute(select(TaxRecord).where(col(TaxRecord.reference) == reference)).scalar_one()
