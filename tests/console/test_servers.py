"""What staff do about the servers of a license: deactivate one, give another limit, with a reason (R-LIC-5)."""

from app.accounts.models import StaffRole
from tests import shop
from tests.console.helping import audited, do
from tests.licenses.activating import bind, of_order, with_rules
from tests.signing_in import staff_browser
from tests.world import World


def test_staff_deactivate_a_server_and_give_another_limit(world: World) -> None:
    license_ = of_order(world, shop.buy(world))
    with_rules(world, limit=4, overage="1.25x", transfers=0)
    bind(world, license_, "chat-01", "chat-02")
    browser, _ = staff_browser(world, StaffRole.SUPPORT)
    page = f"/console/licenses/{license_.id}"
    shown = browser.get(page).text
    assert "Servers, 2 of 4, up to 5 allowed" in shown
    assert "/console/procedures/activations" in shown
    refused = do(browser, page, f"{page}/deactivate", activation="", note="lost")
    assert (refused.status_code, "Choose the server." in refused.text) == (422, True)
    chosen = shown.partition(">chat-01 (1)<")[0].rpartition('value="')[2].partition('"')[0]
    refused = do(browser, page, f"{page}/deactivate", activation=chosen, note=" ")
    assert (refused.status_code, "Say why" in refused.text) == (422, True)
    assert do(browser, page, f"{page}/deactivate", activation=chosen, note="lost in a flood").status_code == 303
    gone = do(browser, page, f"{page}/deactivate", activation=chosen, note="again")
    assert (gone.status_code, "was deactivated before" in gone.text) == (422, True)
    assert [each.details["reason"] for each in audited(world, "license.deactivated")] == ["lost in a flood"]
    for typed, said in (("6", "4 divides"), ("0", "Give 1 to"), ("many", "A whole number")):
        refused = do(browser, page, f"{page}/limit", most=typed, note="agreed")
        assert (refused.status_code, said in refused.text) == (422, True), typed
    assert do(browser, page, f"{page}/limit", most="8", note="agreed in March").status_code == 303
    shown = browser.get(page).text
    assert "Servers, 1 of 8, up to 10 allowed" in shown
    assert "lost in a flood" in shown
    assert "agreed in March" in shown
    assert do(browser, page, f"{page}/limit", most="", note="over").status_code == 303
    assert "Servers, 1 of 4" in browser.get(page).text
    told = [(each.details["before"], each.details["after"]) for each in audited(world, "license.activations_limited")]
    assert told == [(4, 8), (8, 4)]
