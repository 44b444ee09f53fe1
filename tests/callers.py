"""Who calls the API in a test: the vendor's own systems, and those of a customer."""

import httpx

from app.accounts import api_keys
from app.accounts.models import Account, BuyerType
from app.core.clock import transport_now
from app.core.ids import new_id
from tests.world import World


def vendor(world: World, *scopes: str) -> httpx.Client:
    """A client with a key of the vendor; every scope unless some are named."""
    return _client(world, list(scopes) or ["*"], None)


def customer(world: World, *scopes: str, name: str = "Acme GmbH") -> tuple[httpx.Client, str]:
    """A client with a key of a new account, and the account's id."""
    account_id = new_id("acc")
    with world.db.transaction() as tx:
        tx.add(
            Account(
                id=account_id, name=name, type=BuyerType.BUSINESS, email=f"{account_id}@acme.example", line1="Road 1",
                city="Berlin", postcode="10115", country="DE", time_zone="Europe/Berlin", created_at=transport_now(),
            )
        )  # fmt: skip
    return _client(world, list(scopes) or ["*"], account_id), account_id


def _client(world: World, scopes: list[str], account_id: str | None) -> httpx.Client:
    with world.db.transaction() as tx:
        _, secret = api_keys.create(
            tx, world.ports.secrets, name="test", scopes=scopes, account_id=account_id, actor="test",
            now=transport_now(),
        )  # fmt: skip
    return world.api(secret)
