"""Kept cards: entered without a charge, chosen, removed, and in step with what the provider tells."""

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.adapters.sandbox import switches
from app.core.audit import AuditEntry
from app.core.clock import transport_now
from app.core.errors import NotFound
from app.core.inbox import InboxEvent
from app.flows import cards, purchase
from app.orders.models import Order
from app.payments import methods
from app.payments.methods import CardState
from app.payments.models import CardSetup, PaymentMethod, SetupState
from app.payments.provider import SavedMethod
from app.subscriptions.models import SubscriptionState
from tests import paying, shop
from tests.flows.ending import charged, count, past_due, run_of, subscription_of, together, told
from tests.world import World


def enter(world: World, account_id: str, card: str = paying.PAYS) -> CardSetup:
    """A card entered on the provider's page, and everything that follows."""
    begun = cards.begin(world.ports, account_id, by="test")
    assert begun.redirect_url is not None
    paying.pay(world.browser(), begun.redirect_url, card)
    world.work()
    with world.db.transaction() as tx:
        return methods.setup(tx, begun.id)


def kept(world: World, order: Order) -> list[PaymentMethod]:
    with world.db.transaction() as tx:
        return methods.kept(tx, order.account_id, world.ports.payments.name)


def play(world: World, method: PaymentMethod, **body: Any) -> None:
    answer = world.browser().post(f"/sandbox/methods/{method.method_ref}", json=body)
    assert answer.status_code == 200, answer.text


def outcomes(world: World, kind: str) -> list[str | None]:
    query = select(col(InboxEvent.outcome)).where(col(InboxEvent.type) == kind).order_by(col(InboxEvent.id))
    with world.db.transaction() as tx:
        return list(tx.execute(query).scalars())


def test_a_card_is_kept_without_a_charge_and_is_the_one_that_is_charged(world: World) -> None:
    order = shop.buy(world)
    done = enter(world, order.account_id, "5555 5555 5555 4444")
    new, old = kept(world, order)
    assert (done.state, done.method_id) == (SetupState.SUCCEEDED, new.id)
    assert (new.label, new.exp_year, new.exp_month, new.is_default) == ("Mastercard •••• 4444", 2034, 12, True)
    assert (old.label, old.exp_year, old.is_default) == ("Visa •••• 4242", 2034, False)
    assert new.customer_ref == old.customer_ref, "the provider knows the account as one customer"
    assert charged(world) == 1
    assert outcomes(world, "setup_intent.succeeded") == ["kept"]
    assert outcomes(world, "checkout.session.completed") == ["known", "known"], "each was told by its intent before"


def test_a_second_click_leads_to_the_same_page_and_a_used_one_to_a_new(world: World) -> None:
    order = shop.buy(world)
    first, again = (cards.begin(world.ports, order.account_id, by="test") for _ in range(2))
    assert (first.id, first.redirect_url) == (again.id, again.redirect_url)
    assert enter(world, order.account_id).id == first.id
    assert cards.begin(world.ports, order.account_id, by="test").id != first.id


@pytest.mark.parametrize(("card", "code"), [(paying.LOST, "lost_card"), (paying.DECLINED, "card_declined")])
def test_a_card_that_the_bank_refuses_is_not_kept_and_another_may_be_tried(world: World, card: str, code: str) -> None:
    order = shop.buy(world)
    refused = enter(world, order.account_id, card)
    assert (refused.state, refused.failure_code) == (SetupState.PENDING, code)
    assert [each.label for each in kept(world, order)] == ["Visa •••• 4242"]
    assert enter(world, order.account_id).state is SetupState.SUCCEEDED


def test_without_events_the_card_is_found_by_asking(world: World) -> None:
    order = shop.buy(world)
    switches.flip(world.db, drop=True)
    begun = enter(world, order.account_id)
    assert begun.state is SetupState.PENDING
    with world.db.transaction() as tx:
        methods.setup(tx, begun.id, lock=True).created_at = transport_now() - timedelta(minutes=11)
    cards.ask_about_open.run(world.ports)
    world.work()
    assert len(kept(world, order)) == 2
    switches.reset(world.db)


def test_a_page_that_expired_keeps_nothing(world: World) -> None:
    order = shop.buy(world)
    begun = cards.begin(world.ports, order.account_id, by="test")
    assert begun.provider_ref is not None
    world.ports.payments.expire_checkout(begun.provider_ref)
    world.work()
    with world.db.transaction() as tx:
        assert methods.setup(tx, begun.id).state is SetupState.EXPIRED
    assert len(kept(world, order)) == 1


def test_what_is_collected_is_charged_to_a_new_card_at_once(world: World) -> None:
    order = past_due(world)
    assert subscription_of(world, order).state is SubscriptionState.PAST_DUE
    before = charged(world)
    enter(world, order.account_id)
    assert subscription_of(world, order).state is SubscriptionState.ACTIVE
    assert (charged(world), told(world, "dunning.recovered")) == (before + 1, 1)
    assert run_of(world).closed_at is not None


