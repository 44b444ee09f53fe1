"""What every payment provider keeps: the sandbox directly, and the real SDK against the sandbox's API."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Barrier

import httpx
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.adapters.sandbox import fees, switches
from app.adapters.sandbox.models import Fault, SandboxIntent
from app.adapters.sandbox.payments import SandboxPayments
from app.adapters.sandbox.signature import sign, webhook_secret
from app.adapters.stripe.payments import StripePayments
from app.core.clock import transport_now
from app.core.db import NetworkInsideTransaction
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.payments.errors import ForgedEvent, PaymentRefused, PaymentUnavailable
from app.payments.provider import Checkout, CheckoutRequest, Outcome, PaymentReport, SavedMethod, Standing
from tests.paying import ASKS, DECLINED, DECLINES_LATER, LOST, NO_FUNDS, PAYS, answer_bank, pay
from tests.world import World

Adapter = SandboxPayments | StripePayments
PRICE = Money(129_00, "USD")


@dataclass
class Rig:
    """One adapter and a buyer at the provider's page."""

    world: World
    adapter: Adapter
    browser: httpx.Client

    def request(self, amount: Money = PRICE) -> CheckoutRequest:
        attempt_id = new_id("pat")
        return CheckoutRequest(
            attempt_id=attempt_id,
            amount=amount,
            description="Professional, 10 seats",
            customer_email="ada@engines.example",
            success_url=f"{self.world.url}/orders/{attempt_id}",
            cancel_url=f"{self.world.url}/orders/{attempt_id}?canceled",
            expires_at=transport_now() + timedelta(hours=23),
        )

    def open(self, amount: Money = PRICE) -> tuple[CheckoutRequest, Checkout]:
        request = self.request(amount)
        return request, self.adapter.start_checkout(request)

    def saved(self, card: str = PAYS) -> SavedMethod:
        """A card kept by a first purchase."""
        _, checkout = self.open()
        pay(self.browser, checkout.url, card)
        method = self.adapter.report(checkout.ref).method
        assert method is not None
        return method

    def charges(self) -> int:
        """How many payments the provider has taken in all."""
        with self.world.db.transaction() as tx:
            paid = select(func.count()).select_from(SandboxIntent).where(col(SandboxIntent.charge_id).is_not(None))
            return tx.execute(paid).scalar_one()


def adapter_of(kind: str, world: World, *, secret: str | None = None, key: str = "sk_test_world") -> Adapter:
    if kind == "sandbox":
        return SandboxPayments(world.db, world.ports.secrets, base_url=world.url, env="test")
    return StripePayments(
        api_key=key,
        webhook_secret=webhook_secret(world.ports.secrets) if secret is None else secret,
        api_base=f"{world.url}/sandbox/stripe",
    )


@pytest.fixture(params=["sandbox", "stripe"])
def rig(request: pytest.FixtureRequest, world: World) -> Rig:
    return Rig(world, adapter_of(request.param, world), world.browser())


# --- checkouts


def test_asking_again_for_the_same_attempt_gives_the_same_checkout(rig: Rig) -> None:
    request, checkout = rig.open()
    assert rig.adapter.start_checkout(request) == checkout
    assert checkout.url == f"{rig.world.url}/sandbox/pay/{checkout.ref}"


def test_an_attempt_cannot_be_used_again_for_another_amount(rig: Rig) -> None:
    request, _ = rig.open()
    with pytest.raises(PaymentRefused) as refused:
        rig.adapter.start_checkout(replace(request, amount=Money(1_00, "USD")))
    assert refused.value.extra["reason"] == "idempotency_error"


def test_twenty_racing_requests_for_one_attempt_get_one_checkout(rig: Rig) -> None:
    request, barrier = rig.request(), Barrier(20)

    def ask() -> Checkout:
        barrier.wait(timeout=20)
        return rig.adapter.start_checkout(request)

    with ThreadPoolExecutor(20) as pool:
        refs = {each.result(timeout=60).ref for each in [pool.submit(ask) for _ in range(20)]}
    assert len(refs) == 1


def test_an_unpaid_checkout_is_pending_and_a_paid_one_reports_what_came_in(rig: Rig) -> None:
    request, checkout = rig.open()
    before = rig.adapter.report(checkout.ref)
    assert (before.outcome, before.amount, before.charge_ref) == (Outcome.PENDING, PRICE, None)
    paid = pay(rig.browser, checkout.url)
    assert (paid.status_code, paid.headers["location"]) == (303, request.success_url)
    after = rig.adapter.report(checkout.ref)
    assert (after.ref, after.attempt_id, after.outcome, after.amount) == (
        checkout.ref, request.attempt_id, Outcome.SUCCEEDED, PRICE,
    )  # fmt: skip
    assert after.charge_ref is not None
    assert after.charge_ref.startswith("ch_")
    assert after.method is not None
    assert after.method.label == "Visa •••• 4242"


