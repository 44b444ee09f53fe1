"""A name like a listed one waits for a person before anybody is charged; what is decided is remembered."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.core import policy
from app.flows import export_gate, held_orders, purchase, screening_decisions
from app.flows.party_screening import StillInReview
from app.orders import service as orders
from app.orders.models import OrderState
from app.screening import service as screening
from app.screening.models import CaseState, CheckOutcome
from app.screening.service import CaseDecided, PartyRefused
from app.subscriptions import service as subscriptions
from tests import shop
from tests.console.helping import audited
from tests.flows.ending import walk_days
from tests.screening.helping import CSL, LISTED, bring, cases, checks
from tests.screening.lines import plain
from tests.world import World

ALIKE = "Zarnitza Quorvex Trading GmbH"


def state_of(world: World, order_id: str) -> OrderState:
    with world.db.transaction() as tx:
        return orders.get(tx, order_id).state


def decide(world: World, case_id: str, decision: screening.Decision, reason: str = "Compared the registers.") -> None:
    screening_decisions.decide(world.ports, case_id, decision, by="stf_1", reason=reason)
    world.work()


def test_a_cleared_order_goes_on_where_it_stopped_and_is_not_asked_about_again(world: World) -> None:
    bring(world)
    started = shop.order(world, shop.offer(world, company=ALIKE))
    assert (started.state, started.payment_url) == (OrderState.HELD, None)
    (case,) = cases(world)
    assert (case.party_name, case.entry["name"], case.score, case.exact) == (
        ALIKE, "ZARNITSA QUORVEX TRADING LLC", 95, False,
    )  # fmt: skip
    page = world.browser().get(f"/orders/{started.token}").text
    assert "We are checking this order" in page
    assert "ZARNITSA" not in page
    with pytest.raises(StillInReview, match="1 name is like a listed one"):
        held_orders.recheck(world.ports, started.order_id, by="stf_1", note="Let it go.")
    decide(world, case.id, "clear")
    assert state_of(world, started.order_id) is OrderState.AWAITING_PAYMENT
    (entry,) = audited(world, "screening.cleared")
    assert (entry.chain, entry.actor, entry.details["why"]) == ("system", "stf_1", "Compared the registers.")
    resumed = purchase.resume(world.ports, started.order_id)
    assert resumed.payment_url
    shop.pay(world, resumed.payment_url)
    world.work()
    assert state_of(world, started.order_id) is OrderState.COMPLETED
    with pytest.raises(CaseDecided):
        screening_decisions.decide(world.ports, case.id, "confirm", by="stf_2", reason="Late.")
    again = shop.order(world, shop.offer(world, company=ALIKE, seats=12))
    assert again.state is OrderState.AWAITING_PAYMENT
    bring(world, version="the same again")
    world.work()
    assert len(cases(world)) == 1
    kept = checks(world)
    assert kept[0].outcome is CheckOutcome.REVIEW
    assert kept[0].hits[0]["score"] == 95
    assert {"role": "company", "name": ALIKE, "country": "DE"} in kept[0].names
    assert kept[0].versions.keys() == {"csl"}
    changed = cases(world)[0].entry_id
    content = CSL.read_bytes().replace(b'"TESTPROG"], "name": "ZARN', b'"TESTPROG", "NEWPROG"], "name": "ZARN')
    done = bring(world, content)
    assert (done.added, done.changed, done.removed) == (0, 1, 0)
    world.work()
    (_, new) = cases(world)
    assert (new.entry_id, new.state, new.entry["programs"]) == (changed, CaseState.OPEN, ["TESTPROG", "NEWPROG"])


def test_the_same_name_in_a_listed_country_is_refused_without_a_word_about_lists(world: World) -> None:
    bring(world)
    preview = shop.offer(world, company=LISTED)
    with pytest.raises(PartyRefused) as refused:
        shop.order(world, preview)
    assert refused.value.status == 451
    assert "list" not in refused.value.detail.lower()
    (case,) = cases(world)
    assert (case.score, case.exact, case.state) == (100, True, CaseState.OPEN)
    assert checks(world)[0].outcome is CheckOutcome.BLOCKED
    elsewhere = shop.order(world, shop.offer(world, company=LISTED, country="FR", postcode="75001", city="Paris",
                                             email="fr@example.fr", vat=None))  # fmt: skip
    assert elsewhere.state is OrderState.HELD
    decide(world, case.id, "clear", "Another company: founded in 1921, other register.")
    assert shop.order(world, preview).state is OrderState.AWAITING_PAYMENT


def test_a_confirmed_party_gets_nothing_more(world: World) -> None:
    bought = shop.buy(world, company="Velmorin Works GmbH", name="Tasquel Velmorin", interval="month")
    bring(world)
    world.work()
    (case,) = cases(world)
    assert (case.party_name, case.role, case.score) == ("Tasquel Velmorin", "person", 90)
    held = shop.order(world, shop.offer(world, company="Velmorin Works GmbH", name="Tasquel Velmorin", seats=12))
    decide(world, case.id, "confirm")
    assert state_of(world, held.order_id) is OrderState.CANCELED
    with world.db.transaction() as tx:
        subscription = subscriptions.get(tx, bought.subscription_id or "")
        assert subscription.parked_at is not None
        assert "list" not in (subscription.parked_reason or "")
        with pytest.raises(PartyRefused):
            export_gate.require_deliverable(tx, bought.account_id, world.ports.clock.now())
        token = world.ports.secrets.sign_token(purchase.ORDER_TOKEN, bought.id)
    answer = world.browser().get(f"/orders/{token}/license")
    assert answer.status_code == 451
    with pytest.raises(PartyRefused):
        shop.order(world, shop.offer(world, company="Velmorin Works GmbH", name="Somebody Else", seats=13))


def test_money_that_arrives_for_what_may_not_be_delivered_any_more_is_set_aside(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    assert started.payment_url
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET country = 'CU'"))
    shop.pay(world, started.payment_url)
    world.work()
    assert state_of(world, started.order_id) is OrderState.AWAITING_PAYMENT
    (entry,) = audited(world, "payment.unmatched")
    assert entry.details["why"] == "not_deliverable"


def test_a_required_list_that_is_missing_or_old_holds_every_order(world: World) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, "screening_lists_required", ["eu"], valid_from=now, by="test", why="Our bank.", now=now)
    started = shop.order(world, shop.offer(world))
    assert started.state is OrderState.HELD
    with pytest.raises(StillInReview, match="Import the list eu first"):
        held_orders.recheck(world.ports, started.order_id, by="stf_1", note="Go on.")
    bring(world, plain("1,person,Nobody Alike,,,,,,"), code="eu")
    released = held_orders.recheck(world.ports, started.order_id, by="stf_1", note="The list is there.")
    assert released.state is OrderState.AWAITING_PAYMENT
    walk_days(world, 8)
    assert shop.order(world, shop.offer(world, email="later@example.de")).state is OrderState.HELD


def test_a_renewal_of_an_account_in_question_waits_for_a_person(world: World) -> None:
    bought = shop.buy(world, interval="month", company="Velmorin Works GmbH", name="Tasquel Velmorin")
    bring(world)
    world.work()
    with world.db.transaction() as tx:
        assert screening.in_question(tx, [bought.account_id]) == {bought.account_id}
    walk_days(world, 32)
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, bought.subscription_id or "")
        renewal = orders.renewal_of_term(tx, held.id, held.ends_on)
        assert renewal is not None
        assert renewal.state is OrderState.HELD
        assert held.parked_at is not None


def test_a_person_is_promised_an_answer_in_business_days() -> None:
    friday = datetime(2026, 11, 20, 16, tzinfo=UTC)
    assert screening.after_business_days(friday, 2) == friday + timedelta(days=4)
    assert screening.after_business_days(friday + timedelta(days=1), 1) == friday + timedelta(days=3)
