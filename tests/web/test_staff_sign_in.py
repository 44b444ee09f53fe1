"""Staff sign in: the mail is not enough (S6)."""

from datetime import timedelta

import httpx
import pyotp
from sqlalchemy import select, text
from sqlmodel import col

from app.accounts import staff
from app.accounts.models import Audience, Staff, WebSession
from app.core.audit import AuditEntry
from app.core.clock import transport_now
from app.web import cookies
from tests.signing_in import ask, come_by_link, make_member, make_staff, read_mail, secret_on, send_form, totp_code
from tests.world import World

SESSION = cookies.SESSIONS[Audience.STAFF]
GRACE = "grace@vendor.example"
AT = "/console/sign-in"
FACTOR = "/console/second-factor"
ENROL = f"{FACTOR}/enrol"


def with_grace(world: World) -> Staff:
    with world.db.transaction() as tx:
        return make_staff(tx, email=GRACE)


def complete(world: World) -> bool:
    """Whether the one open session is a full one."""
    with world.db.transaction() as tx:
        return tx.query(WebSession).filter_by(revoked_at=None).one().second_factor_at is not None


def enrolled(world: World) -> tuple[httpx.Client, str]:
    """Grace, signed in for the first time, and her authenticator's secret. The present code is spent."""
    with_grace(world)
    browser = world.browser()
    come_by_link(world, browser, GRACE, at=AT)
    secret = secret_on(browser.get(ENROL).text)
    assert send_form(browser, ENROL, ENROL, code=totp_code(secret)).headers["location"] == "/console"
    return browser, secret


def test_the_first_sign_in_sets_up_the_second_factor(world: World) -> None:
    with_grace(world)
    browser = world.browser()
    entered = come_by_link(world, browser, GRACE, at=AT)
    assert entered.headers["location"] == FACTOR
    assert browser.get(FACTOR).headers["location"] == ENROL
    page = browser.get(ENROL)
    assert 'src="data:image/svg+xml' in page.text
    secret = secret_on(page.text)
    assert secret_on(browser.get(ENROL).text) == secret, "the same secret however often the page is loaded"
    wrong = send_form(browser, ENROL, ENROL, code="000000" if totp_code(secret) != "000000" else "111111")
    assert (wrong.status_code, complete(world)) == (422, False)
    before = browser.cookies[SESSION]
    done = send_form(browser, ENROL, ENROL, code=totp_code(secret))
    assert (done.status_code, done.headers["location"]) == (303, "/console")
    assert browser.cookies[SESSION] != before, "S12: a new value where rights grow"
    assert complete(world)
    with world.db.transaction() as tx:
        told = tx.execute(
            select(AuditEntry).where(col(AuditEntry.chain) == "system").order_by(col(AuditEntry.sequence))
        ).scalars()
        actions = [entry.action for entry in told if entry.action.startswith(("staff.", "session."))]
    assert actions == ["staff.added", "staff.second_factor_enrolled", "session.began"]


def test_a_later_sign_in_asks_for_the_second_factor_and_offers_no_new_one(world: World) -> None:
    _, secret = enrolled(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE web_session SET revoked_at = now()"))
        tx.execute(text("UPDATE staff SET totp_last_step = totp_last_step - 5"))
    browser = world.browser()
    challenge = ask(browser, GRACE, at=AT, after="/console/quotes")
    code = read_mail(world, GRACE).code
    entered = send_form(browser, f"{AT}/check?challenge={challenge}", f"{AT}/check", challenge=challenge, code=code)
    assert entered.headers["location"] == FACTOR
    assert browser.get(ENROL).headers["location"] == FACTOR
    done = send_form(browser, FACTOR, FACTOR, code=totp_code(secret))
    assert (done.status_code, done.headers["location"]) == (303, "/console/quotes")
    assert complete(world)


def test_a_code_of_the_authenticator_works_once(world: World) -> None:
    """S6: replay, also respelled."""
    browser, secret = enrolled(world)
    with world.db.transaction() as tx:
        step = tx.query(Staff).one().totp_last_step
    spent = pyotp.HOTP(secret).at(step)
    wide = spent.translate({ord("0") + n: 0xFF10 + n for n in range(10)})
    for spelled in (spent, " ".join(spent), wide):
        assert send_form(browser, FACTOR, FACTOR, code=spelled).status_code == 422
    assert send_form(browser, FACTOR, FACTOR, code=pyotp.HOTP(secret).at(step + 1)).status_code == 303


def test_guessing_the_second_factor_is_limited(world: World) -> None:
    """S19: codes 5 in 5 minutes; the enrolment took one."""
    browser, _ = enrolled(world)
    statuses = [send_form(browser, FACTOR, FACTOR, code="1").status_code for _ in range(12)]
    assert 429 in statuses
    assert 4 <= statuses.index(429) <= 10


def test_a_removed_colleague_is_out_with_the_next_request(world: World) -> None:
    """S8: removal ends sessions in less than a second."""
    browser, _ = enrolled(world)
    with world.db.transaction() as tx:
        grace = staff.of_person(tx, GRACE)
        assert grace is not None
        boss = make_staff(tx)
        staff.remove(tx, grace.id, by=boss.id, now=transport_now())
    assert browser.get(FACTOR).headers["location"] == AT
    ask(browser, GRACE, at=AT)
    world.work()
    assert len(world.browser().get("/sandbox/mail.json", params={"to": GRACE}).json()) == 1


def test_an_idle_console_is_closed_after_half_an_hour(world: World) -> None:
    """S12."""
    browser, _ = enrolled(world)
    for idle, status in ((timedelta(minutes=29), 200), (timedelta(minutes=31), 303)):
        with world.db.transaction() as tx:
            tx.query(WebSession).one().last_seen_at = transport_now() - idle
        assert browser.get(FACTOR).status_code == status


def test_nobody_learns_who_belongs_to_staff(world: World) -> None:
    """S4, S5: strangers and customers asking at the console, and staff asking at the portal, see and get the same."""
    with_grace(world)
    with world.db.transaction() as tx:
        make_member(tx, email="ada@engines.example")
    for at, emails in ((AT, ("ada@engines.example", "eve@nowhere.example", GRACE)), ("/sign-in", (GRACE,))):
        for email in emails:
            browser = world.browser()
            challenge = ask(browser, email, at=at)
            shown = browser.get(f"{at}/check?challenge={challenge}").text
            assert "on their way" in shown
    world.work()
    mailbox = world.browser().get("/sandbox/mail.json").json()
    assert [mail["to"] for mail in mailbox] == [GRACE]
    assert "/console/sign-in/" in mailbox[0]["text"]


def test_a_customer_s_link_opens_nothing_in_the_console(world: World) -> None:
    with_grace(world)
    with world.db.transaction() as tx:
        make_member(tx, email=GRACE)  # the same person is a customer too
    browser = world.browser()
    ask(browser, GRACE)
    mail = read_mail(world, GRACE)
    assert send_form(browser, AT, f"{AT}/link", token=mail.token).status_code == 410
    assert SESSION not in browser.cookies
    assert send_form(browser, mail.path, "/sign-in/link", token=mail.token).status_code == 303
    assert browser.get(FACTOR).headers["location"] == AT


def test_signing_out_closes_the_console(world: World) -> None:
    browser, _ = enrolled(world)
    assert send_form(browser, FACTOR, "/console/sign-out").headers["location"] == AT
    assert browser.get(FACTOR).headers["location"] == AT
