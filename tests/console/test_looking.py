"""What staff see: lists with filters and pages, details that hang together, the search box, survey, exports."""

import csv
import io
import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from app.accounts.models import StaffRole
from app.core.money import Money
from app.surveys import service as surveys
from app.surveys.models import AnswerSource, SurveyInvitation, SurveyKind
from tests import shop
from tests.console.helping import Stocked, asked, do, held, stock
from tests.signing_in import form_token, staff_browser
from tests.web.conftest import assert_posts_carry_the_token, assert_well_formed
from tests.world import World


def ids_on(html: str, kind: str) -> list[str]:
    """The ids a list leads to, in its order."""
    return re.findall(rf'<th scope="row">\s*<a href="/console/{kind}/(\w+)"', html)


def test_the_overview_names_what_waits_the_longest_waiting_first(world: World) -> None:
    browser, _ = staff_browser(world)
    assert "Nothing waits for a person" in browser.get("/console").text
    first, second = held(world), asked(world).id
    html = browser.get("/console").text
    assert "2 things wait for a person" in html
    assert html.index(f"/console/orders/{first}") < html.index(f"/console/quotes/{second}")
    assert "48,400.00" not in html
    assert "44,000.00 EUR before tax." in html


def test_the_overview_counts_what_was_sold(world: World) -> None:
    browser, _ = staff_browser(world)
    shop.buy(world)
    html = browser.get("/console").text
    assert "<dd>2,750.00</dd>" in html, "recurring revenue: 25 seats at 110.00"
    assert "Invoiced by month, before tax, EUR" in html
    assert "2.8k" in html, "over the column of this month"


def test_a_list_turns_forward_and_back_without_losing_or_repeating_a_row(world: World) -> None:
    browser, _ = staff_browser(world)
    with world.db.transaction() as tx:
        tx.execute(
            text("""
            INSERT INTO account (id, name, type, email, line1, line2, city, region, postcode, country, time_zone,
                                 locale, created_at)
            SELECT 'acc_' || lpad(n::text, 26, '0'), 'Company ' || n, 'business', n || '@example.com',
                   '', '', '', '', '', 'US', 'UTC', 'en', now() FROM generate_series(1, 60) n""")
        )
    seen, page, walked = [], "/console/accounts?q=Company", []
    while page:
        html = browser.get(page).text
        walked.append(ids_on(html, "accounts"))
        seen += walked[-1]
        older = re.search(r'href="([^"]+)" rel="next"', html)
        page = older[1].replace("&amp;", "&") if older else ""
    assert [len(each) for each in walked] == [25, 25, 10]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 60
    newer = re.search(r'href="([^"]+)" rel="prev"', html)
    assert newer
    assert ids_on(browser.get(newer[1].replace("&amp;", "&")).text, "accounts") == walked[1]
    first = re.search(r'href="([^"]+)" rel="prev"', browser.get(newer[1].replace("&amp;", "&")).text)
    assert first
    front = browser.get(first[1].replace("&amp;", "&")).text
    assert ids_on(front, "accounts") == walked[0]
    assert 'rel="prev"' not in front


def test_orders_are_filtered_by_state_route_and_words(world: World) -> None:
    browser, _ = staff_browser(world)
    paid, waiting = shop.buy(world).id, held(world)
    assert ids_on(browser.get("/console/orders").text, "orders") == [waiting, paid]
    assert ids_on(browser.get("/console/orders?state=held").text, "orders") == [waiting]
    assert ids_on(browser.get("/console/orders?route=automatic").text, "orders") == [paid]
    assert ids_on(browser.get("/console/orders?q=ny@example.com").text, "orders") == [waiting]
    assert ids_on(browser.get("/console/orders?q=100%25").text, "orders") == [], "a percent sign is no wildcard"
    assert ids_on(browser.get("/console/orders?state=nonsense").text, "orders") == [waiting, paid]
    assert "Nothing in this list" in browser.get("/console/orders?q=nobody").text


@pytest.fixture
def stocked(world: World) -> Stocked:
    return stock(world)


def test_every_page_with_something_on_it_keeps_the_rules_of_a_page(world: World, stocked: Stocked) -> None:
    browser, _ = staff_browser(world)
    pages = ["/console", "/console/search?q=Beispiel", "/console/procedures", "/console/procedures/daily-review"]
    pages += [
        f"/console/{section}"
        for section in (
            "jobs",
            "signing-keys",
            "survey",
            "exports",
            "policies",
            "clock",
            "tax/overrides",
            "tax/nexus",
            "tax/exemptions",
        )
    ]
    for kind in ("accounts", "orders", "quotes", "subscriptions", "licenses", "workspaces", "invoices"):
        pages += [f"/console/{kind}", f"/console/{kind}/{stocked.paths[f'{kind[:-1]}_id']}"]
    for path in [*pages, f"/console/orders/{stocked.held}", "/console/orders/ord_1"]:
        answer = browser.get(path, headers={"accept": "text/html"})
        assert_well_formed(answer.text)
        assert_posts_carry_the_token(answer.text, form_token(answer.text))


