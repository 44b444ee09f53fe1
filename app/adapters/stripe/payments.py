"""Interim: replaced by the Stripe adapter."""

from app.core.money import Money
from app.payments.errors import PaymentUnavailable
from app.payments.provider import Checkout, CheckoutRequest, PaymentReport, ProviderEvent, SavedMethod


class StripePayments:
    name = "stripe"

    def __init__(self, *, api_key: str, webhook_secret: str, api_base: str | None) -> None:
        self._api_key, self._webhook_secret, self._api_base = api_key, webhook_secret, api_base

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        raise PaymentUnavailable("interim")

    def charge_saved(self, method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> PaymentReport:
        raise PaymentUnavailable("interim")

    def report(self, ref: str) -> PaymentReport:
        raise PaymentUnavailable("interim")

    def expire_checkout(self, ref: str) -> None:
        raise PaymentUnavailable("interim")

    def verify_event(self, raw: bytes, signature: str) -> ProviderEvent:
        raise PaymentUnavailable("interim")
