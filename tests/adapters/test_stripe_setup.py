"""How Stripe is set up: one version, keys that fit the installation, and what `blp doctor` finds out."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from app.adapters.sandbox.signature import sign
from app.adapters.stripe.doctor import ENDPOINTS_SCOPE, SCOPES, examine, examine_tax
from app.adapters.stripe.events import KINDS
from app.adapters.stripe.payments import StripePayments
from app.adapters.stripe.tax import StripeTax
from app.adapters.stripe.version import API_VERSION
from app.config import Settings
from app.core.clock import transport_now
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.payments.errors import ForgedEvent, PaymentRefused, PaymentUnavailable
from app.payments.provider import CardRequest, CheckoutRequest, SavedMethod
from app.wiring import wire
from tests.adapters.fake_stripe import FakeStripe
from tests.world import World

SHOP = "https://shop.vendor.example"
CARD = SavedMethod("cus_1", "pm_1", "Visa •••• 4242")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeStripe]:
    running = FakeStripe(tmp_path / "stripe.sqlite")
    running.endpoints = [endpoint()]
    yield running
    running.stop()


def endpoint(**changes: Any) -> dict[str, Any]:
    return {
        "id": "we_1", "object": "webhook_endpoint", "url": f"{SHOP}/inbound/stripe", "status": "enabled",
        "enabled_events": list(KINDS), "api_version": API_VERSION, "livemode": False,
    } | changes  # fmt: skip


def adapter(fake: FakeStripe) -> StripePayments:
    return StripePayments(api_key="rk_test_x", webhook_secret="whsec_x", api_base=fake.base)


# --- the version


def test_the_pinned_version_is_the_one_whose_types_the_sdk_carries() -> None:
    assert stripe.api_version == API_VERSION


def test_every_request_carries_the_pinned_version(fake: FakeStripe) -> None:
    stripe_adapter, until = adapter(fake), transport_now() + timedelta(hours=1)
    page = {"customer_email": "a@b.example", "success_url": SHOP, "cancel_url": SHOP, "expires_at": until}
    calls: list[Callable[[], object]] = [
        lambda: stripe_adapter.start_checkout(
            CheckoutRequest(new_id("pat"), Money(1_00, "USD"), "x", **page)  # type: ignore[arg-type]  # as a table
        ),
        lambda: stripe_adapter.start_card_setup(
            CardRequest(setup_id=new_id("cst"), customer_ref=None, consent="", **page)  # type: ignore[arg-type]  # as a table
        ),
        lambda: stripe_adapter.charge_saved(CARD, Money(1_00, "USD"), attempt_id=new_id("pat"), description="x"),
        lambda: stripe_adapter.report("cs_1"),
        lambda: stripe_adapter.report("pi_1"),
        lambda: stripe_adapter.report_setup("cs_1"),
        lambda: stripe_adapter.report_setup("seti_1"),
        lambda: stripe_adapter.report_method("pm_1"),
        lambda: stripe_adapter.forget_method("pm_1"),
        lambda: stripe_adapter.report_refund("re_1"),
        lambda: stripe_adapter.report_dispute("dp_1"),
        lambda: stripe_adapter.refunds_of("ch_1"),
        lambda: stripe_adapter.refund("ch_1", Money(1_00, "USD"), refund_id=new_id("ref")),
        lambda: stripe_adapter.find_charge(new_id("pat")),
        lambda: stripe_adapter.find_charge(new_id("pat"), "cus_1"),
        lambda: stripe_adapter.expire_checkout("cs_1"),
    ]
    for call in calls:
        with suppress(NotFound, PaymentRefused):
            call()
    list(examine(stripe_adapter, base_url=SHOP))
    assert len(fake.asked) >= len(calls) + len(SCOPES)
    assert {each.version for each in fake.asked} == {API_VERSION}


def event(**changes: Any) -> bytes:
    body = {
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "livemode": False,
        "api_version": API_VERSION, "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    } | changes  # fmt: skip
    return json.dumps(body).encode()


@pytest.mark.parametrize("version", ["2020-08-27", "2027-03-25.fern", None])
def test_an_event_of_another_version_is_believed_as_far_as_what_it_is_about(fake: FakeStripe, version: str) -> None:
    raw = event(api_version=version)
    with capture_logs() as logs:
        heard = adapter(fake).verify_event(raw, sign(raw, "whsec_x", transport_now()))
    assert heard.names() == {"payment_ref": "pi_1"}
    assert [each["event"] for each in logs] == ["stripe.event_of_another_version"]


def test_a_thin_event_which_names_no_object_is_refused(fake: FakeStripe) -> None:
    raw = json.dumps({"id": "evt_1", "object": "v2.core.event", "type": "v1.charge.failed", "livemode": False}).encode()
    with pytest.raises(ForgedEvent):
        adapter(fake).verify_event(raw, sign(raw, "whsec_x", transport_now()))


def test_a_kind_that_is_not_acted_on_names_nothing(fake: FakeStripe) -> None:
    raw = event(type="payment_intent.partially_funded")
    assert adapter(fake).verify_event(raw, sign(raw, "whsec_x", transport_now())).names() == {}


# --- keys


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "env": "prod", "payments": "stripe", "stripe_secret_key": SecretStr("rk_live_x"),
        "stripe_webhook_secret": SecretStr("whsec_x"), "mail": "smtp", "smtp_host": "mail", "tax_ids": "none",
        "secret_key": SecretStr("x" * 32), "base_url": SHOP, "database_url": "postgresql+psycopg://localhost/blp",
        "_env_file": None,
    }  # fmt: skip
    return Settings(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stripe_secret_key": SecretStr("sk_test_x")}, "refuses a Stripe test key"),
        ({"env": "dev"}, "needs BLP_ENV=prod"),
        ({"stripe_secret_key": SecretStr("pk_live_x")}, "not a publishable one"),
        ({"stripe_webhook_secret": SecretStr("whsec_a, sk_live_b")}, "whsec_"),
        ({"stripe_api_base": "https://elsewhere.example"}, "for tests only"),
    ],
)
def test_keys_that_do_not_fit_the_installation_refuse_to_start(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**changes)


def test_documents_say_test_unless_the_money_is_real(world: World) -> None:
    assert settings().takes_money
    trying = settings(env="dev", stripe_secret_key=SecretStr("rk_test_x"), base_url="http://127.0.0.1:1")
    assert not trying.takes_money
    assert not trying.sandbox
    assert wire(trying, world.db).ports.test_mode


# --- blp doctor


def test_the_doctor_finds_nothing_wrong_where_nothing_is(fake: FakeStripe) -> None:
    (found,) = examine(adapter(fake), base_url=SHOP)
    assert not found.fault
    assert "test key" in found.text


def test_the_doctor_names_each_permission_that_is_missing(fake: FakeStripe) -> None:
    fake.forbidden = {"refunds", "checkout"}
    faults = [each.text for each in examine(adapter(fake), base_url=SHOP) if each.fault]
    assert ["Checkout Sessions: Write" in faults[0], "Charges and Refunds: Write" in faults[1], len(faults)] == [
        True,
        True,
        2,
    ]


@pytest.mark.parametrize(
    ("changes", "fault", "words"),
    [
        ({"url": f"{SHOP}/elsewhere"}, True, "no webhook endpoint at"),
        ({"status": "disabled"}, True, "is disabled: enable it"),
        ({"enabled_events": ["charge.refunded"]}, True, "does not listen to charge.dispute.closed"),
        ({"api_version": "2020-08-27"}, False, "speaks 2020-08-27"),
    ],
)
def test_the_doctor_looks_at_the_webhook_endpoint(
    fake: FakeStripe, changes: dict[str, Any], fault: bool, words: str
) -> None:
    fake.endpoints = [endpoint(**changes)]
    found = list(examine(adapter(fake), base_url=SHOP))
    assert [each.fault for each in found if words in each.text] == [fault]


def test_the_doctor_asks_about_stripe_tax_where_it_is_set_up(fake: FakeStripe) -> None:
    tax = StripeTax(api_key="rk_test_x", api_base=fake.base)
    assert [(each.fault, "buyers in CA, US" in each.text) for each in examine_tax(tax, ["US", "CA"])] == [(False, True)]
    fake.forbidden = {"tax"}
    missing, unused = examine_tax(tax, [])
    assert (missing.fault, "Tax Calculations and Transactions: Write" in missing.text) == (True, True)
    assert "never asked" in unused.text
    nowhere = StripeTax(api_key="rk_test_x", api_base="http://127.0.0.1:9")
    assert ["did not answer" in each.text for each in examine_tax(nowhere, ["US"])] == [True, False]


def test_the_doctor_says_what_it_could_not_look_at(fake: FakeStripe) -> None:
    fake.forbidden = {"webhook_endpoints"}
    found = list(examine(adapter(fake), base_url=SHOP))
    assert [each.fault for each in found] == [False, False]
    assert ENDPOINTS_SCOPE in found[0].text
    nowhere = StripePayments(api_key="rk_test_x", webhook_secret="whsec_x", api_base="http://127.0.0.1:9")
    assert ["did not answer" in each.text for each in examine(nowhere, base_url=SHOP)] == [True]


def test_everything_the_guide_lists_is_what_the_code_needs() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "stripe.md").read_text("utf-8")
    assert [scope for scope in (*SCOPES, ENDPOINTS_SCOPE) if scope.replace(": ", " | ") not in guide] == []
    assert [kind for kind in KINDS if f"`{kind}`" not in guide] == []
    assert API_VERSION in guide


def test_a_provider_that_is_away_is_named_as_that() -> None:
    nowhere = StripePayments(api_key="rk_test_x", webhook_secret="whsec_x", api_base="http://127.0.0.1:9")
    with pytest.raises(PaymentUnavailable):
        nowhere.report_setup("seti_1")
