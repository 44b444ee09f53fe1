"""The quote on its own page, for whoever holds the link, and the builder in the console, as people without scripts."""

import httpx
import pytest

from app.accounts.models import StaffRole
from app.flows import quote_acceptance, quoting
from app.flows.preview_request import LineRequest
from app.flows.quoting import Basis
from app.orders import service as orders
from app.orders.models import OrderState
from app.quotes import service as quotes
from app.quotes.discounts import Discount
from app.quotes.models import Quote, QuoteState
from tests import shop
from tests.console.helping import audited, fingerprint
from tests.portal.forms import Page, Visitor
from tests.quotes.offering import (
    SCAN,
    accept,
    draft_for,
    drafted,
    fresh,
    limits,
    link,
    offer_of,
    requested,
    sent,
    signing,
    staff,
)
from tests.signing_in import staff_browser
from tests.world import World, altered


def visitor(world: World) -> Visitor:
    return Visitor(world.browser())


# --- The signatory ------------------------------------------------------------------------------------------------


def test_somebody_without_an_account_accepts_and_pays(world: World) -> None:
    quote = sent(world, message="As discussed.")
    eva = visitor(world)
    page = eva.open(link(world, quote))
    for wanted in (quote.shown_number, "9,900.00 EUR", "-1,100.00 EUR", "As discussed.", "Beispiel GmbH"):
        assert wanted in page.text
    page = eva.send("/accept", "Accept for 9,900.00 EUR", "accept", full_name="Eva Chefin", email="eva@example.de")
    assert "Pay" in page.text
    assert eva.clicks == 2
    assert len(eva.fields) <= 9
    page = eva.open(link(world, quote))
    assert "Accepted. Thank you." in page.text
    order = eva.follow(next(href for href in page.links if href.startswith("/orders/")))
    assert "9,900.00 EUR" in order.text


def test_looking_changes_nothing_and_a_scanner_is_no_person(world: World) -> None:
    quote, asked = sent(world), requested(world, email="eve@other.example")
    before = fingerprint(world)
    browser = world.browser()
    for path in (link(world, quote), f"{link(world, quote)}/pdf", link(world, asked)):
        for _ in range(2):
            assert browser.get(path).status_code == 200
            browser.head(path)
    assert fingerprint(world) == before
    assert fresh(world, quote).state is QuoteState.SENT


def test_a_person_who_looks_is_noted_once(world: World) -> None:
    quote = sent(world)
    ada = visitor(world)
    page = ada.open(link(world, quote))
    form = next(each for each in page.forms if each.action.endswith("/seen"))
    for _ in range(2):
        ada.post(form.action, form.values())
    seen = fresh(world, quote)
    assert seen.state is QuoteState.VIEWED
    assert seen.viewed_at is not None
    assert not [each for each in ada.open(link(world, quote)).forms if each.action.endswith("/seen")]


def test_declining_keeps_the_reason_and_ends_it(world: World) -> None:
    quote = sent(world)
    ada = visitor(world)
    ada.open(link(world, quote))
    page = ada.send("/decline", "Decline", reason="Too dear.\nSorry.")
    assert "You declined this quote" in page.text
    closed = fresh(world, quote)
    assert (closed.state, closed.closed_reason) == (QuoteState.DECLINED, "Too dear.\nSorry.")
    answer = ada.browser.post(f"{link(world, quote)}/decline", data={"reason": "again"})
    assert answer.status_code == 409


def test_what_is_missing_is_said_at_its_field_and_typing_is_kept(world: World) -> None:
    quote = sent(world)
    eva = visitor(world)
    eva.open(link(world, quote))
    page = eva.send("/accept", "Accept", full_name="Eva", email="eva@example.de")
    assert eva.status == 422
    assert "#f-accept" in page.links
    assert page.form("/accept").value("full_name") == "Eva"
    eva.open(link(world, quote))
    form = eva.page.form("/accept")
    stale = form.values() | {"preview_id": ["prv_other"], "accept": ["yes"]}
    eva.post(form.action, stale)
    assert eva.status == 422
    assert "another offer" in eva.page.text


def test_above_the_threshold_the_paper_is_uploaded_and_kept_for_staff(world: World) -> None:
    limits(world, EUR=100)
    quote = sent(world)
    eva = visitor(world)
    page = eva.open(link(world, quote))
    assert "This one needs a signature" in page.text
    assert not [form for form in page.forms if form.action.endswith("/accept")]
    form = page.form("/sign")
    values = form.values() | {"full_name": ["Eva"], "email": ["eva@example.de"], "accept": ["yes"]}
    eva.post(form.action, values)
    assert eva.status == 422
    assert "#f-file" in eva.page.links
    eva.post(form.action, values, file=b"no paper")
    assert eva.status == 422
    eva.post(form.action, values, file=SCAN.content + b"0" * 300_000 + b"%%EOF")
    assert eva.status == 200
    browser, _ = staff_browser(world, StaffRole.SUPPORT)
    paper = browser.get(f"/console/quotes/{quote.id}/paper")
    assert paper.content.startswith(SCAN.content)
    assert paper.headers["content-disposition"].startswith("attachment")
    assert paper.headers["content-type"] == "application/pdf"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(world: World) -> None:
    quote = sent(world)
    answer = world.browser().post(f"{link(world, quote)}/sign", content=b"0" * (16 * 1024 * 1024))
    assert answer.status_code == 413
    answer = world.browser().post(f"{link(world, quote)}/accept", content=b"0" * (300 * 1024))
    assert answer.status_code == 413, "only where papers are sent"


