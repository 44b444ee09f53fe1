"""Who may open which door of the console: every route and every role, generated from the app (S7, S13, S15)."""

from dataclasses import replace
from typing import Final

import httpx
import pytest

from app.accounts.models import Audience, StaffRole
from app.accounts.sessions import begin
from app.core.clock import transport_now
from app.core.ids import new_id
from app.web import cookies
from tests.console.helping import Stocked, doors, fingerprint, stock, token_of
from tests.signing_in import CALLER, customer_browser, make_staff, staff_browser
from tests.world import World

SALES, SUPPORT, FINANCE, ADMIN = StaffRole.SALES, StaffRole.SUPPORT, StaffRole.FINANCE, StaffRole.ADMIN
EVERYBODY: Final = frozenset(StaffRole)
# Signing in has tests of its own (tests/web/test_staff_sign_in.py).
DOORSTEP: Final = frozenset(
    {
        "/console/sign-in", "/console/sign-in/check", "/console/sign-in/link", "/console/sign-in/{token}",
        "/console/sign-out", "/console/second-factor", "/console/second-factor/enrol",
        "/console/procedures/staff-sign-in", "/console/procedures/lost-second-factor",
    }
)  # fmt: skip
MAY: Final = {
    ("GET", "/console"): EVERYBODY,
    ("GET", "/console/search"): EVERYBODY,
    ("GET", "/console/accounts"): EVERYBODY,
    ("GET", "/console/accounts/{account_id}"): EVERYBODY,
    ("GET", "/console/accounts/{account_id}/agreements"): EVERYBODY,
    ("GET", "/console/accounts/{account_id}/statement"): EVERYBODY,
    ("GET", "/console/accounts/{account_id}/statement/pdf"): EVERYBODY,
    ("GET", "/console/accounts/{account_id}/statement/csv"): EVERYBODY,
    ("POST", "/console/accounts/{account_id}/agreements"): {SALES, ADMIN},
    ("POST", "/console/agreements/{agreement_id}/end"): {SALES, ADMIN},
    ("GET", "/console/agreements/{agreement_id}/paper"): EVERYBODY,
    ("GET", "/console/orders"): EVERYBODY,
    ("GET", "/console/orders/{order_id}"): EVERYBODY,
    ("POST", "/console/orders/{order_id}/cancel"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/orders/{order_id}/release"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/orders/{order_id}/resolve"): {FINANCE, ADMIN},
    ("GET", "/console/quotes"): EVERYBODY,
    ("GET", "/console/quotes/new"): {SALES, ADMIN},
    ("POST", "/console/quotes/new"): {SALES, ADMIN},
    ("POST", "/console/quotes/figures"): {SALES, ADMIN},
    ("GET", "/console/quotes/{quote_id}"): EVERYBODY,
    ("GET", "/console/quotes/{quote_id}/edit"): {SALES, ADMIN},
    ("POST", "/console/quotes/{quote_id}/edit"): {SALES, ADMIN},
    ("GET", "/console/quotes/{quote_id}/pdf"): EVERYBODY,
    ("GET", "/console/quotes/{quote_id}/paper"): EVERYBODY,
    ("POST", "/console/quotes/{quote_id}/send"): {SALES, ADMIN},
    ("POST", "/console/quotes/{quote_id}/approve"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/quotes/{quote_id}/revise"): {SALES, ADMIN},
    ("POST", "/console/quotes/{quote_id}/decline"): {SALES, ADMIN},
    ("POST", "/console/quotes/{quote_id}/withdraw"): {SALES, ADMIN},
    ("GET", "/console/subscriptions"): EVERYBODY,
    ("GET", "/console/subscriptions/{subscription_id}"): EVERYBODY,
    ("POST", "/console/subscriptions/{subscription_id}/release"): {SALES, ADMIN},
    ("POST", "/console/subscriptions/{subscription_id}/changes/{change_id}/withdraw"): {SALES, ADMIN},
    ("GET", "/console/renewals"): EVERYBODY,
    ("GET", "/console/dunning"): EVERYBODY,
    ("GET", "/console/dunning/{run_id}"): EVERYBODY,
    ("POST", "/console/dunning/{run_id}/pause"): {FINANCE, ADMIN},
    ("POST", "/console/dunning/{run_id}/resume"): {FINANCE, ADMIN},
    ("GET", "/console/licenses"): EVERYBODY,
    ("GET", "/console/licenses/{license_id}"): EVERYBODY,
    ("GET", "/console/merged-licenses"): EVERYBODY,
    ("GET", "/console/merged-licenses/{merged_id}"): EVERYBODY,
    ("POST", "/console/licenses/{license_id}/revoke"): {SUPPORT, ADMIN},
    ("GET", "/console/trials"): EVERYBODY,
    ("GET", "/console/trials/{trial_id}"): EVERYBODY,
    ("POST", "/console/trials/{trial_id}/again"): {SUPPORT, ADMIN},
    ("POST", "/console/licenses/{license_id}/deactivate"): {SUPPORT, ADMIN},
    ("POST", "/console/licenses/{license_id}/limit"): {SUPPORT, ADMIN},
    ("GET", "/console/workspaces"): EVERYBODY,
    ("GET", "/console/workspaces/{workspace_id}"): EVERYBODY,
    ("POST", "/console/workspaces/{workspace_id}/retry"): {SUPPORT, ADMIN},
    ("POST", "/console/workspaces/{workspace_id}/keep"): {SUPPORT, ADMIN},
    ("GET", "/console/invoices"): EVERYBODY,
    ("GET", "/console/invoices/{invoice_id}"): EVERYBODY,
    ("GET", "/console/invoices/{invoice_id}/pdf"): EVERYBODY,
    ("GET", "/console/payments/{payment_id}/pdf"): EVERYBODY,
    ("GET", "/console/invoices/{invoice_id}/evidence"): {SALES, FINANCE, ADMIN},
    ("GET", "/console/invoices/{invoice_id}/xml"): EVERYBODY,
    ("POST", "/console/invoices/{invoice_id}/payment"): {FINANCE, ADMIN},
    ("POST", "/console/invoices/{invoice_id}/put_off"): {FINANCE, ADMIN},
    ("POST", "/console/invoices/{invoice_id}/replace"): {FINANCE, ADMIN},
    ("POST", "/console/accounts/{account_id}/tax-ids/confirm"): {FINANCE, ADMIN},
    ("POST", "/console/accounts/{account_id}/tax-ids/ask"): {FINANCE, ADMIN},
    ("POST", "/console/accounts/{account_id}/credit/freeze"): {FINANCE, ADMIN},
    ("POST", "/console/accounts/{account_id}/credit/unfreeze"): {FINANCE, ADMIN},
    ("POST", "/console/accounts/{account_id}/credit/limit"): {FINANCE, ADMIN},
    ("GET", "/console/invoices/{invoice_id}/explain"): EVERYBODY,
    ("POST", "/console/accounts/{account_id}/ownership"): {SALES, FINANCE, ADMIN},
    ("GET", "/console/screening"): EVERYBODY,
    ("GET", "/console/screening/{case_id}"): EVERYBODY,
    ("POST", "/console/screening/{case_id}/clear"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/screening/{case_id}/confirm"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/screening/{case_id}/overturn"): {FINANCE, ADMIN},
    ("POST", "/console/screening/{case_id}/reopen"): {SALES, FINANCE, ADMIN},
    ("GET", "/console/coupons"): EVERYBODY,
    ("GET", "/console/tax/nexus"): EVERYBODY,
    ("GET", "/console/tax/nexus.csv"): {SALES, FINANCE, ADMIN},
    ("POST", "/console/tax/nexus/{alert_id}/seen"): {FINANCE, ADMIN},
    ("GET", "/console/tax/overrides"): EVERYBODY,
    ("GET", "/console/tax/exemptions"): EVERYBODY,
    ("GET", "/console/tax/exemptions/{certificate_id}/paper"): EVERYBODY,
    ("POST", "/console/tax/exemptions/{certificate_id}/accept"): {FINANCE, ADMIN},
    ("POST", "/console/tax/exemptions/{certificate_id}/reject"): {FINANCE, ADMIN},
    ("POST", "/console/tax/exemptions/{certificate_id}/revoke"): {FINANCE, ADMIN},
    ("POST", "/console/tax/overrides"): {FINANCE, ADMIN},
    ("POST", "/console/tax/overrides/{override_id}/end"): {FINANCE, ADMIN},
    ("GET", "/console/invoices/{invoice_id}/refund"): {FINANCE, ADMIN},
    ("POST", "/console/invoices/{invoice_id}/refund"): {FINANCE, ADMIN},
    ("GET", "/console/credit_notes"): EVERYBODY,
    ("GET", "/console/credit_notes/{credit_note_id}"): EVERYBODY,
    ("GET", "/console/credit_notes/{credit_note_id}/pdf"): EVERYBODY,
    ("GET", "/console/credit_notes/{credit_note_id}/xml"): EVERYBODY,
    ("GET", "/console/refunds"): EVERYBODY,
    ("GET", "/console/refunds/{refund_id}"): EVERYBODY,
    ("POST", "/console/refunds/{refund_id}/approve"): {FINANCE, ADMIN},
    ("POST", "/console/refunds/{refund_id}/reject"): {FINANCE, ADMIN},
    ("GET", "/console/disputes"): EVERYBODY,
    ("GET", "/console/disputes/{dispute_id}"): EVERYBODY,
    ("GET", "/console/exports"): {SALES, FINANCE, ADMIN},
    ("GET", "/console/exports/{name}.{ending}"): {SALES, FINANCE, ADMIN},
    ("GET", "/console/survey"): EVERYBODY,
    ("GET", "/console/jobs"): EVERYBODY,
    ("POST", "/console/jobs/retry"): {SUPPORT, ADMIN},
    ("POST", "/console/jobs/{job_id}/retry"): {SUPPORT, ADMIN},
    ("GET", "/console/signing-keys"): EVERYBODY,
    ("POST", "/console/signing-keys/rotate/{name}"): {ADMIN},
    ("POST", "/console/signing-keys/retire/{name}"): {ADMIN},
    ("GET", "/console/policies"): EVERYBODY,
    ("POST", "/console/policies"): {ADMIN},
    ("GET", "/console/clock"): {ADMIN},
    ("POST", "/console/clock"): {ADMIN},
    ("GET", "/console/staff"): {ADMIN},
    ("POST", "/console/staff"): {ADMIN},
    ("GET", "/console/staff/new"): {ADMIN},
    ("GET", "/console/staff/{staff_id}"): {ADMIN},
    ("POST", "/console/staff/{staff_id}/role"): {ADMIN},
    ("POST", "/console/staff/{staff_id}/remove"): {ADMIN},
    ("POST", "/console/staff/{staff_id}/second-factor"): {ADMIN},
    ("GET", "/console/api-keys"): {ADMIN},
    ("GET", "/console/api-keys/{key_id}"): {ADMIN},
    ("POST", "/console/api-keys/{key_id}/revoke"): {ADMIN},
    ("GET", "/console/procedures"): EVERYBODY,
    ("GET", "/console/procedures/{name}"): EVERYBODY,
}
_KINDS: Final = {
    "account_id": "acc", "order_id": "ord", "quote_id": "quo", "subscription_id": "sub", "license_id": "lic",
    "invoice_id": "inv", "workspace_id": "wsp", "run_id": "dun", "staff_id": "stf", "key_id": "key",
    "credit_note_id": "cn", "refund_id": "ref", "dispute_id": "dis", "agreement_id": "agr",
    "change_id": "chg", "payment_id": "pay", "override_id": "tov", "alert_id": "tna", "certificate_id": "exc",
    "case_id": "scr", "trial_id": "trl", "merged_id": "mrg",
}  # fmt: skip


def behind_the_doorstep(world: World) -> list[tuple[str, str]]:
    return [(method, path) for method, path in doors(world) if path not in DOORSTEP]


def unknown(path: str) -> str:
    """The address of something that does not exist."""
    ids = {name: new_id(kind) for name, kind in _KINDS.items()}
    return path.format(**ids, job_id="999999", name="nothing", ending="csv")


def known(path: str, stocked: Stocked) -> str:
    if path.endswith("{name}.{ending}"):
        return path.format(**stocked.paths) + "?from=2026-01-01&to=2026-12-31"
    return path.format(**(stocked.paths | {"name": "daily-review"}))


def send(browser: httpx.Client, method: str, path: str, token: str) -> httpx.Response:
    form = {"csrf_token": token} if method == "POST" else None
    return browser.request(method, path, data=form, headers={"accept": "text/html"})


def test_the_table_names_every_door(world: World) -> None:
    assert set(behind_the_doorstep(world)) == set(MAY)


def test_each_role_gets_through_its_own_doors_and_no_other(world: World) -> None:
    for role in StaffRole:
        browser, _ = staff_browser(world, role)
        token = token_of(browser)
        for (method, path), roles in MAY.items():
            answer = send(browser, method, unknown(path), token)
            refused = answer.status_code == 403
            assert refused is (role not in roles), (role, method, path, answer.status_code)
            if refused:
                assert f"Your role is {role}" in answer.text
                assert '<a href="/console/orders"' in answer.text, "refused inside the console, with the way on"


def test_what_does_not_exist_is_not_found(world: World) -> None:
    browser, _ = staff_browser(world)
    token = token_of(browser)
    for method, path in MAY:
        if "{" in path:
            answer = send(browser, method, unknown(path), token)
            wanted = 422 if path.endswith("{ending}") else 404  # that door asks for its dates first
            assert answer.status_code == wanted, (method, path)
            crooked = send(
                browser,
                method,
                path.format(**dict.fromkeys(_KINDS, "x"), job_id="x", name="no_such", ending="x"),
                token,
            )
            assert crooked.status_code in {404, 422}, (method, path)


def test_a_stranger_a_customer_and_a_half_signed_in_colleague_are_led_to_the_door(world: World) -> None:
    customer, _ = customer_browser(world)
    with world.db.transaction() as tx:
        person = make_staff(tx)
        _, token = begin(tx, world.ports.secrets, audience=Audience.STAFF, email=person.email, caller=CALLER,
                         now=transport_now(), staff_id=person.id)  # fmt: skip
    half = world.browser()
    half.cookies.set(cookies.SESSIONS[Audience.STAFF], token, domain="127.0.0.1")
    for browser, door in ((world.browser(), "/console/sign-in"), (customer, "/console/sign-in"),
                          (half, "/console/second-factor")):  # fmt: skip
        form = token_of(browser, "/console/sign-in")
        for method, path in MAY:
            answer = send(browser, method, unknown(path), form)
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].partition("?")[0] == door


