"""The TEST pay page, as a buyer meets it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.sandbox.cards import luhn_holds
from app.core.clock import transport_now
from app.core.ids import new_id
from app.core.money import Money
from app.payments.provider import Checkout, CheckoutRequest
from tests.paying import ASKS, DECLINED, NO_FUNDS, PAYS, Form, answer_bank, pay
from tests.world import World


def open_page(world: World, success_url: str = "") -> tuple[str, Checkout]:
    """A new checkout; returns the attempt's id with it."""
    attempt_id = new_id("pat")
    request = CheckoutRequest(
        attempt_id=attempt_id,
        amount=Money(3_213_00, "EUR"),
        description="Professional, 50 seats",
        customer_email="ada@engines.example",
        success_url=success_url or f"{world.url}/orders/1",
        cancel_url=f"{world.url}/checkout",
        expires_at=transport_now() + timedelta(hours=23),
    )
    return attempt_id, world.ports.payments.start_checkout(request)


def taken(browser: httpx.Client, attempt_id: str) -> int:
    """What the provider took for an attempt, in its units."""
    intent = browser.get(f"/sandbox/payments/{attempt_id}").json()["intent"]
    return intent["amount_received"] if intent else 0


def test_the_page_says_test_and_what_is_paid_for(world: World) -> None:
    _, checkout = open_page(world)
    page = world.browser().get(checkout.url)
    assert page.status_code == 200
    for words in ("TEST", "3,213.00 EUR", "Professional, 50 seats", f'href="{world.url}/checkout"', NO_FUNDS):
        assert words in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.endswith(f"form-action 'self' {world.url}")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("card", "4242 4242 4242 4241", "This is not a card number"),
        ("card", "hello", "This is not a card number"),
        ("card", "", "This is not a card number"),
        ("card", "6011 1111 1111 1117", "Only the test cards listed here work"),
        ("expires", "01/20", "This expiry has passed"),
        ("expires", "13/34", "Write the expiry as month and year"),
        ("expires", "soon", "Write the expiry as month and year"),
        ("cvc", "12", "3 or 4 digits"),
        ("cvc", "abc", "3 or 4 digits"),
    ],
)
def test_a_mistyped_field_is_named_and_nothing_typed_is_shown_again(
    world: World, field: str, value: str, sentence: str
) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    answer = pay(browser, checkout.url, **{field: value})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert f'aria-invalid="true" aria-describedby="{field}-error"' in answer.text
    assert not value or f'value="{value}"' not in answer.text
    assert taken(browser, attempt_id) == 0