def test_a_new_card_that_declines_changes_nothing_about_the_ladder(world: World) -> None:
    order = past_due(world)
    due = next_tries(world)
    enter(world, order.account_id, paying.DECLINES_LATER)
    assert subscription_of(world, order).state is SubscriptionState.PAST_DUE
    assert next_tries(world) == due


def next_tries(world: World) -> list[Any]:
    with world.db.transaction() as tx:
        return list(tx.execute(text("SELECT due_at FROM dunning_step WHERE done_at IS NULL ORDER BY due_at")).scalars())


def test_the_chosen_card_is_charged_and_the_next_one_when_it_is_removed(world: World) -> None:
    order = shop.buy(world)
    enter(world, order.account_id, "5555 5555 5555 4444")
    new, old = kept(world, order)
    cards.choose(world.ports, order.account_id, old.id, by="test")
    assert [each.id for each in kept(world, order)] == [old.id, new.id]
    cards.remove(world.ports, order.account_id, old.id, by="test")
    world.work()
    assert [each.id for each in kept(world, order)] == [new.id]
    assert world.ports.payments.report_method(old.method_ref) is None, "the provider has forgotten it"
    assert world.ports.payments.report_method(new.method_ref) is not None
    assert outcomes(world, "payment_method.detached") == ["known"]
    for act in (cards.choose, cards.remove):
        with pytest.raises(NotFound):
            act(world.ports, order.account_id, old.id, by="test")
    with world.db.transaction() as tx:
        query = select(col(AuditEntry.action)).where(col(AuditEntry.action).like("payment_method.%"))
        assert sorted(tx.execute(query).scalars()) == [f"payment_method.{w}" for w in ("chosen", "kept", "removed")]


def test_a_card_of_another_account_does_not_exist(world: World) -> None:
    mine = shop.buy(world)
    theirs = shop.buy(world, email="eve@other.example", company="Other GmbH", vat=None)
    (foreign,) = kept(world, theirs)
    for act in (cards.choose, cards.remove):
        with pytest.raises(NotFound):
            act(world.ports, mine.account_id, foreign.id, by="test")
    assert len(kept(world, theirs)) == 1


def test_what_the_provider_tells_of_a_card_is_taken_over(world: World) -> None:
    order = shop.buy(world)
    (card,) = kept(world, order)
    play(world, card, action="update", last4="1111", exp_year=2041, exp_month=3)
    world.work()
    (now,) = kept(world, order)
    assert (now.label, now.exp_year, now.exp_month) == ("Visa •••• 1111", 2041, 3)
    play(world, card, action="forget_customer")
    world.work()
    assert kept(world, order) == []
    assert outcomes(world, "payment_method.automatically_updated") == ["updated"]
    assert {*outcomes(world, "payment_method.detached"), *outcomes(world, "customer.deleted")} == {
        "removed",
        "not_ours",
    }


def test_new_cards_at_the_same_time_leave_one_that_is_charged(world: World) -> None:
    order = shop.buy(world)

    def keep(ref: str) -> None:
        with world.db.transaction() as tx:
            new = SavedMethod("cus_1", ref, "Visa •••• 4242")
            methods.keep(tx, order.account_id, world.ports.payments.name, new, transport_now())

    assert together(*(partial(keep, f"pm_{n}") for n in range(8))) == []
    with world.db.transaction() as tx:
        chosen = tx.execute(text("SELECT count(*) FROM payment_method WHERE is_default AND removed_at IS NULL"))
        assert chosen.scalar_one() == 1
    assert count(world, PaymentMethod) == 9


def test_the_owner_is_told_what_they_agree_to_in_their_language(world: World) -> None:
    for locale, words in (("en", "keep this card and charge it for renewals"), ("de", "diese Karte zu hinterlegen")):
        started = shop.order(world, shop.offer(world, locale=locale))
        assert started.payment_url is not None
        assert words in world.browser().get(started.payment_url).text
        purchase.cancel(world.ports, started.order_id, by="test")


@pytest.mark.parametrize(
    ("year", "month", "state"),
    [(2026, 10, CardState.EXPIRED), (2026, 11, CardState.EXPIRING), (2026, 12, CardState.EXPIRING),
     (2027, 1, CardState.ACTIVE), (None, None, CardState.ACTIVE)],
)  # fmt: skip
def test_a_card_is_good_until_the_end_of_its_month(year: int | None, month: int | None, state: CardState) -> None:
    card = PaymentMethod(
        id="pmt_1", account_id="acc_1", provider="sandbox", customer_ref="cus_1", method_ref="pm_1", label="Visa",
        exp_year=year, exp_month=month, created_at=transport_now(),
    )  # fmt: skip
    assert methods.state_of(card, date(2026, 11, 30)) is state
