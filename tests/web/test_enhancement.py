"""blp.js in a real browser, under the real policy: live preview, polling, copying; and that pages pass axe.

Without a Chromium these report themselves as not run; BLP_REQUIRE_BROWSER=1 makes that an error (INTERFACES).
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from app.web import pages
from app.web.portal import views as v
from app.web.views import Form, Link, MoneyRow, Option, Page, Shell, Step
from tests.world import FULL

pytestmark = pytest.mark.browser

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SHELL = Shell(vendor="Northwind", csrf_token="t0ken")
ENV = pages.environment()


def preview(seats: int) -> v.PreviewView:
    total = f"{seats * 40}.00 EUR"
    return v.PreviewView(
        preview_id=f"prv_{seats}",
        rows=(MoneyRow(label="Professional", amount=total),),
        total=total,
        button=f"Pay {total}",
    )


CHECKOUT = v.CheckoutView(
    form=Form(values={"sku": "pro", "currency": "EUR", "seats": "50", "payment": "card", "country": "DE"}),
    preview=preview(50),
    preview_href="/checkout/preview",
    plan="Professional",
    delivery="Self-managed",
    pricing_href="/",
    min_seats=11,
    term_options=(Option(value="12", label="1 year"),),
    addons=(),
    countries=(Option(value="DE", label="Germany"), Option(value="US", label="United States")),
    us_states=(Option(value="US-NY", label="New York"),),
    ca_provinces=(Option(value="CA-ON", label="Ontario"),),
    payments=(Option(value="card", label="By card"),),
    payment_hint="The number never reaches us.",
    terms=Link(label="License Agreement", href="/terms"),
    terms_version="3",
    authority="I may bind the company.",
)
WAITING = v.ProgressView(steps=(Step(label="Signing", state="now"),), sentence="Signing.", poll_href="/progress")
ORDER = v.OrderView(
    order_id="ord_1",
    state="processing",
    plan="Professional",
    email="ada@engines.example",
    rows=(),
    total="2,000.00 EUR",
    progress=WAITING,
)
READY = replace(
    ORDER,
    state="paid",
    progress=v.ProgressView(steps=(Step(label="Signed", state="done"),)),
    license=v.LicenseReady(
        filename="a.mattermost-license",
        download_href="/file",
        text="LICENSE-TEXT",
        seats=50,
        until=date(2027, 11, 21),
        guides=(v.InstallGuide(title="Air gap", steps=("Carry it.",)),),
    ),
)


class Shop(ThreadingHTTPServer):
    """A few pages with their policy, and what was asked of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.seats: list[str] = []
        self.ordered: list[str] = []
        self.polls = 0
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> Page:
        """The order becomes ready at the third poll, as if a worker had signed it meanwhile."""
        if path == "/checkout":
            return CHECKOUT
        if path == "/progress":
            self.polls += 1
            return replace(WAITING, reload=self.polls >= 3, sentence=f"Asked {self.polls} times.")
        return READY if self.polls >= 3 else ORDER