def test_a_card_that_the_buyer_does_not_leave_is_not_kept(rig: Rig) -> None:
    _, checkout = rig.open()
    pay(rig.browser, checkout.url, save="")
    report = rig.adapter.report(checkout.ref)
    assert (report.outcome, report.method) == (Outcome.SUCCEEDED, None)


def test_a_checkout_that_keeps_no_card_keeps_none_whatever_the_buyer_ticks(rig: Rig) -> None:
    checkout = rig.adapter.start_checkout(replace(rig.request(), keep_card=False))
    pay(rig.browser, checkout.url)
    report = rig.adapter.report(checkout.ref)
    assert (report.outcome, report.method) == (Outcome.SUCCEEDED, None)


@pytest.mark.parametrize(("card", "code"), [(DECLINED, "card_declined"), (NO_FUNDS, "insufficient_funds")])
def test_a_decline_at_the_page_leaves_the_checkout_open_for_another_card(rig: Rig, card: str, code: str) -> None:
    _, checkout = rig.open()
    assert pay(rig.browser, checkout.url, card).status_code == 402
    declined = rig.adapter.report(checkout.ref)
    assert (declined.outcome, declined.failure_code) == (Outcome.PENDING, code)
    pay(rig.browser, checkout.url)
    assert rig.adapter.report(checkout.ref).outcome is Outcome.SUCCEEDED


def test_the_intent_behind_an_open_checkout_is_pending_after_a_decline(rig: Rig) -> None:
    request, checkout = rig.open()
    pay(rig.browser, checkout.url, DECLINED)
    found = rig.adapter.find_charge(request.attempt_id)
    assert found is not None
    assert rig.adapter.report(found.ref).outcome is Outcome.PENDING
    pay(rig.browser, checkout.url)
    assert rig.adapter.report(found.ref).attempt_id == request.attempt_id
    assert rig.adapter.report(found.ref).charge_ref == rig.adapter.report(checkout.ref).charge_ref


def test_a_card_that_asks_pays_once_its_owner_approves(rig: Rig) -> None:
    request, checkout = rig.open()
    asked = pay(rig.browser, checkout.url, ASKS)
    assert rig.adapter.report(checkout.ref).outcome is Outcome.PENDING
    approved = answer_bank(rig.browser, asked, "approve")
    assert (approved.status_code, approved.headers["location"]) == (303, request.success_url)
    assert rig.adapter.report(checkout.ref).outcome is Outcome.SUCCEEDED


def test_a_card_that_asks_pays_nothing_if_its_owner_refuses(rig: Rig) -> None:
    _, checkout = rig.open()
    refused = answer_bank(rig.browser, pay(rig.browser, checkout.url, ASKS), "refuse")
    assert refused.status_code == 402
    report = rig.adapter.report(checkout.ref)
    assert (report.outcome, report.failure_code) == (Outcome.PENDING, "payment_intent_authentication_failure")
    assert rig.charges() == 0


def test_an_expired_checkout_cannot_be_paid(rig: Rig) -> None:
    _, checkout = rig.open()
    rig.adapter.expire_checkout(checkout.ref)
    assert rig.adapter.report(checkout.ref).outcome is Outcome.EXPIRED
    assert rig.browser.get(checkout.url).status_code == 410
    rig.adapter.expire_checkout(checkout.ref)  # again changes nothing


def test_expiring_a_paid_checkout_leaves_it_paid(rig: Rig) -> None:
    _, checkout = rig.open()
    pay(rig.browser, checkout.url)
    rig.adapter.expire_checkout(checkout.ref)
    assert rig.adapter.report(checkout.ref).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("ref", ["cs_test_unknown", "pi_unknown", "ch_unknown", ""])
def test_a_foreign_reference_is_not_found(rig: Rig, ref: str) -> None:
    with pytest.raises(NotFound):
        rig.adapter.report(ref)


