"""The console's page of signing keys: what rests on each, and the two steps that need no command line."""

from app.accounts.models import StaffRole
from app.core import keys
from app.core.keys import KeyPurpose
from app.flows import canary
from tests import shop
from tests.console.helping import do
from tests.signing_in import staff_browser
from tests.world import World

PAGE = "/console/signing-keys"


def test_a_key_is_rotated_on_the_page_and_what_rests_on_it_refuses_its_retirement(world: World) -> None:
    shop.buy(world)
    canary.check.run(world.ports)
    browser, _ = staff_browser(world)
    assert "What is signed does not verify" not in browser.get(PAGE).text
    done = do(browser, PAGE, f"{PAGE}/rotate/license-file")
    assert done.headers["location"] == f"{PAGE}?done=signing-key-rotated"
    again = do(browser, PAGE, f"{PAGE}/rotate/license-file")
    assert (again.status_code, "signs from" in again.text) == (409, True)
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        old = keys.signing_kid(tx, KeyPurpose.KEYGEN_FILE, now)
        keys.create(tx, world.ports.secrets, KeyPurpose.KEYGEN_FILE, by="test", now=now)
    refused = do(browser, PAGE, f"{PAGE}/retire/{old}")
    assert (refused.status_code, "less than 30 days ago" in refused.text) == (409, True)
    html = browser.get(PAGE).text
    for said in ("1 file or token holds until", "1 acceptance of terms carries its signature", "Published", "Retiring"):
        assert said in html, said
    support, _ = staff_browser(world, StaffRole.SUPPORT)
    assert "/retire/" not in support.get(PAGE).text
