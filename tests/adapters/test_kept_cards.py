"""What every payment provider keeps about cards that are left without a charge: the rest of the contract suite."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.adapters.sandbox import switches
from app.adapters.sandbox.models import Fault
from app.core.clock import transport_now
from app.core.db import NetworkInsideTransaction
from app.core.errors import NotFound
from app.core.ids import new_id
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.payments.provider import CardRequest, Checkout, Outcome, SavedMethod
from tests.adapters.test_payment_provider import PRICE, Rig, adapter_of
from tests.paying import ASKS, DECLINED, DECLINES_LATER, LOST, answer_bank, pay
from tests.world import World


@pytest.fixture(params=["sandbox", "stripe"])
def rig(request: pytest.FixtureRequest, world: World) -> Rig:
    return Rig(world, adapter_of(request.param, world), world.browser())


def asked(rig: Rig, customer_ref: str | None = None) -> tuple[CardRequest, Checkout]:
    setup_id = new_id("cst")
    request = CardRequest(
        setup_id=setup_id, customer_ref=customer_ref, customer_email="ada@engines.example",
        consent="You let us keep this card.", success_url=f"{rig.world.url}/cards/{setup_id}",
        cancel_url=f"{rig.world.url}/account", expires_at=transport_now() + timedelta(hours=23),
    )  # fmt: skip
    return request, rig.adapter.start_card_setup(request)


def kept(rig: Rig, ref: str) -> SavedMethod:
    method = rig.adapter.report_setup(ref).method
    assert method is not None
    return method


def test_a_card_is_kept_without_a_charge_and_charged_later(rig: Rig) -> None:
    request, page = asked(rig)
    assert rig.adapter.start_card_setup(request) == page, "asking again leads to the same page"
    before = rig.adapter.report_setup(page.ref)
    assert (before.setup_id, before.outcome, before.method) == (request.setup_id, Outcome.PENDING, None)
    assert request.consent in rig.browser.get(page.url).text
    left = pay(rig.browser, page.url)
    assert (left.status_code, left.headers["location"]) == (303, request.success_url)
    after = rig.adapter.report_setup(page.ref)
    assert (after.outcome, after.setup_id, rig.charges()) == (Outcome.SUCCEEDED, request.setup_id, 0)
    method = kept(rig, page.ref)
    assert (method.label, method.exp_year, method.exp_month) == ("Visa •••• 4242", 2034, 12)
    assert rig.adapter.report_method(method.method_ref) == method
    assert pay(rig.browser, page.url).status_code == 303 if "<form" in rig.browser.get(page.url).text else True
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert (report.outcome, rig.charges()) == (Outcome.SUCCEEDED, 1)


@pytest.mark.parametrize(("card", "code"), [(LOST, "lost_card"), (DECLINED, "card_declined")])
def test_a_card_that_is_refused_leaves_the_page_open_for_another(rig: Rig, card: str, code: str) -> None:
    _, page = asked(rig)
    assert pay(rig.browser, page.url, card).status_code == 402
    refused = rig.adapter.report_setup(page.ref)
    assert (refused.outcome, refused.failure_code, refused.method) == (Outcome.PENDING, code, None)
    pay(rig.browser, page.url, DECLINES_LATER)
    method = kept(rig, page.ref)
    charged = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert (charged.outcome, charged.failure_code) == (Outcome.FAILED, "card_declined")


def test_a_card_that_asks_is_kept_once_its_owner_approves_and_asks_no_more(rig: Rig) -> None:
    _, page = asked(rig)
    refused = answer_bank(rig.browser, pay(rig.browser, page.url, ASKS), "refuse")
    assert refused.status_code == 402
    assert rig.adapter.report_setup(page.ref).failure_code == "payment_intent_authentication_failure"
    answer_bank(rig.browser, pay(rig.browser, page.url, ASKS), "approve")
    method = kept(rig, page.ref)
    charged = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert charged.outcome is Outcome.SUCCEEDED


def test_a_known_customer_keeps_all_cards_in_one_place(rig: Rig) -> None:
    first = rig.saved()
    _, page = asked(rig, first.customer_ref)
    pay(rig.browser, page.url)
    assert kept(rig, page.ref).customer_ref == first.customer_ref
    with pytest.raises(PaymentRefused):
        asked(rig, "cus_unknown")


def test_a_page_that_expired_keeps_nothing(rig: Rig) -> None:
    _, page = asked(rig)
    rig.adapter.expire_checkout(page.ref)
    rig.adapter.expire_checkout(page.ref)
    assert rig.adapter.report_setup(page.ref).outcome is Outcome.EXPIRED
    assert rig.browser.get(page.url).status_code == 410


def test_a_page_cannot_be_asked_for_again_with_other_figures(rig: Rig) -> None:
    request, _ = asked(rig)
    with pytest.raises(PaymentRefused) as refused:
        rig.adapter.start_card_setup(replace(request, customer_email="eve@engines.example"))
    assert refused.value.extra["reason"] == "idempotency_error"


def test_a_forgotten_card_is_gone_and_can_be_forgotten_again(rig: Rig) -> None:
    method = rig.saved()
    for _ in range(2):
        rig.adapter.forget_method(method.method_ref)
        assert rig.adapter.report_method(method.method_ref) is None
    rig.adapter.forget_method("pm_unknown")
    with pytest.raises(PaymentRefused):
        rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")


def test_a_payment_is_no_setup_and_what_is_unknown_is_not_found(rig: Rig) -> None:
    _, checkout = rig.open()
    for ref in (checkout.ref, "cs_test_unknown", "seti_unknown", "pi_1", ""):
        with pytest.raises(NotFound):
            rig.adapter.report_setup(ref)


def test_events_of_cards_name_what_to_fetch(rig: Rig) -> None:
    switches.flip(rig.world.db, target_url=f"{rig.world.url}/sandbox/hooks/cards")
    request, page = asked(rig)
    pay(rig.browser, page.url, LOST)
    pay(rig.browser, page.url)
    method = kept(rig, page.ref)
    for action in ("update", "forget_customer"):
        assert rig.browser.post(f"/sandbox/methods/{method.method_ref}", json={"action": action}).is_success
    rig.world.work()
    heard = [
        rig.adapter.verify_event(each["body"].encode(), each["headers"]["stripe-signature"])
        for each in rig.browser.get("/sandbox/hooks/cards").json()
    ]
    assert {event.type: event.names() for event in heard if event.setup_ref is None} == {
        "payment_method.automatically_updated": {"method_ref": method.method_ref},
        "payment_method.detached": {"method_ref": method.method_ref},
        "customer.deleted": {"customer_ref": method.customer_ref},
    }
    told = {event.type: rig.adapter.report_setup(event.setup_ref) for event in heard if event.setup_ref}
    assert told.keys() == {"setup_intent.setup_failed", "setup_intent.succeeded", "checkout.session.completed"}
    assert {each.setup_id for each in told.values()} == {request.setup_id}


def test_a_lost_answer_leads_to_the_same_page_and_none_is_asked_for_inside_a_transaction(rig: Rig) -> None:
    request, page = asked(rig)
    switches.flip(rig.world.db, fault=Fault.DOWN)
    with pytest.raises(PaymentUnavailable):
        rig.adapter.start_card_setup(request)
    switches.reset(rig.world.db)
    assert rig.adapter.start_card_setup(request) == page
    with rig.world.db.transaction():
        for call in (rig.adapter.report_setup, rig.adapter.report_method, rig.adapter.forget_method):
            with pytest.raises(NetworkInsideTransaction):
                call("seti_1")