def test_a_decline_is_explained_and_another_card_pays_on_the_same_page(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    declined = pay(browser, checkout.url, NO_FUNDS)
    assert declined.status_code == 402
    assert "Your card has insufficient funds." in declined.text
    assert "Your card has insufficient funds." in browser.get(checkout.url).text  # also after a reload
    form = Form(declined.text)
    paid = browser.post(form.action, data=form.values | {"card": PAYS})
    assert paid.headers["location"] == f"{world.url}/orders/1"
    assert taken(browser, attempt_id) == 3_213_00


def test_two_submissions_at_once_charge_once_and_both_lead_on(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browsers, barrier = [world.browser() for _ in range(8)], Barrier(8)
    form = Form(browsers[0].get(checkout.url).text)

    def submit(browser: httpx.Client) -> tuple[int, str]:
        barrier.wait(timeout=20)
        answer = browser.post(form.action, data=form.values)
        return answer.status_code, answer.headers["location"]

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(submit, browsers))
    assert answers == {(303, f"{world.url}/orders/1")}
    assert taken(browsers[0], attempt_id) == 3_213_00
    kinds = [each["type"] for each in _events(browsers[0])]
    assert sorted(kinds) == ["checkout.session.completed", "payment_intent.succeeded"]


def _events(browser: httpx.Client) -> list[dict[str, str]]:
    answer = browser.get("/sandbox/stripe/v1/events", headers={"authorization": "Bearer sk_test_any"})
    listed: list[dict[str, str]] = answer.json()["data"]
    return listed


def test_a_paid_page_says_so_and_charges_nothing_more(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    form = Form(browser.get(checkout.url).text)
    browser.post(form.action, data=form.values)
    again = browser.get(checkout.url)
    assert (again.status_code, "This is paid already" in again.text) == (200, True)
    assert browser.post(form.action, data=form.values).headers["location"] == f"{world.url}/orders/1"
    assert taken(browser, attempt_id) == 3_213_00


def test_an_expired_page_says_so_and_takes_no_card(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    form = Form(browser.get(checkout.url).text)
    world.ports.payments.expire_checkout(checkout.ref)
    for answer in (browser.get(checkout.url), browser.post(form.action, data=form.values)):
        assert answer.status_code == 410
        assert "This pay page has expired" in answer.text
        assert f'href="{world.url}/checkout"' in answer.text
    assert taken(browser, attempt_id) == 0


@pytest.mark.parametrize("ref", ["cs_test_none", "x", "%00", "%F0%9F%92%B3"])
def test_an_unknown_page_is_a_page_too(world: World, ref: str) -> None:
    browser = world.browser()
    for path in (f"/sandbox/pay/{ref}", f"/sandbox/pay/{ref}/confirm"):
        assert browser.get(path).status_code == 404
        assert "There is no such pay page" in browser.post(path, data={"card": PAYS}).text


@pytest.mark.parametrize("token", ["", "guess", "ü"])
def test_a_form_that_did_not_come_from_the_page_pays_nothing(world: World, token: str) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    forged = {"card": PAYS, "expires": "12/34", "cvc": "123", "csrf_token": token}
    assert browser.post(checkout.url, data=forged).status_code == 403
    assert taken(browser, attempt_id) == 0


def test_the_bank_asks_on_a_page_of_its_own_and_only_while_there_is_a_question(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    early = browser.get(f"{checkout.url}/confirm")
    assert (early.status_code, early.headers["location"]) == (303, f"/sandbox/pay/{checkout.ref}")
    asked = pay(browser, checkout.url, ASKS)
    question = browser.get(asked.headers["location"])
    assert "TEST" in question.text
    assert "Visa •••• 3155" in question.text
    assert browser.get(checkout.url).headers["location"] == asked.headers["location"]  # until it is answered
    refused = answer_bank(browser, asked, "refuse")
    assert (refused.status_code, "not confirmed with your bank" in refused.text) == (402, True)
    assert taken(browser, attempt_id) == 0
    answer_bank(browser, pay(browser, checkout.url, ASKS), "approve")
    assert taken(browser, attempt_id) == 3_213_00


def test_a_forged_approval_pays_nothing(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    pay(browser, checkout.url, ASKS)
    browser.post(f"{checkout.url}/confirm", data={"answer": "approve", "csrf_token": "guess"})
    assert taken(browser, attempt_id) == 0


def test_the_checkout_is_named_in_the_address_where_it_is_asked_for(world: World) -> None:
    _, checkout = open_page(world, f"{world.url}/thanks?session={{CHECKOUT_SESSION_ID}}")
    paid = pay(world.browser(), checkout.url)
    assert paid.headers["location"] == f"{world.url}/thanks?session={checkout.ref}"


def test_a_program_can_play_the_buyer_and_the_bank(world: World) -> None:
    attempt_id, _ = open_page(world)
    browser = world.browser()
    act = f"/sandbox/payments/{attempt_id}"
    declined = browser.post(act, json={"action": "decline"}).json()
    assert declined["intent"]["last_payment_error"]["code"] == "card_declined"
    assert browser.post(act, json={"action": "refund"}).status_code == 400  # nothing was paid yet
    paid = browser.post(act, json={"action": "succeed"}).json()
    assert (paid["checkout"]["status"], paid["intent"]["amount_received"]) == ("complete", 3_213_00)
    assert browser.post(act, json={"action": "decline"}).status_code == 400
    part = browser.post(act, json={"action": "refund", "amount": 13_00}).json()
    assert part["intent"]["amount_refunded"] == 13_00
    assert browser.post(act, json={"action": "win_dispute"}).status_code == 400
    disputed = browser.post(act, json={"action": "dispute"}).json()
    assert disputed["intent"]["dispute"]["status"] == "needs_response"
    assert browser.post(act, json={"action": "lose_dispute"}).json()["intent"]["dispute"]["status"] == "lost"
    kinds = [each["type"] for each in _events(browser)][:3]
    assert kinds == ["charge.dispute.closed", "charge.dispute.created", "charge.refunded"]
    unknown = browser.post(f"/sandbox/payments/{new_id('pat')}", json={"action": "succeed"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "resource_missing")


def test_a_program_can_close_a_checkout(world: World) -> None:
    attempt_id, checkout = open_page(world)
    browser = world.browser()
    closed = browser.post(f"/sandbox/payments/{attempt_id}", json={"action": "expire"}).json()
    assert closed["checkout"]["status"] == "expired"
    assert browser.get(checkout.url).status_code == 410
    assert browser.post(f"/sandbox/payments/{checkout.ref}", json={"action": "succeed"}).status_code == 400


def test_a_declined_card_is_not_kept(world: World) -> None:
    _, checkout = open_page(world)
    browser = world.browser()
    pay(browser, checkout.url, DECLINED)
    pay(browser, checkout.url)
    method = world.ports.payments.report(checkout.ref).method
    assert method is not None
    assert method.label.endswith("4242")


@given(st.integers(min_value=10**11, max_value=10**18))
def test_exactly_one_check_digit_fits_a_number(body: int) -> None:
    assert sum(luhn_holds(f"{body}{digit}") for digit in range(10)) == 1