@pytest.mark.parametrize(
    ("amount", "sent"),
    [
        (Money(9_900, "JPY"), 9_900),
        (Money(9_900, "ISK"), 990_000),
        (Money(9_900, "UGX"), 990_000),
        (Money(12_340, "KWD"), 12_340),
        (Money(500_00, "MGA"), 500),
    ],
)
def test_every_currency_comes_back_as_it_went(rig: Rig, amount: Money, sent: int) -> None:
    request, checkout = rig.open(amount)
    pay(rig.browser, checkout.url)
    assert rig.adapter.report(checkout.ref).amount == amount
    state = rig.browser.get(f"/sandbox/payments/{request.attempt_id}").json()
    assert (state["checkout"]["amount_total"], state["intent"]["amount_received"]) == (sent, sent)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (Money(12_345, "KWD"), "amount_not_expressible"),
        (Money(12_345, "MGA"), "amount_not_expressible"),
        (Money(49, "USD"), "amount_too_small"),
    ],
)
def test_an_amount_the_provider_cannot_take_is_refused(rig: Rig, amount: Money, reason: str) -> None:
    with pytest.raises(PaymentRefused) as refused:
        rig.open(amount)
    assert refused.value.extra["reason"] == reason


# --- saved cards


def test_a_saved_card_is_charged_without_its_owner(rig: Rig) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert (report.outcome, report.amount, report.attempt_id) == (Outcome.SUCCEEDED, PRICE, attempt_id)
    assert report.charge_ref is not None
    assert rig.adapter.report(report.ref) == report


def test_a_card_that_asked_once_does_not_ask_again(rig: Rig) -> None:
    _, checkout = rig.open()
    answer_bank(rig.browser, pay(rig.browser, checkout.url, ASKS), "approve")
    method = rig.adapter.report(checkout.ref).method
    assert method is not None
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert report.outcome is Outcome.SUCCEEDED


def test_a_declined_charge_is_a_report_and_stays_declined_when_asked_again(rig: Rig) -> None:
    method, attempt_id = rig.saved(DECLINES_LATER), new_id("pat")
    first = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert (first.outcome, first.failure_code, first.charge_ref) == (Outcome.FAILED, "card_declined", None)
    assert rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal") == first
    assert rig.adapter.report(first.ref) == first


def test_a_hard_decline_is_told_apart(rig: Rig) -> None:
    method = rig.saved()
    changed = rig.browser.post(f"/sandbox/methods/{method.method_ref}", json={"kind": "lost"})
    assert changed.status_code == 200
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert (report.outcome, report.failure_code) == (Outcome.FAILED, "lost_card")


def test_twenty_racing_charges_of_one_attempt_take_the_money_once(rig: Rig) -> None:
    method, attempt_id, barrier = rig.saved(), new_id("pat"), Barrier(20)
    before = rig.charges()

    def charge() -> str | None:
        barrier.wait(timeout=20)
        report = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
        return report.charge_ref

    with ThreadPoolExecutor(20) as pool:
        refs = {each.result(timeout=60) for each in [pool.submit(charge) for _ in range(20)]}
    assert len(refs) == 1
    assert rig.charges() == before + 1


def test_a_card_that_is_not_the_customers_is_refused(rig: Rig) -> None:
    method = replace(rig.saved(), customer_ref="cus_other")
    with pytest.raises(PaymentRefused):
        rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")


def test_what_was_charged_is_found_without_its_key(rig: Rig) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    assert rig.adapter.find_charge(attempt_id) is None
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert rig.adapter.find_charge(attempt_id) == report


# --- refunds


def test_refunds_never_exceed_the_charge_and_repeat_safely(rig: Rig) -> None:
    _, checkout = rig.open()
    pay(rig.browser, checkout.url)
    charge_ref = rig.adapter.report(checkout.ref).charge_ref
    assert charge_ref is not None
    refund_id = new_id("ref")
    first = rig.adapter.refund(charge_ref, Money(100_00, "USD"), refund_id=refund_id)
    assert rig.adapter.refund(charge_ref, Money(100_00, "USD"), refund_id=refund_id) == first
    with pytest.raises(PaymentRefused) as refused:
        rig.adapter.refund(charge_ref, Money(30_00, "USD"), refund_id=new_id("ref"))
    assert refused.value.extra["reason"] == "amount_too_large"
    rig.adapter.refund(charge_ref, Money(29_00, "USD"), refund_id=new_id("ref"))
    with pytest.raises(PaymentRefused) as refused:
        rig.adapter.refund(charge_ref, Money(1_00, "USD"), refund_id=new_id("ref"))
    assert refused.value.extra["reason"] == "charge_already_refunded"


