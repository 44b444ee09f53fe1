"""What a customer sees and changes about their own account, and nobody else's."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Account, AccountTaxId, Member, Role
from app.adapters.sandbox.clock import set_to
from app.core import policy
from app.core.audit import AuditEntry
from app.core.events import Event
from app.flows import crediting, purchase, seat_change, tick
from app.flows.inviting import PEOPLE_ADDED_PER_DAY
from app.flows.seat_change import Wanted
from app.invoices.models import CreditNote, CreditReason, Invoice
from app.licenses.activation_models import Activation
from app.licenses.models import License, MergedLicense
from app.orders.models import Order
from app.payments import service as payments
from app.payments.models import Payment
from app.privacy import export
from app.subscriptions.models import ScheduledChange
from app.surveys.models import SurveyOptOut
from app.tax.models import ExemptionCertificate
from app.web import csrf
from app.web.portal import doors
from app.workspaces import service as workspaces
from app.workspaces.models import Desired, Workspace
from tests import changing, shop
from tests.console.helping import certified
from tests.licenses.activating import bind, of_order
from tests.licenses.renderings import documented
from tests.portal.buyers import count, page_of, signed_in, visitor
from tests.portal.forms import Visitor
from tests.world import World

PAGES = ("", "/licenses", "/subscriptions", "/invoices", "/workspaces", "/people", "/tax-ids", "/exemptions",
         "/payment-methods", "/privacy")  # fmt: skip


def another(world: World) -> Order:
    return shop.buy(world, email="eve@other.example", company="Other GmbH", vat=None)


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_led_to_the_sign_in_and_back(world: World, page: str) -> None:
    answer = world.browser().get(f"/account{page}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2Faccount")


@pytest.mark.parametrize("page", PAGES)
def test_an_account_that_has_bought_nothing_is_told_how_to_begin(world: World, page: str) -> None:
    started = shop.order(world, shop.offer(world))
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
    ada = signed_in(world, order)
    ada.open(f"/account{page}")
    assert ada.status == 200
    assert ada.page.html.count("<h1") == 1


def test_the_dashboard_says_what_there_is_until_when_and_what_it_costs(world: World) -> None:
    order = shop.buy(world)
    page = signed_in(world, order).open("/account")
    assert "Beispiel GmbH" in page.text
    assert "25 seats" in page.text
    assert "2,750.00 EUR" in page.text
    assert "25 seats × 110.00 EUR for 1 year, before tax" in page.text
    assert "Nothing needs your attention" in page.text


def test_an_order_that_waits_for_its_payment_is_the_thing_to_do(world: World) -> None:
    order = shop.buy(world)
    shop.order(world, shop.offer(world, seats=12))
    ada = signed_in(world, order)
    page = ada.open("/account")
    assert "An order for 1,320.00 EUR waits for its payment" in page.text
    ada.follow(next(link for link in page.links if link.startswith("/orders/")))
    assert "Waiting for your payment" in ada.page.text


def test_every_file_a_license_ever_had_is_listed_and_downloads(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    page = ada.open("/account/licenses")
    href = next(link for link in page.links if re.fullmatch(r"/account/licenses/lic_\w+", link))
    page = ada.follow(href)
    assert "Every file ever issued" in page.text
    with world.db.transaction() as tx:
        text = tx.execute(select(License)).scalar_one().file_text
    assert ada.browser.get(f"{href}/file").text == text


def test_a_license_keeps_the_name_its_people_give_it(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    page = ada.open("/account/licenses")
    ada.follow(next(link for link in page.links if re.fullmatch(r"/account/licenses/lic_\w+", link)))
    assert "The name was saved" in ada.send("/label", label="chat-01 Berlin").text
    assert "chat-01 Berlin" in ada.open("/account/licenses").text
    ada.follow(next(link for link in ada.page.links if re.fullmatch(r"/account/licenses/lic_\w+", link)))
    assert "at most 80 characters" in ada.send("/label", label="x" * 81).text
    assert ada.status == 422


def test_invoices_are_filtered_and_downloaded(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    page = ada.open("/account/invoices")
    assert "ACME-000001" in page.text
    year = str(order.created_at.year)
    assert "ACME-000001" in ada.open(f"/account/invoices?state=paid&year={year}").text
    assert "No invoice here" in ada.open("/account/invoices?state=open").text
    assert "ACME-000001" in ada.open("/account/invoices?state=nonsense&year=x&after=y").text
    pdf = ada.browser.get(next(link for link in page.links if link.endswith("/pdf")))
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.headers["content-disposition"] == 'attachment; filename="ACME-000001.pdf"'
    xml = ada.browser.get(next(link for link in page.links if link.endswith("/xml")))
    assert xml.headers["content-disposition"] == 'attachment; filename="ACME-000001-cii.xml"'
    assert b"CrossIndustryInvoice" in xml.content


def test_a_cloud_plan_is_followed_from_the_order_to_the_open_workspace(world: World) -> None:
    started = shop.order(world, shop.offer(world, sku="cloud-professional", seats=10))
    shop.pay(world, started.payment_url or "")
    purchase.settle(world.ports, latest_attempt(world, started.order_id))
    ada = visitor(world)
    page = ada.open(f"/orders/{started.token}")
    assert "It is waiting for a provisioner" in page.text
    assert "data-reload" not in ada.browser.get(f"/orders/{started.token}/progress").text
    world.work()
    assert "data-reload" in ada.browser.get(f"/orders/{started.token}/progress").text
    page = ada.open(f"/orders/{started.token}")
    with world.db.transaction() as tx:
        found = tx.execute(select(Workspace)).scalar_one()
    assert f"Open {found.hostname}" in page.text
    assert found.url in page.links
    assert "Download the license file" not in page.text, "a workspace gets its license by itself"


def latest_attempt(world: World, order_id: str) -> str:
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, order_id)
    assert attempt is not None
    return attempt.id


def test_a_workspace_shows_what_it_is_and_a_deletion_can_be_taken_back(world: World) -> None:
    order = shop.buy(world, sku="cloud-professional", seats=10)
    world.work()
    ada = signed_in(world, order)
    page = ada.open("/account/workspaces")
    page = ada.follow(next(link for link in page.links if "/account/workspaces/wsp_" in link))
    assert "It runs what you ordered" in page.text
    assert "Cloud Professional, 10 seats" in page.text
    with world.db.transaction() as tx:
        found = workspaces.for_change(tx, page.url.rpartition("/")[2], order.account_id)
        workspaces.want(tx, found, Desired.DELETED, actor="test", now=world.ports.clock.now())
    page = ada.open(page.url)
    assert "It will be deleted on" in page.text
    page = ada.send("/keep", "Keep it")
    assert "The deletion was taken back" in page.text
    assert "It will be deleted on" not in page.text


def test_people_are_let_in_given_roles_and_shown_out(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open("/account/people")
    page = ada.send("/invite", email="Bob@Example.de", name="Bob", role="billing")
    assert "They can sign in with their address now" in page.text
    assert "bob@example.de" in page.text
    with world.db.transaction() as tx:
        bob = tx.execute(select(Member).where(col(Member.email) == "bob@example.de")).scalar_one()
    again = ada.send("/invite", email="bob@example.de", role="viewer")
    assert "Change the role of this person instead" in again.text
    values = {"csrf_token": [again.forms[0].value("csrf_token")], "member_id": [bob.id]}
    ada.post(f"{world.url}/account/people/role", {**values, "role": ["buyer"]})
    assert "The role was changed" in ada.page.text
    ada.post(f"{world.url}/account/people/role", {**values, "role": ["emperor"]})
    assert ada.status == 422
    ada.post(f"{world.url}/account/people/remove", values)
    assert "can no longer act" in ada.page.text
    assert "bob@example.de" not in ada.page.text


def test_an_account_that_adds_too_many_people_is_told_when_to_go_on(world: World) -> None:
    ada = signed_in(world, shop.buy(world))
    set_to(world.db, world.ports.clock.now() + timedelta(days=40))  # ahead of real time, by which people are counted
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, PEOPLE_ADDED_PER_DAY.name, 1, valid_from=now, by="test", why="test", now=now)
    for email in ("bob@example.de", "eve@example.de"):
        ada.open("/account/people")
        page = ada.send("/invite", email=email, name="Bob", role="billing")
    assert ada.answer is not None
    assert (ada.status, "Wait 1440 minutes, then try again." in page.text) == (429, True)
    assert int(ada.answer.headers["retry-after"]) > 86_000
    assert 'value="eve@example.de"' in page.html, "what was typed is kept"
    assert count(world, Member) == 2


def test_the_last_owner_stays(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    page = ada.open("/account/people")
    assert "The last owner stays" in page.text
    with world.db.transaction() as tx:
        me = tx.execute(select(Member)).scalar_one().id
    token = page.forms[0].value("csrf_token")
    ada.post(f"{world.url}/account/people/remove", {"csrf_token": [token], "member_id": [me]})
    assert ada.status == 409
    assert count(world, Member) == 1


def test_a_viewer_sees_and_changes_nothing(world: World) -> None:
    order = shop.buy(world)
    eve = signed_in(world, order, Role.VIEWER)
    page = eve.open("/account/people")
    assert "Let someone act" not in page.text
    token = page.forms[0].value("csrf_token")
    for action in ("people/invite", "people/remove", "tax-ids", "privacy/export", "privacy/erase"):
        eve.post(f"{world.url}/account/{action}", {"csrf_token": [token], "email": ["mallory@example.de"]})
        assert eve.status == 403, action
    eve.open(f"/account/subscriptions/{order.subscription_id}/renew")
    assert eve.status == 403
    eve.open("/checkout?sku=professional&seats=12&interval=year&currency=EUR")
    eve.send("/checkout", "Show the total", "accept")
    assert "Your role in this account is viewer" in eve.send("/checkout", "Order for ").text
    assert count(world, Order) == 1


def test_a_signed_in_buyer_types_nothing_again(world: World) -> None:
    order = shop.buy(world, seats=15)
    ada = signed_in(world, order)
    page = ada.open("/checkout?sku=professional&seats=15&interval=year&currency=EUR")
    assert page.form("/checkout").to_type() == ["accept"]
    ada.send("/checkout", "Show the total", "accept")
    ada.send("/checkout", "Order for ")
    assert ada.fields == set()
    with world.db.transaction() as tx:
        assert {each.account_id for each in tx.execute(select(Order)).scalars()} == {order.account_id}
        assert len(list(tx.execute(select(Account)).scalars())) == 1


def test_tax_numbers_are_added_checked_and_removed(world: World) -> None:
    order = shop.buy(world, vat=None)
    ada = signed_in(world, order)
    ada.open("/account/tax-ids")
    page = ada.send("/tax-ids", "Add and check it", kind="eu_vat", value="DE 136 695 976")
    assert "DE136695976" in page.text
    assert "Confirmed by its registry" in page.text
    wrong = ada.send("/tax-ids", "Add and check it", kind="eu_vat", value="DE136695977")
    assert ada.status == 422
    assert 'id="f-value-error"' in wrong.html
    token = page.forms[0].value("csrf_token")
    ada.post(f"{world.url}/account/tax-ids", {"csrf_token": [token], "kind": ["zz_vat"], "value": ["1"]})
    assert ada.status == 422
    ada.open("/account/tax-ids")
    assert "was removed" in ada.send("/remove", "Remove").text
    assert count(world, AccountTaxId) == 0


def test_kept_cards_are_listed_by_their_label_only(world: World) -> None:
    order = shop.buy(world)
    page = signed_in(world, order).open("/account/payment-methods")
    assert "Visa •••• 4242" in page.text
    assert "4242 4242" not in page.text


def test_everything_personal_can_be_taken_along(world: World) -> None:
    order = shop.buy(world)
    another(world)
    ada = signed_in(world, order)
    ada.open("/account/privacy")
    ada.send("/export", "Download everything")
    assert ada.answer is not None
    assert ada.answer.headers["content-disposition"].startswith('attachment; filename="personal-data-')
    told = json.loads(ada.answer.text)
    assert {"account", "member", "order", "invoice", "acceptance", "license", "survey_invitation"} <= set(
        told["tables"]
    )
    assert told["tables"]["account"][0]["name"] == "Beispiel GmbH"
    assert "eve@other.example" not in ada.answer.text
    assert "Other GmbH" not in ada.answer.text
    with world.db.transaction() as tx:
        assert "privacy.exported" in set(tx.execute(select(col(AuditEntry.action))).scalars())


def test_the_export_knows_of_every_table_that_holds_something_personal() -> None:
    known = {*export.BY_ACCOUNT, *export.BY_PERSON, *export.BY_PARENT, *export.BY_MENTION, *export.LEFT_OUT,
             "account", "audit_entry"}  # fmt: skip
    assert set(export.personal_tables()) == known


def test_a_colleagues_sessions_and_answers_are_not_exported(world: World) -> None:
    order = shop.buy(world)
    bob = signed_in(world, order, Role.BILLING)
    bob.open("/account")
    ada = signed_in(world, order)
    ada.open("/account/privacy")
    ada.send("/export", "Download everything")
    assert ada.answer is not None
    told = json.loads(ada.answer.text)
    assert {each["email"] for each in told["tables"]["web_session"]} == {"ada@example.de"}


def test_a_request_to_be_erased_is_recorded_once_confirmed(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open("/account/privacy")
    assert "Type ada@example.de to confirm" in ada.send("/erase", "Ask for erasure", confirm="yes").text
    assert "Your request was recorded" in ada.send("/erase", "Ask for erasure", confirm="Ada@example.de").text
    with world.db.transaction() as tx:
        kinds = list(tx.execute(select(col(Event.type)).where(col(Event.type).like("privacy.%"))).scalars())
    assert kinds == ["privacy.erasure_requested"]


def test_surveys_are_turned_off_and_on_again(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open("/account/privacy")
    ada.send("/surveys", "Do not ask me")
    assert count(world, SurveyOptOut) == 1
    ada.send("/surveys", "Ask me again")
    assert count(world, SurveyOptOut) == 0


# --- Nobody reads or changes what is another account's -----------------------------------------------------------


def account_routes() -> Iterator[tuple[str, str]]:
    """Every route under /account with an id in its address, as (method, path)."""
    for router in doors.ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.path.startswith("/account") and "{" in route.path:
                yield next(each for each in sorted(route.methods or ()) if each != "HEAD"), route.path


def ids_of(world: World, order: Order) -> dict[str, str]:
    with world.db.transaction() as tx:
        return {
            "merged_id": tx.execute(
                select(col(MergedLicense.id)).where(col(MergedLicense.account_id) == order.account_id)
            ).scalar_one(),
            "license_id": tx.execute(select(col(License.id)).where(col(License.order_id) == order.id)).scalar_one(),
            "invoice_id": tx.execute(select(col(Invoice.id)).where(col(Invoice.order_id) == order.id)).scalar_one(),
            "credit_note_id": tx.execute(
                select(col(CreditNote.id)).where(col(CreditNote.account_id) == order.account_id)
            ).scalar_one(),
            "certificate_id": tx.execute(
                select(col(ExemptionCertificate.id)).where(col(ExemptionCertificate.account_id) == order.account_id)
            ).scalar_one(),
            "subscription_id": order.subscription_id or "",
            "payment_id": tx.execute(select(col(Payment.id)).where(col(Payment.order_id) == order.id)).scalar_one(),
            "change_id": tx.execute(
                select(col(ScheduledChange.id)).where(col(ScheduledChange.subscription_id) == order.subscription_id)
            ).scalar_one(),
            "activation_id": tx.execute(
                select(col(Activation.id)).where(col(Activation.account_id) == order.account_id)
            ).scalar_one(),
            "workspace_id": tx.execute(
                select(col(Workspace.id)).where(col(Workspace.account_id) == order.account_id)
            ).scalar_one(),
            "written": "token",  # no id: a format
        }  # fmt: skip


def test_there_are_routes_to_sweep() -> None:
    assert len(list(account_routes())) >= 10


def test_every_address_with_an_id_is_closed_to_other_accounts(world: World) -> None:
    mine = shop.buy(world, sku="cloud-professional", seats=10)
    theirs = shop.buy(world, sku="cloud-professional", seats=10, email="eve@other.example", company="Other", vat=None)
    for _ in range(2):
        shop.buy(world, seats=11)
        shop.buy(world, seats=11, email="eve@other.example", company="Other", vat=None)
    tick.tick(world.ports)
    world.work()
    for order in (mine, theirs):
        with world.db.transaction() as tx:
            bought = tx.execute(select(col(Invoice.id)).where(col(Invoice.order_id) == order.id)).scalar_one()
        crediting.keep(world.ports, bought, nets=None, total=100, reason=CreditReason.GOODWILL, by="test",
                       off_the_invoice=False)  # fmt: skip
        certified(world, order.account_id)
        bind(world, of_order(world, order), "server-1")
        fewer = seat_change.preview(world.ports, order.subscription_id or "", Wanted(seats=6))
        seat_change.commit(world.ports, fewer.id, changing.how(world))
    ada = signed_in(world, mine)
    token = ada.open("/account/privacy").forms[0].value("csrf_token")
    for method, path in account_routes():
        for ids, expected in ((ids_of(world, theirs), {404}), (ids_of(world, mine), {200, 303, 409, 422})):
            url = path.format(**ids)
            status = _ask(ada, method, url, token)
            assert status in expected, f"{method} {url} answered {status}"
        assert _ask(ada, method, re.sub(r"\{\w+\}", "made-up", path), token) == 404, path


def test_no_form_of_the_portal_is_taken_without_its_token(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open("/account")
    order_token = page_of(world, order).rpartition("/")[2]
    swept = 0
    for router in doors.ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and "POST" in (route.methods or ()) and not csrf.is_exempt(route.endpoint):
                ids = {name: order_token if name == "token" else "x" for name in re.findall(r"\{(\w+)\}", route.path)}
                answer = ada.browser.post(route.path.format(**ids), data={"email": "a@b.example"})
                assert answer.status_code == 403, route.path
                swept += 1
    assert swept >= 15


def _ask(ada: Visitor, method: str, url: str, token: str) -> int:
    return ada.browser.request(method, url, data={"csrf_token": token} if method == "POST" else None).status_code


def test_ids_in_forms_are_closed_to_other_accounts_too(world: World) -> None:
    mine, theirs = shop.buy(world), another(world)
    ada = signed_in(world, mine)
    eve = signed_in(world, theirs)
    eve.open("/account/tax-ids")
    eve.send("/tax-ids", "Add and check it", kind="eu_vat", value="DE811569869")
    with world.db.transaction() as tx:
        person = tx.execute(select(col(Member.id)).where(col(Member.account_id) == theirs.account_id)).scalar_one()
        number = tx.execute(
            select(col(AccountTaxId.id)).where(col(AccountTaxId.account_id) == theirs.account_id)
        ).scalar_one()
    token = ada.open("/account/privacy").forms[0].value("csrf_token")
    for action, name, value in (
        ("people/role", "member_id", person), ("people/remove", "member_id", person),
        ("tax-ids/remove", "tax_id", number),
    ):  # fmt: skip
        form = {"csrf_token": [token], name: [value], "role": ["viewer"]}
        ada.post(f"{world.url}/account/{action}", form)
        assert ada.status == 404, action


def test_a_license_is_downloaded_in_each_format_and_the_public_check_knows_it(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    with world.db.transaction() as tx:
        found = tx.execute(select(License)).scalar_one()
    ada.open(f"/account/licenses/{found.id}")
    links = [link for link in ada.page.links if f"/licenses/{found.id}/file/" in link]
    assert [link.rpartition("/")[2] for link in links] == ["mattermost", "keygen", "token"]
    published = world.browser().get("/v1/licenses/keys").json()
    names = []
    for link in links:
        answer = ada.browser.get(link)
        names.append(answer.headers["content-disposition"].partition('"')[2].rstrip('"'))
        read = documented().verify(answer.content, published, at=world.ports.clock.now(), license_key=found.file_id)
        assert read["seats"] == 25
        form = ada.open("/verify").form("/verify")
        given = {**form.values(), "license_key": [found.file_id]}
        checked = ada.post(form.action, given, file=answer.content)
        assert "This license is genuine" in checked.text
        assert "Beispiel GmbH" in checked.text
        assert "Seats 25" in checked.text
        altered = bytes([*answer.content[:200], answer.content[200] ^ 1, *answer.content[201:]])
        assert "This license would not be accepted" in ada.post(form.action, given, file=altered).text
        if link.endswith("keygen"):
            assert "sealed" in ada.post(form.action, form.values(), file=answer.content).text
    assert names == ["beispiel-gmbh.mattermost-license", "beispiel-gmbh.lic", "beispiel-gmbh.license-token"]
    eve = signed_in(world, another(world))
    for link in links:
        eve.open(link)
        assert eve.status == 404
