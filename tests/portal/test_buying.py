"""A purchase through the pages, without scripts: from the prices to a license that verifies."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urljoin

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.accounts.models import Account
from app.agreements.models import Acceptance
from app.catalog.models import Price
from app.core import keys
from app.licenses.formats.verify import load_keys, verify_license_file
from app.licenses.models import License
from app.orders.models import Order, OrderState, Preview
from app.quotes.models import Quote
from tests.portal.buyers import ADA, BO, CHECKOUT, at_payment, count, pay, priced, visitor
from tests.portal.forms import Visitor
from tests.world import World


def test_a_new_buyer_gets_a_license_that_verifies_with_four_clicks_and_nine_fields(world: World) -> None:
    ada = visitor(world)
    page = ada.open("/?family=self_managed&interval=year&currency=EUR&seats=25")
    ada.follow(next(link for link in page.links if link.startswith("/checkout?sku=professional&")))
    to_type = [name for name in ada.page.form("/checkout").to_type() if name != "accept"]
    ada.send("/checkout", "Show the total", "accept", **ADA)
    assert "Reverse charge" in ada.page.text
    ada.send("/checkout", "Pay 2,750.00 EUR")
    # Buy, tick the terms, show the total, pay; the tax id is the one field that is optional.
    assert ada.clicks == 4, "the road to the payment page has grown"
    assert len(ada.fields) <= 9
    assert len(to_type) <= 9, to_type
    page = pay(ada)
    assert "/orders/" in page.url
    world.work()
    page = ada.open(page.url)
    assert "It is yours" in page.text
    download = ada.browser.get(f"{page.url}/license")
    assert download.headers["content-disposition"] == 'attachment; filename="beispiel-gmbh.mattermost-license"'
    assert download.text in page.html, "the text is on the page as well"
    with world.db.transaction() as tx:
        public = "".join(each.public_pem for each in keys.published(tx, keys.KeyPurpose.LICENSE_FILE)).encode()
    report = verify_license_file(download.content, load_keys(public), world.ports.clock.now())
    assert report.accepted
    assert report.claims is not None
    assert (report.claims.users, report.claims.customer.company) == (25, "Beispiel GmbH")


def test_the_terms_are_accepted_with_evidence_of_the_click(world: World) -> None:
    ada = visitor(world)
    ada.browser.headers["User-Agent"] = "Mosaic/3.0"
    ada.open(CHECKOUT)
    ada.send("/checkout", "Show the total", "accept", **ADA)
    ada.send("/checkout", "Pay ")
    with world.db.transaction() as tx:
        acceptance = tx.execute(select(Acceptance)).scalar_one()
    assert (acceptance.ip, acceptance.user_agent) == ("127.0.0.1", "Mosaic/3.0")
    assert (acceptance.person_name, acceptance.company) == ("Ada Beispiel", "Beispiel GmbH")


def test_the_language_of_the_browser_is_kept_for_documents_and_mails(world: World) -> None:
    ada = visitor(world)
    ada.browser.headers["Accept-Language"] = "fr;q=0.7, de-AT;q=0.9, en;q=0.8"
    ada.open(CHECKOUT)
    ada.send("/checkout", "Show the total", "accept", **ADA)
    ada.send("/checkout", "Pay ")
    with world.db.transaction() as tx:
        assert tx.execute(select(Account)).scalar_one().locale == "de"


def test_the_button_asks_the_provider_when_its_event_is_late(world: World) -> None:
    ada = at_payment(world)
    pay(ada)
    assert "Waiting for your payment" in ada.page.text
    ada.send("/refresh", "Check again")
    assert "It is yours" in ada.page.text
    world.work()
    assert count(world, License) == 1


def test_looking_at_an_order_changes_nothing(world: World) -> None:
    ada = at_payment(world)
    page = pay(ada)
    for _ in range(3):
        ada.open(page.url)
        ada.browser.get(f"{page.url}/progress")
    with world.db.transaction() as tx:
        assert tx.execute(select(Order)).scalar_one().state is OrderState.AWAITING_PAYMENT


def test_the_polling_module_is_told_to_load_the_page_anew_once_the_payment_is_decided(world: World) -> None:
    ada = at_payment(world)
    page = pay(ada)
    values = {name: value[0] for name, value in page.form("/refresh").values().items()}
    before = ada.browser.get(f"{page.url}/progress")
    assert "data-poll=" in before.text
    assert "data-reload" not in before.text
    after = ada.browser.post(f"{page.url}/progress", data=values)
    assert after.status_code == 200
    assert "data-reload" in after.text


def test_a_declined_card_leaves_everything_as_it_was_and_another_one_pays(world: World) -> None:
    ada = at_payment(world)
    page = pay(ada, "4000 0000 0000 0002")
    assert "declined" in page.text
    world.work()
    with world.db.transaction() as tx:
        assert tx.execute(select(Order)).scalar_one().state is OrderState.AWAITING_PAYMENT
    back = next(link for link in page.links if "/orders/" in link)
    ada.open(urljoin(page.url, back))
    ada.send("/pay", "ay ")
    pay(ada)
    world.work()
    assert "It is yours" in ada.open(ada.page.url).text
    assert count(world, License) == 1


def test_a_mistyped_card_is_told_on_the_pay_page(world: World) -> None:
    ada = at_payment(world)
    page = pay(ada, "4242 4242 4242 4241")
    assert "not a card number" in page.text


def test_two_posts_of_one_form_are_one_order(world: World) -> None:
    ada = priced(world)
    form = ada.page.form("/checkout")
    values = {**form.values(), "intent": ["place"]}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ada.browser.post(form.action, data=values), range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert count(world, Order) == 1


def test_an_expired_offer_comes_back_fresh_with_everything_typed(world: World) -> None:
    ada = priced(world)
    with world.db.transaction() as tx:
        tx.execute(update(Preview).values(created_at=Preview.created_at - timedelta(days=3),
                                          expires_at=Preview.expires_at - timedelta(days=3)))  # fmt: skip
    page = ada.send("/checkout", "Pay ")
    assert ada.status == 409
    assert "That offer had expired" in page.text
    form = page.form("/checkout")
    assert {name: form.value(name) for name in ADA} == ADA
    assert count(world, Order) == 0
    ada.send("/checkout", "Pay ")
    assert "/sandbox/pay/" in ada.page.url


def test_a_price_that_changed_meanwhile_is_shown_before_it_can_be_accepted(world: World) -> None:
    ada = priced(world)
    with world.db.transaction() as tx:
        tx.execute(update(Price).where(col(Price.currency) == "EUR").values(unit_minor=Price.unit_minor + 100))
    page = ada.send("/checkout", "Pay 2,750.00 EUR")
    assert ada.status == 409
    assert "The price has changed" in page.text
    assert "2,775.00 EUR" in page.text
    assert page.form("/checkout").value("company") == "Beispiel GmbH"
    assert count(world, Order) == 0
    ada.send("/checkout", "Pay 2,775.00 EUR")
    assert "2,775.00 EUR" in ada.page.text


@pytest.mark.parametrize(
    ("changed", "value", "total"),
    [("seats", "26", "2,860.00 EUR"), ("term", "month", "275.00 EUR"), ("tax_id", "", "3,272.50 EUR")],
)
def test_an_order_that_differs_from_what_was_priced_comes_back_with_its_own_figures(
    world: World, changed: str, value: str, total: str
) -> None:
    ada = priced(world)
    page = ada.send("/checkout", "Pay 2,750.00 EUR", **{changed: value})
    assert ada.status == 409
    assert f"Total {total}" in page.text
    assert page.form("/checkout").value(changed) == value
    assert count(world, Order) == 0


@pytest.mark.parametrize(
    ("changed", "value", "field", "sentence"),
    [
        ("country", "ZZ", "country", "Choose a country from the list."),
        ("tax_id", "DE136695977", "tax_id", ""),
        ("seats", "3", "seats", "sold for 11 to 5000 seats"),
        ("seats", "99999999999", "seats", "whole number"),
        ("seats", "5000000", "seats", "sold for 11 to 5000 seats"),
        ("seats", "-4", "seats", "whole number"),
        ("seats", "ten", "seats", "whole number"),
        ("term", "century", "term", "Choose a term"),
        ("email", "nobody", "email", "e-mail address"),
        ("company", "", "company", "We sell to businesses"),
        ("full_name", " ", "full_name", "name of the person"),
        ("company", "東京 KK", "company", "Our documents cannot show 東 京"),
        ("city", "서울", "city", "write it in Latin letters"),
    ],
)
def test_a_wrong_input_is_told_at_its_field_and_nothing_is_lost(
    world: World, changed: str, value: str, field: str, sentence: str
) -> None:
    ada = priced(world)
    page = ada.send("/checkout", "Pay ", **{changed: value})
    assert ada.status == 422
    assert f'href="#f-{field}"' in page.html
    assert f'id="f-{field}-error"' in page.html
    assert sentence in page.text
    form = page.form("/checkout")
    assert form.value("address") == "Invalidenstr. 1"
    if field not in {"country", "term"}:  # a list shows no value that it does not have
        assert form.value(changed) == value.strip()
    assert count(world, Order) == 0


def test_a_state_is_asked_for_where_it_decides_the_tax(world: World) -> None:
    bo = visitor(world)
    bo.open("/checkout?sku=professional&seats=20&interval=year&currency=USD")
    page = bo.send("/checkout", "Show the total", "accept", **{**BO, "region": ""})
    assert "Choose the state or province" in page.text
    page = bo.send("/checkout", "Show the total", region="US-KY")
    assert "6% of 2,400.00 USD" in page.text
    assert "Total 2,544.00 USD" in page.text


def test_a_postcode_is_asked_for_only_where_there_are_any(world: World) -> None:
    somewhere = {"tax_id": "", "postcode": "", "city": "Central"}
    ada = priced(world, **somewhere, country="DE")
    assert "Give the postcode" in ada.send("/checkout", "Pay ").text
    wong = priced(world, **somewhere, country="HK")
    wong.send("/checkout", "Pay ")
    assert "/sandbox/pay/" in wong.page.url


def test_a_number_is_refused_where_none_is_needed(world: World) -> None:
    bo = priced(world, CHECKOUT, BO, tax_id="12-3456789")
    assert "No tax number is needed for United States" in bo.page.text


def test_a_registry_that_is_down_or_knows_nothing_never_blocks_the_sale(world: World) -> None:
    ada = priced(world, tax_id="DE811569869")
    assert "Total 2,750.00 EUR" in ada.page.text


def test_without_the_tick_nothing_is_ordered(world: World) -> None:
    ada = visitor(world)
    ada.open(CHECKOUT)
    ada.send("/checkout", "Show the total", **ADA)
    page = ada.send("/checkout", "Pay ")
    assert ada.status == 422
    assert 'href="#f-accept"' in page.html
    assert count(world, Order) == 0


def test_a_form_without_its_token_is_refused(world: World) -> None:
    ada = priced(world)
    values = {**ada.page.form("/checkout").values(), "intent": ["place"], "csrf_token": ["guessed"]}
    assert "This form was not sent from our page" in ada.post(f"{world.url}/checkout", values).text
    assert ada.status == 403
    assert count(world, Order) == 0


def test_a_form_sent_from_another_browser_is_refused(world: World) -> None:
    ada, mallory = priced(world), visitor(world)
    mallory.open("/")
    mallory.post(f"{world.url}/checkout", {**ada.page.form("/checkout").values(), "intent": ["place"]})
    assert mallory.status == 403


def test_a_destination_under_embargo_is_told_as_such(world: World) -> None:
    ada = visitor(world)
    ada.open(CHECKOUT)
    page = ada.send("/checkout", "Show the total", **{**ADA, "country": "CU", "tax_id": ""})
    assert ada.status == 451
    assert "Export rules forbid us to deliver" in page.text
    assert page.form("/checkout").value("company") == "Beispiel GmbH"


def test_an_order_that_has_to_be_looked_at_is_held_and_says_by_when(world: World) -> None:
    where = {"country": "UA", "tax_id": "", "postcode": "84301", "city": "Kramatorsk"}
    ada = priced(world, **where)
    assert "A person looks at this order" in ada.page.text
    assert "Executive Order" not in ada.page.text, "what a check found is not the buyer's to know"
    page = ada.send("/checkout", "Order for")
    assert "We are checking this order" in page.text
    with world.db.transaction() as tx:
        assert tx.execute(select(Order)).scalar_one().state is OrderState.HELD


def test_above_the_threshold_the_same_button_asks_for_a_quote(world: World) -> None:
    ada = visitor(world)
    ada.open(CHECKOUT.replace("seats=25", "seats=100"))
    page = ada.send("/checkout", "Show the total", **ADA)
    assert "is not below 4,600.00 EUR" in page.text
    page = ada.send("/checkout", "Request a quote")
    assert "Your quote is on its way" in page.text
    assert "11,000.00 EUR" in page.text
    assert count(world, Order) == 0
    assert count(world, Quote) == 1
    world.work()
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    link = next(word for word in mails[0]["text"].split() if "/q/" in word)
    assert "Your quote is on its way" in ada.open(link).text
    automatic = next(link for link in ada.page.links if link.startswith("/checkout"))
    assert "seats=41" in automatic


def test_a_plan_that_people_sell_is_asked_for_with_the_same_form(world: World) -> None:
    ada = visitor(world)
    page = ada.open("/?currency=EUR&seats=60")
    ada.follow(next(link for link in page.links if "enterprise-advanced" in link))
    ada.send("/checkout", "Show the total", **ADA)
    assert "sold by our team only" in ada.page.text
    assert "Your quote is on its way" in ada.send("/checkout", "Request a quote").text


def test_add_ons_are_priced_and_bought_with_the_plan(world: World) -> None:
    ada = visitor(world)
    ada.open(CHECKOUT)
    ada.send("/checkout", "Show the total", "accept", "premier-support", **ADA)
    assert "Premier support 25 seats × 28.00 EUR" in ada.page.text
    assert "Total 3,450.00 EUR" in ada.page.text
    ada.send("/checkout", "Pay 3,450.00 EUR")
    page = pay(ada)
    world.work()
    assert "Premier support" in ada.open(page.url).text


def test_the_live_preview_answers_with_the_slip_alone(world: World) -> None:
    ada = visitor(world)
    ada.open(CHECKOUT)
    values = {**ada.page.form("/checkout").values(), **{name: [value] for name, value in ADA.items()}}
    fragment = ada.post(f"{world.url}/checkout/preview", values)
    assert ada.status == 200
    assert "<html" not in fragment.html
    assert "Pay 2,750.00 EUR" in fragment.text
    wrong = ada.post(f"{world.url}/checkout/preview", {**values, "tax_id": ["DE136695977"]})
    assert ada.status == 200
    assert "Pay" not in wrong.text
    embargo = ada.post(f"{world.url}/checkout/preview", {**values, "country": ["CU"], "tax_id": [""]})
    assert "Export rules" in embargo.text


def test_the_confirmation_of_nobody_is_not_found(world: World) -> None:
    ada = visitor(world)
    assert "404" in ada.open("/orders/ord_01kafzzzzzzzzzzzzzzzzzzzzz.AAAAAAAAAAAAAAAAAAAAAAAA").text
    assert ada.status == 404


def test_an_order_cannot_be_opened_with_another_orders_signature(world: World) -> None:
    first, second = at_payment(world), at_payment(world)
    one, other = (Visitor(buyer.browser) for buyer in (first, second))
    here, there = pay(first).url, pay(second).url
    forged = f"{there.rpartition('.')[0]}.{here.rpartition('.')[2]}"
    one.open(forged)
    other.open(there)
    assert (one.status, other.status) == (404, 200)


def test_a_name_that_is_too_long_to_be_printed_is_refused_and_never_cut(world: World) -> None:
    buyer = priced(world, CHECKOUT, None, company="W" * 20_000)
    assert buyer.status == 422
    assert "At most 300 characters fit into" in buyer.page.text
    assert "company" in buyer.page.text
    assert count(world, Preview) == 0
