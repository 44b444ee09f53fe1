"""Interim: replaced by the sandbox provider."""

from app.core.db import Database
from app.core.money import Money
from app.core.security import Secrets
from app.payments.errors import PaymentUnavailable
from app.payments.provider import Checkout, CheckoutRequest, PaymentReport, ProviderEvent, SavedMethod


class SandboxPayments:
    name = "sandbox"

    def __init__(self, database: Database, secrets: Secrets, *, base_url: str) -> None:
        self._database, self._secrets, self._base_url = database, secrets, base_url

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
