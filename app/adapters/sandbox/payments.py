"""The payment port, spoken to the sandbox's provider in the same process (ADR 0009).

The provider is Stripe-shaped, so both adapters share one translation (`adapters/stripe/words.py`); here it is
carried by function calls, there by the SDK.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from app.adapters.sandbox import disputes, intents, refunds, refuse_in_production, sessions, setups
from app.adapters.sandbox.answers import Refused
from app.adapters.sandbox.params import (
    IntentListParams,
    IntentParams,
    RefundParams,
    SessionParams,
    SetupSessionParams,
    read,
)
from app.adapters.sandbox.provider_core import Provider
from app.adapters.sandbox.signature import check, webhook_secret
from app.adapters.stripe import events, words
from app.core import ids
from app.core.clock import Clock, RealClock
from app.core.db import Database, require_no_transaction
from app.core.errors import NotFound
from app.core.money import Money
from app.core.security import Secrets
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


class SandboxPayments:
    """`env` is refused if it is `prod`. `clock` is the provider's real time, replaced in tests only."""

    name = "sandbox"

    def __init__(
        self, database: Database, secrets: Secrets, *, base_url: str, env: str, clock: Clock | None = None
    ) -> None:
        refuse_in_production(env=env)
        self._clock = clock or RealClock()
        self._provider = Provider(database, base_url, self._clock)
        self._webhook_secret = webhook_secret(secrets)

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        with _translated():
            params = read(SessionParams, words.checkout_params(request))
            session = sessions.create(self._provider, params, request.attempt_id)
            _require_success(session.status)
        return Checkout(session.body["id"], session.body["url"])

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        """As the Stripe adapter's: what was asked for long ago, or answered with a failure, is looked up."""
        if self._clock.now() - ids.made_at(attempt_id) >= KEYS_LAST:
            known = self.find_charge(attempt_id, method.customer_ref)
            if known is not None:
                return known
        params = words.charge_params(method, amount, attempt_id=attempt_id, description=description)
        try:
            with _translated():
                answer = intents.create(self._provider, read(IntentParams, params), attempt_id)
                _require_success(answer.status)
        except _Failed:
            known = self.find_charge(attempt_id, method.customer_ref)
            if known is None:
                raise
            return known
        intent = answer.body["error"]["payment_intent"] if answer.status == 402 else answer.body
        return words.report_of_intent(intent)

    def report(self, ref: str) -> PaymentReport:
        with _translated():
            if ref.startswith("cs_"):
                return words.report_of_session(sessions.retrieve(self._provider, ref, words.SESSION_PARTS))
            if ref.startswith("pi_"):
                return words.report_of_intent(intents.retrieve(self._provider, ref, words.INTENT_PARTS))
        raise NotFound("This is not the reference of a checkout or a charge.")

    def expire_checkout(self, ref: str) -> None:
        try:
            with _translated():
                (setups if setups.known(self._provider, ref) else sessions).expire(self._provider, ref, [])
        except PaymentRefused:
            # Only open sessions can be expired; one that closed by itself is what we wanted.
            room = setups if setups.known(self._provider, ref) else sessions
            if room.retrieve(self._provider, ref, [])["status"] == "open":
                raise

    def find_charge(self, attempt_id: str, customer_ref: str | None = None) -> PaymentReport | None:
        """As the Stripe adapter's."""
        with _translated():
            if customer_ref is not None:
                params = read(IntentListParams, words.intents_of_params(customer_ref, ids.made_at(attempt_id)))
                return words.of_attempt(intents.of_customer(self._provider, params)[0], attempt_id)
            found = intents.search(self._provider, ("attempt_id", attempt_id), words.INTENT_PARTS)
        return words.most_telling([words.report_of_intent(intent) for intent in found])

    def refund(self, charge_ref: str, amount: Money, *, refund_id: str) -> RefundReport:
        with _translated():
            params = read(RefundParams, words.refund_params(charge_ref, amount, refund_id))
            answer = refunds.create(self._provider, params, refund_id)
            _require_success(answer.status)
        return words.report_of_refund(answer.body)

    def find_refund(self, charge_ref: str, refund_id: str) -> RefundReport | None:
        return words.the_refund(self.refunds_of(charge_ref), refund_id)

    def refunds_of(self, charge_ref: str) -> list[RefundReport]:
        with _translated():
            found = refunds.of_charge(self._provider, charge_ref, words.REFUND_PARTS)
        return [words.report_of_refund(each) for each in found]

    def start_card_setup(self, request: CardRequest) -> Checkout:
        with _translated():
            params = read(SetupSessionParams, words.setup_params(request))
            session = setups.create(self._provider, params, request.setup_id)
            _require_success(session.status)
        return Checkout(session.body["id"], session.body["url"])

    def report_setup(self, ref: str) -> SetupReport:
        with _translated():
            if ref.startswith("cs_"):
                session = setups.retrieve(self._provider, ref, words.SETUP_SESSION_PARTS)
                return words.report_of_setup_session(session)
            if ref.startswith("seti_"):
                return words.report_of_setup_intent(setups.retrieve_intent(self._provider, ref, words.SETUP_PARTS))
        raise NotFound("This is not the reference of a checkout or a setup.")

    def report_method(self, method_ref: str) -> SavedMethod | None:
        try:
            with _translated():
                return words.saved_method(intents.retrieve_method(self._provider, method_ref, []))
        except NotFound:
            return None

    def forget_method(self, method_ref: str) -> None:
        try:
            with _translated():
                intents.detach_method(self._provider, method_ref, [])
        except (NotFound, PaymentRefused):
            if self.report_method(method_ref) is not None:
                raise

    def report_refund(self, ref: str) -> RefundReport:
        with _translated():
            return words.report_of_refund(refunds.retrieve(self._provider, ref, words.REFUND_PARTS))

    def report_dispute(self, ref: str) -> DisputeReport:
        with _translated():
            return words.report_of_dispute(disputes.retrieve(self._provider, ref))

    def verify_event(self, raw: bytes, signature: str) -> ProviderEvent:
        check(raw, signature, self._webhook_secret, self._clock.now())
        try:
            payload = json.loads(raw)
            event, livemode = events.event_of(payload), payload["livemode"]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ForgedEvent("The body is signed but is not an event.") from exc
        if livemode is not False:
            raise ForgedEvent("The sandbox knows no live events.")
        return event


class _Failed(PaymentUnavailable):
    """The provider itself failed, perhaps after it had done what was asked."""


def _require_success(status: int) -> None:
    """A remembered failure is an answer too."""
    if status >= 500:
        raise Refused(status, "api_error", "The provider failed.")


@contextmanager
def _translated() -> Iterator[None]:
    """The same mapping as for Stripe: an open outcome is PaymentUnavailable, a definite no PaymentRefused."""
    require_no_transaction()
    try:
        yield
    except Refused as exc:
        error = exc.body["error"]
        if exc.status >= 500:
            raise _Failed("The payment provider did not give an answer. Try again shortly.") from exc
        if exc.status in {409, 429}:
            raise PaymentUnavailable("The payment provider did not give an answer. Try again shortly.") from exc
        if exc.status == 404:
            raise NotFound("The payment provider knows no such object.") from exc
        reason = error.get("code") or error["type"]
        raise PaymentRefused(f"The payment provider refuses: {error['message']}", reason=reason) from exc
