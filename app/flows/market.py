"""What an offer is made from: seller, plans, prices, coupons, and what the account has bought and agreed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, Protocol

from app.accounts import domains
from app.accounts import service as accounts
from app.accounts.models import LegalEntity, SellerRegistration
from app.agreements import contracts
from app.agreements.models import CustomAgreement
from app.catalog import coupons
from app.catalog import service as catalog
from app.catalog.models import Coupon, Interval, Plan, Price
from app.core import policy
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.money import Money
from app.flows.preview_request import PreviewRequest
from app.orders import routing
from app.orders import service as orders
from app.orders.models import OfferSource, OrderKind
from app.subscriptions import service as subscriptions
from app.tax import calculations, certificates, local_import, overruling, provided
from app.tax import request as taxing
from app.tax.calculations import TaxUnasked
from app.tax.determination import Determination, determine
from app.tax.local_rates import Locality
from app.tax.models import ExemptionCertificate
from app.tax.overrides import Overrides

ROLLING: Final = timedelta(days=365)


class Market(Protocol):
    """What an offer is made from. The single path asks the tables, a billing run has read them for many at once."""

    @property
    def entity(self) -> LegalEntity: ...

    @property
    def seller(self) -> taxing.Seller:
        """The entity as tax law sees it."""
        ...

    @property
    def thresholds(self) -> Mapping[str, int]: ...

    def plan(self, sku: str) -> Plan:
        """Raises UnknownPlan."""
        ...

    def price(self, plan: Plan, currency: str, interval: Interval, day: date) -> Price:
        """Raises NoPrice."""
        ...

    def coupon(self, wanted: PreviewRequest, today: date) -> Coupon | None:
        """The coupon asked for, or the one that goes on from an earlier term. Raises CouponRefused."""
        ...

    def spent(self, account_id: str) -> Sequence[Money]:
        """What the account, and those that are one customer with it, bought within a year."""
        ...

    def agreement(self, account_id: str) -> CustomAgreement | None:
        """The special agreement that applies to the account."""
        ...

    def certificates(self, account_id: str) -> Sequence[ExemptionCertificate]:
        """The exemption certificates of the account that were accepted, expired or not."""
        ...

    def is_computed_elsewhere(self, country: str) -> bool:
        """Whether a provider computes the tax of buyers there."""
        ...

    def taxed(self, question: taxing.Request) -> Determination:
        """The tax of an offer (R-TAX-7). Raises TaxUnasked where a provider has to be asked first."""
        ...


class Tables:
    """The market as the tables have it at this moment."""

    def __init__(self, tx: Tx, now: datetime) -> None:
        self._tx, self._now = tx, now

    @cached_property
    def entity(self) -> LegalEntity:
        return accounts.seller(self._tx)

    @cached_property
    def seller(self) -> taxing.Seller:
        return seller_of(self.entity, accounts.registrations(self._tx, self.entity.id))

    @property
    def thresholds(self) -> Mapping[str, int]:
        return policy.get(self._tx, routing.THRESHOLD, self._now)

    def plan(self, sku: str) -> Plan:
        return catalog.plan_by_sku(self._tx, sku)

    def price(self, plan: Plan, currency: str, interval: Interval, day: date) -> Price:
        return catalog.price_on(self._tx, plan, currency, interval, day)

    def coupon(self, wanted: PreviewRequest, today: date) -> Coupon | None:
        return _coupon(self._tx, wanted, today)

    def spent(self, account_id: str) -> Sequence[Money]:
        return _spent(self._tx, account_id, self._now)

    def agreement(self, account_id: str) -> CustomAgreement | None:
        return contracts.in_force(self._tx, account_id, self._now)

    def certificates(self, account_id: str) -> Sequence[ExemptionCertificate]:
        return certificates.of_account(self._tx, account_id)

    @cached_property
    def overrides(self) -> Overrides:
        """What the operator decided instead of the tax data on file."""
        return overruling.in_force(self._tx)

    @cached_property
    def _local_versions(self) -> Mapping[str, tuple[int, int]]:
        return local_import.versions(self._tx)

    @cached_property
    def _countries(self) -> frozenset[str]:
        countries = policy.get(self._tx, calculations.COUNTRIES, self._now)
        return frozenset(countries)

    def is_computed_elsewhere(self, country: str) -> bool:
        return country.upper() in self._countries

    def taxed(self, question: taxing.Request) -> Determination:
        own = determine(
            question, local=self.local_rates(question.buyer, question.date), overrides=self.overrides
        )  # fmt: skip
        if not self._countries or not provided.is_asked(question, own, self._countries):
            return own
        if (why := provided.cannot_be_asked(question)) is not None:
            return provided.held(question, why, version=own.data_version, calculation=None)
        return self._provided(question, own)

    def _provided(self, question: taxing.Request, own: Determination) -> Determination:
        """What the provider answered lately. Raises TaxUnasked."""
        hours = policy.get(self._tx, calculations.FRESH_HOURS, self._now)
        found = calculations.answer_to(self._tx, question, hours=hours, now=transport_now())
        if found is None:
            raise TaxUnasked(question, own)
        return found

    def local_rates(self, buyer: taxing.Buyer, on: date) -> Locality | None:
        """What imported local rates say of an address in the United States."""
        # Most states and most installations have none to ask for.
        if buyer.country != "US" or not buyer.postcode:
            return None
        return local_import.at(self._tx, self._local_versions, buyer, on)


def seller_of(entity: LegalEntity, registrations: Sequence[SellerRegistration]) -> taxing.Seller:
    """The entity as tax law sees it."""
    return taxing.Seller(
        country=entity.country, established=frozenset(entity.established),
        registrations=tuple(
            taxing.Registration(each.jurisdiction, each.scheme, each.valid_from, each.valid_to, each.number)
            for each in registrations
        ),
        oss="union" if entity.oss == "union" else "non_union" if entity.oss == "non_union" else None,
        below_eu_threshold=entity.below_eu_threshold, elections=entity.elections,
    )  # fmt: skip


def _coupon(tx: Tx, wanted: PreviewRequest, today: date) -> Coupon | None:
    """The coupon asked for, or the one that goes on from an earlier term. Raises CouponRefused."""
    if wanted.source is OfferSource.QUOTE:
        return None  # what sales takes off stands on the lines
    if wanted.coupon:
        skus = [line.sku for line in wanted.lines]
        return coupons.usable(tx, wanted.coupon, currency=wanted.currency, skus=skus, day=today)
    if wanted.kind is OrderKind.PURCHASE or wanted.subscription_id is None:
        return None
    subscription = subscriptions.get(tx, wanted.subscription_id)
    renewed = wanted.kind is OrderKind.RENEWAL
    starts_on = subscriptions.next_start(subscription, today) if renewed else subscription.billed_to
    running = subscriptions.running_coupon(subscription, starts_on)
    return coupons.of_id(tx, running) if running is not None else None


def _spent(tx: Tx, account_id: str, now: datetime) -> list[Money]:
    """What the account, and those that are one customer with it, bought within a year."""
    return orders.spent_since(tx, domains.one_customer(tx, account_id, now), now - ROLLING)
