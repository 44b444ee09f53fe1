"""Trials through the door that servers ask at, and what becomes of them when somebody buys (R-LIC-9)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.accounts.models import Audience, Member
from app.adapters.sandbox import clock
from app.core import policy
from app.core.events import Event
from app.flows import compromise, tick, trial
from app.licenses import merging
from app.licenses.errors import TrialRefused
from app.licenses.formats.linter import lint
from app.licenses.formats.mattermost import verify_file
from app.licenses.models import IssuanceEntry, License, LicenseState
from app.licenses.trial_models import Trial, TrialState
from app.surveys.models import SurveyInvitation
from app.web import cookies
from app.web.api.validation import file_keys
from tests import shop
from tests.api.buying import make_key
from tests.console.helping import do
from tests.portal import buyers
from tests.quotes.offering import mails
from tests.signing_in import session_of_member, staff_browser
from tests.world import World

SERVER = "ehsr1oaxbty8bmw6xqhp8pj7pe"
ASKED: dict[str, Any] = {
    "server_id": SERVER, "email": "ada@example.de", "name": "Ada Beispiel", "site_url": "https://chat.example.de",
    "site_name": "Beispiel Chat", "users": 50, "terms_accepted": True, "receive_emails_accepted": False,
    "contact_name": "", "contact_email": None, "company_name": "Beispiel GmbH", "company_country": "Germany",
    "company_size": "1-50", "server_version": "10.5.0", "a_field_of_a_newer_server": 1,
}  # fmt: skip


@pytest.fixture
def patient(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """One address may ask as often as a test needs."""
    monkeypatch.setattr("app.web.inbound.mattermost.TRIES", (1000, 3600))
    return world


def ask(world: World, **changes: Any) -> httpx.Response:
    given = {name: value for name, value in (ASKED | changes).items() if value is not ...}
    return world.browser().post("/api/v1/trials", json=given)


def only(world: World) -> tuple[Trial, License]:
    with world.db.transaction() as tx:
        found = tx.execute(select(Trial)).scalar_one()
        return found, tx.get_one(License, found.license_id)


def kinds(world: World, object_id: str) -> list[str]:
    with world.db.transaction() as tx:
        query = select(col(Event.type)).where(col(Event.object_id) == object_id).order_by(col(Event.sequence))
        return list(tx.execute(query).scalars())


def change(world: World, name: str, value: Any) -> None:
    with world.db.transaction() as tx:
        at = world.ports.clock.now() - timedelta(hours=1)
        policy.change(tx, name, value, valid_from=at, by="test", why="test", now=at)


def walk(world: World, days: int) -> None:
    to = world.ports.clock.now() + timedelta(days=days)
    tick.walk(world.ports, to, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)


def test_a_server_is_given_its_license_at_once_and_the_person_a_mail(world: World) -> None:
    answer = ask(world)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"license"}
    found, license_ = only(world)
    with world.db.transaction() as tx:
        keys = file_keys(tx)
        assert tx.execute(select(IssuanceEntry)).scalar_one().license_id == license_.id
    claims = verify_file(answer.json()["license"], keys)
    assert (claims.is_trial, claims.users, claims.sku_short_name) == (True, 50, "enterprise")
    assert claims.expires_at - claims.starts_at == timedelta(days=30)
    assert (claims.customer.email, claims.customer.company) == ("ada@example.de", "Beispiel GmbH")
    assert license_.account_id not in answer.text
    assert claims.customer.id == SERVER
    # Of all that a server would remark on nothing is left: above all, it takes this trial once and no more.
    assert lint(answer.json()["license"], keys, now=world.ports.clock.now()) == []
    assert (found.state, found.country, license_.subscription_id) == (TrialState.STARTED, "DE", None)
    assert kinds(world, found.id) == ["trial.started"]
    checked = world.browser().post("/v1/licenses/validate", json={"license": answer.json()["license"]}).json()
    assert (checked["valid"], checked["license"]["id"]) == (True, license_.id)

    world.work()
    mail = mails(world, "ada@example.de")[-1]
    assert "trial" in mail["subject"]
    assert f"trial={SERVER}" in mail["text"]
    page = trial.page_of(world.ports, found)
    assert f"{world.ports.link(page)}/license" in mail["text"]
    assert world.browser().get(f"{page}/license").text == answer.json()["license"]
    assert "Beispiel Chat" in world.browser().get(page).text
    with world.db.transaction() as tx:
        assert tx.execute(select(SurveyInvitation)).first() is None, "nobody is surveyed for a trial"

    walk(world, 31)
    found, _ = only(world)
    assert found.state is TrialState.EXPIRED
    assert kinds(world, found.id) == ["trial.started", "trial.expired"]


def test_what_cannot_be_given_is_refused_in_the_words_of_the_contract(patient: World) -> None:
    world = patient
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"company_country": "IR"}, 451, "Export rules"),
        ({"company_country": "Russian Federation"}, 451, "Export rules"),
        (
            {"company_country": "UA"},
            409,
            "Our team",
        ),  # of a part nothing may be delivered to, and which part is not said
        ({"company_country": "Atlantis"}, 422, "company_country: give the country"),
        ({"company_country": ...}, 422, "company_country: give the country"),
        ({"email": "nobody"}, 422, "email: send an address"),
        ({"users": 0}, 422, "users: give how many"),
        ({"users": "50"}, 422, "users: give how many"),
        ({"server_id": "a b"}, 422, "server_id: send"),
        ({"terms_accepted": False}, 409, "Accept the terms"),
        ({"email": "x@mail.mailinator.com"}, 409, "thrown away"),
    ]
    for changes, status, said in wrong:
        answer = ask(world, **changes)
        assert (answer.status_code, set(answer.json())) == (status, {"message"}), (changes, answer.text)
        assert said in answer.json()["message"], (changes, answer.text)
    broken = world.browser().post("/api/v1/trials", content=b"{")
    assert (broken.status_code, set(broken.json())) == (400, {"message"})
    change(world, "trial_plan", "premier-support")
    assert ask(world).status_code == 409
    with world.db.transaction() as tx:
        assert tx.execute(select(Trial)).first() is None
        assert tx.execute(select(License)).first() is None


def test_a_server_a_company_and_a_mailbox_are_given_one_trial(patient: World) -> None:
    world = patient
    change(world, "trial_most_users", 30)
    assert ask(world).status_code == 200
    found, license_ = only(world)
    assert (license_.seats, found.users_asked) == (30, 50)
    for changes, said in (
        ({}, "This server"), ({"email": "eve@other.example"}, "This server"),
        ({"server_id": "second", "email": "bob@example.de"}, "Somebody at example.de"),
    ):  # fmt: skip
        again = ask(world, **changes)
        assert again.status_code == 409
        assert said in again.json()["message"], again.text
    # Whoever shares a mail provider does not share a company.
    assert ask(world, server_id="third", email="one@gmail.com").status_code == 200
    assert ask(world, server_id="fourth", email="two@gmail.com").status_code == 200
    assert "This address" in ask(world, server_id="fifth", email="ONE@gmail.com").json()["message"]
    # The year of the company ends, the server's trial never does.
    walk(world, 366)
    assert "This server" in ask(world).json()["message"]
    assert ask(world, server_id="second", email="bob@example.de").status_code == 200


def test_of_twenty_requests_at_once_one_server_gets_one_trial(patient: World) -> None:
    world = patient
    with ThreadPoolExecutor(20) as pool:
        # A domain each, so that it is the server alone that they have in common.
        answers = list(pool.map(lambda n: ask(world, email=f"a@company{n}.example"), range(20)))
    assert sorted(each.status_code for each in answers) == [200, *[409] * 19]
    only(world)
    with world.db.transaction() as tx:
        assert len(tx.execute(select(License)).all()) == 1


def test_asking_too_often_is_slowed_down_by_address_and_by_domain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.inbound.mattermost.TRIES", (4, 3600))
    monkeypatch.setattr("app.flows.trial._OF_A_DOMAIN", (2, 3600))
    codes = [ask(world, server_id=f"s{n}", email="a@example.de").status_code for n in range(5)]
    assert codes == [200, 409, 429, 429, 429]
    refused = ask(world, server_id="s9", email="b@elsewhere.example")
    assert (refused.status_code, set(refused.json())) == (429, {"message"})
    assert int(refused.headers["retry-after"]) > 0


def test_the_database_keeps_one_trial_to_a_server(world: World) -> None:
    ask(world)
    found, _ = only(world)
    for wrong in (
        "UPDATE trial SET state = 'converted'", "UPDATE trial SET users = 0", "UPDATE trial SET door = 'staff'",
        "UPDATE license SET trial = false",
        "UPDATE trial SET ended_at = now()",
    ):  # fmt: skip
        with pytest.raises(Exception, match=r"constraint|check"), world.db.transaction() as tx:
            tx.execute(text(wrong))
    ask(world, server_id="second", email="eve@other.example")
    with pytest.raises(Exception, match="uq_trial_server"), world.db.transaction() as tx:
        tx.execute(text("UPDATE trial SET server_id = :first WHERE server_id = 'second'"), {"first": SERVER})
    assert found.state is TrialState.STARTED


def test_a_purchase_at_the_checkout_ends_the_trial_of_the_server_it_names(world: World) -> None:
    ask(world, users=25)
    found, tried = only(world)
    at = trial.buy_path(found, tried).replace("sku=enterprise", "sku=professional")
    buyer = buyers.at_payment(world, f"{at}&interval=year&currency=EUR", email="buyer@elsewhere.example")
    buyers.pay(buyer)
    world.work()
    with world.db.transaction() as tx:
        ended, before = tx.get_one(Trial, found.id), tx.get_one(License, tried.id)
        assert (ended.state, before.state) == (TrialState.CONVERTED, LicenseState.SUPERSEDED)
        bought = tx.get_one(License, before.superseded_by)
        assert (bought.trial, bought.order_id, bought.seats) == (False, ended.order_id, 25)
        assert bought.file_id != before.file_id
        assert bought.label == "Beispiel Chat", "it is for the same server"
    assert kinds(world, found.id) == ["trial.started", "trial.converted"]
    stale = world.browser().post("/v1/licenses/validate", json={"license": before.file_text}).json()
    assert not stale["valid"] or stale["code"] != "valid"


@pytest.mark.parametrize("late", [False, True])
def test_whoever_tried_it_need_not_name_the_trial(world: World, late: bool) -> None:
    ask(world)
    if late:
        walk(world, 40)
    order = shop.buy(world, seats=11)  # the same person
    found, tried = only(world)
    assert (found.state, found.order_id) == (TrialState.CONVERTED, order.id)
    assert tried.state is LicenseState.SUPERSEDED
    # A second order has nothing left to end, and one of a stranger never had.
    shop.buy(world, seats=11)
    assert only(world)[0].order_id == order.id


def test_a_stranger_who_never_pays_cannot_keep_the_trial_from_its_owner(world: World) -> None:
    ask(world)
    offered = shop.offer(world, email="eve@elsewhere.example", company="Eve AG")
    trial.name_for_order(world.ports, shop.order(world, offered).order_id, SERVER)
    order = shop.buy(world)
    assert only(world)[0].order_id == order.id


def test_a_trial_is_a_license_on_every_page_and_binds_and_adds_nothing(world: World) -> None:
    file = ask(world).json()["license"]
    found, license_ = only(world)
    with world.db.transaction() as tx:
        member = tx.execute(select(Member).where(col(Member.account_id) == found.account_id)).scalar_one()
        token = session_of_member(tx, world.ports.secrets, member)
    browser = world.browser()
    browser.cookies.set(cookies.SESSIONS[Audience.CUSTOMER], token, domain="127.0.0.1")
    for page in ("/account", "/account/licenses", f"/account/licenses/{license_.id}"):
        assert browser.get(page).status_code == 200, page
    staff, _ = staff_browser(world)
    assert staff.get(f"/console/licenses/{license_.id}").status_code == 200
    owner = world.api(make_key(world, account_id=found.account_id))
    told = owner.get(f"/v1/licenses/{license_.id}").json()
    assert (told["trial"], told["subscription_id"], told["order_id"]) == (True, None, None)
    assert owner.get(f"/v1/licenses/{license_.id}/usage_reports").json()["data"] == []
    bound = world.browser().post(
        f"/v1/licenses/{license_.id}/activations", json={"license": file, "fingerprint": "f-1"}
    )
    assert (bound.status_code, bound.json()["code"]) == (409, "license_is_a_trial")
    checked = world.browser().post("/v1/licenses/validate", json={"license": file, "fingerprint": "f-1"}).json()
    assert (checked["valid"], checked["code"]) == (True, "valid")
    status = world.browser().post("/v1/licenses/status", json={"license": file}).json()
    assert (status["trial"], status["renewable"], status["expandable"]) == (True, False, False)
    assert status["renew_url"].endswith("/checkout?sku=enterprise")
    with world.db.transaction() as tx:
        assert merging.parts_of(tx, found.account_id) == []


def test_staff_give_another_trial_of_a_length_that_a_server_takes_again(world: World) -> None:
    ask(world)
    first, _ = only(world)
    browser, person = staff_browser(world)
    page = f"/console/trials/{first.id}"
    assert "/again" not in browser.get(page).text, "nothing to give while it runs"
    with pytest.raises(TrialRefused, match="running"):
        trial.give_another(world.ports, first.id, days=14, reason="x", by=person.id)
    walk(world, 31)
    for days in ("0", "30", "31", "181", "two"):
        refused = do(browser, page, f"{page}/again", days=days, note="Holidays")
        assert refused.status_code == 422, days
    done = do(browser, page, f"{page}/again", days="14", note="Holidays")
    assert done.status_code == 303, done.text
    with world.db.transaction() as tx:
        again = tx.execute(select(Trial).where(col(Trial.door) == "staff")).scalar_one()
        file = tx.get_one(License, again.license_id).file_text
        assert (again.reason, again.given_by, again.server_id) == ("Holidays", person.id, SERVER)
        assert [each.code for each in lint(file, file_keys(tx), now=world.ports.clock.now())] == ["trial_repeatable"]
    listed = browser.get("/console/trials?state=expired").text
    assert first.id in listed
    assert again.id not in listed
    shop.buy(world, seats=11)  # ends the one that runs
    assert "50 %" in browser.get("/console/trials").text


def test_a_person_starts_a_trial_from_the_prices(world: World) -> None:
    visitor = buyers.visitor(world)
    visitor.open("/?family=self_managed")
    assert "/trial?sku=professional" in visitor.page.links
    visitor.open("/trial?sku=professional")
    typed = {"server_id": SERVER, "email": "ada@example.de", "full_name": "Ada Beispiel", "company": "Beispiel GmbH",
             "country": "DE", "users": "40"}  # fmt: skip
    visitor.send("/trial", "Start the trial", **typed)
    assert "Accept the terms" in visitor.page.text
    visitor.send("/trial", "Start the trial", "accept", **typed)
    found, license_ = only(world)
    assert (found.door, license_.sku, license_.seats) == ("portal", "professional", 40)
    assert "Professional" in visitor.page.text
    assert any(each.endswith("/license") for each in visitor.page.links)
    again = buyers.visitor(world)
    again.open("/trial?sku=professional")
    again.send("/trial", "Start the trial", "accept", **typed)
    assert "This server has had its trial" in again.page.text
    embargoed = again.send("/trial", "Start the trial", **typed | {"server_id": "other", "country": "CU"})
    assert "Export rules" in embargoed.text


def test_a_trial_goes_on_where_the_key_that_signed_it_is_replaced(world: World) -> None:
    ask(world)
    before, old = only(world)
    assert compromise.compromised(world.ports, old.kid, by="test").reissued == 1
    world.work()
    after, new = only(world)
    assert (after.id, after.state, new.state, new.trial) == (before.id, TrialState.STARTED, LicenseState.ACTIVE, True)
    assert (new.file_id != old.file_id, new.kid != old.kid, new.expires_at) == (True, True, old.expires_at)
