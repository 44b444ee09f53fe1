"""Customers who have bought: the least that a workspace stands on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.accounts import api_keys
from app.accounts.models import Account, BuyerType, LegalEntity
from app.catalog.models import Family, Interval, Plan, PlanKind, Price
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.orders.models import Order, OrderKind, OrderState, Preview, Route
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from app.subscriptions.periods import Period
from app.subscriptions.service import LineBought
from app.tax.models import TaxDetermination
from app.workspaces import service
from app.workspaces.models import Workspace
from tests.world import World

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Make:
    """Rows a test needs; valid by default."""

    world: World

    def key(self, *scopes: str, account: str | None = None) -> httpx.Client:
        """A client with a new API key."""
        with self.world.db.transaction() as tx:
            _, secret = api_keys.create(
                tx, self.world.ports.secrets, name="test", scopes=list(scopes), account_id=account, actor="test",
                now=transport_now(),
            )  # fmt: skip
        return self.world.api(secret)

    def provisioner(self) -> httpx.Client:
        return self.key("provisioning:work")

    def account(self, name: str = "Acme, Inc.") -> str:
        with self.world.db.transaction() as tx:
            account = Account(
                id=new_id("acc"), name=name, type=BuyerType.BUSINESS, email="it@acme.example", line1="1 Main St",
                city="Austin", region="TX", postcode="78701", country="US", time_zone="America/Chicago",
                created_at=NOW,
            )  # fmt: skip
            tx.add(account)
            return account.id

    def subscription(self, account_id: str | None = None, *, sku: str = "cloud-professional", seats: int = 25) -> str:
        """A subscription paid for, with the order that began it."""
        account_id = account_id or self.account()
        with self.world.db.transaction() as tx:
            seller, plan, price = self._offer(tx, sku)
            tax = TaxDetermination(
                id=new_id("txd"), treatment="not_collecting", result={}, request={}, inputs_hash="-",
                data_version="test", determined_at=NOW,
            )  # fmt: skip
            shared: dict[str, Any] = {
                "kind": OrderKind.PURCHASE, "account_id": account_id, "legal_entity_id": seller.id, "currency": "USD",
                "net_minor": 1000, "tax_minor": 0, "total_minor": 1000, "tax_determination_id": tax.id,
                "route": Route.AUTOMATIC, "reasons": [], "created_at": NOW,
            }  # fmt: skip
            preview = Preview(
                id=new_id("prv"), inputs={}, inputs_hash="-", lines=[], expires_at=NOW + timedelta(days=1), **shared
            )
            order = Order(
                id=new_id("ord"), preview_id=preview.id, state=OrderState.COMPLETED, buyer_name="Ada Lovelace",
                buyer_email="ada@acme.example", completed_at=NOW, **shared,
            )  # fmt: skip
            for row in (tax, preview, order):
                tx.add(row)
                tx.flush()
            unit = Money(1000, "USD")
            return subscriptions.begin(
                tx, account_id=account_id, legal_entity_id=seller.id, order_id=order.id, plan_id=plan.id,
                interval="year", term_months=12, period=Period(date(2026, 3, 2), date(2027, 3, 2)),
                time_zone="America/Chicago", grace_days=10, contact_name="Ada Lovelace",
                contact_email="ada@acme.example", currency="USD", now=NOW,
                lines=[LineBought(plan.id, price.id, plan.sku, plan.name, seats, unit, unit)],
            ).id  # fmt: skip

    @staticmethod
    def _offer(tx: Tx, sku: str) -> tuple[LegalEntity, Plan, Price]:
        """A seller who offers one plan at one price."""
        number = new_id("ent")[-6:]
        seller = LegalEntity(
            id=new_id("ent"), code=f"seller-{number}", name="Acme Collaboration, Inc.", line1="1 Market St",
            city="Palo Alto", region="CA", postcode="94301", country="US", email="billing@vendor.example",
            invoice_series=f"T{number}", time_zone="America/Los_Angeles", established=["US"], elections={},
        )  # fmt: skip
        plan = Plan(
            id=new_id("pln"), sku=f"{sku}-{number}", name="Professional", kind=PlanKind.PLAN,
            family=Family.CLOUD if sku.startswith("cloud") else Family.SELF_MANAGED, tax_code="saas_business",
            license_sku="professional", min_seats=1, max_seats=1000, bullets=[], flags={}, add_on_for=[],
        )  # fmt: skip
        price = Price(
            id=new_id("prc"), plan_id=plan.id, currency="USD", interval=Interval.YEAR, unit_minor=1000,
            valid_from=date(2026, 1, 1),
        )  # fmt: skip
        for row in (seller, plan, price):
            tx.add(row)
            tx.flush()
        return seller, plan, price

    def workspace(
        self, subscription_id: str | None = None, *, hostname: str = "acme", region: str = "eu",
        license_file_text: str | None = "first license",
    ) -> str:  # fmt: skip
        """A workspace as the completion of a purchase asks for it."""
        subscription_id = subscription_id or self.subscription()
        with self.world.db.transaction() as tx:
            subscription = tx.get_one(Subscription, subscription_id)
            return service.request(
                tx, account_id=subscription.account_id, subscription_id=subscription_id, hostname=hostname,
                sku="cloud-professional", seats=25, region=region, admin_email="ada@acme.example",
                license_file_text=license_file_text, now=self.world.ports.clock.now(),
            ).id  # fmt: skip

    def read(self, workspace_id: str) -> Workspace:
        with self.world.db.transaction() as tx:
            return tx.get_one(Workspace, workspace_id)


@pytest.fixture
def make(world: World) -> Make:
    return Make(world)