class _Door(BaseHTTPRequestHandler):
    server: Shop

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the base class
        """Say nothing: the test's own output matters."""

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", pages.CONTENT_SECURITY_POLICY)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/static/"):
            file = pages.STATIC / Path(path).name
            self._send(file.read_bytes(), _TYPES[file.suffix])
            return
        self._send(pages.render(ENV, self.server.answer(path), SHELL).encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        seats = body.split('name="seats"')[1].split()[0] if 'name="seats"' in body else parse_qs(body)["seats"][0]
        (self.server.ordered if self.path == "/checkout" else self.server.seats).append(seats)
        if self.server.broken:
            self._send(b"", "text/html", 503)
            return
        self._send(pages.render(ENV, preview(int(seats)), SHELL).encode(), "text/html; charset=utf-8")


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_changing_the_seats_reprices_without_a_reload(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    tab.get_by_label("Full name").fill("Ada Byron")
    tab.get_by_label("Seats").fill("80")
    tab.get_by_label("Seats").press("Tab")
    expect(tab.get_by_role("button", name="Pay 3200.00 EUR")).to_be_enabled()
    assert tab.locator('input[name="preview_id"]').input_value() == "prv_80"
    assert tab.get_by_label("Full name").input_value() == "Ada Byron"
    expect(tab.locator("#live-status")).to_contain_text("Total 3200.00 EUR")
    assert "80" in shop.seats


def test_a_preview_that_fails_never_leaves_an_old_price_to_press(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    expect(tab.get_by_role("button", name="Update the price")).to_be_hidden()
    shop.broken = True
    tab.get_by_label("Seats").fill("90")
    tab.get_by_label("Seats").press("Tab")
    expect(tab.get_by_role("button", name="Update the price")).to_be_visible()
    expect(tab.get_by_role("button", name="Pay 2000.00 EUR")).to_be_disabled()


def test_one_press_right_after_typing_orders_when_the_price_is_as_shown(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    tab.locator("form.checkout").evaluate("form => { form.noValidate = true }")
    tab.get_by_label("Full name").press_sequentially("Ada")
    tab.get_by_role("button", name="Pay 2000.00 EUR").click()
    tab.wait_for_url(f"{shop.url}/checkout")
    expect(tab.locator("form.checkout")).to_have_count(0)
    assert shop.ordered == ["50"]


def test_one_press_right_after_changing_the_price_shows_the_new_one_instead_of_ordering(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    tab.locator("form.checkout").evaluate("form => { form.noValidate = true }")
    tab.get_by_label("Seats").press("End")
    tab.get_by_label("Seats").press_sequentially("0")
    tab.get_by_role("button", name="Pay 2000.00 EUR").click()
    expect(tab.get_by_role("button", name="Pay 20000.00 EUR")).to_be_enabled()
    assert shop.ordered == []


def test_accepting_the_terms_asks_for_no_new_price(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    tab.get_by_role("checkbox", name="I accept").check()
    tab.get_by_label("Seats").fill("12")
    tab.get_by_label("Seats").press("Tab")
    expect(tab.get_by_role("button", name="Pay 480.00 EUR")).to_be_enabled()
    assert shop.seats == ["12"]
    expect(tab.get_by_role("checkbox", name="I accept")).to_be_checked()


def test_a_state_is_asked_for_only_where_tax_depends_on_it(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    region = tab.get_by_label("State or province")
    expect(region).to_be_hidden()
    tab.get_by_label("Country").select_option("US")
    expect(region).to_be_visible()


def test_a_waiting_order_follows_by_itself_until_it_is_ready(shop: Shop, tab: Tab) -> None:
    shop.polls = 1
    tab.goto(f"{shop.url}/order")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Payment received, signing your license")
    expect(tab.get_by_role("heading", level=1)).to_have_text("It is yours", timeout=15_000)


def test_the_license_is_copied_with_one_press(shop: Shop, tab: Tab) -> None:
    shop.polls = 3
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto(f"{shop.url}/order")
    tab.get_by_text("Copy it as text instead").click()
    tab.get_by_role("button", name="Copy License text").click()
    expect(tab.locator("#live-status")).to_have_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == "LICENSE-TEXT"


def test_the_form_is_complete_without_scripts(shop: Shop, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{shop.url}/checkout")
    expect(tab.get_by_role("button", name="Update the price")).to_be_visible()
    expect(tab.get_by_role("button", name="Copy")).to_have_count(0)
    context.close()


@pytest.mark.parametrize("path", ["/checkout", "/order"])
@pytest.mark.parametrize(
    ("width", "scheme"), [*product([390, 1280], ["light", "dark"])] if FULL else [(390, "light"), (1280, "dark")]
)
def test_pages_have_no_accessibility_finding_and_never_scroll_sideways(
    shop: Shop, browser: Browser, path: str, scheme: str, width: int
) -> None:
    shop.polls = 3
    # axe adds a style element of its own, which the policy would rightly refuse
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True
    )
    tab = context.new_page()
    tab.goto(shop.url + path)
    findings = [f"{found['impact']} {found['id']}" for found in Axe().run(tab).response["violations"]]
    sideways = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert findings == []
    assert sideways == 0


def test_the_keyboard_alone_reaches_the_pay_button(shop: Shop, tab: Tab) -> None:
    tab.goto(f"{shop.url}/checkout")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the content")).to_be_focused()
    seen: Callable[[], str] = lambda: str(tab.evaluate("document.activeElement.id"))  # noqa: E731 -- a probe
    for _ in range(40):
        if seen() == "place":
            break
        tab.keyboard.press("Tab")
    assert seen() == "place"
