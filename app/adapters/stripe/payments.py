"""Stripe, through its own SDK: full redirect Checkout, so that card data never touches us (ADR 0009)."""

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from app.adapters.stripe import events, words
from app.adapters.stripe.answers import Declined, Failed, translated
from app.adapters.stripe.pace import NoPace, Pace
from app.adapters.stripe.version import API_VERSION
from app.core import ids
from app.core.clock import transport_now
from app.core.db import require_no_transaction
from app.core.errors import NotFound
from app.core.money import Money
from app.payments.errors import ForgedEvent, PaymentRefused, PaymentUnavailable
from app.payments.provider import (
    KEYS_LAST,
    CardRequest,
    Checkout,
    CheckoutRequest,
    DisputeReport,
    PaymentReport,
    ProviderEvent,
    RefundReport,
    SavedMethod,
    SetupReport,
)

if TYPE_CHECKING:
    import stripe
    from stripe.params import (
        PaymentIntentCreateParams,
        PaymentIntentListParams,
        PaymentIntentRetrieveParams,
        PaymentIntentSearchParams,
        RefundCreateParams,
        RefundListParams,
        SetupIntentRetrieveParams,
    )
    from stripe.params.checkout import SessionCreateParams, SessionRetrieveParams

log = structlog.get_logger()

TOLERANCE_SECONDS: Final = 300
_CALL_SECONDS: Final = 20


