"""One charge, whatever happens to its answer: connections that die, keys that expire, failures that are replayed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.stripe.payments import StripePayments
from app.core.clock import transport_now
from app.core.ids import new_id
from app.core.money import Money
from app.payments.errors import PaymentUnavailable
from app.payments.provider import Outcome, PaymentReport, SavedMethod
from tests.adapters.fake_stripe import FakeStripe, Fault

CARD = SavedMethod("cus_1", "pm_1", "Visa •••• 4242")
PRICE = Money(129_00, "USD")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeStripe]:
    running = FakeStripe(tmp_path / "stripe.sqlite")
    yield running
    running.stop()


def adapter(fake: FakeStripe) -> StripePayments:
    """A new process each time: nothing is remembered on our side but the attempt's id."""
    return StripePayments(api_key="sk_test_x", webhook_secret="whsec_x", api_base=fake.base)


def charge(fake: FakeStripe, attempt: str) -> PaymentReport:
    return adapter(fake).charge_saved(CARD, PRICE, attempt_id=attempt, description="Renewal")


def old_attempt() -> str:
    """An attempt of 25 hours ago, whose key Stripe may have forgotten."""
    milliseconds = int((transport_now() - timedelta(hours=25)).timestamp() * 1000)
    stamp = "".join("0123456789abcdefghjkmnpqrstvwxyz"[milliseconds >> shift & 31] for shift in range(45, -1, -5))
    return "pat_" + stamp + new_id("pat")[-16:]


@pytest.mark.parametrize("faults", [["drop_after"], ["drop_before"], ["drop_before", "drop_after"], ["again"]])
def test_a_connection_that_dies_is_asked_again_with_the_same_key(fake: FakeStripe, faults: list[Fault]) -> None:
    attempt, tries = new_id("pat"), len(faults) + 1
    fake.faults = list(faults)
    report = charge(fake, attempt)
    assert (report.outcome, report.attempt_id) == (Outcome.SUCCEEDED, attempt)
    assert (fake.charges(attempt), fake.count("POST")) == (1, tries)
    assert {each.key for each in fake.asked} == {attempt}


def test_a_charge_whose_every_answer_is_lost_is_found_by_the_next_process(fake: FakeStripe) -> None:
    attempt = new_id("pat")
    fake.faults = ["drop_after", "drop_before", "drop_before"]
    with pytest.raises(PaymentUnavailable):
        charge(fake, attempt)
    fake.restart()
    report = charge(fake, attempt)
    assert (report.outcome, fake.charges(attempt), fake.count("POST")) == (Outcome.SUCCEEDED, 1, 4)


def test_with_its_key_expired_a_charge_is_looked_up_and_not_asked_for(fake: FakeStripe) -> None:
    attempt = old_attempt()
    fake.faults = ["drop_after", "drop_before", "drop_before"]
    with pytest.raises(PaymentUnavailable):
        charge(fake, attempt)
    fake.forget_keys()
    fake.restart()
    fake.asked.clear()
    report = charge(fake, attempt)
    assert (report.outcome, fake.charges(attempt)) == (Outcome.SUCCEEDED, 1)
    assert (fake.count("POST"), fake.count("GET")) == (0, 1)


def test_with_its_key_expired_and_nothing_charged_it_is_charged_once(fake: FakeStripe) -> None:
    attempt = old_attempt()
    assert charge(fake, attempt).outcome is Outcome.SUCCEEDED
    assert charge(fake, attempt).outcome is Outcome.SUCCEEDED
    assert (fake.charges(attempt), fake.count("POST"), fake.count("GET")) == (1, 1, 2)


def test_a_decline_of_long_ago_stays_that_decline(fake: FakeStripe) -> None:
    attempt = old_attempt()
    fake.faults = ["decline"]
    first = charge(fake, attempt)
    fake.forget_keys()
    assert charge(fake, attempt) == first
    assert (first.outcome, fake.charges(), fake.count("POST")) == (Outcome.FAILED, 0, 1)


def test_behind_a_replayed_failure_the_charge_is_found(fake: FakeStripe) -> None:
    attempt = new_id("pat")
    fake.faults = ["fail_after"]
    for _ in range(3):
        report = charge(fake, attempt)
        assert (report.outcome, report.charge_ref) == (Outcome.SUCCEEDED, "ch_1")
    assert (fake.charges(attempt), fake.count("POST"), fake.count("GET")) == (1, 3, 3)


def test_a_replayed_failure_without_a_charge_stays_open_until_the_key_is_forgotten(fake: FakeStripe) -> None:
    attempt = new_id("pat")
    fake.faults = ["fail_before"]
    for _ in range(3):
        with pytest.raises(PaymentUnavailable):
            charge(fake, attempt)
    assert (fake.charges(attempt), fake.count("POST"), fake.count("GET")) == (0, 3, 3)
    assert adapter(fake).find_charge(attempt, CARD.customer_ref) is None
    fake.forget_keys()
    assert charge(fake, attempt).outcome is Outcome.SUCCEEDED
    assert fake.charges(attempt) == 1


def test_other_charges_of_the_customer_are_not_taken_for_this_one(fake: FakeStripe) -> None:
    charge(fake, new_id("pat"))
    assert adapter(fake).find_charge(new_id("pat"), CARD.customer_ref) is None
    assert adapter(fake).find_charge(new_id("pat"), "cus_other") is None
