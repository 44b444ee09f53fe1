"""One journey in a real browser: buy, download the license, renew, answer; counted, pictured, and read by axe.

Clicks are activations from the first page to the license in hand, the tick of the terms among them; fields
are the inputs a new buyer must fill, prefilled and optional ones and the card left out.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Audience, Member
from app.adapters.sandbox import clock
from app.core import keys
from app.flows import tick
from app.licenses.verify import load_keys, verify_license_file
from app.web.cookies import SESSIONS
from tests import shop
from tests.signing_in import session_of_member, staff_browser
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
WIDTHS = (390, 1280)


@dataclass(slots=True)
class Hand:
    """What the buyer does, counted."""

    tab: Tab
    clicks: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)

    def click(self, role: str, name: str | re.Pattern[str]) -> None:
        target = self.tab.get_by_role(role, name=name).first  # type: ignore[arg-type]  # a role is a long Literal
        self.clicks.append(str(name))
        target.click()

    def fill(self, label: str, value: str) -> None:
        self.fields.append(label)
        self.tab.get_by_label(re.compile(f"^{label}")).fill(value)

    def choose(self, label: str, value: str) -> None:
        self.fields.append(label)
        self.tab.get_by_label(re.compile(f"^{label}")).select_option(value)


def picture(tab: Tab, artifacts: Path, name: str) -> None:
    """A screenshot at a phone's and a desktop's width, no wider than its window, and no serious finding of axe."""
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        tab.screenshot(path=artifacts / f"{name}-{width}.png", full_page=True)
        assert overflow <= 0, f"{name} is {overflow} px too wide at {width}"
    findings = Axe().run(tab).response["violations"]
    serious = [each for each in findings if each["impact"] in {"serious", "critical"}]
    assert serious == [], f"{name}: {[(each['id'], each['nodes'][0]['html']) for each in serious]}"


def pay(hand: Hand, world: World) -> None:
    hand.click("button", re.compile("Pretend to pay"))
    world.work()


def license_in_hand(tab: Tab, world: World, folder: Path) -> bytes:
    expect(tab.get_by_role("link", name="Download the license file")).to_be_visible(timeout=15_000)
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Download the license file").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    assert path.name.endswith(".mattermost-license")
    with world.db.transaction() as tx:
        public = "".join(key.public_pem for key in keys.published(tx, keys.KeyPurpose.LICENSE_FILE)).encode()
    data = path.read_bytes()
    assert verify_license_file(data, load_keys(public), world.ports.clock.now()).accepted
    return data


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
    pay(hand, world)
    tab.wait_for_url("**/orders/**")
    first = license_in_hand(tab, world, tmp_path)
    picture(tab, artifacts, "confirmation")
    assert len(hand.clicks) <= 4, hand.clicks
    assert len(hand.fields) <= 9, hand.fields
    counted = {"clicks": hand.clicks, "fields": hand.fields}
    (artifacts / "purchase-effort.json").write_text(json.dumps(counted, default=str, indent=2))

    tab.get_by_role("radio", name=re.compile(r"^9")).check()
    tab.get_by_role("button", name="Send answer").click()
    expect(tab.get_by_text(re.compile("thank", re.IGNORECASE)).first).to_be_visible()

    target = world.ports.clock.now() + timedelta(days=345)
    tick.walk(world.ports, target, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.org"}).json()
    link = next(found[0] for mail in mails if (found := re.search(r"https?://\S+/renew/[\w-]+", mail["text"])))
    tab.goto(link)
    picture(tab, artifacts, "renew")
    tab.get_by_role("button", name=re.compile("Renew")).click()
    tab.wait_for_url("**/orders/**")
    world.work()
    tab.reload()
    second = license_in_hand(tab, world, tmp_path)
    assert second != first


def test_dashboard_and_console_are_pictured_and_readable(world: World, tab: Tab, artifacts: Path) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        member = tx.execute(select(Member).where(col(Member.account_id) == order.account_id)).scalar_one()
        customer = session_of_member(tx, world.ports.secrets, member)
    staff, _ = staff_browser(world)
    cookies = [{"name": SESSIONS[Audience.CUSTOMER], "value": customer, "url": world.url}]
    cookies += [{"name": each.name, "value": each.value or "", "url": world.url} for each in staff.cookies.jar]
    tab.context.add_cookies(cookies)  # type: ignore[arg-type]  # a TypedDict of cookies
    for path, name in (
        ("/account", "dashboard"), ("/account/licenses", "licenses"), ("/account/invoices", "invoices"),
        ("/console", "console"), ("/console/orders", "console-orders"), ("/console/survey", "console-survey"),
        ("/console/jobs", "console-jobs"),
    ):  # fmt: skip
        answer = tab.goto(f"{world.url}{path}")
        assert answer is not None
        assert (answer.status, tab.locator("h1").count()) == (200, 1), path
        if path == "/account":
            assert "Renewal opens on" in tab.inner_text("main")
        picture(tab, artifacts, name)