class StripePayments:
    """`webhook_secret` may hold several secrets, comma separated, while one is being rolled.

    `api_base` is another address than Stripe's, such as the sandbox's `/sandbox/stripe`. `pace` keeps its rate limits.
    """

    name = "stripe"

    def __init__(self, *, api_key: str, webhook_secret: str, api_base: str | None, pace: Pace | None = None) -> None:
        self._api_key, self._api_base, self._pace = api_key, api_base, pace or NoPace()
        self._webhook_secrets = tuple(each.strip() for each in webhook_secret.split(",") if each.strip())
        self.live = api_key.startswith(("sk_live_", "rk_live_"))

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        params = cast("SessionCreateParams", words.checkout_params(request))
        with translated():
            session = self.client.v1.checkout.sessions.create(params, {"idempotency_key": request.attempt_id})
        return self._opened(session)

    def _opened(self, session: "stripe.checkout.Session") -> Checkout:
        self._require_mode(livemode=session.livemode)
        if session.url is None:
            raise PaymentUnavailable("The provider opened a checkout without an address.")
        return Checkout(session.id, session.url)

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        """One charge per attempt, whatever got lost on the way:

        - no answer: the same request again with the same key, which Stripe answers with the charge it made;
        - a failure (5xx), which Stripe may remember and repeat for the key: the charge is looked up. If there is none,
          the outcome stays open until the key is forgotten, and PaymentUnavailable is raised;
        - an attempt so old that its key may be forgotten: looked up first; if there is none, there was none, and the
          same request makes the one charge.
        """
        if transport_now() - ids.made_at(attempt_id) >= KEYS_LAST:
            known = self.find_charge(attempt_id, method.customer_ref)
            if known is not None:
                return known
        params = words.charge_params(method, amount, attempt_id=attempt_id, description=description)
        try:
            with translated():
                intent = self.client.v1.payment_intents.create(
                    cast("PaymentIntentCreateParams", params), {"idempotency_key": attempt_id}
                ).to_dict()
        except Declined as declined:
            intent = declined.intent
        except Failed:
            known = self.find_charge(attempt_id, method.customer_ref)
            if known is None:
                raise
            return known
        self._require_mode(livemode=intent["livemode"])
        return words.report_of_intent(intent)

    def report(self, ref: str) -> PaymentReport:
        if ref.startswith("cs_"):
            return words.report_of_session(self._session(ref, words.SESSION_PARTS))
        if not ref.startswith("pi_"):
            raise NotFound("This is not the reference of a checkout or a charge.")
        params: PaymentIntentRetrieveParams = {"expand": words.INTENT_PARTS}
        with translated():
            intent = self.client.v1.payment_intents.retrieve(ref, params).to_dict()
        self._require_mode(livemode=intent["livemode"])
        return words.report_of_intent(intent)

    def expire_checkout(self, ref: str) -> None:
        try:
            with translated():
                self.client.v1.checkout.sessions.expire(ref)
        except PaymentRefused:
            # Stripe expires open sessions only; one that closed by itself is what we wanted.
            if self._session(ref, [])["status"] == "open":
                raise

    def find_charge(self, attempt_id: str, customer_ref: str | None = None) -> PaymentReport | None:
        """A customer's intents are listed as they are now; Stripe's search over all may lag a minute behind."""
        if customer_ref is None:
            return self._search_charge(attempt_id)
        params = cast("PaymentIntentListParams", words.intents_of_params(customer_ref, ids.made_at(attempt_id)))
        with translated():
            listed = self.client.v1.payment_intents.list(params).auto_paging_iter()
            found = [intent.to_dict() for intent in listed]
        for intent in found:
            self._require_mode(livemode=intent["livemode"])
        return words.of_attempt(found, attempt_id)

    def _search_charge(self, attempt_id: str) -> PaymentReport | None:
        params: PaymentIntentSearchParams = {
            "query": words.search_query(attempt_id),
            "expand": [f"data.{part}" for part in words.INTENT_PARTS],
        }
        with translated():
            found = self.client.v1.payment_intents.search(params).to_dict()["data"]
        for intent in found:
            self._require_mode(livemode=intent["livemode"])
        return words.most_telling([words.report_of_intent(intent) for intent in found])

    def refund(self, charge_ref: str, amount: Money, *, refund_id: str) -> RefundReport:
        params = cast("RefundCreateParams", words.refund_params(charge_ref, amount, refund_id))
        with translated():
            made = self.client.v1.refunds.create(params, {"idempotency_key": refund_id})
        return words.report_of_refund(made.to_dict())

    def find_refund(self, charge_ref: str, refund_id: str) -> RefundReport | None:
        return words.the_refund(self.refunds_of(charge_ref), refund_id)

    def refunds_of(self, charge_ref: str) -> list[RefundReport]:
        expand = [f"data.{part}" for part in words.REFUND_PARTS]
        params: RefundListParams = {"charge": charge_ref, "limit": 100, "expand": expand}
        with translated():
            found = self.client.v1.refunds.list(params).to_dict()["data"]
        return [words.report_of_refund(each) for each in found]

    def start_card_setup(self, request: CardRequest) -> Checkout:
        params = cast("SessionCreateParams", words.setup_params(request))
        with translated():
            session = self.client.v1.checkout.sessions.create(params, {"idempotency_key": request.setup_id})
        return self._opened(session)

    def report_setup(self, ref: str) -> SetupReport:
        if ref.startswith("cs_"):
            return words.report_of_setup_session(self._session(ref, words.SETUP_SESSION_PARTS))
        if not ref.startswith("seti_"):
            raise NotFound("This is not the reference of a checkout or a setup.")
        params: SetupIntentRetrieveParams = {"expand": words.SETUP_PARTS}
        with translated():
            intent = self.client.v1.setup_intents.retrieve(ref, params).to_dict()
        self._require_mode(livemode=intent["livemode"])
        return words.report_of_setup_intent(intent)

    def report_method(self, method_ref: str) -> SavedMethod | None:
        try:
            with translated():
                method = self.client.v1.payment_methods.retrieve(method_ref).to_dict()
        except NotFound:
            return None
        self._require_mode(livemode=method["livemode"])
        return words.saved_method(method)

    def forget_method(self, method_ref: str) -> None:
        try:
            with translated():
                self.client.v1.payment_methods.detach(method_ref)
        except (NotFound, PaymentRefused):
            # Stripe detaches what is attached only; a card that is not there any more is what we wanted.
            if self.report_method(method_ref) is not None:
                raise

    def report_refund(self, ref: str) -> RefundReport:
        with translated():
            found = self.client.v1.refunds.retrieve(ref, {"expand": words.REFUND_PARTS})
            return words.report_of_refund(found.to_dict())

    def report_dispute(self, ref: str) -> DisputeReport:
        with translated():
            dispute = self.client.v1.disputes.retrieve(ref).to_dict()
        self._require_mode(livemode=dispute["livemode"])
        return words.report_of_dispute(dispute)

    def verify_event(self, raw: bytes, signature: str) -> ProviderEvent:
        from stripe import SignatureVerificationError, WebhookSignature

        if not self._webhook_secrets:
            raise ForgedEvent("No webhook secret is set, so nothing can be believed.")
        if not signature.isascii():
            raise ForgedEvent("The Stripe-Signature header is malformed.")
        for secret in self._webhook_secrets:
            try:
                WebhookSignature.verify_header(raw, signature, secret, TOLERANCE_SECONDS)
            except (SignatureVerificationError, UnicodeDecodeError):
                continue
            self._refuse_future(signature)
            return self._event(raw)
        raise ForgedEvent("The signature does not fit the body, or is too old.")

    @cached_property
    def client(self) -> "stripe.StripeClient":
        """The SDK's client, pinned to one version of the API."""
        require_no_transaction()
        # 0.8 s: only a process that asks waits for the SDK.
        from app.adapters.stripe.transport import pinned_client

        return pinned_client(self._api_key, self._api_base, self._pace, timeout=_CALL_SECONDS)

    def _session(self, ref: str, parts: list[str]) -> dict[str, Any]:
        params: SessionRetrieveParams = {"expand": parts}
        with translated():
            session = self.client.v1.checkout.sessions.retrieve(ref, params).to_dict()
        self._require_mode(livemode=session["livemode"])
        return session

    def _require_mode(self, *, livemode: bool) -> None:
        """A test key must only ever see test objects, and a live key live ones."""
        if livemode is not self.live:
            raise PaymentUnavailable("The provider mixed test and live mode; check BLP_STRIPE_SECRET_KEY.")

    def _refuse_future(self, signature: str) -> None:
        """The SDK refuses what is too old only; a stamp from the future could be replayed for as long."""
        stamp = next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))
        if stamp - int(transport_now().timestamp()) > TOLERANCE_SECONDS:
            raise ForgedEvent("The signature is from the future; check the clocks.")

    def _event(self, raw: bytes) -> ProviderEvent:
        try:
            payload = json.loads(raw)
            event, livemode = events.event_of(payload), payload["livemode"]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ForgedEvent("The body is signed but is not an event.") from exc
        if livemode is not self.live:
            raise ForgedEvent("The event is of the other mode, test or live, than the secret key.")
        if payload.get("api_version") != API_VERSION:
            # Only what it is about is read from it, and that has the same name in every version.
            log.info("stripe.event_of_another_version", event_version=payload.get("api_version"), kind=event.type)
        return event
