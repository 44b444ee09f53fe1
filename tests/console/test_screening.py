"""Screening in the console: lists with their age, a search with scores, cases that are decided with a reason."""

from datetime import timedelta

from app.adapters.sandbox import clock
from app.flows.screening_decisions import Reversal
from app.orders import service as orders
from app.orders.models import OrderState
from app.web.console.screening import foretold
from tests import shop
from tests.console.helping import do
from tests.screening.helping import bring, cases
from tests.signing_in import staff_browser
from tests.world import World


def test_what_overturning_brings_is_said_in_whole_sentences() -> None:
    said = foretold(Reversal(also_confirmed=0, subscriptions=3, over=1, licenses=2, orders=0, payments=1))
    assert said == (
        "It gives back 2 subscriptions to the billing run, which bills the terms that ended meanwhile; downloads"
        " and workspaces at once; and 2 withheld full licenses. It does not bring back 1 subscription that ended;"
        " 1 payment set aside, for finance to give back or to match; and what was refunded or revoked."
    )


def test_staff_look_a_name_up_and_decide_a_case_with_a_reason(world: World) -> None:
    browser, person = staff_browser(world)
    assert "nobody is screened" in browser.get("/console/screening").text
    bring(world, version="20 November")
    started = shop.order(world, shop.offer(world, company="Zarnitza Quorvex Trading GmbH"))
    order_page = browser.get(f"/console/orders/{started.order_id}").text
    assert "95 of 100 like ZARNITSA QUORVEX TRADING LLC" in order_page
    assert "is like a listed one" in browser.get("/console").text
    shown = browser.get("/console/screening", params={"q": "Velmoryn Taskel", "country": "fr"}).text
    assert "1 name waits for a person" in shown
    assert "20 November" in shown
    assert "VELMORIN, Taskel" in shown
    (case,) = cases(world)
    page = f"/console/screening/{case.id}"
    shown = browser.get(page).text
    assert "QUORVEX TRADE" in shown
    assert "Specially Designated Nationals" in shown
    assert do(browser, page, f"{page}/clear", note="").status_code == 422
    done = do(browser, page, f"{page}/clear", note="Founded 1921, other register number.")
    assert done.headers["location"] == f"{page}?done=case-cleared"
    world.work()
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).state is OrderState.AWAITING_PAYMENT
    assert do(browser, "/console/screening", f"{page}/confirm", note="Late.").status_code == 409
    shown = browser.get(page).text.replace("<wbr>", "")
    assert f"{person.email}: Founded 1921, other register number." in shown
    assert "Founded 1921" in browser.get("/console/screening").text
    assert do(browser, page, f"{page}/reopen", note="It is another register.").status_code == 303
    assert do(browser, page, f"{page}/confirm", note="Same birth date.").status_code == 303
    world.work()
    shown = browser.get(page).text.replace("<wbr>", "")
    assert "It gives back downloads and workspaces at once. It does not bring back 1 order given up" in shown
    assert shown.index("Founded 1921") < shown.index("another register") < shown.index("Same birth date")
    assert do(browser, page, f"{page}/overturn", note="").status_code == 422
    done = do(browser, page, f"{page}/overturn", note="The birth date was mistyped.")
    assert done.headers["location"] == f"{page}?done=case-overturned"
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=8))
    assert "The list CSL is 8 days old: import it again." in browser.get("/console/screening").text
