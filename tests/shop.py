"""An installation with something to sell, and the way through a purchase as a program walks it."""

import re
from pathlib import Path
from typing import Any

import httpx

from app.accounts.models import BuyerType
from app.accounts.service import BuyerDetails
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.catalog.models import Interval
from app.core import keys
from app.core.clock import transport_now
from app.core.db import Database
from app.core.security import Secrets
from app.flows import apply_catalog, purchase
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.flows.purchase import Placing, Started
from app.orders import service as orders
from app.orders.models import Order, Preview
from tests.world import World

CATALOG = Path(__file__).resolve().parents[1] / "app" / "data" / "catalog.yaml"


def open_shop(database: Database, secrets: Secrets) -> None:
    """The sample vendor's catalog and a key for every purpose; a second call changes nothing."""
    with database.transaction() as tx:
        apply_catalog.apply(tx, CATALOG, by="test", now=transport_now())
        keys.ensure(tx, secrets, by="test", now=transport_now())


def buyer(**changes: object) -> BuyerDetails:
    """A German business, unless told otherwise."""
    given: dict[str, object] = {
        "email": "ada@example.de", "name": "Ada Beispiel", "company": "Beispiel GmbH", "type": BuyerType.BUSINESS,
        "country": "DE", "region": "", "postcode": "10115", "city": "Berlin", "line1": "Invalidenstr. 1",
        "line2": "", "locale": "en",
    }  # fmt: skip
    return BuyerDetails(**(given | changes))  # type: ignore[arg-type]  # keyword arguments as a table


def offer(world: World, seats: int = 25, *, sku: str = "professional", interval: str = "year", currency: str = "EUR",
          vat: str | None = "DE136695976", **who: str) -> Preview:  # fmt: skip
    """A stored preview for a purchase."""
    return previews.price(
        world.ports,
        PreviewRequest(
            lines=(LineRequest(sku, seats),), interval=Interval(interval), currency=currency, buyer=buyer(**who),
            tax_ids=(TaxIdGiven("eu_vat", vat),) if vat else (),
        ),
    )  # fmt: skip


def order(world: World, preview: Preview) -> Started:
    """Accept the terms in force and order what the preview offers."""
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return purchase.start(world.ports, Placing(preview.id, terms.id, Evidence("127.0.0.1", "test")))


def pay(world: World, url: str, card: str = "4242 4242 4242 4242") -> httpx.Response:
    """Fill in the TEST pay page as a browser without scripts would."""
    browser = world.browser()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(url).text)
    if token is None:
        raise AssertionError("the pay page has no form")
    form = {"csrf_token": token[1], "card": card, "expires": "12/34", "cvc": "123", "save": "yes"}
    return browser.post(url, data=form, headers={"Origin": world.url})


def buy(world: World, card: str = "4242 4242 4242 4242", /, **wanted: Any) -> Order:
    """A whole purchase, or a copy of one: preview, order, card, event, completion."""
    order_id = world.past.after("buy", [card, wanted], lambda: purchased(world, card, **wanted))
    with world.db.transaction() as tx:
        return orders.get(tx, order_id)


def purchased(world: World, card: str, **wanted: Any) -> str:
    """A purchase walked through; the order's id."""
    started = order(world, offer(world, **wanted))
    if started.payment_url is None:
        raise AssertionError(f"the order is {started.state}")
    pay(world, started.payment_url, card)
    world.work()
    return started.order_id