@pytest.mark.parametrize("path", ["", "/pdf"])
def test_a_draft_nobody_was_told_of_does_not_exist(world: World, path: str) -> None:
    order = shop.buy(world, seats=11)
    quote = quoting.save(world.ports, Basis(account_id=order.account_id), draft_for(world), by=staff(world))
    assert world.browser().get(link(world, quote) + path).status_code == 404
    assert world.browser().get(altered(link(world, quote)) + path).status_code == 404


def test_while_staff_write_the_customer_sees_their_request(world: World) -> None:
    quote = drafted(world)
    page = visitor(world).open(link(world, quote))
    assert "Your quote is on its way" in page.text
    assert "11,000.00 EUR" in page.text
    assert "9,900.00" not in page.text


def test_the_old_link_leads_to_the_newer_revision(world: World) -> None:
    first, by = sent(world), staff(world)
    second = quoting.revise(world.ports, first.id, by=by, reason="More.")
    page = visitor(world).open(link(world, first))
    assert "A newer revision has taken its place" in page.text
    assert link(world, second) not in page.links, "it is not sent yet"
    quoting.send(world.ports, second.id, by=by)
    assert link(world, second) in visitor(world).open(link(world, first)).links


# --- Staff --------------------------------------------------------------------------------------------------------


def form_of(browser: httpx.Client, path: str, action: str) -> dict[str, list[str]]:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return Page(answer.text, str(answer.url)).form(action).values()


def test_staff_answer_a_request_send_it_and_the_customer_accepts(world: World) -> None:
    asked = requested(world)
    browser, person = staff_browser(world, StaffRole.SALES)
    here = f"/console/quotes/{asked.id}"
    assert f"{here}/edit" in browser.get(here).text
    values = form_of(browser, f"{here}/edit", "/edit")
    assert (values["sku_1"], values["quantity_1"], values["term"]) == (["professional"], ["100"], ["year"])
    values |= {"off_1": ["12.5"], "by_1": ["percent"], "message": ["Gladly."], "intent": ["place"], "term": ["2years"]}
    browser.post(f"{here}/edit", data=values)
    values = form_of(browser, f"{here}/edit", "/edit") | {"intent": ["place"]}
    assert (values["term"], offer_of(world, asked).net_minor) == (["2years"], 1_925_000)
    values |= {"term": ["year"]}
    saved = browser.post(f"{here}/edit", data=values)
    assert saved.headers["location"] == f"{here}?done=quote-drafted"
    page = Page(browser.get(here).text, str(browser.base_url) + here)
    assert "9,625.00 EUR" in page.text
    assert "-1,375.00 EUR" in page.text
    done = browser.post(f"{here}/send", data=page.form("/send").values())
    assert done.headers["location"] == f"{here}?done=quote-sent"
    assert [entry.actor for entry in audited(world, "quote.sent")] == [person.id]
    started = accept(world, fresh(world, asked))
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).net_minor == 962_500
    assert "What they signed" not in browser.get(here).text


def test_the_live_figures_are_those_of_the_draft_and_store_nothing(world: World) -> None:
    asked = requested(world)
    browser, _ = staff_browser(world, StaffRole.SALES)
    values = form_of(browser, f"/console/quotes/{asked.id}/edit", "/edit") | {"off_1": ["20"], "by_1": ["percent"]}
    before = fingerprint(world)
    figures = browser.post(f"/console/quotes/figures?quote={asked.id}", data=values)
    assert figures.status_code == 200
    assert "8,800.00 EUR" in figures.text
    assert "20 % off a line is more than your role gives (15 %)" in figures.text
    for wrong in ({"off_1": ["x"]}, {"quantity_1": ["many"]}, {"sku_1": ["nothing"]}, {"sku_1": [""]}):
        refused = browser.post(f"/console/quotes/figures?quote={asked.id}", data=values | wrong)
        assert refused.status_code == 200
        assert 'value="place"' not in refused.text
    assert fingerprint(world) == before
    browser.post(f"/console/quotes/{asked.id}/edit", data=values | {"intent": ["place"]})
    assert offer_of(world, asked).net_minor == 880_000


