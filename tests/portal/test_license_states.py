"""What a license's page says where it is not simply in force, and what it then offers (R-LIC-1, R-SUB-8)."""

from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import clock
from app.licenses import service as licenses
from app.licenses.models import License
from app.orders.models import Order
from tests import shop
from tests.licenses.activating import of_order
from tests.portal.buyers import signed_in
from tests.signing_in import staff_browser
from tests.world import World


def test_each_state_is_named_with_what_to_do_and_offers_no_more_than_it_has(world: World) -> None:
    order = shop.buy(world)
    license_ = of_order(world, order)
    ada, home = signed_in(world, order), f"/account/licenses/{license_.id}"
    page = ada.open(home)
    assert "Active" in page.text
    assert "How to install it" in page.text
    assert "License token" in page.text
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        licenses.suspend(tx, license_.id, reason="dispute lost", by="test", now=now)
    page = ada.open(home)
    assert "It is suspended" in page.text
    assert "How to install it" not in page.text
    with world.db.transaction() as tx:
        licenses.reinstate(tx, license_.id, reason="dispute won", by="test", now=now)
    clock.set_to(world.db, license_.expires_at + timedelta(days=1))
    page = ada.open(home)
    assert "In grace" in page.text
    assert "renew it before" in page.text
    assert f"/account/subscriptions/{order.subscription_id}" in page.links
    clock.set_to(world.db, license_.expires_at + timedelta(days=10))
    page = ada.open(home)
    assert "Expired" in page.text
    assert "counts no more" in page.text
    assert "License token" not in page.text
    assert "Expired" in ada.open("/account/licenses").text
    support, _ = staff_browser(world)
    assert "Expired" in support.get(f"/console/licenses/{license_.id}").text
    with world.db.transaction() as tx:
        licenses.revoke(tx, license_.id, reason="refund", by="test", now=world.ports.clock.now())
    page = ada.open(home)
    assert "It was revoked" in page.text
    assert f"{home}/file" not in page.links, "a revoked file is not handed out again"


def test_a_license_that_was_replaced_leads_to_the_newer_one(world: World) -> None:
    order: Order = shop.buy(world)
    old = of_order(world, order)
    with world.db.transaction() as tx:
        row = tx.execute(select(License).where(col(License.id) == old.id)).scalar_one()
        newer = License.model_validate(row.model_dump() | {
            "id": old.id[:-4] + "0000", "file_id": "n" * 26, "file_sha256": "n", "bridge": True,
        })  # fmt: skip
        tx.add(newer)
        tx.flush()
        licenses.give_way(tx, row, newer, world.ports.clock.now())
        newer_id = newer.id
    page = signed_in(world, order).open(f"/account/licenses/{old.id}")
    assert "Another license has taken its place" in page.text
    assert f"/account/licenses/{newer_id}" in page.links