def test_an_order_shows_route_tax_evidence_and_attempts(world: World, stocked: Stocked) -> None:
    browser, _ = staff_browser(world)
    html = browser.get(f"/console/orders/{stocked.order.id}").text
    for said in ("no person and no signature needed", "everse charge", "SHA-256 of the terms", "127.0.0.1",
                 "Succeeded", "DE136695976 (valid)", stocked.license, stocked.subscription):  # fmt: skip
        assert said in re.sub("<wbr>", "", html), said
    waiting = browser.get(f"/console/orders/{stocked.held}").text
    assert "A person has to confirm the tax" in waiting


def test_an_invoice_shows_its_postings_and_opens_as_pdf(world: World, stocked: Stocked) -> None:
    browser, _ = staff_browser(world)
    page = f"/console/invoices/{stocked.invoice}"
    html = browser.get(page).text
    with world.db.transaction() as tx:
        total = tx.execute(text("SELECT total_minor FROM invoice")).scalar_one()
    shown = str(Money(total, "EUR"))
    assert html.count(shown) >= 5, "total, payment, and both sides of what was owed"
    assert "Deferred revenue" in html
    pdf = browser.get(f"{page}/pdf")
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    for kind in ("xml", "xml?syntax=ubl"):
        assert browser.get(f"{page}/{kind}").headers["content-type"] == "application/xml"
        assert f'href="{page}/{kind}"' in browser.get(page).text
    note = f"/console/credit_notes/{stocked.credit_note}"
    assert f'href="{note}/xml"' in browser.get(note).text
    assert browser.get(f"{note}/xml").headers["content-type"] == "application/xml"


def test_an_account_tells_its_story_once_and_names_who_acted(world: World) -> None:
    browser, person = staff_browser(world)
    order_id = held(world)
    do(browser, f"/console/orders/{order_id}", f"/console/orders/{order_id}/cancel", note="Export control.")
    found = browser.get(f"/console/search?q={order_id}")
    account = re.search(r"/console/accounts/(acc_\w+)", browser.get(found.headers["location"]).text)
    assert account
    html = browser.get(f"/console/accounts/{account[1]}").text
    assert html.count("An order was canceled: Export control.") == 1, "the event and the audit row are one deed"
    assert f"order.canceled · {person.email}" in html
    assert html.index("An order was canceled") < html.index("The account was opened"), "newest first"


def test_a_long_story_is_turned_page_by_page(world: World) -> None:
    browser, _ = staff_browser(world)
    order = shop.buy(world)
    kinds: list[str] = []
    page = f"/console/accounts/{order.account_id}"
    with world.db.transaction() as tx:
        total = tx.execute(
            text("SELECT count(*) FROM event WHERE account_id = :id"), {"id": order.account_id}
        ).scalar_one()
        tx.execute(text("""
            INSERT INTO event (id, type, object_id, object_sequence, account_id, data, occurred_at)
            SELECT 'evt_' || lpad(n::text, 26, '0'), 'member.added', 'mem_' || n, 1, :id, '{}',
                   now() + n * interval '1s'
            FROM generate_series(1, 30) n"""), {"id": order.account_id})  # fmt: skip
    while page:
        html = browser.get(page).text
        kinds += re.findall(r'mono block-note">([\w.]+)', html)
        older = re.search(r'href="([^"]+)" rel="next"', html)
        page = older[1].partition("#")[0] if older else ""
    assert kinds.count("member.added") == 30
    assert len(kinds) >= total + 30


def lands(browser: httpx.Client, asked_for: str) -> str:
    answer = browser.get("/console/search", params={"q": asked_for})
    return answer.headers.get("location", "") if answer.status_code == 303 else ""


def test_the_search_box_takes_whatever_somebody_has_in_hand(world: World, stocked: Stocked) -> None:
    browser, _ = staff_browser(world)
    account = f"/console/accounts/{stocked.order.account_id}"
    with world.db.transaction() as tx:
        file_id, payment, attempt, number = tx.execute(
            text("""
            SELECT (SELECT file_id FROM license), (SELECT id FROM payment),
                   (SELECT id FROM payment_attempt WHERE state = 'succeeded'), (SELECT number FROM invoice)""")
        ).one()
        tx.execute(text("UPDATE \"order\" SET po_number = 'PO-4711' WHERE state = 'held'"))
    order = f"/console/orders/{stocked.order.id}"
    for given, wanted in (
        (stocked.order.id, order),
        (f"  {stocked.quote} ", f"/console/quotes/{stocked.quote}"),
        (stocked.license, f"/console/licenses/{stocked.license}"),
        (stocked.subscription, f"/console/subscriptions/{stocked.subscription}"),
        (stocked.workspace, f"/console/workspaces/{stocked.workspace}"),
        (payment, order),
        (attempt, order),
        (number.lower(), f"/console/invoices/{stocked.invoice}"),
        (file_id, f"/console/licenses/{stocked.license}"),
        ("DE136695976", account),
        ("", "/console"),
    ):
        assert lands(browser, given) == wanted, given
    assert stocked.held in browser.get("/console/search?q=PO-4711").text
    assert "Beispiel GmbH" in browser.get("/console/search?q=beispiel").text
    for nothing in ("ord_00000000000000000000000000", "nobody@nowhere.example", "%", "_", "'", "\\"):
        assert "Nothing found" in browser.get("/console/search", params={"q": nothing}).text, nothing