def test_a_draft_from_scratch_begins_on_the_account(world: World) -> None:
    order = shop.buy(world, seats=11)
    browser, _ = staff_browser(world, StaffRole.SALES)
    new = f"/console/quotes/new?account={order.account_id}"
    assert new in browser.get(f"/console/accounts/{order.account_id}").text
    values = form_of(browser, new, "/new")
    values |= {"sku_1": ["enterprise"], "quantity_1": ["50"], "off_1": ["500.00"], "by_1": ["amount"],
               "contact_name": ["Ada Beispiel"], "currency": ["EUR"], "intent": ["place"]}  # fmt: skip
    wrong = browser.post(new, data=values | {"contact_name": [""]})
    assert wrong.status_code == 422
    assert "#f-contact_email" in Page(wrong.text).links
    saved = browser.post(new, data=values)
    assert saved.status_code == 303, saved.text
    quote_id = saved.headers["location"].partition("?")[0].rpartition("/")[2]
    with world.db.transaction() as tx:
        (line,) = quotes.lines(tx, quote_id)
    assert (line.discount_minor, line.discount_points) == (50_000, None)
    assert form_of(browser, f"/console/quotes/{quote_id}/edit", "/edit")["off_1"] == ["500.00"]
    pdf = browser.get(f"/console/quotes/{quote_id}/pdf")
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")


def test_a_steep_discount_is_approved_by_a_colleague_on_its_page(world: World) -> None:
    author = staff(world)
    quote = drafted(world, by=author, lines=(LineRequest("professional", 100, Discount(points=2500)),))
    here = f"/console/quotes/{quote.id}"
    sales, _ = staff_browser(world, StaffRole.SALES)
    assert "Approve the discount" not in sales.get(here).text
    assert "25 % off, drafted by" in sales.get("/console").text
    blocked = sales.post(f"{here}/send", data=form_of(sales, here, "/send"))
    assert (blocked.status_code, "somebody else approves it first" in blocked.text) == (409, True)
    finance, boss = staff_browser(world, StaffRole.FINANCE)
    values = form_of(finance, here, "/approve") | {"note": ["A reference."]}
    assert finance.post(f"{here}/approve", data=values).headers["location"] == f"{here}?done=quote-approved"
    assert f"By {boss.email}: A reference." in finance.get(here).text
    assert "waits for approval" not in sales.get("/console").text
    done = sales.post(f"{here}/send", data=form_of(sales, here, "/send"))
    assert done.headers["location"] == f"{here}?done=quote-sent"


def test_revising_on_the_page_leads_to_the_copy_and_shows_every_revision(world: World) -> None:
    quote = sent(world)
    browser, _ = staff_browser(world, StaffRole.SALES)
    here = f"/console/quotes/{quote.id}"
    values = form_of(browser, here, "/revise") | {"note": ["Fewer seats."]}
    there = browser.post(f"{here}/revise", data=values).headers["location"].partition("?")[0]
    page = Page(browser.get(there).text)
    assert "Revisions" in page.text
    assert here in page.links
    assert "Fewer seats." in browser.get(here).text
    assert quote.shown_number in browser.get(f"/console/quotes?q={quote.number}").text


def test_an_agreement_is_recorded_shown_and_ended_in_the_console(world: World) -> None:
    order = shop.buy(world, seats=11)
    browser, _ = staff_browser(world, StaffRole.SALES)
    here = f"/console/accounts/{order.account_id}/agreements"
    values = form_of(browser, here, "/agreements")
    values |= {"title": ["Master agreement"], "effective_from": ["2026-01-01"], "deviations": ["Net 60."],
               "approved_by": ["Grace Hopper"]}  # fmt: skip
    missing = browser.post(here, data=values, files={"file": ("a.pdf", b"")})
    assert missing.status_code == 422
    assert "Choose a file." in missing.text
    kept = browser.post(here, data=values, files={"file": ("a.pdf", SCAN.content)})
    assert kept.headers["location"] == f"{here}?done=agreement-recorded"
    page = Page(browser.get(here).text, str(browser.base_url) + here)
    assert "Net 60." in page.text
    assert "“Master agreement” applies" in browser.get(f"/console/accounts/{order.account_id}").text
    paper = next(href for href in page.links if href.endswith("/paper"))
    assert browser.get(paper).content == SCAN.content
    end = page.form("/end")
    done = browser.post(end.action, data=end.values() | {"note": ["Replaced."]})
    assert done.headers["location"] == f"{here}?done=agreement-ended"
    assert "Replaced." in browser.get(here).text


def test_a_held_destination_waits_for_a_person_and_then_for_its_payment(world: World) -> None:
    asked: Quote = quoting.request(
        world.ports,
        shop.offer(world, 100, currency="USD", vat=None, country="UA", postcode="84301", city="Kramatorsk",
                   email="ua@example.com").id,
    )  # fmt: skip
    by = staff(world)
    changes = {"currency": "USD", "contact_email": "ua@example.com"}
    quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, **changes), by=by)
    quoting.send(world.ports, asked.id, by=by)
    started = quote_acceptance.accept(world.ports, asked.id, signing(world))
    assert (started.state, started.payment_url) == (OrderState.HELD, None)
    browser, _ = staff_browser(world)
    here = f"/console/orders/{started.order_id}"
    released = browser.post(f"{here}/release", data=form_of(browser, here, "/release") | {"note": ["Checked."]})
    assert released.headers["location"] == f"{here}?done=order-released"
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).state is OrderState.AWAITING_PAYMENT