def test_no_button_works_without_the_token_of_its_form(world: World) -> None:
    stocked = stock(world)
    browser, _ = staff_browser(world)
    before = fingerprint(world)
    for method, path in MAY:
        if method == "POST":
            answer = browser.post(known(path, stocked), data={"note": "x", "ground": "refund", "days": "1"})
            assert answer.status_code == 403, path
            assert "form-refused" in answer.text or "form_refused" in answer.text
    assert fingerprint(world) == before


def test_looking_changes_nothing(world: World) -> None:
    stocked = stock(world)
    world.draw()
    browser, _ = staff_browser(world)
    before = fingerprint(world)
    for method, path in MAY:
        if method == "GET":
            assert browser.get(known(path, stocked)).status_code in {200, 303}, path
            browser.head(known(path, stocked))
    assert fingerprint(world) == before


def test_how_to_sign_in_can_be_read_by_whoever_cannot(world: World) -> None:
    for name in ("staff-sign-in", "lost-second-factor"):
        answer = world.browser().get(f"/console/procedures/{name}")
        assert answer.status_code == 200
        assert 'href="/console/orders"' not in answer.text


def test_production_has_no_clock_to_advance(world: World) -> None:
    from app.main import create_app
    from tests.serving import served

    real = create_app(world.settings, replace(world.wired, advance_clock=None))
    browser, _ = staff_browser(world)
    with served(real) as url, httpx.Client(base_url=url, cookies=browser.cookies, trust_env=False) as client:
        assert client.get("/console/clock").status_code == 404
        assert 'href="/console/clock"' not in client.get("/console").text


@pytest.mark.parametrize("role", [SALES, SUPPORT, FINANCE])
def test_sections_closed_to_a_role_are_not_offered(world: World, role: StaffRole) -> None:
    browser, _ = staff_browser(world, role)
    html = browser.get("/console").text
    for closed in ("clock", "staff", "api-keys"):
        assert f'href="/console/{closed}"' not in html
    assert ('href="/console/exports"' in html) is (role is not SUPPORT)
