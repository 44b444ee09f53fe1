"""Who may come into the console, and with which keys: looked at and changed by administrators (S7, S8, S10)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from app.accounts import api_keys, staff
from app.accounts.models import Audience, Staff, StaffRole, WebSession
from app.accounts.sessions import FRESH
from app.core.clock import transport_now
from app.web import cookies
from tests.console.helping import audited, do
from tests.signing_in import make_account, make_staff, staff_browser, totp_code
from tests.world import World

AT = "/console/staff"
FACTOR = "/console/second-factor"


def colleague(world: World, role: StaffRole = StaffRole.SUPPORT) -> Staff:
    """Ada, with an authenticator."""
    with world.db.transaction() as tx:
        ada = make_staff(tx, email="ada@vendor.example", name="Ada", role=role)
        secret = staff.pending_secret(world.ports.secrets, ada.id, "ses_1")
        assert staff.enrol(tx, world.ports.secrets, ada.id, session_id="ses_1", code=totp_code(secret),
                           now=transport_now())  # fmt: skip
        return ada


def now_is(world: World, person: Staff) -> Staff | None:
    with world.db.transaction() as tx:
        return staff.of_person(tx, person.email)


def let_an_hour_pass(world: World) -> None:
    with world.db.transaction() as tx:
        tx.execute(update(WebSession).values(second_factor_at=col(WebSession.second_factor_at) - FRESH))


def test_the_list_tells_role_second_factor_and_last_sign_in(world: World) -> None:
    browser, boss = staff_browser(world)
    colleague(world)
    html = browser.get(AT).text
    assert "ada@vendor.example" in html
    assert "Support" in html
    assert f"{boss.email} (you)" in html
    assert html.count("set up") == 1
    assert html.count("not yet") == 1, "the boss of this test signed in by other means"
    assert html.count(f'<time datetime="{transport_now():%Y-%m-%d}"') == 3, "one sign-in, two first days"


def test_a_person_is_added_with_a_role_and_can_sign_in(world: World) -> None:
    browser, boss = staff_browser(world)
    done = do(browser, f"{AT}/new", AT, email="Linus@Vendor.example", name="Linus", role="finance")
    assert (done.status_code, done.headers["location"]) == (303, f"{AT}?done=person-added")
    assert "A mail tells them where to sign in" in browser.get(done.headers["location"]).text
    with world.db.transaction() as tx:
        linus = staff.of_person(tx, "linus@vendor.example")
        assert linus is not None
    assert (linus.role, linus.name) == (StaffRole.FINANCE, "Linus")
    entry = audited(world, "staff.added")[-1]
    assert (entry.actor, entry.subject, entry.details) == (boss.id, linus.id, {"role": "finance"})


@pytest.mark.parametrize(
    ("wrong", "field", "status"),
    [
        ({"email": "nobody"}, "email", 422),
        ({"email": "ada@vendor.example"}, "email", 409),
        ({"name": "  "}, "name", 422),
        ({"name": "N" * 121}, "name", 422),
        ({"role": "owner"}, "role", 422),
        ({"role": ""}, "role", 422),
    ],
)
def test_what_cannot_be_added_is_refused_at_its_input(
    world: World, wrong: dict[str, str], field: str, status: int
) -> None:
    browser, _ = staff_browser(world)
    colleague(world)
    before = len(audited(world, "staff.added"))
    given = {"email": "linus@vendor.example", "name": "Linus", "role": "sales"} | wrong
    refused = do(browser, f"{AT}/new", AT, **given)
    assert refused.status_code == status
    assert f'id="f-{field}-error"' in refused.text
    assert 'value="Linus"' in refused.text or field == "name", "what was typed is kept"
    assert len(audited(world, "staff.added")) == before


def test_another_role_ends_the_sessions_with_the_old_one(world: World) -> None:
    browser, boss = staff_browser(world)
    theirs, ada = staff_browser(world, StaffRole.SUPPORT)
    page = f"{AT}/{ada.id}"
    assert '<option value="support" selected>' in browser.get(page).text
    done = do(browser, page, f"{page}/role", role="sales", note="Moves to sales.")
    assert done.headers["location"] == f"{AT}?done=role-changed"
    assert theirs.get("/console").headers["location"].startswith("/console/sign-in")
    (entry,) = audited(world, "staff.role_changed")
    assert (entry.actor, entry.details) == (boss.id, {"from": "support", "to": "sales", "note": "Moves to sales."})


def test_the_role_somebody_has_is_not_given_again(world: World) -> None:
    browser, _ = staff_browser(world)
    theirs, ada = staff_browser(world, StaffRole.SUPPORT)
    page = f"{AT}/{ada.id}"
    refused = do(browser, page, f"{page}/role", role="support", note="Hm.")
    assert (refused.status_code, "This is their role already." in refused.text) == (422, True)
    assert theirs.get("/console").status_code == 200, "nobody was signed out for nothing"
    assert audited(world, "staff.role_changed") == []


def test_a_removed_person_is_out_with_the_next_request(world: World) -> None:
    browser, boss = staff_browser(world)
    theirs, ada = staff_browser(world, StaffRole.SALES)
    page = f"{AT}/{ada.id}"
    done = do(browser, page, f"{page}/remove", note="Has left.")
    assert done.headers["location"] == f"{AT}?done=person-removed"
    assert theirs.get("/console").headers["location"].startswith("/console/sign-in")
    assert ada.email not in browser.get(AT).text
    assert browser.get(page).status_code == 404
    (entry,) = audited(world, "staff.removed")
    assert (entry.actor, entry.subject, entry.details) == (boss.id, ada.id, {"note": "Has left."})


def test_a_lost_device_is_forgotten_and_the_next_sign_in_sets_up_another(world: World) -> None:
    browser, boss = staff_browser(world)
    ada = colleague(world)
    page = f"{AT}/{ada.id}"
    done = do(browser, page, f"{page}/second-factor", note="Spoke to her in the office.")
    assert done.headers["location"] == f"{AT}?done=second-factor-reset"
    after = now_is(world, ada)
    assert after is not None
    assert after.totp_sealed is None
    (entry,) = audited(world, "staff.second_factor_reset")
    assert (entry.actor, entry.details) == (boss.id, {"note": "Spoke to her in the office."})


@pytest.mark.parametrize(("action", "more"), [("role", {"role": "sales"}), ("remove", {}), ("second-factor", {})])
def test_nothing_about_a_person_changes_without_a_reason(world: World, action: str, more: dict[str, str]) -> None:
    browser, _ = staff_browser(world)
    page = f"{AT}/{colleague(world).id}"
    refused = do(browser, page, f"{page}/{action}", note=" ", **more)
    assert refused.status_code == 422
    assert f'href="#{action}-note"' in refused.text


@pytest.mark.parametrize(("action", "more"), [("role", {"role": "sales"}), ("remove", {})])
def test_the_last_administrator_stays(world: World, action: str, more: dict[str, str]) -> None:
    browser, boss = staff_browser(world)
    colleague(world)
    page = f"{AT}/{boss.id}"
    refused = do(browser, page, f"{page}/{action}", note="Enough.", **more)
    assert (refused.status_code, "Make somebody else an administrator first." in refused.text) == (409, True)
    assert browser.get(AT).status_code == 200, "and is still signed in"


def test_two_administrators_who_press_remove_at_once_leave_one(world: World) -> None:
    pair = [staff_browser(world) for _ in range(2)]
    gate = Barrier(2)

    def remove(which: int) -> int:
        browser, other = pair[which][0], pair[1 - which][1]
        token = browser.get(f"{AT}/{other.id}").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        gate.wait(timeout=10)
        return browser.post(f"{AT}/{other.id}/remove", data={"csrf_token": token, "note": "Me or you."}).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(remove, range(2)))
    assert statuses[0] == 303
    assert statuses[1] in {303, 409}
    with world.db.transaction() as tx:
        assert [each.role for each in staff.present(tx)] == [StaffRole.ADMIN]
    assert len(audited(world, "staff.removed")) == 1


def dangerous(world: World) -> list[tuple[str, str]]:
    """Every door here that gives or takes rights, with the page its form is on."""
    ada = colleague(world)
    with world.db.transaction() as tx:
        key, _ = api_keys.create(tx, world.ports.secrets, name="ERP", scopes=["*"], account_id=None, actor="test",
                                 now=transport_now())  # fmt: skip
    person, one_key = f"{AT}/{ada.id}", f"/console/api-keys/{key.id}"
    return [
        (f"{AT}/new", AT), (person, f"{person}/role"), (person, f"{person}/remove"),
        (person, f"{person}/second-factor"), (one_key, f"{one_key}/revoke"),
    ]  # fmt: skip


def test_rights_change_only_with_a_second_factor_of_the_last_hour(world: World) -> None:
    """S8: on the page with the form too, so that nobody fills one in vain; looking at the lists needs none."""
    browser, _ = staff_browser(world)
    doors = dangerous(world)
    tokens = {page: browser.get(page).text.partition('csrf_token" value="')[2].partition('"')[0] for page, _ in doors}
    before = len(audited(world, "staff.added"))
    let_an_hour_pass(world)
    for page, door in doors:
        asked = browser.get(page)
        assert (asked.status_code, httpx.URL(asked.headers["location"]).path) == (303, FACTOR)
        assert httpx.URL(asked.headers["location"]).params["next"] == page
        given = {"email": "x@vendor.example", "name": "X", "role": "sales", "note": "Now."}
        pressed = browser.post(door, data={"csrf_token": tokens[page], **given})
        assert (pressed.status_code, pressed.headers["location"]) == (303, FACTOR)
    for action in ("staff.role_changed", "staff.removed", "staff.second_factor_reset", "api_key.revoked"):
        assert audited(world, action) == []
    assert len(audited(world, "staff.added")) == before
    assert browser.get(AT).status_code == 200
    assert browser.get("/console/api-keys").status_code == 200


def test_after_showing_the_second_factor_again_the_page_opens(world: World) -> None:
    ada = colleague(world, StaffRole.ADMIN)
    browser, boss = staff_browser(world)
    with world.db.transaction() as tx:
        secret = staff.pending_secret(world.ports.secrets, boss.id, "ses_2")
        staff.enrol(tx, world.ports.secrets, boss.id, session_id="ses_2", code=totp_code(secret), now=transport_now())
    let_an_hour_pass(world)
    asked = browser.get(f"{AT}/{ada.id}").headers["location"]
    shown = do(browser, asked, FACTOR, code=totp_code(secret, steps_ahead=1), next=f"{AT}/{ada.id}")
    assert (shown.status_code, shown.headers["location"]) == (303, f"{AT}/{ada.id}")
    assert browser.get(f"{AT}/{ada.id}").status_code == 200
    assert cookies.SESSIONS[Audience.STAFF] in browser.cookies


def test_every_key_is_listed_and_a_revoked_one_is_refused_at_once(world: World) -> None:
    browser, boss = staff_browser(world)
    now = transport_now()
    with world.db.transaction() as tx:
        account = make_account(tx)
        own, secret = api_keys.create(tx, world.ports.secrets, name="Engine room", scopes=["licenses:read"],
                                      account_id=account.id, actor="test", now=now)  # fmt: skip
        api_keys.create(tx, world.ports.secrets, name="Old ERP", scopes=["*"], account_id=None, actor="test",
                        now=now - timedelta(days=2), lives=timedelta(days=1))  # fmt: skip
    program = world.api(secret)
    assert program.get("/v1/licenses").status_code == 200
    html = browser.get("/console/api-keys").text
    for told in ("Engine room", "Engines Ltd", "licenses:read", "Old ERP", "the vendor", "Expired"):
        assert told in html
    assert secret not in html
    assert "Old ERP" not in browser.get("/console/api-keys?state=active").text
    assert "Engine room" not in browser.get("/console/api-keys?state=expired").text
    assert "Old ERP" not in browser.get("/console/api-keys?q=engines").text
    page = f"/console/api-keys/{own.id}"
    assert "from 127.0.0.1" in browser.get(page).text.replace("<wbr>", "")
    assert do(browser, page, f"{page}/revoke", note="").status_code == 422
    done = do(browser, page, f"{page}/revoke", note="Seen in a public log.")
    assert done.headers["location"] == f"{page}?done=key-revoked"
    assert program.get("/v1/licenses").status_code == 401
    html = browser.get(page).text
    assert "Revoked" in html
    assert f"{page}/revoke" not in html
    (entry,) = audited(world, "api_key.revoked")
    assert (entry.actor, entry.chain, entry.details) == (boss.id, account.id, {"note": "Seen in a public log."})
    assert do(browser, "/console", f"{page}/revoke", note="Again.").status_code == 303
    assert len(audited(world, "api_key.revoked")) == 1, "again changes nothing"
