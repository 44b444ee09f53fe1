"""A name like a listed one waits for a person before anybody is charged; what is decided is remembered."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.accounts import api_keys
from app.accounts.models import Account
from app.core import policy
from app.core.clock import transport_now
from app.flows import export_gate, held_orders, party_screening, purchase, screening_decisions
from app.flows.party_screening import StillInReview
from app.licenses import service as licenses
from app.orders import service as orders
from app.orders.models import OrderState, Preview
from app.screening import service as screening
from app.screening.models import CaseState, CheckOutcome, Decision
from app.screening.service import CaseDecided, PartyRefused
from app.subscriptions import service as subscriptions
from app.workspaces import service as workspaces
from app.workspaces import tasks
from app.workspaces.models import Desired, TaskKind
from tests import shop
from tests.console.helping import audited
from tests.flows.ending import walk_days
from tests.quotes.offering import accept, sent
from tests.screening.helping import CSL, LISTED, bring, cases, checks
from tests.screening.lines import plain
from tests.world import World

ALIKE = "Zarnitza Quorvex Trading GmbH"


def state_of(world: World, order_id: str) -> OrderState:
    with world.db.transaction() as tx:
        return orders.get(tx, order_id).state


def decide(world: World, case_id: str, decision: Decision, reason: str = "Compared the registers.") -> None:
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
    decide(world, case.id, Decision.CLEAR)
    assert state_of(world, started.order_id) is OrderState.AWAITING_PAYMENT
    (entry,) = audited(world, "screening.cleared")
    assert (entry.chain, entry.actor, entry.details["why"]) == ("system", "stf_1", "Compared the registers.")
    resumed = purchase.resume(world.ports, started.order_id)
    assert resumed.payment_url
    shop.pay(world, resumed.payment_url)
    world.work()
    assert state_of(world, started.order_id) is OrderState.COMPLETED
    with pytest.raises(CaseDecided):
        screening_decisions.decide(world.ports, case.id, Decision.CONFIRM, by="stf_2", reason="Late.")
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
    decide(world, case.id, Decision.CLEAR, "Another company: founded in 1921, other register.")
    assert shop.order(world, preview).state is OrderState.AWAITING_PAYMENT


def test_a_confirmed_party_gets_nothing_more(world: World) -> None:
    bought = shop.buy(world, company="Velmorin Works GmbH", name="Tasquel Velmorin", interval="month")
    bring(world)
    world.work()
    (case,) = cases(world)
    assert (case.party_name, case.role, case.score) == ("Tasquel Velmorin", "person", 90)
    held = shop.order(world, shop.offer(world, company="Velmorin Works GmbH", name="Tasquel Velmorin", seats=12))
    decide(world, case.id, Decision.CONFIRM)
    assert state_of(world, held.order_id) is OrderState.CANCELED
    with world.db.transaction() as tx:
        subscription = subscriptions.get(tx, bought.subscription_id or "")
        assert subscription.parked_at is not None
        assert "list" not in (subscription.parked_reason or "")
        with pytest.raises(PartyRefused):
            export_gate.require_deliverable(tx, bought.account_id, world.ports.clock.now())
        token = world.ports.secrets.sign_token(purchase.ORDER_TOKEN, bought.id)
        license_ = licenses.of_order(tx, bought.id)
        assert license_
        _, secret = api_keys.create(tx, world.ports.secrets, name="ERP", scopes=["licenses:read", "workspaces:write"],
                                    account_id=bought.account_id, actor="test", now=transport_now())  # fmt: skip
    page = world.browser()
    assert page.get(f"/orders/{token}/license").status_code == 451
    assert license_.file_text not in page.get(f"/orders/{token}").text
    program = world.api(secret)
    refused = program.get(f"/v1/licenses/{license_.id}/file")
    assert (refused.status_code, refused.json()["code"]) == (451, "party_refused")
    opening = program.post("/v1/workspaces", json={"subscription_id": bought.subscription_id})
    assert opening.status_code in {409, 451}
    with pytest.raises(PartyRefused):
        shop.order(world, shop.offer(world, company="Velmorin Works GmbH", name="Somebody Else", seats=13))


def test_a_stranger_who_types_a_listed_name_does_not_stop_the_account_of_the_address(world: World) -> None:
    bring(world)
    own = shop.buy(world, interval="month")
    with pytest.raises(PartyRefused):
        shop.order(world, shop.offer(world, company=LISTED, interval="month", seats=12))
    (case,) = cases(world)
    assert case.account_id == own.account_id
    assert shop.order(world, shop.offer(world, interval="month", seats=13)).state is OrderState.AWAITING_PAYMENT
    walk_days(world, 32)
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, own.subscription_id or "")
        assert held.parked_at is None
        assert held.starts_on > own.created_at.date()


def test_a_quote_is_accepted_and_waits_or_is_refused_and_stays_open(world: World) -> None:
    quote = sent(world)
    bring(world, plain("1,entity,Beispiel GmbH,,,DE,,,", "2,person,Ada Beispyel,,,,,,"), code="eu")
    with pytest.raises(PartyRefused):
        accept(world, quote)
    exact = next(each for each in cases(world) if each.exact)
    decide(world, exact.id, Decision.CLEAR, "Another company of this name.")
    started = accept(world, quote)
    assert started.state is OrderState.HELD
    (left,) = cases(world, CaseState.OPEN)
    assert (left.role, left.party_name, left.score) == ("person", "Ada Beispiel", 91)
    decide(world, left.id, Decision.CLEAR)
    with world.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
    assert (order.state, order.expires_at is not None) == (OrderState.AWAITING_PAYMENT, True)


def test_nothing_is_opened_for_a_confirmed_party_but_what_it_has_can_be_put_away(world: World) -> None:
    shop.buy(world, sku="cloud-professional", interval="month", seats=5, name="Tasquel Velmorin")
    bring(world)
    world.work()
    with world.db.transaction() as tx:
        now, real = world.ports.clock.now(), transport_now()
        workspace = workspaces.for_change(tx, tx.execute(text("SELECT id FROM workspace")).scalar_one(), None)
        workspaces.push_change(tx, workspace, seats=9, now=now)
    decide(world, cases(world)[0].id, Decision.CONFIRM)
    with world.db.transaction() as tx:
        assert tasks.claim(tx, worker="w", now=now, real_now=real) is None
        workspaces.want(tx, workspaces.for_change(tx, workspace.id, None), Desired.HIBERNATED, actor="stf_1", now=now)
        given = tasks.claim(tx, worker="w", now=now, real_now=transport_now())
        assert given is not None
        assert given.kind is TaskKind.HIBERNATE


def test_an_order_waits_until_every_name_is_decided(world: World) -> None:
    bring(world)
    started = shop.order(world, shop.offer(world, company=ALIKE, name="Tasquel Velmorin"))
    first, second = cases(world)
    decide(world, first.id, Decision.CLEAR)
    assert state_of(world, started.order_id) is OrderState.HELD
    decide(world, second.id, Decision.CLEAR)
    assert state_of(world, started.order_id) is OrderState.AWAITING_PAYMENT


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


def test_where_money_is_taken_nobody_is_sold_to_before_the_list_of_the_united_states_is_there(world: World) -> None:
    bought, now = shop.buy(world), world.ports.clock.now()
    with world.db.transaction() as tx:
        account, offer = tx.get_one(Account, bought.account_id), tx.get_one(Preview, bought.preview_id)
        assert party_screening.of_order(tx, account, offer, now, test=True).outcome is CheckOutcome.CLEAR
        live = party_screening.of_order(tx, account, offer, now, test=False)
        assert (live.outcome, live.missing) == (CheckOutcome.REVIEW, ("csl",))
        policy.change(tx, "screening_lists_required", [], valid_from=now, by="test", why="No exports.", now=now)
        assert party_screening.of_order(tx, account, offer, now, test=False).outcome is CheckOutcome.CLEAR


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
