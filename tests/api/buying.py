"""A buyer who is a program: previews, orders and pays as the documentation says."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from app.accounts import api_keys
from app.core.clock import transport_now
from app.flows import tick
from tests.world import World

BERLIN: dict[str, Any] = {
    "email": "ada@example.org", "name": "Ada Example", "company": "Example GmbH", "type": "business", "country": "DE",
    "postcode": "10115", "city": "Berlin", "line1": "Invalidenstr. 1",
}  # fmt: skip
NEW_YORK: dict[str, Any] = {
    "email": "grace@example.com", "name": "Grace Example", "company": "Example, Inc.", "type": "business",
    "country": "US", "region": "NY", "postcode": "10001", "city": "New York", "line1": "350 Fifth Avenue",
}  # fmt: skip
EU_VAT = {"type": "eu_vat", "value": "DE136695976"}


def make_key(world: World, *, account_id: str | None, scopes: tuple[str, ...] = ("*",)) -> str:
    """The secret of a new API key; without an account it is the vendor's."""
    with world.db.transaction() as tx:
        _, secret = api_keys.create(
            tx, world.ports.secrets, name="test", scopes=list(scopes), account_id=account_id, actor="test",
            now=transport_now(),
        )  # fmt: skip
    return secret


def vendors_key(world: World) -> str:
    """A key of the vendor's for everything; what is bought beside it may be a copy."""
    return world.past.after("vendor's key", (), lambda: make_key(world, account_id=None))


@dataclass(frozen=True)
class Bought:
    """What a paid order left behind, as the vendor sees it."""

    order: dict[str, Any]

    @property
    def account(self) -> str:
        return str(self.order["account_id"])

    @property
    def license(self) -> str:
        return str(self.order["license_id"])


class Buyer:
    def __init__(self, world: World, client: httpx.Client | None = None) -> None:
        self.world, self.client = world, client or world.browser()
        self._unknown = client is None

    def wanted(self, **changes: Any) -> dict[str, Any]:
        """A request for a preview that is good as it is; say only what matters."""
        request: dict[str, Any] = {
            "lines": [{"sku": "professional", "quantity": 25}], "interval": "year", "currency": "USD",
            "buyer": NEW_YORK, "tax_ids": [],
        }  # fmt: skip
        return request | changes

    def preview(self, **changes: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/previews", json=self.wanted(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def acceptance(self, preview: dict[str, Any]) -> dict[str, Any]:
        return {"terms": preview["terms"]["id"], "authority": True}

    def send_order(self, preview: dict[str, Any], /, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        body = {"preview": preview["id"], "acceptance": self.acceptance(preview), "payment": "card"} | more
        return self.client.post("/v1/orders", json=body, headers=headers)

    def order(self, **changes: Any) -> dict[str, Any]:
        answer = self.send_order(self.preview(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def buy(self, **changes: Any) -> Bought:
        """Order, pay at the sandbox's page, and let the jobs run; or a copy of that."""
        if not self._unknown:  # whoever has a key is told apart by it
            return Bought(json.loads(self._walk(changes)))
        return Bought(json.loads(self.world.past.after("api buy", changes, lambda: self._walk(changes))))

    def _walk(self, changes: dict[str, Any]) -> str:
        order = self.order(**changes)
        self.pay(order)
        return self.as_vendor().get(f"/v1/orders/{order['id']}").text

    def merged(self, **changes: Any) -> str:
        """Some seats more in a license of their own; the id of the file for it and what is held already."""
        return self.world.past.after("api merged", changes, lambda: self._merge(changes))

    def _merge(self, changes: dict[str, Any]) -> str:
        bought = self.buy(lines=[{"sku": "professional", "quantity": 11}], interval="month", **changes)
        tick.tick(self.world.ports)
        self.world.work()
        of_account = {"account_id": bought.account}
        return str(self.as_vendor().get("/v1/merged_licenses", params=of_account).json()["data"][0]["id"])

    def pay(self, order: dict[str, Any]) -> None:
        ref = order["payment_url"].rpartition("/")[2]
        paid = self.client.post(f"/sandbox/payments/{ref}", json={"action": "succeed"})
        assert paid.status_code == 200, paid.text
        self.world.work()

    def as_vendor(self) -> httpx.Client:
        return self.world.api(make_key(self.world, account_id=None))
