"""The sandbox's Stripe-shaped API where the adapters do not lead, and what only the Stripe adapter does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.adapters.sandbox import SandboxInProduction, refuse_in_production, switches
from app.adapters.sandbox.answers import Refused
from app.adapters.sandbox.models import SandboxIdempotency
from app.adapters.sandbox.params import decode
from app.adapters.sandbox.payments import SandboxPayments
from app.adapters.sandbox.signature import sign, webhook_secret
from app.adapters.stripe.amounts import from_stripe, to_stripe
from app.adapters.stripe.payments import StripePayments
from app.config import Settings
from app.core.clock import FixedClock, transport_now
from app.core.ids import new_id
from app.core.money import Money
from app.payments.errors import AmountMismatch, ForgedEvent, PaymentRefused, PaymentUnavailable
from app.payments.provider import CheckoutRequest, Outcome
from app.wiring import wire
from tests.paying import pay
from tests.world import World

SESSION = {
    "mode": "payment", "success_url": "https://shop.example/ok", "cancel_url": "https://shop.example/no",
    "line_items[0][price_data][currency]": "usd", "line_items[0][price_data][unit_amount]": "1000",
    "line_items[0][price_data][product_data][name]": "Professional", "line_items[0][quantity]": "2",
}  # fmt: skip


def stripe_client(world: World, key: str = "sk_test_any") -> httpx.Client:
    client = world.browser()
    client.base_url = httpx.URL(f"{world.url}/sandbox/stripe/v1/")
    client.headers["authorization"] = f"Bearer {key}"
    return client


def checkout_request(world: World) -> CheckoutRequest:
    return CheckoutRequest(
        attempt_id=new_id("pat"),
        amount=Money(100_00, "USD"),
        description="Professional",
        customer_email="ada@engines.example",
        success_url=f"{world.url}/orders/1",
        cancel_url=f"{world.url}/checkout",
        expires_at=transport_now() + timedelta(hours=23),
    )


# --- the API


def test_the_same_key_replays_the_answer_and_other_parameters_are_refused(world: World) -> None:
    client, key = stripe_client(world), {"idempotency-key": "k-1"}
    first = client.post("checkout/sessions", data=SESSION, headers=key)
    again = client.post("checkout/sessions", data=SESSION, headers=key)
    assert first.json() == again.json()
    assert first.json()["amount_total"] == 2000
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("checkout/sessions", data=SESSION | {"line_items[0][quantity]": "3"}, headers=key)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")


def test_a_refused_request_does_not_use_up_its_key(world: World) -> None:
    client, key = stripe_client(world), {"idempotency-key": "k-2"}
    small = SESSION | {"line_items[0][price_data][unit_amount]": "1"}
    refused = client.post("checkout/sessions", data=small, headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "amount_too_small")
    assert client.post("checkout/sessions", data=SESSION, headers=key).status_code == 200


def test_a_key_that_is_being_used_is_in_conflict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sandbox.provider_core._WAIT_FOR_KEY", "100ms")
    client = stripe_client(world)
    with world.db.transaction() as tx:
        tx.add(SandboxIdempotency(key="k-3", request_hash="", status=0, response={}, created_at=transport_now()))
        tx.flush()  # another call has the key and has not ended
        busy = client.post("checkout/sessions", data=SESSION, headers={"idempotency-key": "k-3"})
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")


def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    clock = FixedClock(transport_now())
    payments = SandboxPayments(world.db, world.ports.secrets, base_url=world.url, env="test", clock=clock)
    request = checkout_request(world)
    first = payments.start_checkout(request)
    clock.advance(timedelta(hours=24))
    anew = replace(request, expires_at=request.expires_at + timedelta(hours=24))
    assert payments.start_checkout(anew).ref != first.ref


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"mode": "subscription"}, "mode", "parameter_invalid"),
        ({"success_url": "javascript:alert(1)"}, "success_url", "parameter_invalid"),
        ({"colour": "red"}, "colour", "parameter_unknown"),
        ({"line_items[0][price_data][unit_amount]": "9.99"}, "line_items[0][price_data][unit_amount]", ""),
        ({"expires_at": "1"}, "expires_at", "parameter_invalid"),
        ({"expand[]": "colour"}, "expand", "parameter_invalid"),
        ({"mode[x]": "payment"}, "mode", "parameter_invalid"),
        ({"client_reference_id": "a\0b"}, None, "parameter_invalid"),
    ],
)
def test_a_wrong_parameter_is_named(world: World, changes: dict[str, str], param: str | None, code: str) -> None:
    refused = stripe_client(world).post("checkout/sessions", data=SESSION | changes)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error.get("param")) == (400, "invalid_request_error", param)
    assert not code or error["code"] == code


@pytest.mark.parametrize("key", ["none", "blp_something", "sk_live_real", "rk_live_real"])
def test_only_test_keys_are_let_in(world: World, key: str) -> None:
    refused = stripe_client(world, key).get("events")
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "invalid_request_error")


def test_basic_authentication_works_as_with_curl(world: World) -> None:
    client = stripe_client(world)
    del client.headers["authorization"]
    assert client.get("events", auth=("sk_test_any", "")).json()["data"] == []


@pytest.mark.parametrize("path", ["subscriptions", "payment_intents/pi_none", "charges/ch_none", "refunds/re_none"])
def test_what_is_not_there_is_404_in_stripes_words(world: World, path: str) -> None:
    missing = stripe_client(world).get(path)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "resource_missing")


def test_twenty_racing_refunds_never_give_back_more_than_was_taken(world: World) -> None:
    client, barrier = stripe_client(world), Barrier(20)
    request = checkout_request(world)
    checkout = world.ports.payments.start_checkout(request)
    pay(world.browser(), checkout.url)
    charge_ref = world.ports.payments.report(checkout.ref).charge_ref
    clients = [stripe_client(world) for _ in range(20)]

    def refund(each: httpx.Client) -> int:
        barrier.wait(timeout=20)
        return each.post("refunds", data={"charge": charge_ref, "amount": "1500"}).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(refund, clients))
    assert sorted(statuses) == [200] * 6 + [400] * 14  # six times 15.00 fit into 100.00
    assert client.get(f"charges/{charge_ref}").json()["amount_refunded"] == 90_00


def test_customers_and_methods_can_be_looked_up(world: World) -> None:
    client = stripe_client(world)
    made = client.post("customers", data={"email": "ada@engines.example", "metadata[account]": "acc_1"}).json()
    assert client.get(f"customers/{made['id']}").json() == made
    checkout = world.ports.payments.start_checkout(checkout_request(world))
    pay(world.browser(), checkout.url)
    method = world.ports.payments.report(checkout.ref).method
    assert method is not None
    kept = client.get(f"payment_methods/{method.method_ref}", params={"expand[]": "customer"}).json()
    assert (kept["card"]["last4"], kept["customer"]["id"]) == ("4242", method.customer_ref)


def test_events_are_listed_newest_first_in_pages(world: World) -> None:
    for _ in range(2):
        pay(world.browser(), world.ports.payments.start_checkout(checkout_request(world)).url)
    client = stripe_client(world)
    page = client.get("events", params={"limit": 3}).json()
    rest = client.get("events", params={"limit": 3, "starting_after": page["data"][-1]["id"]}).json()
    assert (len(page["data"]), page["has_more"], len(rest["data"]), rest["has_more"]) == (3, True, 1, False)
    assert page["data"][0]["type"] == "checkout.session.completed"
    only = client.get("events", params={"type": "payment_intent.succeeded"}).json()["data"]
    assert [each["type"] for each in only] == ["payment_intent.succeeded"] * 2


@given(st.lists(st.tuples(st.text(alphabet="ab[]01", max_size=12), st.text(max_size=5)), max_size=30))
def test_any_form_is_read_or_refused_and_never_breaks(pairs: list[tuple[str, str]]) -> None:
    try:
        read = decode(pairs)
    except Refused:
        return
    assert set(read) <= {name.replace("]", "").split("[")[0] for name, _ in pairs}


def test_a_form_of_many_or_deep_fields_is_refused() -> None:
    with pytest.raises(Refused):
        decode([("a" + "[b]" * 6, "1")])
    with pytest.raises(Refused):
        decode([(f"a{n}", "1") for n in range(201)])


# --- the Stripe adapter alone


def test_while_a_webhook_secret_is_rolled_both_are_believed() -> None:
    both = StripePayments(api_key="sk_test_x", webhook_secret="whsec_new, whsec_old", api_base=None)
    raw = b'{"id":"evt_1","type":"ping","livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}'
    for secret in ("whsec_new", "whsec_old"):
        assert both.verify_event(raw, sign(raw, secret, transport_now())).payment_ref is None


@pytest.mark.parametrize("secret", ["", " ", ","])
def test_without_a_webhook_secret_nothing_is_believed(secret: str) -> None:
    unset = StripePayments(api_key="sk_test_x", webhook_secret=secret, api_base=None)
    raw = b'{"id":"evt_1","type":"ping","livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}'
    with pytest.raises(ForgedEvent):
        unset.verify_event(raw, sign(raw, secret, transport_now()))


def test_a_live_adapter_refuses_test_objects_and_test_events(world: World) -> None:
    secret = webhook_secret(world.ports.secrets)
    live = StripePayments(api_key="sk_live_x", webhook_secret=secret, api_base=f"{world.url}/sandbox/stripe")
    with pytest.raises(PaymentUnavailable):  # the sandbox turns the key away
        live.start_checkout(checkout_request(world))
    raw = b'{"id":"evt_1","type":"ping","livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}'
    with pytest.raises(ForgedEvent):
        live.verify_event(raw, sign(raw, secret, transport_now()))


def test_a_provider_that_is_not_there_is_unavailable() -> None:
    nowhere = StripePayments(api_key="sk_test_x", webhook_secret="whsec_x", api_base="http://127.0.0.1:9")
    with pytest.raises(PaymentUnavailable):
        nowhere.report("cs_test_1")


def test_an_installation_can_pay_through_the_sdk_and_believe_the_sandboxs_events(world: World) -> None:
    settings = Settings(
        env="test",
        base_url=world.url,
        payments="stripe",
        stripe_secret_key=SecretStr("sk_test_any"),
        stripe_webhook_secret=SecretStr("whsec_of_stripe"),
        stripe_api_base=f"{world.url}/sandbox/stripe",
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings takes it, its plugin does not say so
    )
    ports = wire(settings, world.db).ports
    switches.flip(world.db, target_url=f"{world.url}/sandbox/hooks/sdk")
    pay(world.browser(), ports.payments.start_checkout(checkout_request(world)).url)
    world.work()
    arrived = world.browser().get("/sandbox/hooks/sdk").json()[-1]
    event = ports.payments.verify_event(arrived["body"].encode(), arrived["headers"]["stripe-signature"])
    assert ports.payments.report(str(event.payment_ref)).outcome is Outcome.SUCCEEDED
    ports.db.dispose()


# --- amounts


@given(st.integers(min_value=1, max_value=10**7), st.sampled_from("USD JPY ISK UGX KWD MGA CLP HUF TWD BHD".split()))
def test_an_amount_that_can_be_sent_comes_back_unchanged(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    try:
        assert from_stripe(to_stripe(amount), currency.lower()) == amount
    except PaymentRefused:
        assert currency in {"KWD", "BHD", "MGA"}


def test_a_fraction_our_currency_does_not_have_is_a_mismatch() -> None:
    with pytest.raises(AmountMismatch):
        from_stripe(150, "isk")


# --- never in production


@pytest.mark.parametrize(("env", "key"), [("prod", ""), ("dev", "sk_live_1"), ("test", "rk_live_1")])
def test_the_sandbox_refuses_production_and_live_keys(env: str, key: str) -> None:
    with pytest.raises(SandboxInProduction):
        refuse_in_production(env=env, stripe_key=key)


def test_the_sandbox_provider_cannot_be_made_in_production(world: World) -> None:
    with pytest.raises(SandboxInProduction):
        SandboxPayments(world.db, world.ports.secrets, base_url=world.url, env="prod")
