"""Who is asking on a page, tried on doors made for it; and that no real page forgets to ask (S7, S13)."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Form
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from app.accounts import members, staff
from app.accounts.models import Audience, Role, StaffRole, WebSession
from app.accounts.permissions import Permission, StaffPermission, may
from app.accounts.sessions import SignedInCustomer, SignedInStaff
from app.core.clock import transport_now
from app.main import create_app
from app.web import auth, cookies, csrf
from tests.serving import served
from tests.signing_in import (
    OPERATOR,
    make_account,
    make_member,
    make_staff,
    session_of_member,
    session_of_staff,
)
from tests.world import World, altered

probes = APIRouter(dependencies=[Depends(csrf.protect)])


def _see(permission: Permission) -> None:
    @probes.get(f"/account/probe/{permission.value}", name=f"see {permission}")
    def see(who: Annotated[SignedInCustomer, Depends(auth.customer(permission))]) -> dict[str, str]:
        return {"account": who.account_id, "role": who.role.value, "name": who.name}


def _run(permission: StaffPermission) -> None:
    @probes.get(f"/console/probe/{permission.value}", name=f"run {permission}")
    def run(who: Annotated[SignedInStaff, Depends(auth.staff(permission))]) -> dict[str, str]:
        return {"staff": who.staff_id, "role": who.role.value}


for _each in Permission:
    _see(_each)
for _one in StaffPermission:
    _run(_one)
REFUND = "/console/probe/refund"


@probes.get(REFUND)
@probes.post(REFUND)
def refund(who: Annotated[SignedInStaff, Depends(auth.staff(StaffPermission.REFUNDS_WRITE, fresh=True))]) -> str:
    return who.staff_id


@probes.get("/account/probe/letters")
@probes.post("/account/probe/letters")
def letters(who: Annotated[SignedInCustomer, Depends(auth.customer(Permission.ACCOUNT_READ))]) -> str:
    return who.email


@probes.post("/probe/form")
def form(word: Annotated[str, Form()] = "") -> str:
    return word


@probes.post("/probe/unsubscribe")
@csrf.exempt("a mail program posts here; the token in the address is the right to")
def unsubscribe() -> str:
    return "done"


@pytest.fixture
def app(world: World) -> FastAPI:
    made = create_app(world.settings, world.wired)
    made.include_router(probes)
    return made


@pytest.fixture
def browser(app: FastAPI) -> Iterator[httpx.Client]:
    with served(app) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client


def act_as(browser: httpx.Client, audience: Audience, token: str) -> None:
    browser.cookies.clear()
    browser.cookies.set(cookies.SESSIONS[audience], token, domain="127.0.0.1")


def test_every_role_of_a_customer_meets_exactly_its_permissions(world: World, browser: httpx.Client) -> None:
    """S7: every role on every door; deny by default."""
    with world.db.transaction() as tx:
        account = make_account(tx)
        tokens = {
            role: session_of_member(tx, world.ports.secrets, make_member(tx, role=role, account=account))
            for role in Role
        }  # fmt: skip
    for role, permission in product(Role, Permission):
        act_as(browser, Audience.CUSTOMER, tokens[role])
        answer = browser.get(f"/account/probe/{permission.value}")
        assert answer.status_code == (200 if may(role, permission) else 403), (role, permission)
        if answer.status_code == 200:
            assert answer.json() == {"account": account.id, "role": role.value, "name": "Ada"}


def test_every_role_of_staff_meets_exactly_its_permissions(world: World, browser: httpx.Client) -> None:
    """S7."""
    with world.db.transaction() as tx:
        tokens = {role: session_of_staff(tx, world.ports.secrets, make_staff(tx, role=role)) for role in StaffRole}
    for role, permission in product(StaffRole, StaffPermission):
        act_as(browser, Audience.STAFF, tokens[role])
        answer = browser.get(f"/console/probe/{permission.value}")
        assert answer.status_code == (200 if may(role, permission) else 403), (role, permission)


def test_whoever_is_not_signed_in_is_led_there_and_back(browser: httpx.Client) -> None:
    """S35: `next` is the page that was asked for, and only if it may be."""
    led = browser.get("/account/probe/letters?page=2")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2Faccount%2Fprobe%2Fletters%3Fpage%3D2")
    posted = browser.post("/account/probe/letters", data={"csrf_token": token_for(browser)})
    assert (posted.status_code, posted.headers["location"]) == (303, "/sign-in"), "a post is not repeated by itself"
    assert browser.get(REFUND).headers["location"] == "/console/sign-in?next=%2Fconsole%2Fprobe%2Frefund"


def test_a_session_of_one_side_is_nobody_on_the_other(world: World, browser: httpx.Client) -> None:
    with world.db.transaction() as tx:
        customer = session_of_member(tx, world.ports.secrets, make_member(tx))
        colleague = session_of_staff(tx, world.ports.secrets, make_staff(tx))
    browser.cookies.set(cookies.SESSIONS[Audience.STAFF], customer)
    browser.cookies.set(cookies.SESSIONS[Audience.CUSTOMER], colleague)
    assert browser.get("/console/probe/console:read").status_code == 303
    assert browser.get("/account/probe/accounts:read").status_code == 303


def test_a_removed_person_and_a_new_role_hold_from_the_next_request_on(world: World, browser: httpx.Client) -> None:
    """S8: less than a second."""
    with world.db.transaction() as tx:
        account = make_account(tx)
        make_member(tx, account=account)
        ada = make_member(tx, account=account, role=Role.BILLING)
        token = session_of_member(tx, world.ports.secrets, ada)
        grace = make_staff(tx)
        make_staff(tx)
        console = session_of_staff(tx, world.ports.secrets, grace)
    act_as(browser, Audience.CUSTOMER, token)
    assert browser.get("/account/probe/accounts:read").status_code == 200
    with world.db.transaction() as tx:
        members.remove(tx, account.id, ada.id, by=OPERATOR, now=transport_now())
    assert browser.get("/account/probe/accounts:read").status_code == 303
    act_as(browser, Audience.STAFF, console)
    assert browser.get("/console/probe/console:read").status_code == 200
    with world.db.transaction() as tx:
        staff.remove(tx, grace.id, by="x", now=transport_now())
    assert browser.get("/console/probe/console:read").status_code == 303


def test_whoever_belongs_to_several_accounts_chooses_before_seeing_any(world: World, browser: httpx.Client) -> None:
    with world.db.transaction() as tx:
        token = session_of_member(tx, world.ports.secrets, make_member(tx))
        tx.query(WebSession).one().account_id = None
    act_as(browser, Audience.CUSTOMER, token)
    assert browser.get("/account/probe/accounts:read").headers["location"].startswith("/sign-in/account")


def test_staff_pass_nothing_before_the_second_factor(world: World, browser: httpx.Client) -> None:
    """S6."""
    with world.db.transaction() as tx:
        token = session_of_staff(tx, world.ports.secrets, make_staff(tx))
        tx.query(WebSession).one().second_factor_at = None
    act_as(browser, Audience.STAFF, token)
    for permission in StaffPermission:
        answer = browser.get(f"/console/probe/{permission.value}")
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/console/second-factor")


def test_dangerous_actions_ask_for_the_second_factor_again_after_an_hour(world: World, browser: httpx.Client) -> None:
    """S8."""
    with world.db.transaction() as tx:
        token = session_of_staff(tx, world.ports.secrets, make_staff(tx))
    act_as(browser, Audience.STAFF, token)
    assert browser.get(REFUND).status_code == 200
    with world.db.transaction() as tx:
        tx.query(WebSession).one().second_factor_at = transport_now() - timedelta(minutes=61)
    assert browser.get(REFUND).headers["location"] == "/console/second-factor?next=%2Fconsole%2Fprobe%2Frefund"
    assert browser.get("/console/probe/console:read").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "/account//evil.example", "javascript:alert(1)",
        "/account/../console", "/console", "/sign-out", "/account\r\nSet-Cookie: a=b", "/accountant", "account", "",
        "/account/%0d%0a\t", "/account#x", "/account?x=<script>",
    ],
)  # fmt: skip
def test_a_sign_in_leads_only_to_pages_on_the_list(elsewhere: str) -> None:
    """S35."""
    assert auth.onward(elsewhere, Audience.CUSTOMER) == "/account"


@pytest.mark.parametrize("here", ["/account", "/account/invoices?page=2&q=a%20b", "/checkout?sku=x", "/orders/ord_1"])
def test_a_sign_in_leads_back_to_a_page_on_the_list(here: str) -> None:
    """S35."""
    assert auth.onward(here, Audience.CUSTOMER) == here


# --- Forms (S13) -------------------------------------------------------------------------------------------------


def token_for(browser: httpx.Client) -> str:
    page = browser.get("/sign-in")
    return page.text.partition('name="csrf_token" value="')[2].partition('"')[0]


def send(browser: httpx.Client, token: str, **headers: str) -> httpx.Response:
    return browser.post(
        "/probe/form", data={"word": "hello", "csrf_token": token},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def test_a_form_of_ours_is_taken_before_anybody_has_signed_in(browser: httpx.Client) -> None:
    token = token_for(browser)
    assert send(browser, token).json() == "hello"
    assert (
        send(browser, token, sec_fetch_site="same-origin", origin=str(browser.base_url).rstrip("/")).status_code == 200
    )
    # What browsers send from a page with Referrer-Policy: no-referrer.
    assert send(browser, token, sec_fetch_site="same-origin", origin="null").status_code == 200


FROM_ELSEWHERE = (
    {"origin": "https://evil.example"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site", "origin": "null"},
    {"sec_fetch_site": "same-origin", "origin": "https://evil.example"},
)


def test_a_form_from_elsewhere_is_refused_even_with_the_right_token(browser: httpx.Client) -> None:
    token = token_for(browser)
    for headers in FROM_ELSEWHERE:
        answer = send(browser, token, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "form_refused"), headers


def test_a_missing_altered_or_foreign_token_is_refused(browser: httpx.Client) -> None:
    token = token_for(browser)
    with httpx.Client(base_url=browser.base_url, trust_env=False) as another:
        other = token_for(another)
    for wrong in ("", altered(token), other, "é"):
        assert send(browser, wrong).status_code == 403
    assert browser.post("/probe/form", data={"word": "hello"}).status_code == 403
    assert browser.post("/probe/form", json={"word": "hello", "csrf_token": token}).status_code == 403
    browser.cookies.clear()
    assert send(browser, token).status_code == 403


def test_a_token_ends_with_the_session_it_was_made_in(world: World, browser: httpx.Client) -> None:
    token = token_for(browser)
    with world.db.transaction() as tx:
        session = session_of_member(tx, world.ports.secrets, make_member(tx))
    browser.cookies.set(cookies.SESSIONS[Audience.CUSTOMER], session)
    assert send(browser, token).status_code == 403
    assert send(browser, token_for(browser)).status_code == 200


def test_a_door_that_a_mailed_token_opens_may_take_posts_from_anywhere(browser: httpx.Client) -> None:
    answer = browser.post("/probe/unsubscribe", headers={"origin": "https://mail.example"})
    assert (answer.status_code, csrf.is_exempt(unsubscribe)) == (200, True)


def calls_of(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from calls_of(each)


def pages_of(app: FastAPI) -> list[RouteContext]:
    programs = ("/v1", "/inbound", "/api", "/sandbox", "/healthz", "/readyz", "/metrics", "/openapi.json")
    every = (each for each in iter_route_contexts(app.routes) if isinstance(each.original_route, APIRoute))
    return [each for each in every if not (each.path or "").startswith(programs)]


def test_every_page_that_changes_something_is_protected_or_says_why_not(app: FastAPI) -> None:
    """S13: generated from the routes, so a new page cannot forget it."""
    unsafe = [each for each in pages_of(app) if (each.methods or set()) - {"GET", "HEAD"}]
    assert len(unsafe) >= 10
    for each in unsafe:
        assert csrf.protect in calls_of(each.dependant) or (each.endpoint and csrf.is_exempt(each.endpoint)), each.path


def test_every_page_of_an_account_and_of_the_console_asks_who_is_asking(app: FastAPI) -> None:
    """S7: deny by default, generated from the routes."""
    open_to_all = {
        "/console/sign-in", "/console/sign-in/check", "/console/sign-in/link", "/console/sign-in/{token}",
        "/console/sign-out", "/console/procedures/staff-sign-in", "/console/procedures/lost-second-factor",
    }  # fmt: skip
    closed = [each for each in pages_of(app) if (each.path or "").startswith(("/account", "/console"))]
    assert len(closed) > len(Permission)
    for each in closed:
        if each.path not in open_to_all:
            asked = {getattr(call, "__module__", "") for call in calls_of(each.dependant)}
            assert "app.web.auth" in asked, each.path