def paid(rig: Rig) -> PaymentReport:
    """A payment of PRICE."""
    _, checkout = rig.open()
    pay(rig.browser, checkout.url)
    return rig.adapter.report(checkout.ref)


def play(rig: Rig, report: PaymentReport, action: str, **more: object) -> None:
    """What a bank or the card's owner does."""
    answer = rig.browser.post(f"/sandbox/payments/{report.ref}", json={"action": action, **more})
    assert answer.status_code == 200, answer.text


def charge_of(report: PaymentReport) -> str:
    assert report.charge_ref is not None
    return report.charge_ref


def test_a_refund_is_reported_found_and_fetched_in_the_same_words(rig: Rig) -> None:
    charge_ref, refund_id = charge_of(paid(rig)), new_id("ref")
    assert rig.adapter.find_refund(charge_ref, refund_id) is None
    made = rig.adapter.refund(charge_ref, Money(29_00, "USD"), refund_id=refund_id)
    assert (made.refund_id, made.charge_ref, made.amount, made.outcome) == (
        refund_id, charge_ref, Money(29_00, "USD"), Outcome.SUCCEEDED,
    )  # fmt: skip
    assert rig.adapter.report_refund(made.ref) == made == rig.adapter.find_refund(charge_ref, refund_id)
    assert made.payment_ref is not None
    assert rig.adapter.report(made.payment_ref).charge_ref == charge_ref


def test_a_refund_that_the_bank_sends_back_has_failed(rig: Rig) -> None:
    report = paid(rig)
    made = rig.adapter.refund(charge_of(report), PRICE, refund_id=new_id("ref"))
    play(rig, report, "fail_refund")
    failed = rig.adapter.report_refund(made.ref)
    assert (failed.outcome, failed.failure_code) == (Outcome.FAILED, "lost_or_stolen_card")


def test_twenty_racing_refunds_of_one_id_send_the_money_once(rig: Rig) -> None:
    report, refund_id, barrier = paid(rig), new_id("ref"), Barrier(20)

    def ask() -> str:
        barrier.wait(timeout=20)
        return rig.adapter.refund(charge_of(report), Money(60_00, "USD"), refund_id=refund_id).ref

    with ThreadPoolExecutor(20) as pool:
        refs = {each.result(timeout=60) for each in [pool.submit(ask) for _ in range(20)]}
    assert len(refs) == 1
    assert rig.browser.get(f"/sandbox/payments/{report.ref}").json()["intent"]["amount_refunded"] == 60_00


@pytest.mark.parametrize("ref", ["re_unknown", "dp_unknown"])
def test_a_foreign_refund_or_dispute_is_not_found(rig: Rig, ref: str) -> None:
    with pytest.raises(NotFound):
        rig.adapter.report_refund(ref)
    with pytest.raises(NotFound):
        rig.adapter.report_dispute(ref)


@pytest.mark.parametrize(("end", "standing"), [("win_dispute", Standing.WON), ("lose_dispute", Standing.LOST)])
def test_a_dispute_is_reported_as_it_stands(rig: Rig, end: str, standing: Standing) -> None:
    report = paid(rig)
    play(rig, report, "dispute")
    dispute_ref = rig.browser.get(f"/sandbox/payments/{report.ref}").json()["intent"]["dispute"]["id"]
    opened = rig.adapter.report_dispute(dispute_ref)
    assert (opened.standing, opened.charge_ref, opened.amount) == (Standing.OPENED, report.charge_ref, PRICE)
    with pytest.raises(PaymentRefused) as refused:
        rig.adapter.refund(charge_of(report), PRICE, refund_id=new_id("ref"))
    assert refused.value.extra["reason"] == "charge_disputed"
    play(rig, report, "review_dispute")
    assert rig.adapter.report_dispute(dispute_ref).standing is Standing.UNDER_REVIEW
    play(rig, report, end)
    assert rig.adapter.report_dispute(dispute_ref).standing is standing


def test_events_of_refunds_and_disputes_name_what_to_fetch(rig: Rig) -> None:
    switches.flip(rig.world.db, target_url=f"{rig.world.url}/sandbox/hooks/afterwards")
    report = paid(rig)
    made = rig.adapter.refund(charge_of(report), Money(1_00, "USD"), refund_id=new_id("ref"))
    play(rig, report, "dispute")
    rig.world.work()
    events = [
        rig.adapter.verify_event(each["body"].encode(), each["headers"]["stripe-signature"])
        for each in rig.browser.get("/sandbox/hooks/afterwards").json()
    ]
    by_type = {event.type: event for event in events}
    assert by_type["refund.created"].refund_ref == made.ref
    dispute_ref = by_type["charge.dispute.created"].dispute_ref
    assert dispute_ref is not None
    assert rig.adapter.report_dispute(dispute_ref).charge_ref == report.charge_ref
    assert {event.payment_ref for event in events if event.refund_ref or event.dispute_ref} == {made.payment_ref}


