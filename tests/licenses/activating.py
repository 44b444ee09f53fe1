"""Licenses that bind servers, cheaply: one purchase, and a copy of its license for every further round."""

import json
from typing import Any

from sqlalchemy import select, text, update
from sqlmodel import col

from app.catalog.models import Plan
from app.core.clock import transport_now
from app.core.ids import new_id, new_license_file_id
from app.licenses import activating
from app.licenses.activating import PRODUCT, Server
from app.licenses.models import License
from app.orders.models import Order
from tests import shop
from tests.world import World

_COPY = """
INSERT INTO "{table}" SELECT (jsonb_populate_record(t, CAST(:changes AS jsonb))).* FROM "{table}" t WHERE id = :id
"""


def with_rules(world: World, **rules: Any) -> None:
    """How the licenses of the sample's first plan bind servers from now on."""
    with world.db.transaction() as tx:
        tx.execute(update(Plan).where(col(Plan.sku) == "professional").values(activation_rules=rules))


def bought(world: World, **rules: Any) -> License:
    """A license of a plan with these rules."""
    order = shop.buy(world)
    with_rules(world, **rules)
    return of_order(world, order)


def of_order(world: World, order: Order) -> License:
    with world.db.transaction() as tx:
        return tx.execute(select(License).where(col(License.order_id) == order.id)).scalar_one()


def another(world: World, like: License) -> License:
    """A license of a subscription of its own, otherwise like the one given."""
    subscription, license_id, file_id = new_id("sub"), new_id("lic"), new_license_file_id()
    order, preview = new_id("ord"), new_id("prv")
    with world.db.transaction() as tx:
        old = tx.get_one(Order, like.order_id)
        for table, id_, changes in (
            ("preview", old.preview_id, {"id": preview}),
            ("order", old.id, {"id": order, "preview_id": preview, "payment_ref": None}),
            ("subscription", like.subscription_id, {"id": subscription, "order_id": order}),
            ("license", like.id, {
                "id": license_id, "subscription_id": subscription, "order_id": order, "file_id": file_id,
                "file_sha256": file_id,
            }),
        ):  # fmt: skip
            tx.execute(text(_COPY.format(table=table)), {"changes": json.dumps(changes), "id": id_})
        return tx.get_one(License, license_id)


def bind(world: World, license_: License, *names: str) -> None:
    """Servers of these names, as a product activates them."""
    for name in names:
        with world.db.transaction() as tx:
            activating.activate(
                tx, license_, Server(f"print-{name}", name), by=PRODUCT, now=world.ports.clock.now(),
                real_now=transport_now(),
            )  # fmt: skip
