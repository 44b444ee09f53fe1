"""The console in a real browser: a quote written and sent, its effort counted, and the pages of the billing life."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from app.accounts.models import StaffRole
from app.quotes.models import QuoteState
from tests.browser.hand import Hand, be, picture
from tests.console.helping import stock
from tests.quotes.offering import fresh, link, requested
from tests.signing_in import staff_browser
from tests.world import FULL, World

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
MOST_CLICKS = 8


def test_a_quote_is_written_and_sent_in_eight_clicks(world: World, tab: Tab, artifacts: Path) -> None:
    asked = requested(world)
    sales, _ = staff_browser(world, StaffRole.SALES)
    be(tab, world, sales.cookies)
    tab.goto(f"{world.url}/console")
    hand = Hand(tab)
    hand.click("link", re.compile("^Quotes"))
    hand.click("link", "Beispiel GmbH")
    hand.click("link", "Answer with a quote")
    hand.fill("Discount", "10")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("9,900.00 EUR").first).to_be_visible(timeout=15_000)
    picture(tab, artifacts, "console-quote-builder")
    hand.click("button", "Save the draft")
    expect(tab.get_by_role("heading", name="Send it")).to_be_visible()
    picture(tab, artifacts, "console-quote-draft")
    hand.click("button", "Send it to the customer")
    tab.wait_for_url("**done=quote-sent**")
    assert fresh(world, asked).state is QuoteState.SENT
    assert len(hand.clicks) <= MOST_CLICKS, hand.clicks
    (artifacts / "effort-quote.json").write_text(json.dumps(hand.effort, default=str, indent=2))
    tab.goto(f"{world.url}{link(world, asked)}")
    picture(tab, artifacts, "quote")


def test_the_pages_of_the_billing_life_are_pictured_and_readable(world: World, tab: Tab, artifacts: Path) -> None:
    there = stock(world)
    staff, _ = staff_browser(world)
    be(tab, world, staff.cookies)
    pages = (
        ("/dunning", "dunning"), (f"/dunning/{there.run}", "dunning-run"), ("/renewals", "renewals"),
        ("/refunds", "refunds"), (f"/refunds/{there.refund}", "refund"), ("/credit_notes", "credit-notes"),
        (f"/credit_notes/{there.credit_note}", "credit-note"), ("/disputes", "disputes"),
        (f"/disputes/{there.dispute}", "dispute"), ("/coupons", "coupons"), ("/staff", "staff"),
        ("/api-keys", "api-keys"), (f"/invoices/{there.invoice}", "invoice"), ("/invoices", "invoices"),
        (f"/accounts/{there.order.account_id}", "account"),
        (f"/subscriptions/{there.subscription}", "subscription"), ("/tax/nexus", "tax-nexus"),
        ("/tax/overrides", "tax-overrides"), ("/tax/exemptions", "exemptions"), ("/screening", "screening"),
        (f"/screening/{there.case}", "screening-case"), ("/signing-keys", "signing-keys"), ("/trials", "trials"),
        (f"/trials/{there.trial}", "trial"), (f"/licenses/{there.license}", "license"),
        ("/merged-licenses", "merged-licenses"), (f"/merged-licenses/{there.merged}", "merged-license"),
    )  # fmt: skip
    for path, name in pages if FULL else pages[::3]:
        answer = tab.goto(f"{world.url}/console{path}")
        assert answer is not None
        assert (answer.status, tab.locator("h1").count()) == (200, 1), path
        picture(tab, artifacts, f"console-{name}")