def test_a_refund_whose_answer_was_lost_is_found_and_not_sent_again(rig: Rig, faulty: World) -> None:
    report, refund_id = paid(rig), new_id("ref")
    switches.flip(faulty.db, fault=Fault.LOST_ANSWER)
    try:
        rig.adapter.refund(charge_of(report), Money(1_00, "USD"), refund_id=refund_id)
    except PaymentUnavailable:
        switches.reset(faulty.db)
    found = rig.adapter.find_refund(charge_of(report), refund_id)
    assert found == rig.adapter.refund(charge_of(report), Money(1_00, "USD"), refund_id=refund_id)
    assert rig.browser.get(f"/sandbox/payments/{report.ref}").json()["intent"]["amount_refunded"] == 1_00


# --- when the provider misbehaves


@pytest.fixture
def faulty(world: World) -> Iterator[World]:
    """A provider with faults."""
    yield world
    switches.reset(world.db)


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.BUSY])
def test_a_provider_that_does_not_answer_is_unavailable_and_charges_nothing(
    rig: Rig, faulty: World, fault: Fault
) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    before = rig.charges()
    switches.flip(faulty.db, fault=fault)
    with pytest.raises(PaymentUnavailable):
        rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    with pytest.raises(PaymentUnavailable):
        rig.adapter.report("cs_test_any")
    assert rig.charges() == before


def test_a_lost_answer_is_recovered_by_asking_again(rig: Rig, faulty: World) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    before = rig.charges()
    switches.flip(faulty.db, fault=Fault.LOST_ANSWER)
    try:
        rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    except PaymentUnavailable:
        switches.reset(faulty.db)
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert report.outcome is Outcome.SUCCEEDED
    assert rig.charges() == before + 1


def test_a_failure_that_the_provider_remembers_stays_unavailable_for_that_attempt(rig: Rig, faulty: World) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    switches.flip(faulty.db, fault=Fault.STORED_500)
    with pytest.raises(PaymentUnavailable):
        rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    switches.reset(faulty.db)
    with pytest.raises(PaymentUnavailable):
        rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert rig.adapter.find_charge(attempt_id) is None
    fresh = rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
    assert fresh.outcome is Outcome.SUCCEEDED


def test_no_call_is_made_inside_a_transaction(rig: Rig) -> None:
    method, request = rig.saved(), rig.request()
    with rig.world.db.transaction():
        with pytest.raises(NetworkInsideTransaction):
            rig.adapter.start_checkout(request)
        with pytest.raises(NetworkInsideTransaction):
            rig.adapter.charge_saved(method, PRICE, attempt_id=new_id("pat"), description="Renewal")
        with pytest.raises(NetworkInsideTransaction):
            rig.adapter.report("cs_test_any")
        with pytest.raises(NetworkInsideTransaction):
            rig.adapter.expire_checkout("cs_test_any")


# --- fees


def test_a_charge_tells_what_the_provider_keeps_of_it(rig: Rig) -> None:
    method, attempt_id = rig.saved(), new_id("pat")
    report = rig.adapter.charge_saved(method, PRICE, attempt_id=attempt_id, description="Renewal")
    assert report.fee is not None
    assert report.fee.amount == Money(fees.of_charge(PRICE.minor, PRICE.currency), PRICE.currency)
    assert rig.adapter.report(report.ref).fee == report.fee
    assert rig.adapter.find_charge(attempt_id, method.customer_ref) == report
    _, checkout = rig.open()
    pay(rig.browser, checkout.url)
    paid = rig.adapter.report(checkout.ref)
    assert paid.fee is not None
    assert paid.fee.ref != report.fee.ref


def test_a_refund_tells_its_own_fee(rig: Rig) -> None:
    report = rig.adapter.charge_saved(rig.saved(), PRICE, attempt_id=new_id("pat"), description="Renewal")
    sent = rig.adapter.refund(report.charge_ref or "", Money(100, PRICE.currency), refund_id=new_id("ref"))
    assert sent.fee is not None
    assert sent.fee.amount == Money.zero(PRICE.currency)
    assert rig.adapter.report_refund(sent.ref) == sent
    assert rig.adapter.refunds_of(report.charge_ref or "") == [sent]


