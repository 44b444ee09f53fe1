"""How a subscription goes on, said on its page or behind the mailed link; and paying with another card by link."""

from datetime import timedelta

from app.flows import dunning
from app.orders.models import Order
from app.subscriptions.models import SubscriptionState
from tests import shop
from tests.console.helping import audited, fingerprint
from tests.flows.ending import (
    cards_become,
    catch_up,
    declining,
    end_of,
    mails,
    outcomes,
    run_of,
    subscription_of,
    told,
    walk,
    walk_days,
)
from tests.portal.buyers import pay, signed_in, visitor
from tests.portal.test_renewing import at_days_before_end, mailed_link, renewals
from tests.world import World


def page_of(order: Order) -> str:
    return f"/account/subscriptions/{order.subscription_id}"


def test_not_renewing_is_said_with_a_reason_and_taken_back(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open(page_of(order))
    page = ada.send(f"{page_of(order)}/cancel", "Let it end", reason="We moved on.")
    assert "as you wished" in page.text
    assert "You said: We moved on." in page.text
    held = subscription_of(world, order)
    assert (held.state, held.not_renewing_reason) == (SubscriptionState.ACTIVE, "We moved on.")
    (entry,) = audited(world, "subscription.not_renewing")
    assert entry.actor.startswith("mem_")
    page = ada.send(f"{page_of(order)}/resume", "Keep the subscription")
    assert "It goes on after this term." in page.text
    assert subscription_of(world, order).not_renewing_at is None


def test_who_does_not_renew_is_not_reminded_and_it_ends_with_its_term(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    ada.open(page_of(order))
    ada.send(f"{page_of(order)}/cancel", "Let it end")
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert subscription_of(world, order).state is SubscriptionState.CANCELED
    assert mails(world, "Time to renew") == []


def test_the_mailed_link_ends_it_by_post_and_renews_it_after_all(world: World) -> None:
    order = shop.buy(world)
    at_days_before_end(world, order, 20)
    boss, link = visitor(world), mailed_link(world)
    page = boss.open(link)
    assert f"{link}/stop" in page.links
    before = fingerprint(world)
    boss.open(f"{link}/stop")
    assert fingerprint(world) == before, "looking ends nothing"
    page = boss.send(f"{link}/stop", "Let it end", reason="Too dear")
    assert "ends with its term" in page.text
    assert subscription_of(world, order).not_renewing_reason == "Too dear"
    boss.open(link)
    assert "It is yours" in boss.send(link, "Renew and pay").text
    assert subscription_of(world, order).not_renewing_at is None
    assert len(renewals(world)) == 1


def test_automatic_renewal_is_switched_on_audited_and_charges_on_the_end_date(world: World) -> None:
    order = shop.buy(world)
    assert not subscription_of(world, order).auto_renew
    ada = signed_in(world, order)
    assert "Off. We remind you" in ada.open(page_of(order)).text
    page = ada.send(f"{page_of(order)}/auto-renew", "Let it renew by itself")
    assert "Renews by itself on" in page.text
    assert len(audited(world, "subscription.auto_renew_on")) == 1
    before = subscription_of(world, order)
    walk(world, end_of(world, order) - timedelta(hours=1))
    assert renewals(world) == []
    walk_days(world, 0.1)
    after = subscription_of(world, order)
    assert (after.starts_on, after.state) == (before.ends_on, SubscriptionState.ACTIVE)
    assert any("renews by itself" in text for text in mails(world, "renews on"))


def test_a_monthly_subscription_can_be_renewed_by_hand_instead(world: World) -> None:
    order = shop.buy(world, interval="month")
    ada = signed_in(world, order)
    ada.open(page_of(order))
    ada.send(f"{page_of(order)}/auto-renew", "Renew by hand instead")
    walk(world, end_of(world, order) + timedelta(hours=1))
    assert subscription_of(world, order).state is SubscriptionState.LAPSED


def test_the_page_of_a_declined_card_shows_what_is_owed_and_leads_to_paying(world: World) -> None:
    order = declining(world)
    walk(world, end_of(world, order) + timedelta(hours=1))
    boss = visitor(world)
    link = dunning.card_link(world.ports, run_of(world).id)
    before = fingerprint(world)
    page = boss.open(link)
    boss.browser.head(link)
    assert fingerprint(world) == before, "looking changes nothing"
    assert "We try Visa •••• 0341 again on" in page.text
    assert page.form(link).to_type() == []
    assert page.form(f"{link}/replace").to_type() == []
    boss.send(link, "with another card")
    assert "/pay/" in boss.page.url
    pay(boss)
    world.work()
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert "All is paid" in boss.open(link).text
    boss.post(f"{world.url}{link}", {})
    assert "All is paid" in boss.page.text


def test_a_link_to_pay_that_was_not_made_here_is_not_found(world: World) -> None:
    boss = visitor(world)
    boss.open("/card/made-up.AAAA")
    assert boss.status == 404


def test_the_account_warns_and_leads_to_the_same_page(world: World) -> None:
    order = declining(world)
    cards_become(world, "lost")
    walk(world, end_of(world, order) + timedelta(hours=1))
    ada = signed_in(world, order)
    page = ada.open("/account")
    assert "Nothing is switched off while we collect it" in page.text
    assert any(link.startswith("/card/") for link in page.links)
    page = ada.open(page_of(order))
    assert "The bank will not accept this card again" in page.text


def test_giving_up_what_is_collected_ends_it_and_nothing_is_owed(world: World) -> None:
    order = declining(world)
    walk(world, end_of(world, order) + timedelta(hours=1))
    ada = signed_in(world, order)
    assert "it would end at once" in ada.open(page_of(order)).text
    ada.send(f"{page_of(order)}/cancel", "Let it end")
    assert subscription_of(world, order).state is SubscriptionState.CANCELED
    assert told(world, "dunning.withdrawn") == 1
    cards_become(world, "pays")
    walk_days(world, 30)
    catch_up(world)
    assert outcomes(world).count(None) == 0
    assert len(renewals(world)) == 1
    assert subscription_of(world, order).state is SubscriptionState.CANCELED
