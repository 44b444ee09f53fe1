"""One journey in a real browser: buy, download the license, renew, answer; counted, pictured, and read by axe.

Clicks are activations from the first page to the license in hand, the tick of the terms among them; fields
are the inputs a new buyer must fill, prefilled and optional ones and the card left out.
"""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Audience, Member
from app.adapters.sandbox import clock
from app.flows import tick
from app.web.cookies import SESSIONS
from tests import shop
from tests.browser.hand import Hand, be, license_in_hand, picture
from tests.signing_in import session_of_member, staff_browser
from tests.world import FULL, World

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_buy_download_renew_and_answer(world: World, tab: Tab, artifacts: Path, tmp_path: Path) -> None:
    hand = Hand(tab)
    tab.goto(f"{world.url}/?currency=EUR&interval=year&seats=25")
    picture(tab, artifacts, "pricing")
    hand.click("link", "Buy Professional")
    hand.fill("Work e-mail", "ada@example.org")
    hand.fill("Full name", "Ada Byron")
    hand.fill("Company", "Analytical Engines Ltd")
    hand.choose("Country", "GB")
    hand.fill("Street and number", "12 St James's Square")
    hand.fill("City", "London")
    hand.fill("Postcode", "SW1Y 4JH")
    hand.click("checkbox", re.compile("I accept the"))
    expect(tab.get_by_role("button", name=re.compile(r"^Pay 3,300\.00"))).to_be_enabled(timeout=15_000)
    picture(tab, artifacts, "checkout")
    hand.click("button", re.compile(r"^Pay 3,300\.00"))
    tab.wait_for_url("**/sandbox/pay/**")
    picture(tab, artifacts, "pay")
    hand.click("button", re.compile("Pretend to pay"))
    world.work()
    tab.wait_for_url("**/orders/**")
    first = license_in_hand(tab, world, tmp_path)
    picture(tab, artifacts, "confirmation")
    assert len(hand.clicks) <= 4, hand.clicks
    assert len(hand.fields) <= 9, hand.fields

    tab.get_by_role("radio", name=re.compile(r"^9")).check()
    tab.get_by_role("button", name="Send answer").click()
    expect(tab.get_by_text(re.compile("thank", re.IGNORECASE)).first).to_be_visible()

    target = world.ports.clock.now() + timedelta(days=345)
    tick.walk(world.ports, target, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)
    again = renewed_from_the_mail(world, tab, artifacts)
    assert license_in_hand(tab, world, tmp_path) != first
    efforts = {"purchase": hand.effort, "renewal": again.effort}
    (artifacts / "efforts.json").write_text(json.dumps(efforts, default=str, indent=2))


def renewed_from_the_mail(world: World, tab: Tab, artifacts: Path) -> Hand:
    """The reminder's link, in a browser that never signed in: one button, no field, the kept card pays."""
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.org"}).json()
    link = next(found[0] for mail in mails if (found := re.search(r"https?://\S+/renew/[\w-]+", mail["text"])))
    tab.context.clear_cookies()
    tab.goto(link)
    picture(tab, artifacts, "renew")
    hand = Hand(tab)
    hand.click("button", re.compile("Renew"))
    tab.wait_for_url("**/orders/**")
    world.work()
    tab.reload()
    assert (len(hand.clicks), len(hand.fields)) == (1, 0)
    return hand


def test_dashboard_and_console_are_pictured_and_readable(world: World, tab: Tab, artifacts: Path) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        member = tx.execute(select(Member).where(col(Member.account_id) == order.account_id)).scalar_one()
        customer = session_of_member(tx, world.ports.secrets, member)
    staff, _ = staff_browser(world)
    be(tab, world, {SESSIONS[Audience.CUSTOMER]: customer})
    be(tab, world, staff.cookies)
    pages = (
        ("/account", "dashboard"), ("/account/licenses", "licenses"), ("/account/invoices", "invoices"),
        ("/console", "console"), ("/console/orders", "console-orders"), ("/console/survey", "console-survey"),
        ("/console/jobs", "console-jobs"),
    )  # fmt: skip
    for path, name in pages if FULL else pages[::3]:
        answer = tab.goto(f"{world.url}{path}")
        assert answer is not None
        assert (answer.status, tab.locator("h1").count()) == (200, 1), path
        if path == "/account":
            assert "Renewal opens on" in tab.inner_text("main")
        picture(tab, artifacts, name)
