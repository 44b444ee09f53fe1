"""A renewal through the pages: from the mailed link, and from the account."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.adapters.sandbox import clock
from app.agreements.models import TermsVersion
from app.core.canonical import sha256_hex
from app.core.clock import start_of
from app.core.ids import new_id
from app.flows import crediting, renewal, tick
from app.invoices import service as invoices
from app.invoices.models import CreditReason
from app.orders.models import Order, OrderKind, OrderState
from app.quotes.models import Quote
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from tests import shop
from tests.api.buying import make_key
from tests.portal.buyers import count, pay, signed_in, visitor
from tests.world import World


def subscription_of(world: World, order: Order) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, order.subscription_id or "")


def at_days_before_end(world: World, order: Order, days: int) -> datetime:
    held = subscription_of(world, order)
    at = start_of(held.ends_on - timedelta(days=days), held.time_zone) + timedelta(hours=12)

    def walked() -> str:
        tick.walk(world.ports, at, set_clock=lambda now: clock.set_to(world.db, now), settle=world.work)
        return ""

    world.past.after("days before the end", days, walked)
    return at


def mailed_link(world: World) -> str:
    mails = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    return next(found[0] for mail in mails if (found := re.search(r"/renew/[\w-]+", mail["text"])))


def renewals(world: World) -> list[Order]:
    with world.db.transaction() as tx:
        query = select(Order).where(col(Order.kind) == OrderKind.RENEWAL).order_by(col(Order.id))
        return list(tx.execute(query).scalars())


def test_credit_is_shown_on_the_renewal_and_the_card_charged_the_rest(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
    crediting.keep(world.ports, invoice.id, nets=None, total=10_000, reason=CreditReason.GOODWILL,
                   off_the_invoice=False, by="test")  # fmt: skip
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    page = boss.open(link)
    assert "Paid from your credit" in page.text
    boss.send(link, "Renew and pay 2,650.00 EUR")
    (renewed,) = renewals(world)
    assert (renewed.state, renewed.credit_minor, renewed.due.minor) == (OrderState.COMPLETED, 10_000, 265_000)
    assert "Paid from your credit" in boss.page.text
    clerk = world.api(make_key(world, account_id=order.account_id))
    shown = clerk.get(f"/v1/orders/{renewed.id}").json()
    assert (shown["own_credit"]["amount"], shown["amount_due"]["amount"]) == (10_000, 265_000)


def test_the_mailed_link_renews_with_one_button_and_no_field(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss = visitor(world)
    link = mailed_link(world)
    page = boss.open(link)
    assert "Renew Professional" in page.text
    assert "Charged to Visa •••• 4242" in page.text
    assert page.form(link).to_type() == [], "with a kept card and known terms there is nothing to fill in"
    page = boss.send(link, "Renew and pay 2,750.00 EUR")
    assert boss.clicks == 1
    assert "It is yours" in page.text
    assert [each.state for each in renewals(world)] == [OrderState.COMPLETED]
    assert subscription_of(world, order).starts_on > order.created_at.date()


def test_a_used_link_says_so_and_renews_nothing(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    values = boss.open(link).form(link).values()
    boss.send(link, "Renew and pay")
    assert "Already renewed" in boss.open(link).text
    assert boss.status == 410
    boss.post(f"{world.url}{link}", values)
    assert "Already renewed" in boss.page.text
    assert len(renewals(world)) == 1


def test_looking_at_a_link_renews_nothing(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    for _ in range(3):
        boss.open(link)
        boss.browser.head(link)
    assert renewals(world) == []


def test_four_clicks_at_once_renew_once(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    values = boss.open(link).form(link).values()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: boss.browser.post(link, data=values).status_code, range(4)))
    assert set(answers) == {303}
    assert [each.state for each in renewals(world)] == [OrderState.COMPLETED]


def test_seats_of_the_next_term_can_be_changed_by_get(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    page = boss.open(f"{link}?seats=30")
    assert "Total 3,300.00 EUR" in page.text
    assert "Professional, seats 25 30 (changed)" in page.text
    few = boss.open(f"{link}?seats=3")
    assert "sold for 11 to 5000 seats" in few.text
    assert "Total 2,750.00 EUR" in few.text
    assert "whole number" in boss.open(f"{link}?seats=many").text
    boss.open(f"{link}?seats=30")
    boss.send(link, "Renew and pay 3,300.00 EUR")
    assert subscription_lines(world, order) == [30]


def subscription_lines(world: World, order: Order) -> list[int]:
    with world.db.transaction() as tx:
        return [line.quantity for line in subscriptions.lines(tx, order.subscription_id or "")]


def test_a_link_of_nobody_is_not_found(world: World) -> None:
    boss = visitor(world)
    assert "404" in boss.open("/renew/made-up").text
    assert boss.status == 404


def test_an_offer_of_another_subscription_is_refused(world: World) -> None:
    ada = shop.buy(world)
    bob = shop.buy(world, email="bob@example.de", company="Bob GmbH")
    at_days_before_end(world, ada, 20)
    boss, link = visitor(world), mailed_link(world)
    values = boss.open(link).form(link).values()
    other = renewal.review(world.ports, bob.subscription_id or "")
    boss.post(f"{world.url}{link}", {**values, "preview_id": [other.preview.id]})
    assert boss.status == 422
    assert renewals(world) == []


def test_an_expired_link_and_one_that_is_too_early_say_what_they_are(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        link = renewal.issue_link(tx, world.ports, subscriptions.get(tx, order.subscription_id or ""),
                                  world.ports.clock.now())  # fmt: skip
    boss = visitor(world)
    page = boss.open(link)
    assert "It is not time yet" in page.text
    assert "Renewal opens on" in page.text
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=365 + 130))
    assert "This link has expired" in boss.open(link).text
    assert boss.status == 410


def test_without_a_kept_card_the_button_leads_to_the_pay_page_and_back(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    buyer = visitor(world)
    buyer.open(started.payment_url or "")
    action = buyer.page.url.rpartition("/")[2]
    form = buyer.page.form(action)
    values = {**form.values(), "card": ["4242 4242 4242 4242"], "expires": ["12/34"], "cvc": ["123"]}
    values.pop("save", None)
    buyer.post(form.action, values)
    world.work()
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
    at_days_before_end(world, order, 20)
    link = mailed_link(world)
    page = buyer.open(link)
    assert "Renew for 2,750.00 EUR" in page.text
    buyer.send(link, "Renew for")
    assert "/sandbox/pay/" in buyer.page.url
    # Whoever clicks the link again still finds the way to the payment.
    again = visitor(world)
    assert "still waits for its payment" in again.open(link).text
    pay(buyer)
    world.work()
    assert [each.state for each in renewals(world)] == [OrderState.COMPLETED]


def test_terms_are_asked_for_again_only_when_they_changed(world: World) -> None:
    order = shop.buy(world)
    at = at_days_before_end(world, order, 20)
    with world.db.transaction() as tx:
        text = "# Terms of sale\n\n## 1. New\nEverything is new.\n"
        tx.add(TermsVersion(
            id=new_id("trm"), key="terms-of-sale", version="2027-01", title="Terms of sale", text=text,
            sha256=sha256_hex(text.encode()), effective_from=at.date(),
        ))  # fmt: skip
    boss, link = visitor(world), mailed_link(world)
    page = boss.open(link)
    assert page.form(link).to_type() == ["accept"]
    assert "The terms have changed; accept them" in boss.send(link, "Renew and pay").text
    assert renewals(world) == []
    assert "It is yours" in boss.send(link, "Renew and pay", "accept").text


def test_a_renewal_above_the_threshold_asks_for_a_quote_with_the_same_link(world: World) -> None:
    order = shop.buy(world, seats=40)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    page = boss.open(f"{link}?seats=60")
    assert "This renewal comes with a quote" in page.text
    page = boss.send(link, "Request the quote")
    assert "Your quote is on its way" in page.text
    assert count(world, Quote) == 1
    assert renewals(world) == []


def test_the_account_leads_to_the_same_renewal(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 40)
    ada = signed_in(world, order)
    page = ada.open("/account")
    assert "the renewal is open" in page.text
    path = next(link for link in page.links if link.endswith("/renew"))
    ada.follow(path)
    assert "It is yours" in ada.send(path, "Renew and pay 2,750.00 EUR").text
    assert "It is not time yet" in ada.open(path).text, "the next term has a renewal of its own"


@pytest.mark.parametrize("days", [200, 91])
def test_before_it_opens_the_account_offers_no_renewal(world: World, days: int) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, days)
    ada = signed_in(world, order)
    page = ada.open(f"/account/subscriptions/{order.subscription_id}")
    assert "Renewal opens on" in page.text
    assert not [link for link in page.links if link.endswith("/renew")]
    assert "It is not time yet" in ada.open(f"/account/subscriptions/{order.subscription_id}/renew").text


def test_an_old_link_of_a_term_that_was_renewed_elsewhere_is_dead(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    link = mailed_link(world)
    ada = signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}/renew"
    ada.open(path)
    ada.send(path, "Renew and pay")
    boss = visitor(world)
    assert "Already renewed" in boss.open(link).text
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(Order)).scalar_one() == 2