def answer_survey(world: World, score: int, comment: str, segment: str) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        invitation: SurveyInvitation = surveys.invite(
            tx, world.ports.secrets, kind=SurveyKind.PURCHASE, order_id=None, account_id=None, email=None,
            person_name="", segment={"plan": segment}, locale="en", country="US", test=True, now=now,
            external_ref=f"{segment}-{score}-{comment}",
        )  # fmt: skip
        surveys.answer(tx, invitation, score=score, comment=comment, source=AnswerSource.API, now=now)


def test_the_survey_shows_score_interval_groups_and_words(world: World) -> None:
    browser, _ = staff_browser(world)
    assert "No answer yet" in browser.get("/console/survey").text
    for n in range(6):
        answer_survey(world, 10 if n else 3, f"Reason {n} <b>", "professional")
    answer_survey(world, 9, "Alone", "enterprise")
    html = browser.get("/console/survey?segment=plan").text
    assert "<dd>+71</dd>" in html, "6 of 7 promote, 1 detracts"
    assert re.search(r"95 % interval \+\d+ to \+100", html)
    assert "Reason 5 &lt;b&gt;" in html
    assert "Professional" in html
    assert "1 group with fewer than five answers each, 1 in all, are not shown." in html
    assert "how likely are you to recommend" in html
    later = world.ports.clock.now() + timedelta(days=1)
    nothing = browser.get(f"/console/survey?from={later:%Y-%m-%d}&to={later:%Y-%m-%d}").text
    assert "No answer yet" in nothing


@pytest.mark.parametrize("dates", ["from=never", "to=2026-13-01", "from=2026-12-31&to=2026-01-01"])
def test_dates_that_make_no_sense_are_named(world: World, dates: str) -> None:
    browser, _ = staff_browser(world)
    refused = browser.get(f"/console/survey?{dates}")
    assert refused.status_code == 422
    assert "-error" in refused.text


def test_a_report_is_chosen_prepared_and_downloaded(world: World) -> None:
    browser, _ = staff_browser(world, StaffRole.FINANCE)
    shop.buy(world)
    today = f"{world.ports.clock.now():%Y-%m-%d}"
    chosen = {"report": "invoice_register", "from": "2026-01-01", "to": today, "format": "csv"}
    prepared = browser.get("/console/exports", params=chosen).text
    ready = re.search(r'href="(/console/exports/invoice_register\.csv[^"]+)"', prepared)
    assert ready
    got = browser.get(ready[1].replace("&amp;", "&"))
    assert "attachment" in got.headers["content-disposition"]
    assert len(list(csv.DictReader(io.StringIO(got.text)))) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"from": "x"}, "f-from"),
        ({"to": "2025-01-01"}, "f-to"),
        ({"format": "pdf"}, "f-format"),
        ({"as_of": "?"}, "f-as_of"),
    ],
)
def test_a_report_with_an_unusable_input_names_it(world: World, changes: dict[str, str], named: str) -> None:
    browser, _ = staff_browser(world, StaffRole.FINANCE)
    chosen = {"report": "invoice_register", "from": "2026-01-01", "to": "2026-12-31", "format": "csv"}
    refused = browser.get("/console/exports", params=chosen | changes)
    assert (refused.status_code, f'href="#{named}"' in refused.text) == (422, True)


def test_every_procedure_a_page_names_is_there_to_be_read(world: World, stocked: Stocked) -> None:
    browser, _ = staff_browser(world)
    world.work()
    named: set[str] = set()
    for path in ("/console", "/console/jobs", "/console/signing-keys", "/console/policies", "/console/clock",
                 "/console/survey", "/console/exports", f"/console/orders/{stocked.held}",
                 f"/console/quotes/{stocked.quote}",
                 f"/console/licenses/{stocked.license}", "/console/procedures"):  # fmt: skip
        named |= set(re.findall(r'href="(/console/procedures/[\w-]+)"', browser.get(path).text))
    assert len(named) >= 10
    for path in named:
        assert "<pre" in browser.get(path).text, path