# --- events


@dataclass
class Delivered:
    """A delivery exactly as it arrived."""

    raw: bytes
    header: str


def delivered(rig: Rig) -> Delivered:
    """The event of a payment, posted by the provider's own job and kept by a receiver."""
    switches.flip(rig.world.db, target_url=f"{rig.world.url}/sandbox/hooks/contract")
    _, checkout = rig.open()
    pay(rig.browser, checkout.url)
    rig.world.work()
    arrived = rig.browser.get("/sandbox/hooks/contract").json()
    last = next(each for each in arrived if json.loads(each["body"])["type"] == "checkout.session.completed")
    return Delivered(last["body"].encode(), last["headers"]["stripe-signature"])


def test_a_really_delivered_event_is_accepted_and_names_the_checkout(rig: Rig) -> None:
    arrived = delivered(rig)
    event = rig.adapter.verify_event(arrived.raw, arrived.header)
    assert event.type == "checkout.session.completed"
    assert event.payment_ref is not None
    report = rig.adapter.report(event.payment_ref)
    assert (report.ref, report.outcome) == (event.payment_ref, Outcome.SUCCEEDED)


def _shifted(rig: Rig, raw: bytes, by: timedelta) -> str:
    return sign(raw, webhook_secret(rig.world.ports.secrets), transport_now() + by)


def believed(adapter: Adapter, raw: bytes, header: str) -> bool:
    try:
        adapter.verify_event(raw, header)
    except ForgedEvent:
        return False
    return True


def test_an_event_is_refused_unless_its_signature_holds(rig: Rig) -> None:
    arrived = delivered(rig)
    now: datetime = transport_now()
    anew = json.dumps(json.loads(arrived.raw)).encode()
    assert anew != arrived.raw
    forged = {
        "unsigned": (arrived.raw, ""),
        "no v1": (arrived.raw, arrived.header.split(",", maxsplit=1)[0]),
        "no time": (arrived.raw, arrived.header.split(",", maxsplit=1)[1]),
        "not ASCII": (arrived.raw, arrived.header + "ü"),
        "wrong secret": (arrived.raw, sign(arrived.raw, "whsec_guess", now)),
        "empty secret": (arrived.raw, sign(arrived.raw, "", now)),
        "serialised anew": (anew, arrived.header),
        "another body": (arrived.raw.replace(b"12900", b"12901"), arrived.header),
        "stale": (arrived.raw, _shifted(rig, arrived.raw, timedelta(seconds=-301))),
        # One second more than the limit, lest the second turn while the check runs.
        "from the future": (arrived.raw, _shifted(rig, arrived.raw, timedelta(seconds=302))),
        "not JSON": (b"hello", _shifted(rig, b"hello", timedelta())),
        "not UTF-8": (b"\xff", _shifted(rig, b"\xff", timedelta())),
        "not an event": (b"[]", _shifted(rig, b"[]", timedelta())),
    }
    assert [why for why, (raw, header) in forged.items() if believed(rig.adapter, raw, header)] == []


def test_an_event_within_five_minutes_either_way_is_accepted(rig: Rig) -> None:
    arrived = delivered(rig)
    for seconds in (-295, 295):
        header = _shifted(rig, arrived.raw, timedelta(seconds=seconds))
        assert rig.adapter.verify_event(arrived.raw, header).type == "checkout.session.completed"


def test_one_fitting_signature_among_several_is_enough(rig: Rig) -> None:
    arrived = delivered(rig)
    stamp, good = arrived.header.split(",")
    header = f"{stamp},v1={'0' * 64},{good},v0=ignored"
    assert rig.adapter.verify_event(arrived.raw, header).payment_ref is not None


def test_a_live_event_is_refused_in_test_mode(rig: Rig) -> None:
    arrived = delivered(rig)
    raw = arrived.raw.replace(b'"livemode": false', b'"livemode": true')
    with pytest.raises(ForgedEvent):
        rig.adapter.verify_event(raw, _shifted(rig, raw, timedelta()))


def test_a_card_reported_lost_at_the_page_is_declined(rig: Rig) -> None:
    _, checkout = rig.open()
    assert pay(rig.browser, checkout.url, LOST).status_code == 402
    assert rig.adapter.report(checkout.ref).failure_code == "lost_card"
