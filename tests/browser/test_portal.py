"""A customer's own pages in a real browser: seats changed with the figures beside them, cards, open invoices."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Audience, Member
from app.flows import paying_invoices, tick, trial
from app.licenses.trial_models import TrialDoor
from app.licenses.trials import Tried
from app.web.cookies import SESSIONS
from tests import shop
from tests.browser.hand import Hand, be, picture
from tests.flows.on_invoice import invoice_of, open_account, order_on_invoice
from tests.licenses.activating import bind, of_order, with_rules
from tests.licenses.test_usage import send, written
from tests.signing_in import session_of_member
from tests.world import FULL, World

TRIED = Tried(server_id="ehsr1oaxbty8bmw6xqhp8pj7pe", email="tess@trying.example", person_name="Tess Trying",
              company="Trying Ltd", country="GB", locale="en", users=20)  # fmt: skip
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def as_owner(tab: Tab, world: World, account_id: str) -> None:
    with world.db.transaction() as tx:
        member = tx.execute(select(Member).where(col(Member.account_id) == account_id)).scalars().first()
        assert member is not None
        be(tab, world, {SESSIONS[Audience.CUSTOMER]: session_of_member(tx, world.ports.secrets, member)})


def test_seats_are_added_with_the_figures_beside_them(world: World, tab: Tab, artifacts: Path) -> None:
    bought = shop.buy(world, seats=20)
    as_owner(tab, world, bought.account_id)
    tab.goto(f"{world.url}/account/subscriptions/{bought.subscription_id}")
    hand = Hand(tab)
    hand.fill("Seats", "25")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("550.00 EUR").first).to_be_visible(timeout=15_000)
    assert "VAT Germany" not in tab.inner_text("main"), "the next term is taxed like this one"
    picture(tab, artifacts, "seat-change")
    hand.click("button", re.compile("550.00"))
    tab.wait_for_url(re.compile("orders|said="))
    world.work()
    tab.goto(f"{world.url}/account/subscriptions/{bought.subscription_id}")
    expect(tab.get_by_text("25 seats").first).to_be_visible()
    assert (len(hand.clicks), len(hand.fields)) == (1, 1)
    hand.fill("Seats", "22")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("2,420.00 EUR").first).to_be_visible(timeout=15_000)
    picture(tab, artifacts, "seat-change-down")
    for path, name in (("/account/payment-methods", "payment-methods"), ("/account/invoices", "account-invoices")):
        tab.goto(f"{world.url}{path}")
        picture(tab, artifacts, name)


def test_somebody_we_know_sees_the_total_without_touching_the_form(world: World, tab: Tab, artifacts: Path) -> None:
    as_owner(tab, world, shop.buy(world, seats=20).account_id)
    tab.goto(f"{world.url}/checkout?sku=professional&currency=EUR")
    expect(tab.get_by_role("button", name=re.compile("^(Pay|Order for) .*EUR"))).to_be_visible(timeout=15_000)
    expect(tab.get_by_text("Total", exact=True).first).to_be_visible()
    picture(tab, artifacts, "checkout-known")


def test_an_open_invoice_its_payment_and_the_statement(world: World, tab: Tab, artifacts: Path) -> None:
    account = open_account(world)
    invoice = invoice_of(world, order_on_invoice(world, account))
    tab.goto(f"{world.url}{paying_invoices.link(world.ports, invoice.id)}")
    picture(tab, artifacts, "open-invoice")
    as_owner(tab, world, invoice.account_id)
    tab.goto(f"{world.url}/account/statement")
    assert tab.locator("h1").count() == 1
    picture(tab, artifacts, "statement")


def test_the_pages_of_licensing_are_readable_on_a_phone(world: World, tab: Tab, artifacts: Path) -> None:
    order = shop.buy(world, seats=20)
    license_ = of_order(world, order)
    with_rules(world, limit=2)
    bind(world, license_, "chat-01", "a-server-with-a-name-that-is-as-long-as-names-of-servers-may-well-be")
    assert send(world, license_, written(world, license_, 23)).status_code == 201
    shop.buy(world, seats=12, interval="month")
    tick.tick(world.ports)
    world.work()
    begun = trial.start(world.ports, trial.Asked(TRIED, terms=True, door=TrialDoor.PORTAL))
    as_owner(tab, world, order.account_id)
    home = f"/account/licenses/{license_.id}"
    pages = (
        ("/account/licenses", "licenses"), (home, "license"), (f"{home}/offline", "offline"), ("/verify", "verify"),
        (f"/account/subscriptions/{order.subscription_id}/usage", "usage"), ("/trial?sku=enterprise", "trial-form"),
        (trial.page_of(world.ports, begun.trial), "trial"),
    )  # fmt: skip
    for path, name in pages if FULL else pages[::2]:
        answer = tab.goto(f"{world.url}{path}")
        assert answer is not None
        assert (answer.status, tab.locator("h1").count()) == (200, 1), path
        picture(tab, artifacts, name)
    tab.goto(f"{world.url}/verify")
    tab.get_by_label(re.compile("^Or its text")).fill(license_.file_text)
    tab.get_by_role("button", name="Check it").click()
    expect(tab.get_by_role("heading", name="This license is genuine")).to_be_visible()
    picture(tab, artifacts, "verified")
