"""Stripe, through its own SDK: full redirect Checkout, so that card data never touches us (ADR 0009)."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from app.adapters.stripe import words
from app.core.clock import transport_now
from app.core.db import require_no_transaction
from app.core.errors import NotFound
from app.core.money import Money
from app.payments.errors import ForgedEvent, PaymentRefused, PaymentUnavailable
from app.payments.provider import (
    Checkout,
    CheckoutRequest,
    DisputeReport,
    PaymentReport,
    ProviderEvent,
    RefundReport,
    SavedMethod,
)

if TYPE_CHECKING:
    import stripe
    from stripe.params import (
        PaymentIntentCreateParams,
        PaymentIntentRetrieveParams,
        PaymentIntentSearchParams,
        RefundCreateParams,
        RefundListParams,
    )
    from stripe.params.checkout import SessionCreateParams, SessionRetrieveParams

log = structlog.get_logger()

TOLERANCE_SECONDS: Final = 300
_CALL_SECONDS: Final = 20


class StripePayments:
    """`webhook_secret` may hold several secrets, comma separated, while one is being rolled.

    `api_base` is another address than Stripe's, such as the sandbox's `/sandbox/stripe`.
    """

    name = "stripe"

    def __init__(self, *, api_key: str, webhook_secret: str, api_base: str | None) -> None:
        self._api_key, self._api_base = api_key, api_base
        self._webhook_secrets = tuple(each.strip() for each in webhook_secret.split(",") if each.strip())
        self._live = api_key.startswith(("sk_live_", "rk_live_"))

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        params = cast("SessionCreateParams", words.checkout_params(request))
        with _translated():
            session = self._client.v1.checkout.sessions.create(params, {"idempotency_key": request.attempt_id})
        self._require_mode(livemode=session.livemode)
        if session.url is None:
            raise PaymentUnavailable("The provider opened a checkout without an address.")
        return Checkout(session.id, session.url)

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        params = words.charge_params(method, amount, attempt_id=attempt_id, description=description)
        try:
            with _translated():
                intent = self._client.v1.payment_intents.create(
                    cast("PaymentIntentCreateParams", params), {"idempotency_key": attempt_id}
                ).to_dict()
        except _Declined as declined:
            intent = declined.intent
        self._require_mode(livemode=intent["livemode"])
        return words.report_of_intent(intent)

    def report(self, ref: str) -> PaymentReport:
        if ref.startswith("cs_"):
            return words.report_of_session(self._session(ref))
        if not ref.startswith("pi_"):
            raise NotFound("This is not the reference of a checkout or a charge.")
        params: PaymentIntentRetrieveParams = {"expand": words.INTENT_PARTS}
        with _translated():
            intent = self._client.v1.payment_intents.retrieve(ref, params).to_dict()
        self._require_mode(livemode=intent["livemode"])
        return words.report_of_intent(intent)

    def expire_checkout(self, ref: str) -> None:
        try:
            with _translated():
                self._client.v1.checkout.sessions.expire(ref)
        except PaymentRefused:
            # Stripe expires open sessions only; one that closed by itself is what we wanted.
            if self._session(ref)["status"] == "open":
                raise

    def find_charge(self, attempt_id: str) -> PaymentReport | None:
        """What was charged for an attempt, looked up without its key; None if nothing was ever tried.

        For an attempt without an answer that is older than 23 h: the key may be forgotten by then, and asking again
        could charge again. Stripe's search may lag a minute behind. Raises PaymentUnavailable.
        """
        params: PaymentIntentSearchParams = {
            "query": words.search_query(attempt_id),
            "expand": [f"data.{part}" for part in words.INTENT_PARTS],
        }
        with _translated():
            found = self._client.v1.payment_intents.search(params).to_dict()["data"]
        for intent in found:
            self._require_mode(livemode=intent["livemode"])
        return words.most_telling([words.report_of_intent(intent) for intent in found])

    def refund(self, charge_ref: str, amount: Money, *, refund_id: str) -> RefundReport:
        params = cast("RefundCreateParams", words.refund_params(charge_ref, amount, refund_id))
        with _translated():
            made = self._client.v1.refunds.create(params, {"idempotency_key": refund_id})
        return words.report_of_refund(made.to_dict())

    def find_refund(self, charge_ref: str, refund_id: str) -> RefundReport | None:
        params: RefundListParams = {"charge": charge_ref, "limit": 100}
        with _translated():
            found = self._client.v1.refunds.list(params).to_dict()["data"]
        return words.the_refund([words.report_of_refund(each) for each in found], refund_id)

    def report_refund(self, ref: str) -> RefundReport:
        with _translated():
            return words.report_of_refund(self._client.v1.refunds.retrieve(ref).to_dict())

    def report_dispute(self, ref: str) -> DisputeReport:
        with _translated():
            dispute = self._client.v1.disputes.retrieve(ref).to_dict()
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
    def _client(self) -> "stripe.StripeClient":
        require_no_transaction()
        import stripe  # 0.8 s: only a process that pays for something waits for it

        return stripe.StripeClient(
            self._api_key,
            base_addresses={"api": self._api_base.rstrip("/")} if self._api_base else {},
            http_client=stripe.RequestsClient(timeout=_CALL_SECONDS),
            max_network_retries=2,  # with the same idempotency key
        )

    def _session(self, ref: str) -> dict[str, Any]:
        params: SessionRetrieveParams = {"expand": words.SESSION_PARTS}
        with _translated():
            session = self._client.v1.checkout.sessions.retrieve(ref, params).to_dict()
        self._require_mode(livemode=session["livemode"])
        return session

    def _require_mode(self, *, livemode: bool) -> None:
        """A test key must only ever see test objects, and a live key live ones."""
        if livemode is not self._live:
            raise PaymentUnavailable("The provider mixed test and live mode; check BLP_STRIPE_SECRET_KEY.")

    def _refuse_future(self, signature: str) -> None:
        """The SDK refuses what is too old only; a stamp from the future could be replayed for as long."""
        stamp = next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))
        if stamp - int(transport_now().timestamp()) > TOLERANCE_SECONDS:
            raise ForgedEvent("The signature is from the future; check the clocks.")

    def _event(self, raw: bytes) -> ProviderEvent:
        try:
            payload = json.loads(raw)
            event, livemode = words.event_of(payload), payload["livemode"]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ForgedEvent("The body is signed but is not an event.") from exc
        if livemode is not self._live:
            raise ForgedEvent("The event is of the other mode, test or live, than the secret key.")
        return event


class _Declined(Exception):
    """The bank said no; `intent` is the payment intent that holds the refusal."""

    def __init__(self, intent: dict[str, Any]) -> None:
        super().__init__(intent.get("id"))
        self.intent = intent


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where Stripe's errors become ours.

    Unknown outcome (no connection, 5xx, 429, a key in use, our own credentials): PaymentUnavailable, ask again with
    the same attempt. Nothing happened and never will: NotFound or PaymentRefused. The bank declined: _Declined.
    """
    require_no_transaction()
    import stripe

    try:
        yield
    except stripe.CardError as exc:
        intent = _error_body(exc).get("payment_intent")
        if not isinstance(intent, dict):
            raise PaymentRefused("The card was declined.", reason=words.failure_code(_error_body(exc))) from exc
        raise _Declined(intent) from exc
    except stripe.InvalidRequestError as exc:
        if exc.http_status == 404:
            raise NotFound("The payment provider knows no such object.") from exc
        reason = exc.code or "invalid_request"
        raise PaymentRefused(f"The payment provider refuses: {exc.user_message}", reason=reason) from exc
    except stripe.IdempotencyError as exc:
        raise PaymentRefused(
            "This attempt was asked before with other figures; begin a new one.", reason="idempotency_error"
        ) from exc
    except stripe.StripeError as exc:
        log.warning("stripe.unavailable", error=type(exc).__name__, status=exc.http_status, request=exc.request_id)
        raise PaymentUnavailable("The payment provider did not give an answer. Try again shortly.") from exc


def _error_body(exc: "stripe.CardError") -> Mapping[str, Any]:
    body = exc.json_body
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"type": "card_error", "code": exc.code}
