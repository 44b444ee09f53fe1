"""Everything a story may reach outside its own transactions. Wiring fills it once per process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from app.core.clock import Clock
from app.core.db import Database
from app.core.security import Secrets
from app.payments.provider import PaymentProvider
from app.tax.provider import TaxIdRegistry, TaxProvider
from app.webhooks.provider import HttpOut
from app.workspaces.provider import Provisioners


class Mailer(Protocol):
    def send(self, *, to: str, subject: str, text: str, html: str, message_id: str, headers: Mapping[str, str]) -> None:
        """Hand one mail over; the same `message_id` twice is one mail. Raises core.errors.Unavailable to try later."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    db: Database
    clock: Clock
    secrets: Secrets
    payments: PaymentProvider
    mailer: Mailer
    tax_ids: TaxIdRegistry
    tax: TaxProvider
    http: HttpOut
    provisioners: Provisioners
    base_url: str  # without a trailing slash; every link begins with it
    vendor_name: str
    test_mode: bool  # documents and surveys of a sandbox are marked TEST

    def link(self, path: str) -> str:
        return f"{self.base_url}{path}"
