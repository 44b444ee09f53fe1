import httpx
import pytest

from tests.api.buying import Buyer, make_key, vendors_key
from tests.world import World


@pytest.fixture
def vendor(world: World, request: pytest.FixtureRequest) -> httpx.Client:
    """A client with a key of the vendor that may do everything."""
    buys = "buyer" in request.fixturenames
    return world.api(vendors_key(world) if buys else make_key(world, account_id=None))


@pytest.fixture
def buyer(world: World) -> Buyer:
    """Somebody who buys over the API without a key."""
    return Buyer(world)
