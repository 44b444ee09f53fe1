"""The page of kept cards, and the way through the provider's page and back."""

from app.accounts.models import Role
from app.flows import dunning
from app.payments.models import CardSetup, PaymentMethod
from app.subscriptions.models import SubscriptionState
from tests import shop
from tests.flows.ending import past_due, run_of, subscription_of
from tests.portal.buyers import CARD, count, signed_in, visitor
from tests.portal.forms import Page, Visitor
from tests.world import World

MASTERCARD = "5555 5555 5555 4444"


def enter(owner: Visitor, card: str = MASTERCARD) -> Page:
    action = owner.page.url.partition("?")[0].rpartition("/")[2]
    return owner.send(action, "Pretend to keep", card=card, **CARD)


def test_a_card_is_added_chosen_and_removed(world: World) -> None:
    order = shop.buy(world)
    ada = signed_in(world, order)
    page = ada.open("/account/payment-methods")
    assert "Visa •••• 4242 (used for renewals)" in page.text
    assert "Good until 12/2034" in page.text
    ada.send("/add", "Add a card")
    assert "/sandbox/setup/" in ada.page.url
    assert "keep this card and charge it for renewals" in ada.page.text
    enter(ada)
    assert "Waiting for your card" in ada.page.text
    ada.send(ada.page.url.removeprefix(world.url), "Check again")
    assert "Mastercard •••• 4444 is charged for renewals from now on" in ada.page.text
    world.work()
    assert "Mastercard •••• 4444 (used for renewals)" in ada.open("/account/payment-methods").text
    ada.send("/default", "Use for renewals")
    assert "Visa •••• 4242 (used for renewals)" in ada.page.text
    ada.send("/remove", "Remove")
    world.work()
    assert "Mastercard •••• 4444 (used for renewals)" in ada.page.text
    assert "Visa" not in ada.page.text


def test_a_bank_that_asks_or_refuses_is_heard(world: World) -> None:
    ada = signed_in(world, shop.buy(world))
    ada.open("/account/payment-methods")
    ada.send("/add", "Add a card")
    enter(ada, "4000 0000 0000 9987")
    assert ada.status == 402
    assert "reported lost" in ada.page.text
    enter(ada, "4000 0025 0000 3155")
    assert "charge it later" in ada.page.text
    ada.send("/confirm", "No, refuse it")
    assert ada.status == 402
    world.work()
    with world.db.transaction() as tx:
        back = tx.query(CardSetup).one()
    assert back.failure_code == "payment_intent_authentication_failure"
    assert count(world, PaymentMethod) == 1


def test_only_who_answers_for_the_cards_may_change_them(world: World) -> None:
    order = shop.buy(world)
    reader = signed_in(world, order, Role.VIEWER)
    page = reader.open("/account/payment-methods")
    assert "Visa •••• 4242" in page.text
    assert [form for form in page.forms if "payment-methods" in form.action] == []
    token = reader.open("/account/privacy").forms[0].value("csrf_token")
    reader.post(f"{world.url}/account/payment-methods/add", {"csrf_token": [token]})
    assert reader.status == 403


def test_the_mailed_link_leads_to_a_new_card_that_pays_what_is_owed_at_once(world: World) -> None:
    order = past_due(world)
    boss = visitor(world)
    link = dunning.card_link(world.ports, run_of(world).id)
    boss.open(link)
    boss.send(f"{link}/replace", "Update the card and pay")
    enter(boss)
    boss.send(boss.page.url.removeprefix(world.url), "Check again")
    assert "is being charged to it now" in boss.page.text
    world.work()
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert "being charged" not in boss.open(boss.page.url.removeprefix(world.url)).text
    assert "All is paid" in boss.open(link).text
    boss.post(f"{world.url}{link}/replace", {})
    assert "All is paid" in boss.page.text


def test_a_made_up_link_is_not_found(world: World) -> None:
    stranger = visitor(world)
    stranger.open("/cards/made-up.AAAA")
    assert stranger.status == 404
